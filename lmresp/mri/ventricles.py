"""Ventricles: volume, and the Evans index (widest frontal horns over widest inner skull)."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
from scipy import ndimage
from skimage.segmentation import watershed

from lmresp.mri import template
from lmresp.mri.brain import signed_distance
from lmresp.mri.methods import number
from lmresp.mri.registration import rigid_part
from lmresp.mri.volume import Float, Mask, Matrix, Volume, resample, world_axes

_watershed: Any = watershed


@dataclasses.dataclass(frozen=True, eq=False)
class Ventricles:
    """Lateral and upper third ventricles of a scan.

    Parameters
    ----------
    mask : bool
        Voxels at least half ventricle.
    volume_mm3 : float
        Sum of the CSF fraction inside.
    evans : float or None
        Evans index; None if the frontal horns were not found.
    """

    mask: Mask
    volume_mm3: float
    evans: float | None


def measure(csf: Float, brain: Mask, grid: Volume, to_template: Matrix) -> Ventricles:
    """Segment and measure the ventricles.

    Parameters
    ----------
    csf : float32, shape (I, J, K)
        CSF fraction.
    brain : bool, same shape
        Brain mask with its CSF.
    grid : Volume
        Grid of ``csf``.
    to_template : float64, shape (4, 4)
        World of the scan to world of the template.

    Notes
    -----
    The template's ventricles (deep CSF of the ICBM maps, cut off from the midline cisterns by boxes) are grown by at
    most ``ventricles.growth_mm`` in the subject's CSF, in a watershed against seeds in the cisterns and sulci. Absolute
    volume leaks into cisterns by up to a quarter: change and the Evans index are the products.
    """
    base = template.load()
    prior = resample(base.brain.like(base.ventricles), grid, to_template) > 0.5
    fluid = (csf > number("ventricles.csf_fraction")) & brain
    reach = signed_distance(prior, grid)
    depth = -signed_distance(brain, grid)
    x, y, z = world_axes(grid, to_template)
    cistern = (
        ((np.abs(x) < 7) & (y > 30))
        | ((np.abs(x) < 9) & (y < -38) & (z > -15))
        | ((np.abs(x) < 6) & (z > 27))
        | ((np.abs(x) < 16) & (y < -26) & (z < 8))
        | ((np.abs(x) < 30) & (y > -24) & (z < -8))
        | (np.abs(x) > 43)
        | (z < -24)
    )
    growth = number("ventricles.growth_mm")
    inside = fluid & prior & ~cistern
    outside = fluid & ~prior & (cistern | (reach > growth) | (depth < number("ventricles.sulcal_depth_mm")))
    seeds = np.zeros(csf.shape, np.int8)
    seeds[inside] = 1
    seeds[outside] = 2
    allowed = fluid & (reach < 2 * growth)
    grown = _watershed(1 - csf, seeds, mask=allowed) == 1
    grown &= reach <= growth
    labels, count = ndimage.label(grown)
    touching = np.unique(labels[inside])
    mask = np.isin(labels, touching[touching > 0]) if count else grown
    # Choroid plexus lies in the ventricles but does not look like CSF: close over it.
    closing = number("ventricles.closing_mm")
    closed = signed_distance(signed_distance(mask, grid) <= closing, grid) <= -closing if mask.any() else mask
    plexus = ndimage.binary_fill_holes(closed | mask) & brain & ~mask & ~cistern & prior
    mask = mask | plexus
    rim = ndimage.binary_dilation(mask) & ~outside & (reach <= growth) & brain & ~cistern
    part = np.where(mask | (rim & ~fluid), csf, 0).astype(np.float32)
    part[plexus] = 1.0
    return Ventricles(mask, float(part.sum()) * grid.voxel_mm3, _evans(part, brain, grid, to_template))


def _evans(fraction: Float, brain: Mask, grid: Volume, to_template: Matrix) -> float | None:
    """Evans index in the rigid template (AC-PC) frame: the largest ratio over axial planes z = 0 to 30 mm."""
    frame = rigid_part(to_template)
    scale = np.linalg.svd(to_template[:3, :3])[1].mean()
    corner = np.array([-90.0, -130.0, 0.0])
    affine = np.eye(4)
    affine[:3, 3] = corner
    planes = Volume(np.zeros((181, 231, 11), np.float32), affine @ np.diag([1.0, 1.0, 3.0, 1.0]))
    back: Matrix = np.asarray(np.linalg.inv(_scaled(frame, to_template)), dtype=float)
    horns = resample(grid.like(fraction), planes, back)
    skull = resample(grid.like(brain), planes, back)
    _, y, _ = world_axes(planes)
    front = y[0, :, 0] > number("ventricles.frontal_y_mm")
    best = 0.0
    for k in range(planes.shape[2]):
        inner = _widest(skull[:, :, k]) + 2 * number("ventricles.skull_margin_mm") * float(scale)
        wide = _widest(horns[:, front, k])
        if inner > 90 and wide > 0:
            best = max(best, wide / inner)
    return best or None


def _scaled(frame: Matrix, to_template: Matrix) -> Matrix:
    """Isotropic version of the template fit: rotation, one scale, and the same centre."""
    scale = float(np.cbrt(abs(np.linalg.det(to_template[:3, :3]))))
    out = np.eye(4)
    out[:3, :3] = frame[:3, :3] * scale
    centre = np.linalg.inv(to_template) @ [0.0, 0.0, 15.0, 1.0]
    out[:3, 3] = np.array([0.0, 0.0, 15.0]) - out[:3, :3] @ centre[:3]
    return out


def _widest(plane: Float) -> float:
    """Widest extent along the first axis (voxels of 1 mm), edges placed where the fraction crosses one half."""
    best = 0.0
    for row in plane.T:
        above = np.flatnonzero(row >= 0.5)
        if above.size == 0:
            continue
        first, last = int(above[0]), int(above[-1])
        left = first - (row[first] - 0.5) / max(row[first] - row[first - 1], 1e-6) if first > 0 else float(first)
        last_gap = row[last] - row[last + 1] if last + 1 < row.size else 1.0
        right = last + (row[last] - 0.5) / max(last_gap, 1e-6)
        best = max(best, float(right - left))
    return best
