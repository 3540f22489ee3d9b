"""Where the brain is: template frame, brain mask, and how much of each voxel is CSF. Classical; no network.

A scan that was skull-stripped upstream is recognised and its own mask is used. Otherwise the template's mask, brought
in by an affine fit, is refined by intensity: tissue brighter than CSF near the prior, opened to cut the dura and closed
over the sulci, so that the mask contains sulcal CSF.
"""

from __future__ import annotations

import dataclasses

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from lmresp.mri import registration, template
from lmresp.mri.itk import sitk
from lmresp.mri.methods import number
from lmresp.mri.volume import Float, Mask, Matrix, Volume, coarse, resample, to_sitk


@dataclasses.dataclass(frozen=True, eq=False)
class Frame:
    """Where the template lies in a scan.

    Parameters
    ----------
    to_template : float64, shape (4, 4)
        World position in the scan to world position in the template (mm, RAS+).
    stripped : bool
        The scan was skull-stripped before it came here.
    """

    to_template: Matrix
    stripped: bool


@dataclasses.dataclass(frozen=True)
class TissueSignals:
    """Typical signal of the three tissues in one T1-weighted image."""

    csf: float
    grey: float
    white: float


def is_stripped(volume: Volume) -> bool:
    """Whether everything but the brain has been removed: a constant background around one brain-sized object."""
    background = volume.array == 0
    if float(background.mean()) < number("brain.stripped_background"):
        return False
    small = coarse(volume, 4.0)
    inside = small.array > 0.02 * float(np.percentile(small.array, 99))
    filled = ndimage.binary_fill_holes(ndimage.binary_opening(inside))
    return float(filled.sum()) * small.voxel_mm3 / 1000 < number("brain.largest_ml")


def locate(volume: Volume) -> Frame:
    """Fit the template to a T1-weighted image (coarse affine, 12 parameters).

    Raises
    ------
    RegistrationError
        If no start overlaps.
    """
    stripped = is_stripped(volume)
    base = template.load()
    fixed = base.brain if stripped else base.head
    fit = registration.affine_to_template(fixed, volume)
    return Frame(np.asarray(np.linalg.inv(fit.matrix), dtype=float), stripped)


def prior(frame: Frame, grid: Volume, values: npt.NDArray[np.generic]) -> Float:
    """Bring a template map onto the grid of a scan (linear)."""
    return resample(template.load().brain.like(values), grid, frame.to_template)


def first_mask(frame: Frame, volume: Volume) -> Mask:
    """Brain before any intensity correction: the signal itself if stripped, else the template's mask."""
    if frame.stripped:
        inside = volume.array > 0.01 * float(np.percentile(volume.array, 99))
        return _largest(ndimage.binary_fill_holes(ndimage.binary_closing(inside, iterations=2)))
    return prior(frame, volume, template.load().mask) > 0.5


def refine(frame: Frame, volume: Volume, mask: Mask, signals: TissueSignals) -> Mask:
    """Fit the mask to this subject.

    Parameters
    ----------
    frame : Frame
        Template frame of the scan.
    volume : Volume
        Bias-corrected T1; before contrast if there is one, because dura and scalp are darker then.
    mask : bool
        From :func:`first_mask`.
    signals : TissueSignals
        From :func:`tissue_signals` on ``volume``.

    Returns
    -------
    bool, shape of ``volume``
        Brain with sulcal CSF, holes filled, one component.
    """
    if frame.stripped:
        return mask
    near = signed_distance(mask, volume)  # negative inside
    reach = number("brain.reach_mm")
    low = signals.csf + 0.5 * (signals.grey - signals.csf)
    high = signals.white + 0.6 * (signals.white - signals.grey)
    tissue = (volume.array > low) & (volume.array < high) & (near < reach)
    tissue |= near < -2 * reach  # deep inside, whatever the signal
    closing, opening = number("brain.closing_mm"), number("brain.opening_mm")
    filled = ndimage.binary_fill_holes(_ball(volume, _ball(volume, tissue, closing), -closing))
    core = _largest(_ball(volume, filled, -opening))
    outline = _ball(volume, core, opening + number("brain.csf_margin_mm"))
    return _largest(ndimage.binary_fill_holes(outline & (near < reach)))


