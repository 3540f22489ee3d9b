"""The subject's earlier scans, read back from their stored results: what a later scan is compared with."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from lmresp import store
from lmresp.mri import images
from lmresp.mri.files import image_file, scan_folder
from lmresp.mri.measurement import EarlierScan, KnownNodule, ScanMeasurement
from lmresp.mri.methods import number
from lmresp.mri.volume import Volume


@dataclasses.dataclass(frozen=True, eq=False)
class Earlier:
    """What a scan is compared with.

    Parameters
    ----------
    reference : EarlierScan or None
        The measured reference scan.
    nadir : dict of str to EarlierScan
        By measure (``LINEAR_VOL``, ``SUM_PRODUCTS``, ``VENT_VOL``): the scan from the reference on with the lowest
        value, the first of equals. Nadir is per measure, not per scan.
    values : dict of str to float
        By measure: the lowest value from the reference on.
    visits : list of list of KnownNodule
        The tracked nodules of every scan from the reference on, in order of time.
    why : str
        Why there is no reference, or "".
    """

    reference: EarlierScan | None = None
    nadir: dict[str, EarlierScan] = dataclasses.field(default_factory=dict)
    values: dict[str, float] = dataclasses.field(default_factory=dict)
    visits: list[list[KnownNodule]] = dataclasses.field(default_factory=list)
    why: str = ""


NADIR_OF_IMAGES = ("LINEAR_VOL",)  # compared voxel by voxel; of the others the value is enough


def read_earlier(results: Path, record: Mapping[str, Any], earlier: Sequence[str]) -> Earlier:
    """Read what a scan is compared with.

    Parameters
    ----------
    results : Path
        ``derivatives/lmresp``.
    record : mapping
        The scan record.
    earlier : sequence of str
        The subject's earlier scans in order of time, the reference scan among them.

    Returns
    -------
    Earlier
    """
    name = record["reference"]
    if name is None:
        return Earlier(why="" if record["is_reference"] else "no scan at baseline to compare with")
    reference = read_scan(results, str(name))
    if reference is None:
        return Earlier(why="the reference scan was not measured")
    stored = {scan: result for scan in earlier if (result := read_result(results, scan)) is not None}
    return _compared_with(reference, stored, lambda scan: read_scan(results, scan))


def from_measurements(scans: Sequence[tuple[str, ScanMeasurement]], reference: str) -> Earlier:
    """As :func:`read_earlier`, from measurements in memory (name and measurement, in order of time)."""
    kept = {name: _in_memory(name, found) for name, found in scans}
    rows = {name: _rows(found) for name, found in scans}
    return _compared_with(kept[reference], rows, kept.get)


def _compared_with(
    reference: EarlierScan,
    stored: Mapping[str, Mapping[str, Any]],
    read: Callable[[str], EarlierScan | None],
) -> Earlier:
    nadir: dict[str, EarlierScan] = {}
    lowest: dict[str, float] = {}
    visits = [tracked_nodules(result) for result in stored.values()]
    lowest_at: dict[str, str] = {}
    for scan, result in stored.items():
        for measure, value in usable_measures(result).items():
            if value is not None and value < lowest.get(measure, float("inf")):
                lowest[measure], lowest_at[measure] = value, scan
    for measure in NADIR_OF_IMAGES:
        if measure in lowest_at:
            scan = lowest_at[measure]
            found = reference if scan == reference.scan else read(scan)
            if found is not None:
                nadir[measure] = found
    return Earlier(reference, nadir, lowest, visits)


def read_result(results: Path, scan: str) -> dict[str, Any] | None:
    """Scan result of a measured scan; None if there is none or it was not measured."""
    path = scan_folder(results, scan) / f"{scan}_scan.json"
    if not path.is_file():
        return None
    result: dict[str, Any] = store.read_json(path)
    return result if result["status"] == "measured" else None


def usable_measures(result: Mapping[str, Any]) -> dict[str, float | None]:
    """Values of the whole brain by measure, those that failed their checks left out."""
    return {row["measure"]: row["value"] for row in result["measures"] if row["qc"] != "FAIL" and not row["region"]}


def tracked_nodules(result: Mapping[str, Any]) -> list[KnownNodule]:
    """Nodules of a scan that have a track: those that are not mere candidates."""
    bar = number("draft.confident")
    return [
        KnownNodule(
            track=int(row["track"]),
            center_mm=(row["center_mm"][0], row["center_mm"][1], row["center_mm"][2]),
            long_mm=float(row["long_mm"]),
            perp_mm=float(row["perp_mm"]),
            volume_mm3=float(row["volume_mm3"]),
            sure=bool(row["lm_related"]) and row["confidence"] >= bar,
        )
        for row in result["findings"]
        if row["track"] is not None
    ]


def read_scan(results: Path, scan: str) -> EarlierScan | None:
    """Read a measured scan back with its images; None if it was not measured."""
    result = read_result(results, scan)
    if result is None:
        return None
    folder = scan_folder(results, scan)
    pictures = {}
    for role in ("anchor", "brain", "labels", "enhancement", "pre"):
        file = folder / image_file(scan, role, result["contrast"])
        if file.is_file():
            pictures[role] = images.read(file)
    if not {"anchor", "brain", "labels"} <= set(pictures):
        return None
    return _earlier_scan(scan, result, pictures)


def _in_memory(scan: str, found: ScanMeasurement) -> EarlierScan:
    return _earlier_scan(scan, _rows(found), found.images)


def _rows(found: ScanMeasurement) -> dict[str, Any]:
    return {
        "contrast": found.contrast,
        "measures": found.measures,
        "findings": found.findings,
        "scorecard": {"items": found.items},
        "geometry": found.geometry,
    }


def _earlier_scan(scan: str, result: Mapping[str, Any], pictures: Mapping[str, Volume]) -> EarlierScan:
    geometry = result["geometry"]
    judged = bool(geometry["full_signal"]) and result["contrast"] == "prepost"
    pre = pictures["pre"] if judged else None
    return EarlierScan(
        scan=scan,
        aligned=bool(geometry["aligned"]),
        anchor=pictures["anchor"],
        enhancement=pictures["enhancement"] if judged else None,
        pre=None if pre is None else pre.like(pre.array * np.float32(geometry["pre_scale"])),
        labels=pictures["labels"].array.astype(np.uint8),
        brain=pictures["brain"].array > 0,
        noise=float(geometry["noise"]),
        full_signal=float(geometry["full_signal"]),
        measures=usable_measures(result),
        nodules=tracked_nodules(result),
        items={row["item"]: row["presence"] for row in result["scorecard"]["items"] if row["compartment"] == "BRAIN"},
    )
