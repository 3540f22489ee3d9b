"""A phantom series written as DICOM reads back as the same picture at the same place."""

from __future__ import annotations

import nibabel as nib
import numpy as np
import pydicom
import pytest

from lmresp.simulate.dicom import Identity, Series, uid, write_series
from lmresp.terms import Sequence

WHO = Identity("LM-77", "20240305", "PHANTOM^LM-77")


@pytest.fixture
def image():
    data = np.random.default_rng(3).integers(0, 900, (6, 8, 5), dtype=np.int16)
    affine = np.array([[2.0, 0, 0, -11], [0, 2.5, 0, -20], [0, 0, 4.0, 7], [0, 0, 0, 1]])
    return nib.Nifti1Image(data, affine)


def test_pixels_and_positions(image, tmp_path):
    files = write_series(Series(image, Sequence.T1_POST, 4.0), WHO, tmp_path)
    data = np.asarray(image.dataobj)
    for k, path in enumerate(files):
        ds = pydicom.dcmread(path)
        pixels = ds.pixel_array
        row_way, column_way = np.array(ds.ImageOrientationPatient[:3]), np.array(ds.ImageOrientationPatient[3:])
        for row, column in ((0, 0), (3, 1), (7, 5)):
            # DICOM PS3.3 C.7.6.2.1.1: position + row way * column spacing * column + column way * row spacing * row
            lps = np.array(ds.ImagePositionPatient, dtype=float)
            lps = lps + row_way * ds.PixelSpacing[1] * column + column_way * ds.PixelSpacing[0] * row
            ras = lps * [-1, -1, 1]
            i, j, slice_ = np.round(np.linalg.inv(image.affine) @ [*ras, 1])[:3].astype(int)
            assert slice_ == k
            assert pixels[row, column] == data[i, j, k]


def test_header(image, tmp_path):
    headers = {
        sequence: pydicom.dcmread(write_series(Series(image, sequence, 4.0), WHO, tmp_path)[0], stop_before_pixels=True)
        for sequence in (Sequence.T1_PRE, Sequence.T1_POST, Sequence.FLAIR, Sequence.T2)
    }
    assert [s for s, ds in headers.items() if "ContrastBolusAgent" in ds] == [Sequence.T1_POST]
    assert headers[Sequence.FLAIR].InversionTime == 1800
    assert headers[Sequence.T2].EchoTime == 100
    assert len({ds.SeriesInstanceUID for ds in headers.values()}) == 4
    assert len({ds.StudyInstanceUID for ds in headers.values()}) == 1
    for ds in headers.values():
        assert str(ds.PatientName).startswith("PHANTOM^")
        assert ds.PatientID == "LM-77"
        assert ds.SliceThickness == 4
        assert list(ds.PixelSpacing) == [2.5, 2.0]


def test_same_input_same_files_with_names_that_say_nothing(image, tmp_path):
    first = write_series(Series(image, Sequence.FLAIR, 4.0), WHO, tmp_path / "a")
    second = write_series(Series(image, Sequence.FLAIR, 4.0), WHO, tmp_path / "b")
    assert [p.read_bytes() for p in first] == [p.read_bytes() for p in second]
    assert len({p.name for p in first}) == 5
    assert all("LM" not in p.name and "." not in p.name for p in first)
    assert [p.name for p in first] == [p.name for p in second]


def test_uids_are_valid_and_distinct():
    made = {uid("image", n) for n in range(50)}
    assert len(made) == 50
    assert all(pydicom.uid.UID(u).is_valid for u in made)
