"""A new head for every seed: the average brain warped, with skull, scalp, face, vessels and what enhances normally.

A head is a stack of fraction maps, one for each material, that add up to 1 with air; everything counted from it
is therefore an exact sum. Recipe: section 7 of the imaging reference (tissue maps sharpened as ``p^2.5 / sum``, shells
by distance from the closed brain surface, sinuses as tubes along the inner skull).
"""

from __future__ import annotations

import dataclasses
import itertools
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from lmresp.simulate import template
from lmresp.simulate.template import Volume
from lmresp.simulate.tissues import INDEX, TISSUES, Tissue

Affine = NDArray[np.float64]

# Head-sized box in mm (RAS): left to right, back to front, neck to vertex.
BOX_MM = ((-96.0, 96.0), (-136.0, 112.0), (-112.0, 108.0))
WARP_SIGMA_MM, WARP_RMS_MM, WARP_STEP_MM = 18.0, 2.0, 6.0
# Outer borders of the shells around the brain, mm from its closed surface.
CSF_MM, DURA_MM, INNER_TABLE_MM, MARROW_MM, BONE_MM, HEAD_MM = 1.8, 2.8, 4.4, 7.4, 9.0, 15.0
SKIN_MM, FAT_MM = 2.0, 6.0
N_VEINS = 40
SHARPEN = 2.5  # power that turns average maps into crisp sulci


@dataclasses.dataclass(frozen=True)
class Anatomy:
    """One subject's head.

    Attributes
    ----------
    seed : int
        The subject.
    grid_mm : float
        Isotropic voxel size.
    affine : array (4, 4)
        Voxel to RAS mm of the subject.
    maps : array (materials, nx, ny, nz), float32
        Fraction of each voxel filled by each material, in the order of ``tissues.TISSUES``; the rest is air.
    mni : array (3, nx, ny, nz), float32
        MNI coordinates, mm, of each voxel.
    ventricles : array (nx, ny, nz), float32
        Membership of the ventricles; the ventricular fraction of a voxel is this times its CSF and choroid.
    hull_distance : array (nx, ny, nz), float32
        Signed distance from the closed brain surface, mm, negative inside.
    """

    seed: int
    grid_mm: float
    affine: Affine
    maps: Volume
    mni: Volume
    ventricles: Volume
    hull_distance: Volume

    @property
    def voxel_mm3(self) -> float:
        """Volume of a voxel."""
        return self.grid_mm**3

    def fraction(self, tissue: Tissue) -> Volume:
        """Return the fraction map of one material."""
        part: Volume = self.maps[INDEX[tissue]]
        return part

    def world(self, voxel: NDArray[np.float64]) -> NDArray[np.float64]:
        """Voxel coordinates (..., 3) to RAS mm."""
        return voxel * self.grid_mm + self.affine[:3, 3]

    def voxel(self, world: NDArray[np.float64]) -> NDArray[np.float64]:
        """RAS mm (..., 3) to voxel coordinates."""
        return (world - self.affine[:3, 3]) / self.grid_mm

    def from_mni(self, mni: tuple[float, float, float]) -> NDArray[np.float64]:
        """RAS mm of the subject for a point given in MNI mm, to about a voxel."""
        flat = np.sum((self.mni - np.reshape(mni, (3, 1, 1, 1)).astype(np.float32)) ** 2, axis=0)
        return self.world(np.array(np.unravel_index(int(flat.argmin()), flat.shape), dtype=np.float64))


def put(maps: Volume, tissue: Tissue, fraction: Volume, start: tuple[int, int, int] = (0, 0, 0)) -> None:
    """Fill ``fraction`` of each voxel of a box with ``tissue``; what was there shrinks in proportion (in place)."""
    box = tuple(slice(s, s + n) for s, n in zip(start, fraction.shape, strict=True))
    part = maps[(slice(None), *box)]
    part *= 1 - fraction
    part[INDEX[tissue]] += fraction


def put_where(maps: Volume, tissue: Tissue, fraction: Volume) -> None:
    """As :func:`put`, touching only the box in which ``fraction`` is not zero."""
    boxes = ndimage.find_objects((fraction > 0).astype(np.int8))
    if boxes:
        put(maps, tissue, fraction[boxes[0]], tuple(s.start for s in boxes[0]))


def _soft(distance: Volume, border: float, grid: float) -> Volume:
    """Fraction of a voxel that lies within ``border`` mm of a surface."""
    part: Volume = np.clip((border - distance) / grid + 0.5, 0, 1).astype(np.float32)
    return part


