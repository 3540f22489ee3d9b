"""The simulated scanner: pose, voxels, slice profile, blur, movement, bias, gain, noise.

The picture of a series is linear in the fraction maps, so it is made on the grid of the head and sampled once at the
voxels of the series. The point spread function is a quadratic B-spline of the head's grid (standard deviation half
a grid step) together with a Gaussian that brings it to 0.42 of the series' own voxel, and the profile of thick slices
(imaging reference, section 7). Pixels much finer than the head's grid are interpolated from coarser ones after the
noise, as scanners do.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import nibabel as nib
import numpy as np
from numpy.typing import NDArray
from scipy import fft, ndimage

from lmresp.simulate.anatomy import Anatomy
from lmresp.simulate.disease import Layers
from lmresp.simulate.template import Volume
from lmresp.simulate.tissues import BLACK_BLOOD, DISEASED, MATERIALS, TISSUES, Material, Tissue, signal
from lmresp.terms import Sequence

Affine = NDArray[np.float64]
Lattice = tuple[tuple[int, int, int], Affine]  # shape, and voxel to RAS mm

PSF_VOXELS = 0.42
WHITE_MATTER_COUNTS = 400.0  # stored value of white matter before contrast in every series, gain 1
FIELD_OF_VIEW_MM = (192.0, 240.0, 200.0)
CENTRE_MM = (0.0, -14.0, 4.0)  # middle of the field of view and of every rotation, in the head's own coordinates
T1 = (Sequence.T1_PRE, Sequence.T1_POST)
PROFILES = ("box", "gaussian")


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
        Voxel of the T1-weighted series, mm; the last number is the slice thickness.
    other_voxel_mm : tuple
        Voxel of FLAIR and T2.
    gap_mm, other_gap_mm : float
        Gap between the slices of the T1-weighted and of the other series.
    profile : str
        ``box``, or ``gaussian`` for slices of that full width at half maximum.
    rotation_deg, translation_mm : tuple
        Pose of the head in the scanner: rotations about x, y, z (in this order), then the shift.
    motion_deg, motion_mm : float
        Standard deviation of the extra rotation and shift of every series against the pose.
    within_scan_mm : float
        Size (root mean square) of the swaying of the head while a series is being made: blur, and ghosts along the
        phase direction (y). The truth stays that of the middle of k-space.
    contrast_factor : float
        Multiplies every concentration (dose and timing); 0 means that no contrast was given.
    pre_contrast_factor : float
        The same for the series called before contrast: above 0 when it was made after the injection.
    vessel_factor : float
        Multiplies the concentration in vessels once more (early or late after the injection).
    black_blood : bool
        T1-weighted series with blood suppressed: vessels are void before and after contrast.
    noise : float
        Standard deviation of the noise in units of the white matter signal before contrast.
    bias : float
        Largest absolute value of the logarithm of the bias field.
    gain : float
        Multiplies the stored values.
    gain_spread : float
        Standard deviation of the logarithm of a further gain of every series.
    """

    seed: int
    series: tuple[Sequence, ...] = (Sequence.T1_PRE, Sequence.T1_POST, Sequence.FLAIR)
    voxel_mm: tuple[float, float, float] = (2.0, 2.0, 2.0)
    other_voxel_mm: tuple[float, float, float] = (2.0, 2.0, 4.0)
    gap_mm: float = 0.0
    other_gap_mm: float = 0.0
    profile: str = "box"
    rotation_deg: tuple[float, float, float] = (0.0, 0.0, 0.0)
    translation_mm: tuple[float, float, float] = (0.0, 0.0, 0.0)
    motion_deg: float = 0.7
    motion_mm: float = 0.7
    within_scan_mm: float = 0.0
    contrast_factor: float = 1.0
    pre_contrast_factor: float = 0.0
    vessel_factor: float = 1.0
    black_blood: bool = False
    noise: float = 0.03
    bias: float = 0.25
    gain: float = 1.0
    gain_spread: float = 0.0


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


