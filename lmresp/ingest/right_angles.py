"""Turning a leaning stack (gantry tilt) or a sheared affine into a grid with right angles."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import affine_transform

from lmresp.ingest.header import limit
from lmresp.ingest.unreadable import UnreadableSeries


def leans(affine: NDArray[np.float64]) -> bool:
    """Tell whether the axes of an affine, shape (4, 4), are further from right angles than the limit."""
    unit = affine[:3, :3] / np.sqrt((affine[:3, :3] ** 2).sum(axis=0))
    apart = np.abs(unit.T @ unit - np.eye(3)).max()
    return bool(apart > np.sin(np.radians(limit("geometry", "min_tilt_deg"))))


def upright(data: NDArray[Any], affine: NDArray[np.float64]) -> tuple[NDArray[np.float32], NDArray[np.float64]]:
    """Resample a volume with leaning axes to a grid with right angles that holds all of it.

    Parameters
    ----------
    data : ndarray, shape (i, j, k)
        Voxels; the first two axes are those of a slice.
    affine : ndarray, shape (4, 4)
        Voxel index to world, mm.

    Returns
    -------
    tuple of ndarray
        Voxels (0 outside the old grid) and affine.

    Raises
    ------
    UnreadableSeries
        If the new grid would have more voxels than the limit.

    Notes
    -----
    The axes are made orthogonal from the first to the last (Gram-Schmidt), so that a gantry tilt moves every slice
    within its own plane and nothing is interpolated across slices. Interpolation is linear: it makes no value that was
    not there.
    """
    directions, triangle = np.linalg.qr(affine[:3, :3])
    edges = np.abs(np.diag(triangle))
    directions = directions * np.sign(np.diag(triangle))
    corners = np.array(np.meshgrid(*[(0, n - 1) for n in data.shape], indexing="ij")).reshape(3, -1)
    seen = np.diag(1 / edges) @ directions.T @ affine[:3, :3] @ corners
    low = np.floor(seen.min(axis=1) + 1e-6)
    shape = (np.ceil(seen.max(axis=1) - 1e-6) - low + 1).astype(int)
    if int(np.prod(shape)) > limit("limits", "max_voxels"):
        raise UnreadableSeries("the stack leans so far that its upright grid has more voxels than the limit")
    out = np.eye(4)
    out[:3, :3] = directions @ np.diag(edges)
    out[:3, 3] = affine[:3, 3] + out[:3, :3] @ low
    back = np.linalg.inv(affine) @ out
    moved = affine_transform(
        data.astype(np.float32),
        back[:3, :3],
        back[:3, 3],
        output_shape=tuple(shape),
        order=1,
        mode="constant",
        cval=0.0,
    )
    return moved.astype(np.float32), out
