"""Dural sinuses, cortical veins that drain into them, and arteries that branch from the base of the brain.

Veins and arteries are minimum-cost paths through the fluid on the pia (``skimage.graph.MCP_Geometric``), so that all
paths to one sinus or artery join into trees; the radius grows with what a branch carries (Murray's law: the cubes of
the radii of the branches add up to the cube of the stem's).
"""

from __future__ import annotations

import dataclasses
import itertools

import numpy as np
from numpy.typing import NDArray
from skimage.graph import MCP_Geometric

from lmresp.simulate.canvas import Canvas, Point
from lmresp.simulate.head import CSF_MM, DURA_MM
from lmresp.simulate.shape import random_field
from lmresp.simulate.template import Volume
from lmresp.simulate.tissues import INDEX, Tissue

WORK_MM = 2.0  # grid of the path search
LOWEST_Z_MM = -58.0  # MNI; no small vessels along the spinal canal
BELOW_SHARE = 0.3  # the wide cisterns below MNI zero would otherwise draw most of the vessels
ALONG_MM = 0.5  # spacing of the points that draw a vessel


@dataclasses.dataclass(frozen=True)
class Tree:
    """One kind of vessel.

    Attributes
    ----------
    branches, twigs : int
        Vessels seen one by one, and thin ones that only tint the sulci.
    branch_mm, twig_mm : tuple
        Range of their radii at the far end.
    widest_mm : float
        No vessel is wider than this radius.
    depth_mm : tuple
        Depth below the closed surface of the brain at which they end.
    """

    branches: int
    twigs: int
    branch_mm: tuple[float, float]
    twig_mm: tuple[float, float]
    widest_mm: float
    depth_mm: tuple[float, float]


VEINS = Tree(45, 600, (0.50, 0.75), (0.18, 0.34), 1.2, (0.5, 14.0))
ARTERIES = Tree(40, 350, (0.40, 0.60), (0.16, 0.30), 1.1, (4.0, 30.0))

SAGITTAL_MM, TRANSVERSE_MM = 3.2, 3.0
# Radius (mm) and course (MNI mm) of what lies in the midline, and of what is mirrored.
MIDLINE: list[tuple[float, list[Point]]] = [
    (2.0, [(0, -38, 2), (0, -62, 4), (0, -98, -16)]),  # vein of Galen and straight sinus
    (1.0, [(0, 36, 4), (0, 37, 17), (0, 26, 29), (0, 2, 35), (0, -20, 37)]),  # pericallosal arteries, in the fissure
]
PAIRED: list[tuple[float, list[Point]]] = [
    (3.0, [(56, -52, -26), (46, -44, -46), (28, -34, -64)]),  # sigmoid sinus
    (2.5, [(12, -8, -32), (11, 12, -32)]),  # cavernous sinus
    (1.0, [(0, -38, 2), (5, -24, 13), (3, 2, 14)]),  # internal cerebral vein
    (1.0, [(0, -38, 2), (15, -34, -4), (24, -12, -18)]),  # basal vein of Rosenthal
    (1.8, [(14, 4, -36), (12, 2, -24)]),  # internal carotid artery
]
ARTERIAL: list[tuple[float, list[Point]]] = [
    (1.2, [(12, 2, -24), (28, 2, -20), (42, -4, -8)]),  # middle cerebral artery
    (1.0, [(12, 2, -24), (3, 8, -20), (1, 32, -8), (0, 36, 4)]),  # anterior cerebral artery
    (1.0, [(0, -14, -20), (13, -20, -15), (22, -34, -8)]),  # posterior cerebral artery
    (0.7, [(0, -17, -26), (14, -26, -24), (18, -40, -18)]),  # superior cerebellar artery
    (1.1, [(8, -36, -66), (0, -22, -52), (0, -18, -34), (0, -14, -20)]),  # vertebral and basilar artery
]