def grid_affine(voxel_mm: tuple[float, float, float]) -> Lattice:
    """Shape and voxel-to-RAS-mm matrix of a series: the field of view filled with voxels, centred."""
    sizes = [max(1, round(fov / mm)) for fov, mm in zip(FIELD_OF_VIEW_MM, voxel_mm, strict=True)]
    affine = np.diag([*voxel_mm, 1.0])
    affine[:3, 3] = [c - mm * (n - 1) / 2 for c, mm, n in zip(CENTRE_MM, voxel_mm, sizes, strict=True)]
    return (sizes[0], sizes[1], sizes[2]), affine


def _profile(thickness: float, step: float, profile: str) -> NDArray[np.float64]:
    """Weights of samples ``step`` mm apart across one slice; an odd number of them, which add up to 1."""
    half = int(np.ceil((1.5 if profile == "gaussian" else 0.5) * thickness / step))
    at = step * np.arange(-half, half + 1)
    if profile == "gaussian":
        weights = np.exp(-4 * np.log(2) * (at / thickness) ** 2)
    else:  # the share of each sample's own interval that lies within the slice
        weights = np.clip((thickness / 2 - np.abs(at)) / step + 0.5, 0, 1)
    total: NDArray[np.float64] = weights / weights.sum()
    return total


def _sample(
    picture: Volume, anatomy: Anatomy, pose: Affine, lattice: Lattice, thickness: float, profile: str
) -> Volume:
    """Sample a picture of the head at the voxels of a series."""
    grid = anatomy.grid_mm
    shape, affine = lattice
    voxel = np.array([affine[0, 0], affine[1, 1], thickness])
    parts = max(1, int(np.ceil(affine[2, 2] / grid - 1e-6)))  # samples from one slice to the next
    wide = np.sqrt(np.maximum((PSF_VOXELS * voxel) ** 2 - (0.5 * grid) ** 2, 0)) / grid
    if parts > 1:
        wide[2] = 0  # the slice profile does the blurring across slices
    if wide.any():
        picture = ndimage.gaussian_filter(picture, wide)
    step = affine[2, 2] / parts
    weights = _profile(thickness, step, profile) if parts > 1 else np.ones(1)
    half = len(weights) // 2
    fine_affine = affine.copy()
    fine_affine[2, 2] = step
    fine_affine[2, 3] -= step * half
    to_head = np.linalg.inv(anatomy.affine) @ np.linalg.inv(pose) @ fine_affine
    fine = ndimage.affine_transform(
        picture,
        to_head[:3, :3],
        to_head[:3, 3],
        output_shape=(shape[0], shape[1], (shape[2] - 1) * parts + len(weights)),
        output=np.float32,
        order=2,
        prefilter=False,
    )
    out = np.zeros(shape, dtype=np.float32)
    for number, weight in enumerate(weights):
        out += np.float32(weight) * fine[:, :, number : number + (shape[2] - 1) * parts + 1 : parts]
    return out


def _sway(rng: np.random.Generator, picture: Volume, lattice: Lattice, size_mm: float) -> Volume:
    """Blur and ghosts of a head that sways while k-space is filled line by line along y.

    Each line is multiplied by the phase of the shift (in x and y) at its time: a slow drift and a periodic nod. The
    middle line is not shifted, so that the pose stays true.
    """
    shape, affine = lattice
    lines = fft.fftfreq(shape[1])  # cycles per voxel
    time = np.argsort(np.argsort(lines, kind="stable"), kind="stable") / shape[1]  # linear order
    k_x = fft.fftfreq(shape[0])[:, None]
    phase = np.zeros((shape[0], shape[1]))
    for k, edge in ((k_x, affine[0, 0]), (lines[None, :], affine[1, 1])):
        period, start, drift = rng.uniform(4, 12), rng.uniform(0, 2 * np.pi), rng.uniform(-1, 1)
        shift = np.sin(2 * np.pi * period * time + start) + drift * np.sqrt(3) * (2 * time - 1)
        shift -= shift[0]  # the first line of the transform is the middle of k-space
        shift *= size_mm / (np.sqrt(2) * max(float(np.sqrt(np.mean(shift**2))), 1e-9))
        phase = phase + k * shift[None, :] / edge
    factor = np.exp(-2j * np.pi * phase).astype(np.complex64)
    out = np.empty_like(picture)
    for number in range(shape[2]):
        out[:, :, number] = np.abs(fft.ifft2(fft.fft2(picture[:, :, number]) * factor))
    return out


