"""The spinal canal (dural sac) on T2, or on T1 where CSF is dark: a path down its middle, then its outline.

No network and no atlas. What is found must look like a canal in size, length, contrast and outline; otherwise the
answer is that none was found, with the reason.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import nibabel as nib
import numpy as np
import numpy.typing as npt
from scipy import ndimage, signal

from lmresp.mri.methods import number, numbers
from lmresp.mri.volume import Float, Mask, Matrix, Volume

Array = npt.NDArray[np.float64]
_orientations: Any = nib.orientations
_MOVES = [(i, j) for i in (-1, 0, 1) for j in (-1, 0, 1)]


@dataclasses.dataclass(frozen=True, eq=False)
class Canal:
    """The dural sac on one image.

    Parameters
    ----------
    mask : bool, shape of the image, or None
        Voxels whose middle lies in the sac; None if it was not found.
    path : float64, shape (n, 3)
        World position in mm of its middle, from top to bottom.
    figures : dict
        What the decision rests on: ``contrast``, ``edge``, ``length_mm``, ``deep_mm`` and ``wide_mm`` (medians).
    why : str
        Reason why it was not found; empty if it was.
    """

    mask: Mask | None
    path: Array
    figures: dict[str, float]
    why: str


def upright(volume: Volume) -> Volume:
    """Order the voxel axes to right, anterior and superior (no interpolation; world positions stay)."""
    found = _orientations.io_orientation(volume.affine)
    array = _orientations.apply_orientation(volume.array, found)
    affine = volume.affine @ _orientations.inv_ornt_aff(found, volume.shape)
    return Volume(np.ascontiguousarray(array, dtype=np.float32), np.asarray(affine, dtype=float))


def find(volume: Volume, *, bright: bool) -> Canal:
    """Find the dural sac.

    Parameters
    ----------
    volume : Volume
        Spine, voxel axes right, anterior, superior (:func:`upright`); slices may be thick.
    bright : bool
        CSF is brighter than what lies around it (T2); otherwise darker (T1).

    Returns
    -------
    Canal
        ``mask`` None and ``why`` filled where there is no convincing canal. Never raises on data.

    Notes
    -----
    1. Signal is divided by its local mean (surface coils). 2. Score of every point of a coarse lattice: mean of a disc
    the size of the sac, the cord filled in by a closing, minus the second most similar of its four neighbours in
    front, behind, left and right, so that plates (fat under the skin) score nothing. 3. Path of largest summed score
    from the top to the bottom slice (Viterbi). 4. At every level the closed outline with the largest fall of signal
    (rise on T1) outwards, by dynamic programming in polar coordinates; cord to CSF is a step the other way, so the
    cord does not count.
    """
    step = number("canal.step_mm")
    flat = _levelled(volume, bright)
    small, to_world = _lattice(flat, volume.affine, step)
    extent = np.array(small.shape) * step
    empty = np.zeros((0, 3))
    if extent[2] < number("canal.least_length_mm") or extent[:2].min() < number("canal.least_width_mm"):
        return Canal(None, empty, {}, "canal not found: the field of view is too small")
    score = _score(small, step)
    steps, along = _best_path(score)
    good = ndimage.median_filter(along, 9, mode="nearest") >= number("canal.least_contrast")
    runs, count = ndimage.label(good)
    if count == 0:
        contrast = float(np.median(along))
        return Canal(None, empty, {"contrast": contrast}, f"canal not found: no tube of CSF (contrast {contrast:.2f})")
    keep = runs == 1 + int(np.argmax(np.bincount(runs[runs > 0])[1:]))
    smooth = ndimage.gaussian_filter1d(steps.astype(float), 4.0 / step, axis=0, mode="nearest")[keep]
    centre = np.column_stack([smooth, np.flatnonzero(keep)])
    for _ in range(2):  # the first outline moves the middle
        radii, edge = _outlines(small, centre, step)
        centre[:, :2] += _off_centre(radii, step)
    radii, edge = _outlines(small, centre, step)
    figures = _figures(centre, radii, along[keep], edge, step)
    why = _refused(figures)
    path = (np.column_stack([centre, np.ones(len(centre))]) @ to_world.T)[::-1, :3]
    mask = None if why else _inside(volume, centre, radii, to_world, step)
    return Canal(mask, path, figures, why)


def _levelled(volume: Volume, bright: bool) -> Float:
    """Signal over its local mean: 1 is ordinary tissue, and so is air on T1; upside down where CSF is dark."""
    a = np.maximum(volume.array, 0)
    tissue = a > number("canal.air") * float(np.percentile(a, 98))
    sigma = [number("canal.coil_mm") / s for s in volume.spacing]
    weight = ndimage.gaussian_filter(tissue.astype(np.float32), sigma, truncate=2.5)
    mean = ndimage.gaussian_filter(np.where(tissue, a, 0), sigma, truncate=2.5) / np.maximum(weight, 1e-3)
    level = a / np.maximum(mean, 1e-6 * float(a.max()) + 1e-12)
    if not bright:
        level = np.where(tissue, np.maximum(2.0 - level, 0.0), 1.0)
    return np.asarray(np.minimum(level, number("canal.brightest")), dtype=np.float32)


def _lattice(flat: Float, affine: Matrix, step: float) -> tuple[Float, Matrix]:
    """The image on cubes of ``step`` mm along its own axes, smoothed where it is finer; and cube index to world."""
    spacing = np.linalg.norm(affine[:3, :3], axis=0)
    smooth = ndimage.gaussian_filter(flat, [0.4 * step / s if s < step else 0.0 for s in spacing])
    shape = np.maximum(1, np.floor((np.array(flat.shape) - 1) * spacing / step).astype(int) + 1)
    matrix = affine.copy()
    matrix[:3, :3] = affine[:3, :3] / spacing * step
    small = ndimage.affine_transform(smooth, step / spacing, output_shape=tuple(shape), order=1, mode="nearest")
    return np.asarray(small, dtype=np.float32), matrix


def _score(small: Float, step: float) -> Float:
    near, (inner, outer), wider = number("canal.disc_mm"), numbers("canal.ring_mm"), number("canal.wider")
    n = int(np.ceil(wider * outer / step))
    i, j = np.mgrid[-n : n + 1, -n : n + 1] * step
    r, angle = np.hypot(i / wider, j), np.arctan2(j, i / wider)
    ring = (r >= inner) & (r <= outer)
    kernels = [r <= near] + [
        ring & (np.abs(np.angle(np.exp(1j * (angle - turn)))) < np.pi / 4) for turn in np.arange(4) * np.pi / 2
    ]
    smooth = ndimage.gaussian_filter1d(small, number("canal.along_mm") / step, axis=2)
    cord = np.hypot(i, j) <= number("canal.cord_mm")
    smooth = ndimage.grey_closing(smooth, footprint=cord[:, :, None], mode="nearest")
    padded = np.pad(smooth, ((n, n), (n, n), (0, 0)), mode="edge")
    means = [
        signal.fftconvolve(padded, (kernel / kernel.sum())[:, :, None], mode="valid", axes=(0, 1)) for kernel in kernels
    ]
    return np.asarray(means[0] - np.sort(np.stack(means[1:]), axis=0)[2], dtype=np.float32)


def _best_path(score: Float) -> tuple[npt.NDArray[np.int64], Array]:
    """Indices (i, j) of the best path at every k, and the score along it."""
    width, depth, height = score.shape
    gain = np.clip(score, -0.5, 1.0).astype(float)
    total = gain[:, :, 0]
    came = np.zeros(score.shape, dtype=np.int8)
    cost = number("canal.turn_cost")
    for k in range(1, height):
        padded = np.pad(total, 1, constant_values=-np.inf)
        options = np.stack(
            [padded[1 + i : 1 + i + width, 1 + j : 1 + j + depth] - cost * np.hypot(i, j) for i, j in _MOVES]
        )
        came[:, :, k] = options.argmax(axis=0)
        total = options.max(axis=0) + gain[:, :, k]
    steps = np.zeros((height, 2), dtype=np.int64)
    steps[-1] = np.unravel_index(int(total.argmax()), total.shape)
    for k in range(height - 1, 0, -1):
        steps[k - 1] = steps[k] + _MOVES[came[steps[k, 0], steps[k, 1], k]]
    return steps, np.asarray(score[steps[:, 0], steps[:, 1], np.arange(height)], dtype=float)


def _outlines(small: Float, centre: Array, step: float) -> tuple[Array, Array]:
    """Radius in mm of the outline at each level and angle, and the step of signal across it."""
    least, most = numbers("canal.radius_mm")
    fine = number("canal.radial_mm")
    radii = np.arange(least, most + fine, fine)
    angles = np.arange(int(number("canal.angles"))) * 2 * np.pi / number("canal.angles")
    r, angle = np.meshgrid(np.append(radii, most + np.arange(1, 9) * fine), angles, indexing="ij")
    i = centre[:, 0, None, None] + r * np.cos(angle) / step
    j = centre[:, 1, None, None] + r * np.sin(angle) / step
    k = np.broadcast_to(centre[:, 2, None, None], i.shape)
    polar = ndimage.map_coordinates(small, [i, j, k], order=1, mode="nearest")
    fall = -ndimage.gaussian_filter1d(polar, 1.0 / fine, axis=1, order=1)[:, : len(radii)] / fine
    fall = ndimage.gaussian_filter1d(fall, number("canal.along_mm") / step, axis=0, mode="nearest")
    rows = np.stack([_ring(one) for one in fall])
    edge = np.take_along_axis(fall, rows[:, None, :], axis=1)[:, 0]
    smooth = ndimage.gaussian_filter(ndimage.median_filter(radii[rows], (5, 1)), (1.0, 0.7), mode=("nearest", "wrap"))
    return np.asarray(smooth, dtype=float), np.asarray(edge, dtype=float)


def _off_centre(radii: Array, step: float) -> Array:
    """How far the middle of each outline lies from its centre, in steps, smoothed along the canal."""
    angle = np.arange(radii.shape[1]) * 2 * np.pi / radii.shape[1]
    weight = 1.5 * (radii**2).sum(axis=1)
    off = np.column_stack(
        [(radii**3 * np.cos(angle)).sum(axis=1) / weight, (radii**3 * np.sin(angle)).sum(axis=1) / weight]
    )
    return np.asarray(ndimage.gaussian_filter1d(off, 4.0 / step, axis=0, mode="nearest") / step, dtype=float)


def _ring(gain: Array) -> npt.NDArray[np.int64]:
    """Best row for each column of a closed band; neighbours differ by two rows at most."""
    n = gain.shape[1]
    turns = np.concatenate([gain, gain, gain], axis=1)  # the middle turn has neighbours on both sides
    total, came = turns[:, 0], np.zeros(turns.shape, dtype=np.int64)
    rows = np.arange(len(total))
    for column in range(1, turns.shape[1]):
        padded = np.pad(total, 2, constant_values=-np.inf)
        options = np.stack([padded[d : d + len(total)] for d in range(5)])
        came[:, column] = rows + options.argmax(axis=0) - 2
        total = options.max(axis=0) + turns[:, column]
    at = int(total.argmax())
    out = np.zeros(turns.shape[1], dtype=np.int64)
    for column in range(turns.shape[1] - 1, -1, -1):
        out[column] = at
        at = int(came[at, column])
    return out[n : 2 * n]


def _figures(centre: Array, radii: Array, along: Array, edge: Array, step: float) -> dict[str, float]:
    quarter = radii.shape[1] // 4
    across = radii + np.roll(radii, 2 * quarter, axis=1)
    return {
        "contrast": float(np.median(along)),
        "edge": float(np.percentile(edge, 25)),
        "length_mm": float(len(centre) * step),
        "wide_mm": float(np.median(across[:, 0])),
        "deep_mm": float(np.median(across[:, quarter])),
    }


def _refused(figures: dict[str, float]) -> str:
    """Why this is no canal; empty if nothing speaks against it."""
    if figures["length_mm"] < number("canal.least_length_mm"):
        return f"canal not found: only {figures['length_mm']:.0f} mm of it"
    if figures["edge"] < number("canal.least_edge"):
        return f"canal not found: its outline is too faint ({figures['edge']:.3f})"
    low, high = numbers("canal.diameter_mm")
    for name in ("deep_mm", "wide_mm"):
        if not low <= figures[name] <= high:
            return f"canal not found: what was followed is {figures[name]:.0f} mm {name.removesuffix('_mm')}"
    return ""


def _inside(volume: Volume, centre: Array, radii: Array, to_world: Matrix, step: float) -> Mask:
    """Voxels of the image inside the outlines."""
    matrix = np.linalg.inv(to_world) @ volume.affine  # the axes are parallel
    index = [matrix[a, a] * np.arange(n) + matrix[a, 3] for a, n in enumerate(volume.shape)]
    mask = np.zeros(volume.shape, dtype=bool)
    first, last = centre[0, 2] - 0.5, centre[-1, 2] + 0.5
    for k, z in enumerate(index[2]):
        if not first <= z <= last:
            continue
        at = min(max(z, centre[0, 2]), centre[-1, 2]) - centre[0, 2]
        low = min(int(at), len(centre) - 1)
        high, part = min(low + 1, len(centre) - 1), at - int(at)
        middle = (1 - part) * centre[low] + part * centre[high]
        outline = (1 - part) * radii[low] + part * radii[high]
        i, j = np.meshgrid((index[0] - middle[0]) * step, (index[1] - middle[1]) * step, indexing="ij")
        turn = np.mod(np.arctan2(j, i), 2 * np.pi) * len(outline) / (2 * np.pi)
        limit = np.interp(turn, np.arange(len(outline) + 1), np.append(outline, outline[0]))
        mask[:, :, k] = np.hypot(i, j) <= limit
    return mask
