"""DICOM files: found by content, read by an allow-list."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ImplicitVRLittleEndian

from lmresp.ingest import dicom
from lmresp.ingest.headers import read_files
from lmresp.ingest.stacks import Stack, build_stacks


def first(folder: Path) -> Path:
    return sorted(folder.iterdir())[0]


def stacks(root: Path, cache: Path) -> list[Stack]:
    files, _ = read_files(root, cache)
    return build_stacks([f for f in files if f.header and f.header.kind == "image"])


def test_found_with_and_without_preamble_and_never_by_name(tmp_path: Path, dicom_series: Callable[..., Any]) -> None:
    dicom_series(tmp_path / "in", "a")
    path = first(tmp_path / "in")
    assert dicom.looks_like_dicom(path)
    bare = tmp_path / "bare"
    ds = pydicom.dcmread(path)
    ds.file_meta, ds.preamble = FileMetaDataset(), None
    ds.save_as(bare, implicit_vr=True, little_endian=True)
    assert bare.read_bytes()[:2] == b"\x08\x00"
    assert dicom.looks_like_dicom(bare)
    assert dicom.read_header(bare).echo_time_ms == 3.0
    text = tmp_path / "text.dcm"
    text.write_text("subject_id,visit\n" * 20)
    assert not dicom.looks_like_dicom(text)


@pytest.mark.parametrize(
    ("tags", "kind"),
    [
        ({}, "image"),
        ({"SOPClassUID": "1.2.840.10008.5.1.4.1.1.2", "Modality": "CT"}, "other_image"),
        ({"SOPClassUID": "1.2.840.10008.5.1.4.1.1.7"}, "other_image"),  # secondary capture, though Modality says MR
        ({"SOPClassUID": "1.2.840.10008.1.3.10"}, "directory"),
        ({"BurnedInAnnotation": "YES"}, "unreadable"),
    ],
)
def test_kinds_of_object(tmp_path: Path, dicom_series: Callable[..., Any], tags: dict[str, Any], kind: str) -> None:
    dicom_series(tmp_path / "in", "a", **tags)
    assert dicom.read_header(first(tmp_path / "in")).kind == kind


def test_report_without_pixels_is_no_image(tmp_path: Path) -> None:
    ds = Dataset()
    ds.SOPClassUID, ds.Modality = "1.2.840.10008.5.1.4.1.1.88.11", "SR"
    ds.file_meta = FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = ImplicitVRLittleEndian
    ds.file_meta.MediaStorageSOPClassUID, ds.file_meta.MediaStorageSOPInstanceUID = ds.SOPClassUID, "1.2.3"
    ds.save_as(tmp_path / "sr", enforce_file_format=True)
    assert dicom.read_header(tmp_path / "sr").kind == "non_image"


@pytest.mark.parametrize(
    ("tags", "agent"),
    [
        ({}, "unknown"),
        ({"ContrastBolusAgent": ""}, "unknown"),
        ({"ContrastBolusAgent": "GADOVIST 7.5 ml"}, "yes"),
        ({"ContrastBolusAgent": "NONE"}, "no"),
        ({"ContrastBolusAgent": "without contrast"}, "no"),
        ({"ContrastBolusVolume": 7.5}, "yes"),
        ({"ContrastBolusVolume": 0}, "unknown"),
    ],
)
def test_contrast_agent(tmp_path: Path, dicom_series: Callable[..., Any], tags: dict[str, Any], agent: str) -> None:
    dicom_series(tmp_path / "in", "a", **tags)
    assert dicom.read_header(first(tmp_path / "in")).agent == agent


@pytest.mark.parametrize("date", ["00000000", "19000101", "99999999", ""])
def test_a_placeholder_date_is_no_date(tmp_path: Path, dicom_series: Callable[..., Any], date: str) -> None:
    dicom_series(tmp_path / "in", "a", StudyDate=date)
    assert dicom.read_header(first(tmp_path / "in")).date == ""


def test_uids_are_hashed(tmp_path: Path, dicom_series: Callable[..., Any]) -> None:
    dicom_series(tmp_path / "in", "a", SeriesInstanceUID="1.2.3")
    found = dicom.read_header(first(tmp_path / "in"))
    assert found.series == hashlib.sha256(b"1.2.3").hexdigest()[:16]
    assert "1.2.3" not in str(found.as_json())


@pytest.mark.parametrize("cut", [200, 300, 500])
def test_a_header_cut_short_never_raises(tmp_path: Path, dicom_series: Callable[..., Any], cut: int) -> None:
    dicom_series(tmp_path / "in", "a")
    path = first(tmp_path / "in")
    path.write_bytes(path.read_bytes()[:cut])
    assert dicom.read_header(path).kind in {"unreadable", "non_image"}


def test_random_changes_of_a_header_never_raise(tmp_path: Path, dicom_series: Callable[..., Any]) -> None:
    dicom_series(tmp_path / "in", "a")
    whole = first(tmp_path / "in").read_bytes()
    rng = np.random.default_rng(1)
    target = tmp_path / "changed"
    for _ in range(150):
        content = bytearray(whole)
        for place in rng.integers(132, len(content), size=8):
            content[place] = rng.integers(256)
        target.write_bytes(bytes(content))
        assert dicom.read_header(target).kind in {"image", "other_image", "non_image", "directory", "unreadable"}


def test_a_stack_has_its_slices_step_and_extent(tmp_path: Path, dicom_series: Callable[..., Any]) -> None:
    dicom_series(tmp_path / "mri", "a")
    (stack,) = stacks(tmp_path / "mri", tmp_path / "cache.json")
    assert (stack.slices, stack.step_mm, stack.missing, stack.problem) == (20, 9.0, 0, "")
    assert stack.extents == (160.0, 216.0, 180.0)  # 10 x 16, 12 x 18, 20 x 9 mm


def test_uneven_and_repeated_slices_are_named(tmp_path: Path, dicom_series: Callable[..., Any]) -> None:
    dicom_series(tmp_path / "mri", "a")
    paths = sorted((tmp_path / "mri").iterdir())
    moved = pydicom.dcmread(paths[3])
    moved.ImagePositionPatient = [-80, -108, float(moved.ImagePositionPatient[2]) + 2]
    moved.save_as(paths[3])
    assert stacks(tmp_path / "mri", tmp_path / "c1.json")[0].problem == "slices are not evenly spaced"
    for number, path in enumerate(paths):
        ds = pydicom.dcmread(path)
        ds.SOPInstanceUID = f"1.2.{number}"
        ds.save_as(tmp_path / "mri" / f"again{number}")
    assert stacks(tmp_path / "mri", tmp_path / "c2.json")[0].problem == "2 images at every slice position"


def test_rounding_of_the_direction_cosines_does_not_split_a_series(
    tmp_path: Path, dicom_series: Callable[..., Any]
) -> None:
    dicom_series(tmp_path / "mri", "a")
    for number, path in enumerate(sorted((tmp_path / "mri").iterdir())):
        ds = pydicom.dcmread(path)
        ds.ImageOrientationPatient = [0.99999, 0.00499 + 0.00002 * (number % 2), 0, -0.005, 0.99999, 0]
        ds.save_as(path)
    (stack,) = stacks(tmp_path / "mri", tmp_path / "cache.json")
    assert stack.slices == 20


def test_one_series_with_two_orientations_is_two_stacks(tmp_path: Path, dicom_series: Callable[..., Any]) -> None:
    dicom_series(tmp_path / "mri", "a")
    for path in sorted((tmp_path / "mri").iterdir())[:9]:
        ds = pydicom.dcmread(path)
        ds.ImageOrientationPatient = [0, 1, 0, 0, 0, -1]
        ds.save_as(path)
    assert sorted(len(s.files) for s in stacks(tmp_path / "mri", tmp_path / "cache.json")) == [9, 11]
