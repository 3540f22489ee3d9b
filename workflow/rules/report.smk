# Everything a person reads: the queries, the study report, the provenance.
EXPLAINED = [
    "calls.csv",
    "best_response.csv",
    "components.csv",
    "endpoints.csv",
    "pathway.csv",
    "queries.csv",
    *(f"work/{strand}.csv" for strand in ("csf", "neuro", "mri", "steroids")),
]


rule collect_queries:
    input:
        queries=PLAN.query_files,
        derived=[
            "work/components.queries.csv",
            "work/over_time.queries.csv",
            "work/agreement.queries.csv",
        ],
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
        "lmresp step collect-queries --out {output.queries} --visits {input.visits} "
        "{input.queries} {input.derived} > {log} 2>&1"


rule write_provenance:
    input:
        study="work/study.json",
        index="work/index.json",
        charter="work/charter.json",
        raw=expand("work/raw/{table}.csv", table=PLAN.tables),
        reads="work/reads.json",
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
        "--raw work/raw --reads {input.reads} --out {output.provenance} --dataset {output.dataset} > {log} 2>&1"


rule explain_subjects:
    input:
        EXPLAINED,
        charter="work/charter.json",
    output:
        explanations="explanations.jsonl",
    log:
        "logs/report/explain_subjects.log",
    params:
        software=VERSION,
    message:
        "Explaining every subject"
    shell:
        "lmresp step explain-subjects --results . --explanations {output.explanations} > {log} 2>&1"


rule write_report:
    input:
        EXPLAINED,
        "measures.csv",
        "rates.csv",
        "survival.csv",
        "survival_curve.csv",
        "agreement.csv",
        "agreement_counts.csv",
        "agreement_cases.csv",
        "drift.csv",
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
