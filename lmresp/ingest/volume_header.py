"""The facts of a file that holds one volume with an affine (NIfTI, NRRD), and when it cannot be one."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from lmresp.ingest import bids
from lmresp.ingest.header import Header, labels, limit

NO_AGENT_LABELS = {"none", "no", "pre", "without", "nativ", "native"}


def volume_header(
    source: str, shape: tuple[int, ...], affine: NDArray[np.float64], itemsize: int, relative: str
) -> Header:
    """Facts of one volume from its grid and its BIDS name.

    Parameters
    ----------
    source : str
        ``"nifti"`` or ``"nrrd"``.
    shape : tuple of int
        Size of every axis, as the header claims.
    affine : ndarray, shape (4, 4)
        Voxel index to RAS+ world, mm.
    itemsize : int
        Bytes of one voxel in the file.
    relative : str
        Path in the study, for the BIDS entities. Words of names outside BIDS are not used.

    Returns
    -------
    Header
        ``kind`` is ``"image"`` or ``"unreadable"`` (then ``problem`` says why). ``spacing``, ``step_mm``, ``rows``,
        ``columns`` and ``frames`` follow the slice axis, which is the axis of the longest voxel edge (the third one
        when the edges are equal); ``orientation`` is in DICOM's LPS.
    """
    problem = header_problem(shape, affine, itemsize)
    if problem:
        return Header(source=source, kind="unreadable", problem=problem)
    edges = np.sqrt((affine[:3, :3] ** 2).sum(axis=0))
    axis = 2 if edges.max() <= 1.2 * edges.min() else int(np.argmax(edges))
    in_plane = [a for a in range(3) if a != axis]
    lps = np.diag([-1.0, -1.0, 1.0]) @ (affine[:3, :3] / edges)
    names = bids.entities(relative)
    label = names.get("ce", "").lower()
    agent = "unknown" if not label else "no" if label in NO_AGENT_LABELS else "yes"
    return Header(
        source=source,
        kind="image",
        suffix=names.get("suffix", ""),
        words=labels(" ".join([names.get("acq", ""), names.get("bp", "")])),
        agent=agent,
        orientation=tuple(round(float(v), 5) for a in in_plane for v in lps[:, a]),
        spacing=tuple(round(float(edges[a]), 5) for a in reversed(in_plane)),  # DICOM order: rows, columns
        step_mm=round(float(edges[axis]), 5),
        rows=shape[in_plane[1]],
        columns=shape[in_plane[0]],
        frames=shape[axis],
        volumes=math.prod(shape[3:]),
    )


def header_problem(shape: tuple[int, ...], affine: NDArray[np.float64], itemsize: int = 1) -> str:
    """Reason why an image with this shape and affine cannot be a volume; empty when it can.

    Parameters
    ----------
    shape : tuple of int
        Size of every axis.
    affine : ndarray, shape (4, 4)
        Voxel to world (mm).
    itemsize : int
        Bytes of one voxel in the file.
    """
    if len(shape) < 3:
        return f"the image has {len(shape)} dimensions, not 3"
    if any(n < 1 for n in shape):
        return "the image has no voxels"
    voxels = math.prod(shape)
    if voxels > limit("limits", "max_voxels"):
        return f"the header claims {voxels} voxels, more than the limit of {limit('limits', 'max_voxels')}"
    if voxels * itemsize > limit("limits", "max_bytes"):
        return f"the header claims {voxels * itemsize} bytes, more than the limit of {limit('limits', 'max_bytes')}"
    if not np.isfinite(affine).all():
        return "the affine holds values that are not numbers"
    edges = np.sqrt((affine[:3, :3] ** 2).sum(axis=0))
    if not 0.05 <= edges.min() <= edges.max() <= 50:
        return f"voxel edges of {', '.join(f'{e:g}' for e in edges)} mm are not possible"
    if abs(np.linalg.det(affine[:3, :3] / edges)) < 0.1:
        return "the axes of the affine are not independent"
    return ""
