"""The simulated scanner: pose, voxels, blur, bias, gain, noise.

The picture of a series is linear in the fraction maps, so it is made on the grid of the head and sampled once at the
voxels of the series. The point spread function is a quadratic B-spline of the head's grid (standard deviation half
a grid step) together with a Gaussian that brings it to 0.42 of the series' own voxel, and a box profile across thick
slices (imaging reference, section 7).
"""

from __future__ import annotations

import dataclasses
from typing import Any

import nibabel as nib
import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from lmresp.simulate.anatomy import Anatomy
from lmresp.simulate.template import Volume
from lmresp.simulate.tissues import DISEASED, INDEX, MATERIALS, TISSUES, Tissue, signal
from lmresp.terms import Sequence

Affine = NDArray[np.float64]

PSF_VOXELS = 0.42
WHITE_MATTER_COUNTS = 400.0  # stored value of white matter before contrast in every series, gain 1
FIELD_OF_VIEW_MM = (192.0, 240.0, 200.0)
CENTRE_MM = (0.0, -14.0, 4.0)  # middle of the field of view and of every rotation, in the head's own coordinates
T1 = (Sequence.T1_PRE, Sequence.T1_POST)


@dataclasses.dataclass(frozen=True)
class Acquisition:
    """How one scan is made.

    Attributes
    ----------
    seed : int
        Noise, bias and movement between series.
    series : tuple of Sequence
        Which series, of ``T1_PRE``, ``T1_POST``, ``FLAIR`` and ``T2``.
    voxel_mm : tuple
        Voxel of the T1-weighted series, mm.
    other_voxel_mm : tuple
        Voxel of FLAIR and T2; the last number is the slice thickness.
    rotation_deg, translation_mm : tuple
        Pose of the head in the scanner: rotations about x, y, z (in this order), then the shift.
    motion_deg, motion_mm : float
        Standard deviation of the extra rotation and shift of every series against the pose.
    contrast_factor : float
        Multiplies every concentration (dose and timing); 0 means that no contrast was given.
    noise : float
        Standard deviation of the noise in units of the white matter signal before contrast.
    bias : float
        Largest absolute value of the logarithm of the bias field.
    gain : float
        Multiplies the stored values.
    """

    seed: int
    series: tuple[Sequence, ...] = (Sequence.T1_PRE, Sequence.T1_POST, Sequence.FLAIR)
    voxel_mm: tuple[float, float, float] = (2.0, 2.0, 2.0)
    other_voxel_mm: tuple[float, float, float] = (2.0, 2.0, 4.0)
    rotation_deg: tuple[float, float, float] = (0.0, 0.0, 0.0)
    translation_mm: tuple[float, float, float] = (0.0, 0.0, 0.0)
    motion_deg: float = 0.7
    motion_mm: float = 0.7
    contrast_factor: float = 1.0
    noise: float = 0.03
    bias: float = 0.25
    gain: float = 1.0


def rigid(rotation_deg: NDArray[np.float64], translation_mm: NDArray[np.float64]) -> Affine:
    """Rigid transform (4 x 4, RAS mm): rotate about x, then y, then z through the field's centre, then shift."""
    turn = np.eye(3)
    for axis, angle in enumerate(np.deg2rad(rotation_deg)):
        one, two = [a for a in range(3) if a != axis]
        step = np.eye(3)
        sign = -1.0 if axis == 1 else 1.0
        step[one, one] = step[two, two] = np.cos(angle)
        step[one, two], step[two, one] = -sign * np.sin(angle), sign * np.sin(angle)
        turn = step @ turn
    out = np.eye(4)
    centre = np.array(CENTRE_MM)
    out[:3, :3] = turn
    out[:3, 3] = centre - turn @ centre + translation_mm
    return out


def grid_affine(voxel_mm: tuple[float, float, float]) -> tuple[tuple[int, int, int], Affine]:
    """Shape and voxel-to-RAS-mm matrix of a series: the field of view filled with voxels, centred."""
    sizes = [max(1, round(fov / mm)) for fov, mm in zip(FIELD_OF_VIEW_MM, voxel_mm, strict=True)]
    affine = np.diag([*voxel_mm, 1.0])
    affine[:3, 3] = [c - mm * (n - 1) / 2 for c, mm, n in zip(CENTRE_MM, voxel_mm, sizes, strict=True)]
    return (sizes[0], sizes[1], sizes[2]), affine


def concentrations(film_concentration: float, contrast_factor: float) -> dict[Tissue, float]:
    """Contrast agent in every material after injection, mmol/l."""
    standard = {tissue: MATERIALS[tissue].contrast for tissue in TISSUES} | {Tissue.FILM: film_concentration}
    return {tissue: value * contrast_factor for tissue, value in standard.items()}


