"""Enhancement: what contrast agent added, in units of white-matter signal."""

from __future__ import annotations

import dataclasses

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from lmresp.mri.methods import number
from lmresp.mri.volume import Float, Mask, Volume


class EnhancementError(ValueError):
    """Pre- and post-contrast images cannot be compared (different technique, or no linear relation)."""


@dataclasses.dataclass(frozen=True, eq=False)
class Enhancement:
    """Enhancement map and its scale.

    Parameters
    ----------
    map : Volume
        ``E = (post - (slope * pre + offset)) / white``; 0 means no enhancement, 1 the signal of white matter.
    slope, offset : float
        The fit of unenhanced brain.
    white : float
        Signal of white matter in the fit, the unit of ``map``.
    noise : float
        Robust standard deviation of E in the brain (1.4826 MAD).
    """

    map: Volume
    slope: float
    offset: float
    white: float
    noise: float


def measure(post: Volume, pre: Volume, inside: Mask) -> Enhancement:
    """Subtract the pre-contrast image after a robust linear match.

    Parameters
    ----------
    post, pre : Volume
        Bias-corrected T1 on one grid.
    inside : bool
        Brain, eroded, so that dura and scalp take no part.

    Raises
    ------
    EnhancementError
        Fewer than 500 voxels, or no positive slope.

    Notes
    -----
    ``post ~ slope * pre + offset`` by iteratively reweighted least squares with Tukey's biweight (4.685 sigma, 25
    steps; Beaton and Tukey 1974): voxels that enhance drop out by themselves.
    """
    x, y = pre.array[inside].astype(float), post.array[inside].astype(float)
    if x.size < 500:
        raise EnhancementError("the brain mask holds too few voxels")
    step = max(1, x.size // 200_000)
    xs, ys = x[::step], y[::step]
    slope, offset = _tukey(xs, ys)
    if not slope > 0:
        raise EnhancementError("post-contrast signal does not rise with pre-contrast signal")
    white = float(np.percentile(slope * xs + offset, number("enhancement.white_percentile")))
    if not white > 0:
        raise EnhancementError("white-matter signal is not positive")
    e = (post.array - (slope * pre.array + offset)) / white
    noise = 1.4826 * float(np.median(np.abs(e[inside] - np.median(e[inside]))))
    return Enhancement(post.like(e), slope, offset, white, noise)


def _tukey(x: npt.NDArray[np.float64], y: npt.NDArray[np.float64]) -> tuple[float, float]:
    # Start from the medians of the darkest and brightest thirds: an enhancing minority cannot tilt it much.
    low, high = np.percentile(x, [33, 67])
    x0, x1 = np.median(x[x <= low]), np.median(x[x >= high])
    y0, y1 = np.median(y[x <= low]), np.median(y[x >= high])
    slope = (y1 - y0) / max(float(x1 - x0), 1e-9)
    offset = y0 - slope * x0
    for _ in range(25):
        residual = y - (slope * x + offset)
        scale = 4.685 * max(1.4826 * float(np.median(np.abs(residual))), 1e-9)
        w = np.clip(1 - (residual / scale) ** 2, 0, None) ** 2
        total = w.sum()
        mx, my = (w * x).sum() / total, (w * y).sum() / total
        var = (w * (x - mx) ** 2).sum()
        if var <= 0:
            return 0.0, float(my)
        slope = float((w * (x - mx) * (y - my)).sum() / var)
        offset = float(my - slope * mx)
    return float(slope), float(offset)


def smooth(e: Volume, sigma_mm: float) -> Float:
    """Gaussian smoothing by ``sigma_mm``; axes with voxels coarser than twice that are left as they are."""
    sigma = [sigma_mm / s if s <= 2 * sigma_mm else 0.0 for s in e.spacing]
    if not any(sigma):
        return e.array
    return np.asarray(ndimage.gaussian_filter(e.array, sigma), dtype=np.float32)
