"""Headers that are wrong, strange or meant to do harm: objects still join their images, or the reason is named."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import pydicom
import pytest
from pydicom import config
from pydicom.dataelem import DataElement

from lmresp.dicom.scan import LockedRead, objects
from lmresp.dicom.source import load_source, source_of
from lmresp.ingest.unreadable import UnreadableSeries
from tests.unit.dicom.made import Made, common_volumes, entry, faults, made, result, write

READ = LockedRead(entry(), "2026-11-21T20:01:02.000003Z")


def _written(one: Made, folder: Path) -> dict[str, pydicom.Dataset]:
    files, _ = objects(one.scan(reads=[READ]))
    out = {}
    for name, content in files.items():
        (folder / name).write_bytes(content)
        out[name] = pydicom.dcmread(folder / name)
    return out


NAMES = [
    "DOE^<script>alert(1)</script>",
    "M\u00fcller^J\u00fcrgen",
    "Yamada^Tarou=\u5c71\u7530^\u592a\u90ce=\u3084\u307e\u3060^\u305f\u308d\u3046",
    "'; DROP TABLE scans; --",
    "",
]


@pytest.mark.parametrize("name", NAMES)
def test_names_are_copied_as_they_are(tmp_path: Path, name: str) -> None:
    one = made(tmp_path / "in", PatientName=name, SpecificCharacterSet="ISO_IR 192")
    for file, ds in _written(one, tmp_path).items():
        assert str(ds.PatientName) == name
        assert (ds.PatientID, ds.StudyInstanceUID) == ("HOSPITAL-4711", one.source.identity.StudyInstanceUID)
        assert faults(tmp_path / file) == [], file


def test_a_name_in_an_old_character_set_is_written_in_utf_8(tmp_path: Path) -> None:
    one = made(tmp_path / "in", PatientName="M\u00fcller^J\u00fcrgen", SpecificCharacterSet="ISO_IR 100")
    for ds in _written(one, tmp_path).values():
        assert ds.SpecificCharacterSet == "ISO_IR 192"
        assert str(ds.PatientName) == "M\u00fcller^J\u00fcrgen"


def _patched(folder: Path, keyword: str, vr: str, value: Any) -> Made:
    """A series with a value that pydicom would not write of its own accord."""
    headers = [pydicom.dcmread(path) for path in write(folder)]
    for ds in headers:
        ds[keyword] = DataElement(keyword, vr, value, validation_mode=config.IGNORE)
    return Made([], source_of(headers), *common_volumes(), result())


@pytest.mark.parametrize(
    ("keyword", "vr", "value"),
    [
        ("PatientID", "LO", "X" * 90),
        ("PatientName", "PN", "Y" * 90),
        ("PatientID", "LO", ["A", "B"]),
        ("PatientSex", "CS", "unknown"),
        ("PatientBirthDate", "DA", "***"),
        ("StudyDate", "DA", "not a day"),
        ("StudyTime", "TM", "noon"),
        ("StudyID", "SH", "Z" * 40),
        ("AccessionNumber", "SH", "line\nbreak"),
    ],
)
def test_values_that_dicom_does_not_allow_are_the_same_in_the_objects(
    tmp_path: Path, keyword: str, vr: str, value: Any
) -> None:
    # A shortened identifier would be another person's; the archive holds the images under this one.
    one = _patched(tmp_path / "in", keyword, vr, value)
    for ds in _written(one, tmp_path).values():
        assert str(ds[keyword].value) == str(one.source.identity[keyword].value)
        assert str(value if isinstance(value, list) else [value])[2:5] in str([str(ds[keyword].value)])


def test_the_day_comes_from_the_study_then_the_scan_then_the_data_cut(tmp_path: Path) -> None:
    assert _written(made(tmp_path / "a"), tmp_path)["seg.dcm"].ContentDate == "20240503"
    undated = made(tmp_path / "b", StudyDate=None, StudyTime=None)
    undated.result["scan_date"] = "2024-05-09"
    assert _written(undated, tmp_path)["seg.dcm"].ContentDate == "20240509"
    undated.result["scan_date"] = ""
    assert _written(undated, tmp_path)["seg.dcm"].ContentDate == "20250630"


REQUIRED = ("PatientName", "PatientID", "PatientBirthDate", "PatientSex", "StudyDate", "StudyTime", "StudyID")


@pytest.mark.parametrize("missing", [*REQUIRED, "AccessionNumber", "ReferringPhysicianName", "all"])
def test_missing_patient_and_study_fields_are_empty_and_valid(tmp_path: Path, missing: str) -> None:
    gone = (*REQUIRED, "AccessionNumber", "ReferringPhysicianName") if missing == "all" else (missing,)
    one = made(tmp_path / "in", **dict.fromkeys(gone))
    for file, ds in _written(one, tmp_path).items():
        for keyword in gone:
            assert keyword in ds
            assert not ds[keyword].value
        # dciodvfy wants a name or a number of the patient somewhere; it is not ours to invent one.
        assert [f for f in faults(tmp_path / file) if "PatientID" not in f and "PatientName" not in f] == [], file


def test_slice_thickness_and_spacing_come_from_the_positions(tmp_path: Path) -> None:
    one = made(tmp_path / "in", SliceThickness=None, SpacingBetweenSlices=1.5)  # a header that is wrong
    ds = _written(one, tmp_path)["seg.dcm"]
    measures = ds.SharedFunctionalGroupsSequence[0].PixelMeasuresSequence[0]
    assert (float(measures.SliceThickness), float(measures.SpacingBetweenSlices)) == (5.0, 5.0)
    assert faults(tmp_path / "seg.dcm") == []


def test_numbers_with_too_many_digits_are_taken(tmp_path: Path) -> None:
    headers = [pydicom.dcmread(path) for path in write(tmp_path)]
    for ds in headers:
        long = ["0.99999999999999999999", "0.0", "0.0", "0.0", "1.00000000000000000000", "0.0"]
        ds["ImageOrientationPatient"] = DataElement(
            "ImageOrientationPatient", "DS", long, validation_mode=config.IGNORE
        )
    files, _ = objects(Made([], source_of(headers), *common_volumes(), result()).scan())
    (tmp_path / "seg.dcm").write_bytes(files["seg.dcm"])
    assert faults(tmp_path / "seg.dcm") == []


@pytest.mark.parametrize(
    "keyword", ["StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID", "SOPClassUID", "FrameOfReferenceUID"]
)
def test_without_the_identifiers_that_objects_refer_to_there_are_none(tmp_path: Path, keyword: str) -> None:
    headers = [pydicom.dcmread(path, stop_before_pixels=True) for path in write(tmp_path)]
    delattr(headers[3], keyword)
    with pytest.raises(UnreadableSeries, match=f"no {keyword}"):
        source_of(headers)


def test_what_cannot_be_read_is_a_reason(tmp_path: Path) -> None:
    write(tmp_path / "mri")
    files = sorted(f"mri/{p.name}" for p in (tmp_path / "mri").iterdir())
    assert len(load_source(tmp_path, {"source": "dicom", "files": files}).images) == 32
    with pytest.raises(UnreadableSeries, match="not delivered as DICOM"):
        load_source(tmp_path, {"source": "nifti", "files": files})
    with pytest.raises(UnreadableSeries, match="gone"):
        load_source(tmp_path, {"source": "dicom", "files": [*files, "mri/absent.dcm"]})
    for junk in (b"", b"\0" * 400, (tmp_path / files[0]).read_bytes()[:500]):
        (tmp_path / files[5]).write_bytes(junk)
        with pytest.raises(UnreadableSeries):
            load_source(tmp_path, {"source": "dicom", "files": files})


def test_source_images_are_in_order_whatever_the_files_are_called(tmp_path: Path) -> None:
    one = made(tmp_path, "oblique")
    ups = [plane[:3, 3] for plane in one.source.planes]
    normal = one.source.planes[0][:3, 2] * [-1, -1, 1]
    lps = [up * [-1, -1, 1] for up in ups]
    steps = [float((b - a) @ normal) for a, b in itertools.pairwise(lps)]
    assert steps == pytest.approx([5.0] * 31, abs=1e-4)
