"""A small phantom study, run once, for the tests of the workflow."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from lmresp import store
from lmresp.simulate import demo, tables

SUBJECTS = ("LM-02", "LM-06", "LM-09")  # progressing, with a broken series, set aside
GRID_MM = 4.0
# What may differ between two runs on the same input: the logs and Snakemake's own records.
NOT_RESULTS = (".snakemake", "logs")


def environment() -> dict[str, str]:
    """Environment of a user who did not activate the virtual environment."""
    return {**os.environ, "PYTHONWARNINGS": "ignore", "NO_COLOR": "1"}


def lmresp(*arguments: object, timeout: float = 900, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    """Run the command line as a user would."""
    command = [sys.executable, "-m", "lmresp", *map(str, arguments)]
    return subprocess.run(
        command, capture_output=True, text=True, timeout=timeout, check=False, env=environment(), cwd=cwd
    )


def digests(study: Path) -> dict[str, str]:
    """SHA-256 of every result file of a study."""
    results = study / "derivatives" / "lmresp"
    return {
        str(path.relative_to(results)): store.sha256_file(path)
        for path in sorted(results.rglob("*"))
        if path.is_file()
        and path.relative_to(results).parts[0] not in NOT_RESULTS
        and path.name != ".snakemake_timestamp"
        and "cache" not in path.parts
    }


def copied(study: Path, folder: Path) -> Path:
    """Copy a study without its results."""
    shutil.copytree(study, folder, ignore=shutil.ignore_patterns("derivatives"))
    return folder


@pytest.fixture(scope="session")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A study of three demo subjects on a coarse grid; never run."""
    folder = tmp_path_factory.mktemp("study") / "three subjects"  # the space is on purpose
    study = demo.description()
    study["subjects"] = [subject for subject in study["subjects"] if subject["subject_id"] in SUBJECTS]
    for subject in SUBJECTS:
        demo.write_subject(subject, folder, GRID_MM)
    tables.write_tables(study, folder / "tables")
    store.write_text(folder / "study.yaml", "study_id: LM-DEMO\ndata_cut: 2025-06-30\ntitle: Three subjects\n")
    return folder


@pytest.fixture(scope="session")
def finished(inputs: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same study after ``lmresp run`` on two cores."""
    folder = copied(inputs, tmp_path_factory.mktemp("finished") / "three subjects")
    run = lmresp("run", folder, "--cores", 2)
    assert run.returncode == 0, run.stderr[-3000:]
    return folder