def _warp(seed: int, shape: tuple[int, int, int], grid: float) -> Volume:
    """MNI coordinates of every voxel: axis scales and a smooth random displacement."""
    rng = np.random.default_rng([seed, 1])
    scale = rng.uniform(0.96, 1.05, 3)
    coarse_shape = [int(np.ceil((hi - lo) / WARP_STEP_MM)) + 2 for lo, hi in BOX_MM]
    out = np.empty((3, *shape), dtype=np.float32)
    index = [np.arange(n, dtype=np.float32) * np.float32(grid / WARP_STEP_MM) for n in shape]
    for axis in range(3):
        field = ndimage.gaussian_filter(rng.standard_normal(coarse_shape), WARP_SIGMA_MM / WARP_STEP_MM, mode="nearest")
        field *= WARP_RMS_MM / field.std()
        for along in range(3):  # separable linear interpolation
            low = np.minimum(index[along].astype(int), coarse_shape[along] - 2)
            weight = (index[along] - low).reshape([-1 if b == along else 1 for b in range(3)])
            field = np.take(field, low, along) * (1 - weight) + np.take(field, low + 1, along) * weight
        line = (BOX_MM[axis][0] + grid * np.arange(shape[axis])) / scale[axis]
        out[axis] = field + line.reshape([-1 if b == axis else 1 for b in range(3)])
    return out


def _ellipsoid(mni: Volume, centre: tuple[float, float, float], semi: tuple[float, float, float]) -> Volume:
    """Approximate signed distance, mm, from an ellipsoid given in MNI space."""
    radius = np.sqrt(sum(((mni[a] - np.float32(centre[a])) / np.float32(semi[a])) ** 2 for a in range(3)))
    distance: Volume = ((radius - 1) * np.float32(min(semi))).astype(np.float32)
    return distance


def _tube(mni: Volume, points: list[tuple[float, float, float]]) -> Volume:
    """Distance, mm, from a broken line given in MNI space."""
    nearest = np.full(mni.shape[1:], np.inf, dtype=np.float32)
    for first, second in itertools.pairwise(points):
        start, along = np.array(first, dtype=np.float32), np.subtract(second, first).astype(np.float32)
        rel = [mni[a] - start[a] for a in range(3)]
        where = np.clip(sum(rel[a] * along[a] for a in range(3)) / float(along @ along), 0, 1)
        np.minimum(nearest, np.sqrt(sum((rel[a] - where * along[a]) ** 2 for a in range(3))), out=nearest)
    return nearest


def _brain(maps: Volume, mni: Volume, hull: Volume) -> Volume:
    """Fill grey matter, white matter and fluid; return the ventricle membership."""
    base = template.load()
    placed = [mni[a] - np.float32(base.affine[a, 3]) for a in range(3)]
    placed[2] = np.maximum(placed[2], np.float32(template.LOWEST_Z_MM - base.affine[2, 3]))
    gm, wm, ventricles = (
        ndimage.map_coordinates(volume, placed, order=1, mode="constant")
        for volume in (base.gm, base.wm, base.ventricles)
    )
    fluid = np.clip(1 - gm - wm, 0, 1) ** SHARPEN
    gm, wm = gm**SHARPEN, wm**SHARPEN
    inside = np.clip(1 - (hull - CSF_MM) / 2 - 0.5, 0, 1)
    total = np.maximum(gm + wm + fluid, 1e-6)
    empty = gm + wm + fluid < 1e-6
    maps[INDEX[Tissue.GM]] = inside * gm / total
    maps[INDEX[Tissue.WM]] = inside * wm / total
    maps[INDEX[Tissue.CSF]] = inside * np.where(empty, 1, fluid / total)
    member: Volume = ventricles.astype(np.float32)
    return member


