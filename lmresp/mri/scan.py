"""One scan job: load the series, measure, write the pictures and the scan result. Bad data never raises."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from lmresp import __version__, queries, store
from lmresp.ingest.convert import UnreadableSeries, load_series
from lmresp.ingest.roles import choose_roles
from lmresp.mri import draft, images
from lmresp.mri.earlier import read_earlier
from lmresp.mri.files import LABELS, image_file, scan_folder
from lmresp.mri.measure import measure
from lmresp.mri.measurement import ScanMeasurement
from lmresp.mri.registration import RegistrationError
from lmresp.mri.rows import largest_nodules
from lmresp.mri.spine_regions import has_spine
from lmresp.mri.spine_scan import write_aids
from lmresp.mri.subject_space import read_pose
from lmresp.mri.volume import Volume, VolumeError, checked

FORMAT = "lmresp-scan-result/2"
_ENHANCEMENT_LIMIT = 5.0  # beyond it only scalp and noise; keeps the stored step at 2e-4


def measure_scan(
    study_folder: Path, record: Mapping[str, Any], results: Path, earlier: Sequence[str] = ()
) -> dict[str, Any]:
    """Measure one scan and write its results.

    Parameters
    ----------
    study_folder : Path
        The study; ``files`` of the record are relative to it.
    record : mapping
        The scan record (``work/scans/<scan>.json``).
    results : Path
        ``derivatives/lmresp``; the subject's common space and its earlier scans are read from here.
    earlier : sequence of str
        The subject's earlier scans in order of time.

    Returns
    -------
    dict
        The scan result, as written to ``<scan>_scan.json``. Whatever is wrong with the data ends as ``status``
        ``not_measured`` with a reason, as an item NE, or as a query.
    """
    scan = str(record["scan"])
    folder = scan_folder(results, scan)
    shutil.rmtree(folder / "anat", ignore_errors=True)
    (folder / "anat").mkdir(parents=True)
    loaded, series, found = _load(study_folder, record)
    result: dict[str, Any] = {
        "format": FORMAT,
        **{key: record[key] for key in ("scan", "subject_id", "visit", "visit_num", "scan_date", "reference")},
        "software": f"lmresp {__version__}",
        "status": "not_measured",
        "reason": "",
        "contrast": "none",
        "series": series,
        "measures": [],
        "findings": [],
        "lost": [],
        "spine": [],
        "scorecard": {
            **dict.fromkeys(("coverage", "rule_id", "certainty"), ""),
            "reference": record["reference"],
            "items": [],
            "nodules": [],
            "overall": None,
        },
        "qc": [],
        "geometry": {},
        "files": {},
    }
    compared = read_earlier(results, record, earlier)
    if record["reference"] is not None and compared.reference is None:
        found.append(_query("SC042", record, value=str(record["reference"])))
    try:
        measured = measure(loaded, read_pose(results, scan), None if record["is_reference"] else compared)
    except (VolumeError, RegistrationError) as error:
        result["reason"] = str(error)
        found.append(_query("SC041", record, value=str(error)))
    else:
        before = None if record["is_reference"] else _spine_before(results, record["reference"])
        result |= _tables(measured, record, before)
        result["files"] = _write_images(folder, scan, measured)
        found += [_query(code, record, **fields) for code, fields in measured.queries]
    if has_spine(record["series"]):
        reference = _record_of(results, record["reference"])
        result["spine"], written = write_aids(study_folder, record, reference, folder)
        result["files"] |= written
    result["queries"] = [query.as_row() for query in sorted(set(found), key=lambda q: (q.code, q.column, q.value))]
    store.write_json(folder / f"{scan}_scan.json", result)
    return result


def _load(
    study_folder: Path, record: Mapping[str, Any]
) -> tuple[dict[str, Volume], list[dict[str, Any]], list[queries.Query]]:
    """Load the series that have a role; what cannot be read is a query."""
    roles = choose_roles(record["series"])
    by_name = {role.series: name for name, role in roles.items()}
    volumes: dict[str, Volume] = {}
    rows: list[dict[str, Any]] = []
    found: list[queries.Query] = []
    for one in record["series"]:
        role = by_name.get(one["series"], "")
        row = {key: value for key, value in one.items() if key != "files"} | {"role": role, "shape": None, "note": ""}
        if role:
            try:
                image, notes = load_series(study_folder, one)
                volumes[role] = checked(np.asanyarray(image.dataobj), np.asarray(image.affine))
                row["shape"] = list(volumes[role].shape)
                row["note"] = "; ".join([roles[role].reason, *notes])
            except (UnreadableSeries, VolumeError) as error:
                row["role"], row["note"] = "", str(error)
                found.append(_query("SC040", record, column=one["series"], value=str(error)))
        rows.append(row)
    return volumes, rows, found


def _query(code: str, record: Mapping[str, Any], **fields: str) -> queries.Query:
    given: dict[str, Any] = {"subject_id": record["subject_id"], "visit": record["visit"], **fields}
    return queries.make(code, **given)


def _spine_before(results: Path, scan: str | None) -> bool:
    """Whether the reference scan has a spine series; it may have one without having been measured."""
    if scan is None:
        return False
    path = scan_folder(results, scan) / f"{scan}_scan.json"
    return path.is_file() and has_spine(store.read_json(path)["series"])


def _record_of(results: Path, scan: str | None) -> dict[str, Any] | None:
    """Record of the reference scan, for its spine."""
    path = results / "work" / "scans" / f"{scan}.json"
    return store.read_json(path) if scan is not None and path.is_file() else None


def _tables(measured: ScanMeasurement, record: Mapping[str, Any], spine_before: bool | None) -> dict[str, Any]:
    from lmresp.mri.scorecard import overall_from_items  # brings pandas, which no measurement needs

    spine, coverage = draft.spine_items(now=has_spine(record["series"]), before=spine_before)
    items = [*measured.items, *spine]
    rule = None if record["is_reference"] else overall_from_items(items)
    return {
        "status": "measured",
        "contrast": measured.contrast,
        "measures": measured.measures,
        "findings": measured.findings,
        "lost": measured.lost,
        "scorecard": {
            "reference": record["reference"],
            "coverage": coverage,
            "items": items,
            "nodules": largest_nodules(measured.findings),
            "overall": None if rule is None else str(rule.output),
            "rule_id": "" if rule is None else str(rule.rule_id),
            "certainty": "" if rule is None else str(rule.certainty),
        },
        "qc": measured.qc,
        "geometry": measured.geometry,
    }


def _write_images(folder: Path, scan: str, measured: ScanMeasurement) -> dict[str, str]:
    written = {}
    for role, volume in sorted(measured.images.items()):
        name = image_file(scan, role, measured.contrast)
        if role == "enhancement":
            volume = volume.like(np.clip(volume.array, -_ENHANCEMENT_LIMIT, _ENHANCEMENT_LIMIT))
        written[name] = images.write(folder / name, volume, labels=role in LABELS)
    return written
