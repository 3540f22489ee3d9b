"""A small MR image with a canary in every place where identity can hide."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
from pydicom import datadict
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.sequence import Sequence
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian, MRImageStorage

CANARY = "QZXCANARY"
"""Every canary begins with it; the number behind it tells the place."""
SHORT = "QZXC"
"""What a canary in a date, a time or a number begins with."""
PLACEHOLDERS = {
    "DA": "29991231",
    "TM": "235958.87",
    "DT": "29991231235958",
    "IS": "1987654321",
    "DS": "1987654.32",
    "UI": "1.987.6543.21",
}
"""Valid values that are overwritten by canaries in the finished file, because pydicom writes no broken ones."""
LENGTH = {"AE": 16, "CS": 16, "SH": 16, "LO": 64, "PN": 64, "LT": 64, "ST": 64, "UT": 64, "UC": 64, "UR": 64}
BIRTH = "19470613"
NEEDED = {
    "SpecificCharacterSet",
    "SOPClassUID",
    "ImageType",
    "PhotometricInterpretation",
    "BurnedInAnnotation",
    "ConversionType",
}


def canaries(ds: Dataset, start: int = 0) -> int:
    """Plant a canary in every attribute of the dictionary that holds text; gives the number of the next."""
    number = start
    for tag, (vr, _, _, _, keyword) in sorted(datadict.DicomDictionary.items()):
        if vr in PLACEHOLDERS and keyword and tag not in ds and tag >> 16 > 4 and tag >> 16 not in (0x20, 0x28):
            ds.add_new(tag, vr, PLACEHOLDERS[vr])
        if vr not in LENGTH or not keyword or keyword in NEEDED or tag in ds or tag >> 16 <= 4:
            continue
        number += 1
        value = f"{CANARY}{number:05d}"
        ds.add_new(tag, vr, value if vr != "PN" else value + "^Ann")
    return number


def image(**changes: Any) -> FileDataset:
    """One slice of a thoracic spine, without canaries: valid, 16 x 16 pixels."""
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID = MRImageStorage, "1.2.3.4.5"
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    ds = FileDataset(io.BytesIO(), {}, file_meta=meta, preamble=b"\0" * 128)
    values: dict[str, Any] = {
        "SOPClassUID": MRImageStorage,
        "SOPInstanceUID": "1.2.3.4.5",
        "StudyInstanceUID": "1.2.3.4",
        "SeriesInstanceUID": "1.2.3",
        "FrameOfReferenceUID": "1.2.3.9",
        "Modality": "MR",
        "ImageType": ["ORIGINAL", "PRIMARY", "M", "ND"],
        "PhotometricInterpretation": "MONOCHROME2",
        "SeriesDescription": "t1_tse_sag +C thoracic",
        "PatientName": "Doe^Jane",
        "PatientID": "4711",
        "PatientBirthDate": BIRTH,
        "StudyDate": "20240229",
        "SeriesDate": "20240229",
        "AcquisitionDate": "20240301",
        "AcquisitionTime": "101112.5",
        "AcquisitionDateTime": "20240301101112.5+0100",
        "ContentDate": "202402",
        "ContentTime": "ten",
        "ScanningSequence": "SE",
        "SequenceVariant": "SK",
        "EchoTime": "12",
        "RepetitionTime": "500",
        "MagneticFieldStrength": "3",
        "SliceThickness": "3",
        "PixelSpacing": ["1", "1"],
        "ImagePositionPatient": ["0", "0", "0"],
        "ImageOrientationPatient": ["1", "0", "0", "0", "1", "0"],
        "Rows": 16,
        "Columns": 16,
        "BitsAllocated": 16,
        "BitsStored": 12,
        "HighBit": 11,
        "PixelRepresentation": 0,
        "SamplesPerPixel": 1,
        "InstanceNumber": "1",
    }
    for keyword, value in (values | changes).items():
        setattr(ds, keyword, value)
    ds.PixelData = np.arange(256, dtype="<u2").tobytes()
    return ds


def planted(**changes: Any) -> tuple[FileDataset, int]:
    """The image with canaries in every text attribute, nested three deep, in private groups, curves and overlays."""
    ds = image(**changes)
    number = canaries(ds)
    inner = Dataset()
    number = canaries(inner, number)
    middle = Dataset()
    middle.PurposeOfReferenceCodeSequence = Sequence([inner])
    number = canaries(middle, number)
    outer = Dataset()
    outer.MRImageFrameTypeSequence = Sequence([middle])
    number = canaries(outer, number)
    for keyword in (
        "SharedFunctionalGroupsSequence",
        "RequestAttributesSequence",
        "ReferencedImageSequence",
        "ContentSequence",
    ):
        setattr(ds, keyword, Sequence([outer]))
    block = ds.private_block(0x2001, f"{CANARY} PRIVATE", create=True)
    block.add_new(0x01, "LO", f"{CANARY}00001")
    block.add_new(0x02, "SQ", Sequence([inner]))
    block.add_new(0x03, "OB", f"{CANARY}00002 ".encode())
    for group in (0x6000, 0x6002, 0x5000):
        ds.add_new((group << 16) | 0x4000, "LT", f"{CANARY}00003")
        ds.add_new((group << 16) | 0x3000, "OW", (f"{CANARY}00004".encode()) * 2)
    ds.add_new(
        0x00283006, "US", np.frombuffer(f"{CANARY}00005 ".encode() * 8, dtype="<u2").tolist()
    )  # a text as a table
    ds.add_new(0xFFFCFFFC, "OB", f"{CANARY}00006 ".encode())
    return ds, number


def written(ds: FileDataset, *, implicit: bool = False, padding: bytes = b"") -> bytes:
    """File with canaries around the dataset: preamble, file meta information, behind the pixels, behind the end."""
    ds.file_meta.TransferSyntaxUID = ImplicitVRLittleEndian if implicit else ExplicitVRLittleEndian
    ds.file_meta.SourceApplicationEntityTitle = f"{CANARY}00007"
    ds.file_meta.ImplementationVersionName = f"{CANARY}0008"
    ds.file_meta.ImplementationClassUID = "1.2.3.77"
    ds.file_meta.add_new(0x00020100, "UI", "1.2.3.78")
    ds.file_meta.add_new(0x00020102, "OB", f"{CANARY}00009 ".encode())
    ds.preamble = (f"{CANARY}00010".encode() * 12)[:128]
    ds.PixelData = np.arange(256, dtype="<u2").tobytes() + padding
    out = io.BytesIO()
    ds.save_as(out, enforce_file_format=True)
    content = out.getvalue()
    for value in PLACEHOLDERS.values():
        content = content.replace(value.encode(), f"{SHORT}{value[len(SHORT) :].replace('.', 'Z')}".encode())
    return content + f"{CANARY}00011".encode() * 3


def secrets_in(content: bytes) -> list[str]:
    """Names of the encodings in which a canary, the birth date, the name or an old identifier is found."""
    words = (CANARY, SHORT, BIRTH, "Doe", "1.2.3.4", "20240229", "20240301", "4711")
    encodings = ("utf-8", "utf-16-le", "utf-16-be", "utf-32-le")
    return [f"{word} in {name}" for word in words for name in encodings if word.encode(name) in content]


def all_bytes(folder: Path) -> bytes:
    """Names and contents of every file below a folder."""
    import gzip

    out = []
    for path in sorted(folder.rglob("*")):
        out.append(str(path.relative_to(folder)).encode())
        if path.is_file():
            raw = path.read_bytes()
            out.append(raw)
            if raw[:2] == b"\x1f\x8b":
                out.append(gzip.decompress(raw))
    return b"\n".join(out)
