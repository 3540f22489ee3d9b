"""Stacks that lean, are shifted, are compressed or are mosaics, made by hand."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pydicom
import pytest
from pydicom.encaps import encapsulate
from pydicom.uid import JPEG2000Lossless, JPEGBaseline8Bit, RLELossless

from lmresp import store
from lmresp.ingest import right_angles
from lmresp.ingest.assemble import assemble, encoded_size
from lmresp.ingest.convert import UnreadableSeries, load_series
from lmresp.ingest.headers import read_files
from lmresp.ingest.inventory import build_index
from lmresp.ingest.series import classify
from lmresp.ingest.stacks import Stack, build_stacks
from lmresp.terms import Sequence


def only(root: Path, cache: Path) -> Stack:
    files, _ = read_files(root, cache)
    (stack,) = build_stacks([f for f in files if f.header and f.header.kind == "image"])
    return stack


def change(folder: Path, edit: Callable[[pydicom.Dataset], None]) -> None:
    for path in sorted(folder.iterdir()):
        ds = pydicom.dcmread(path)
        edit(ds)
        ds.save_as(path)


def record(stack: Stack) -> dict[str, Any]:
    return {"source": "dicom", "files": stack.files, "facts": stack.facts}


def lean(by_mm: float) -> Callable[[pydicom.Dataset], None]:
    """Shift every slice along its columns (posterior) by so many mm for each slice of 9 mm."""

    def edit(ds: pydicom.Dataset) -> None:
        x, y, z = (float(v) for v in ds.ImagePositionPatient)
        ds.ImagePositionPatient = [x, y + by_mm * (z + 90) / 9, z]

    return edit


def test_gantry_tilt_is_measured_and_corrected_in_the_planes(tmp_path: Path, dicom_series: Callable[..., Any]) -> None:
    """A shift of one pixel (18 mm) for each slice of 9 mm leans by atan(2) = 63 degrees; of 3 mm by atan(1/3)."""
    voxels = dicom_series(tmp_path / "mri/in", "a")
    change(tmp_path / "mri/in", lean(3.0))
    stack = only(tmp_path / "mri", tmp_path / "c1.json")
    assert (stack.tilt_deg, stack.problem) == (18.43, "")
    image, notes = load_series(tmp_path, record(stack))
    assert "gantry tilt" in notes[-1]
    unit = image.affine[:3, :3] / np.sqrt((image.affine[:3, :3] ** 2).sum(axis=0))
    assert np.allclose(np.abs(unit), np.eye(3), atol=1e-6)
    # Every sixth slice is moved by a whole pixel: there the old values stand unchanged at their place in the patient.
    data = np.asarray(image.dataobj)
    for z in (0, 6, 12, 18):
        lps = np.array([-80 + 16 * 4, -108 + 3.0 * z + 18 * 5, -90 + 9 * z])  # column 4, row 5
        i, j, k = np.rint(np.linalg.solve(image.affine, [-lps[0], -lps[1], lps[2], 1])[:3]).astype(int)
        assert np.isclose(data[i, j, k], voxels[4, 5, z], atol=0.01)


def test_a_stack_that_leans_too_far_or_is_scattered_is_not_measured(
    tmp_path: Path, dicom_series: Callable[..., Any]
) -> None:
    dicom_series(tmp_path / "mri/in", "a")
    change(tmp_path / "mri/in", lean(9.0))
    assert "lean by 45 degrees" in only(tmp_path / "mri", tmp_path / "c1.json").problem
    change(tmp_path / "mri/in", lean(-9.0))
    path = sorted((tmp_path / "mri/in").iterdir())[3]
    ds = pydicom.dcmread(path)
    x, y, z = ds.ImagePositionPatient
    ds.ImagePositionPatient = [float(x) + 4, y, z]
    ds.save_as(path)
    assert "shifted sideways" in only(tmp_path / "mri", tmp_path / "c2.json").problem


def test_an_oblique_stack_does_not_lean(tmp_path: Path, dicom_series: Callable[..., Any]) -> None:
    """Rows and columns turned by 20 degrees about the left-right axis, positions along their normal."""
    dicom_series(tmp_path / "mri/in", "a")
    sine, cosine = np.sin(np.radians(20)), np.cos(np.radians(20))

    def turn(ds: pydicom.Dataset) -> None:
        away = float(ds.ImagePositionPatient[2]) + 90
        ds.ImageOrientationPatient = [1, 0, 0, 0, round(float(cosine), 6), round(float(sine), 6)]
        ds.ImagePositionPatient = [-80, round(-108 - sine * away, 4), round(-90 + cosine * away, 4)]

    change(tmp_path / "mri/in", turn)
    stack = only(tmp_path / "mri", tmp_path / "c.json")
    assert (stack.tilt_deg, stack.problem) == (0.0, "")
    assert stack.step_mm == pytest.approx(9.0, abs=1e-3)


def test_a_sheared_nifti_is_resampled_upright(tmp_path: Path) -> None:
    affine = np.array([[2.0, 0, 0, 0], [0, 2.0, 1.0, 0], [0, 0, 4.0, 0], [0, 0, 0, 1]])
    data = np.zeros((20, 24, 16), np.int16)
    data[10, 12, 8] = 1000
    nib.save(nib.Nifti1Image(data, affine), tmp_path / "a.nii")
    image, notes = load_series(tmp_path, {"source": "nifti", "files": ["a.nii"], "facts": {}})
    assert "right angles" in notes[-1]
    assert not right_angles.leans(image.affine)
    centre = affine @ [10, 12, 8, 1]
    found = image.affine @ [*np.unravel_index(np.asarray(image.dataobj).argmax(), image.shape), 1]
    assert np.allclose(found, centre, atol=0.1)  # slice 8 is moved by 8 mm, four whole voxels
    assert np.isclose(np.asarray(image.dataobj).sum(), 1000)


@pytest.mark.parametrize("syntax", [RLELossless, JPEG2000Lossless])
def test_compressed_series_hold_the_same_voxels(tmp_path: Path, dicom_series: Callable[..., Any], syntax: str) -> None:
    """Every pixel is made 8 x 8, as JPEG 2000 needs larger pictures than those of the other tests."""
    voxels = np.kron(dicom_series(tmp_path / "mri/in", "a"), np.ones((8, 8, 1), np.uint16))

    def enlarge(ds: pydicom.Dataset) -> None:
        pixels = np.kron(ds.pixel_array, np.ones((8, 8), np.uint16))
        ds.Rows, ds.Columns = pixels.shape
        ds.PixelSpacing = [18 / 8, 16 / 8]
        ds.PixelData = pixels.tobytes()
        ds.compress(syntax, generate_instance_uid=False)

    change(tmp_path / "mri/in", enlarge)
    stack = only(tmp_path / "mri", tmp_path / "c.json")
    image, _ = load_series(tmp_path, record(stack))
    assert np.array_equal(np.asarray(image.dataobj), voxels[::-1, ::-1, :])
    assert np.array_equal(assemble([tmp_path / f for f in stack.files])[0], voxels)


J2K = b"\xff\x4f\xff\x51\x00\x29\x00\x00" + (65535).to_bytes(4, "big") * 2 + bytes(8)
JPEG = b"\xff\xd8\xff\xe0\x00\x04ab\xff\xc0\x00\x0b\x08\xff\xff\xff\xff\x01"


@pytest.mark.parametrize(
    ("frame", "size"),
    [
        (J2K, (65535, 65535)),
        (JPEG, (65535, 65535)),
        (JPEG[:-3] + b"\x00\x20\x01", (65535, 32)),
        (b"\xff\xd8\xff\xf7\x00\x0b\x10\x00\x40\x00\x20\x01", (64, 32)),
        (b"\xff\xd8\xff", None),
        (b"", None),
        (b"\x01\x00\x00\x00", None),
    ],
)
def test_size_that_a_compressed_frame_claims(frame: bytes, size: tuple[int, int] | None) -> None:
    assert encoded_size(frame) == size


@pytest.mark.parametrize(("frame", "syntax"), [(J2K, JPEG2000Lossless), (JPEG, JPEGBaseline8Bit)])
def test_a_compressed_frame_that_claims_more_than_its_header_is_refused(
    tmp_path: Path, dicom_series: Callable[..., Any], frame: bytes, syntax: str
) -> None:
    dicom_series(tmp_path / "in", "a")
    path = sorted((tmp_path / "in").iterdir())[5]
    ds = pydicom.dcmread(path)
    ds.file_meta.TransferSyntaxUID = syntax
    ds.PixelData = encapsulate([frame])
    ds["PixelData"].VR = "OB"
    ds.save_as(path)
    files = [str(p.relative_to(tmp_path)) for p in sorted((tmp_path / "in").iterdir())]
    facts = {"rows": 12, "columns": 10, "slices": 20}
    with pytest.raises(UnreadableSeries, match="claim 65535 x 65535, the header 12 x 10"):
        load_series(tmp_path, {"source": "dicom", "files": files, "facts": facts})


def test_mosaics_are_classed_and_never_measured(tmp_path: Path, dicom_series: Callable[..., Any]) -> None:
    kind = ["ORIGINAL", "PRIMARY", "M", "ND", "MOSAIC"]
    echo = {"ScanningSequence": "EP", "EchoTime": 30, "InversionTime": None, "ImageType": kind}
    dicom_series(tmp_path / "mri/in", "a", SeriesDescription="ep2d_diff_b1000", **echo)
    stack = only(tmp_path / "mri", tmp_path / "c.json")
    assert "mosaic" in stack.problem
    assert classify(stack.header).sequence is Sequence.DWI
    dicom_series(tmp_path / "other/in", "b", SeriesDescription="t1 mprage", ImageType=kind)
    stack = only(tmp_path / "other", tmp_path / "d.json")
    assert "mosaic" in stack.problem
    assert classify(stack.header).sequence is Sequence.OTHER


@pytest.mark.parametrize(
    ("tags", "expected"),
    [
        ({"SeriesDescription": "t1_space_sag_p2_iso"}, True),
        ({"SeriesDescription": "T1 vista", "ScanningSequence": "SE", "InversionTime": None}, True),
        ({"SeriesDescription": "t1", "ScanningSequence": "SE", "MRAcquisitionType": "3D"}, True),
        ({"SeriesDescription": "t1 tse", "ScanningSequence": "SE", "MRAcquisitionType": "2D"}, False),
        ({"SeriesDescription": "t1 mprage"}, False),
    ],
)
def test_black_blood_is_a_fact_of_the_series(
    tmp_path: Path, dicom_series: Callable[..., Any], tags: dict[str, Any], expected: bool
) -> None:
    dicom_series(tmp_path / "mri/in", "a", **tags)
    assert only(tmp_path / "mri", tmp_path / "c.json").facts["black_blood"] is expected


@pytest.mark.parametrize("position", [0, 19])
def test_a_damaged_file_at_the_end_of_a_series_makes_it_incomplete(
    study: Any, dicom_series: Callable[..., Any], position: int
) -> None:
    """No gap between the other slices would tell of it."""
    folder = study.mri_folder / "S-01"
    dicom_series(folder, "a", ContrastBolusAgent="gadobutrol")
    path = next(p for p in sorted(folder.iterdir()) if pydicom.dcmread(p).InstanceNumber == position + 1)
    content = path.read_bytes()
    path.write_bytes(content[: content.find(b"\x28\x00\x02\x00US")])  # cut before the pixel description
    visit = {"subject_id": "S-01", "visit": "BL", "visit_num": "1", "start_dtc": "2024-01-02", "status": "DONE"}
    build_index(study, {"subjects": [{"subject_id": "S-01"}], "visits": [visit]})
    queries = store.read_csv(study.results / "work/index.queries.csv")
    assert {"SC001", "SC008"} <= {q["code"] for q in queries}
    assert "1 of its files cannot be read" in next(q["message"] for q in queries if q["code"] == "SC008")
