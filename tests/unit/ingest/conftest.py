"""Small DICOM series and studies made on the spot, for the tests of ingest."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, generate_uid

from lmresp.ingest.study import Study

Series = Callable[..., np.ndarray]


@pytest.fixture
def study(tmp_path: Path) -> Study:
    """An empty study folder."""
    (tmp_path / "study" / "mri").mkdir(parents=True)
    return Study(folder=tmp_path / "study", study_id="LM-1", data_cut="2025-12-31")


@pytest.fixture
def tables_study(tmp_path: Path) -> Study:
    """A study folder for tables only."""
    (tmp_path / "tables").mkdir()
    return Study(folder=tmp_path, study_id="LM-1", data_cut="2024-06-30")


def _dataset(seed: str, number: int, tags: dict[str, Any]) -> Dataset:
    ds = Dataset()
    ds.SOPClassUID = "1.2.840.10008.5.1.4.1.1.4"
    ds.StudyInstanceUID = generate_uid(entropy_srcs=[tags.pop("study", seed)])
    ds.SeriesInstanceUID = generate_uid(entropy_srcs=[seed, "series"])
    ds.SOPInstanceUID = generate_uid(entropy_srcs=[seed, str(number)])
    ds.Modality, ds.PatientID, ds.PatientName = "MR", "", ""
    ds.StudyDate, ds.AcquisitionTime = "20240105", "100000"
    ds.ImageType = ["ORIGINAL", "PRIMARY", "M"]
    ds.ScanningSequence, ds.SequenceVariant, ds.MRAcquisitionType = ["GR", "IR"], "MP", "3D"
    ds.EchoTime, ds.RepetitionTime, ds.InversionTime = 3, 2000, 900
    ds.BodyPartExamined, ds.SeriesDescription = "BRAIN", "t1 mprage"
    for name, value in tags.items():
        setattr(ds, name, value)
    return ds


@pytest.fixture
def dicom_series() -> Series:
    """Write a classic axial DICOM series of 20 slices, 12 x 10 pixels, voxels 18 x 16 x 9 mm (rows, columns, slices).

    Returns the function ``write(folder, seed, leave_out=(), **tags)``; it gives the voxels as (columns, rows, slices).
    """

    def write(folder: Path, seed: str, leave_out: Sequence[int] = (), **tags: Any) -> np.ndarray:
        folder.mkdir(parents=True, exist_ok=True)
        rng = np.random.default_rng(sum(seed.encode()))
        voxels = rng.integers(0, 900, size=(10, 12, 20), dtype=np.uint16)
        for z in range(20):
            if z in leave_out:
                continue
            ds = _dataset(seed, z, dict(tags))
            ds.file_meta = FileMetaDataset()
            ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
            ds.file_meta.MediaStorageSOPClassUID = ds.SOPClassUID
            ds.file_meta.MediaStorageSOPInstanceUID = ds.SOPInstanceUID
            ds.ImageOrientationPatient, ds.ImagePositionPatient = [1, 0, 0, 0, 1, 0], [-80, -108, -90 + 9 * z]
            ds.PixelSpacing, ds.SliceThickness, ds.InstanceNumber = [18, 16], 9, z + 1
            ds.SamplesPerPixel, ds.PhotometricInterpretation = 1, "MONOCHROME2"
            ds.Rows, ds.Columns = 12, 10
            ds.BitsAllocated, ds.BitsStored, ds.HighBit, ds.PixelRepresentation = 16, 12, 11, 0
            ds.PixelData = voxels[:, :, z].T.tobytes()
            ds.save_as(
                folder / f"im{(z * 7) % 20:03d}{seed}", enforce_file_format=True
            )  # order of names is not of slices
        return voxels

    return write


@pytest.fixture
def nifti_file() -> Callable[..., Path]:
    """Write a NIfTI head of 20 x 24 x 20 voxels of 9 mm; returns ``write(path, **changes)``."""

    def write(path: Path, *, shape: tuple[int, ...] = (20, 24, 20), seed: int = 0, affine: Any = None) -> Path:
        path.parent.mkdir(parents=True, exist_ok=True)
        data = np.random.default_rng([seed, sum(str(path.name).encode())]).integers(0, 900, size=shape).astype(np.int16)
        image = nib.Nifti1Image(data, np.diag([-9.0, 9.0, 9.0, 1.0]) if affine is None else affine)
        image.header["descrip"] = b"CANARY^JANE"
        image.header["aux_file"] = b"CANARY^JANE"
        image.header.extensions.append(nib.nifti1.Nifti1Extension("comment", b"CANARY^JANE"))
        nib.save(image, path)
        return path

    return write
