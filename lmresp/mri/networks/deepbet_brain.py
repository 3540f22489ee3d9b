"""Where deepbet sees brain: its two networks, one that finds the brain and one that outlines it.

Fisch et al., Computers in Biology and Medicine 2024;179:108845 (deepbet 1.0.2, MIT; weights and notice in
``deepbet/``). Written anew from the published code, without PyTorch.
"""

from __future__ import annotations

from typing import Any

import nibabel as nib
import numpy as np
from scipy import ndimage

from lmresp.mri.methods import numbers
from lmresp.mri.networks import session
from lmresp.mri.volume import Float, Volume

_ORIENTATIONS: Any = nib.orientations  # nibabel has no types
_RAS = np.array([[0, 1], [1, 1], [2, 1]])
Box = tuple[slice, slice, slice]


def probability(volume: Volume) -> Float:
    """Probability that a voxel is brain (with the CSF of its sulci).

    Parameters
    ----------
    volume : Volume
        T1-weighted whole head, axes in any order.

    Returns
    -------
    float32, shape of ``volume``
        0 to 1; 0 everywhere where the first network finds no brain.

    Raises
    ------
    NetworkUnavailableError
        If onnxruntime or the weights are not installed.

    Notes
    -----
    The networks know heads in RAS+ order: axes are permuted and flipped, never rotated. As in the original the image is
    stretched to 128 x 128 x 128 voxels for the first network and the box it finds, with a margin of a tenth on
    each side, to a cube for the second: of 256 voxels as in the original, of fewer where the image itself has no more
    than that along the box.
    """
    orientation = _ORIENTATIONS.io_orientation(volume.affine)
    head: Float = _ORIENTATIONS.apply_orientation(volume.array, orientation)
    out = np.zeros(head.shape, np.float32)
    box = _box(_run("bbox_model.onnx", _stretch(head, (128, 128, 128))), head.shape)
    if box is not None:
        edge = _edge(max(head[box].shape))
        seen = _run("model.onnx", _stretch(head[box], (edge, edge, edge)))
        out[box] = _stretch(seen, out[box].shape)
    back = _ORIENTATIONS.ornt_transform(_RAS, orientation)
    return np.ascontiguousarray(_ORIENTATIONS.apply_orientation(out, back))


def _edge(voxels: int) -> int:
    """Edge of the cube for the second network: the shortest that loses nothing of an image of so many voxels."""
    edges: list[int] = [round(edge) for edge in numbers("brain.network_voxels")]
    fitting = [edge for edge in edges if edge >= voxels]
    return min(fitting, default=max(edges))


def _run(name: str, cube: Float) -> Float:
    """Probability of brain in a cube."""
    low, high = np.quantile(cube, [0.005, 0.995])
    if high <= low:
        return np.zeros(cube.shape, np.float32)
    scaled = np.clip((cube - low) / (high - low), 0, 1)
    scaled = 0.226 * (scaled - scaled.mean()) / scaled.std(ddof=1) + 0.449
    (found,) = session.load("deepbet", name).run(["probability"], {"image": scaled[None, None].astype(np.float32)})
    brain: Float = found[0, 1]
    return brain


def _stretch(array: Float, shape: tuple[int, ...]) -> Float:
    """Nearest-neighbour resampling that keeps the outer border (``nearest-exact`` of PyTorch)."""
    picks = [
        np.minimum(((np.arange(new) + 0.5) * (old / new)).astype(int), old - 1)
        for new, old in zip(shape, array.shape, strict=True)
    ]
    return np.ascontiguousarray(array[np.ix_(*picks)])


def _box(seen: Float, shape: tuple[int, ...]) -> Box | None:
    """Box around the largest component of what the first network saw, in voxels of an image of ``shape``."""
    labels, count = ndimage.label(seen > 0.5, structure=np.ones((3, 3, 3)))
    if count == 0:
        return None
    sizes = np.bincount(labels.ravel())
    sizes[0] = 0
    largest = labels == int(sizes.argmax())
    box = []
    for axis in range(3):
        others = tuple(a for a in range(3) if a != axis)
        filled = np.flatnonzero(largest.mean(axis=others) > 0.02)
        if not filled.size:
            return None
        box.append(_range(int(filled[0]), int(filled[-1]) + 1, shape[axis], seen.shape[axis]))
    return box[0], box[1], box[2]


def _range(first: int, last: int, length: int, of: int) -> slice:
    """One axis of the box with its margin, from ``of`` voxels to ``length`` voxels."""
    scale = length / of
    centre = round(scale * (first + last) / 2)
    half = round(1.2 * scale * (last - first)) / 2
    return slice(max(0, int(centre - half)), min(length, int(centre + half)))
