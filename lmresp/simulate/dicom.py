"""Phantom series as classic single-frame MR DICOM, with headers such as a scanner writes and an invented identity.

The identity is there to be removed: PatientName begins with ``PHANTOM^`` in every file, so that a test can look for it
in everything that lmresp writes.
"""

from __future__ import annotations

import dataclasses
import hashlib
from pathlib import Path
from typing import Any

import numpy as np
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.uid import UID, ExplicitVRLittleEndian, MRImageStorage

from lmresp.simulate import tissues
from lmresp.terms import Sequence

CONTRAST_AGENT = "gadobutrol"
DESCRIPTIONS = {
    Sequence.T1_PRE: "t1_mprage_tra",
    Sequence.T1_POST: "t1_mprage_tra +C",
    Sequence.FLAIR: "t2_flair_tra",
    Sequence.T2: "t2_tse_tra",
}
BLACK_BLOOD_DESCRIPTION = "t1_space_bb_tra"
COMMENT = "SIMULATED phantom, no person"
SERIES_NUMBERS = {Sequence.T1_PRE: 2, Sequence.FLAIR: 3, Sequence.T2: 4, Sequence.T1_POST: 7}


@dataclasses.dataclass(frozen=True)
class Identity:
    """Whose scan it is: subject, date as YYYYMMDD, and the invented name that must not survive."""

    subject_id: str
    date: str
    name: str


def uid(*parts: object) -> UID:
    """Make a UID from its parts: ``2.25.`` and 128 bits of their SHA-256 (DICOM PS3.5 B.2), so that it repeats."""
    digest = hashlib.sha256("/".join(str(p) for p in parts).encode()).digest()
    return UID(f"2.25.{int.from_bytes(digest[:16], 'big')}")


@dataclasses.dataclass(frozen=True)
class Series:
    """One series: the int16 image (axes right, anterior, superior, no rotation) and what its header says."""

    image: Any
    sequence: Sequence
    thickness_mm: float
    black_blood: bool = False

    @property
    def description(self) -> str:
        """SeriesDescription."""
        if not self.black_blood:
            return DESCRIPTIONS[self.sequence]
        return BLACK_BLOOD_DESCRIPTION + (" +C" if self.sequence is Sequence.T1_POST else "")

    def timing(self) -> dict[str, Any]:
        """Sequence fields of DICOM, times in ms."""
        return timing(self.sequence, self.black_blood)


def timing(sequence: Sequence, black_blood: bool = False) -> dict[str, Any]:
    """Sequence fields of DICOM (times in ms) for one of the phantom's series; black blood is a spin echo.

    Returns
    -------
    dict
        DICOM keyword to value; ``ContrastBolusAgent`` is there for ``T1_POST`` only.
    """
    if sequence in (Sequence.T1_PRE, Sequence.T1_POST):
        fields: dict[str, Any] = {
            "ScanningSequence": ["GR", "IR"],
            "SequenceVariant": ["SP", "MP"],
            "MRAcquisitionType": "3D",
            "RepetitionTime": tissues.T1_TR * 1000,
            "EchoTime": tissues.T1_TE * 1000,
            "InversionTime": tissues.T1_TI * 1000,
            "FlipAngle": 9.0,
        }
    elif sequence is Sequence.FLAIR:
        fields = {
            "ScanningSequence": ["SE", "IR"],
            "SequenceVariant": ["SK", "SP"],
            "MRAcquisitionType": "2D",
            "RepetitionTime": tissues.FLAIR_TR * 1000,
            "EchoTime": tissues.FLAIR_TE * 1000,
            "InversionTime": tissues.FLAIR_TI * 1000,
            "FlipAngle": 150.0,
        }
    else:
        fields = {
            "ScanningSequence": ["SE"],
            "SequenceVariant": ["SK", "SP"],
            "MRAcquisitionType": "2D",
            "RepetitionTime": tissues.T2_TR * 1000,
            "EchoTime": tissues.T2_TE * 1000,
            "FlipAngle": 150.0,
        }
    if black_blood:
        fields |= {"ScanningSequence": ["SE", "IR"], "SequenceVariant": ["SK", "SP"]}
    if sequence is Sequence.T1_POST:
        fields["ContrastBolusAgent"] = CONTRAST_AGENT
    return {key: round(value, 6) if isinstance(value, float) else value for key, value in fields.items()}


