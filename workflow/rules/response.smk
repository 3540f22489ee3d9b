# Three strands + criteria -> call per visit, best response per subject.


rule call_visits:
    input:
        csf="work/csf.csv",
        neuro="work/neuro.csv",
        mri="work/mri.csv",
        charter="work/charter.json",
        subjects="work/tables/subjects.csv",
        queries=PLAN.query_files,
    output:
        calls=report("calls.csv", caption="../report/calls.rst", category="Tables"),
        best=report(
            "best_response.csv", caption="../report/calls.rst", category="Tables"
        ),
    log:
        "logs/response/call_visits.log",
    params:
        software=VERSION,
    message:
        "Calling every visit"
    shell:
        "lmresp step call-visits --csf {input.csf} --neuro {input.neuro} --mri {input.mri} "
        "--charter {input.charter} --subjects {input.subjects} --queries {input.queries} "
        "--calls {output.calls} --best {output.best} > {log} 2>&1"
