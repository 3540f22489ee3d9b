"""The plan of a study: which tables and scans there are, made before the job graph and kept with the results.

Only this module and the Snakefile know both the study and the names of the workflow's files.
"""

from __future__ import annotations

import dataclasses
import os
import sys
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path

from lmresp import queries, store
from lmresp.errors import StudyError
from lmresp.ingest.spec import TABLES


@dataclasses.dataclass(frozen=True)
class Plan:
    """What the job graph is made of.

    Attributes
    ----------
    results : dict of str to str
        Scan name to its result file, relative to the results folder.
    earlier : dict of str to tuple of str
        Scan name to the subject's scans that it is compared with, in order of time: those from the reference scan on
        that come before it. Empty for the reference scan itself and where there is none.
    data_cut : str
        The study's data cut, ISO date.
    tables : tuple of str
        Every table that lmresp knows, in fixed order, whether the study has it or not.
    """

    results: dict[str, str]
    earlier: dict[str, tuple[str, ...]]
    data_cut: str = ""
    tables: tuple[str, ...] = TABLES

    @property
    def query_files(self) -> list[str]:
        """Files of queries that decide which subjects are set aside."""
        return [
            "work/raw.queries.csv",
            "work/index.queries.csv",
            *(f"work/tables/{table}.queries.csv" for table in self.tables),
            "work/study.queries.csv",
            *(f"work/{strand}.queries.csv" for strand in ("csf", "steroids", "neuro", "mri")),
        ]

    @property
    def pages(self) -> list[str]:
        """Pages of all scans, relative to the results folder."""
        return [result.removesuffix("_scan.json") + "_page.html" for result in self.results.values()]

    def earlier_results(self, scan: str) -> list[str]:
        """Return the result files of the scans that a scan is compared with."""
        return [self.results[one] for one in self.earlier.get(scan, ())]

    @cached_property
    def _scans_of(self) -> dict[str, list[str]]:
        out: dict[str, list[str]] = {}
        for scan in self.earlier:
            out.setdefault(scan.split("_", 1)[0], []).append(scan)
        return out

    def records_of(self, subject: str) -> list[str]:
        """Return the records of a subject's scans (``sub-01``), in order of time."""
        return [f"work/scans/{scan}.json" for scan in self._scans_of.get(subject, ())]


def plan_study(folder: Path) -> Plan:
    """Read what the study folder holds, write the index under its results folder and return the plan.

    Files whose content did not change are left alone, so that only what changed is computed again.

    Parameters
    ----------
    folder : Path
        The study folder.

    Raises
    ------
    lmresp.errors.StudyError
        If ``study.yaml``, the charter or the record of reads cannot be used.
    """
    from lmresp.criteria import charter_record, load_charter
    from lmresp.ingest.inventory import build_index
    from lmresp.ingest.spreadsheet import write_raw_tables
    from lmresp.ingest.study import open_study

    study = open_study(folder)
    charter = load_charter(study.charter)
    work = study.results / "work"
    record = {"study_id": study.study_id, "title": study.title, "data_cut": study.data_cut}
    store.write_json(work / "study.json", record, only_if_changed=True)
    store.write_json(work / "charter.json", charter_record(charter), only_if_changed=True)
    present, problems = write_raw_tables(study, {"mri_reads": _recorded_reads(study.folder, work)})
    store.write_csv(work / "raw.queries.csv", queries.numbered(problems), queries.COLUMNS, only_if_changed=True)
    raw = {table: store.read_csv(work / "raw" / f"{table}.csv") for table in present}
    build_index(study, raw, baselines=_baselines(raw))
    plan = read_plan(folder)
    for result in plan.results.values():
        _drop_if_damaged(study.results / result)
    return plan


def _recorded_reads(folder: Path, work: Path) -> list[dict[str, str]]:
    """Return the locked reads of the record as rows of ``mri_reads``, and leave with the results how it stands.

    Raises
    ------
    lmresp.errors.StudyError
        If the chain of the record is broken.
    """
    from lmresp.reads.record import NAME, Record, torn_files
    from lmresp.reads.rows import rows_of
    from lmresp.reads.state import history

    record = Record(folder / NAME)
    entries = record.entries()
    reads = history(entries)
    stand = {
        "format": "lmresp-reads/1",
        "entries": len(entries),
        "reads": len(reads),
        "locked": sum(read.locked for read in reads),
        "head": entries[-1]["digest"] if entries else "",
        "intact": True,  # else nothing would run
        "torn": [path.name for path in torn_files(record.path)],
    }
    store.write_json(work / "reads.json", stand, only_if_changed=True)
    return [{**row, "_file": NAME} for row in rows_of(entries)]


def _baselines(raw: Mapping[str, list[dict[str, str]]]) -> dict[str, float]:
    """Baseline visit number of each subject, by the same rule as the strands."""
    import pandas as pd

    from lmresp.criteria.timeline import BASELINE, visit_grid
    from lmresp.ingest.tables import check_table

    checked = {name: pd.DataFrame(check_table(name, raw.get(name, []))[0]) for name in ("subjects", "visits")}
    grid = visit_grid(checked["subjects"], checked["visits"])
    grid = grid[grid["position"] == BASELINE]
    return dict(zip(grid["subject_id"], grid["number"], strict=True))


def _drop_if_damaged(result: Path) -> None:
    """Remove a result file that cannot be read, so that its scan is measured again."""
    try:
        store.read_json(result)
    except FileNotFoundError:
        return
    except ValueError:
        result.unlink()


def put_commands_on_path(workflow: Path) -> None:
    """Let jobs find the ``lmresp`` of this Python, and the SLURM scripts of the profile, whoever started Snakemake."""
    folders = [Path(sys.executable).parent, workflow / "profiles" / "slurm" / "bin"]
    os.environ["PATH"] = os.pathsep.join([*map(str, folders), os.environ.get("PATH", "")])


def read_plan(folder: Path) -> Plan:
    """Read the plan that :func:`plan_study` left with the results (what a cluster job does).

    Raises
    ------
    lmresp.errors.StudyError
        If the study was never planned.
    """
    work = folder / "derivatives" / "lmresp" / "work"
    if not (work / "index.json").is_file():
        raise StudyError("the study has no index yet", where=str(folder), allowed="start with `lmresp run STUDY`")
    index = store.read_json(work / "index.json")
    earlier = _earlier(index["scans"])
    results = {scan: result_path(scan) for scan in earlier}
    data_cut = str(store.read_json(work / "study.json")["data_cut"])
    return Plan(results=results, earlier=earlier, data_cut=data_cut)


def _earlier(scans: Sequence[Mapping[str, str | None]]) -> dict[str, tuple[str, ...]]:
    """Scans that each scan is compared with: its subject's, from the reference scan on and before it."""
    out: dict[str, tuple[str, ...]] = {}
    since: dict[str | None, list[str]] = {}  # reference scan -> it and what followed so far
    for entry in sorted(scans, key=lambda e: (float(e["visit_num"] or 0), str(e["scan"]))):
        scan = str(entry["scan"])
        if entry["reference"] is None:
            out[scan] = ()
            since[scan] = [scan]
        else:
            out[scan] = tuple(since[entry["reference"]])
            since[entry["reference"]].append(scan)
    return out


def result_path(scan: str) -> str:
    """Result file of a scan (``sub-01_ses-wk06``), relative to the results folder."""
    subject, session = scan.split("_", 1)
    return f"{subject}/{session}/{scan}_scan.json"
