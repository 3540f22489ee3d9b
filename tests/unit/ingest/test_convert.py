"""A series as a volume."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pydicom
import pytest

from lmresp.ingest import convert
from lmresp.ingest.assemble import assemble
from lmresp.ingest.convert import UnreadableSeries, load_series


def nifti_record(*names: str) -> dict[str, Any]:
    return {"source": "nifti", "files": list(names), "facts": {}}


def dicom_record(folder: Path, root: Path, slices: int = 20) -> dict[str, Any]:
    files = [str(p.relative_to(root)) for p in sorted(folder.iterdir())]
    return {"source": "dicom", "files": files, "facts": {"rows": 12, "columns": 10, "slices": slices}}


def test_dicom_geometry_and_values_by_hand(tmp_path: Path, dicom_series: Callable[..., Any]) -> None:
    voxels = dicom_series(tmp_path / "in", "a")
    image, notes = load_series(tmp_path, dicom_record(tmp_path / "in", tmp_path))
    assert notes == ["converted with dcm2niix"]
    assert nib.aff2axcodes(image.affine) == ("R", "A", "S")
    assert image.header.get_zooms() == (16.0, 18.0, 9.0)
    # The first pixel of the first slice lies at LPS (-80, -108, -90), that is RAS (80, 108, -90): the last voxel of the
    # right-left and back-front axes, the first of the up-down axis.
    assert np.allclose(image.affine @ [9, 11, 0, 1], [80, 108, -90, 1], atol=1e-3)
    assert np.array_equal(np.asarray(image.dataobj), voxels[::-1, ::-1, :])
    assert image.get_data_dtype() == np.int16


def test_both_readers_agree_also_with_rescaling(tmp_path: Path, dicom_series: Callable[..., Any]) -> None:
    voxels = dicom_series(tmp_path / "in", "a", RescaleSlope="2.5", RescaleIntercept="-7")
    image, _ = load_series(tmp_path, dicom_record(tmp_path / "in", tmp_path))
    data, affine = assemble(sorted((tmp_path / "in").iterdir()))
    assert np.allclose(data, voxels * 2.5 - 7)
    own, _ = convert._canonical(data, affine, [])
    assert np.allclose(image.affine, own.affine, atol=1e-3)
    assert np.allclose(np.asarray(image.dataobj), np.asarray(own.dataobj))


def test_without_dcm2niix_pydicom_takes_over_and_says_so(
    tmp_path: Path, dicom_series: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    voxels = dicom_series(tmp_path / "in", "a")
    monkeypatch.setattr("dcm2niix.bin", str(tmp_path / "absent"))
    image, notes = load_series(tmp_path, dicom_record(tmp_path / "in", tmp_path))
    assert np.array_equal(np.asarray(image.dataobj), voxels[::-1, ::-1, :])
    assert "pydicom" in notes[0]


def test_missing_slices_are_refused_by_number(tmp_path: Path, dicom_series: Callable[..., Any]) -> None:
    dicom_series(tmp_path / "in", "a", leave_out=(5, 12, 13))
    with pytest.raises(UnreadableSeries, match="3 of 20 slices are missing"):
        load_series(tmp_path, dicom_record(tmp_path / "in", tmp_path))


def test_truncated_pixels_are_refused(tmp_path: Path, dicom_series: Callable[..., Any]) -> None:
    dicom_series(tmp_path / "in", "a")
    path = sorted((tmp_path / "in").iterdir())[4]
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(UnreadableSeries, match="cannot be decoded"):
        load_series(tmp_path, dicom_record(tmp_path / "in", tmp_path))


def test_a_claim_of_too_many_voxels_is_refused_before_reading(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"x")
    record = {"source": "dicom", "files": ["a"], "facts": {"rows": 65535, "columns": 65535, "slices": 1000}}
    with pytest.raises(UnreadableSeries, match="more than the limit"):
        load_series(tmp_path, record)


def test_no_text_of_a_dicom_header_is_in_the_volume(tmp_path: Path, dicom_series: Callable[..., Any]) -> None:
    dicom_series(
        tmp_path / "in",
        "a",
        PatientName="CANARY^JANE",
        PatientID="CANARY",
        SeriesDescription="CANARY",
        ImageComments="CANARY",
    )
    image, notes = load_series(tmp_path, dicom_record(tmp_path / "in", tmp_path))
    assert b"CANARY" not in image.to_bytes()
    assert "CANARY" not in str(notes)


def test_no_text_of_a_nifti_header_is_in_the_volume(tmp_path: Path, nifti_file: Callable[..., Path]) -> None:
    path = nifti_file(tmp_path / "a.nii")
    assert b"CANARY" in path.read_bytes()
    image, _ = load_series(tmp_path, nifti_record("a.nii"))
    assert b"CANARY" not in image.to_bytes()
    assert image.header.get_xyzt_units()[0] == "mm"


def test_nifti_is_turned_to_ras(tmp_path: Path, nifti_file: Callable[..., Path]) -> None:
    path = nifti_file(tmp_path / "a.nii.gz")
    source = np.asarray(nib.load(path).dataobj)
    image, _ = load_series(tmp_path, nifti_record("a.nii.gz"))
    assert nib.aff2axcodes(image.affine) == ("R", "A", "S")
    assert np.array_equal(np.asarray(image.dataobj), source[::-1])


def test_one_volume_in_four_dimensions_is_taken(tmp_path: Path, nifti_file: Callable[..., Path]) -> None:
    nifti_file(tmp_path / "a.nii.gz", shape=(20, 24, 20, 1))
    assert load_series(tmp_path, nifti_record("a.nii.gz"))[0].shape == (20, 24, 20)


def _save(path: Path, data: Any, affine: Any = None) -> None:
    nib.save(nib.Nifti1Image(data, np.eye(4) * [3, 3, 3, 1] if affine is None else affine), path)


def _float(value: float) -> Any:
    data = np.arange(12 * 12 * 12, dtype=np.float32).reshape(12, 12, 12)
    data[3, 4, 5] = value
    return data


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (_float(np.nan), "1 of 1728 voxels are not finite"),
        (_float(-np.inf), "1 of 1728 voxels are not finite"),
        (_float(3e38), "beyond 1e30"),
        (np.zeros((12, 12, 12), np.int16), "same value"),
        (np.ones((12, 12, 1), np.int16), "no volume"),
        (np.zeros((12, 12, 12, 3), np.int16), "more than one volume"),
        (np.zeros((12, 12, 12, 1, 3), np.float32), "more than one volume"),
        (np.zeros((12, 12, 12), np.complex64), "no grey values"),
    ],
)
def test_values_that_are_no_volume_are_refused(tmp_path: Path, data: Any, reason: str) -> None:
    _save(tmp_path / "a.nii.gz", data)
    with pytest.raises(UnreadableSeries, match=reason):
        load_series(tmp_path, nifti_record("a.nii.gz"))


def test_large_integers_become_float_without_wrapping(tmp_path: Path) -> None:
    data = np.arange(12 * 12 * 12, dtype=np.uint16).reshape(12, 12, 12)
    data[0, 0, 0] = 65535
    _save(tmp_path / "a.nii.gz", data)
    image, _ = load_series(tmp_path, nifti_record("a.nii.gz"))
    assert image.get_data_dtype() == np.float32
    assert float(np.asarray(image.dataobj).max()) == 65535.0


@pytest.mark.parametrize("keep", [0, 10, 400, 2000])
def test_a_truncated_archive_is_refused(tmp_path: Path, nifti_file: Callable[..., Path], keep: int) -> None:
    path = nifti_file(tmp_path / "a.nii.gz")
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(UnreadableSeries, match=r"damaged|cut short"):
        load_series(tmp_path, nifti_record("a.nii.gz"))


def test_an_archive_that_unpacks_to_less_than_its_header_says_is_refused(tmp_path: Path) -> None:
    _save(tmp_path / "b.nii", np.arange(12 * 12 * 12, dtype=np.int16).reshape(12, 12, 12))
    (tmp_path / "a.nii.gz").write_bytes(gzip.compress((tmp_path / "b.nii").read_bytes()[:-1000]))
    with pytest.raises(UnreadableSeries, match="cut short"):
        load_series(tmp_path, nifti_record("a.nii.gz"))


def test_a_vanished_file_is_a_reason_and_not_a_crash(tmp_path: Path) -> None:
    with pytest.raises(UnreadableSeries, match="is gone"):
        load_series(tmp_path, nifti_record("a.nii.gz"))


def test_enhanced_multiframe_by_hand(tmp_path: Path, dicom_series: Callable[..., Any]) -> None:
    """Frames stored top to bottom, positions per frame, the rest shared (DICOM PS3.3 A.36)."""
    voxels = dicom_series(tmp_path / "in", "a")
    slices = sorted((pydicom.dcmread(p) for p in (tmp_path / "in").iterdir()), key=lambda d: -d.ImagePositionPatient[2])
    ds = slices[0]
    ds.SOPClassUID = ds.file_meta.MediaStorageSOPClassUID = "1.2.840.10008.5.1.4.1.1.4.1"
    shared, measures, plane = pydicom.Dataset(), pydicom.Dataset(), pydicom.Dataset()
    measures.PixelSpacing, measures.SliceThickness = [18, 16], 9
    plane.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
    shared.PixelMeasuresSequence, shared.PlaneOrientationSequence = [measures], [plane]
    frames = []
    for one in slices:
        place, frame = pydicom.Dataset(), pydicom.Dataset()
        place.ImagePositionPatient = one.ImagePositionPatient
        frame.PlanePositionSequence = [place]
        frames.append(frame)
    ds.PixelData = b"".join(one.PixelData for one in slices)
    ds.NumberOfFrames = len(slices)
    for name in ("ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing", "SliceThickness"):
        delattr(ds, name)
    ds.SharedFunctionalGroupsSequence, ds.PerFrameFunctionalGroupsSequence = [shared], frames
    ds.save_as(tmp_path / "enhanced")
    data, affine = assemble([tmp_path / "enhanced"])
    assert np.array_equal(data, voxels)
    assert np.allclose(affine @ [0, 0, 0, 1], [80, 108, -90, 1])
    record = {"source": "dicom", "files": ["enhanced"], "facts": {"rows": 12, "columns": 10, "slices": 20}}
    image, _ = load_series(tmp_path, record)
    assert np.array_equal(np.asarray(image.dataobj), voxels[::-1, ::-1, :])
