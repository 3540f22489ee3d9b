"""All objects of one scan: segmentation, draft, reads, pictures and PDF, each referring to the ones before."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

from pydicom.dataset import Dataset

from lmresp import queries
from lmresp.dicom import scorecard_sr
from lmresp.dicom.document import document
from lmresp.dicom.instance import When, encoded, when_of
from lmresp.dicom.labels import Segmented, segment
from lmresp.dicom.pdf import encapsulated
from lmresp.dicom.secondary_capture import Picture, captures
from lmresp.dicom.seg import binary_is_safe, segmentation
from lmresp.dicom.source import Source
from lmresp.dicom.sr import draft_report
from lmresp.ingest.header import limit
from lmresp.mri.volume import Volume


@dataclasses.dataclass(frozen=True)
class LockedRead:
    """A locked read.

    Attributes
    ----------
    entry : mapping
        Its entry in the record of reads.
    locked_utc : str
        When it was locked.
    after : tuple of str
        Reads of the same scan that it supersedes or adjudicates; empty for one that follows the draft.
    """

    entry: Mapping[str, Any]
    locked_utc: str
    after: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True, eq=False)
class Scan:
    """What the objects of a scan are made from.

    Attributes
    ----------
    study_id, data_cut : str
        From ``study.yaml``; the data cut is the day of an object only where headers and scan give none.
    charter : str
        Digest of the charter in force.
    result : mapping
        Scan result.
    source : Source
        The series that was measured (of a scan that was not measured: one of its series).
    labels : Volume or None
        ``desc-lm_dseg`` in the common space; None when the scan was not measured.
    pictures : sequence of Picture
        May be empty.
    reads : sequence of LockedRead
        In the order of their locks.
    """

    study_id: str
    data_cut: str
    charter: str
    result: Mapping[str, Any]
    source: Source
    labels: Volume | None
    pictures: Sequence[Picture] = ()
    reads: Sequence[LockedRead] = ()


def objects(scan: Scan) -> tuple[dict[str, bytes], list[queries.Query]]:
    """Build the objects of a scan.

    Parameters
    ----------
    scan : Scan

    Returns
    -------
    files : dict of str to bytes
        File name (``seg.dcm``, ``sr-draft.dcm``, ``sr-read-<read>.dcm``, ``sc-<picture>.dcm``, ``report.dcm``,
        ``report-<read>.dcm``) to content; the same content every time. A read that is locked later adds files and
        changes none.
    found : list of Query
        What could not be shown, and why.
    """
    result, source = scan.result, scan.source
    when = when_of(source, str(result["scan_date"]), scan.data_cut)
    built: dict[str, Dataset] = {}
    found: list[queries.Query] = []
    if scan.labels is None:
        found.append(_query("DI002", result, f"it was not measured ({result['reason']})"))
    else:
        segmented = segment(scan.labels, result, scan.study_id, source)
        built["seg"] = segmentation(segmented, source, when)
        built["sr-draft"] = draft_report(result, scan.study_id, scan.charter, source, segmented, built["seg"], when)
        found += _remarks(segmented, result, source)
    if scan.pictures:
        for picture, ds in zip(scan.pictures, captures(scan.pictures, source, when), strict=True):
            built[f"sc-{picture.name}"] = ds
    built["report"] = _pdf(scan, [], when)
    for read in scan.reads:
        _add_read(read, scan, built)
    return {f"{name}.dcm": encoded(ds) for name, ds in built.items()}, found


def _add_read(read: LockedRead, scan: Scan, built: dict[str, Dataset]) -> None:
    """Add the report of a read and its PDF; it comes after the reads it names, else after the draft."""
    name = read.entry["read"]
    before = [built[key] for one in read.after if (key := f"sr-read-{one}") in built]
    if not before and "sr-draft" in built:
        before = [built["sr-draft"]]
    ds = scorecard_sr.write(
        read.entry,
        scan.source,
        study_id=scan.study_id,
        locked_utc=read.locked_utc,
        previous=before,
        evidence=[built["seg"]] if "seg" in built else (),
    )
    built[f"sr-read-{name}"] = ds
    shown = [one for one in scan.reads if one.entry["read"] in (*read.after, name)]
    built[f"report-{name}"] = _pdf(scan, shown, When(ds.ContentDate, ds.ContentTime))


def _pdf(scan: Scan, reads: Sequence[LockedRead], when: When) -> Dataset:
    entries = [{**read.entry, "locked_utc": read.locked_utc} for read in reads]
    title = f"lmresp report {scan.result['scan']}"
    return encapsulated(document(scan.result, scan.study_id, scan.charter, entries), title, scan.source, when)


def _remarks(segmented: Segmented, result: Mapping[str, Any], source: Source) -> list[queries.Query]:
    found = [_query("DI003", result, one.label) for one in segmented.vanished]
    if not binary_is_safe(source.rows, source.columns):
        found.append(_query("DI004", result, f"{source.rows} x {source.columns}"))
    if source.tilt_deg > limit("geometry", "min_tilt_deg"):
        found.append(_query("DI007", result, f"{source.tilt_deg:.1f} degrees"))
    if segmented.orphans:
        found.append(_query("DI005", result, str(segmented.orphans)))
    return found


def _query(code: str, result: Mapping[str, Any], value: str) -> queries.Query:
    return queries.make(code, subject_id=result["subject_id"], visit=result["visit"], value=value)