def _shells(maps: Volume, mni: Volume, hull: Volume, grid: float) -> None:
    """Dura, skull, scalp, face and neck around the brain."""
    face = _ellipsoid(mni, (0, 32, -62), (64, 62, 62))
    neck = np.maximum(_ellipsoid(mni, (0, -32, -110), (58, 62, 260)), mni[2] + 50)
    nose = _ellipsoid(mni, (0, 92, -52), (12, 16, 22))
    head = np.minimum(np.minimum(hull - HEAD_MM, nose), np.minimum(face, neck))
    depth = ndimage.gaussian_filter(head, 3.0 / grid)

    def shell(inner: float, outer: float) -> Volume:
        return _soft(hull, outer, grid) - _soft(hull, inner, grid)

    soft_part = _soft(depth, 0, grid) * (1 - _soft(hull, BONE_MM, grid))
    skin = 1 - _soft(depth, -SKIN_MM, grid)
    fat = _soft(depth, -SKIN_MM, grid) - _soft(depth, -SKIN_MM - FAT_MM, grid)
    maps[INDEX[Tissue.SKIN]] = soft_part * skin
    maps[INDEX[Tissue.FAT]] = soft_part * fat
    maps[INDEX[Tissue.MUSCLE]] = soft_part * np.clip(1 - skin - fat, 0, 1)
    maps[INDEX[Tissue.DURA]] = shell(CSF_MM, DURA_MM)
    maps[INDEX[Tissue.MARROW]] = shell(INNER_TABLE_MM, MARROW_MM)
    maps[INDEX[Tissue.BONE]] = shell(DURA_MM, INNER_TABLE_MM) + shell(MARROW_MM, BONE_MM)


def _cavities(maps: Volume, mni: Volume, hull: Volume, grid: float) -> None:
    """Eyes in orbital fat, and air spaces lined with mucosa, kept out of the skull."""
    outside = 1 - _soft(hull, BONE_MM, grid)
    for side in (-1, 1):
        put_where(maps, Tissue.FAT, _soft(_ellipsoid(mni, (side * 31, 50, -36), (18, 24, 17)), 0, grid) * outside)
        put_where(maps, Tissue.MUSCLE, _soft(_ellipsoid(mni, (side * 31, 64, -36), (13, 13, 13)), 0, grid) * outside)
        put_where(maps, Tissue.EYE, _soft(_ellipsoid(mni, (side * 31, 64, -36), (12, 12, 12)), 0, grid) * outside)
    spaces = [
        ((0, 58, -58), (9, 26, 20)),  # nose
        ((-27, 52, -64), (13, 15, 14)),  # maxillary sinuses
        ((27, 52, -64), (13, 15, 14)),
        ((0, 14, -46), (12, 12, 8)),  # sphenoid sinus
        ((0, 10, -92), (14, 12, 34)),  # pharynx
    ]
    for centre, semi in spaces:
        border = _ellipsoid(mni, centre, semi)
        put_where(maps, Tissue.MUCOSA, _soft(border, 2.0, grid) * outside)
        air = _soft(border, 0, grid) * outside
        maps *= 1 - air


def _vessels(maps: Volume, mni: Volume, hull: Volume, seed: int, grid: float) -> None:
    """Dural sinuses, deep veins, the large arteries, and veins on the surface of the brain."""
    x, y, z = mni
    rim = hull - np.float32(1.0)
    sinuses = np.minimum(
        np.where(z > 8 - 0.2 * (y + 60), np.hypot(x, rim), 99) - 3.2,  # superior sagittal
        np.where((y < -42) & (np.abs(x) < 62), np.hypot(z + 18 + 0.12 * np.abs(x), rim), 99) - 3.0,  # transverse
    )
    tubes: list[tuple[float, list[tuple[float, float, float]]]] = [
        (2.0, [(0, -38, 2), (0, -62, 4), (0, -98, -16)]),  # vein of Galen and straight sinus
        (1.3, [(0, -22, -52), (0, -18, -34), (0, -14, -20)]),  # basilar artery
    ]
    for side in (-1, 1):
        tubes += [
            (3.0, [(side * 52, -56, -28), (side * 42, -44, -48), (side * 26, -30, -66)]),  # sigmoid sinus
            (2.5, [(side * 12, -8, -32), (side * 11, 12, -32)]),  # cavernous sinus
            (1.0, [(0, -38, 2), (side * 12, -24, 10), (side * 4, 2, 14)]),  # internal cerebral vein
            (1.2, [(side * 12, 2, -24), (side * 28, 2, -20), (side * 42, -4, -8)]),  # middle cerebral artery
            (1.0, [(side * 4, 8, -20), (side * 2, 36, -8), (side * 2, 30, 24)]),  # anterior cerebral artery
        ]
    for radius, points in tubes:
        np.minimum(sinuses, _tube(mni, points) - np.float32(radius), out=sinuses)
    put_where(maps, Tissue.VESSEL, _soft(sinuses.astype(np.float32), 0, grid) * (hull < DURA_MM + 1))
    put_where(maps, Tissue.VESSEL, np.minimum(_surface_veins(hull, seed, grid), maps[INDEX[Tissue.CSF]]))


