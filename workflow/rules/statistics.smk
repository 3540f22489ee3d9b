# Best responses and times to event -> rates and survival of the study.


rule estimate:
    input:
        best="best_response.csv",
        endpoints="endpoints.csv",
        csf="work/csf.csv",
        neuro="work/neuro.csv",
        charter="work/charter.json",
        subjects="work/tables/subjects.csv",
    output:
        rates=report(
            "rates.csv", caption="../report/statistics.rst", category="Statistics"
        ),
        survival=report(
            "survival.csv", caption="../report/statistics.rst", category="Statistics"
        ),
        curve="survival_curve.csv",
    log:
        "logs/statistics/estimate.log",
    params:
        software=VERSION,
    message:
        "Estimating rates and survival"
    shell:
        "lmresp step estimate --best {input.best} --endpoints {input.endpoints} "
        "--csf {input.csf} --neuro {input.neuro} --charter {input.charter} --subjects {input.subjects} "
        "--rates {output.rates} --survival {output.survival} --curve {output.curve} > {log} 2>&1"
