"""The workflow as its users meet it: run, run again, change a row, interrupt, resume, other doors."""

from __future__ import annotations

import csv
import gzip
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import openpyxl
import pytest

from lmresp import store
from tests.workflow.conftest import copied, digests, environment, lmresp

FIXED_NAMES = (
    "calls.csv",
    "best_response.csv",
    "agreement.csv",
    "agreement_counts.csv",
    "agreement_cases.csv",
    "drift.csv",
    "pathway.csv",
    "measures.csv",
    "queries.csv",
    "report.html",
    "provenance.json",
    "dataset_description.json",
)


def would_run(study: Path) -> dict[str, int]:
    """Rules that would run now, with their number of jobs."""
    run = lmresp("run", study, "--cores", 1, "--dry-run")
    assert run.returncode == 0, run.stderr[-3000:]
    found = re.findall(r"^would run (\w+): (\d+)$", run.stderr, flags=re.MULTILINE)
    return {rule: int(jobs) for rule, jobs in found if rule not in ("total", "all")}


def results(study: Path) -> Path:
    return study / "derivatives" / "lmresp"


def test_fixed_names_and_columns(finished: Path) -> None:
    folder = results(finished)
    assert [name for name in FIXED_NAMES if not (folder / name).is_file()] == []
    header = next(csv.reader((folder / "calls.csv").open(encoding="utf-8")))
    assert {"subject_id", "visit", "call", "rule_id", "certainty", "provisional"} <= set(header)
    assert (folder / "logs" / "mri").is_dir()
    assert sorted(p.name for p in folder.glob("sub-*")) == ["sub-LM02", "sub-LM06", "sub-LM09"]


def test_nothing_is_written_among_the_inputs(inputs: Path, finished: Path) -> None:
    def files(study: Path) -> dict[str, str]:
        found = (p for p in sorted(study.rglob("*")) if p.is_file() and "derivatives" not in p.relative_to(study).parts)
        return {str(p.relative_to(study)): store.sha256_file(p) for p in found}

    assert files(finished) == files(inputs)


def test_the_set_aside_subject_is_named_and_the_rest_is_called(finished: Path) -> None:
    folder = results(finished)
    queries = store.read_csv(folder / "queries.csv")
    [typo] = [q for q in queries if q["value"] == "POSTIVE"]
    assert (typo["code"], typo["column"], typo["sets_aside"], typo["subject_id"]) == ("IN003", "result", "Y", "LM-09")
    assert "POSITIVE" in typo["allowed"]
    called = {row["subject_id"] for row in store.read_csv(folder / "calls.csv")}
    assert called == {"LM-02", "LM-06"}
    assert "LM-09" in {row["subject_id"] for row in store.read_csv(folder / "best_response.csv")}


def test_the_read_of_isolated_imaging_progression_is_the_published_rule(finished: Path) -> None:
    # LM-02 at week 12: read as worse, cytology negative after positive, examination unchanged.
    # Chamberlain 2017 (abstract): imaging progression alone is LM progression.
    [call] = [
        row
        for row in store.read_csv(results(finished) / "calls.csv")
        if (row["subject_id"], row["visit"]) == ("LM-02", "WK12")
    ]
    assert (call["call"], call["rule_id"], call["certainty"]) == ("PROGRESSION", "RL01", "seen")
    assert call["mri_source"] == "read"


def test_the_broken_series_is_named_and_its_scan_not_guessed(finished: Path) -> None:
    folder = results(finished)
    scan = store.read_json(folder / "sub-LM06" / "ses-WK06" / "sub-LM06_ses-WK06_scan.json")
    assert scan["contrast"] != "prepost"
    assert not [finding for finding in scan["findings"] if finding["kind"] in ("nodule", "linear")]
    named = [
        q for q in store.read_csv(folder / "queries.csv") if q["subject_id"] == "LM-06" and q["code"].startswith("SC")
    ]
    assert named


def test_a_second_run_does_nothing(finished: Path) -> None:
    before = digests(finished)
    assert would_run(finished) == {}
    assert digests(finished) == before


def test_a_changed_row_reruns_what_depends_on_it_and_no_more(finished: Path, tmp_path: Path) -> None:
    study = tmp_path / "changed"
    shutil.copytree(finished, study, symlinks=True)
    book = next((study / "tables").glob("*.xlsx"))
    workbook = openpyxl.load_workbook(book)
    sheet = workbook["csf"]
    column = [cell.value for cell in sheet[1]].index("volume_ml") + 1
    sheet.cell(row=2, column=column).value = 7
    workbook.save(book)
    rules = set(would_run(study))
    assert "grade_csf" in rules
    assert "call_visits" in rules
    assert rules.isdisjoint({"measure_scan", "grade_neuro", "grade_mri"})