def _surface_veins(hull: Volume, seed: int, grid: float) -> Volume:
    """Bridging veins: thin tubes 1 to 3 mm below the surface, wandering down from the sagittal sinus.

    Every step of a vein leaves its own volume ``pi r^2 ds`` in the eight voxels around it, so that tubes thinner
    than a voxel keep their volume.
    """
    rng = np.random.default_rng([seed, 2])
    shape = hull.shape
    centre = np.array([-BOX_MM[a][0] / grid for a in range(3)]) + np.array([0, -18, 8]) / grid
    steps = np.linspace(0, 1, 160)
    side = np.where(np.arange(N_VEINS) % 2 == 0, 1, -1)[:, None]
    tilt = rng.uniform(-1.0, 1.15, (N_VEINS, 1)) + 0.12 * np.sin(steps * rng.uniform(6, 14, (N_VEINS, 1)))
    fall = 0.02 + steps * rng.uniform(0.5, 1.5, (N_VEINS, 1))
    way = np.stack([side * np.sin(fall), np.sin(tilt) * np.cos(fall), np.cos(tilt) * np.cos(fall)], -1)
    radii = np.arange(30, 110, 1.0) / grid
    along = centre + way[..., None, :] * radii[:, None]
    found = ndimage.map_coordinates(hull, np.moveaxis(along, -1, 0), order=1, mode="nearest")
    depth = rng.uniform(0.5, 3.0, (N_VEINS, 1))
    at = np.argmax(found > -depth[..., None], axis=-1)
    points = centre + way * radii[at][..., None]
    length = np.linalg.norm(np.diff(points, axis=1, prepend=points[:, :1]), axis=-1)
    volume = np.pi * (rng.uniform(0.5, 1.0, (N_VEINS, 1)) / grid) ** 2 * length
    out = np.zeros(shape, dtype=np.float64)
    low = np.floor(points).astype(int)
    rest = points - low
    for corner in np.ndindex(2, 2, 2):
        weight = np.prod(np.where(corner, rest, 1 - rest), axis=-1)
        inside = tuple(np.clip(low[..., a] + corner[a], 0, shape[a] - 1) for a in range(3))
        np.add.at(out, inside, weight * volume)
    return np.minimum(out, 1).astype(np.float32)


def _glands(maps: Volume, mni: Volume, ventricles: Volume, grid: float) -> None:
    """Choroid plexus in the lateral ventricles, and the pituitary."""
    for side in (-1, 1):
        path: list[tuple[float, float, float]] = [(side * 3, -2, 12), (side * 14, -26, 16), (side * 24, -40, 6)]
        plexus = _soft(_tube(mni, path), 3.0, grid) * np.minimum(ventricles, maps[INDEX[Tissue.CSF]])
        put_where(maps, Tissue.CHOROID, plexus)
    put_where(maps, Tissue.PITUITARY, _soft(_ellipsoid(mni, (0, 3, -32), (6, 5, 4)), 0, grid))


@lru_cache(maxsize=2)
def make_subject(seed: int, grid_mm: float = 2.0) -> Anatomy:
    """Make the healthy head of one subject.

    Parameters
    ----------
    seed : int
        The subject; the same seed gives the same bytes.
    grid_mm : float
        Voxel size of the working grid, mm (1 to 4).

    Returns
    -------
    Anatomy
        Shared between callers of the same process: do not change its arrays.

    Raises
    ------
    ValueError
        If the grid is outside 1 to 4 mm.
    """
    if not 1 <= grid_mm <= 4:
        raise ValueError(f"grid_mm must lie between 1 and 4, not {grid_mm}")
    nx, ny, nz = (int(np.floor((hi - lo) / grid_mm)) + 1 for lo, hi in BOX_MM)
    affine = np.diag([grid_mm, grid_mm, grid_mm, 1.0])
    affine[:3, 3] = [lo for lo, _ in BOX_MM]
    mni = _warp(seed, (nx, ny, nz), grid_mm)
    base = template.load()
    placed = [(mni[a] - np.float32(base.hull_affine[a, 3])) / np.float32(base.hull_affine[a, a]) for a in range(3)]
    hull = ndimage.map_coordinates(base.hull_distance, placed, order=1, mode="nearest")
    maps = np.zeros((len(TISSUES), nx, ny, nz), dtype=np.float32)
    _shells(maps, mni, hull, grid_mm)
    ventricles = _brain(maps, mni, hull)
    total = maps.sum(axis=0)
    maps /= np.maximum(total, 1)
    _cavities(maps, mni, hull, grid_mm)
    _glands(maps, mni, ventricles, grid_mm)
    _vessels(maps, mni, hull, seed, grid_mm)
    return Anatomy(seed, grid_mm, affine, maps, mni, ventricles, hull)
