"""Rigid registration within a scan and between visits: Mattes mutual information, coarse to fine, one thread."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Sequence
from typing import Any

import numpy as np
from scipy import ndimage

from lmresp.mri.itk import sitk
from lmresp.mri.methods import number, numbers
from lmresp.mri.volume import _RAS_LPS, Mask, Matrix, Volume, coarse, resample, to_sitk, world_axes

ROUGH_MM = 3.0  # levels coarser than this see the whole head and fewer samples


class RegistrationError(ValueError):
    """The two images could not be aligned (no overlap, no structure)."""


@dataclasses.dataclass(frozen=True, eq=False)
class Fit:
    """Result of a registration.

    Parameters
    ----------
    matrix : float64, shape (4, 4)
        World position in the fixed image to world position in the moving image (mm, RAS+), rounded to 1e-6.
    metric : float
        Mattes mutual information at the end (negative; lower is better).
    agreement_mm : float
        Mean distance over the head between the result of the last and of the last but one resolution.
    """

    matrix: Matrix
    metric: float
    agreement_mm: float


def within_session(fixed: Volume, moving: Volume, *, inside: Mask | None = None, finest_mm: float = 0.0) -> Fit:
    """Align two series of one session, from the header's pose; the other starts only where that is not convincing.

    Parameters
    ----------
    fixed, moving : Volume
        Whole heads of one subject.
    inside : bool, shape of ``fixed``, optional
        As :func:`rigid`.
    finest_mm : float
        Levels finer than this are left out (for pictures on which no number rests).

    Returns
    -------
    Fit

    Raises
    ------
    RegistrationError
        As :func:`rigid`.
    """
    try:
        fit = rigid(fixed, moving, start=np.eye(4), inside=inside, finest_mm=finest_mm)
    except RegistrationError:
        return rigid(fixed, moving, inside=inside, finest_mm=finest_mm)
    if fit.agreement_mm <= number("registration.session_agreement_mm"):
        return fit
    other = rigid(fixed, moving, inside=inside, finest_mm=finest_mm)
    return other if other.metric < fit.metric else fit


def rigid(
    fixed: Volume, moving: Volume, *, start: Matrix | None = None, inside: Mask | None = None, finest_mm: float = 0.0
) -> Fit:
    """Align ``moving`` to ``fixed`` by rotation and translation.

    Parameters
    ----------
    fixed, moving : Volume
        Whole heads, or brains that were both skull-stripped.
    start : float64, shape (4, 4), optional
        First guess (fixed to moving); otherwise header, geometric and intensity centres are tried.
    inside : bool, shape of ``fixed``, optional
        Brain. Levels finer than 3 mm then look at it and its surroundings only (not at jaw and neck, which move).
    finest_mm : float
        Levels finer than this are left out.

    Returns
    -------
    Fit

    Raises
    ------
    RegistrationError
        If no start overlaps or the optimiser cannot run.

    Notes
    -----
    Mattes mutual information, regular step gradient descent, physical shift scales, fixed seed. A level is skipped
    where the images are no finer than it, and the finest where slices are thick. The start is a whole-head fit: a
    mask from the beginning can make it fail altogether.
    """
    thickest = max(float(fixed.spacing.max()), float(moving.spacing.max()))
    levels = [mm for mm in numbers("registration.levels_mm") if mm >= 0.6 * min(fixed.spacing.min(), 4.0)]
    levels = [mm for mm in levels if mm >= finest_mm]
    if thickest > number("registration.thick_slice_mm"):
        levels = [mm for mm in levels if mm >= 2.0]
    matrix = start
    if matrix is None:
        matrix = best_start(fixed, moving, first_guesses(fixed, moving))[1]
    around = None if inside is None else _around(fixed, inside)
    metric, agreement = 0.0, float("inf")
    for mm in levels:
        previous = matrix
        level = coarse(fixed, mm)
        near = None if around is None or mm > ROUGH_MM else resample(around, level) > 0.5
        matrix, metric = _optimise(level, coarse(moving, mm), matrix, "rigid", near=near)
        agreement = distance(fixed, previous, matrix)
    return Fit(np.round(matrix, 6), metric, agreement)


def rigid_multistart(fixed: Volume, moving: Volume, *, inside: Mask | None = None) -> Fit:
    """As :func:`rigid`, from a grid of rotations tried at 8 mm: for poses beyond about 15 degrees."""
    centres = (_centre_of_mass(coarse(fixed, 8.0)), _centre_of_mass(coarse(moving, 8.0)))
    return rigid(fixed, moving, start=best_turn(fixed, moving, centres), inside=inside)


def best_turn(fixed: Volume, moving: Volume, centres: tuple[Matrix, Matrix]) -> Matrix:
    """Coarse rigid fit (8 mm) from a grid of rotations.

    Parameters
    ----------
    fixed, moving : Volume
        Heads, or better brains without skull: one test pose of 44 degrees, cut by the field of view, came within
        2.6 mm with brains and 10.8 mm with heads.
    centres : pair of float64, shape (3,)
        World position in each image around which the turns are made.

    Returns
    -------
    float64, shape (4, 4)
        The best fit found, for :func:`rigid` to start from.

    Raises
    ------
    RegistrationError
        If no start overlaps.
    """
    angles = numbers("registration.start_rotations_deg")
    turns = [turned(_rotation(turn), *centres) for turn in itertools.product(angles, angles, angles)]
    return best_start(fixed, moving, [np.eye(4), *turns])[1]


def turned(rotation: Matrix, centre_fixed: Matrix, centre_moving: Matrix) -> Matrix:
    """Rigid transform with the given rotation (4 x 4) that brings one centre onto the other."""
    matrix = rotation.copy()
    matrix[:3, 3] = centre_moving - matrix[:3, :3] @ centre_fixed
    return matrix


def affine_to_template(template: Volume, moving: Volume) -> Fit:
    """Align a head or brain to the template by 12 parameters, coarsely (4 mm).

    Parameters
    ----------
    template : Volume
        Fixed image (with a head drawn around it if ``moving`` has a skull).
    moving : Volume
        The subject's T1.

    Returns
    -------
    Fit
        Template world to subject world; ``agreement_mm`` is how far the affine step moved the rigid one.

    Notes
    -----
    No mask: a mask around the template's brain let the fit run away on a real head.
    """
    _, start = best_start(template, moving, first_guesses(template, moving))
    matrix, metric = _optimise(coarse(template, 4.0), coarse(moving, 4.0), start, "affine")
    return Fit(np.round(matrix, 6), metric, distance(template, start, matrix))


def distance(grid: Volume, first: Matrix, second: Matrix) -> float:
    """Mean distance in mm between two transforms over the voxels of ``grid`` that hold signal."""
    small = coarse(grid, 8.0)
    inside = small.array > 0.25 * float(np.percentile(small.array, 98))
    x, y, z = (axis[inside].astype(float) for axis in world_axes(small))
    points = np.stack([x, y, z, np.ones_like(x)])
    moved = (first - second) @ points
    return float(np.linalg.norm(moved[:3], axis=0).mean())


def correlation(first: Volume, second: Volume, inside: Mask) -> float:
    """Pearson correlation of two images of one grid inside a mask (0 where it cannot be computed)."""
    a, b = first.array[inside].astype(float), second.array[inside].astype(float)
    if a.size < 100 or a.std() == 0 or b.std() == 0:
        return 0.0
    return float(np.corrcoef(a, b)[0, 1])


def rigid_part(matrix: Matrix) -> Matrix:
    """Rotation nearest to the linear part of an affine matrix, with its translation at the world origin kept."""
    u, _, vt = np.linalg.svd(matrix[:3, :3])
    out = np.eye(4)
    out[:3, :3] = u @ vt
    out[:3, 3] = matrix[:3, 3]
    return out


def _centre_of_mass(volume: Volume) -> Matrix:
    x, y, z = world_axes(volume)
    weight = np.clip(volume.array, 0, float(np.percentile(volume.array, 98)))
    weight = np.where(weight > 0.15 * weight.max(), 1.0, 0.0)
    total = float(weight.sum())
    return np.array([float((axis * weight).sum()) / total for axis in (x, y, z)])


def _centre_of_grid(volume: Volume) -> Matrix:
    middle = (np.array(volume.shape) - 1) / 2
    return np.asarray((volume.affine @ [*middle, 1.0])[:3], dtype=float)


def first_guesses(fixed: Volume, moving: Volume) -> list[Matrix]:
    """Fixed to moving without turning: the header as it is, geometric centres, intensity centres."""
    centres = [
        (_centre_of_grid(fixed), _centre_of_grid(moving)),
        (_centre_of_mass(coarse(fixed, 8.0)), _centre_of_mass(coarse(moving, 8.0))),
    ]
    return [np.eye(4), *(turned(np.eye(4), *pair) for pair in centres)]


def _around(grid: Volume, inside: Mask) -> Volume:
    """The mask and what lies within ``registration.around_mm`` of it, as an image."""
    small = coarse(grid.like(inside), 4.0)  # its edge is not needed to the millimetre
    away = ndimage.distance_transform_edt(small.array < 0.5, sampling=small.spacing)
    return small.like(away <= number("registration.around_mm"))


def _rotation(degrees: Sequence[float]) -> Matrix:
    matrix = np.eye(4)
    for axis, angle in enumerate(np.deg2rad(degrees)):
        turn = np.eye(3)
        a, b = [(1, 2), (2, 0), (0, 1)][axis]
        turn[a, a] = turn[b, b] = np.cos(angle)
        turn[a, b], turn[b, a] = -np.sin(angle), np.sin(angle)
        matrix[:3, :3] = matrix[:3, :3] @ turn
    return matrix


def best_start(fixed: Volume, moving: Volume, starts: Sequence[Matrix]) -> tuple[float, Matrix]:
    """Optimise every start on an 8 mm grid; keep the best metric (the first of equals).

    Raises
    ------
    RegistrationError
        If no start overlaps.
    """
    fixed8, moving8 = coarse(fixed, 8.0), coarse(moving, 8.0)
    best: tuple[float, Matrix] | None = None
    for start in starts:
        try:
            matrix, metric = _optimise(
                fixed8, moving8, start, "rigid", last_step=number("registration.last_start_step_mm")
            )
        except RegistrationError:
            continue  # this start has too little overlap; another may have enough
        if best is None or metric < best[0] - 1e-6:
            best = (metric, matrix)
    if best is None:
        raise RegistrationError("the two images do not overlap from any start")
    return best


def _optimise(
    fixed: Volume,
    moving: Volume,
    start: Matrix,
    kind: str,
    *,
    near: Mask | None = None,
    last_step: float | None = None,
) -> tuple[Matrix, float]:
    """One resolution; returns the matrix (RAS, fixed to moving) and the metric."""
    centre = _RAS_LPS[:3, :3] @ _centre_of_mass(fixed)
    lps = _RAS_LPS @ start @ _RAS_LPS
    transform: Any
    if kind == "rigid":
        transform = sitk.Euler3DTransform()
        u, _, vt = np.linalg.svd(lps[:3, :3])
        linear = u @ vt
    else:
        transform = sitk.AffineTransform(3)
        linear = lps[:3, :3]
    transform.SetCenter([float(c) for c in centre])
    transform.SetMatrix([float(x) for x in linear.ravel()])
    # T(x) = A (x - c) + c + t must equal the start at the centre.
    target = lps[:3, :3] @ centre + lps[:3, 3]
    transform.SetTranslation([float(x) for x in target - centre])

    method = sitk.ImageRegistrationMethod()
    method.SetNumberOfThreads(1)
    method.SetMetricAsMattesMutualInformation(int(number("registration.bins")))
    voxels = fixed.array.size
    if near is not None:
        method.SetMetricFixedMask(sitk.Cast(to_sitk(fixed.like(near)), sitk.sitkUInt8))
    rough = kind == "rigid" and float(fixed.spacing.min()) > ROUGH_MM  # a finer level follows, or it is a picture
    wanted = number("registration.coarse_samples" if rough else "registration.samples")
    if voxels > 1.25 * wanted:
        method.SetMetricSamplingStrategy(method.RANDOM)
        method.SetMetricSamplingPercentage(wanted / voxels, int(number("registration.seed")))
    method.SetInterpolator(sitk.sitkLinear)
    method.SetOptimizerAsRegularStepGradientDescent(
        learningRate=number("registration.first_step_mm"),
        minStep=number("registration.last_step_mm") if last_step is None else last_step,
        numberOfIterations=int(number("registration.iterations")),
        relaxationFactor=number("registration.relaxation"),
        gradientMagnitudeTolerance=1e-8,
    )
    method.SetOptimizerScalesFromPhysicalShift()
    method.SetInitialTransform(transform, inPlace=True)
    try:
        method.Execute(to_sitk(fixed), to_sitk(moving))
    except RuntimeError as error:
        raise RegistrationError("the images do not overlap or hold no structure") from error
    linear = np.array(transform.GetMatrix()).reshape(3, 3)
    result = np.eye(4)
    result[:3, :3] = linear
    result[:3, 3] = np.array(transform.GetTranslation()) + centre - linear @ centre
    return _RAS_LPS @ result @ _RAS_LPS, float(method.GetMetricValue())
