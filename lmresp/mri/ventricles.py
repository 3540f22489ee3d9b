"""Lateral and third ventricles: volume, Evans index and frontal-occipital horn ratio.

Which fluid is ventricle is decided by anatomical limits, stated in template coordinates
(``parameters/ventricles.yaml``) and carried to the subject by a deformation, so that they follow walls that have moved.
How much fluid a voxel holds is read from its signal, between that of the subject's own ventricular fluid and that of
the tissue behind the wall.
"""

from __future__ import annotations

import dataclasses

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from lmresp.mri import template
from lmresp.mri.brain import signed_distance
from lmresp.mri.methods import number, numbers
from lmresp.mri.template_fit import Axes, Signals, carry, coordinates, cut, deep_box, signals
from lmresp.mri.volume import Float, Mask, Matrix, Volume, resample, world_axes

PLANE_MARGIN_MM = 8


@dataclasses.dataclass(frozen=True, eq=False)
class Ventricles:
    """Lateral and third ventricles of a scan, with their choroid plexus.

    Parameters
    ----------
    mask : bool
        Voxels at least half ventricle.
    volume_mm3 : float
        Sum of the ventricular fraction.
    evans : float or None
        Evans index; None if the frontal horns were not found.
    frontal_occipital : float or None
        Frontal-occipital horn ratio; None if the frontal or the occipital horns were not found.
    uncertainty_mm3 : float
        Standard uncertainty of the volume. Two scans of one subject agree better than this: most of it is where the
        wall begins, which is the same in both.
    ratio_uncertainty : float
        Standard uncertainty of the Evans index and of the horn ratio.
    """

    mask: Mask
    volume_mm3: float
    evans: float | None
    frontal_occipital: float | None
    uncertainty_mm3: float
    ratio_uncertainty: float


def measure(csf: Float, mask: Mask, grid: Volume, to_template: Matrix, pre: Volume | None = None) -> Ventricles:
    """Segment and measure the ventricles.

    Parameters
    ----------
    csf : float32, shape (I, J, K)
        CSF fraction; used where there is no ``pre``.
    mask : bool, same shape
        Brain with its CSF.
    grid : Volume
        Grid of ``csf`` in the subject's common space (RAS+ mm, AC-PC); its axes may be turned.
    to_template : float64, shape (4, 4)
        Common space to world of the template (affine).
    pre : Volume, optional
        T1-weighted image before contrast on the same grid, bias-corrected. Better than ``csf``: the signals are then
        those next to the ventricles and not those of the whole brain.

    Returns
    -------
    Ventricles
        Empty, with volume 0 and no ratios, where no ventricles are found.

    Notes
    -----
    Volume is the sum of fractions over the ventricles and the voxels that touch them, so that it does not depend on
    where a threshold cuts the wall. Both ratios follow Evans 1942 and O'Hayon et al. 1998 in planes 0 to 30 mm above
    the AC-PC plane: widest frontal horns (in front of MNI y = 5) over the inner skull of the same plane, largest over
    the planes; mean of the widest frontal and the widest occipital horns (behind MNI y = -25) over the widest inner
    skull.
    """
    ratio_spread = uncertainty(grid.spacing, "evans_")
    box = deep_box(grid, to_template)
    t1 = cut(pre if pre is not None else grid.like(1 - csf), box)
    brain = np.ascontiguousarray(mask[box])
    tissue = signals(t1, brain, to_template) if min(t1.shape) > 2 else None
    whole = np.zeros(mask.shape, dtype=bool)
    if tissue is None:
        return Ventricles(whole, 0.0, None, None, 0.0, ratio_spread)
    axes = coordinates(t1, brain, to_template, tissue)
    fraction = _fraction(t1, brain, axes, tissue)
    whole[box] = fraction >= 0.5
    volume = float(fraction.sum(dtype=np.float64)) * grid.voxel_mm3
    evans, fohr = _ratios(t1.like(fraction), axes[1], grid.like(mask), to_template)
    return Ventricles(whole, volume, evans, fohr, uncertainty(grid.spacing) * volume, ratio_spread)


def uncertainty(spacing: npt.NDArray[np.float64], of: str = "") -> float:
    """Return the standard uncertainty on a grid: of the volume as a part of it, or of the ratios (``of="evans_"``).

    It grows with the longest voxel edge beyond 1 mm.
    """
    beyond = max(float(spacing.max()) - 1.0, 0.0)
    return number(f"ventricles.{of}uncertainty") + number(f"ventricles.{of}uncertainty_per_mm") * beyond


def _fraction(t1: Volume, brain: Mask, axes: Axes, tissue: Signals) -> Float:
    """Part of every voxel that is ventricle."""
    expected = carry(template.load().ventricles, axes) > 0.5
    limits = template.within(axes, "ventricles.lateral_mm") & ~template.within(axes, "ventricles.cisterns_mm")
    limits = (limits | template.within(axes, "ventricles.third_mm")) & brain
    fluid = _fluid(t1, brain, limits, tissue)
    wet = (fluid > number("ventricles.fluid")) & brain
    near = signed_distance(expected, t1) <= number("ventricles.growth_mm")
    labels, _ = ndimage.label(wet & limits & near)
    seen = np.unique(labels[expected])
    inside = np.isin(labels, seen[seen > 0])
    rim = ndimage.binary_dilation(inside) & ~inside & ~wet & brain
    plexus = _closed(t1, inside, number("ventricles.closing_mm")) & limits & ~wet & expected
    out = np.where(inside | rim, np.clip(fluid, 0, 1), 0)
    out[ndimage.binary_erosion(inside) | plexus] = 1  # noise inside is not tissue
    return np.asarray(out, dtype=np.float32)


