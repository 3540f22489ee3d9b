"""Looking at images that came from a PACS before they are believed."""

from __future__ import annotations

import os
from pathlib import Path

from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.uid import EnhancedMRImageStorage, MRImageStorage

from lmresp.pacs.link import is_uid, label

MR_CLASSES = (MRImageStorage, EnhancedMRImageStorage)


class ForeignError(Exception):
    """An image of another patient came."""


class UnfitError(Exception):
    """An image is damaged, or not one of the series; the message says which and holds nothing from the file."""


def settle(folder: Path, patient_id: str, study: str, series: str) -> int:
    """Check every file of a series that came, and give it its name for good.

    Parameters
    ----------
    folder : Path
        Where the files are, as ``*.dcm``; afterwards each is named after the hash of its SOP Instance UID.
    patient_id, study, series : str
        What was asked for.

    Returns
    -------
    int
        Number of different images; of two files with the same UID, one stays.

    Raises
    ------
    ForeignError
        If an image has another PatientID.
    UnfitError
        If an image cannot be read, is cut short, is no MR image, or is of another study or series.
    """
    names: set[str] = set()
    for path in sorted(folder.iterdir()):
        uid = _uid_of(path, patient_id, study, series)
        names.add(label(uid))
        _flush(path)
        path.rename(path.with_name(f"{label(uid)}.checked"))
    for path in sorted(folder.glob("*.checked")):
        path.rename(path.with_suffix(".dcm"))
    return len(names)


def _uid_of(path: Path, patient_id: str, study: str, series: str) -> str:
    try:
        ds = dcmread(path)
        whole = _is_whole(ds)
        found = [str(ds.get(name, "")) for name in ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID")]
        kind, patient = str(ds.get("SOPClassUID", "")), str(ds.get("PatientID", "")).strip()
    except Exception:  # whatever a damaged file raises
        raise UnfitError("an image cannot be read") from None
    if not kind:
        raise UnfitError("an image is cut short")  # inside a compressed one: pydicom then keeps nothing at all
    if patient != patient_id:
        raise ForeignError
    if found[:2] != [study, series] or not is_uid(found[2]):
        raise UnfitError("an image of another series came with it")
    if kind not in MR_CLASSES:
        raise UnfitError("an object that is no MR image came with it")
    if not whole:
        raise UnfitError("an image is cut short")
    return found[2]


def _flush(path: Path) -> None:
    """Wait until a file is on the disk: what is renamed into place is whole even after a power cut."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _is_whole(ds: Dataset) -> bool:
    """Whether the pixels are all there; compressed ones are, as their end was found."""
    pixels = ds.get("PixelData")
    if not pixels:
        return False
    if ds.file_meta.TransferSyntaxUID.is_compressed and "Deflated" not in ds.file_meta.TransferSyntaxUID.name:
        return True
    bits = int(ds.Rows) * int(ds.Columns) * int(ds.get("NumberOfFrames") or 1) * int(ds.BitsAllocated)
    return len(pixels) * 8 >= bits * int(ds.get("SamplesPerPixel", 1))


def count(folder: Path) -> int:
    """Number of images of a series that was fetched earlier."""
    return sum(1 for _ in folder.glob("*.dcm"))
