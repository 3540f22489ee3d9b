# Strands + criteria -> call per visit, components beside it, best response and time to event per subject.


rule call_visits:
    input:
        csf="work/csf.csv",
        neuro="work/neuro.csv",
        mri="work/mri.csv",
        steroids="work/steroids.csv",
        charter="work/charter.json",
        queries=PLAN.query_files,
    output:
        calls=report("calls.csv", caption="../report/calls.rst", category="Tables"),
    log:
        "logs/response/call_visits.log",
    params:
        software=VERSION,
    message:
        "Calling every visit"
    shell:
        "lmresp step call-visits --csf {input.csf} --neuro {input.neuro} --mri {input.mri} "
        "--steroids {input.steroids} --charter {input.charter} --queries {input.queries} "
        "--calls {output.calls} > {log} 2>&1"


rule list_components:
    input:
        csf="work/csf.csv",
        neuro="work/neuro.csv",
        mri="work/mri.csv",
        steroids="work/steroids.csv",
        facts="work/tables/facts.csv",
        subjects="work/tables/subjects.csv",
        charter="work/charter.json",
    output:
        components=report(
            "components.csv", caption="../report/components.rst", category="Tables"
        ),
        queries="work/components.queries.csv",
    log:
        "logs/response/list_components.log",
    params:
        software=VERSION,
    message:
        "Listing what stands beside the calls"
    shell:
        "lmresp step list-components --csf {input.csf} --neuro {input.neuro} --mri {input.mri} "
        "--steroids {input.steroids} --facts {input.facts} --subjects {input.subjects} --charter {input.charter} "
        "--components {output.components} --queries {output.queries} > {log} 2>&1"


rule follow_subjects:
    input:
        calls="calls.csv",
        csf="work/csf.csv",
        neuro="work/neuro.csv",
        mri="work/mri.csv",
        charter="work/charter.json",
        study="work/study.json",
        tables=expand("work/tables/{table}.csv", table=PLAN.tables),
        queries=PLAN.query_files,
    output:
        best=report(
            "best_response.csv", caption="../report/over_time.rst", category="Tables"
        ),
        endpoints=report(
            "endpoints.csv", caption="../report/over_time.rst", category="Tables"
        ),
        queries="work/over_time.queries.csv",
    log:
        "logs/response/follow_subjects.log",
    params:
        software=VERSION,
    message:
        "Deriving best response and time to event"
    shell:
        "lmresp step follow-subjects --calls {input.calls} --csf {input.csf} --neuro {input.neuro} "
        "--mri {input.mri} --charter {input.charter} --study {input.study} --tables work/tables --queries {input.queries} "
        "--best {output.best} --endpoints {output.endpoints} --queries-out {output.queries} > {log} 2>&1"
