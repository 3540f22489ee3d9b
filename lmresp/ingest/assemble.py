"""Putting a DICOM series together slice by slice with pydicom: classic stacks and enhanced multi-frame objects."""

from __future__ import annotations

import struct
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from pydicom.encaps import generate_frames

from lmresp.ingest.dicom import read_dataset
from lmresp.ingest.header import limit
from lmresp.ingest.unreadable import UnreadableSeries

Frame = tuple[NDArray[Any], NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]
"""Pixels, position, direction cosines and pixel size of one slice."""


def assemble(paths: Sequence[Path]) -> tuple[NDArray[Any], NDArray[np.float64]]:
    """Assemble one volume from the files of one series.

    Parameters
    ----------
    paths : sequence of Path
        All files of the series.

    Returns
    -------
    tuple of ndarray
        Voxels, shape (columns, rows, slices), rescaled by slope and intercept when the header gives them; and the
        affine, shape (4, 4), voxel index to RAS+ world, mm.

    Raises
    ------
    UnreadableSeries
        If pixels cannot be decoded, slices differ in geometry, repeat, are unevenly spaced or missing.

    Notes
    -----
    Geometry after DICOM PS3.3 C.7.6.2.1.1 (equation C.7.6.2.1-1), with the x and y axes turned from LPS to RAS.
    """
    frames: list[Frame] = []
    for path in paths:
        # A damaged file can raise nearly anything while it is decoded; all of it means "unreadable".
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                frames += _frames(read_dataset(path, pixels=True))
        except UnreadableSeries:
            raise
        except Exception as error:
            raise UnreadableSeries(f"the pixels of {path.name} cannot be decoded ({type(error).__name__})") from None
    shape, orientation, spacing = frames[0][0].shape, frames[0][2], frames[0][3]
    near = limit("geometry", "same_grid_tolerance")
    for pixels, _, direction, size in frames:
        same = np.abs(direction - orientation).max() <= near
        if pixels.shape != shape or not same or np.abs(size - spacing).max() > near:
            raise UnreadableSeries("slices differ in size or orientation")
    normal = np.cross(orientation[:3], orientation[3:])
    slices = sorted(((float(f[1] @ normal), f[1], f[0]) for f in frames), key=lambda one: one[0])
    _check_spacing([one[0] for one in slices])
    first, last = slices[0][1], slices[-1][1]
    affine = np.eye(4)
    affine[:3, 0] = orientation[:3] * spacing[1]
    affine[:3, 1] = orientation[3:] * spacing[0]
    affine[:3, 2] = (last - first) / (len(slices) - 1)
    affine[:3, 3] = first
    return np.stack([one[2].T for one in slices], axis=-1), np.diag([-1.0, -1.0, 1.0, 1.0]) @ affine


def _check_spacing(locations: list[float]) -> None:
    """Refuse a stack whose slices (sorted distances along the normal, mm) repeat, are missing or uneven."""
    if len(locations) < 2:
        raise UnreadableSeries(f"{len(locations)} slice is no volume")
    steps = np.diff(locations)
    step = float(np.median(steps))
    if steps.min() < 0.01:
        raise UnreadableSeries("several images at one slice position")
    gaps = [s for s in steps if s > limit("geometry", "gap_factor") * step]
    if gaps:
        missing = sum(round(s / step) - 1 for s in gaps)
        raise UnreadableSeries(f"{missing} of {len(locations) + missing} slices are missing")
    if np.abs(steps - step).max() > limit("geometry", "step_tolerance") * step:
        raise UnreadableSeries("slices are not evenly spaced")


def _frames(ds: Dataset) -> list[Frame]:
    """Pixels, position, orientation and pixel size of every frame of one object."""
    if int(ds.Rows) * int(ds.Columns) * int(ds.get("NumberOfFrames") or 1) > limit("limits", "max_voxels"):
        raise UnreadableSeries("the header claims more voxels than the limit")
    if "TransferSyntaxUID" not in ds.file_meta:
        raise UnreadableSeries("the header does not say how the pixels are encoded")
    _check_encoded(ds)
    if "ImagePositionPatient" not in ds and "PerFrameFunctionalGroupsSequence" not in ds:
        raise UnreadableSeries("slice positions are not in the header")
    pixels = np.asarray(ds.pixel_array)
    groups = list(ds.get("PerFrameFunctionalGroupsSequence") or [])
    shared = (list(ds.get("SharedFunctionalGroupsSequence") or []) or [Dataset()])[0]
    if not groups:
        if pixels.ndim != 2:
            raise UnreadableSeries("several frames without positions")
        return [
            (
                _rescaled(pixels, ds),
                _vector(ds.ImagePositionPatient),
                _vector(ds.ImageOrientationPatient),
                _vector(ds.PixelSpacing),
            )
        ]
    out: list[Frame] = []
    for frame, group in zip(pixels.reshape((-1, *pixels.shape[-2:])), groups, strict=True):

        def part(name: str, group: Dataset = group) -> Dataset:
            found: Dataset = (group.get(name) or shared.get(name))[0]
            return found

        measures = part("PixelMeasuresSequence")
        has_scale = "PixelValueTransformationSequence" in group or "PixelValueTransformationSequence" in shared
        out.append(
            (
                _rescaled(frame, part("PixelValueTransformationSequence") if has_scale else Dataset()),
                _vector(part("PlanePositionSequence").ImagePositionPatient),
                _vector(part("PlaneOrientationSequence").ImageOrientationPatient),
                _vector(measures.PixelSpacing),
            )
        )
    return out


def _check_encoded(ds: Dataset) -> None:
    """Refuse compressed pixels whose own header claims another size than the image: the decoder would believe it."""
    if not ds.file_meta.TransferSyntaxUID.is_encapsulated:
        return
    for frame in generate_frames(ds.PixelData, number_of_frames=int(ds.get("NumberOfFrames") or 1)):
        claimed = encoded_size(frame)
        if claimed is not None and claimed != (ds.Rows, ds.Columns):
            rows, columns = claimed
            raise UnreadableSeries(
                f"the compressed pixels claim {rows} x {columns}, the header {ds.Rows} x {ds.Columns}"
            )


def encoded_size(frame: bytes) -> tuple[int, int] | None:
    """Rows and columns that a JPEG, JPEG-LS or JPEG 2000 stream claims; None when it is none of them.

    Notes
    -----
    ITU-T T.81 B.2.2 and T.87 C.2.2 (frame header), T.800 A.5.1 (SIZ marker).
    """
    if frame[:4] == b"\xff\x4f\xff\x51" and len(frame) >= 24:
        width, height, left, top = struct.unpack_from(">4I", frame, 8)
        return height - top, width - left
    place = 2
    while frame[:2] == b"\xff\xd8" and place + 9 <= len(frame) and frame[place] == 0xFF:
        marker, length = frame[place + 1], struct.unpack_from(">H", frame, place + 2)[0]
        if marker == 0xF7 or (0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC)):
            rows, columns = struct.unpack_from(">HH", frame, place + 5)
            return rows, columns
        place += 1 if marker == 0xFF else 2 + length
    return None


def _rescaled(pixels: NDArray[Any], place: Dataset) -> NDArray[Any]:
    """Apply slope and intercept of the modality (DICOM PS3.3 C.11.1); integers stay integers without them."""
    slope, intercept = float(place.get("RescaleSlope") or 1), float(place.get("RescaleIntercept") or 0)
    if slope == 1 and intercept == 0:
        return pixels
    return pixels.astype(np.float32) * np.float32(slope) + np.float32(intercept)


def _vector(values: Any) -> NDArray[np.float64]:
    return np.array([float(v) for v in values])