def _lines(canvas: Canvas, lines: list[tuple[float, list[Point]]], out: Volume) -> None:
    """Draw tubes of a stated radius into ``out`` (fraction of each voxel, in place)."""
    for radius, points in lines:
        distance, box = canvas.tube(points, radius + 2)
        thin = min(1.0, np.pi * radius**2 / canvas.grid**2)  # narrower than a voxel: what it really fills
        np.maximum(out[box], canvas.soft(distance, max(radius, 0.3 * canvas.grid)) * np.float32(thin), out=out[box])


def _sinuses(canvas: Canvas) -> Volume:
    """Fraction of each voxel inside dural sinuses and the large deep vessels."""
    x, y, z = canvas.mni
    rim = canvas.hull - np.float32(1.0)
    sagittal = np.where(z > 8 - 0.2 * (y + 60), np.hypot(x, rim), 99) - np.float32(SAGITTAL_MM)
    level = z + 18 + np.float32(0.12) * np.abs(x)
    transverse = np.where((y < -42) & (np.abs(x) < 62), np.hypot(level, rim), 99) - np.float32(TRANSVERSE_MM)
    out = canvas.soft(np.minimum(sagittal, transverse)) * (canvas.hull < DURA_MM + 1)
    _lines(canvas, MIDLINE[:1] + _both_sides(PAIRED), out)
    return out


def _both_sides(lines: list[tuple[float, list[Point]]]) -> list[tuple[float, list[Point]]]:
    return [(r, [(side * x, y, z) for x, y, z in points]) for r, points in lines for side in (-1, 1)]


