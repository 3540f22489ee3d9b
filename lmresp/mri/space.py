"""Common space of a subject: the mean pose of all visits, turned into the AC-PC frame of the template.

Every visit is aligned rigidly to the subject's reference scan; the common space lies in the middle of all their poses,
so that none is favoured (Reuter et al., NeuroImage 2010;53:1181, here for rigid transforms). One template fit per
subject, on the average of its visits, gives the axes.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np
from scipy import ndimage

from lmresp.mri import brain, qc, registration, template
from lmresp.mri.methods import number
from lmresp.mri.registration import Fit, RegistrationError
from lmresp.mri.volume import Float, Mask, Matrix, Volume, coarse, resample, world_axes

QC_MM = 2.0  # grid of the checks


@dataclasses.dataclass(frozen=True, eq=False)
class Head:
    """One scan as the alignment needs it.

    Parameters
    ----------
    scan : str
        Name of the scan.
    anchor : Volume
        Its T1 (after contrast if there is one) on its own grid.
    mask : bool, shape of ``anchor``
        Brain.
    """

    scan: str
    anchor: Volume
    mask: Mask


@dataclasses.dataclass(frozen=True, eq=False)
class Place:
    """Where a scan lies in the common space.

    Parameters
    ----------
    scan : str
        Name of the scan.
    to_common : float64, shape (4, 4), or None
        World of the anchor to the common world (mm, RAS+), rigid, rounded to 1e-6; None if it could not be placed.
    checks : list of dict
        Rows of :func:`lmresp.mri.qc.check`.
    why : str
        Why it is not aligned with the other scans; empty if it is.
    """

    scan: str
    to_common: Matrix | None
    checks: list[dict[str, Any]]
    why: str


@dataclasses.dataclass(frozen=True, eq=False)
class Space:
    """Common space of a subject.

    Parameters
    ----------
    to_template : float64, shape (4, 4)
        Common world to template world (mm, RAS+), affine.
    places : dict of str to Place
        One for every scan.
    """

    to_template: Matrix
    places: dict[str, Place]


def align(heads: Sequence[Head]) -> Space:
    """Place all scans of a subject in one space.

    Parameters
    ----------
    heads : sequence of Head
        The first is the reference scan. Scans are compared with it, or, if it holds no brain, with the first that does.

    Returns
    -------
    Space
        A scan that does not fit the others is placed by its own template fit, with the reason in ``why``: it can be
        measured alone, in axes of its own.

    Notes
    -----
    Never raises on bad data. The order of the scans after the first does not matter.
    """
    empty = {head.scan: _empty(head) for head in heads}
    usable = [head for head in heads if not empty[head.scan]]
    if not usable:
        return Space(np.eye(4), {head.scan: Place(head.scan, None, [], empty[head.scan]) for head in heads})
    first = usable[0]
    pairs = {head.scan: _pair(first, head) for head in usable[1:]}
    joined = [first, *(head for head in usable[1:] if not pairs[head.scan].why)]
    poses = [np.eye(4), *(pairs[head.scan].matrix for head in joined[1:])]
    to_mean = to_mean_pose(poses, [_centre(head) for head in joined])
    to_acpc, to_template, fit_check = _axes(joined, to_mean)
    places: dict[str, Place] = {}
    for head in heads:
        if empty[head.scan]:
            places[head.scan] = Place(head.scan, None, [], empty[head.scan])
    for head, matrix in zip(joined, to_mean, strict=True):
        checks = pairs[head.scan].checks if head.scan in pairs else []
        places[head.scan] = Place(head.scan, np.round(to_acpc @ matrix, 6), [*checks, fit_check], "")
    for head in usable:
        if head.scan not in places:
            alone, _, check = _axes([head], [np.eye(4)])
            pair = pairs[head.scan]
            places[head.scan] = Place(head.scan, np.round(alone, 6), [*pair.checks, check], pair.why)
    return Space(np.round(to_template, 6), {head.scan: places[head.scan] for head in heads})


def to_mean_pose(poses: Sequence[Matrix], centres: Sequence[Matrix]) -> list[Matrix]:
    """Rigid transforms of every scan to the mean of their poses.

    Parameters
    ----------
    poses : sequence of float64, shape (4, 4)
        World of a common hub to the world of each scan, rigid; which hub does not matter.
    centres : sequence of float64, shape (3,)
        Middle of the head in the world of each scan.

    Returns
    -------
    list of float64, shape (4, 4)
        World of each scan to the world of the mean pose.

    Notes
    -----
    Rotation: iterated Frechet (Karcher) mean on SO(3), which minimises the sum of squared angles. Translation: the
    head centre (mean of the centres, carried into the hub) goes to the mean of its places in the scans.
    """
    hub = np.mean([(np.linalg.inv(p) @ [*c, 1.0])[:3] for p, c in zip(poses, centres, strict=True)], axis=0)
    mean = poses[0][:3, :3]
    for _ in range(100):
        step = np.mean([_log(mean.T @ pose[:3, :3]) for pose in poses], axis=0)
        mean = mean @ _exp(step)
        if np.linalg.norm(step) < 1e-12:
            break
    place = np.mean([(pose @ [*hub, 1.0])[:3] for pose in poses], axis=0)
    rotation = np.eye(4)
    rotation[:3, :3] = mean
    hub_to_mean = registration.turned(rotation, hub, place)
    return [hub_to_mean @ np.linalg.inv(pose) for pose in poses]


def _log(rotation: Matrix) -> Matrix:
    """Rotation vector (axis times angle, radians) of a rotation matrix; angles below 180 degrees."""
    axis = 0.5 * np.array(
        [rotation[2, 1] - rotation[1, 2], rotation[0, 2] - rotation[2, 0], rotation[1, 0] - rotation[0, 1]]
    )
    sine = float(np.linalg.norm(axis))
    angle = float(np.arctan2(sine, 0.5 * (np.trace(rotation) - 1)))
    return np.asarray(axis * (angle / sine if sine > 1e-12 else 1.0), dtype=float)


def _exp(vector: Matrix) -> Matrix:
    """Rotation matrix of a rotation vector (Rodrigues)."""
    angle = float(np.linalg.norm(vector))
    x, y, z = vector
    cross = np.array([[0.0, -z, y], [z, 0.0, -x], [-y, x, 0.0]])
    a = np.sinc(angle / np.pi)
    b = 0.5 * np.sinc(angle / (2 * np.pi)) ** 2
    return np.asarray(np.eye(3) + a * cross + b * cross @ cross, dtype=float)


def _empty(head: Head) -> str:
    """Why a scan cannot hold a whole brain; empty if it may."""
    millilitres = float(head.mask.sum()) * head.anchor.voxel_mm3 / 1000
    if not number("space.least_brain_ml") <= millilitres <= number("space.most_brain_ml"):
        return f"no brain found: the mask holds {millilitres:.0f} ml"
    return ""


def _centre(head: Head) -> Matrix:
    """Middle of the brain in world mm."""
    return np.array([float(axis[head.mask].mean(dtype=np.float64)) for axis in world_axes(head.anchor)])


@dataclasses.dataclass(frozen=True, eq=False)
class _Pair:
    matrix: Matrix
    checks: list[dict[str, Any]]
    why: str


def _pair(fixed: Head, moving: Head) -> _Pair:
    """Align two scans and judge the result; the slow start only where the fast one turned far or scores badly."""
    target, source = _alike(fixed, moving)
    brains = _stripped(fixed), _stripped(moving)
    centres = _centre(fixed), _centre(moving)
    tried: list[tuple[Fit, list[dict[str, Any]]]] = []
    for far in (False, True):
        if tried and _degrees(tried[0][0].matrix) <= number("space.far_deg") and _worst(tried[0][1]) == "PASS":
            break
        try:
            if far:
                start = registration.best_turn(*brains, centres)
            else:
                guesses = [np.eye(4), registration.turned(np.eye(4), *centres)]
                start = registration.best_start(*brains, guesses)[1]
            fit = registration.rigid(target, source, start=start, inside=fixed.mask)
        except RegistrationError:
            continue
        tried.append((fit, _checks(fixed, moving, fit)))
    if not tried:
        return _Pair(np.eye(4), [qc.check("space_texture", None)], f"this scan does not overlap scan {fixed.scan}")
    # Not by the metric: it counts only what overlaps, and a wrong pose may overlap little and well.
    fit, checks = max(tried, key=lambda one: float(one[1][0]["value"]))
    why = ""
    if _worst(checks) == "FAIL":
        why = f"this does not look like the head of scan {fixed.scan}: wrong subject, wrong body part or a broken scan"
    return _Pair(fit.matrix, checks, why)


def _alike(fixed: Head, moving: Head) -> tuple[Volume, Volume]:
    """Both as they are, or, if one was stripped of its skull, both without."""
    if brain.is_stripped(fixed.anchor) or brain.is_stripped(moving.anchor):
        return _stripped(fixed), _stripped(moving)
    return fixed.anchor, moving.anchor


def _stripped(head: Head) -> Volume:
    return head.anchor.like(head.anchor.array * head.mask)


def _degrees(matrix: Matrix) -> float:
    return float(np.rad2deg(np.linalg.norm(_log(matrix[:3, :3]))))


def _worst(checks: Sequence[dict[str, Any]]) -> str:
    return qc.worst([str(check["result"]) for check in checks])


def _checks(fixed: Head, moving: Head, fit: Fit) -> list[dict[str, Any]]:
    """Grade one alignment, on a 2 mm grid of the fixed scan."""
    grid = coarse(fixed.anchor, QC_MM)
    moved = resample(coarse(moving.anchor, QC_MM), grid, fit.matrix)
    here = resample(fixed.anchor.like(fixed.mask), grid) > 0.5
    there = resample(moving.anchor.like(moving.mask), grid, fit.matrix) > 0.5
    both = here & there
    total = int(here.sum()) + int(there.sum())
    inner = ndimage.distance_transform_edt(both, sampling=grid.spacing) > number("space.inner_mm")
    return [
        qc.check("space_texture", _texture(grid, moved, inner)),
        qc.check("space_correlation", registration.correlation(grid, grid.like(moved), inner)),
        qc.check("space_overlap", 2 * int(both.sum()) / total if total else 0.0),
        qc.check("space_agreement", fit.agreement_mm if np.isfinite(fit.agreement_mm) else None),
        qc.check("space_metric", -fit.metric),
    ]


def _texture(first: Volume, second: Float, inside: Mask) -> float:
    """Correlation of fine structure: the folds and ventricles of one person, which another does not share.

    Each image less its own local mean inside the mask (Gaussian, ``space.texture_mm``), outermost 1 % clipped.
    """
    if int(inside.sum()) < 1000:
        return 0.0
    sigma = number("space.texture_mm") / first.spacing
    weight = inside.astype(np.float32)
    near = np.maximum(ndimage.gaussian_filter(weight, sigma), 1e-3)
    fine = []
    for array in (first.array, second):
        high = float(np.percentile(array[inside], 99))
        clipped = np.clip(array, 0, high)
        left = (clipped - ndimage.gaussian_filter(clipped * weight, sigma) / near)[inside]
        fine.append(np.clip(left, *np.percentile(left, [1, 99])).astype(float))
    if min(float(part.std()) for part in fine) == 0:
        return 0.0
    return float(np.corrcoef(*fine)[0, 1])


def _axes(heads: Sequence[Head], to_mean: Sequence[Matrix]) -> tuple[Matrix, Matrix, dict[str, Any]]:
    """AC-PC frame by one template fit on the average brain of the scans.

    Returns
    -------
    to_acpc : float64, shape (4, 4)
        World of the mean pose to the common world, rigid: the origin of the template and its axes, at true size.
    to_template : float64, shape (4, 4)
        Common world to template world, affine.
    check : dict
        Correlation of the average brain with the template.
    """
    base = template.load()
    average = _average(heads, to_mean)
    try:
        fit = registration.affine_to_template(base.brain, average)
    except RegistrationError:
        return np.eye(4), np.eye(4), qc.check("space_template", None)
    expected = resample(base.brain, average, np.asarray(np.linalg.inv(fit.matrix), dtype=float))
    check = qc.check("space_template", registration.correlation(average, average.like(expected), average.array > 0))
    to_acpc = np.asarray(np.linalg.inv(registration.rigid_part(fit.matrix)), dtype=float)
    to_template = np.asarray(np.linalg.inv(fit.matrix) @ np.linalg.inv(to_acpc), dtype=float)
    return to_acpc, to_template, check


def _average(heads: Sequence[Head], to_mean: Sequence[Matrix]) -> Volume:
    """Average of the stripped scans in the mean pose, each divided by its median, on a 2 mm box around the brain."""
    centres = [(matrix @ [*_centre(head), 1.0])[:3] for head, matrix in zip(heads, to_mean, strict=True)]
    side = int(number("space.box_mm") / QC_MM)
    affine = np.diag([QC_MM, QC_MM, QC_MM, 1.0])
    affine[:3, 3] = np.mean(centres, axis=0) - QC_MM * (side - 1) / 2
    grid = Volume(np.zeros((side, side, side), np.float32), affine)
    total = np.zeros(grid.shape, np.float32)
    for head, matrix in zip(heads, to_mean, strict=True):
        small = coarse(head.anchor, QC_MM)
        inside = resample(head.anchor.like(head.mask), small)
        back = np.asarray(np.linalg.inv(matrix), dtype=float)
        level = max(float(np.median(head.anchor.array[head.mask])), 1e-6)
        total += resample(small.like(small.array * inside / level), grid, back)
    return grid.like(np.maximum(total / len(heads), 0))
