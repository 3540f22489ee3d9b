# One job per subject: align its scans. Two jobs per scan: resample, measure, compare, draft. Then the MRI
# strand of the study.


rule align_subject:
    input:
        records=lambda wildcards: PLAN.records_of(wildcards.subject),
    output:
        space="{subject}/{subject}_space.json",
    log:
        "logs/mri/{subject}.log",
    benchmark:
        "logs/benchmarks/{subject}.tsv"
    threads: 1
    params:
        software=VERSION,
    message:
        "Aligning the scans of {wildcards.subject}"
    shell:
        "lmresp step align-subject --study ../.. --results . {input.records} > {log} 2>&1"


# A scan waits for the earlier ones of its subject: it is compared with the reference scan and with the nadir.
rule measure_scan:
    input:
        record="work/scans/{subject}_{session}.json",
        space="{subject}/{subject}_space.json",
        earlier=lambda wildcards: PLAN.earlier_results(
            f"{wildcards.subject}_{wildcards.session}"
        ),
    output:
        result="{subject}/{session}/{subject}_{session}_scan.json",
        images=directory("{subject}/{session}/anat"),
    log:
        "logs/mri/{subject}_{session}.log",
    benchmark:
        "logs/benchmarks/{subject}_{session}.tsv"
    threads: 1
    params:
        software=VERSION,
    message:
        "Measuring {wildcards.subject} {wildcards.session}"
    shell:
        "lmresp step measure-scan --study ../.. --record {input.record} --results . "
        "{input.earlier} > {log} 2>&1"


# A page shows the scan beside its reference scan and names the charter; no call waits for it. The page of the spine
# stands beside it where there is one: which scans have a spine is not known before they are measured.
rule draw_pages:
    input:
        result="{subject}/{session}/{subject}_{session}_scan.json",
        reference=lambda wildcards: PLAN.earlier_results(
            f"{wildcards.subject}_{wildcards.session}"
        )[:1],
        charter="work/charter.json",
    output:
        page="{subject}/{session}/{subject}_{session}_page.html",
    log:
        "logs/report/{subject}_{session}.log",
    threads: 1
    params:
        software=VERSION,
    message:
        "Drawing {wildcards.subject} {wildcards.session}"
    shell:
        "lmresp step draw-pages --results . --scan {wildcards.subject}_{wildcards.session} > {log} 2>&1"


rule grade_mri:
    input:
        scans=SCAN_RESULTS,
        index="work/index.json",
        charter="work/charter.json",
        reads="work/tables/mri_reads.csv",
        measures="work/tables/mri_measures.csv",
        subjects="work/tables/subjects.csv",
        visits="work/tables/visits.csv",
    output:
        rows="work/mri.csv",
        measures=report(
            "measures.csv", caption="../report/measures.rst", category="Tables"
        ),
        queries="work/mri.queries.csv",
    log:
        "logs/mri/grade_mri.log",
    params:
        software=VERSION,
    message:
        "Grading the MRI strand: reads where there are any, else drafts"
    shell:
        "lmresp step grade-mri --index {input.index} --charter {input.charter} --reads {input.reads} "
        "--measured {input.measures} --subjects {input.subjects} --visits {input.visits} "
        "--rows {output.rows} --measures {output.measures} --queries {output.queries} > {log} 2>&1"
