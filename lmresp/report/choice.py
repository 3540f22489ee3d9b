"""Which slices a picture page shows: through the findings, else evenly through the head."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from lmresp.report.slices import Box, PlaneName, Volume

AXIAL_SLICES = 5
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


def choose(grid: Volume, box: Box, findings: Sequence[Mapping[str, Any]], labels: Volume | None) -> list[Slice]:
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

    Returns
    -------
    list of Slice
        Up to ``AXIAL_SLICES`` axial slices from the top down, then one coronal and one sagittal.

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
    wanted += [(n, "evenly spaced") for n in _even(box, 2, AXIAL_SLICES)]
    gap = max(APART_MM / float(grid.spacing[2]), 1.0)
    chosen: list[tuple[int, str]] = []
    for index, why in wanted:
        if len(chosen) < AXIAL_SLICES and all(abs(index - other) >= gap for other, _ in chosen):
            chosen.append((index, why))
    axial = [Slice("axial", index, why) for index, why in sorted(chosen, reverse=True)]
    middle = tuple((a + b) // 2 for a, b in zip(box.low, box.high, strict=True))
    centre, why = centres[0] if centres else (middle, "middle of the head")
    return [*axial, Slice("coronal", centre[1], why), Slice("sagittal", centre[0], why)]
