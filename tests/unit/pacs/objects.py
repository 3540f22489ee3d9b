"""Small DICOM objects of an invented person, for tests of the PACS."""

from __future__ import annotations

import io
import warnings

import numpy as np
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.uid import (
    EncapsulatedPDFStorage,
    ExplicitVRLittleEndian,
    MRImageStorage,
    SecondaryCaptureImageStorage,
    SegmentationStorage,
)

PATIENT = "HOSP-4711-XY"
NAME = "IDENTITY^ANNA"
STUDY = "1.2.826.0.1.3680043.8.498.100"
PASSWORD = "sesame-open-7"  # noqa: S105
SECRETS = (PATIENT, NAME, "IDENTITY", STUDY, PASSWORD)
"""What must stand in no message and no file but the images and pacs_subjects.csv."""


def encoded(ds: Dataset) -> bytes:
    """Bytes of a DICOM file."""
    out = io.BytesIO()
    ds.save_as(out, enforce_file_format=True)
    return out.getvalue()


def _assign(ds: Dataset, more: dict[str, object]) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # some of these are wrong on purpose
        for name, value in more.items():
            setattr(ds, name, value)


def blank(sop_class: str, uid: str, **more: object) -> FileDataset:
    """Object of a class with the identity of the invented person."""
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID = sop_class, uid
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    ds = FileDataset("", {}, file_meta=meta, preamble=b"\0" * 128)
    ds.SOPClassUID, ds.SOPInstanceUID = sop_class, uid
    ds.PatientID, ds.PatientName, ds.PatientBirthDate, ds.PatientSex = PATIENT, NAME, "19010101", "O"
    ds.StudyInstanceUID, ds.StudyDate, ds.StudyTime, ds.StudyID, ds.AccessionNumber = (
        STUDY,
        "20240212",
        "100000",
        "1",
        "",
    )
    ds.ReferringPhysicianName = ""
    _assign(ds, more)
    return ds


def mr(series: int, number: int, **more: object) -> FileDataset:
    """MR image ``number`` of series ``series`` of 16 x 16 pixels."""
    uid = f"{STUDY}.{series}.{number}"
    ds = blank(MRImageStorage, uid, Modality="MR", SeriesInstanceUID=f"{STUDY}.{series}", SeriesNumber=series)
    ds.SeriesDescription, ds.InstanceNumber, ds.Manufacturer = f"t1 series {series} of {NAME}", number, "scanner"
    ds.ImagePositionPatient, ds.ImageOrientationPatient = [0, 0, number], [1, 0, 0, 0, 1, 0]
    ds.PixelSpacing, ds.SliceThickness, ds.ImageType = [1, 1], 1, ["ORIGINAL", "PRIMARY"]
    pixels(ds, np.random.default_rng(series * 100 + number).integers(0, 999, (16, 16)).astype("<u2"))
    _assign(ds, more)
    ds.file_meta.MediaStorageSOPInstanceUID = ds.SOPInstanceUID
    ds.file_meta.MediaStorageSOPClassUID = ds.SOPClassUID
    return ds


def pixels(ds: Dataset, values: np.ndarray) -> None:
    """Set grey pixels."""
    ds.Rows, ds.Columns = values.shape
    bits = values.dtype.itemsize * 8
    ds.SamplesPerPixel, ds.PhotometricInterpretation, ds.PixelRepresentation = 1, "MONOCHROME2", 0
    ds.BitsAllocated, ds.BitsStored, ds.HighBit = bits, bits, bits - 1
    ds.PixelData = values.tobytes()


def made(kind: str, number: int = 1, **more: object) -> FileDataset:
    """Object as lmresp makes it: ``seg``, ``sc`` or ``pdf``; as small as a PACS takes it."""
    sop_class = {"seg": SegmentationStorage, "sc": SecondaryCaptureImageStorage, "pdf": EncapsulatedPDFStorage}[kind]
    ds = blank(sop_class, f"2.25.77{number}", SeriesInstanceUID=f"2.25.88{number}", Manufacturer="lmresp")
    ds.Modality, ds.SeriesNumber, ds.InstanceNumber = {"seg": "SEG", "sc": "OT", "pdf": "DOC"}[kind], 9100, 1
    if kind == "pdf":
        ds.EncapsulatedDocument, ds.MIMETypeOfEncapsulatedDocument = b"%PDF-1.4\n%%EOF\n\0", "application/pdf"
    else:
        pixels(ds, np.zeros((8, 8), "u1"))
    _assign(ds, more)
    ds.file_meta.MediaStorageSOPInstanceUID = ds.SOPInstanceUID
    return ds
