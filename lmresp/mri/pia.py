"""The pia of a head: where tissue meets fluid before contrast, its surface, and what part of it enhances."""

from __future__ import annotations

import dataclasses

import numpy as np
from scipy import ndimage

from lmresp.mri.methods import number, numbers
from lmresp.mri.volume import Float, Mask, Volume


@dataclasses.dataclass(frozen=True, eq=False)
class Pia:
    """Border of tissue and fluid.

    Parameters
    ----------
    mask : bool
        Voxels on the border.
    surface : float32
        Pial surface in each voxel of ``mask``, mm2 for each mm3 (slope of the CSF fraction, capped against noise).
    fluid : float32
        CSF fraction, smoothed by 0.6 mm.
    """

    mask: Mask
    surface: Float
    fluid: Float


def border(csf: Float, mask: Mask, inner_ventricle: Mask, depth: Float, grid: Volume) -> Pia:
    """Find the pia in the CSF fraction.

    Parameters
    ----------
    csf : float32
        CSF fraction before contrast, 0 to 1.
    mask : bool
        Brain with its CSF.
    inner_ventricle : bool
        Inside of the ventricles, which has no border.
    depth : float32
        Depth below the surface of ``mask`` in mm.
    grid : Volume
        Grid of the arrays.
    """
    spacing = grid.spacing
    fluid = np.asarray(ndimage.gaussian_filter(csf, _sigma(0.6, grid)), dtype=np.float32)
    sigma = np.maximum(0.8, 0.6 * spacing) / spacing
    slopes = [
        ndimage.gaussian_filter(csf, sigma, order=[int(a == axis) for a in range(3)]) / spacing[axis]
        for axis in range(3)
    ]
    slope = np.sqrt(sum(s**2 for s in slopes)).astype(np.float32)
    on = mask & (fluid > number("linear.pia_fluid")) & (slope > number("linear.pia_slope"))
    on &= (depth > number("linear.least_depth_mm")) & ~inner_ventricle
    return Pia(on, np.minimum(slope, np.float32(number("linear.slope_cap"))) * on, fluid)


def above_background(values: Float, surface: Pia, mask: Mask, depth: Float) -> Float:
    """Subtract the head's own background.

    Returns
    -------
    float32
        ``values`` less the median on the pia at the same CSF fraction and depth; unchanged outside ``mask``.
    """
    steps = numbers("linear.csf_bins"), numbers("linear.depth_bins_mm")
    bins = [
        np.digitize(a, np.asarray(s, np.float32)).astype(np.uint8)
        for a, s in zip((surface.fluid, depth), steps, strict=True)
    ]
    index = bins[0] * np.uint8(len(steps[1]) + 1) + bins[1]
    on_pia = index[surface.mask]
    medians = np.zeros((len(steps[0]) + 1) * (len(steps[1]) + 1), np.float32)
    kinds = np.flatnonzero(np.bincount(on_pia, minlength=medians.size) > 50)
    if kinds.size:
        medians[kinds] = ndimage.median(values[surface.mask], on_pia, kinds)
    return np.where(mask, values - medians[index], values).astype(np.float32)


def least_enhancement(raised: Float, surface: Pia, mask: Mask, depth: Float) -> float:
    """Enhancement that a patch of pia must reach in this head to count.

    Notes
    -----
    Spreads are taken below the median, which film and vessels hardly touch. Noise averages out over a patch; what the
    pia varies more than deep tissue does (misregistration, pulsation, small vessels) does not, and counts
    ``linear.level_spread`` times.
    """
    deep = mask & (surface.fluid < number("linear.film_fluid")) & (depth > numbers("linear.depth_bins_mm")[-1])
    on_pia, in_tissue = (_lower_spread(raised[where]) for where in (surface.mask, deep))
    structure = float(np.sqrt(max(on_pia**2 - in_tissue**2, 0.0)))
    return max(number("linear.level"), on_pia, number("linear.level_spread") * structure)


def _lower_spread(values: Float) -> float:
    """Median less 16th percentile: the standard deviation of a normal distribution."""
    if not values.size:
        return 0.0
    low, middle = np.quantile(values, [0.16, 0.5])
    return float(middle - low)


def coverage(enhancing: Mask, surface: Float, grid: Volume) -> tuple[Float, Float]:
    """Part of the pial surface around each voxel that enhances.

    Parameters
    ----------
    enhancing : bool
        Voxels above the level.
    surface : float32
        Pial surface that takes part.
    grid : Volume
        Grid of the arrays.

    Returns
    -------
    covered : float32
        Enhancing part of the surface in a cube of ``linear.patch_mm`` around each voxel, 0 to 1.
    density : float32
        Mean pial surface in that cube, mm2 for each mm3.
    """
    size = [2 * round(number("linear.patch_mm") / (2 * s) - 0.5) + 1 for s in grid.spacing]
    density = np.asarray(ndimage.uniform_filter(surface, size), dtype=np.float32)
    part = ndimage.uniform_filter(surface * enhancing, size)
    return np.asarray(np.clip(part / np.maximum(density, 1e-6), 0, 1), dtype=np.float32), density


def _sigma(mm: float, grid: Volume) -> list[float]:
    """Width of a Gaussian along each axis in voxels; coarse axes are left as they are."""
    return [mm / s if s <= 2 * mm else 0.0 for s in grid.spacing]