def test_a_touched_file_reruns_nothing(finished: Path, tmp_path: Path) -> None:
    study = tmp_path / "touched"
    shutil.copytree(finished, study, symlinks=True)
    for path in [*study.glob("tables/*"), *study.glob("mri/sub-LM02/ses-bl/anat/*")]:
        os.utime(path)
    assert would_run(study) == {}


@pytest.mark.slow
def test_killed_half_way_and_resumed_on_one_core_gives_the_same_bytes(
    inputs: Path, finished: Path, tmp_path: Path, repository: Path
) -> None:
    study = copied(inputs, tmp_path / "killed")
    command = [sys.executable, "-m", "lmresp", "run", str(study), "--cores", "2"]
    process = subprocess.Popen(command, start_new_session=True, env=environment(), stderr=subprocess.DEVNULL)
    wait_for_scans(study, 1, process)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    assert not (results(study) / "calls.csv").exists()
    assert any((results(study) / ".snakemake" / "locks").iterdir())
    run = lmresp("run", study, "--cores", 1, "--until", "measure_scan")  # clears the lock of the dead run
    assert run.returncode == 0, run.stderr[-3000:]
    # The rest by plain Snakemake, from the root of the repository.
    plain = subprocess.run(
        [sys.executable, "-m", "snakemake", "--cores", "2", "--config", f"study={study}"],
        cwd=repository,
        env=environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert plain.returncode == 0, plain.stderr[-3000:]
    assert digests(study) == digests(finished)


def wait_for_scans(study: Path, count: int, process: subprocess.Popen[bytes]) -> None:
    """Wait until that many scans are done."""
    for _ in range(3000):
        if len(list(results(study).glob("sub-*/ses-*/*_scan.json"))) >= count:
            return
        assert process.poll() is None, "the run ended before it could be killed"
        time.sleep(0.1)
    pytest.fail("no scan was measured in five minutes")


def test_interrupted_by_the_keyboard_leaves_no_lock(inputs: Path, tmp_path: Path) -> None:
    study = copied(inputs, tmp_path / "interrupted")
    command = [sys.executable, "-m", "lmresp", "run", str(study), "--cores", "1"]
    process = subprocess.Popen(command, start_new_session=True, env=environment(), stderr=subprocess.PIPE)
    wait_for_scans(study, 2, process)  # on one core: the first job is over
    os.killpg(process.pid, signal.SIGINT)  # what a terminal does on Ctrl-C
    process.communicate(timeout=120)
    assert process.returncode != 0
    assert list((results(study) / ".snakemake" / "locks").glob("*")) == []
    everything = len(list((results(study) / "work" / "scans").glob("*.json")))
    assert would_run(study)["measure_scan"] < everything  # what was finished is kept


def test_a_folder_that_is_no_study_ends_with_code_2_and_one_line(tmp_path: Path) -> None:
    run = lmresp("run", tmp_path)
    assert run.returncode == 2
    assert run.stderr.count("\n") == 1
    assert "study.yaml" in run.stderr
    assert list(tmp_path.iterdir()) == []


def test_a_failing_machine_gives_code_1_and_names_the_log(inputs: Path, tmp_path: Path) -> None:
    study = copied(inputs, tmp_path / "full")
    (study / "derivatives" / "lmresp" / "sub-LM02").mkdir(parents=True)
    (study / "derivatives" / "lmresp" / "sub-LM02" / "ses-BL").write_text("a file where a folder must be")
    target = "sub-LM02/ses-BL/sub-LM02_ses-BL_scan.json"
    run = lmresp("run", study, "--cores", 2, "--retries", 0, target)
    assert run.returncode == 1
    assert "sub-LM02" in run.stderr


def test_no_result_and_no_log_holds_identity(inputs: Path, finished: Path) -> None:
    # The phantoms carry the name PHANTOM^<subject> in their headers and sidecars.
    assert any(b"PHANTOM^" in path.read_bytes() for path in (inputs / "mri").rglob("*.json"))
    for path in results(finished).rglob("*"):
        if path.is_file():
            content = path.read_bytes()
            content = gzip.decompress(content) if path.suffix == ".gz" else content
            assert b"PHANTOM^" not in content, path


def test_snakemakes_own_report_for_provenance(repository: Path, tmp_path: Path) -> None:
    study = copied(repository / "test_data" / "tables_only", tmp_path / "study")
    assert lmresp("run", study, "--cores", 1).returncode == 0
    run = lmresp("run", study, "--cores", 1, "--report", tmp_path / "provenance.html")
    assert run.returncode == 0, run.stderr[-2000:]
    page = (tmp_path / "provenance.html").read_text(encoding="utf-8")
    assert "call_visits" in page
    assert "Study report" in page
