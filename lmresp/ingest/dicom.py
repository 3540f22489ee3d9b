"""DICOM headers: from a file to the few facts that lmresp keeps of it.

A header is read by an allow-list. Of free text only the labels of the words in ``series_rules.yaml`` are kept,
unique identifiers and the PatientID are hashed. Nothing else leaves this module, so nothing else can reach a cache, a
record or a log.
"""

from __future__ import annotations

import re
import warnings
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
from pydicom import config as pydicom_config
from pydicom.dataset import Dataset

from lmresp.ingest.contrast import contrast_facts
from lmresp.ingest.dicom_values import integer, number, text, values, walk
from lmresp.ingest.header import Header, identifier_hash, labels, limit, rules, short_hash, valid_date
from lmresp.ingest.unreadable import UnreadableSeries
from lmresp.terms import BodyPart

MR_CLASSES = {
    "1.2.840.10008.5.1.4.1.1.4",  # MR Image
    "1.2.840.10008.5.1.4.1.1.4.1",  # Enhanced MR Image
    "1.2.840.10008.5.1.4.1.1.4.4",  # Legacy Converted Enhanced MR Image
}
DEFLATED_SYNTAX = b"1.2.840.10008.1.2.1.99"
DIRECTORY_CLASS = "1.2.840.10008.1.3.10"
CODED = {
    "ScanningSequence": {"SE", "IR", "GR", "EP", "RM"},
    "SequenceVariant": {"SK", "MTC", "SS", "TRSS", "SP", "MP", "OSP"},
}


def looks_like_dicom(path: Path) -> bool:
    """Tell from the first bytes whether a file may be DICOM, with or without a preamble.

    Without a preamble the file must begin with an element of group 0002 or 0008, in either byte order
    (DICOM PS3.10 section 7.1; files without it are common in old archives).
    """
    with open(path, "rb") as handle:
        start = handle.read(132)
    if start[128:132] == b"DICM":
        return True
    little = start[:2] in (b"\x02\x00", b"\x08\x00") and start[3:4] == b"\x00"
    big = start[:2] in (b"\x00\x02", b"\x00\x08") and start[2:3] == b"\x00"
    return len(start) >= 16 and (little or big)


def read_dataset(path: Path, *, pixels: bool = False) -> Dataset:
    """Read a DICOM file without checking values and without warnings, which would repeat values in logs.

    Parameters
    ----------
    path : Path
        The file.
    pixels : bool
        Read the pixels, too. Without them, long elements stay in the file until they are asked for.

    Raises
    ------
    UnreadableSeries
        If a deflated file would unpack to more than the limit.
    """
    _check_deflated(path)
    pydicom_config.settings.reading_validation_mode = pydicom_config.IGNORE
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        later = None if pixels else 1 << 20
        return pydicom.dcmread(path, stop_before_pixels=not pixels, force=True, defer_size=later)


def _check_deflated(path: Path) -> None:
    """Refuse a file of the deflated transfer syntax that unpacks to too much (the reader unpacks all of it at once)."""
    with open(path, "rb") as handle:
        start = handle.read(4096)
        meta = start.find(DEFLATED_SYNTAX)
        if meta < 0 or start[128:132] != b"DICM":
            return
        # The deflated part follows the group of the file's meta information, whose length its first element gives.
        handle.seek(144 + int.from_bytes(start[140:144], "little"))
        unpacker, total = zlib.decompressobj(-zlib.MAX_WBITS), 0
        data = handle.read(1 << 16)
        while data:
            total += len(unpacker.decompress(data, 1 << 20))
            data = unpacker.unconsumed_tail or handle.read(1 << 16)
            if total > limit("limits", "max_deflated_bytes"):
                raise UnreadableSeries(
                    f"it unpacks to more than the limit of {limit('limits', 'max_deflated_bytes')} bytes"
                )