def _sample(picture: Volume, anatomy: Anatomy, pose: Affine, voxel_mm: tuple[float, float, float]) -> Volume:
    """Sample a picture of the head at the voxels of a series."""
    grid = anatomy.grid_mm
    shape, affine = grid_affine(voxel_mm)
    slices = max(1, round(voxel_mm[2] / grid))
    in_plane = np.sqrt(np.maximum((PSF_VOXELS * np.array(voxel_mm)) ** 2 - (0.5 * grid) ** 2, 0)) / grid
    if slices > 1:
        in_plane[2] = 0  # the box profile does the blurring across slices
    if in_plane.any():
        picture = ndimage.gaussian_filter(picture, in_plane)
    thin = affine.copy()
    thin[2, 2] /= slices
    thin[2, 3] -= thin[2, 2] * (slices - 1) / 2
    to_head = np.linalg.inv(anatomy.affine) @ np.linalg.inv(pose) @ thin
    fine = ndimage.affine_transform(
        picture,
        to_head[:3, :3],
        to_head[:3, 3],
        output_shape=(shape[0], shape[1], shape[2] * slices),
        output=np.float32,
        order=2,
        prefilter=False,
    )
    out: Volume = fine.reshape(*shape, slices).mean(axis=3)
    return out


def _bias(rng: np.random.Generator, shape: tuple[int, ...], largest: float) -> Volume:
    """Smooth multiplicative field: random quadratic in the coordinates, scaled to ``exp(+-largest)``."""
    x, y, z = np.meshgrid(*[np.linspace(-1, 1, n, dtype=np.float32) for n in shape], indexing="ij", sparse=True)
    w = rng.uniform(-1, 1, 9).astype(np.float32)
    field = w[0] * x + w[1] * y + w[2] * z + w[3] * x * y + w[4] * x * z + w[5] * y * z
    field = field + w[6] * (x * x - 0.33) + w[7] * (y * y - 0.33) + w[8] * (z * z - 0.33)
    out: Volume = np.exp(field * np.float32(largest / np.abs(field).max())).astype(np.float32)
    return out


def acquire(
    anatomy: Anatomy, maps: Volume, film_concentration: float, acquisition: Acquisition
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Make the series of one scan.

    Parameters
    ----------
    anatomy : Anatomy
        The head (for its grid).
    maps : array (materials, nx, ny, nz)
        Fraction maps with disease.
    film_concentration : float
        Contrast agent in the film after a standard dose, mmol/l.
    acquisition : Acquisition
        The protocol, pose and imperfections.

    Returns
    -------
    images : dict of str to nibabel.Nifti1Image
        int16 pictures by sequence name.
    truth : dict
        ``poses`` (sequence name to 4 x 4 matrix, subject's RAS mm to the series' RAS mm), ``enhancing`` (material to
        concentration and noiseless signal before and after) and ``contrast_factor``.
    """
    agent = concentrations(film_concentration, acquisition.contrast_factor)
    white = MATERIALS[Tissue.WM]
    scales = {
        s: acquisition.gain * WHITE_MATTER_COUNTS / signal(white, Sequence.T1_PRE if s in T1 else s, 0)
        for s in (*T1, *acquisition.series)
    }
    sigma = acquisition.noise * WHITE_MATTER_COUNTS * acquisition.gain
    base = rigid(np.array(acquisition.rotation_deg), np.array(acquisition.translation_mm))
    images: dict[str, Any] = {}
    poses: dict[str, Any] = {}
    for number, sequence in enumerate(acquisition.series):
        rng = np.random.default_rng([acquisition.seed, number])
        moved = rigid(rng.normal(0, acquisition.motion_deg, 3), rng.normal(0, acquisition.motion_mm, 3))
        pose = np.round(moved @ base, 9)
        voxel = acquisition.voxel_mm if sequence in T1 else acquisition.other_voxel_mm
        weights = {t: np.float32(signal(MATERIALS[t], sequence, agent[t]) * scales[sequence]) for t in TISSUES}
        # Summed in a fixed order, not by a threaded matrix product: the same bytes on one core and on many.
        picture = np.zeros(maps.shape[1:], dtype=np.float32)
        for tissue, weight in weights.items():
            picture += weight * maps[INDEX[tissue]]
        picture = _sample(picture, anatomy, pose, voxel)
        picture *= _bias(rng, picture.shape, acquisition.bias)
        real, imaginary = (rng.standard_normal(picture.shape, dtype=np.float32) * np.float32(sigma) for _ in range(2))
        stored = np.clip(np.rint(np.hypot(picture + real, imaginary)), 0, 32767).astype(np.int16)
        image = nib.Nifti1Image(stored, grid_affine(voxel)[1])  # type: ignore[no-untyped-call]
        image.header.set_xyzt_units("mm")  # type: ignore[no-untyped-call]
        images[str(sequence)] = image
        poses[str(sequence)] = pose.tolist()
    enhancing = {
        str(tissue): {
            "concentration_mmol_l": agent[tissue],
            "signal_pre": signal(MATERIALS[tissue], Sequence.T1_PRE, 0) * scales[Sequence.T1_PRE],
            "signal_post": signal(MATERIALS[tissue], Sequence.T1_POST, agent[tissue]) * scales[Sequence.T1_POST],
            "disease": tissue in DISEASED,
        }
        for tissue in TISSUES
        if agent[tissue] >= 0.05
    }
    return images, {"poses": poses, "enhancing": enhancing, "contrast_factor": acquisition.contrast_factor}
