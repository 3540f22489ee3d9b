"""A read in the record reaches the call and the report, and nothing is called from a record that was tampered with."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest

from lmresp import store
from lmresp.reads.record import NAME, Record
from tests.unit.reads.helpers import BASELINE, WEEK6, Study, complete
from tests.workflow.conftest import lmresp

pytestmark = [pytest.mark.xdist_group("workflow"), pytest.mark.slow]

SUBJECT = "TO-003"


def call(study: Path, visit: str) -> dict[str, str]:
    rows = store.read_csv(study / "derivatives" / "lmresp" / "calls.csv")
    return next(row for row in rows if (row["subject_id"], row["visit"]) == (SUBJECT, visit))


def would_run(study: Path) -> set[str]:
    run = lmresp("run", study, "--cores", 1, "--dry-run")
    assert run.returncode == 0, run.stderr[-3000:]
    return set(re.findall(r"^would run (\w+): \d+$", run.stderr, flags=re.MULTILINE)) - {"total", "all"}


def test_a_locked_read_changes_the_call_and_only_what_follows_from_it(repository: Path, tmp_path: Path) -> None:
    study = tmp_path / "study"
    shutil.copytree(repository / "test_data" / "tables_only", study, ignore=shutil.ignore_patterns("derivatives"))
    table = study / "tables" / "mri_reads.csv"
    # The readers of this subject use the record; the reads of the others stay in the table.
    kept = [line for line in table.read_text().splitlines(keepends=True) if SUBJECT not in line]
    table.write_text("".join(kept))
    assert lmresp("run", study, "--cores", 1, "--quiet").returncode == 0
    before = call(study, "WK06")
    assert before["mri_source"] == ""

    # Baseline, then progression of linear enhancement at week 6, read elsewhere.
    scans = [(BASELINE, "2024-01-29"), (WEEK6, "2024-03-17")]
    worse = complete(WEEK6, BRAIN_LINEAR="WORSE", WHOLE_OVERALL="PD")
    elsewhere = Study(tmp_path / "elsewhere")
    for (scan, _), answers in zip(scans, [complete(BASELINE, BRAIN_LINEAR="PRESENT"), worse], strict=True):
        elsewhere.read(scan, answers=answers)
    export = tmp_path / "reads.csv"
    (tmp_path / "elsewhere" / "study.yaml").write_text("study_id: ELSEWHERE\ndata_cut: 2025-01-01\n")
    assert lmresp("reads", "export", tmp_path / "elsewhere", "--to", export).returncode == 0
    rows = store.read_csv(export)
    dates = {scan.visit_num: date for scan, date in scans}
    rows = [row | {"subject_id": SUBJECT, "scan_dtc": dates[row["visit_num"]]} for row in rows]
    store.write_csv(export, rows, list(rows[0]))
    taken = lmresp("reads", "import", study, export)
    assert taken.returncode == 0, taken.stdout + taken.stderr

    rules = would_run(study)
    assert {"ingest_table", "grade_mri", "call_visits", "write_report", "write_provenance"} <= rules
    assert rules.isdisjoint({"measure_scan", "align_subject", "grade_csf", "grade_neuro", "grade_steroids"})
    assert lmresp("run", study, "--cores", 1, "--quiet").returncode == 0
    after = call(study, "WK06")
    assert (after["mri_source"], after["mri"]) == ("read", "progressive")
    assert after["call"] != before["call"]
    results = study / "derivatives" / "lmresp"
    mri = next(
        r for r in store.read_csv(results / "work" / "mri.csv") if (r["subject_id"], r["visit"]) == (SUBJECT, "WK06")
    )
    assert mri["row_ids"] == f"{NAME}:3"
    head = Record(study / NAME).head().digest
    assert head in (results / "report.html").read_text()
    assert store.read_json(results / "provenance.json")["reads"]["head"] == head
    assert would_run(study) == set()

    # A change of one letter in the record ends the next run.
    record = study / NAME
    record.write_bytes(record.read_bytes().replace(b'"WORSE"', b'"NO CHANGE"', 1))
    broken = lmresp("run", study, "--cores", 1)
    assert broken.returncode == 2
    assert f"{NAME}: line 3: entry 3 was edited" in broken.stderr
