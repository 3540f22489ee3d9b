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
    """Two diameters in one slice.

    Parameters
    ----------
    long_mm, perp_mm : float
        Longest diameter, and longest chord perpendicular to it, in mm.
    slice_index : int
        Slice (third axis) they were measured in.
    """

    long_mm: float
    perp_mm: float
    slice_index: int


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
    if len(points) < 3:
        return 0.0, 0.0
    try:
        hull = points[ConvexHull(points).vertices]
    except QhullError:
        return 0.0, 0.0
    gaps = hull[:, None, :] - hull[None, :, :]
    lengths = np.hypot(gaps[..., 0], gaps[..., 1])
    first, second = np.unravel_index(int(lengths.argmax()), lengths.shape)
    longest = float(lengths[first, second])
    along = (hull[second] - hull[first]) / longest
    turned = np.stack([hull @ along, hull @ np.array([-along[1], along[0]])], axis=1)
    return longest, _longest_upright_chord(turned)


def _longest_upright_chord(polygon: Points) -> float:
    """Longest chord parallel to the second axis in a convex polygon given in order."""
    ends = np.roll(polygon, -1, axis=0)
    best = 0.0
    for position in polygon[:, 0]:
        crossings = []
        for (x0, y0), (x1, y1) in zip(polygon, ends, strict=True):
            if min(x0, x1) - 1e-9 <= position <= max(x0, x1) + 1e-9:
                if abs(x1 - x0) < 1e-9:
                    crossings += [y0, y1]
                else:
                    crossings.append(y0 + (position - x0) / (x1 - x0) * (y1 - y0))
        if crossings:
            best = max(best, max(crossings) - min(crossings))
    return float(best)


def of_lesion(
    e: npt.NDArray[np.float32], allowed: npt.NDArray[np.bool_], level: float, spacing: npt.NDArray[np.float64]
) -> Diameters:
    """Diameters of one lesion in the slice where the longest one is largest.

    Parameters
    ----------
    e : float32, shape (I, J, K)
        Enhancement around the lesion.
    allowed : bool, same shape
        Where the contour may run (the lesion and 2 mm around it), so that a vessel that touches it is cut off.
    level : float
        Half-maximum level of the contour, in the units of ``e``.
    spacing : float64, shape (3,)
        Voxel size in mm.

    Returns
    -------
    Diameters
        In the plane of the first two axes; of slices whose longest diameters tie, the one with the larger product.
    """
    cut = np.where(allowed, e, np.minimum(e, 0.0)).astype(float)
    best = Diameters(0.0, 0.0, -1)
    for k in range(e.shape[2]):
        if not (cut[:, :, k] > level).any():
            continue
        padded = np.pad(cut[:, :, k], 1)
        outlines = [c for c in _find_contours(padded, level) if len(c) >= 4]
        if not outlines:
            continue
        sized = [of_points((outline - 1) * spacing[:2]) for outline in outlines]
        longest, perpendicular = max(sized)
        if (longest, perpendicular) > (best.long_mm, best.perp_mm):
            best = Diameters(longest, perpendicular, k)
    return best
