"""What the viewer of a spine page is told: one part for each region, sagittal first, both visits on one another."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from lmresp.report.scan_view import CHANGE_FULL, CHANGE_HIDDEN, COLOURS, FACTOR_APART, Viewer, view_of, visits_of
from lmresp.report.scan_volumes import LIMIT, Job, grey_job, pack
from lmresp.report.slices import Volume

Result = Mapping[str, Any]
Region = Mapping[str, Any]
Matrix = npt.NDArray[np.float64]

PLANES = ("sagittal", "coronal", "axial")
SERIES = (("post", "T1 after contrast"), ("pre", "T1 before contrast"), ("t2", "T2"))
SUBTRACTION = "Subtraction"
CANDIDATE, CANAL = 1, 3  # labels of the viewer: orange, blue
LEVEL_CHECKS = ("spine registration to reference", "lead of this level over the next")


@dataclasses.dataclass(frozen=True)
class Images:
    """Images of one region, all in mm of the post-contrast series of this scan (of its own where not linked).

    Parameters
    ----------
    now, before : mapping of str to Volume
        ``post``, ``pre``, ``t2`` of this scan and of the reference scan; of that also ``enhancement``.
    found : mapping of str to Volume
        ``enhancement``, ``difference``, ``canal``, ``candidates`` of this scan.
    linked : bool
        The reference scan was registered.
    """

    now: Mapping[str, Volume]
    before: Mapping[str, Volume]
    found: Mapping[str, Volume]
    linked: bool


def images_of(
    row: Region,
    now: Mapping[str, Volume],
    found: Mapping[str, Volume],
    row_before: Region | None,
    before: Mapping[str, Volume],
) -> Images:
    """Move the images of a region into the world of its post-contrast series.

    Parameters
    ----------
    row, row_before : mapping
        The region in the results of this scan and of the reference scan.
    now, before : mapping of str to Volume
        ``post``, ``pre``, ``t2`` as stored, each in the world of its own series; ``enhancement`` in that of ``post``.
    found : mapping of str to Volume
        What the reading aid stored, in the world of the post-contrast series.
    """
    matrices = {name: np.array(matrix, dtype=float) for name, matrix in row["matrices"].items()}
    to_reference = matrices.get("reference")
    failed = any(c["result"] == "FAIL" and c["check"] in LEVEL_CHECKS for c in row["checks"])
    linked = to_reference is not None and not failed
    old = {name: np.array(matrix, dtype=float) for name, matrix in (row_before or {"matrices": {}})["matrices"].items()}
    base = to_reference if linked and to_reference is not None else np.eye(4)
    return Images(
        {name: _moved(volume, matrices.get(name, np.eye(4))) for name, volume in now.items()},
        {name: _moved(volume, old.get(name, np.eye(4)) @ base) for name, volume in before.items()},
        found,
        linked,
    )


def _moved(volume: Volume, to_its_world: Matrix) -> Volume:
    return Volume(volume.array, np.linalg.inv(to_its_world) @ volume.affine)


def labels_on(anchor: Volume, found: Mapping[str, Volume]) -> Volume | None:
    """Canal and candidates on the lattice of the image they are drawn on (nearest voxel); ``None`` without a canal."""
    if "canal" not in found:
        return None
    canal = found["canal"]
    array = np.where(canal.array > 0, CANAL, 0).astype(np.uint8)
    if "candidates" in found:
        array[found["candidates"].array > 0] = CANDIDATE
    to_voxel = np.linalg.inv(canal.affine) @ anchor.affine
    made = ndimage.affine_transform(array, to_voxel[:3, :3], to_voxel[:3, 3], anchor.array.shape, order=0)
    return Volume(made, anchor.affine)


def top_of(volume: Volume) -> float:
    """Signal shown as white: the 99th percentile of what has signal (fat next to the coil is brighter)."""
    signal = volume.array[volume.array > 0]
    return float(np.percentile(signal, 99)) if signal.size else 1.0


def _rows_of_series(images: Images, prefix: str) -> tuple[list[dict[str, Any]], list[Job]]:
    rows, jobs = [], []
    visits = [images.now] + ([images.before] if images.before else [])
    for key, (name, title) in enumerate(SERIES, start=1):
        found = [visit.get(name) for visit in visits]
        tops = [None if volume is None else top_of(volume) for volume in found]
        known = [top for top in tops if top is not None] or [1.0]
        shared = len(known) > 1 and 1 / FACTOR_APART <= known[0] / known[-1] <= FACTOR_APART
        used = [known[-1] if shared or top is None else top for top in tops]  # the window of the reference visit
        names = [None if volume is None else f"{prefix}{place}_{name}" for place, volume in enumerate(found)]
        for label, volume, top in zip(names, found, used, strict=True):
            if volume is not None and label is not None:
                jobs.append(grey_job(label, title, volume, top, np.ones(volume.array.shape, bool), None))
        factor = [one / used[0] for one in used]
        row = {"key": str(key), "name": name, "title": title, "volumes": names, "low": 0.0, "high": used[0]}
        rows.append(row | {"factor": factor, "shared": shared})
    return rows, jobs


def _part(
    result: Result, reference: Result | None, row: Region, images: Images, limit: int, *, blinded: bool
) -> tuple[dict[str, Any], dict[str, Any], dict[str, str], list[str]] | None:
    """One region: its part of the page's data, its volumes, and what had to be given up."""
    anchor_name = next((name for name, _ in SERIES if name in images.now), None)
    if anchor_name is None:
        return None
    anchor = images.now[anchor_name]
    prefix = f"{str(row['region']).lower()}_"
    series, jobs = _rows_of_series(images, prefix)
    labels = None if blinded else labels_on(anchor, images.found)
    visits = 2 if images.before else 1
    if not blinded:
        names: list[str | None] = []
        for place, map_ in enumerate([images.found.get("enhancement"), images.before.get("enhancement")][:visits]):
            names.append(None if map_ is None else f"{prefix}{place}_enhancement")
            if map_ is not None:
                shown = np.ones(map_.array.shape, bool)
                jobs.append(Job(f"{prefix}{place}_enhancement", SUBTRACTION, map_, "signed", shown, coarse=2))
        entry = {"key": "4", "name": "subtraction", "title": SUBTRACTION, "volumes": names}
        series.append(entry | {"low": 0.0, "high": 1.0, "factor": [1.0, 1.0][:visits], "shared": True})
    change = None if blinded else images.found.get("difference")
    drawn = [Job(f"{prefix}labels", "the canal", labels, "label", labels.array > 0)] if labels is not None else []
    if change is not None:
        shown = np.abs(change.array) >= CHANGE_HIDDEN
        drawn.append(Job(f"{prefix}change", "the difference", change, "signed", shown))
    first = [f"{prefix}{place}_{anchor_name}" for place in range(visits)]
    packed = pack(
        [job for job in jobs if job.name in first] + drawn, [[j for j in jobs if j.name not in first]], limit=limit
    )
    if first[0] not in packed.about:
        return None
    own_views = [name for name in first if name in packed.about]
    linked = images.linked or visits < 2
    part: dict[str, Any] = {
        "title": str(row["region"]).capitalize(),
        "planes": PLANES,
        "apart": True,  # each plane fills its pane
        "views": [view_of(packed.about[name]) for name in (own_views[:1] if linked else own_views)],
        "series": series,
        "linked": linked,
        "first": [*own_views, *(job.name for job in drawn if job.kind == "label")],
        "rows": [
            {
                "view": 0 if linked or place >= len(own_views) else place,
                "title": title,
                "short": short,
                "labels": f"{prefix}labels" if place == 0 and labels is not None else None,
                "tags": [],
            }
            for place, (title, short) in enumerate(visits_of(result, reference)[:visits])
        ],
    }
    for one in part["series"]:
        one["volumes"] = [name if name in packed.about else None for name in one["volumes"]]
    if not blinded:
        part["draft"] = _draft(row, change is not None, prefix)
        part["rows"][0]["tags"] = [
            {"text": str(c["number"]), "mm": c["world_mm"], "radius": max(float(c["long_mm"]) / 2, 1.0)}
            for c in row["candidates"] or ()
        ]
    return part, dict(packed.about), dict(packed.texts), [f"{part['title']}: {note}" for note in packed.notes]


