"""How one subject differs from the average: size, asymmetry, sulci, ventricles, skull, and the warp that does it."""

from __future__ import annotations

import dataclasses

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from lmresp.simulate import template
from lmresp.simulate.template import Volume

# Head-sized box in mm (RAS): left to right, back to front, neck to vertex.
BOX_MM = ((-96.0, 96.0), (-136.0, 112.0), (-112.0, 108.0))
STEP_MM = 3.0  # lattice of the warp; its shortest wave is longer than twice this
# Waves of the random displacement: standard deviation of the Gaussian (mm) and size (mm, root mean square).
WAVES = ((40.0, 2.5), (18.0, 2.0), (7.0, 0.7))
# Points of the warp's lattice: the same for every grid, so that a head is the same at every voxel size.
LATTICE = tuple(int(np.ceil((hi - lo) / STEP_MM)) + 2 for lo, hi in BOX_MM)
PUSH_REACH_MM = 22.0  # brain farther than this from a ventricle does not move


@dataclasses.dataclass(frozen=True)
class Traits:
    """What is drawn from the seed of a subject.

    Attributes
    ----------
    scale : tuple
        Size along x, y, z in units of the template, which is larger than most heads.
    sulci : float
        Factor on the fluid's share of a voxel outside the ventricles: 1 narrow sulci, 2 wide ones.
    ventricle_push_mm : float
        How far the walls of the ventricles lie outside those of the template.
    bone, scalp : float
        Thickness of skull and scalp in units of the average.
    """

    scale: tuple[float, float, float]
    sulci: float
    ventricle_push_mm: float
    bone: float
    scalp: float


def draw(seed: int) -> Traits:
    """Draw the traits of a subject.

    Width of the sulci and size of the ventricles follow the multiples of an irrational number, so that a handful of
    subjects with consecutive seeds covers their ranges evenly.
    """
    rng = np.random.default_rng([seed, 1])
    size = rng.uniform(0.89, 0.98)
    x, y, z = (float(v) for v in (size * rng.uniform(0.97, 1.03, 3)).round(4))
    return Traits(
        scale=(x, y, z),
        sulci=round(1.6 + 1.1 * (seed * 2**0.5 % 1), 3),
        ventricle_push_mm=round(-1.0 + 3.4 * (seed * 5**0.5 % 1), 3),
        bone=round(float(rng.uniform(0.75, 1.35)), 3),
        scalp=round(float(rng.uniform(0.7, 1.5)), 3),
    )


def random_field(rng: np.random.Generator, shape: tuple[int, ...], sigma: float) -> NDArray[np.float64]:
    """Smooth random field of mean 0 and standard deviation 1; ``sigma`` in steps of the lattice."""
    field: NDArray[np.float64] = ndimage.gaussian_filter(rng.standard_normal(shape), sigma, mode="nearest")
    field -= field.mean()
    field /= field.std()
    return field


def upsample(field: NDArray[np.float64], step: float, grid: float, shape: tuple[int, int, int]) -> Volume:
    """Linear interpolation of a field on a lattice of ``step`` mm at the voxels of a grid with the same corner."""
    out = field.astype(np.float32)
    for axis in range(3):
        index = np.arange(shape[axis], dtype=np.float32) * np.float32(grid / step)
        low = np.minimum(index.astype(int), field.shape[axis] - 2)
        weight = (index - low).reshape([-1 if b == axis else 1 for b in range(3)])
        first = np.take(out, low, axis)
        out = first + (np.take(out, low + 1, axis) - first) * weight
    return out


def _without_rigid(move: NDArray[np.float64], at: NDArray[np.float64], brain: NDArray[np.bool_]) -> None:
    """Take shift and rotation out of a displacement, so that the head stays in the AC-PC frame (in place)."""
    point, there = at[:, brain], move[:, brain]
    zero = np.zeros(point.shape[1])
    x, y, z = point
    rows = [
        np.stack([np.ones_like(x), zero, zero, zero, z, -y], -1),
        np.stack([zero, np.ones_like(x), zero, -z, zero, x], -1),
        np.stack([zero, zero, np.ones_like(x), y, -x, zero], -1),
    ]
    fit, *_ = np.linalg.lstsq(np.concatenate(rows), np.concatenate(list(there)), rcond=None)
    turn = np.cross(np.broadcast_to(fit[3:, None], (3, at[0].size)), at.reshape(3, -1), axis=0)
    move -= fit[:3].reshape(3, 1, 1, 1) + turn.reshape(move.shape)


def push_field(wall: Volume, step: float, push_mm: float) -> NDArray[np.float64]:
    """Displacement, mm, that moves the border of a region outwards by ``push_mm``, fading out over 22 mm.

    Parameters
    ----------
    wall : array (nx, ny, nz)
        Membership of the region; its border is at 0.3.
    step : float
        Voxel size, mm.
    push_mm : float
        Outwards, or inwards when negative.

    Returns
    -------
    array (3, nx, ny, nz)
        To subtract from a voxel's position in order to find what has moved there.
    """
    core = wall > 0.3
    signed = step * (ndimage.distance_transform_edt(~core) - ndimage.distance_transform_edt(core))
    signed = ndimage.gaussian_filter(signed, 2.0 / step)
    normal = np.stack(np.gradient(ndimage.gaussian_filter(signed, 2.0 / step), step))
    fall = np.cos(np.pi / 2 * np.clip((signed - push_mm) / PUSH_REACH_MM, 0, 1)) ** 2
    move: NDArray[np.float64] = normal * (fall * push_mm)
    return move


def mni_coordinates(seed: int, traits: Traits, shape: tuple[int, int, int], grid: float) -> Volume:
    """MNI coordinates (3, nx, ny, nz), mm, of every voxel of a subject's head.

    Scale, then a smooth random displacement free of any rigid motion inside the brain, then the ventricles' walls.
    """
    rng = np.random.default_rng([seed, 2])
    base = template.load()
    lines = [(BOX_MM[a][0] + STEP_MM * np.arange(LATTICE[a])) / traits.scale[a] for a in range(3)]
    at = np.stack(np.meshgrid(*lines, indexing="ij"))
    move = np.zeros_like(at)
    for sigma, size in WAVES:
        for axis in range(3):
            move[axis] += size * random_field(rng, LATTICE, sigma / STEP_MM)
    placed = [(at[a] - base.hull_affine[a, 3]) / base.hull_affine[a, a] for a in range(3)]
    _without_rigid(move, at, ndimage.map_coordinates(base.hull_distance, placed, order=1, mode="nearest") < 0)
    at += move
    # The template's own walls on a 2 mm grid: enough for a displacement that is smooth over 4 mm.
    wall = (base.ventricles * np.clip(1 - base.gm - base.wm, 0, 1))[::2, ::2, ::2]
    pushed = push_field(wall, 2.0, traits.ventricle_push_mm)
    where = [(at[a] - base.affine[a, 3]) / 2.0 for a in range(3)]
    for axis in range(3):
        at[axis] -= ndimage.map_coordinates(pushed[axis], where, order=1, mode="nearest")
    out = np.empty((3, *shape), dtype=np.float32)
    for axis in range(3):
        out[axis] = upsample(at[axis], STEP_MM, grid, shape)
    return out
