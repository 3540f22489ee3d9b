"""A 3-D image in memory: an array, and the matrix from voxel indices to millimetres (RAS+)."""

from __future__ import annotations

import dataclasses
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

from lmresp.mri.itk import sitk

Float = npt.NDArray[np.float32]
Mask = npt.NDArray[np.bool_]
Matrix = npt.NDArray[np.float64]

_RAS_LPS = np.diag([-1.0, -1.0, 1.0, 1.0])


class VolumeError(ValueError):
    """The image cannot be used: not three-dimensional, too few slices, empty or without contrast."""


@dataclasses.dataclass(frozen=True, eq=False)
class Volume:
    """An image on a grid.

    Parameters
    ----------
    array : float32, shape (I, J, K)
        Signal, arbitrary units; no NaN or infinity.
    affine : float64, shape (4, 4)
        Voxel index (i, j, k, 1) to world position in mm, RAS+.
    """

    array: Float
    affine: Matrix

    @property
    def shape(self) -> tuple[int, int, int]:
        """Number of voxels along i, j and k."""
        i, j, k = self.array.shape
        return i, j, k

    @property
    def spacing(self) -> npt.NDArray[np.float64]:
        """Voxel size in mm along i, j and k."""
        return np.asarray(np.linalg.norm(self.affine[:3, :3], axis=0), dtype=float)

    @property
    def voxel_mm3(self) -> float:
        """Volume of one voxel in mm3."""
        return float(abs(np.linalg.det(self.affine[:3, :3])))

    def like(self, array: npt.NDArray[np.generic]) -> Volume:
        """Return another array on this grid."""
        if array.shape != self.array.shape:
            raise ValueError(f"array of shape {array.shape} on a grid of {self.array.shape}")
        return Volume(np.ascontiguousarray(array, dtype=np.float32), self.affine)


def checked(array: npt.NDArray[np.generic], affine: npt.NDArray[np.generic]) -> Volume:
    """Make a volume from a file's content, or say why it cannot be used.

    Infinite and NaN voxels become 0, and so do values beyond 1e6 times the 99th percentile (sentinels).

    Raises
    ------
    VolumeError
        Not 3-D, fewer than 8 voxels along an axis, degenerate matrix, or a constant image.
    """
    data = np.asarray(array, dtype=np.float64)
    if data.ndim == 4 and data.shape[3] == 1:
        data = data[..., 0]
    if data.ndim != 3:
        raise VolumeError(f"the image has {data.ndim} dimensions, not 3")
    if min(data.shape) < 8:
        raise VolumeError(f"the image has only {min(data.shape)} voxels along one axis (8 are needed)")
    matrix = np.asarray(affine, dtype=float)
    if matrix.shape != (4, 4) or not np.isfinite(matrix).all() or abs(np.linalg.det(matrix[:3, :3])) < 1e-6:
        raise VolumeError("the image has no usable voxel-to-world matrix")
    data = np.where(np.isfinite(data), data, 0.0)
    high = float(np.percentile(np.abs(data), 99))
    if high > 0:
        data = np.where(np.abs(data) > 1e6 * high, 0.0, data)
    if float(np.ptp(data)) == 0 or high == 0:
        raise VolumeError("the image is empty or constant")
    return Volume(np.ascontiguousarray(data, dtype=np.float32), matrix)


def to_sitk(volume: Volume) -> Any:
    """Convert to a SimpleITK image (which counts in LPS+)."""
    matrix = _RAS_LPS @ volume.affine
    spacing = volume.spacing
    image = sitk.GetImageFromArray(np.ascontiguousarray(volume.array.T))
    image.SetSpacing([float(s) for s in spacing])
    image.SetOrigin([float(x) for x in matrix[:3, 3]])
    image.SetDirection([float(x) for x in _orthonormal(matrix[:3, :3] / spacing).ravel()])
    return image


def from_sitk(image: Any) -> Volume:
    """Convert from a SimpleITK image."""
    matrix = np.eye(4)
    matrix[:3, :3] = np.array(image.GetDirection()).reshape(3, 3) * np.array(image.GetSpacing())
    matrix[:3, 3] = image.GetOrigin()
    array = np.ascontiguousarray(sitk.GetArrayFromImage(image).T, dtype=np.float32)
    return Volume(array, _RAS_LPS @ matrix)


def to_sitk_transform(matrix: Matrix) -> Any:
    """Convert a RAS world-to-world matrix to a SimpleITK transform."""
    lps = _RAS_LPS @ matrix @ _RAS_LPS
    return sitk.AffineTransform([float(x) for x in lps[:3, :3].ravel()], [float(x) for x in lps[:3, 3]])


