"""Bias field correction: N4 (Tustison, IEEE Trans Med Imaging 2010;29:1310) estimated on a coarse grid."""

from __future__ import annotations

import numpy as np

from lmresp.mri.itk import sitk
from lmresp.mri.methods import number, numbers
from lmresp.mri.volume import Mask, Volume, from_sitk, to_sitk


def correct(volume: Volume, mask: Mask) -> Volume:
    """Divide out the smooth coil field.

    Parameters
    ----------
    volume : Volume
        Signal; negative values are taken as 0.
    mask : bool, shape of ``volume``
        Where the field is estimated (brain, a little dilated).

    Returns
    -------
    Volume
        Corrected signal, with the mean inside ``mask`` of the input.

    Notes
    -----
    The field is estimated on voxels of about ``bias.grid_mm`` and evaluated on the full grid from its B-spline, so
    the image itself is not smoothed. Where N4 cannot run (mask too small), the image is returned as it was.
    """
    positive = np.maximum(volume.array, 0)
    if int(mask.sum()) < 1000:
        return volume.like(positive)
    image = to_sitk(volume.like(positive))
    inside = sitk.Cast(to_sitk(volume.like(mask)), sitk.sitkUInt8)
    factors = [max(1, round(number("bias.grid_mm") / s)) for s in volume.spacing]
    n4 = sitk.N4BiasFieldCorrectionImageFilter()
    n4.SetMaximumNumberOfIterations([int(n) for n in numbers("bias.iterations")])
    n4.SetConvergenceThreshold(number("bias.convergence"))
    try:
        n4.Execute(sitk.Shrink(image, factors), sitk.Shrink(inside, factors))
    except RuntimeError:
        return volume.like(positive)
    field = np.exp(from_sitk(n4.GetLogBiasFieldAsImage(image)).array)
    corrected = positive / np.maximum(field, 1e-3)
    corrected *= float(positive[mask].mean()) / max(float(corrected[mask].mean()), 1e-6)
    return volume.like(corrected)
