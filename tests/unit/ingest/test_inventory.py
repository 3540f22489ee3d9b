"""From a folder of images and the tables to the index: whose scan, which visit, which series."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pydicom
import pytest
from pydicom.dataset import Dataset

from lmresp import store
from lmresp.ingest import headers
from lmresp.ingest.inventory import build_index

SUBJECTS = [{"subject_id": "S-01"}, {"subject_id": "S-02"}]
VISITS = [
    {
        "subject_id": s,
        "visit": v,
        "visit_num": n,
        "start_dtc": d,
        "status": "DONE",
        "window_minus": "",
        "window_plus": "",
    }
    for s in ("S-01", "S-02")
    for v, n, d in (("BL", "1", "2024-01-02"), ("WK 06", "2", "2024-02-14"), ("WK 12", "10", "2024-03-27"))
]


def index(
    study: Any, scans: list[dict[str, str]] | None = None, baselines: Mapping[str, float] | None = None, **tables: Any
) -> tuple[dict[str, Any], list[dict[str, str]]]:
    build_index(study, {"subjects": SUBJECTS, "visits": VISITS, "scans": scans or []} | tables, baselines=baselines)
    work = study.results / "work"
    records = {p.stem: store.read_json(p) for p in sorted((work / "scans").glob("*.json"))}
    listed = [s["scan"] for s in store.read_json(work / "index.json")["scans"]]
    assert listed == sorted(records)
    return records, store.read_csv(work / "index.queries.csv")


def refuse(*args: Any) -> None:
    raise AssertionError("a file was read again")


def codes(queries: list[dict[str, str]]) -> set[str]:
    return {q["code"] for q in queries}


def everything(study: Any) -> dict[str, bytes]:
    return {str(p.relative_to(study.results)): p.read_bytes() for p in sorted(study.results.rglob("*")) if p.is_file()}


def test_a_study_without_images_has_an_empty_index(study: Any) -> None:
    shutil.rmtree(study.mri_folder)
    records, queries = index(study)
    assert records == {}
    assert queries == []


def test_subject_by_folder_and_visit_by_nearest_date(study: Any, dicom_series: Callable[..., Any]) -> None:
    dicom_series(study.mri_folder / "S-01" / "any" / "where", "a", ContrastBolusAgent="gadobutrol")
    records, _ = index(study)
    record = records["sub-S01_ses-BL"]
    assert (record["subject_id"], record["visit"], record["visit_num"]) == ("S-01", "BL", "1")
    assert record["scan_date"] == "2024-01-05"
    assert "default window of 14 days" in record["assigned"]
    (series,) = record["series"]
    assert series["sequence"] == "T1_POST"
    assert series["series"] == "T1-post-1"
    assert len(series["files"]) == series["facts"]["slices"] == 20
    assert series["facts"]["spacing_mm"] == [16.0, 18.0, 9.0]
    assert series["use"] is True
    assert series["plane"] == "AXIAL"


def test_subject_by_patient_id_but_a_folder_of_another_is_an_error(
    study: Any, dicom_series: Callable[..., Any]
) -> None:
    dicom_series(study.mri_folder / "disc1", "a", PatientID="s-02")
    assert set(index(study)[0]) == {"sub-S02_ses-BL"}
    dicom_series(study.mri_folder / "S-01", "b", PatientID="S-02")
    records, queries = index(study)
    assert set(records) == {"sub-S02_ses-BL"}
    (wrong,) = [q for q in queries if q["code"] == "SC032"]
    assert (wrong["subject_id"], wrong["sets_aside"]) == ("S-01", "Y")


def test_nobodys_images_and_images_outside_every_window_are_left_out(
    study: Any, dicom_series: Callable[..., Any]
) -> None:
    dicom_series(study.mri_folder / "unknown", "a")
    dicom_series(study.mri_folder / "S-01", "b", StudyDate="20240125")
    records, queries = index(study)
    assert records == {}
    assert codes(queries) == {"SC005", "SC006"}


def test_the_visits_own_window_goes_before_the_default(study: Any, dicom_series: Callable[..., Any]) -> None:
    dicom_series(study.mri_folder / "S-01", "b", StudyDate="20240125")
    wide = [v | {"window_minus": "3", "window_plus": "30"} for v in VISITS]
    assert set(index(study, visits=wide)[0]) == {"sub-S01_ses-BL"}


def test_two_visits_equally_near_are_not_chosen_between(study: Any, dicom_series: Callable[..., Any]) -> None:
    dicom_series(study.mri_folder / "S-01", "a", StudyDate="20240112")
    two = [v | {"start_dtc": d} for v, d in zip(VISITS, ("2024-01-02", "2024-01-22", "2024-03-27"), strict=False)]
    records, queries = index(study, visits=two)
    assert records == {}
    assert "equally near" in next(q["message"] for q in queries if q["code"] == "SC006")


def test_bids_names_with_ce_and_scans_tsv(study: Any, nifti_file: Callable[..., Path]) -> None:
    for name in ("T1w", "ce-gadolinium_T1w", "FLAIR", "T2w"):
        nifti_file(study.mri_folder / "sub-S01/ses-wk06/anat" / f"sub-S01_ses-wk06_{name}.nii.gz")
    tsv = study.mri_folder / "sub-S01/ses-wk06/sub-S01_ses-wk06_scans.tsv"
    tsv.write_text("filename\tacq_time\nanat/sub-S01_ses-wk06_T2w.nii.gz\t2024-02-16T09:00:00\n")
    records, queries = index(study)
    record = records["sub-S01_ses-WK06"]
    assert record["visit"] == "WK 06"
    assert record["scan_date"] == "2024-02-16"
    found = {s["files"][0].split("_", 2)[2]: s["sequence"] for s in record["series"]}
    assert found == {
        "T1w.nii.gz": "T1_PRE",
        "ce-gadolinium_T1w.nii.gz": "T1_POST",
        "FLAIR.nii.gz": "FLAIR",
        "T2w.nii.gz": "T2",
    }
    assert "SC012" not in codes(queries)


def test_a_bids_t1_alone_has_an_unknown_contrast_state(study: Any, nifti_file: Callable[..., Path]) -> None:
    nifti_file(study.mri_folder / "sub-S01/ses-BL/anat/sub-S01_ses-BL_T1w.nii.gz")
    records, queries = index(study)
    record = records["sub-S01_ses-BL"]
    assert record["series"][0]["sequence"] == "T1_UNKNOWN"
    assert record["scan_date"] == "2024-01-02"
    assert "visit start" in record["assigned"]
    assert {"SC012", "SC025"} <= codes(queries)


def test_a_sidecar_tells_what_the_name_does_not(study: Any, nifti_file: Callable[..., Path]) -> None:
    path = nifti_file(study.mri_folder / "sub-S01/ses-BL/anat/sub-S01_ses-BL_T1w.nii.gz")
    sidecar = {"EchoTime": 0.003, "RepetitionTime": 2.0, "InversionTime": 0.9, "ContrastBolusIngredient": "GADOLINIUM"}
    path.with_name("sub-S01_ses-BL_T1w.json").write_text(json.dumps(sidecar | {"PatientName": "CANARY^JANE"}))
    record = index(study)[0]["sub-S01_ses-BL"]
    assert record["series"][0]["sequence"] == "T1_POST"
    assert record["series"][0]["facts"]["echo_time_ms"] == 3.0
    path.with_name("sub-S01_ses-BL_T1w.json").write_text("{not json")
    records, queries = index(study)
    assert records["sub-S01_ses-BL"]["series"][0]["sequence"] == "T1_UNKNOWN"
    assert "SC001" in codes(queries)


def test_scans_table_overrules_and_says_so(study: Any, nifti_file: Callable[..., Path]) -> None:
    nifti_file(study.mri_folder / "box/one.nii.gz")
    nifti_file(study.mri_folder / "box/two.nii")
    nifti_file(study.mri_folder / "box/three.nii.gz")
    rows = [
        {"path": "mri/box", "subject_id": "S-02", "visit": "BL", "scan_dtc": "2024-01-03", "_row": "2"},
        {"path": "box/one.nii.gz", "sequence": "T1_POST", "_row": "3"},
        {"path": "box/t*", "sequence": "FLAIR", "_row": "4"},
        {"path": "box/two.nii", "sequence": "T2", "_row": "5"},
        {"path": "box/three.nii.gz", "use": "N", "_row": "6"},
        {"path": "nowhere", "subject_id": "S-01", "_row": "7"},
        {"path": "../outside", "subject_id": "S-01", "_row": "8"},
    ]
    records, queries = index(study, rows)
    record = records["sub-S02_ses-BL"]
    assert record["scan_date"] == "2024-01-03"
    found = {s["files"][0]: (s["sequence"], s["overruled"], s["use"]) for s in record["series"]}
    assert found == {
        "mri/box/one.nii.gz": ("T1_POST", True, True),
        "mri/box/two.nii": ("T2", True, True),
        "mri/box/three.nii.gz": ("FLAIR", True, False),
    }
    assert "scans.csv row 3" in next(s["reason"] for s in record["series"] if s["sequence"] == "T1_POST")
    assert {(q["code"], q["row"]) for q in queries if q["row"]} == {("SC021", "7"), ("SC020", "8")}


def test_nifti_without_a_bids_name_needs_the_scans_table(study: Any, nifti_file: Callable[..., Path]) -> None:
    nifti_file(study.mri_folder / "S-01/brain.nii.gz")
    records, queries = index(study)
    assert records == {}
    assert codes(queries) == {"SC029"}


def test_incomplete_series_are_named_and_not_used(study: Any, dicom_series: Callable[..., Any]) -> None:
    dicom_series(study.mri_folder / "S-01", "a", leave_out=(7, 8), ContrastBolusAgent="gadobutrol")
    records, queries = index(study)
    (series,) = records["sub-S01_ses-BL"]["series"]
    assert series["use"] is False
    assert "2 of 20 slices are missing" in next(q["message"] for q in queries if q["code"] == "SC008")
    assert "SC014" in codes(queries)


def test_fewer_images_than_announced_are_incomplete(study: Any, dicom_series: Callable[..., Any]) -> None:
    dicom_series(study.mri_folder / "S-01", "a", leave_out=(18, 19), ImagesInAcquisition=20)
    _, queries = index(study)
    assert "2 of the 20 images" in next(q["message"] for q in queries if q["code"] == "SC008")


def test_one_series_uid_with_two_matrices_makes_two_series(study: Any, dicom_series: Callable[..., Any]) -> None:
    uid = "1.2.3.4"
    dicom_series(study.mri_folder / "S-01/a", "a", SeriesInstanceUID=uid, study="one")
    dicom_series(
        study.mri_folder / "S-01/b", "b", SeriesInstanceUID=uid, study="one", ImageType=["DERIVED", "SECONDARY", "MPR"]
    )
    series = index(study)[0]["sub-S01_ses-BL"]["series"]
    assert [len(s["files"]) for s in series] == [20, 20]


def test_copies_of_files_count_once(study: Any, dicom_series: Callable[..., Any]) -> None:
    dicom_series(study.mri_folder / "S-01/a", "a")
    shutil.copytree(study.mri_folder / "S-01/a", study.mri_folder / "S-01/b")
    records, queries = index(study)
    assert [len(s["files"]) for s in records["sub-S01_ses-BL"]["series"]] == [20]
    assert "SC034" in codes(queries)


def test_the_same_image_in_two_scans_sets_both_subjects_aside(study: Any, nifti_file: Callable[..., Path]) -> None:
    one = nifti_file(study.mri_folder / "sub-S01/ses-BL/anat/sub-S01_ses-BL_T1w.nii.gz")
    two = study.mri_folder / "sub-S02/ses-BL/anat/sub-S02_ses-BL_T1w.nii.gz"
    two.parent.mkdir(parents=True)
    shutil.copy(one, two)
    queries = [q for q in index(study)[1] if q["code"] == "SC023"]
    assert {(q["subject_id"], q["sets_aside"]) for q in queries} == {("S-01", "Y"), ("S-02", "Y")}


def test_two_sessions_on_one_visit_are_one_scan_and_a_query(study: Any, dicom_series: Callable[..., Any]) -> None:
    dicom_series(study.mri_folder / "S-01/a", "a")
    dicom_series(study.mri_folder / "S-01/b", "b", StudyDate="20240107")
    records, queries = index(study)
    assert len(records["sub-S01_ses-BL"]["series"]) == 2
    assert records["sub-S01_ses-BL"]["scan_date"] == "2024-01-07"  # of two like T1, the later is measured
    assert "SC024" in codes(queries)


def scan_files(study: Any, nifti_file: Callable[..., Path], **suffixes: str) -> None:
    """Write one image of S-01 per visit; visits are named by letters and digits."""
    for visit, suffix in suffixes.items():
        nifti_file(study.mri_folder / f"sub-S01/ses-{visit}/anat/sub-S01_ses-{visit}_{suffix}.nii.gz")


def references(records: dict[str, Any]) -> dict[str, tuple[str | None, bool]]:
    return {n.removeprefix("sub-S01_ses-"): (r["reference"], r["is_reference"]) for n, r in records.items()}


SCREENED = [
    {"subject_id": "S-01", "visit": v, "visit_num": n, "start_dtc": d, "status": "DONE"}
    for v, n, d in (("SCR", "0", "2023-12-20"), ("BL", "1", "2024-01-02"), ("WK06", "2", "2024-02-14"))
]


def test_the_last_scan_before_the_first_dose_is_the_reference(study: Any, nifti_file: Callable[..., Path]) -> None:
    scan_files(study, nifti_file, SCR="ce-gd_T1w", BL="ce-gd_T1w", WK06="ce-gd_T1w")
    records, queries = index(study, visits=SCREENED, baselines={"S-01": 1.0})
    # the screening scan is never compared with a later one
    assert references(records) == {"SCR": (None, False), "BL": (None, True), "WK06": ("sub-S01_ses-BL", False)}
    listed = {s["scan"]: s["is_reference"] for s in store.read_json(study.results / "work/index.json")["scans"]}
    assert listed == {n: r["is_reference"] for n, r in records.items()}
    assert "SC036" not in codes(queries)


def test_a_t1_after_contrast_goes_before_a_later_one_without(study: Any, nifti_file: Callable[..., Path]) -> None:
    scan_files(study, nifti_file, SCR="ce-gd_T1w", BL="T1w", WK06="ce-gd_T1w")
    records, _ = index(study, visits=SCREENED, baselines={"S-01": 1.0})
    scr = "sub-S01_ses-SCR"
    assert references(records) == {"SCR": (None, True), "BL": (scr, False), "WK06": (scr, False)}


def test_without_a_t1_after_contrast_any_t1_at_baseline_is_the_reference(
    study: Any, nifti_file: Callable[..., Path]
) -> None:
    scan_files(study, nifti_file, SCR="T1w", BL="T1w", WK06="ce-gd_T1w")
    records, _ = index(study, visits=SCREENED, baselines={"S-01": 1.0})
    assert references(records) == {"SCR": (None, False), "BL": (None, True), "WK06": ("sub-S01_ses-BL", False)}


def test_no_later_scan_stands_in_for_an_unusable_baseline(study: Any, nifti_file: Callable[..., Path]) -> None:
    scan_files(study, nifti_file, BL="FLAIR", WK06="ce-gd_T1w", WK12="ce-gd_T1w")
    records, queries = index(study, baselines={"S-01": 1.0})
    assert references(records) == dict.fromkeys(("BL", "WK06", "WK12"), (None, False))
    (asked,) = [q for q in queries if q["code"] == "SC036"]
    assert (asked["subject_id"], asked["sets_aside"]) == ("S-01", "N")
    assert "change cannot be judged" in asked["message"]


def test_without_a_known_baseline_the_earliest_scan_by_number_is_the_reference(
    study: Any, nifti_file: Callable[..., Path]
) -> None:
    scan_files(study, nifti_file, BL="T1w", WK06="ce-gd_T1w", WK12="ce-gd_T1w")
    records, _ = index(study, baselines={"S-02": 1.0})
    assert references(records) == {"BL": (None, False), "WK06": (None, True), "WK12": ("sub-S01_ses-WK06", False)}


def test_subjects_whose_file_names_would_be_the_same_are_left_out(study: Any, nifti_file: Callable[..., Path]) -> None:
    twins = [{"subject_id": "S-01"}, {"subject_id": "s.01"}]
    visits = [v | {"subject_id": t["subject_id"]} for t in twins for v in VISITS[:1]]
    for folder, name in (("x", "x.nii.gz"), ("y", "y.nii.gz")):
        nifti_file(study.mri_folder / folder / name)
    rows = [{"path": "x", "subject_id": "S-01", "visit": "BL"}, {"path": "y", "subject_id": "s.01", "visit": "1"}]
    records, queries = index(study, rows, subjects=twins, visits=visits)
    assert records == {}
    assert {q["subject_id"] for q in queries if q["code"] == "SC007"} == {"S-01", "s.01"}


def test_queries_name_the_series_concerned_or_the_folder_of_the_scan(
    study: Any, dicom_series: Callable[..., Any]
) -> None:
    dicom_series(study.mri_folder / "S-01/bl/1", "a", study="one", SeriesDescription="t2 flair")
    dicom_series(study.mri_folder / "S-01/bl/2", "b", study="one", ContrastBolusAgent="gadobutrol")
    _, queries = index(study)
    places = {q["code"]: q["file"].rsplit("/im", 1)[0] for q in queries}
    assert places["SC013"] == "mri/S-01/bl"
    assert places["SC015"] == "mri/S-01/bl/2"
    assert next(q["severity"] for q in queries if q["code"] == "SC015") == "info"


def test_a_date_after_the_data_cut_is_an_error(study: Any, nifti_file: Callable[..., Path]) -> None:
    nifti_file(study.mri_folder / "x.nii.gz")
    row = {"path": "x.nii.gz", "subject_id": "S-01", "visit": "BL", "sequence": "T1_POST", "scan_dtc": "2031-01-01"}
    assert {"SC019", "SC026"} <= codes(index(study, [row])[1])


def test_only_the_spine(study: Any, dicom_series: Callable[..., Any]) -> None:
    dicom_series(study.mri_folder / "S-01", "a", BodyPartExamined="LSPINE", ContrastBolusAgent="gadobutrol")
    _, queries = index(study)
    assert {"SC016", "SC018"} <= codes(queries)
    assert "SC014" not in codes(queries)


@pytest.mark.parametrize("content", [b"", b"\x1f\x8b\x08\x00", b"not an image", os.urandom(2000)])
def test_a_damaged_nifti_is_a_query_and_an_unused_series(study: Any, content: bytes) -> None:
    path = study.mri_folder / "sub-S01/ses-BL/anat/sub-S01_ses-BL_T1w.nii.gz"
    path.parent.mkdir(parents=True)
    path.write_bytes(content)
    records, queries = index(study)
    assert [s["use"] for s in records["sub-S01_ses-BL"]["series"]] == [False]
    assert {"SC001", "SC014"} <= codes(queries)


def test_links_out_of_the_folder_hidden_and_derived_files_are_not_read(
    study: Any, tmp_path: Path, nifti_file: Callable[..., Path], dicom_series: Callable[..., Any]
) -> None:
    outside = nifti_file(tmp_path / "outside/sub-S01_ses-BL_T1w.nii.gz")
    dicom_series(tmp_path / "outside/more", "a")
    folder = study.mri_folder / "sub-S01/ses-BL/anat"
    folder.mkdir(parents=True)
    (folder / outside.name).symlink_to(outside)
    (study.mri_folder / "S-01").symlink_to(tmp_path / "outside/more")
    (study.mri_folder / "loop").symlink_to(study.mri_folder)
    nifti_file(study.mri_folder / ".hidden/sub-S01_ses-BL_T2w.nii.gz")
    nifti_file(study.mri_folder / "derivatives/sub-S01_ses-BL_T2w.nii.gz")
    records, queries = index(study)
    assert records == {}
    assert sorted(q["file"] for q in queries) == [
        "mri/S-01",
        "mri/loop",
        "mri/sub-S01/ses-BL/anat/sub-S01_ses-BL_T1w.nii.gz",
    ]
    assert codes(queries) == {"SC002"}


def test_a_second_run_opens_no_image_and_gives_the_same_bytes(
    study: Any, dicom_series: Callable[..., Any], nifti_file: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    dicom_series(study.mri_folder / "S-01", "a")
    nifti_file(study.mri_folder / "sub-S02/ses-BL/anat/sub-S02_ses-BL_T1w.nii.gz")
    index(study)
    before = everything(study)
    stamps = {p: p.stat().st_mtime_ns for p in study.results.rglob("*") if p.is_file()}

    monkeypatch.setattr(headers, "_read", refuse)
    index(study)
    assert everything(study) == before
    assert {p: p.stat().st_mtime_ns for p in stamps} == stamps


def test_only_the_changed_scan_is_rewritten_and_a_vanished_one_removed(
    study: Any, nifti_file: Callable[..., Path]
) -> None:
    paths = [study.mri_folder / f"sub-S0{n}/ses-BL/anat/sub-S0{n}_ses-BL_T1w.nii.gz" for n in (1, 2)]
    for path in paths:
        nifti_file(path)
    index(study)
    records = sorted((study.results / "work/scans").iterdir())
    stamps = [p.stat().st_mtime_ns for p in records]
    digests = [store.read_json(p)["series"][0]["digest"] for p in records]
    nifti_file(paths[1], seed=5)
    os.utime(paths[1], ns=(1, 1))
    index(study)
    assert records[0].stat().st_mtime_ns == stamps[0]
    assert store.read_json(records[1])["series"][0]["digest"] != digests[1]
    paths[1].unlink()
    assert set(index(study)[0]) == {"sub-S01_ses-BL"}


def test_same_images_in_another_arrangement_have_the_same_digest(study: Any, dicom_series: Callable[..., Any]) -> None:
    dicom_series(study.mri_folder / "S-01/a", "a")
    first = index(study)[0]["sub-S01_ses-BL"]["series"][0]["digest"]
    (study.mri_folder / "S-01/a").rename(study.mri_folder / "S-01/b")
    for n, path in enumerate(sorted((study.mri_folder / "S-01/b").iterdir())):
        path.rename(path.with_name(f"{99 - n}.ima"))
    assert index(study)[0]["sub-S01_ses-BL"]["series"][0]["digest"] == first


def test_a_damaged_cache_is_ignored(study: Any, dicom_series: Callable[..., Any]) -> None:
    dicom_series(study.mri_folder / "S-01", "a")
    first = index(study)[0]
    cache = study.results / "work/cache/headers.json"
    for text in ("", "[]", '{"format": "lmresp-headers/1"}'):
        cache.write_text(text)
        assert index(study)[0] == first


def test_a_subject_added_later_is_found_by_patient_id_without_opening_an_image(
    study: Any, dicom_series: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    dicom_series(study.mri_folder / "disc", "a", PatientID="s-02")
    assert index(study, subjects=SUBJECTS[:1])[0] == {}
    monkeypatch.setattr(headers, "_read", refuse)
    assert set(index(study)[0]) == {"sub-S02_ses-BL"}


CANARIES = ("CANARYNAME", "CANARY-ID", "19010203", "CANARYTEXT", "CANARYPRIVATE", "CANARYNESTED", "1.2.826.0.1.99.77")


def test_no_identity_reaches_any_file(study: Any, dicom_series: Callable[..., Any]) -> None:
    nested = Dataset()
    nested.CodeMeaning = "CANARYNESTED"
    nested.PatientName = "CANARYNAME^NESTED"
    dicom_series(
        study.mri_folder / "S-01",
        "a",
        PatientName="CANARYNAME^JANE",
        PatientID="CANARY-ID",
        PatientBirthDate="19010203",
        OtherPatientIDs="CANARY-ID",
        InstitutionName="CANARYTEXT hospital",
        ReferringPhysicianName="CANARYNAME^DOC",
        StudyDescription="CANARYTEXT",
        SeriesDescription="t1 mprage CANARYTEXT",
        ProtocolName="CANARYNAME",
        SequenceName="CANARYTEXT",
        ImageComments="CANARYTEXT",
        BodyPartExamined="CANARYTEXT",
        ContrastBolusAgent="CANARYTEXT",
        ImageType=["ORIGINAL", "PRIMARY", "CANARYTEXT"],
        ScanningSequence=["GR", "CANARYTEXT"],
        SequenceVariant="CANARYTEXT",
        AcquisitionTime="100000",
        SeriesInstanceUID="1.2.826.0.1.99.77",
        RequestAttributesSequence=[nested],
    )
    for path in (study.mri_folder / "S-01").iterdir():
        ds = pydicom.dcmread(path)
        ds.private_block(0x0029, "CANARYPRIVATE", create=True).add_new(0x01, "LO", "CANARYPRIVATE")
        ds.save_as(path)
    records, _ = index(study)
    assert records["sub-S01_ses-BL"]["series"][0]["sequence"] == "T1_POST"
    for name, content in everything(study).items():
        text = content.decode()
        assert [c for c in CANARIES if c in text] == [], name
    # and the plant is really in the input
    planted = next((study.mri_folder / "S-01").iterdir()).read_bytes()
    assert all(c.encode() in planted for c in CANARIES)
