"""From a built object to a file: identity of the source, identifiers from the content, the same bytes twice."""

from __future__ import annotations

import dataclasses
import hashlib
import io
from collections.abc import Iterator, Sequence
from typing import Any

from pydicom.dataset import Dataset
from pydicom.filewriter import dcmwrite

from lmresp import __version__
from lmresp.dicom.source import Source
from lmresp.dicom.uids import derived

MAKER = "lmresp"
PLACE = derived("place of an identifier to come")
"""Stands in an object for its own instance and series until its content is complete."""
_CLOCK = (  # optional elements into which the library writes the time of day
    *("InstanceCreationDate", "InstanceCreationTime", "DateOfSecondaryCapture", "TimeOfSecondaryCapture"),
    *("SeriesDate", "SeriesTime", "ContributionDateTime"),
)
SERIES = {  # kind: number and description of its series
    "seg": (9101, "lmresp segmentation (draft, research use)"),
    "sr-draft": (9102, "lmresp report (draft, research use)"),
    "sr-read": (9103, "lmresp report of a read (research use)"),
    "sc": (9104, "lmresp pictures of findings (research use)"),
    "report": (9105, "lmresp report as PDF (research use)"),
}


@dataclasses.dataclass(frozen=True)
class When:
    """Day (YYYYMMDD) and time (HHMMSS) that an object bears."""

    date: str
    time: str


def when_of(source: Source, scan_date: str, data_cut: str) -> When:
    """Day and time for what is computed from a scan: those of its study, never those of the computation.

    Parameters
    ----------
    source : Source
        Its study date counts first.
    scan_date, data_cut : str
        ISO dates that stand in, in this order, when the header has none.
    """
    day = source.date or (scan_date or data_cut).replace("-", "")
    return When(day, source.time if source.date and source.time else "000000")


def made_by(kind: str) -> dict[str, Any]:
    """Arguments that every object of highdicom takes: equipment, series, and places for identifiers."""
    number, description = SERIES[kind]
    return {
        "series_instance_uid": PLACE,
        "series_number": number,
        "sop_instance_uid": PLACE,
        "instance_number": 1,
        "manufacturer": MAKER,
        "manufacturer_model_name": MAKER,
        "software_versions": __version__,
        "device_serial_number": __version__,
        "series_description": description,
    }


def sealed(objects: Sequence[Dataset], source: Source, kind: str, when: When) -> list[Dataset]:
    """Complete the objects of one series.

    Parameters
    ----------
    objects : sequence of Dataset
        Built with the places for identifiers of :func:`made_by`; changed in place.
    source : Source
        Gives study and patient.
    kind : str
        Key of :data:`SERIES`.
    when : When
        Day and time of the content.

    Returns
    -------
    list of Dataset
        The same objects. Their SeriesInstanceUID follows from the source series, the kind and the content of all of
        them, each SOPInstanceUID from that and its number. A single changed byte anywhere gives new identifiers.
    """
    for ds in objects:
        for element in source.identity:
            ds[element.tag] = element
        ds.SpecificCharacterSet = "ISO_IR 192"
        if "ContentDate" in ds:
            ds.ContentDate, ds.ContentTime = when.date, when.time
        for place in _places(ds):
            for keyword in _CLOCK:
                if keyword in place:
                    delattr(place, keyword)
            if "DimensionOrganizationUID" in place:
                place.DimensionOrganizationUID = derived("dimensions", source.series_uid, kind)
    digest = hashlib.sha256()
    for ds in objects:
        digest.update(encoded(ds))
    series = derived("series", source.series_uid, kind, digest.hexdigest())
    for number, ds in enumerate(objects, start=1):
        ds.SeriesInstanceUID = series
        ds.InstanceNumber = number
        ds.SOPInstanceUID = derived("instance", series, number)
        ds.file_meta.MediaStorageSOPInstanceUID = ds.SOPInstanceUID
    return list(objects)


def encoded(ds: Dataset) -> bytes:
    """Return an object as the bytes of a DICOM file."""
    out = io.BytesIO()
    dcmwrite(out, ds, enforce_file_format=True)
    return out.getvalue()


def _places(ds: Dataset) -> Iterator[Dataset]:
    """An object and those of its items that hold a time or an identifier of the moment it was built."""
    yield ds
    for keyword in ("ContributingEquipmentSequence", "DimensionOrganizationSequence", "DimensionIndexSequence"):
        yield from ds.get(keyword) or ()
