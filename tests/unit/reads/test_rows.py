"""Locked reads as rows of ``mri_reads``: what the workflow takes over, beside what the study has otherwise."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from lmresp import store
from lmresp.criteria import load_charter
from lmresp.errors import CriteriaError, StudyError
from lmresp.ingest.spreadsheet import write_raw_tables
from lmresp.ingest.study import open_study
from lmresp.ingest.tables import check_table
from lmresp.reads.record import NAME
from lmresp.reads.rows import rows_of
from lmresp.reads.scans import EXPECTED, IMAGED, NONE, scans_of
from tests.unit.reads.helpers import BASELINE, CHANGE, WEEK6, Study, complete


@pytest.fixture
def study(tmp_path: Path) -> Study:
    study = Study(tmp_path / "study")
    (tmp_path / "study").mkdir()
    (tmp_path / "study" / "study.yaml").write_text("study_id: S\ndata_cut: '2024-02-01'\n")
    study.read(BASELINE, answers=[row | {"comment": "see film 2"} for row in complete(BASELINE)])
    return study


def record_rows(study: Study) -> list[dict[str, str]]:
    return [{**row, "_file": NAME} for row in rows_of(study.record.entries())]


def test_the_checks_of_the_table_ask_nothing_about_the_rows_of_a_read(study: Study) -> None:
    rows, queries = check_table("mri_reads", [{**row, "_sheet": ""} for row in record_rows(study)])
    assert queries == []
    assert [(row["compartment"], row["item"], row["value"]) for row in rows] == [
        (row["compartment"], row["item"], row["value"]) for row in complete(BASELINE)
    ]
    assert {row["row_id"] for row in rows} == {f"{NAME}:1"}


def test_a_scan_before_the_data_cut_counts_though_it_is_read_after_it(study: Study) -> None:
    study.read(WEEK6)  # of 2024-02-13; both are read in 2026
    given = [{**row, "_sheet": ""} for row in record_rows(study)]
    rows, queries = check_table("mri_reads", given, data_cut="2024-02-01")
    assert {row["visit_num"] for row in rows} == {"1"}
    assert {(query.code, query.column) for query in queries} == {("IN005", "scan_dtc")}


def test_only_locked_reads_that_stand_become_rows(study: Study) -> None:
    study.save(WEEK6)
    assert {row["visit_num"] for row in rows_of(study.record.entries())} == {"1"}
    pending = study.save(
        BASELINE, answers=complete(BASELINE, BRAIN_LINEAR="PRESENT"), supersedes="R000001", reasons=[CHANGE]
    )
    assert {row["read_id"][:7] for row in rows_of(study.record.entries())} == {"R000001"}
    study.lock(pending)
    found = {row["read_id"]: row for row in rows_of(study.record.entries())}
    assert {name[:7] for name in found} == {pending["read"]}
    assert found[f"{pending['read']}.BRAIN.LINEAR"]["value"] == "PRESENT"
    assert found[f"{pending['read']}.BRAIN.LINEAR"]["reasons"] == "change DATA_CORRECTION"


def test_rows_stand_under_the_headers_of_the_studys_own_table(study: Study, tmp_path: Path) -> None:
    tables = tmp_path / "study" / "tables"
    tables.mkdir()
    (tables / "mri_reads.csv").write_text("Read_ID, Subject_ID ,VISIT_NUM,remark\nX1,S1,1,mine\n")
    (tables / "subjects.csv").write_text("study_id,subject_id,ref_start_dtc\nS,S1,2024-01-05\n")
    opened = open_study(tmp_path / "study")
    present, _ = write_raw_tables(opened, {"mri_reads": record_rows(study)})
    raw = store.read_csv(opened.results / "work" / "raw" / "mri_reads.csv")
    assert "mri_reads" in present
    assert (raw[0]["_file"], raw[0]["Read_ID"], raw[0]["remark"]) == ("mri_reads.csv", "X1", "")
    assert {row["_file"] for row in raw[1:]} == {NAME}
    assert {row["_row"] for row in raw[1:]} == {"1"}
    assert {row["Subject_ID"] for row in raw} == {"S1"}
    assert "read_id" not in raw[0]  # under the header that the file has for it
    assert {row["comment"] for row in raw[1:]} == {"see film 2"}


def test_the_raw_table_is_rewritten_only_when_a_read_was_locked(study: Study, tmp_path: Path) -> None:
    opened = open_study(tmp_path / "study")
    path = opened.results / "work" / "raw" / "mri_reads.csv"
    write_raw_tables(opened, {"mri_reads": record_rows(study)})
    before = path.stat().st_mtime_ns
    entry = study.save(WEEK6)
    write_raw_tables(opened, {"mri_reads": record_rows(study)})
    assert path.stat().st_mtime_ns == before
    study.lock(entry)
    write_raw_tables(opened, {"mri_reads": record_rows(study)})
    assert len(store.read_csv(path)) == len(complete(BASELINE)) + len(complete(WEEK6))


def test_a_study_without_reads_has_the_same_tables_as_before(study: Study, tmp_path: Path) -> None:
    opened = open_study(tmp_path / "study")
    present, _ = write_raw_tables(opened, {"mri_reads": []})
    assert present == []
    assert (opened.results / "work" / "raw" / "mri_reads.csv").read_text() == "_file,_sheet,_row\n"


def test_a_plan_is_not_made_from_a_broken_record(study: Study, tmp_path: Path) -> None:
    from lmresp.cli.plan import plan_study

    study.record.path.write_bytes(study.record.path.read_bytes().replace(b"ABSENT", b"PRESENT", 1))
    with pytest.raises(StudyError, match=r"reads/reads\.jsonl: line 1: entry 1 was edited"):
        plan_study(tmp_path / "study")


# --- the scans that are asked about ---
SUBJECTS = pd.DataFrame([{"subject_id": "S1", "ref_start_dtc": "2024-01-05"}])
VISITS = pd.DataFrame(
    [
        {"subject_id": "S1", "visit_num": n, "visit": f"V{n}", "start_dtc": day, "status": status}
        for n, day, status in (
            ("1", "2023-12-01", "DONE"),
            ("2", "2024-01-02", "DONE"),
            ("3", "2024-02-13", "DONE"),
            ("4", "2024-03-26", "NOT DONE"),
            ("5", "2024-05-07", "DONE"),
        )
    ]
)


def entry(number: str, reference: str | None) -> dict[str, str | None]:
    return {
        "scan": f"sub-S1_ses-V{number}",
        "subject_id": "S1",
        "visit": f"V{number}",
        "visit_num": number,
        "scan_date": "2024-01-01",
        "reference": reference,
    }


def test_presence_is_asked_up_to_the_baseline_visit_and_a_spine_seen_there_from_then_on() -> None:
    index = [entry("3", "sub-S1_ses-V2"), entry("1", None), entry("2", None)]
    series = {"sub-S1_ses-V1": [{"body_part": "LUMBAR"}], "sub-S1_ses-V2": [{"body_part": "BRAIN"}]}
    found = scans_of(index, series, SUBJECTS, VISITS)
    assert [(scan.visit, scan.is_baseline, scan.spine) for scan in found] == [
        ("V1", True, IMAGED),
        ("V2", True, EXPECTED),
        ("V3", False, EXPECTED),
    ]


def test_a_spine_that_was_never_imaged_up_to_baseline_is_not_asked_about_without_images() -> None:
    index = [entry("2", None), entry("3", "sub-S1_ses-V2"), entry("5", "sub-S1_ses-V2")]
    found = scans_of(index, {"sub-S1_ses-V3": [{"body_part": "SPINE"}]}, SUBJECTS, VISITS)
    assert [scan.spine for scan in found] == [NONE, IMAGED, NONE]


def test_visits_without_images_are_listed_where_asked_for_and_never_one_that_was_not_done() -> None:
    found = scans_of([entry("2", None)], {}, SUBJECTS, VISITS, without_images=True)
    assert [(scan.visit, scan.scan, scan.scan_date) for scan in found] == [
        ("V1", "", ""),
        ("V2", "sub-S1_ses-V2", "2024-01-01"),
        ("V3", "", ""),
        ("V5", "", ""),
    ]


# --- settings of the charter ---
def charter(folder: Path, settings: str) -> Path:
    path = folder / "charter.yaml"
    path.write_text(f"name: own\nversion: '1'\nsettings: {{{settings}}}\n")
    return path


def test_the_settings_for_reading_have_defaults_and_are_signed_for(tmp_path: Path) -> None:
    shipped = load_charter()
    assert (shipped.on("draft_hidden"), shipped.on("sequential_reading")) == (True, True)
    assert shipped.text("adjudication") == "choose"
    digests = {
        load_charter(charter(tmp_path, text)).digest
        for text in ("", "draft_hidden: false", "sequential_reading: false", "adjudication: own")
    }
    assert len(digests) == 4


@pytest.mark.parametrize("setting", ["adjudication: both", "draft_hidden: maybe", "sequential_reading: 1"])
def test_a_setting_that_is_not_allowed_is_refused(tmp_path: Path, setting: str) -> None:
    with pytest.raises(CriteriaError, match=setting.split(":", maxsplit=1)[0]):
        load_charter(charter(tmp_path, setting))
