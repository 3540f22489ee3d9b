"""Which slices a picture page shows: through the findings, else evenly through the head."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from lmresp.report.slices import Box, PlaneName, Volume

APART_MM = 8.0  # two axial slices stand at least this far apart


@dataclasses.dataclass(frozen=True, slots=True)
class Slice:
    """One slice to show and why."""

    plane: PlaneName
    index: int
    why: str


def _even(box: Box, axis: int, count: int) -> list[int]:
    low, high = box.low[axis], box.high[axis]
    return [round(low + (high - low) * (n + 1) / (count + 1)) for n in range(count)]


def _fullest(labels: Volume, value: int, axis: int) -> list[int]:
    """Slices that hold most of a label, fullest first."""
    others = tuple(a for a in range(3) if a != axis)
    area = (labels.array == value).sum(axis=others)
    order = sorted(np.flatnonzero(area), key=lambda n: (-int(area[n]), int(n)))
    return [int(n) for n in order]


def choose(
    grid: Volume, box: Box, findings: Sequence[Mapping[str, Any]], labels: Volume | None, axial_slices: int
) -> list[Slice]:
    """Choose the slices of a scan.

    Parameters
    ----------
    grid : Volume
        The grid whose slices are counted.
    box : Box
        Bounds of the head on that grid.
    findings : sequence of mapping
        Findings with ``center_mm`` in the world of ``grid``; empty where their place on it is not known.
    labels : Volume, optional
        Label image on ``grid`` (1 linear, 2 nodule, 3 ventricles).
    axial_slices : int
        How many axial slices at most.

    Returns
    -------
    list of Slice
        Axial slices from the top down, then one coronal and one sagittal.

    Notes
    -----
    Nodules come first (largest first), then the slices with most linear enhancement, then the fullest ventricles;
    what is left over is filled evenly, so that a page without findings still shows the head.
    """
    order = {"nodule": 0, "linear": 1}
    ranked = sorted(
        findings, key=lambda f: (order.get(str(f["kind"]), 2), -float(f.get("volume_mm3") or 0), int(f["id"]))
    )
    centres = [(grid.voxel(f["center_mm"]), f"{f['kind']} {f['id']}") for f in ranked if f.get("center_mm")]
    wanted = [(voxel[2], why) for voxel, why in centres if why.startswith("nodule")]
    if labels is not None:
        if not wanted:
            wanted += [(n, "most nodular enhancement") for n in _fullest(labels, 2, 2)[:1]]
        wanted += [(n, "linear enhancement") for n in _fullest(labels, 1, 2)]
        wanted = wanted[:1] + [(n, "fullest ventricles") for n in _fullest(labels, 3, 2)[:1]] + wanted[1:]
    wanted += [(voxel[2], why) for voxel, why in centres if not why.startswith("nodule")]
    wanted += [(n, "evenly spaced") for n in _even(box, 2, axial_slices)]
    gap = max(APART_MM / float(grid.spacing[2]), 1.0)
    chosen: list[tuple[int, str]] = []
    for index, why in wanted:
        if len(chosen) < axial_slices and all(abs(index - other) >= gap for other, _ in chosen):
            chosen.append((index, why))
    axial = [Slice("axial", index, why) for index, why in sorted(chosen, reverse=True)]
    across: tuple[tuple[PlaneName, int], ...] = (("coronal", 1), ("sagittal", 0))
    return [*axial, *(_across(plane, axis, box, centres, labels) for plane, axis in across)]


def _across(
    plane: PlaneName, axis: int, box: Box, centres: Sequence[tuple[tuple[int, int, int], str]], labels: Volume | None
) -> Slice:
    """Return the coronal or sagittal slice: through the first finding, else the fullest label, else the middle."""
    if centres:
        return Slice(plane, centres[0][0][axis], centres[0][1])
    for value, why in ((2, "most nodular enhancement"), (1, "most linear enhancement")):
        fullest = _fullest(labels, value, axis) if labels is not None else []
        if fullest:
            return Slice(plane, fullest[0], why)
    return Slice(plane, (box.low[axis] + box.high[axis]) // 2, "middle of the head")
