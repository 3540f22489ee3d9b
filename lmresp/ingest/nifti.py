"""NIfTI files: header and voxels, each within its limit. Reference: the NIfTI-1 standard (nifti1.h)."""

from __future__ import annotations

import gzip
import struct
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
from numpy.typing import NDArray

from lmresp.ingest.header import Header, limit
from lmresp.ingest.unreadable import UnreadableSeries
from lmresp.ingest.volume_header import header_problem, volume_header

SUFFIXES = (".nii", ".nii.gz")


def is_nifti(path: str) -> bool:
    """Tell a NIfTI file by its ending."""
    return path.lower().endswith(SUFFIXES)


def read_header(path: Path, relative: str) -> Header:
    """Read the facts of one NIfTI file from its header and its name.

    Parameters
    ----------
    path : Path
        The file.
    relative : str
        Its path in the study, for the BIDS entities.

    Returns
    -------
    Header
        See :func:`~lmresp.ingest.volume_header.volume_header`.
    """
    try:
        image, shape, affine = _opened(path)
    except UnreadableSeries as error:
        return Header(source="nifti", kind="unreadable", problem=str(error))
    return volume_header("nifti", shape, affine, image.get_data_dtype().itemsize, relative)


def read_volume(path: Path) -> tuple[NDArray[Any], NDArray[np.float64]]:
    """Voxels, shape (i, j, k), and affine, shape (4, 4), of a NIfTI file.

    Raises
    ------
    UnreadableSeries
        If the file is damaged, holds more than one volume or claims more than the limits.
    """
    image, shape, affine = _opened(path)
    problem = header_problem(shape, affine, image.get_data_dtype().itemsize)
    if problem:
        raise UnreadableSeries(problem)
    if any(n > 1 for n in shape[3:]):
        raise UnreadableSeries(f"{' x '.join(map(str, shape))} voxels are more than one volume")
    if image.get_data_dtype().kind not in "iuf":
        raise UnreadableSeries(f"voxels of type {image.get_data_dtype()} are no grey values")
    try:
        scaled = image.dataobj.slope not in (1.0, None) or image.dataobj.inter not in (0.0, None)
        data = np.asanyarray(image.dataobj) if not scaled else image.get_fdata(dtype=np.float32)
    except Exception as error:
        raise UnreadableSeries(f"the image data are cut short or damaged ({type(error).__name__})") from None
    return np.asarray(data).reshape(shape[:3]), affine


def _opened(path: Path) -> tuple[Any, tuple[int, ...], NDArray[np.float64]]:
    """Image (voxels not yet read), its shape and affine."""
    # Damaged files raise many kinds of error in the reader; all of them mean "unreadable".
    try:
        start = _data_offset(path)
        if start > limit("limits", "max_text_bytes"):
            raise UnreadableSeries(f"the header claims that the voxels begin after {start:g} bytes of text")
        image: Any = nib.load(path)
        shape, affine = tuple(int(n) for n in image.shape), np.array(image.affine, dtype=np.float64)
    except UnreadableSeries:
        raise
    except Exception as error:
        raise UnreadableSeries(f"damaged header ({type(error).__name__})") from None
    return image, shape, affine


def _data_offset(path: Path) -> float:
    """Where the voxels begin, in bytes: the reader takes all that lies before them into memory at once."""
    with open(path, "rb") as handle:
        if path.name.lower().endswith(".gz"):
            with gzip.GzipFile(fileobj=handle) as unpacked:
                start = unpacked.read(544)
        else:
            start = handle.read(544)
    for order in "<>":
        if struct.unpack_from(order + "i", start)[0] == 348:
            return float(struct.unpack_from(order + "f", start, 108)[0])
        if struct.unpack_from(order + "i", start)[0] == 540:  # NIfTI-2
            return float(struct.unpack_from(order + "q", start, 168)[0])
    raise UnreadableSeries("damaged header (no NIfTI)")
