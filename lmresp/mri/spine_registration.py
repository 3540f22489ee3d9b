"""Registration about the spinal canal: the whole, piece by piece along the spine, and to another visit."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from lmresp.mri.methods import number, numbers
from lmresp.mri.registration import RegistrationError, best_start, correlation, distance, first_guesses, rigid
from lmresp.mri.volume import Float, Matrix, Volume, coarse, resample, world_axes

Points = npt.NDArray[np.float64]


def moved(points: npt.NDArray[np.number], matrix: npt.NDArray[np.floating]) -> Points:
    """Points, shape (n, 3), mapped through a 4 x 4 matrix."""
    return np.asarray((np.column_stack([points, np.ones(len(points))]) @ matrix.T)[:, :3], dtype=float)


def around(volume: Volume, path: Points) -> Volume:
    """The part of an image within ``spine.around_mm`` of a path in its world; all of it where the path lies outside."""
    index = moved(path, np.linalg.inv(volume.affine))
    pad = number("spine.around_mm") / volume.spacing
    low = np.clip(np.floor(index.min(axis=0) - pad), 0, None).astype(int)
    high = np.minimum(np.ceil(index.max(axis=0) + pad).astype(int) + 1, volume.shape)
    if (high - low < 8).any():
        return volume
    affine = volume.affine.copy()
    affine[:3, 3] = (volume.affine @ [*low, 1.0])[:3]
    array = volume.array[tuple(slice(a, b) for a, b in zip(low, high, strict=True))]
    return Volume(np.ascontiguousarray(array), affine)


def piecewise(box: Volume, moving: Volume, whole: Matrix) -> list[tuple[float, Matrix]]:
    """Rigid fit of each piece along the spine, which bends between two series.

    Parameters
    ----------
    box : Volume
        Fixed image; its third axis runs along the spine.
    moving : Volume
        Other image.
    whole : float64, shape (4, 4)
        Rigid fit of all of it, fixed to moving. A piece that would move by more than ``spine.block_moves_mm`` against
        it keeps it.

    Returns
    -------
    list of (float, float64 of shape (4, 4))
        Index of the middle of each piece along the third axis, and its matrix.
    """
    length, n = number("spine.block_mm") / box.spacing[2], box.shape[2]
    count = max(1, round(2 * n / length) - 1)
    if count == 1:
        return [((n - 1) / 2, whole)]
    out = []
    for middle in np.linspace(length / 2, n - length / 2, count):
        low, high = max(0, round(middle - length / 2)), min(n, round(middle + length / 2))
        affine = box.affine.copy()
        affine[:3, 3] = (box.affine @ [0, 0, low, 1.0])[:3]
        piece = Volume(np.ascontiguousarray(box.array[:, :, low:high]), affine)
        centre = piece.affine @ [*((np.array(piece.shape) - 1) / 2), 1.0]
        try:
            matrix = rigid(piece, moving, start=whole).matrix
        except RegistrationError:
            matrix = whole
        away = float(np.linalg.norm(((matrix - whole) @ centre)[:3]))
        out.append((float(middle), whole if away > number("spine.block_moves_mm") else matrix))
    return out


def sampled(box: Volume, moving: Volume, pieces: list[tuple[float, Matrix]]) -> Float:
    """Sample ``moving`` once on the box (cubic), the place blended linearly between the middles of the pieces."""
    middles = [middle for middle, _ in pieces]
    k = np.arange(box.shape[2])
    index = np.zeros((3, *box.shape))
    for mine, (_, matrix) in zip(np.eye(len(pieces)), pieces, strict=True):
        weight = np.interp(k, middles, mine)
        for axis, at in enumerate(world_axes(box, np.linalg.inv(moving.affine) @ matrix)):
            index[axis] += weight * at
    return np.asarray(ndimage.map_coordinates(moving.array, index, order=3, mode="nearest"), dtype=np.float32)


def from_path(box: Volume, path: Points) -> Float:
    """Distance in mm from the path within the transverse plane of the box."""
    index = moved(path, np.linalg.inv(box.affine))[::-1]
    k = np.arange(box.shape[2])
    i, j = (np.interp(k, index[:, 2], index[:, axis]) for axis in (0, 1))
    x = (np.arange(box.shape[0])[:, None, None] - i) * box.spacing[0]
    y = (np.arange(box.shape[1])[None, :, None] - j) * box.spacing[1]
    return np.asarray(np.hypot(x, y), dtype=np.float32)


def to_reference(anchor: Volume, box: Volume, post: Volume) -> tuple[Matrix, float]:
    """Rigid fit of the current post-contrast image to the reference's, every vertebra tried.

    Parameters
    ----------
    anchor, box : Volume
        Current post-contrast image, and its part about the canal.
    post : Volume
        The reference's.

    Returns
    -------
    (float64 of shape (4, 4), float)
        Current to reference, and how much better it correlates than the best fit at another level.

    Raises
    ------
    RegistrationError
        If nothing overlaps.

    Notes
    -----
    One vertebra looks like the next, and the optimiser does not cross from one to another: the first fit is shifted
    along the spine, the heights with the highest correlation are fitted again, and the best is taken.
    """
    starts = []
    for guess in first_guesses(anchor, post):
        starts += [_raised(guess, up) for up in numbers("spine.starts_mm")]
    first = rigid(box, post, start=best_start(anchor, post, starts)[1]).matrix
    mm, apart = number("spine.levels_coarse_mm"), number("spine.levels_apart_mm")
    fixed, moving = coarse(box, mm), coarse(post, mm)
    fits: list[tuple[float, Matrix]] = [(_alike(fixed, moving, first), first)]
    best = first
    for _ in range(int(number("spine.levels_rounds"))):
        for start in _other_levels(fixed, moving, best):
            matrix = rigid(box, post, start=start, finest_mm=2.0).matrix
            fits.append((_alike(fixed, moving, matrix), matrix))
        previous, (value, best) = best, max(fits, key=lambda fit: fit[0])
        if previous is best:
            break
    others = [other for other, matrix in fits if distance(box, best, matrix) > apart]
    return rigid(box, post, start=best).matrix, value - max(others, default=0.0)


def _other_levels(fixed: Volume, moving: Volume, matrix: Matrix) -> list[Matrix]:
    """The fit shifted along the spine to the heights, at least half a vertebra off, that look most alike."""
    reach, mm = number("spine.levels_reach_mm"), number("spine.levels_coarse_mm")
    heights = np.arange(-reach, reach + mm, mm)
    alike = np.array([_alike(fixed, moving, _raised(matrix, up)) for up in heights])
    far = np.abs(heights) > number("spine.levels_apart_mm")
    peaks = [n for n in np.flatnonzero(far) if alike[n] == alike[max(0, n - 2) : n + 3].max()]
    best = sorted(peaks, key=lambda n: (-alike[n], n))[: int(number("spine.levels_tried"))]
    return [_raised(matrix, float(heights[n])) for n in best]


def _raised(matrix: Matrix, up: float) -> Matrix:
    out = matrix.copy()
    out[2, 3] += up
    return out


def _alike(fixed: Volume, moving: Volume, matrix: Matrix) -> float:
    """Correlation over what both images hold; 0 where that is less than a third of the first."""
    sampled = resample(moving, fixed, matrix)
    both = sampled > 0
    return correlation(fixed, fixed.like(sampled), both) if both.mean() > 1 / 3 else 0.0
