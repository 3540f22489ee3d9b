"""Structures that enhance in everybody: dural sinuses, deep veins, basal arteries, pituitary, choroid plexus, vessels.

They are found by their place in the template frame, and vessels by their shape. They are kept as a label of their own
(4 in the segmentation), so that a reader can see what was set aside.
"""

from __future__ import annotations

import dataclasses
import itertools

import numpy as np
from scipy import ndimage

from lmresp.mri import regions, template
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
    closed: Mask


@dataclasses.dataclass(frozen=True, eq=False)
class Dura:
    """Enhancing dura: its voxels, the part of the brain's surface under bright dura, and whether that is diffuse."""

    mask: Mask
    share: float
    diffuse: bool


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
    large = regions.parts()
    roof = [resample(part, grid, to_template) for part in (large.cerebrum, large.cerebellum)]
    tentorium = (np.maximum(roof[0], roof[1]) < number("normal.tentorium_half_mm")) & (z > -70)
    found = sinuses.copy()
    closed = sinuses | falx | tentorium
    for _, kind, x0, x1, y0, y1, z0, z1 in numbers("normal.boxes"):
        box = (x > x0) & (x < x1) & (y > y0) & (y < y1) & (z > z0) & (z < z1)
        found |= box
        closed |= box & (kind == "closed")
    for _, kind, radius, points in numbers("normal.tubes"):
        tube = _tube((x, y, z), points, radius)
        found |= tube
        closed |= tube & (kind == "closed")
    plexus = np.zeros_like(found)
    for _, radius, points in numbers("normal.choroid"):
        plexus |= _tube((x, y, z), points, radius)
    base = template.load()
    near = ndimage.binary_dilation(base.ventricles, iterations=3) | (base.csf > 0.5)
    plexus &= resample(base.brain.like(near), grid, to_template) > 0.5
    return Zones(found | plexus, falx | tentorium, sinuses, closed | plexus)


def sinus_signal(e: Float, sinuses: Mask, near_brain: Mask) -> float | None:
    """Median enhancement of the bright voxels of the large dural sinuses, or None if too few are seen."""
    values = e[sinuses & near_brain]
    bright = values[values > 0.5]
    if bright.size < 50:
        return None
    return float(np.median(bright[bright >= np.percentile(bright, 50)]))


def dura(e: Float, mask: Mask, depth: Float, grid: Volume, veins: float) -> Dura:
    """Find enhancement of the dura and of sinuses beside the mask by its continuity with the surface.

    Parameters
    ----------
    e : float32
        Lightly smoothed enhancement in white-matter units.
    mask : bool
        Brain with its CSF.
    depth : float32
        Depth below the surface of ``mask`` in mm (negative outside).
    grid : Volume
        Grid of the arrays.
    veins : float
        Enhancement of the dural sinuses, in the same units.

    Returns
    -------
    Dura

    Notes
    -----
    Bright voxels of the outermost rim grow inwards through bright voxels for a few millimetres. Diffuse dural
    enhancement, as after a lumbar puncture or with a shunt, is called when most of the surface is as bright as
    ``normal.dura_diffuse`` of the sinuses.
    """
    bright = number("normal.dura_signal") * veins
    reach = number("normal.dura_reach_mm")
    steps = max(1, round(reach / float(grid.spacing.min())))
    rim = number("normal.dura_rim_mm")
    seed = (depth <= rim) & (depth > -reach) & (e > bright)
    band = (e > bright) & (depth > -reach) & (depth <= rim + reach)
    grown = ndimage.binary_dilation(seed, iterations=steps, mask=band) if seed.any() else seed
    wide = number("normal.dura_shell_mm")
    at = mask & (depth > 0) & (depth <= rim)
    highest = ndimage.maximum_filter(
        np.where((depth > -wide) & (depth < rim), e, -1),
        size=[2 * max(1, round(0.75 * wide / s)) + 1 for s in grid.spacing],
    )
    share = float((highest[at] > number("normal.dura_diffuse") * veins).mean()) if at.any() else 0.0
    return Dura(grown, share, share > number("normal.dura_share"))


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
