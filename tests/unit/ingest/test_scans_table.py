"""What ``scans.csv`` and folder names say of images: in any case, never half understood, never guessed."""

from __future__ import annotations

import datetime
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lmresp.ingest import assign
from tests.unit.ingest.test_inventory import VISITS, codes, index

T1 = "sub-S01/ses-BL/anat/sub-S01_ses-BL_ce-gd_T1w.nii.gz"
NAME = "sub-S01_ses-BL"


def test_codes_and_visits_are_understood_in_any_case(study: Any, nifti_file: Callable[..., Path]) -> None:
    for name in ("a", "b"):
        nifti_file(study.mri_folder / f"box/{name}.nii.gz")
    rows = [
        {"path": "box", "subject_id": "S-01", "visit": "wk 06", "scan_dtc": "2024-02-16T09:30", "_row": "2"},
        {"path": "box/a.nii.gz", "sequence": " t1_post", "body_part": "brain", "_row": "3"},
        {"path": "box/b.nii.gz", "sequence": "Flair", "use": "n", "_row": "4"},
    ]
    records, queries = index(study, rows)
    record = records["sub-S01_ses-WK06"]
    assert record["scan_date"] == "2024-02-16"
    found = [(s["sequence"], s["use"]) for s in record["series"]]
    assert sorted(found) == [("FLAIR", False), ("T1_POST", True)]
    assert not codes(queries) & {"SC020", "SC033"}


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("use", "no"),
        ("sequence", "T1 with contrast"),
        ("body_part", "head"),
        ("scan_dtc", "2024-02-30"),
        ("scan_dtc", "2024-02"),
        ("scan_dtc", "03.01.2024"),
        ("subject_id", "S-1"),
    ],
)
def test_what_cannot_be_understood_takes_the_image_out_and_names_the_subject(
    study: Any, nifti_file: Callable[..., Path], column: str, value: str
) -> None:
    nifti_file(study.mri_folder / T1)
    nifti_file(study.mri_folder / T1.replace("BL", "WK06"))
    records, queries = index(study, [{"path": T1, column: value, "_row": "2"}])
    assert [s["use"] for s in records[NAME]["series"]] == [False]
    assert "scans.csv row 2" in records[NAME]["series"][0]["reason"]
    assert [s["use"] for s in records["sub-S01_ses-WK06"]["series"]] == [True]
    (query,) = [q for q in queries if q["code"] == "SC020"]
    assert (query["subject_id"], query["row"], query["column"]) == ("S-01", "2", column)
    assert "SC014" in codes(queries)


def test_a_row_for_the_file_goes_before_a_wrong_one_for_its_folder(study: Any, nifti_file: Callable[..., Path]) -> None:
    nifti_file(study.mri_folder / T1)
    rows = [{"path": "sub-S01", "use": "no", "_row": "2"}, {"path": T1, "use": "y", "_row": "3"}]
    records, queries = index(study, rows)
    assert [s["use"] for s in records[NAME]["series"]] == [True]
    assert "SC020" not in codes(queries)


def twice(first: str = "BL", second: str = "BL") -> list[dict[str, str]]:
    return [
        VISITS[0] | {"visit": first, "visit_num": "1"},
        VISITS[0] | {"visit": second, "visit_num": "2", "start_dtc": "2024-02-14"},
    ]


@pytest.mark.parametrize("second", ["BL", "B-L", "bl"])
def test_a_folder_label_for_two_visits_is_not_resolved(
    study: Any, nifti_file: Callable[..., Path], second: str
) -> None:
    nifti_file(study.mri_folder / T1)
    records, queries = index(study, visits=twice(second=second))
    assert records == {}
    (query,) = [q for q in queries if q["code"] == "SC006"]
    assert "fits more than one row of visits" in query["message"]
    assert query["subject_id"] == "S-01"


def test_a_label_for_two_visits_in_the_scans_table_is_not_resolved(study: Any, nifti_file: Callable[..., Path]) -> None:
    nifti_file(study.mri_folder / "box/a.nii.gz")
    row = {"path": "box", "subject_id": "S-01", "sequence": "T1_POST", "_row": "2"}
    records, queries = index(study, [row | {"visit": "bl"}], visits=twice())
    assert records == {}
    assert codes(queries) == {"SC006"}
    # the number of one visit is the label of the other
    assert index(study, [row | {"visit": "2"}], visits=twice("2", "3"))[0] == {}
    assert set(index(study, [row | {"visit": "2"}], visits=twice())[0]) == {NAME}


def test_images_of_two_visits_with_one_label_are_never_one_scan(study: Any, dicom_series: Callable[..., Any]) -> None:
    dicom_series(study.mri_folder / "S-01/x", "a", StudyDate="20240102")
    dicom_series(study.mri_folder / "S-01/y", "b", StudyDate="20240214")
    records, queries = index(study, visits=twice())
    assert records == {}
    assert {(q["code"], q["sets_aside"]) for q in queries} == {("SC007", "Y")}


@pytest.mark.parametrize("study_uid", ["same", "other"])
@pytest.mark.parametrize("stray", ["20240103", "20240107"])
def test_a_stray_slice_does_not_date_the_scan(
    study: Any, dicom_series: Callable[..., Any], study_uid: str, stray: str
) -> None:
    dicom_series(study.mri_folder / "S-01/a", "a", ContrastBolusAgent="gadobutrol", study="same")
    dicom_series(study.mri_folder / "S-01/b", "b", leave_out=range(1, 20), StudyDate=stray, study=study_uid)
    records, queries = index(study)
    assert sorted(len(s["files"]) for s in records[NAME]["series"]) == [1, 20]
    assert records[NAME]["scan_date"] == "2024-01-05"
    iso = datetime.datetime.strptime(stray, "%Y%m%d").date().isoformat()
    (query,) = [q for q in queries if q["code"] == "SC024"]
    assert iso in query["value"]


def test_the_t1_after_contrast_dates_the_scan(study: Any, dicom_series: Callable[..., Any]) -> None:
    dicom_series(study.mri_folder / "S-01/a", "a", StudyDate="20240103", SeriesDescription="t2 flair")
    dicom_series(study.mri_folder / "S-01/b", "b", ContrastBolusAgent="gadobutrol")
    assert index(study)[0][NAME]["scan_date"] == "2024-01-05"


def test_a_scan_without_a_usable_series_has_no_date(study: Any, dicom_series: Callable[..., Any]) -> None:
    dicom_series(study.mri_folder / "S-01/a", "a", leave_out=(7, 8))
    assert index(study)[0][NAME]["scan_date"] == ""


def test_without_subjects_no_image_is_asked_for(study: Any, dicom_series: Callable[..., Any]) -> None:
    dicom_series(study.mri_folder / "S-01", "a")
    records, queries = index(study, [{"path": "S-01", "subject_id": "S-01"}], subjects=[])
    assert records == {}
    assert queries == []


def test_a_label_is_compared_by_letters_and_digits() -> None:
    assert assign.norm("WK-06") == assign.norm("wk06") != assign.norm("WK-60")