def _fluid(t1: Volume, brain: Mask, limits: Mask, tissue: Signals) -> Float:
    """Part of every voxel that is fluid, from the signals of the ventricles' core and of the tissue nearby; unclipped.

    A voxel of the wall mixes fluid with tissue that is neither pure white nor pure grey matter: its signal is set
    between the two (``ventricles.wall_white``).
    """
    middle = 0.5 * (tissue.grey + tissue.white)
    first = (middle - t1.array) / (middle - tissue.csf)
    core = ndimage.binary_erosion(limits & (first > 0.85))
    csf = float(np.median(t1.array[core])) if int(core.sum()) >= 50 else tissue.csf
    solid = (brain & ~ndimage.binary_dilation(first > 0.3)).astype(np.float32)
    sigma = number("ventricles.local_mm") / t1.spacing
    weight = ndimage.gaussian_filter(solid, sigma)
    local = ndimage.gaussian_filter(solid * t1.array, sigma) / np.maximum(weight, 1e-3)
    local = np.where(weight > 0.01, local, middle)
    wall = tissue.grey + number("ventricles.wall_white") * (local - tissue.grey)
    return np.asarray((wall - t1.array) / np.maximum(wall - csf, 1e-6), dtype=np.float32)


def _closed(grid: Volume, mask: Mask, radius: float) -> Mask:
    """Close by a ball (mm) and fill holes: choroid plexus lies in the ventricles but does not look like fluid."""
    if not mask.any():
        return mask
    grown = signed_distance(mask, grid) <= radius
    closed: Mask = ndimage.binary_fill_holes((signed_distance(grown, grid) <= -radius) | mask)
    return closed


def _ratios(
    fraction: Volume, template_y: Float, brain: Volume, to_template: Matrix
) -> tuple[float | None, float | None]:
    """Evans index and frontal-occipital horn ratio, in axial planes of the common space, 1 mm apart."""
    planes = _planes(brain, to_template)
    horns, y = resample(fraction, planes), resample(fraction.like(template_y), planes)
    skull = resample(brain, planes)
    height = world_axes(planes, to_template)[2]
    low, high = (float(mm) for mm in numbers("ventricles.planes_mm"))
    best = front = back = widest = 0.0
    for k in range(planes.shape[2]):
        inside = skull[:, :, k] > 0.5
        if not inside.any() or not low <= float(np.median(height[:, :, k][inside])) <= high:
            continue
        inner = _widest(skull[:, :, k]) + 2 * number("ventricles.skull_margin_mm")
        horn = _widest(horns[:, :, k] * (y[:, :, k] > number("ventricles.frontal_y_mm")))
        best, front, widest = max(best, horn / inner), max(front, horn), max(widest, inner)
        back = max(back, _widest(horns[:, :, k] * (y[:, :, k] < number("ventricles.occipital_y_mm"))))
    return best or None, (front + back) / (2 * widest) if front and back else None


def _planes(brain: Volume, to_template: Matrix) -> Volume:
    """Axial planes of the common space, 1 mm voxels, around the brain and the heights that are looked at."""
    voxel = np.argwhere(brain.array > 0.5)
    corners = np.stack(np.meshgrid(*np.stack([voxel.min(axis=0), voxel.max(axis=0)], axis=1), [1.0], indexing="ij"))
    world: npt.NDArray[np.float64] = (brain.affine @ corners.reshape(4, -1))[:3]
    low, high = np.floor(world.min(axis=1)) - 3, np.ceil(world.max(axis=1)) + 3
    # Heights at the middle of the brain; the median over a plane of a tilted head lies a little off, hence the margin.
    middle = (low + high) / 2
    ends = np.array(numbers("ventricles.planes_mm"), dtype=float) - to_template[2, 3] - to_template[2, :2] @ middle[:2]
    low[2], high[2] = np.round(np.sort(ends / to_template[2, 2])) + np.array([-PLANE_MARGIN_MM, PLANE_MARGIN_MM])
    affine = np.eye(4)
    affine[:3, 3] = low
    i, j, k = (high - low + 1).astype(int)
    return Volume(np.zeros((i, j, k), np.float32), affine)


def _widest(plane: Float) -> float:
    """Widest extent along the first axis (voxels of 1 mm), edges placed where the fraction crosses one half."""
    best = 0.0
    for row in plane.T:
        above = np.flatnonzero(row > 0.5)
        if above.size == 0:
            continue
        first, last = int(above[0]), int(above[-1])
        left = (row[first] - 0.5) / max(row[first] - (row[first - 1] if first else 0.0), 1e-6)
        right = (row[last] - 0.5) / max(row[last] - (row[last + 1] if last + 1 < row.size else 0.0), 1e-6)
        best = max(best, float(last - first + left + right))
    return best