def read_header(path: Path) -> Header:
    """Read the facts of one DICOM file.

    Parameters
    ----------
    path : Path
        A file for which :func:`looks_like_dicom` holds.

    Returns
    -------
    Header
        ``kind`` is ``"image"``, ``"other_image"`` (not MR), ``"non_image"``, ``"directory"`` or ``"unreadable"``
        (then ``problem`` says why).

    Notes
    -----
    Enhanced multi-frame objects (DICOM PS3.3 A.36) hold their facts in functional groups: shared first, then those
    of the first frame.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        # A damaged header can raise nearly anything while its values are converted; all of it means "unreadable".
        try:
            return _header(read_dataset(path))
        except UnreadableSeries as error:
            return Header(source="dicom", kind="unreadable", problem=str(error))
        except Exception as error:
            return Header(source="dicom", kind="unreadable", problem=f"damaged header ({type(error).__name__})")


def _header(ds: Dataset) -> Header:
    sop_class = text(ds, "SOPClassUID") or str(getattr(ds, "file_meta", {}).get("MediaStorageSOPClassUID", ""))
    if sop_class == DIRECTORY_CLASS or "DirectoryRecordSequence" in ds:
        return Header(source="dicom", kind="directory")
    if not sop_class and not text(ds, "Modality"):
        return Header(source="dicom", kind="unreadable", problem="neither object class nor modality in the header")
    rows, columns = integer(ds, "Rows"), integer(ds, "Columns")
    common: dict[str, Any] = {
        "source": "dicom",
        "series": short_hash(text(ds, "SeriesInstanceUID")),
        "study": short_hash(text(ds, "StudyInstanceUID")),
        "sop": short_hash(text(ds, "SOPInstanceUID")),
        "identifier": identifier_hash(text(ds, "PatientID")),
        "date": _date(ds),
        "time": _time(ds),
    }
    if "Rows" not in ds and sop_class in MR_CLASSES:
        return Header(kind="unreadable", problem="the header of an MR image is cut short", **common)
    if "Rows" not in ds:
        return Header(kind="non_image", **common)
    is_mr = sop_class in MR_CLASSES or (not sop_class and text(ds, "Modality") == "MR")
    if not is_mr or integer(ds, "SamplesPerPixel") not in (0, 1):
        return Header(kind="other_image", **common)
    if text(ds, "BurnedInAnnotation").upper() == "YES":
        return Header(kind="unreadable", problem="the header says that text is burned into the image", **common)
    if not rows or not columns:
        return Header(kind="unreadable", problem="the image has no rows or no columns", **common)
    return Header(kind="image", rows=rows, columns=columns, **common, **_image_facts(ds))


def _image_facts(ds: Dataset) -> dict[str, Any]:
    frames = list(ds.get("PerFrameFunctionalGroupsSequence") or [])
    shared = list(ds.get("SharedFunctionalGroupsSequence") or [])
    places: list[Dataset] = [ds, *shared, *frames[:1]]

    def found_number(*steps: str) -> float | None:
        for place in places:
            value = walk(place, steps)
            found = number(value[0] if isinstance(value, Sequence) and not isinstance(value, str) and value else value)
            if found is not None:
                return found
        return None

    def numbers(count: int, *steps: str) -> list[float]:
        for place in places:
            given = walk(place, steps)
            if given is not None and not isinstance(given, str):
                found = [number(v) for v in given]
                if len(found) == count and all(v is not None for v in found):
                    return [float(v) for v in found if v is not None]
        return []

    orientation = numbers(6, "ImageOrientationPatient") or numbers(
        6, "PlaneOrientationSequence", "ImageOrientationPatient"
    )
    spacing = numbers(2, "PixelSpacing") or numbers(2, "PixelMeasuresSequence", "PixelSpacing")
    thickness = found_number("SliceThickness")
    if thickness is None:
        thickness = found_number("PixelMeasuresSequence", "SliceThickness")
    echo = found_number("EchoTime")
    echo = found_number("MREchoSequence", "EffectiveEchoTime") if echo is None else echo
    repetition = found_number("RepetitionTime")
    repetition = (
        found_number("MRTimingAndRelatedParametersSequence", "RepetitionTime") if repetition is None else repetition
    )
    flip = found_number("FlipAngle")
    flip = found_number("MRTimingAndRelatedParametersSequence", "FlipAngle") if flip is None else flip
    inversion = found_number("InversionTime")
    inversion = found_number("MRModifierSequence", "InversionTimes") if inversion is None else inversion
    described = " / ".join(
        text(ds, name) for name in ("SeriesDescription", "ProtocolName", "SequenceName", "PulseSequenceName")
    )
    known = set(rules()["image_type"]["known"])
    b_value = any(
        (number(walk(place, ("MRDiffusionSequence", "DiffusionBValue"))) or 0) > 0 for place in [ds, *shared, *frames]
    )
    return {
        "words": labels(described),
        "image_type": tuple(v for v in (str(x).strip().upper() for x in values(ds, "ImageType")) if v in known),
        "scanning": _scanning(ds, places),
        "variant": tuple(v for v in values(ds, "SequenceVariant") if v in CODED["SequenceVariant"]),
        "echo_time_ms": echo,
        "repetition_time_ms": repetition,
        "inversion_time_ms": inversion if inversion else None,  # scanners write 0 for "no inversion"
        "flip_angle_deg": flip,
        "field_strength_t": _tesla(found_number("MagneticFieldStrength")),
        "acquisition": next((v for v in values(ds, "MRAcquisitionType") if v in ("2D", "3D")), ""),
        **contrast_facts(ds, places),
        "body_part": _body_part(ds),
        "orientation": tuple(round(v, 5) for v in orientation),
        "spacing": tuple(round(v, 5) for v in spacing),
        "slice_thickness_mm": thickness,
        "diffusion": b_value or text(ds, "AcquisitionContrast").upper() == "DIFFUSION",
        "echo_number": integer(ds, "EchoNumbers"),
        "instance": integer(ds, "InstanceNumber"),
        "announced": integer(ds, "ImagesInAcquisition") or _philips_slices(ds),
        **_positions(ds, frames, orientation),
        "frames": max(len(frames), integer(ds, "NumberOfFrames"), 1),
    }


def _positions(ds: Dataset, frames: list[Dataset], orientation: list[float]) -> dict[str, tuple[float, ...]]:
    """Distances (mm) of the frames along the slice normal, and along rows and columns; empty when there are none."""
    if len(orientation) != 6:
        return {}
    axes = np.array([np.cross(orientation[:3], orientation[3:]), orientation[:3], orientation[3:]])
    out: list[list[float]] = []
    for place in frames or [ds]:
        position = (
            walk(place, ("PlanePositionSequence", "ImagePositionPatient"))
            if frames
            else place.get("ImagePositionPatient")
        )
        found = [number(v) for v in position] if position is not None and len(position) == 3 else []
        if len(found) != 3 or any(v is None for v in found):
            return {}
        out.append([round(float(v), 3) for v in axes @ np.array(found, dtype=float)])
    return {"locations": tuple(p[0] for p in out), "shifts": tuple(v for p in out for v in p[1:])}


def _tesla(value: float | None) -> float | None:
    """Field strength in tesla; some scanners write gauss."""
    return value / 10_000 if value is not None and value > 100 else value


def _philips_slices(ds: Dataset) -> int:
    """Return the number of slices from Philips' private block (2001,xx18); 0 when it is not there."""
    try:
        return int(ds.private_block(0x2001, "Philips Imaging DD 001")[0x18].value)
    except (KeyError, TypeError, ValueError):
        return 0


