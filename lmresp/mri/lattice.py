"""The lattice a scan is measured on: one grid for all near-isotropic scans of a subject, its own slices otherwise.

All lattices of a subject lie in the subject's common space (mm, RAS+, AC-PC), so that images of different visits lie
on each other in any viewer and two scans of one lattice need no further resampling.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from lmresp.mri.methods import number
from lmresp.mri.volume import Mask, Matrix, Volume, VolumeError, resample

Box = npt.NDArray[np.float64]


def brain_box(mask: Mask, affine: Matrix, to_common: Matrix) -> Box:
    """Return the box of a brain mask in the common space, with the margin for skull and scalp.

    Parameters
    ----------
    mask : bool
        Brain.
    affine : float64, shape (4, 4)
        Its voxels to mm of the scan.
    to_common : float64, shape (4, 4)
        Mm of the scan to mm of the common space.

    Returns
    -------
    float64, shape (2, 3)
        Lowest and highest corner in mm, whole millimetres.

    Raises
    ------
    VolumeError
        If the mask is empty.
    """
    spans = [np.flatnonzero(mask.any(axis=tuple(a for a in range(3) if a != axis))) for axis in range(3)]
    if any(span.size == 0 for span in spans):
        raise VolumeError("no brain found in the T1-weighted image")
    ends = [(span[0] - 0.5, span[-1] + 0.5) for span in spans]
    corners = np.stack(np.meshgrid(*ends, [1.0], indexing="ij")).reshape(4, -1)
    world = (to_common @ affine @ corners)[:3]
    margin = number("volume.margin_mm")
    return np.stack([np.floor(world.min(axis=1)) - margin, np.ceil(world.max(axis=1)) + margin])


def is_thick(volume: Volume) -> bool:
    """Whether slices are too thick to be put on an isotropic lattice without inventing detail."""
    return float(volume.spacing.max()) > number("volume.isotropic_mm")


def lattice(anchor: Volume, to_common: Matrix, box: Box) -> Volume:
    """Return the empty grid on which a scan is measured.

    Parameters
    ----------
    anchor : Volume
        The T1 that carries the scan, as acquired.
    to_common : float64, shape (4, 4)
        Its mm to mm of the common space.
    box : float64, shape (2, 3)
        Brain and margin in the common space.

    Returns
    -------
    Volume
        Zeros. Near-isotropic scans: voxels along the axes of the common space, as long as the scan's longest edge
        (not below ``volume.finest_mm``). Thick slices: the scan's own rows, columns and slices inside the box, with
        its pose moved into the common space; only in-plane voxels finer than 3/4 of ``volume.finest_mm`` are enlarged.
    """
    finest = number("volume.finest_mm")
    if not is_thick(anchor):
        step = max(finest, round(float(anchor.spacing.max()), 2))
        affine = np.diag([step, step, step, 1.0])
        affine[:3, 3] = box[0]
        return _empty(np.ceil((box[1] - box[0]) / step).astype(int) + 1, affine)
    affine = to_common @ anchor.affine
    size = np.array(anchor.shape)
    factor = np.where(anchor.spacing < 0.75 * finest, finest / anchor.spacing, 1.0)
    affine[:3, 3] += affine[:3, :3] @ (0.5 * (factor - 1))  # the outer corner of the first voxel stays
    affine[:3, :3] *= factor
    size = np.maximum(1, np.floor(size / factor + 1e-6)).astype(int)
    corners = np.stack(np.meshgrid(*box.T, [1.0], indexing="ij")).reshape(4, -1)
    voxel = (np.linalg.inv(affine) @ corners)[:3]
    low = np.clip(np.floor(voxel.min(axis=1)).astype(int), 0, size - 1)
    high = np.clip(np.ceil(voxel.max(axis=1)).astype(int) + 1, low + 1, size)
    affine[:3, 3] += affine[:3, :3] @ low
    return _empty(high - low, affine)


def same(first: Volume, second: Volume) -> bool:
    """Whether two images lie on one lattice."""
    return first.shape == second.shape and bool(np.allclose(first.affine, second.affine, atol=1e-4))


def coarser(first: Volume, second: Volume) -> Volume:
    """Return the one with the larger voxels (the first of equals)."""
    return first if first.voxel_mm3 >= second.voxel_mm3 * (1 - 1e-6) else second


def onto(volume: Volume, grid: Volume, *, how: str = "linear") -> Volume:
    """Bring an image of the common space onto another of its lattices; unchanged if it lies there already."""
    return volume if same(volume, grid) else grid.like(resample(volume, grid, how=how))


def _empty(shape: npt.NDArray[np.int_], affine: Matrix) -> Volume:
    i, j, k = (int(n) for n in shape)
    return Volume(np.zeros((i, j, k), np.float32), affine)
