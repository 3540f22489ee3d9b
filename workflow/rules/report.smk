# Everything a person reads: the queries, the study report, the provenance.


rule collect_queries:
    input:
        queries=PLAN.query_files,
        visits="work/tables/visits.csv",
    output:
        queries=report(
            "queries.csv", caption="../report/queries.rst", category="Tables"
        ),
    log:
        "logs/report/collect_queries.log",
    params:
        software=VERSION,
    message:
        "Collecting the queries"
    shell:
        "lmresp step collect-queries --out {output.queries} --visits {input.visits} {input.queries} > {log} 2>&1"


rule write_provenance:
    input:
        study="work/study.json",
        index="work/index.json",
        charter="work/charter.json",
        raw=expand("work/raw/{table}.csv", table=PLAN.tables),
        scans=SCAN_RESULTS,
    output:
        provenance="provenance.json",
        dataset="dataset_description.json",
    log:
        "logs/report/write_provenance.log",
    params:
        software=VERSION,
    message:
        "Writing the provenance"
    shell:
        "lmresp step write-provenance --study {input.study} --index {input.index} --charter {input.charter} "
        "--raw work/raw --out {output.provenance} --dataset {output.dataset} > {log} 2>&1"


rule write_report:
    input:
        "calls.csv",
        "best_response.csv",
        "pathway.csv",
        "measures.csv",
        "queries.csv",
        expand("work/{strand}.csv", strand=["csf", "neuro", "mri"]),
        expand("work/tables/{table}.csv", table=PLAN.tables),
        provenance="provenance.json",
        study="work/study.json",
        index="work/index.json",
        scans=SCAN_RESULTS,
    output:
        page=report(
            "report.html",
            caption="../report/study_report.rst",
            category="Study report",
        ),
    log:
        "logs/report/write_report.log",
    params:
        software=VERSION,
    message:
        "Writing the study report"
    shell:
        "lmresp step write-report --results . --out {output.page} > {log} 2>&1"