def _coarse(volume: Volume, step: int) -> Volume:
    """Mean over blocks of ``step`` voxels."""
    nx, ny, nz = (n // step for n in volume.shape)
    part = volume[: nx * step, : ny * step, : nz * step]
    mean: Volume = part.reshape(nx, step, ny, step, nz, step).mean(axis=(1, 3, 5), dtype=np.float32)
    return mean


def _paths(
    cost: NDArray[np.float64], sources: NDArray[np.int64], ends: NDArray[np.int64], cubes: NDArray[np.float64]
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]:
    """Nodes (n, 3), the node each flows into (n,), and the cube of the radius that each carries (n,)."""
    search = MCP_Geometric(cost)
    search.find_costs(sources, ends, find_all_ends=True)
    number: dict[tuple[int, ...], int] = {}
    parent: list[int] = []
    carried: list[float] = []
    for end, cube in zip(ends, cubes, strict=True):
        nodes = [number.setdefault(tuple(int(v) for v in p), len(number)) for p in search.traceback(end)]
        parent += range(len(parent), len(number))  # a new node flows into itself until it is told otherwise
        carried += [0.0] * (len(number) - len(carried))
        for node in nodes:
            carried[node] += cube
        for up, down in itertools.pairwise(nodes):  # traceback begins at the source
            parent[down] = up
    return np.array(list(number)), np.array(parent), np.array(carried)


def _smooth(at: NDArray[np.float64], parent: NDArray[np.int64]) -> NDArray[np.float64]:
    """Take the corners off paths on a lattice: each node moves towards the mean of its neighbours, sources stay."""
    flows = parent != np.arange(len(parent))
    for _ in range(3):
        total, count = np.zeros_like(at), np.zeros(len(at))
        np.add.at(total, parent[flows], at[flows])
        np.add.at(count, parent[flows], 1)
        children = np.where(count[:, None] > 0, total / np.maximum(count, 1)[:, None], at)
        at = np.where(flows[:, None], 0.5 * at + 0.25 * at[parent] + 0.25 * children, at)
    return at


def _draw(
    shape: tuple[int, ...], at: NDArray[np.float64], parent: NDArray[np.int64], radius: NDArray[np.float64], grid: float
) -> Volume:
    """Fraction of each voxel inside the tubes: every half millimetre leaves its volume in the voxels around it."""
    flows = np.flatnonzero(parent != np.arange(len(parent)))
    start, stop = at[flows], at[parent[flows]]
    length = np.linalg.norm(stop - start, axis=1)
    parts = max(1, int(np.ceil(length.max() * grid / ALONG_MM)))
    where = ((np.arange(parts) + 0.5) / parts)[None, :, None]
    points = (start[:, None] + (stop - start)[:, None] * where).reshape(-1, 3)
    wide = np.repeat(radius[flows], parts)
    volume = np.pi * wide**2 * np.repeat(length, parts) * grid / parts / grid**3
    out = np.zeros(shape, dtype=np.float64)
    for side in itertools.product((-1, 1), repeat=3):  # eight points spread each one over the width of the tube
        spread = points + np.array(side) * (0.43 * wide / grid)[:, None]
        low = np.floor(spread).astype(int)
        rest = spread - low
        for corner in itertools.product((0, 1), repeat=3):
            weight = np.prod(np.where(corner, rest, 1 - rest), axis=1)
            inside = tuple(np.clip(low[:, a] + corner[a], 0, shape[a] - 1) for a in range(3))
            np.add.at(out, inside, weight * volume / 8)
    drawn: Volume = np.minimum(out, 1).astype(np.float32)
    return drawn


def _tree(canvas: Canvas, kind: Tree, rng: np.random.Generator, coarse: dict[str, Volume], source: Volume) -> Volume:
    """Grow one kind of vessel from its sources; fraction of each voxel."""
    fluid, hull, height = coarse["fluid"], coarse["hull"], coarse["height"]
    step = max(1, round(WORK_MM / canvas.grid))
    noise = np.exp(0.5 * random_field(rng, hull.shape, 2.0))
    deep = np.clip(-hull / 6, 0, 4) if kind is VEINS else np.clip((hull + 8) / 4, 0, 2)  # arteries keep to the depth
    cost = noise * (1 + deep) / (0.04 + np.clip(fluid, 0, 1)) ** 1.5
    cost[hull > CSF_MM] = -1  # not into the skull
    reachable = np.where(hull <= CSF_MM, source, 0)
    seeds = np.argwhere(reachable > 0.5 * min(0.6, float(reachable.max())))
    low, high = kind.depth_mm
    room = np.argwhere((fluid > 0.15) & (hull < -low) & (hull > -high) & (source < 0.01) & (height > LOWEST_Z_MM))
    share = np.where(height[tuple(room.T)] > 0, 1.0, BELOW_SHARE)
    number = min(kind.branches + kind.twigs, len(room))  # a coarse grid has less room
    ends = room[rng.choice(len(room), number, replace=False, p=share / share.sum())]
    radii = np.concatenate([rng.uniform(*kind.branch_mm, kind.branches), rng.uniform(*kind.twig_mm, kind.twigs)])[
        :number
    ]
    nodes, parent, cubes = _paths(cost, seeds, ends, radii**3)
    at = _smooth((nodes * step + (step - 1) / 2).astype(np.float64), parent)
    return _draw(canvas.hull.shape, at, parent, np.minimum(np.cbrt(cubes), kind.widest_mm), canvas.grid)


def add(canvas: Canvas, seed: int) -> None:
    """Put all vessels into a head.

    Parameters
    ----------
    canvas : Canvas
        With brain and shells.
    seed : int
        The subject.
    """
    rng = np.random.default_rng([seed, 4])
    step = max(1, round(WORK_MM / canvas.grid))
    sinuses = _sinuses(canvas)
    arteries = np.zeros_like(sinuses)
    _lines(canvas, MIDLINE[1:] + _both_sides(ARTERIAL), arteries)
    coarse = {
        "fluid": _coarse(canvas.maps[INDEX[Tissue.CSF]] * (1 - np.clip(canvas.ventricles, 0, 1)), step),
        "hull": _coarse(canvas.hull, step),
        "height": _coarse(canvas.mni[2], step),
    }
    whole = np.maximum(sinuses, arteries)
    for kind, source in ((VEINS, sinuses), (ARTERIES, arteries)):
        np.maximum(whole, _tree(canvas, kind, rng, coarse, _coarse(source, step)), out=whole)
    canvas.put(Tissue.VESSEL, whole, (slice(0, None), slice(0, None), slice(0, None)))
