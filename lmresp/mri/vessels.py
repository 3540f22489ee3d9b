"""Vessel trees: enhancing tubes, followed from the dural sinuses and the basal arteries.

A vein and a film of the same brightness differ in shape (a tube has two strong curvatures, a sheet one) and in company
(a vein reaches a sinus, or at least runs on for a while). Neither is certain at 1 mm: what is set aside here keeps a
label and a volume, so that a reader can see it.
"""

from __future__ import annotations

import dataclasses

import numpy as np
from scipy import ndimage

from lmresp.mri.methods import number, numbers
from lmresp.mri.volume import Float, Mask, Volume


@dataclasses.dataclass(frozen=True, eq=False)
class Shape:
    """Tube shape of each voxel asked for, at the scale where it answers most.

    Parameters
    ----------
    ratio : float32, shape (n,)
        Second over first curvature, both counted as bright ridges: about 1 in a tube, 0 in a sheet.
    response : float32, shape (n,)
        Second curvature times the scale squared, in white-matter units.
    scale_mm : float32, shape (n,)
        Standard deviation of the filter, about 0.7 of the radius of a tube.
    """

    ratio: Float
    response: Float
    scale_mm: Float


@dataclasses.dataclass(frozen=True, eq=False)
class Vessels:
    """Vessels of a scan.

    Parameters
    ----------
    mask : bool
        All vessel voxels, sinuses apart.
    rooted : bool
        Part of ``mask`` that is connected to a dural sinus or a basal artery through tube-shaped voxels.
    volume_mm3, rooted_mm3 : float
        Their volumes.
    radius_mm : float
        Median radius, from the scale of the filter; not below about half a voxel.
    """

    mask: Mask
    rooted: Mask
    volume_mm3: float
    rooted_mm3: float
    radius_mm: float


def shape(e: Volume, where: Mask) -> Shape:
    """Tell tubes from sheets by the Hessian at several scales.

    Parameters
    ----------
    e : Volume
        Enhancement in white-matter units.
    where : bool, shape of ``e``
        Voxels to answer for.

    Notes
    -----
    Eigenvalues of the Hessian of the Gaussian-smoothed image, normalised by the squared scale (Lindeberg 1998); the
    scale with the largest second curvature wins, as in the line filters of Sato 1998 and Frangi 1998.
    """
    n = int(where.sum())
    out = Shape(np.zeros(n, np.float32), np.zeros(n, np.float32), np.zeros(n, np.float32))
    spacing = e.spacing
    for scale in numbers("vessels.scales_mm") if n else ():
        smooth = ndimage.gaussian_filter(e.array, np.maximum(scale / spacing, 0.5), truncate=3.0)
        hessian = np.empty((n, 3, 3), np.float32)
        for a in range(3):
            slope = np.gradient(smooth, axis=a) / np.float32(spacing[a])
            for b in range(a, 3):
                hessian[:, a, b] = hessian[:, b, a] = (np.gradient(slope, axis=b) / np.float32(spacing[b]))[where]
        curvature = -(scale**2) * np.linalg.eigvalsh(hessian)  # descending ridge strength
        second = np.maximum(curvature[:, 1], 0)
        better = second > out.response
        out.response[better] = second[better]
        out.ratio[better] = (second / np.maximum(curvature[:, 0], 1e-9))[better]
        out.scale_mm[better] = scale
    return out


def find(e: Volume, values: Float, where: Mask, roots: Mask, threshold: float, veins: float) -> Vessels:
    """Follow vessel trees.

    Parameters
    ----------
    e : Volume
        Enhancement in white-matter units.
    values : float32, shape of ``e``
        The same, lightly smoothed.
    where : bool
        Where vessels are looked for: the brain, its fluid and its rim.
    roots : bool
        Zones of the dural sinuses, the deep veins and the basal arteries.
    threshold : float
        Least enhancement of a vessel voxel (above the noise).
    veins : float
        Enhancement of a voxel full of blood.

    Returns
    -------
    Vessels

    Notes
    -----
    Hysteresis (Canny 1986) on shape: voxels of a clear tube, or as bright as blood alone can be, grow into tube-like
    neighbours; a 26-connected tree is kept if it touches a root or is longer than ``vessels.least_length_mm``.
    """
    bright = where & (values > max(threshold, number("vessels.least_signal") * veins))
    found = shape(e, bright)
    level = values[bright]
    full = level > number("vessels.blood_signal") * veins
    clear = (found.ratio > number("vessels.clear_ratio")) & (found.response > number("vessels.least_response") * level)
    likely = (found.ratio > number("vessels.likely_ratio")) | full
    tree, seeds = np.zeros_like(where), np.zeros_like(where)
    tree[bright], seeds[bright] = likely, (clear & likely) | full
    rooted_in = roots & (values > number("vessels.root_signal") * veins)
    labels, count = ndimage.label(tree | rooted_in, np.ones((3, 3, 3)))
    rooted = np.bincount(labels[rooted_in], minlength=count + 1) > 0
    seeded = np.bincount(labels[seeds], minlength=count + 1)
    long = np.zeros(count + 1, bool)
    for n, box in enumerate(ndimage.find_objects(labels), start=1):
        extent = [(s.stop - s.start) * mm for s, mm in zip(box, e.spacing, strict=True)]
        long[n] = float(np.linalg.norm(extent)) > number("vessels.least_length_mm")
    size = np.maximum(np.bincount(labels.ravel(), minlength=count + 1), 1)
    keep = (rooted & (seeded > 0)) | (long & (seeded > number("vessels.clear_share") * size))
    rooted[0] = keep[0] = False
    mask = keep[labels] & tree
    belongs = rooted[labels] & mask
    scales = found.scale_mm[mask[bright]]
    radius = float(np.median(scales)) / 0.7 if scales.size else 0.0
    voxel = e.voxel_mm3
    return Vessels(mask, belongs, float(mask.sum()) * voxel, float(belongs.sum()) * voxel, round(radius, 2))


def flow_voids(image: Float, csf: Float, mask: Mask) -> Mask:
    """Voxels as dark as flowing blood in a T2 or black-blood series on the same grid.

    Parameters
    ----------
    image : float32
        T2, or black-blood T1 after contrast.
    csf : float32
        CSF fraction, to know where tissue is.
    mask : bool
        Brain with its CSF.

    Returns
    -------
    bool
        Signal below ``vessels.void_signal`` of the median of tissue.
    """
    tissue = mask & (csf < 0.1) & (image > 0)
    if not tissue.any():
        return np.zeros_like(mask)
    return np.asarray(mask & (image < number("vessels.void_signal") * float(np.median(image[tissue]))), dtype=bool)