def _bias(rng: np.random.Generator, shape: tuple[int, ...], largest: float) -> Volume:
    """Smooth multiplicative field: random quadratic in the coordinates, scaled to ``exp(+-largest)``."""
    x, y, z = np.meshgrid(*[np.linspace(-1, 1, n, dtype=np.float32) for n in shape], indexing="ij", sparse=True)
    w = rng.uniform(-1, 1, 9).astype(np.float32)
    field = w[0] * x + w[1] * y + w[2] * z + w[3] * x * y + w[4] * x * z + w[5] * y * z
    field = field + w[6] * (x * x - 0.33) + w[7] * (y * y - 0.33) + w[8] * (z * z - 0.33)
    out: Volume = np.exp(field * np.float32(largest / np.abs(field).max())).astype(np.float32)
    return out


@dataclasses.dataclass(frozen=True)
class _Dose:
    """Contrast agent in every material, mmol/l, while a series is made, and whether blood is suppressed in T1."""

    agent: dict[Tissue, float]
    black_blood: bool

    def signal(self, tissue: Tissue, sequence: Sequence) -> float:
        """Signal of one material in one series, in units of fully relaxed water."""
        material: Material = MATERIALS[tissue]
        if self.black_blood and tissue is Tissue.VESSEL and sequence in T1:
            return BLACK_BLOOD
        return signal(material, sequence, self.agent[tissue])


def _dose(standard: dict[Tissue, float], acquisition: Acquisition, sequence: Sequence) -> _Dose:
    factor = acquisition.contrast_factor if sequence is Sequence.T1_POST else acquisition.pre_contrast_factor
    agent = {tissue: value * factor for tissue, value in standard.items()}
    agent[Tissue.VESSEL] *= acquisition.vessel_factor
    return _Dose(agent, acquisition.black_blood)


def _check(acquisition: Acquisition) -> None:
    if acquisition.profile not in PROFILES:
        raise ValueError(f"profile must be one of {', '.join(PROFILES)}, not {acquisition.profile}")
    if min(acquisition.voxel_mm + acquisition.other_voxel_mm) <= 0:
        raise ValueError("voxels must be larger than 0 mm")