def _draft(row: Region, changed: bool, prefix: str) -> dict[str, Any]:
    region = str(row["region"])
    targets = [
        {"id": target(region, c["number"]), "mm": c["world_mm"], "words": f"candidate {c['number']}, {region.lower()}"}
        for c in row["candidates"] or ()
    ]
    change = {"volume": f"{prefix}change", "hidden": CHANGE_HIDDEN, "full": CHANGE_FULL}
    start = targets[0]["id"] if targets else None
    return {"targets": targets, "start": start, "change": change if changed else None}


def target(region: str, number: int) -> str:
    """Name of a candidate on the page."""
    return f"candidate-{region.lower()}-{number}"


def spine_viewer(
    result: Result, reference: Result | None, regions: Mapping[str, Images], *, blinded: bool
) -> Viewer | None:
    """Prepare the viewer of a spine page.

    Parameters
    ----------
    result, reference : mapping
        Scan results of the scan and of its reference scan.
    regions : mapping of str to Images
        Images by region.
    blinded : bool
        Leave out candidates, canal, enhancement and difference.

    Returns
    -------
    Viewer or None
        ``None`` where no region has an image.
    """
    limit = LIMIT // max(len(regions), 1)
    parts: list[dict[str, Any]] = []
    volumes: dict[str, Any] = {}
    texts: dict[str, str] = {}
    notes: list[str] = []
    for row in result["spine"]:
        images = regions.get(row["region"])
        made = None if images is None else _part(result, reference, row, images, limit, blinded=blinded)
        if made is None:
            continue
        parts.append(made[0])
        volumes |= made[1]
        texts |= made[2]
        notes += made[3]
    if not parts:
        return None
    data: dict[str, Any] = {"volumes": volumes, "parts": parts}
    if not blinded:
        data["colours"] = COLOURS
    return Viewer(data, texts, bool(parts[0]["series"][0]["shared"]), notes)