def _scanning(ds: Dataset, places: list[Dataset]) -> tuple[str, ...]:
    codes = [v for v in values(ds, "ScanningSequence") if v in CODED["ScanningSequence"]]
    if not codes:  # enhanced objects say it in other words
        echo = text(ds, "EchoPulseSequence").upper()
        codes += {"GRADIENT": ["GR"], "SPIN": ["SE"], "BOTH": ["SE", "GR"]}.get(echo, [])
        if text(ds, "EchoPlanarPulseSequence").upper() == "YES":
            codes.append("EP")
        if any(walk(p, ("MRModifierSequence", "InversionRecovery")) == "YES" for p in places):
            codes.append("IR")
    return tuple(sorted(set(codes)))


def _body_part(ds: Dataset) -> str:
    examined = re.sub(r"[^A-Z]", "", text(ds, "BodyPartExamined").upper())
    found = rules()["body_part_examined"].get(examined)
    if found:
        return str(found)
    return BodyPart.OTHER.value if "other_body" in labels(text(ds, "BodyPartExamined")) else ""


def _date(ds: Dataset) -> str:
    for name in ("StudyDate", "AcquisitionDate", "AcquisitionDateTime", "SeriesDate", "ContentDate"):
        found = valid_date(text(ds, name)[:8])
        if found:
            return found
    return ""


def _time(ds: Dataset) -> str:
    """Time of acquisition, to order the series of a session; never written to a record."""
    for name, start in (("AcquisitionTime", 0), ("AcquisitionDateTime", 8), ("SeriesTime", 0), ("ContentTime", 0)):
        match = re.match(r"\d{6}", text(ds, name)[start:])
        if match:
            return match.group()
    return ""
