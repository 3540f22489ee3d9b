# Dosing intervals of corticosteroids -> steroid status per visit.


rule grade_steroids:
    input:
        steroids="work/tables/steroids.csv",
        charter="work/charter.json",
        subjects="work/tables/subjects.csv",
        visits="work/tables/visits.csv",
    output:
        rows="work/steroids.csv",
        queries="work/steroids.queries.csv",
    log:
        "logs/steroids/grade_steroids.log",
    params:
        software=VERSION,
    message:
        "Grading the steroid doses"
    shell:
        "lmresp step grade-steroids --table {input.steroids} --charter {input.charter} --subjects {input.subjects} "
        "--visits {input.visits} --rows {output.rows} --queries {output.queries} > {log} 2>&1"
