# lmresp: the table of contents of the pipeline, in the order of the data.
#
#   lmresp run STUDY                                    the usual way
#   snakemake --cores 2 --config study=/path/to/STUDY   the same, for those who live in Snakemake


# Jobs need nothing but an installed lmresp. With --sdm apptainer they run in an image built from the Dockerfile.
container: "docker://lmresp/lmresp:0.1.0"


include: "workflow/rules/common.smk"
include: "workflow/rules/ingest.smk"
include: "workflow/rules/mri.smk"
include: "workflow/rules/csf.smk"
include: "workflow/rules/steroids.smk"
include: "workflow/rules/neuro.smk"
include: "workflow/rules/response.smk"
include: "workflow/rules/statistics.smk"
include: "workflow/rules/pathway.smk"
include: "workflow/rules/report.smk"


report: "workflow/report/workflow.rst"


localrules:
    all,
    scans,
    ingest_table,
    check_study,
    grade_csf,
    grade_steroids,
    grade_neuro,
    grade_mri,
    call_visits,
    list_components,
    follow_subjects,
    estimate,
    agree,
    find_branches,
    explain_subjects,
    collect_queries,
    write_report,
    write_provenance,


rule all:
    input:
        "calls.csv",
        "components.csv",
        "best_response.csv",
        "endpoints.csv",
        "rates.csv",
        "survival.csv",
        "survival_curve.csv",
        "agreement.csv",
        "agreement_counts.csv",
        "agreement_cases.csv",
        "drift.csv",
        "pathway.csv",
        "explanations.jsonl",
        "measures.csv",
        "queries.csv",
        "report.html",
        "provenance.json",
        "dataset_description.json",
        SCAN_PAGES,


rule scans:
    input:
        SCAN_RESULTS,
        SCAN_PAGES,
