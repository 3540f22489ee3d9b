# Neurological examinations, with the steroid dose beside them -> neurological status per visit.


rule grade_neuro:
    input:
        neuro="work/tables/neuro.csv",
        steroids="work/steroids.csv",
        charter="work/charter.json",
        subjects="work/tables/subjects.csv",
        visits="work/tables/visits.csv",
    output:
        rows="work/neuro.csv",
        queries="work/neuro.queries.csv",
    log:
        "logs/neuro/grade_neuro.log",
    params:
        software=VERSION,
    message:
        "Grading the neurological strand"
    shell:
        "lmresp step grade-neuro --table {input.neuro} --steroids {input.steroids} --charter {input.charter} "
        "--subjects {input.subjects} --visits {input.visits} --rows {output.rows} --queries {output.queries} > {log} 2>&1"
