"""Linear measures of the ventricles, read off the fraction maps: Evans index and frontal-occipital horn ratio.

Both are measured in axial planes of the AC-PC frame, which for a phantom is its own RAS frame, from every plane
whose median MNI height inside the brain lies between 0 (the AC-PC plane) and 30 mm. A width runs from left to right
along one row of voxels, between the outermost places where the fraction crosses one half, interpolated linearly.

- Evans index: widest frontal horns (both together, in front of MNI y = 5) over widest inner skull **in the same
  plane**; the index is the largest ratio over the planes (Evans 1942).
- Frontal-occipital horn ratio (FOHR): (widest frontal horns + widest occipital horns) / (2 x widest inner skull),
  each the largest over all the planes (O'Hayon 1998). Occipital horns: behind MNI y = -25, atria included.
- Inner skull: between the inner tables, that is, the outer borders of the dura.
"""

from __future__ import annotations

import dataclasses

import numpy as np

from lmresp.simulate.anatomy import Anatomy
from lmresp.simulate.head import DURA_MM
from lmresp.simulate.template import Volume

LOWEST_MM, HIGHEST_MM = 0.0, 30.0
FRONTAL_Y_MM, OCCIPITAL_Y_MM = 5.0, -25.0


@dataclasses.dataclass(frozen=True)
class Widths:
    """Evans index, frontal-occipital horn ratio, and the widths (mm) behind them."""

    evans: float
    fohr: float
    frontal_mm: float
    occipital_mm: float
    inner_skull_mm: float


def crossings_mm(profile: Volume, grid: float) -> float:
    """Width between the outermost places where a profile crosses one half, mm, between voxels linearly."""
    above = np.flatnonzero(profile > 0.5)
    if not len(above):
        return 0.0
    first, last = int(above[0]), int(above[-1])
    left = (profile[first] - 0.5) / max(profile[first] - (profile[first - 1] if first else 0), 1e-6)
    beyond = profile[last + 1] if last + 1 < len(profile) else 0
    right = (profile[last] - 0.5) / max(profile[last] - beyond, 1e-6)
    return float(grid * (last - first + left + right))


def _widest(plane: Volume, grid: float) -> float:
    return max(crossings_mm(row, grid) for row in plane.T)


def measure(anatomy: Anatomy, ventricle_map: Volume) -> Widths:
    """Measure a head.

    Parameters
    ----------
    anatomy : Anatomy
        The head.
    ventricle_map : array (nx, ny, nz)
        Fraction of each voxel inside the lateral and third ventricles.

    Returns
    -------
    Widths
        As defined at the top of this module; zeros where there is nothing.
    """
    grid, front = anatomy.grid_mm, anatomy.mni[1]
    evans = frontal = occipital = skull = 0.0
    for k in range(anatomy.mni.shape[3]):
        brain = anatomy.hull_distance[:, :, k] < 0
        if not brain.any() or not LOWEST_MM <= float(np.median(anatomy.mni[2, :, :, k][brain])) <= HIGHEST_MM:
            continue
        inner = _widest(np.clip((DURA_MM - anatomy.hull_distance[:, :, k]) / grid + 0.5, 0, 1), grid)
        plane = ventricle_map[:, :, k]
        horns = _widest(plane * (front[:, :, k] > FRONTAL_Y_MM), grid)
        evans = max(evans, horns / inner)
        frontal, skull = max(frontal, horns), max(skull, inner)
        occipital = max(occipital, _widest(plane * (front[:, :, k] < OCCIPITAL_Y_MM), grid))
    fohr = (frontal + occipital) / (2 * skull) if skull else 0.0
    return Widths(evans, fohr, frontal, occipital, skull)
