# CSF results -> cytology status per visit.


rule grade_csf:
    input:
        csf="work/tables/csf.csv",
        charter="work/charter.json",
        subjects="work/tables/subjects.csv",
        visits="work/tables/visits.csv",
    output:
        rows="work/csf.csv",
        queries="work/csf.queries.csv",
    log:
        "logs/csf/grade_csf.log",
    params:
        software=VERSION,
    message:
        "Grading the cytology strand"
    shell:
        "lmresp step grade-csf --table {input.csf} --charter {input.charter} --subjects {input.subjects} "
        "--visits {input.visits} --rows {output.rows} --queries {output.queries} > {log} 2>&1"