def tissue_signals(frame: Frame, volume: Volume, mask: Mask) -> TissueSignals:
    """Signals of CSF, grey and white matter: a 3-class Gaussian mixture on the histogram, started by the template.

    Notes
    -----
    The maps of the template give the start; 30 steps of expectation maximisation on 200 bins follow, so the result is
    the same on every run. CSF stays where the ventricles put it: most other dark voxels are partial volume.
    """
    base = template.load()
    values = volume.array[mask]
    top = float(np.percentile(values, 99.0))
    counts, edges = np.histogram(values, bins=200, range=(0.0, max(top, 1e-6)))
    centres = (edges[:-1] + edges[1:]) / 2
    inner = ndimage.binary_erosion(mask, iterations=2)
    # The maps only give the start: every other voxel at 2 mm is enough of them.
    step = np.maximum(1, np.round(4.0 / volume.spacing)).astype(int)
    some = tuple(slice(None, None, int(n)) for n in step)
    few = Volume(np.ascontiguousarray(volume.array[some]), volume.affine @ np.diag([*step, 1.0]))
    start = np.percentile(values, [2, 35, 80]).astype(float)
    maps = ((base.ventricles, 0.9, 25), (base.grey, 0.75, 50), (base.white, 0.85, 50))
    for n, (values_of, least, percentile) in enumerate(maps):
        found = inner[some] & (prior(frame, few, values_of) > least)
        if int(found.sum()) >= 20:
            start[n] = float(np.percentile(few.array[found], percentile))
    mu = start if start[0] < start[1] < start[2] else np.percentile(values, [2, 35, 80]).astype(float)
    csf = float(mu[0])
    sigma = np.full(3, 0.25 * (mu[2] - mu[0]) + 1e-6)
    weight = np.full(3, 1 / 3)
    for _ in range(30):
        density = weight * np.exp(-0.5 * ((centres[:, None] - mu) / sigma) ** 2) / sigma + 1e-12
        share = density / density.sum(axis=1, keepdims=True) * counts[:, None]
        total = share.sum(axis=0) + 1e-9
        mu = (share * centres[:, None]).sum(axis=0) / total
        mu[0] = csf
        sigma = np.sqrt((share * (centres[:, None] - mu) ** 2).sum(axis=0) / total) + 1e-3 * top
        weight = total / total.sum()
    ordered = np.sort(mu)
    return TissueSignals(float(ordered[0]), float(ordered[1]), float(ordered[2]))


def csf_fraction(volume: Volume, signals: TissueSignals) -> Float:
    """Part of each voxel that is CSF, from its T1 signal between the means of CSF and grey matter (0 to 1)."""
    span = max(signals.grey - signals.csf, 1e-6)
    return np.asarray(np.clip((signals.grey - volume.array) / span, 0, 1), dtype=np.float32)


def signed_distance(mask: Mask, grid: Volume) -> Float:
    """Distance in mm to the surface of a mask, negative inside (Maurer, IEEE TPAMI 2003;25:265)."""
    image = sitk.Cast(to_sitk(grid.like(mask)), sitk.sitkUInt8)
    out = sitk.SignedMaurerDistanceMap(image, insideIsPositive=False, squaredDistance=False, useImageSpacing=True)
    return np.ascontiguousarray(sitk.GetArrayFromImage(out).T, dtype=np.float32)


def _ball(grid: Volume, mask: Mask, radius: float) -> Mask:
    """Dilate (radius > 0) or erode (radius < 0) by a ball in mm."""
    return signed_distance(mask, grid) <= radius


def _largest(mask: Mask) -> Mask:
    labels, count = ndimage.label(mask)
    if count < 2:
        return np.asarray(mask, dtype=bool)
    sizes = np.bincount(labels.ravel())
    sizes[0] = 0
    return np.asarray(labels == int(sizes.argmax()), dtype=bool)