def resample(moving: Volume, grid: Volume, matrix: Matrix | None = None, *, how: str = "linear") -> Float:
    """Sample ``moving`` on the grid of another volume, once.

    Parameters
    ----------
    moving : Volume
        Image to sample.
    grid : Volume
        Where to sample it; only its shape and affine are used.
    matrix : float64, shape (4, 4), optional
        World position in ``grid`` to world position in ``moving`` (mm, RAS+); identity if not given.
    how : {"linear", "cubic", "nearest"}
        Interpolation; ``cubic`` is a B-spline of order 3, clamped at the minimum of ``moving``.

    Returns
    -------
    float32, shape of ``grid``
        Sampled values, 0 outside ``moving``.
    """
    kinds = {"linear": sitk.sitkLinear, "cubic": sitk.sitkBSpline, "nearest": sitk.sitkNearestNeighbor}
    lps = _RAS_LPS @ grid.affine
    spacing = grid.spacing
    filter_ = sitk.ResampleImageFilter()
    filter_.SetSize([int(n) for n in grid.shape])
    filter_.SetOutputSpacing([float(s) for s in spacing])
    filter_.SetOutputOrigin([float(x) for x in lps[:3, 3]])
    filter_.SetOutputDirection([float(x) for x in _orthonormal(lps[:3, :3] / spacing).ravel()])
    filter_.SetInterpolator(kinds[how])
    filter_.SetTransform(to_sitk_transform(np.eye(4) if matrix is None else matrix))
    filter_.SetDefaultPixelValue(0.0)
    out = from_sitk(filter_.Execute(to_sitk(moving))).array
    if how == "cubic":
        out = np.maximum(out, min(0.0, float(moving.array.min())))
    return out


@lru_cache(maxsize=6)
def coarse(volume: Volume, mm: float) -> Volume:
    """Average blocks of voxels so that none is finer than about ``mm``; axes already coarser are left alone."""
    factors = np.array([min(max(1, round(mm / s)), n) for s, n in zip(volume.spacing, volume.shape, strict=True)])
    if factors.max() == 1:
        return volume
    shape = np.array(volume.shape) // factors
    array = volume.array[tuple(slice(0, n) for n in shape * factors)]
    for axis, (n, factor) in enumerate(zip(shape, factors, strict=True)):
        if factor > 1:
            array = array.reshape(*array.shape[:axis], n, factor, *array.shape[axis + 1 :]).mean(axis=axis + 1)
    affine = volume.affine.copy()
    affine[:3, :3] = volume.affine[:3, :3] * factors
    affine[:3, 3] = (volume.affine @ [*(factors - 1) / 2, 1.0])[:3]
    return Volume(np.ascontiguousarray(array, dtype=np.float32), affine)


def working_grid(volume: Volume, finest_mm: float) -> Volume:
    """Return the volume on a grid no finer than ``finest_mm`` (linear after smoothing; unchanged if coarse enough).

    A 0.47 mm in-plane matrix is interpolated from about 0.9 mm by most scanners; measuring on it costs four times
    the work for no information.
    """
    spacing = volume.spacing
    new = np.where(spacing < 0.75 * finest_mm, finest_mm, spacing)
    if np.allclose(new, spacing):
        return volume
    shape = np.maximum(8, np.floor(np.array(volume.shape) * spacing / new + 1e-6).astype(int))
    affine = volume.affine.copy()
    affine[:3, :3] = volume.affine[:3, :3] / spacing * new
    # Keep the outer corner of the first voxel where it was.
    affine[:3, 3] += (affine[:3, :3] - volume.affine[:3, :3]) @ np.full(3, 0.5)
    grid = Volume(np.zeros(tuple(shape), np.float32), affine)
    image = to_sitk(volume)
    for axis in range(3):
        if new[axis] > spacing[axis]:
            sigma = 0.35 * float(new[axis])
            image = sitk.RecursiveGaussian(image, sigma, False, sitk.RecursiveGaussianImageFilter.ZeroOrder, axis)
    return Volume(resample(from_sitk(image), grid), affine)


def world_axes(volume: Volume, matrix: Matrix | None = None) -> tuple[Float, Float, Float]:
    """World coordinates of every voxel, optionally mapped through ``matrix``.

    Returns
    -------
    three float32 arrays, each of the volume's shape
        x (right), y (anterior) and z (superior) in mm.
    """
    full = volume.affine if matrix is None else matrix @ volume.affine
    i, j, k = (np.arange(n, dtype=np.float32) for n in volume.shape)
    full32 = full.astype(np.float32)
    axes = [
        full32[row, 0] * i[:, None, None]
        + full32[row, 1] * j[None, :, None]
        + full32[row, 2] * k[None, None, :]
        + full32[row, 3]
        for row in range(3)
    ]
    return axes[0], axes[1], axes[2]


def _orthonormal(matrix: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Nearest rotation (or reflection): file headers carry rounding that SimpleITK refuses."""
    u, _, vt = np.linalg.svd(matrix)
    return np.asarray(u @ vt, dtype=float)
