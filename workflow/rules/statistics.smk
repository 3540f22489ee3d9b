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


# Locked reads and drafts -> agreement of readers with one another and with the draft.


rule agree:
    input:
        index="work/index.json",
        charter="work/charter.json",
        reads="work/tables/mri_reads.csv",
        measured="work/tables/mri_measures.csv",
        subjects="work/tables/subjects.csv",
        visits="work/tables/visits.csv",
        scans=SCAN_RESULTS,
    output:
        agreement=report(
            "agreement.csv", caption="../report/agreement.rst", category="Statistics"
        ),
        counts="agreement_counts.csv",
        cases=report(
            "agreement_cases.csv",
            caption="../report/agreement.rst",
            category="Statistics",
        ),
        drift=report(
            "drift.csv", caption="../report/agreement.rst", category="Statistics"
        ),
        queries="work/agreement.queries.csv",
    log:
        "logs/statistics/agree.log",
    params:
        software=VERSION,
    message:
        "Comparing readers with one another and with the draft"
    shell:
        "lmresp step agree --index {input.index} --charter {input.charter} --reads {input.reads} "
        "--measured {input.measured} --subjects {input.subjects} --visits {input.visits} "
        "--agreement {output.agreement} --counts {output.counts} --cases {output.cases} "
        "--drift {output.drift} --queries {output.queries} > {log} 2>&1"
