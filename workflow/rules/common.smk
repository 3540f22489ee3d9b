# What every stage shares: the checked configuration, the study's plan and the names of things. No rules.
from pathlib import Path

from snakemake.exceptions import WorkflowError
from snakemake.utils import validate

from lmresp import __version__ as VERSION
from lmresp.cli.plan import plan_study, put_commands_on_path, read_plan
from lmresp.errors import LmrespError


configfile: str(Path(workflow.basedir) / "config" / "config.yaml")


validate(config, "../schemas/config.schema.yaml")

put_commands_on_path(Path(workflow.basedir))

# A relative study folder is relative to the Snakefile, so that cluster jobs, which start elsewhere, agree.
STUDY = Path(workflow.basedir, config["study"]).resolve()


workdir: str(STUDY / "derivatives" / "lmresp")


try:
    PLAN = plan_study(STUDY) if workflow.is_main_process else read_plan(STUDY)
except LmrespError as error:
    raise WorkflowError(str(error)) from None


wildcard_constraints:
    subject=r"sub-[A-Za-z0-9]+",
    session=r"ses-[A-Za-z0-9]+",
    table="|".join(PLAN.tables),


SCAN_RESULTS = sorted(PLAN.results.values())
SCAN_PAGES = sorted(PLAN.pages)
