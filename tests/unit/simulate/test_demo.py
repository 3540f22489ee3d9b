"""The demo study holds what it promises, and its only faults are those planted on purpose."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
from pathlib import Path

import nibabel as nib
import numpy as np
import openpyxl
import pydicom
import pytest
import yaml

from lmresp.errors import StudyError
from lmresp.ingest.tables import check_table
from lmresp.simulate import demo, tables
from lmresp.store import read_csv

GRID = 4.0


@pytest.fixture(scope="module")
def study():
    return demo.description()


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    target = tmp_path_factory.mktemp("demo") / "study"
    demo.write_demo(target, cores=1, grid_mm=GRID)
    return target


def text(value: object) -> str:
    return "" if value is None else str(value)


def raw_tables(folder: Path) -> dict[str, list[dict[str, str]]]:
    """Every table of the folder as the raw rows that the checks take."""
    book = openpyxl.load_workbook(folder / "tables" / "demo.xlsx")
    out = {}
    for sheet in book.worksheets:
        head, *body = [[text(cell) for cell in row] for row in sheet.iter_rows(values_only=True)]
        out[sheet.title] = [dict(zip(head, row, strict=True)) for row in body]
    out["mri_reads"] = read_csv(folder / "tables" / "mri_reads.csv")
    return {
        name: [{"_file": "f", "_sheet": name, "_row": str(n)} | row for n, row in enumerate(rows, 2)]
        for name, rows in out.items()
    }


def test_promised_subjects_visits_scans(folder, study):
    raw = raw_tables(folder)
    assert len(raw["subjects"]) >= 8
    assert sum(row["status"] == "DONE" for row in raw["visits"]) >= 30
    truths = sorted((folder / "truth").glob("*_truth.json"))
    assert 26 <= len(truths) <= 28
    nifti = {p.name.split("_")[0] for p in (folder / "mri").rglob("*.nii.gz")}
    assert nifti == {f"sub-LM0{n}" for n in (1, 2, 3, 4, 6, 7, 8, 9)}
    assert yaml.safe_load((folder / "study.yaml").read_text())["study_id"] == "LM-DEMO"


def test_tables_pass_the_checks_but_for_the_planted_faults(folder):
    found = set()
    for name, rows in raw_tables(folder).items():
        _, queries = check_table(name, rows, data_cut="2025-06-30")
        found |= {(name, q.subject_id, q.column, q.sets_aside) for q in queries}
    assert found == {("csf", "LM-09", "result", "Y"), ("mri_reads", "LM-07", "locked_dtc", "N")}


def test_truth_tells_the_stories(folder):
    def truth(subject: str, visit: str) -> dict:
        return json.loads((folder / "truth" / f"sub-{subject}_ses-{visit}_truth.json").read_text())

    responder = [truth("LM01", v) for v in ("bl", "wk06", "wk12", "wk18")]
    for measure in ("film_mm3", "nodule_mm3"):
        values = [t[measure] for t in responder]
        assert values == sorted(values, reverse=True)
        assert values[0] > 0 == values[-1]
    before, after = truth("LM02", "wk06"), truth("LM02", "wk12")
    assert after["film_mm3"] > 1.5 * before["film_mm3"]
    assert len(after["nodules"]) == len(before["nodules"]) + 1
    assert truth("LM04", "bl")["ventricles_mm3"] > 1.5 * truth("LM04", "wk06")["ventricles_mm3"]
    assert truth("LM03", "bl")["film_mm3"] == truth("LM03", "wk12")["film_mm3"]


def test_broken_and_missing_series(folder):
    anat = folder / "mri" / "sub-LM06" / "ses-wk06" / "anat"
    with pytest.raises(EOFError):
        gzip.decompress((anat / "sub-LM06_ses-wk06_ce-gadolinium_T1w.nii.gz").read_bytes())
    gzip.decompress((anat / "sub-LM06_ses-wk06_T1w.nii.gz").read_bytes())
    names = {p.name for p in (folder / "mri" / "sub-LM08" / "ses-wk06" / "anat").glob("*.nii.gz")}
    assert names == {"sub-LM08_ses-wk06_ce-gadolinium_T1w.nii.gz", "sub-LM08_ses-wk06_FLAIR.nii.gz"}


def test_dicom_subject_is_flat_and_complete(folder):
    files = sorted((folder / "mri" / "transfer").iterdir())
    assert all(p.is_file() for p in files)
    series: dict[tuple[str, str], int] = {}
    for path in files:
        ds = pydicom.dcmread(path, stop_before_pixels=True)
        key = (ds.StudyDate, ds.SeriesDescription)
        series[key] = series.get(key, 0) + 1
    assert len(series) == 3 * 4
    assert set(series.values()) == {round(200 / GRID), round(200 / (2 * GRID))}


def test_pictures_lie_where_the_header_says(folder):
    image = nib.load(folder / "mri/sub-LM01/ses-bl/anat/sub-LM01_ses-bl_T1w.nii.gz")
    assert image.get_data_dtype() == np.int16
    np.testing.assert_allclose(image.header.get_zooms(), (GRID, GRID, GRID))
    assert nib.aff2axcodes(image.affine) == ("R", "A", "S")


def test_bytes_repeat_and_do_not_depend_on_what_was_made_before(folder, tmp_path):
    demo.write_subject("LM-09", tmp_path, GRID)
    for path in sorted(p for p in tmp_path.rglob("*") if p.is_file()):
        assert path.read_bytes() == (folder / path.relative_to(tmp_path)).read_bytes(), path.name


def test_workbook_repeats_and_holds_no_clock(study, folder):
    sheets = {name: rows for name, rows in tables.rows(study).items() if name != "mri_reads"}
    content = tables.workbook_bytes(sheets)
    assert hashlib.sha256(content).digest() == hashlib.sha256((folder / "tables/demo.xlsx").read_bytes()).digest()
    book = openpyxl.load_workbook(io.BytesIO(content))
    assert book.properties.created.year == book.properties.modified.year == 1980


def test_no_day_zero(study):
    subject = {"start": "2024-02-05"}
    assert tables.date_of(subject, 1) == "2024-02-05"
    assert tables.date_of(subject, -1) == "2024-02-04"
    assert tables.date_of(subject, 43) == "2024-03-18"


def test_a_folder_in_use_is_left_alone(tmp_path):
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(StudyError, match="not empty"):
        demo.write_demo(tmp_path)
    assert [p.name for p in tmp_path.iterdir()] == ["mine.txt"]
