"""Pixels of an object: decoded, face set to 0, and written as plain samples with nothing before, between or after."""

from __future__ import annotations

import io
import uuid
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.uid import UID, ExplicitVRLittleEndian

from lmresp.deidentify.attributes import UnfitError
from lmresp.ingest.header import limit

Removed = Callable[[tuple[int, int, int], NDArray[np.float64]], NDArray[np.bool_]]
"""Shape (columns, rows, 1) and affine (index to RAS+ mm) of one slice, to the pixels that show the face."""
IMPLEMENTATION_UID = UID(f"2.25.{uuid.uuid5(uuid.NAMESPACE_DNS, 'lmresp').int}")
IMPLEMENTATION_NAME = "LMRESP"
_TO_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])


def decoded(ds: Dataset) -> NDArray[Any]:
    """Decode the pixels of an object to integers, without what may hide in unused bits.

    Returns
    -------
    ndarray, shape (frames, rows, columns)

    Raises
    ------
    UnfitError
        If they are cut short, damaged, too many, or hold more than grey values.
    """
    frames = int(ds.get("NumberOfFrames") or 1)
    if int(ds.Rows) * int(ds.Columns) * frames > limit("limits", "max_voxels"):
        raise UnfitError("its header claims more voxels than the limit")
    # A damaged file can raise nearly anything while it is decoded; all of it means "damaged".
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            pixels = np.array(ds.pixel_array).reshape(frames, int(ds.Rows), int(ds.Columns))
        stored, allocated, signed = int(ds.BitsStored), 8 * pixels.dtype.itemsize, bool(ds.PixelRepresentation)
    except Exception:
        raise UnfitError("its pixels are cut short or damaged") from None
    if pixels.dtype.kind not in "iu" or allocated != int(ds.BitsAllocated) or (pixels.dtype.kind == "i") != signed:
        raise UnfitError("its pixels are no plain grey values")
    unused = allocated - stored  # old overlays are hidden there (DICOM PS3.3 C.9.2)
    return np.right_shift(np.left_shift(pixels, unused), unused) if unused else pixels


def slices(ds: Dataset) -> list[NDArray[np.float64]]:
    """Affine of every frame: column, row and slice index to RAS+ mm (DICOM PS3.3 equation C.7.6.2.1-1).

    Raises
    ------
    UnfitError
        If a frame has no position.
    """
    shared = (list(ds.get("SharedFunctionalGroupsSequence") or []) or [Dataset()])[0]
    groups = list(ds.get("PerFrameFunctionalGroupsSequence") or [])
    if not groups and int(ds.get("NumberOfFrames") or 1) > 1:
        raise UnfitError("its frames have no positions")
    try:
        if not groups:
            return [_affine(ds, ds, ds)]
        parts = ("PlanePositionSequence", "PlaneOrientationSequence", "PixelMeasuresSequence")
        return [_affine(*((group.get(part) or shared.get(part))[0] for part in parts)) for group in groups]
    except Exception:  # whatever a damaged header raises
        raise UnfitError("its slices have no positions") from None


def _affine(position: Dataset, orientation: Dataset, measures: Dataset) -> NDArray[np.float64]:
    cosines = np.array([float(v) for v in orientation.ImageOrientationPatient])
    down, across = (float(v) for v in measures.PixelSpacing)
    out = np.eye(4)
    out[:3, 0], out[:3, 1] = cosines[:3] * across, cosines[3:] * down
    out[:3, 2] = np.cross(cosines[:3], cosines[3:]) * float(measures.get("SliceThickness") or across)
    out[:3, 3] = [float(v) for v in position.ImagePositionPatient]
    if not np.isfinite(out).all() or abs(np.linalg.det(out)) < 1e-9:
        raise ValueError("degenerate geometry")
    return np.asarray(_TO_RAS @ out)


def without_face(ds: Dataset, pixels: NDArray[Any], removed: Removed) -> NDArray[Any]:
    """Set the face to 0 in every frame.

    Raises
    ------
    UnfitError
        If a frame has no position.
    """
    affines = slices(ds)
    if len(affines) != len(pixels):
        raise UnfitError("its frames and their positions differ in number")
    out = pixels.copy()
    for frame, affine in zip(out, affines, strict=True):
        rows, columns = frame.shape
        frame[removed((columns, rows, 1), affine)[..., 0].T] = 0
    return out


def file_bytes(attributes: Dataset, pixels: NDArray[Any]) -> bytes:
    """Write an object as a DICOM file in Explicit VR Little Endian, with an empty preamble and meta data of our own."""
    out = attributes
    out.Rows, out.Columns = pixels.shape[1:]
    out.BitsAllocated, out.SamplesPerPixel = 8 * pixels.dtype.itemsize, 1
    out.HighBit = int(out.BitsStored) - 1
    raw = pixels.astype(pixels.dtype.newbyteorder("<")).tobytes()
    out.add_new("PixelData", "OW" if pixels.dtype.itemsize > 1 else "OB", raw + b"\0" * (len(raw) % 2))
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = out.SOPClassUID
    meta.MediaStorageSOPInstanceUID = out.SOPInstanceUID
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    meta.ImplementationClassUID = IMPLEMENTATION_UID
    meta.ImplementationVersionName = IMPLEMENTATION_NAME
    buffer = io.BytesIO()
    whole = FileDataset(buffer, out, preamble=b"\0" * 128, file_meta=meta)
    whole.save_as(buffer, enforce_file_format=True)
    return buffer.getvalue()
