"""A nodule's two diameters: the longest in its plane and the longest perpendicular to it, as a radiologist measures.

The outline is the half-maximum contour of the enhancement map, not the edge of a voxel mask: measured on phantoms the
contour is right to 0.1-0.3 mm where voxel centres are 0.5-0.8 mm short and voxel corners 0.8 mm long.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.spatial import ConvexHull, QhullError
from skimage import measure as skimage_measure

_find_contours: Any = skimage_measure.find_contours

Points = npt.NDArray[np.float64]


@dataclasses.dataclass(frozen=True)
class Diameters:
    """Diameters of one lesion.

    Parameters
    ----------
    long_mm, perp_mm : float
        Longest diameter in the plane, and longest chord perpendicular to it, in the slice where the longest one is
        largest; 0 if there is no outline.
    slice_index : int
        That slice, counted along the axis across the plane; -1 if there is no outline.
    solidity : float
        Area of the outline over that of its convex hull: well below 1 where a vessel is measured with the lesion.
    other_planes_mm2 : (float, float)
        Product of the two diameters in the planes across the other two axes, in the order of the axes.
    feret_mm : float
        Longest distance between two points of the surface in three dimensions.
    """

    long_mm: float
    perp_mm: float
    slice_index: int
    solidity: float
    other_planes_mm2: tuple[float, float]
    feret_mm: float


def of_points(points: Points) -> tuple[float, float]:
    """Longest diameter of a set of points, and longest chord of its convex hull perpendicular to it.

    Parameters
    ----------
    points : float64, shape (n, 2)
        Outline in mm.

    Returns
    -------
    (float, float)
        In mm; (0, 0) for fewer than three points or points on a line.

    Notes
    -----
    Exact: the longest pair lies on hull vertices, and the longest chord of a convex polygon in a given direction
    starts at a vertex, so each vertex is tried.
    """
    hull = _hull(points)
    if hull is None:
        return 0.0, 0.0
    gaps = hull[:, None, :] - hull[None, :, :]
    lengths = np.hypot(gaps[..., 0], gaps[..., 1])
    first, second = np.unravel_index(int(lengths.argmax()), lengths.shape)
    longest = float(lengths[first, second])
    along = (hull[second] - hull[first]) / longest
    turned = np.stack([hull @ along, hull @ np.array([-along[1], along[0]])], axis=1)
    return longest, _longest_upright_chord(turned)


def _hull(points: Points) -> Points | None:
    """Vertices of the convex hull in order; None if the points span no area (or volume)."""
    if len(points) <= points.shape[1]:
        return None
    try:
        return np.asarray(points[ConvexHull(points).vertices], dtype=float)
    except QhullError:
        return None


def _longest_upright_chord(polygon: Points) -> float:
    """Longest chord parallel to the second axis in a convex polygon given in order."""
    (x0, y0), (x1, y1) = polygon.T, np.roll(polygon, -1, axis=0).T
    at = polygon[:, :1]  # one row per vertex tried, one column per edge
    crossed = (np.minimum(x0, x1) - 1e-9 <= at) & (at <= np.maximum(x0, x1) + 1e-9)
    run = x1 - x0
    flat = np.abs(run) < 1e-9
    y = y0 + (at - x0) / np.where(flat, 1.0, run) * np.where(flat, 0.0, y1 - y0)
    high = np.where(crossed, np.where(flat, np.maximum(y0, y1), y), -np.inf).max(axis=1)
    low = np.where(crossed, np.where(flat, np.minimum(y0, y1), y), np.inf).min(axis=1)
    return float((high - low).max())


def of_lesion(
    e: npt.NDArray[np.float32],
    core: npt.NDArray[np.bool_],
    half: float,
    spacing: npt.NDArray[np.float64],
    axis: int = 2,
) -> Diameters:
    """Diameters of one lesion in the slice where the longest one is largest.

    Parameters
    ----------
    e : float32, shape (I, J, K)
        Enhancement around the lesion.
    core : bool, same shape
        The lesion: the contour runs just outside it, so that a vessel that touches it is cut off.
    half : float
        Half-maximum level of the contour, in the units of ``e``.
    spacing : float64, shape (3,)
        Voxel size in mm.
    axis : int
        The axis across the plane of measurement: the third of an axial grid.

    Returns
    -------
    Diameters
        Of slices whose longest diameters tie, the one with the larger product.
    """
    # Outside the core nothing reaches the level: where a vessel leaves, the contour ends at its first voxel.
    cut = np.where(core, e, np.minimum(e, 0.999 * half)).astype(float)
    planes = []
    surface = []
    for across in range(3):
        outlines = _outlines(cut, half, spacing, across)
        planes.append(_largest(outlines, across))
        surface += [outline for _, outline in outlines]
    long_mm, perp_mm, index, solidity = planes[axis]
    others = [planes[a][0] * planes[a][1] for a in range(3) if a != axis]
    hull = _hull(np.concatenate(surface)) if surface else None
    gaps = 0.0 if hull is None else float(np.linalg.norm(hull[:, None] - hull[None], axis=-1).max())
    return Diameters(long_mm, perp_mm, index, solidity, (others[0], others[1]), gaps)


def _outlines(
    cut: npt.NDArray[np.float64], half: float, spacing: npt.NDArray[np.float64], across: int
) -> list[tuple[int, Points]]:
    """Contours in every slice across an axis: the slice, and points in mm in three dimensions."""
    found = []
    for index, plane in enumerate(np.moveaxis(cut, across, 0)):
        if (plane > half).any():
            for outline in _find_contours(np.pad(plane, 1), half):
                points = np.insert(outline - 1, across, index, axis=1) * spacing
                found.append((index, points))
    return found


def _largest(outlines: list[tuple[int, Points]], across: int) -> tuple[float, float, int, float]:
    best = (0.0, 0.0, -1, 0.0)
    for index, points in outlines:
        flat = np.delete(points, across, axis=1)
        longest, perpendicular = of_points(flat)
        if (longest, perpendicular) > best[:2]:
            best = (longest, perpendicular, index, _solidity(flat))
    return best


def _solidity(outline: Points) -> float:
    """Area of a closed outline over the area of its convex hull."""
    hull = _hull(outline)
    return 0.0 if hull is None else _area(outline) / max(_area(hull), 1e-9)


def _area(polygon: Points) -> float:
    x, y = polygon.T
    return 0.5 * abs(float(x @ np.roll(y, -1) - y @ np.roll(x, -1)))