def acquire(
    anatomy: Anatomy, maps: Layers, standard: dict[Tissue, float], acquisition: Acquisition
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Make the series of one scan.

    Parameters
    ----------
    anatomy : Anatomy
        The head (for its grid).
    maps : Layers
        Fraction maps with disease.
    standard : dict of Tissue to float
        Contrast agent in every material after a standard dose, mmol/l.
    acquisition : Acquisition
        The protocol, pose and imperfections.

    Returns
    -------
    images : dict of str to nibabel.Nifti1Image
        int16 pictures by sequence name.
    truth : dict
        ``poses`` (sequence name to 4 x 4 matrix, subject's RAS mm to the series' RAS mm), ``gains`` (by sequence),
        ``enhancing`` (material to concentration and noiseless signal before and after) and ``contrast_factor``.

    Raises
    ------
    ValueError
        For a voxel or slice profile that cannot be, or a series that the phantom cannot make.
    """
    _check(acquisition)
    white = MATERIALS[Tissue.WM]
    base = rigid(np.array(acquisition.rotation_deg), np.array(acquisition.translation_mm))
    images: dict[str, Any] = {}
    poses: dict[str, Any] = {}
    gains: dict[str, float] = {}
    for number, sequence in enumerate(acquisition.series):
        rng = np.random.default_rng([acquisition.seed, number])
        moved = rigid(rng.normal(0, acquisition.motion_deg, 3), rng.normal(0, acquisition.motion_mm, 3))
        pose = np.round(moved @ base, 9)
        gain = acquisition.gain * float(np.exp(rng.normal(0, 1) * acquisition.gain_spread))
        scale = gain * WHITE_MATTER_COUNTS / signal(white, Sequence.T1_PRE if sequence in T1 else sequence, 0)
        dose = _dose(standard, acquisition, sequence)
        # Summed in a fixed order, not by a threaded matrix product: the same bytes on one core and on many.
        picture = np.zeros_like(anatomy.hull_distance)
        for tissue in TISSUES:
            picture += np.float32(dose.signal(tissue, sequence) * scale) * maps[tissue]
        voxel = acquisition.voxel_mm if sequence in T1 else acquisition.other_voxel_mm
        gap = acquisition.gap_mm if sequence in T1 else acquisition.other_gap_mm
        times = max(1, int(np.floor(anatomy.grid_mm / min(voxel[:2]) + 0.2)))  # interpolation in the plane
        lattice = grid_affine((voxel[0] * times, voxel[1] * times, voxel[2] + gap))
        picture = _sample(picture, anatomy, pose, lattice, voxel[2], acquisition.profile)
        if acquisition.within_scan_mm:
            picture = _sway(rng, picture, lattice, acquisition.within_scan_mm)
        picture *= _bias(rng, picture.shape, acquisition.bias)
        sigma = np.float32(acquisition.noise * WHITE_MATTER_COUNTS * gain)
        real, imaginary = (rng.standard_normal(picture.shape, dtype=np.float32) * sigma for _ in range(2))
        picture = np.hypot(picture + real, imaginary)
        if times > 1:
            picture = ndimage.zoom(picture, (times, times, 1), order=3, mode="nearest", grid_mode=True)
        stored = np.clip(np.rint(picture), 0, 32767).astype(np.int16)
        image = nib.Nifti1Image(stored, finer(lattice[1], times))  # type: ignore[no-untyped-call]
        image.header.set_xyzt_units("mm")  # type: ignore[no-untyped-call]
        images[str(sequence)] = image
        poses[str(sequence)] = pose.tolist()
        gains[str(sequence)] = gain
    truth = {"poses": poses, "gains": gains, "contrast_factor": acquisition.contrast_factor}
    return images, truth | {"enhancing": _enhancing(standard, acquisition)}


def finer(affine: Affine, times: int) -> Affine:
    """Voxel-to-mm matrix when every pixel of the plane is divided into ``times`` x ``times``."""
    out = affine.copy()
    for axis in (0, 1):
        out[axis, axis] /= times
        out[axis, 3] -= out[axis, axis] * (times - 1) / 2
    return out


def _enhancing(standard: dict[Tissue, float], acquisition: Acquisition) -> dict[str, dict[str, Any]]:
    """Materials that take up contrast agent: concentration, and T1 signal before and after at the common gain."""
    scale = acquisition.gain * WHITE_MATTER_COUNTS / signal(MATERIALS[Tissue.WM], Sequence.T1_PRE, 0)
    pre, post = (_dose(standard, acquisition, sequence) for sequence in T1)
    return {
        str(tissue): {
            "concentration_mmol_l": post.agent[tissue],
            "signal_pre": pre.signal(tissue, Sequence.T1_PRE) * scale,
            "signal_post": post.signal(tissue, Sequence.T1_POST) * scale,
            "disease": tissue in DISEASED,
        }
        for tissue in TISSUES
        if post.agent[tissue] >= 0.05 or (tissue is Tissue.FILM and post.agent[tissue] > 0)
    }
