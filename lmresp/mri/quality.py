"""How good one image is, before anything is measured on it."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from lmresp.mri.methods import number
from lmresp.mri.volume import Volume, coarse


def ghosting(volume: Volume) -> float | None:
    """Signal in the air level with the head, above that of the corners, in units of the head's own signal.

    Parameters
    ----------
    volume : Volume
        Whole-head image as acquired.

    Returns
    -------
    float or None
        Largest excess among the bands left, right, before and behind the head; 0 where there is no ghost. None where
        it cannot be told: no air around the head, or air that was set to zero by the scanner or by stripping.

    Notes
    -----
    Movement and pulsation along the phase-encoding direction throw copies of the head into the air on two opposite
    sides of it; noise is the same in every direction and in the corners (after Mortamet et al., Magn Reson Med
    2009;62:365, who measure artefact in the air).
    """
    small = coarse(volume, number("quality.grid_mm"))
    signal = small.array
    bright = float(np.percentile(signal, 98))
    head = ndimage.binary_fill_holes(ndimage.binary_opening(signal > number("quality.head") * bright))
    if not head.any():
        return None
    margin = np.maximum(1, np.round(number("quality.margin_mm") / small.spacing)).astype(int)
    near = ndimage.binary_dilation(head, np.ones(2 * margin + 1, bool)) if head.mean() < 0.9 else head
    air = ~near
    spans = [np.flatnonzero(near.any(axis=tuple(a for a in range(3) if a != axis))) for axis in range(3)]
    level = [np.zeros(n, bool) for n in signal.shape]
    for axis, span in enumerate(spans):
        level[axis][span[0] : span[-1] + 1] = True
    inside = [lev.reshape([-1 if a == axis else 1 for a in range(3)]) for axis, lev in enumerate(level)]
    typical = float(np.median(signal[head]))
    bands, corners = [], []
    for axis in range(3):
        others = [a for a in range(3) if a != axis]
        bands.append(air & ~inside[axis] & inside[others[0]] & inside[others[1]])
        corners.append(air & inside[axis] & ~inside[others[0]] & ~inside[others[1]])
    corner = np.logical_or.reduce(corners)
    least = number("quality.least_voxels")
    if corner.sum() < least or float((signal[corner] == 0).mean()) > 0.5 or typical <= 0:
        return None
    usual = float(np.median(signal[corner]))
    excess = [float(np.median(signal[band])) - usual for band in bands if band.sum() >= least]
    return max(0.0, *excess) / typical if excess else None
