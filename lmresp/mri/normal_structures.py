"""Structures that enhance in everybody: dural sinuses, deep veins, basal arteries, pituitary, choroid plexus, vessels.

They are found by their place in the template frame, and vessels by their shape. They are kept as a label of their own
(4 in the segmentation), so that a reader can see what was set aside.
"""

from __future__ import annotations

import dataclasses
import itertools

import numpy as np
from scipy import ndimage

from lmresp.mri import template
from lmresp.mri.brain import signed_distance
from lmresp.mri.methods import number, numbers
from lmresp.mri.volume import Float, Mask, Matrix, Volume, resample, world_axes


@dataclasses.dataclass(frozen=True, eq=False)
class Zones:
    """Where enhancement is normal: vessels and glands, dural sheets, and the large dural sinuses (part of vessels).

    Sheets hide film only: a nodule on the falx or the tentorium stands out from a sheet.
    """

    vessels: Mask
    sheets: Mask
    sinuses: Mask


def zones(grid: Volume, to_template: Matrix, depth: Float) -> Zones:
    """Zones of normal enhancement by place.

    Parameters
    ----------
    grid : Volume
        Grid of the scan; only its shape and affine are used.
    to_template : float64, shape (4, 4)
        World position in the scan to the template's.
    depth : float32, shape of ``grid``
        Depth below the surface of the brain mask in mm (negative outside).

    Returns
    -------
    Zones
        Masks of the shape of ``grid``.
    """
    x, y, z = world_axes(grid, to_template)
    shallow = depth < number("normal.sinus_depth_mm")
    half = number("normal.sagittal_half_width_mm")
    sagittal = (np.abs(x) < half) & shallow & (z > 8 - 0.2 * (y + 60)) & (z > -10)
    lateral = np.abs(x) < 66
    transverse = (y < -42) & lateral & (np.abs(z + 18 + 0.12 * np.abs(x)) < 7) & shallow
    sinuses = sagittal | transverse
    falx = (np.abs(x) < number("normal.falx_half_width_mm")) & ((z > 26) | ((z > -20) & ((y > 28) | (y < -46))))
    roof = np.abs(z - (4 - 0.45 * np.abs(x))) < number("normal.tentorium_half_mm")
    tentorium = roof & (y < -30) & (np.abs(x) < 62)
    found = sinuses.copy()
    for _, x0, x1, y0, y1, z0, z1 in numbers("normal.boxes"):
        found |= (x > x0) & (x < x1) & (y > y0) & (y < y1) & (z > z0) & (z < z1)
    for _, radius, points in numbers("normal.tubes"):
        found |= _tube((x, y, z), points, radius)
    plexus = np.zeros_like(found)
    for _, radius, points in numbers("normal.choroid"):
        plexus |= _tube((x, y, z), points, radius)
    base = template.load()
    near = ndimage.binary_dilation(base.ventricles, iterations=3) | (base.csf > 0.5)
    found |= plexus & (resample(base.brain.like(near), grid, to_template) > 0.5)
    return Zones(found, falx | tentorium, sinuses)


def plate_and_tube(e: Volume, where: Mask) -> tuple[Float, Float]:
    """Shape of bright structures at each voxel of ``where``, from the Hessian (sigma 1 mm, or one voxel if coarser).

    Returns
    -------
    plate, tube : float32, shape (number of voxels in ``where``,)
        ``(|l1| - |l2|) / |l1|`` and ``(|l2| - |l3|) / |l1|`` of the sorted eigenvalues; a film in a sulcus is a
        plate, a vein a tube.
    """
    if not where.any():
        return np.zeros(0, np.float32), np.zeros(0, np.float32)
    spacing = e.spacing
    sigma = np.maximum(number("linear.hessian_mm") / spacing, 0.7)
    hessian = np.empty((int(where.sum()), 3, 3), np.float32)
    for a in range(3):
        for b in range(a, 3):
            order = [int(axis == a) + int(axis == b) for axis in range(3)]
            second = ndimage.gaussian_filter(e.array, sigma, order=order)[where] / (spacing[a] * spacing[b])
            hessian[:, a, b] = hessian[:, b, a] = second
    values = np.sort(np.abs(np.linalg.eigvalsh(hessian)), axis=1)[:, ::-1]
    first = np.maximum(values[:, 0], 1e-9)
    return (values[:, 0] - values[:, 1]) / first, (values[:, 1] - values[:, 2]) / first


def sinus_signal(e: Float, sinuses: Mask, near_brain: Mask) -> float | None:
    """Median enhancement of the bright voxels of the large dural sinuses, or None if too few are seen."""
    values = e[sinuses & near_brain]
    bright = values[values > 0.5]
    if bright.size < 50:
        return None
    return float(np.median(bright[bright > np.percentile(bright, 50)]))


def surface_depth(mask: Mask, grid: Volume) -> Float:
    """Depth below the surface of a mask in mm (negative outside)."""
    return -signed_distance(mask, grid)


def _tube(axes: tuple[Float, Float, Float], points: list[list[float]], radius: float) -> Mask:
    inside = np.zeros(axes[0].shape, bool)
    for first, second in itertools.pairwise(points):
        start, along = np.array(first, np.float32), np.subtract(second, first).astype(np.float32)
        offset = [axis - s for axis, s in zip(axes, start, strict=True)]
        share = sum(o * a for o, a in zip(offset, along, strict=True)) / float(along @ along)
        share = np.clip(share, 0, 1)
        square = sum((o - share * a) ** 2 for o, a in zip(offset, along, strict=True))
        inside |= square < radius**2
    return inside
