"""NIfTI files of a scan: int16 with a slope (labels uint8), no text in the header, the same bytes every time."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np

from lmresp import store
from lmresp.mri.volume import Volume

_NIFTI: Any = nib.Nifti1Image


def write(path: Path, volume: Volume, *, labels: bool = False) -> str:
    """Write one image and return the SHA-256 of the file.

    Parameters
    ----------
    path : Path
        Destination, ``.nii.gz``.
    volume : Volume
        Image; float values are stored to 1/32000 of the largest absolute value.
    labels : bool
        Store whole numbers 0 to 255 as they are.
    """
    array = volume.array
    if labels:
        stored, slope = array.astype(np.uint8), 1.0
    else:
        largest = float(np.abs(array).max())
        slope = float(np.float32(largest / 32000)) if largest > 0 else 1.0
        stored = np.round(array / slope).astype(np.int16)
    image: Any = _NIFTI(stored, volume.affine)
    image.header.set_slope_inter(slope, 0.0)
    image.header.set_xyzt_units("mm")
    image.set_sform(volume.affine, code=1)
    image.set_qform(volume.affine, code=1)
    store.write_bytes(path, store.gzip_bytes(image.to_bytes()))
    return store.sha256_file(path)


def read(path: Path) -> Volume:
    """Read an image that :func:`write` wrote."""
    image = _NIFTI.from_bytes(gzip.decompress(path.read_bytes()))
    return Volume(np.ascontiguousarray(image.get_fdata(dtype=np.float32)), np.asarray(image.affine, dtype=float))
