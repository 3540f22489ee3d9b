# Calls + clinical facts -> the branch of the treatment pathway, with its evidence.


rule find_branches:
    input:
        calls="calls.csv",
        csf="work/csf.csv",
        neuro="work/neuro.csv",
        mri="work/mri.csv",
        charter="work/charter.json",
        tables=expand("work/tables/{table}.csv", table=PLAN.tables),
    output:
        pathway=report(
            "pathway.csv", caption="../report/pathway.rst", category="Tables"
        ),
    log:
        "logs/pathway/find_branches.log",
    params:
        software=VERSION,
    message:
        "Finding the pathway branch of every visit"
    shell:
        "lmresp step find-branches --calls {input.calls} --csf {input.csf} --neuro {input.neuro} --mri {input.mri} "
        "--charter {input.charter} --tables work/tables --pathway {output.pathway} > {log} 2>&1"