def _common(series: Series, identity: Identity) -> Dataset:
    """Fields that all slices of a series share."""
    sequence = series.sequence
    edges = [float(e) for e in series.image.header.get_zooms()[:3]]
    number = SERIES_NUMBERS[sequence]
    ds = Dataset()
    ds.SOPClassUID = MRImageStorage
    ds.StudyInstanceUID = uid("study", identity.subject_id, identity.date)
    ds.SeriesInstanceUID = uid("series", identity.subject_id, identity.date, sequence)
    ds.FrameOfReferenceUID = uid("frame", identity.subject_id, identity.date)
    ds.PatientID = identity.subject_id
    ds.PatientName = identity.name
    ds.PatientBirthDate = "19010101"
    ds.PatientSex = "O"
    ds.InstitutionName = "PHANTOM HOSPITAL"
    ds.ReferringPhysicianName = "PHANTOM^REFERRER"
    ds.AccessionNumber = ""
    ds.StudyID = "1"
    ds.StudyDate = ds.SeriesDate = ds.AcquisitionDate = ds.ContentDate = identity.date
    ds.StudyTime = "100000"
    ds.SeriesTime = ds.AcquisitionTime = ds.ContentTime = f"10{5 * number:02d}00"
    ds.Modality = "MR"
    ds.Manufacturer = "lmresp phantom"
    ds.MagneticFieldStrength = 3.0
    ds.ImageType = ["ORIGINAL", "PRIMARY", "M", "NORM"]
    ds.BodyPartExamined = "HEAD"
    ds.PatientPosition = "HFS"
    ds.SeriesDescription = ds.ProtocolName = series.description
    ds.ImageComments = COMMENT
    ds.SeriesNumber = number
    for keyword, value in series.timing().items():
        setattr(ds, keyword, value)
    ds.PixelSpacing = [edges[1], edges[0]]
    ds.SliceThickness, ds.SpacingBetweenSlices = series.thickness_mm, edges[2]
    ds.SamplesPerPixel = 1
    ds.PhotometricInterpretation = "MONOCHROME2"
    ds.BitsAllocated, ds.BitsStored, ds.HighBit, ds.PixelRepresentation = 16, 16, 15, 1
    return ds


def write_series(series: Series, identity: Identity, folder: Path) -> list[Path]:
    """Write one phantom series as single-frame DICOM files.

    Parameters
    ----------
    series : Series
        The picture and what it is.
    identity : Identity
        Subject, date and invented name.
    folder : Path
        Where the files go, flat. Their names are hashes: they say nothing, and sort at random.

    Returns
    -------
    list of Path
        The files, from the lowest slice to the highest.

    Notes
    -----
    DICOM counts towards left, posterior, superior; rows and columns are turned accordingly, so that the image is
    upright on a radiologist's screen.
    """
    image, sequence = series.image, series.sequence
    data = np.asarray(image.dataobj)
    nx, ny, nz = data.shape
    folder.mkdir(parents=True, exist_ok=True)
    common = _common(series, identity)
    files = []
    for k in range(nz):
        corner = image.affine @ np.array([nx - 1, ny - 1, k, 1.0])
        meta = FileMetaDataset()
        meta.MediaStorageSOPClassUID = MRImageStorage
        meta.MediaStorageSOPInstanceUID = uid("image", identity.subject_id, identity.date, sequence, k)
        meta.TransferSyntaxUID = ExplicitVRLittleEndian
        meta.ImplementationClassUID = uid("lmresp")
        meta.ImplementationVersionName = "LMRESP_PHANTOM"
        path = folder / hashlib.sha256(meta.MediaStorageSOPInstanceUID.encode()).hexdigest()[:12]
        ds = FileDataset(str(path), common, file_meta=meta, preamble=b"\0" * 128)
        ds.SOPInstanceUID = meta.MediaStorageSOPInstanceUID
        ds.InstanceNumber = k + 1
        ds.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
        ds.ImagePositionPatient = [round(-corner[0], 6), round(-corner[1], 6), round(corner[2], 6)]
        ds.SliceLocation = round(float(corner[2]), 6)
        ds.Rows, ds.Columns = ny, nx
        ds.PixelData = np.ascontiguousarray(data[::-1, ::-1, k].T).astype("<i2").tobytes()
        ds.save_as(path, enforce_file_format=True)
        files.append(path)
    return files
