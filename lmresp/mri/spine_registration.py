"""Registration about the spinal canal: the whole, piece by piece along the spine, and to another visit."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from lmresp.mri.methods import number, numbers
from lmresp.mri.registration import RegistrationError, best_start, first_guesses, rigid
from lmresp.mri.volume import Float, Matrix, Volume, world_axes

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


def to_reference(anchor: Volume, box: Volume, post: Volume) -> Matrix:
    """Rigid fit of the current post-contrast image to the reference's, from starts up and down the spine as well.

    Parameters
    ----------
    anchor, box : Volume
        Current post-contrast image, and its part about the canal.
    post : Volume
        The reference's.

    Raises
    ------
    RegistrationError
        If nothing overlaps.
    """
    starts = []
    for guess in first_guesses(anchor, post):
        for up in numbers("spine.starts_mm"):
            start = guess.copy()
            start[2, 3] += up
            starts.append(start)
    start = best_start(anchor, post, starts)[1]
    return rigid(box, post, start=start).matrix
