# Tables as the study gives them -> checked rows and queries. The index of tables and scans is made before the graph.


rule ingest_table:
    input:
        raw="work/raw/{table}.csv",
    output:
        rows="work/tables/{table}.csv",
        queries="work/tables/{table}.queries.csv",
    log:
        "logs/ingest/{table}.log",
    params:
        software=VERSION,
        data_cut=PLAN.data_cut,
    message:
        "Checking table {wildcards.table}"
    shell:
        "lmresp step ingest-table --table-name {wildcards.table} --data-cut {params.data_cut} "
        "--raw {input.raw} --rows {output.rows} --queries {output.queries} > {log} 2>&1"


rule check_study:
    input:
        study="work/study.json",
        index="work/index.json",
        tables=expand("work/tables/{table}.csv", table=PLAN.tables),
        queries=expand("work/tables/{table}.queries.csv", table=PLAN.tables),
    output:
        queries="work/study.queries.csv",
    log:
        "logs/ingest/check_study.log",
    params:
        software=VERSION,
    message:
        "Checking the tables against each other"
    shell:
        "lmresp step check-study --study ../.. --queries {output.queries} > {log} 2>&1"
