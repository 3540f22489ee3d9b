"""The step ``agree``: from stored tables and scan results to the tables of agreement."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from lmresp import store
from lmresp.cli.steps import run_step
from lmresp.criteria import charter_record, load_charter

READS = ["read_id", "subject_id", "visit_num", "scan_dtc", "reader_id", "role", "read_dtc", "locked_dtc", "blinded"]
READS += ["compartment", "item", "value", "reason_ne", "comparator", "supersedes", "row_id"]
SUBJECTS = [f"S{n}" for n in range(1, 7)]
FIRST = dict(zip(SUBJECTS, ["PD", "PD", "PD", "SD", "SD", "SD"], strict=True))
SECOND = dict(zip(SUBJECTS, ["PD", "PD", "SD", "SD", "SD", "PR"], strict=True))
DRAFTED = dict(zip(SUBJECTS, ["WORSE"] * 3 + ["NO CHANGE"] * 3, strict=True))


def read_row(subject: str, reader: str, value: str, **changed: str) -> dict[str, str]:
    row = dict.fromkeys(READS, "") | {
        "read_id": f"{subject}-{reader}-{value}",
        "subject_id": subject,
        "visit_num": "2",
        "scan_dtc": "2024-02-12",
        "reader_id": reader,
        "role": "INDEPENDENT ASSESSOR",
        "read_dtc": "2024-03-01T09:00:00Z",
        "locked_dtc": "2024-03-01T10:00:00Z",
        "blinded": "Y",
        "compartment": "WHOLE",
        "item": "OVERALL",
        "value": value,
        "reason_ne": "",
    }
    row |= changed
    return row | {"row_id": f"mri_reads.csv:{row['read_id']}"}


def scan_result(subject: str) -> dict[str, Any]:
    item = {"item": "LINEAR", "compartment": "BRAIN", "presence": "PRESENT", "change": DRAFTED[subject], "reason": ""}
    return {
        "scan": f"sub-{subject}_ses-WK06",
        "subject_id": subject,
        "visit_num": "2",
        "scan_date": "2024-02-12",
        "status": "measured",
        "reason": "",
        "measures": [],
        "queries": [],
        "scorecard": {"items": [item], "nodules": []},
    }


@pytest.fixture
def results(tmp_path: Path) -> Path:
    tables = tmp_path / "work" / "tables"
    reads = [read_row(subject, "RADIOLOGIST 1", FIRST[subject]) for subject in SUBJECTS]
    reads += [read_row(subject, "RADIOLOGIST 2", SECOND[subject]) for subject in SUBJECTS]
    # Not locked, and not blinded: neither may count.
    reads += [read_row(subject, "RADIOLOGIST 3", "PD", locked_dtc="") for subject in SUBJECTS]
    reads += [read_row(subject, "INVESTIGATOR", "PD", role="INVESTIGATOR", blinded="N") for subject in SUBJECTS]
    store.write_csv(tables / "mri_reads.csv", reads, READS)
    people = [{"subject_id": subject, "ref_start_dtc": "2024-01-02"} for subject in SUBJECTS]
    store.write_csv(tables / "subjects.csv", people, ["subject_id", "ref_start_dtc"])
    visits = [
        {"subject_id": subject, "visit_num": number, "visit": name, "start_dtc": day, "status": "DONE"}
        for subject in SUBJECTS
        for number, name, day in (("1", "BL", "2024-01-01"), ("2", "WK06", "2024-02-12"))
    ]
    store.write_csv(tables / "visits.csv", visits, ["subject_id", "visit_num", "visit", "start_dtc", "status"])
    store.write_csv(tables / "mri_measures.csv", [], ["subject_id"])
    scans = [scan_result(subject) for subject in SUBJECTS]
    store.write_json(tmp_path / "work" / "index.json", {"scans": [{"scan": scan["scan"]} for scan in scans]})
    for scan in scans:
        folder = tmp_path / f"sub-{scan['subject_id']}" / "ses-WK06"
        store.write_json(folder / f"{scan['scan']}_scan.json", scan)
    store.write_json(tmp_path / "work" / "charter.json", charter_record(load_charter()))
    return tmp_path


def agree(results: Path) -> dict[str, bytes]:
    work, tables = results / "work", results / "work" / "tables"
    outputs = {
        "agreement": results / "agreement.csv",
        "counts": results / "agreement_counts.csv",
        "cases": results / "agreement_cases.csv",
        "drift": results / "drift.csv",
        "queries": work / "agreement.queries.csv",
    }
    inputs = {
        "index": work / "index.json",
        "charter": work / "charter.json",
        "reads": tables / "mri_reads.csv",
        "measured": tables / "mri_measures.csv",
        "subjects": tables / "subjects.csv",
        "visits": tables / "visits.csv",
    }
    options = [text for name, path in (inputs | outputs).items() for text in (f"--{name}", str(path))]
    assert run_step(["agree", *options]) == 0
    return {name: path.read_bytes() for name, path in outputs.items()}


def test_tables_of_agreement(results: Path) -> None:
    written = agree(results)
    rows = {(row["comparison"], row["statistic"]): row for row in store.read_csv(results / "agreement.csv")}
    comparisons = {comparison for comparison, statistic in rows if statistic == "percent_agreement"}
    # The read that stands is left out where readers disagree: S3 and S6, and no adjudicated read is locked.
    assert comparisons == {
        *("RADIOLOGIST 1 v RADIOLOGIST 2", "RADIOLOGIST 1 v draft", "RADIOLOGIST 2 v draft", "accepted read v draft")
    }
    pair = rows["RADIOLOGIST 1 v RADIOLOGIST 2", "cohen_kappa"]
    # 4 of 6 agree; by chance (3 * 2 + 3 * 3 + 0 * 1) / 36 = 15 / 36.
    assert (pair["value"], pair["n"], pair["subjects"]) == (f"{(24 / 36 - 15 / 36) / (21 / 36):.3f}", "6", "6")
    assert pair["published"] == "0.44"
    assert rows["RADIOLOGIST 1 v draft", "percent_agreement"]["value"] == "100.0"
    assert rows["accepted read v draft", "percent_agreement"]["n"] == "4"
    assert rows["independent readers", "disagreed"]["value"] == "33.3"
    cases = store.read_csv(results / "agreement_cases.csv")
    assert [(case["subject_id"], case["comparison"], case["reason"]) for case in cases] == [
        ("S3", "RADIOLOGIST 2 v draft", "draft PD, not read as PD")
    ]
    assert cases[0]["second_source"] == "sub-S3_ses-WK06"
    codes = [row["code"] for row in store.read_csv(results / "work" / "agreement.queries.csv")]
    assert codes == ["DV070", "DV071"]  # reader 1 is always the draft; the investigator was not blinded
    assert b"RADIOLOGIST 3" not in b"".join(written.values())


def test_the_same_input_gives_the_same_bytes(results: Path) -> None:
    assert agree(results) == agree(results)


def test_a_study_without_reads_or_scans(results: Path) -> None:
    store.write_csv(results / "work" / "tables" / "mri_reads.csv", [], READS)
    store.write_json(results / "work" / "index.json", {"scans": []})
    written = agree(results)
    assert all(content.count(b"\n") == 1 for content in written.values())  # the header
