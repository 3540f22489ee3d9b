"""Objects on real scanner series: valid, in the right study, and a nodule where it was put, seen by another reader."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest

from lmresp.dicom.instance import When, encoded
from lmresp.dicom.pdf import encapsulated
from lmresp.dicom.scan import LockedRead, Scan, objects
from lmresp.dicom.source import Source, load_source, source_of
from lmresp.ingest.unreadable import UnreadableSeries
from lmresp.mri.volume import Volume
from tests.unit.dicom.made import entry, faults, header, nodule, result, seen_by_dcmqi

SERIES = ["philips_ingenia_classic_t1_mprage", "siemens_xa30_enhanced_t1", "toshiba_galan_classic_b0"]
LONG = 20.0


def _source(shared_data: Path, name: str) -> Source:
    folder = shared_data / "dicom" / name
    if not folder.is_dir():
        pytest.skip(f"real DICOM not found: {folder}")
    return load_source(folder, {"source": "dicom", "files": sorted(p.name for p in folder.iterdir())})


def _middle(source: Source) -> np.ndarray:
    """Middle of the stack in mm, RAS+."""
    ends = [plane @ [(source.columns - 1) / 2, (source.rows - 1) / 2, 0, 1] for plane in source.planes]
    return np.asarray(np.mean(ends, axis=0)[:3])


def _ball(centre: np.ndarray) -> Volume:
    affine = np.diag([2.0, 2.0, 2.0, 1.0])
    affine[:3, 3] = centre - 40
    index = np.stack(np.meshgrid(*[np.arange(41)] * 3, indexing="ij"), axis=-1)
    inside = np.linalg.norm(index * 2.0 - 40, axis=-1) < LONG / 2
    return Volume(np.where(inside, 2, 0).astype(np.float32), affine)


def _scan(source: Source, centre: np.ndarray) -> Scan:
    found: dict[str, Any] = {
        **result(),
        "findings": [nodule(1, centre, center_mm=[float(v) for v in centre], long_mm=LONG)],
        "geometry": {"to_common": np.eye(4).tolist(), "to_template": np.eye(4).tolist(), "aligned": True},
    }
    read = LockedRead(entry(), "2026-11-21T20:01:02.000003Z")
    return Scan("LM-TEST", "2025-06-30", "c" * 64, found, source, _ball(centre), (), [read])


@pytest.mark.parametrize("name", SERIES)
def test_objects_of_a_real_series(shared_data: Path, tmp_path: Path, name: str) -> None:
    source = _source(shared_data, name)
    middle = _middle(source)
    first = pydicom.dcmread(sorted((shared_data / "dicom" / name).iterdir())[0], stop_before_pixels=True)
    for side in (+1, -1):
        centre = middle + np.array([side * 25.0, 8.0, 6.0])
        files, found = objects(_scan(source, centre))
        assert not found
        folder = tmp_path / str(side)
        folder.mkdir()
        for file, content in files.items():
            (folder / file).write_bytes(content)
            ds = pydicom.dcmread(folder / file)
            assert ds.StudyInstanceUID == first.StudyInstanceUID
            assert str(ds.PatientName) == str(first.get("PatientName", ""))
            assert faults(folder / file) == [], file
        image = seen_by_dcmqi(folder / "seg.dcm", folder / "dcmqi")[2]
        places = np.argwhere(np.asarray(image.dataobj) > 0)
        seen = (image.affine @ [*places.mean(axis=0), 1.0])[:3]
        assert np.abs(seen - centre).max() < 1.0
        mm3 = len(places) * abs(np.linalg.det(image.affine[:3, :3]))
        assert mm3 == pytest.approx(4 / 3 * np.pi * (LONG / 2) ** 3, rel=0.08)


@pytest.mark.parametrize("name", ["siemens_xa30_nonimage_sr", "charsets"])
def test_what_is_no_image_is_a_reason(shared_data: Path, name: str) -> None:
    folder = shared_data / "dicom" / name
    for path in sorted(folder.iterdir()):
        with pytest.raises(UnreadableSeries, match=r"no |cannot be read"):
            load_source(folder, {"source": "dicom", "files": [path.name]})


def test_odd_and_broken_files_never_raise_anything_else(shared_data: Path) -> None:
    folder, readable = shared_data / "dicom" / "odd_or_broken", 0
    for path in sorted(folder.iterdir()):
        with contextlib.suppress(UnreadableSeries):
            readable += bool(load_source(folder, {"source": "dicom", "files": [path.name]}).planes)
    assert readable < 18


def test_names_in_seventeen_character_sets_arrive_in_utf_8(shared_data: Path, tmp_path: Path) -> None:
    seen = 0
    for path in sorted((shared_data / "dicom" / "charsets").iterdir()):
        given = pydicom.dcmread(path, force=True)
        if "PatientName" not in given:
            continue
        ds = header(0)
        for keyword in ("SpecificCharacterSet", "PatientName"):
            if keyword in given:
                ds[keyword] = given[keyword]
        ds.decode()
        ds.Rows, ds.Columns, ds.PixelSpacing = 8, 8, [1, 1]
        ds.ImageOrientationPatient, ds.ImagePositionPatient = [1, 0, 0, 0, 1, 0], [0, 0, 0]
        written = encapsulated(b"%PDF-", "title", source_of([ds]), When("20240101", "000000"))
        (tmp_path / "name.dcm").write_bytes(encoded(written))
        back = pydicom.dcmread(tmp_path / "name.dcm")
        assert back.SpecificCharacterSet == "ISO_IR 192"
        given.decode()
        assert str(back.PatientName) == str(given.PatientName), path.name
        seen += 1
    assert seen > 10
