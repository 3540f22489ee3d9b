"""Leptomeningeal disease, metastases and ventricles, put into a head as fraction maps: the truth is an exact sum."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from lmresp.simulate.anatomy import CSF_MM, Anatomy, put
from lmresp.simulate.template import Volume
from lmresp.simulate.tissues import INDEX, MATERIALS, Tissue

Point = tuple[float, float, float]
SUBSAMPLES = 4  # per axis and voxel, for the edges of ellipsoids
SEARCH_MM = 20.0  # a nodule is placed no farther than this from where it was asked for
FLUID_MM = 0.8  # a nodule is centred in fluid: two fifths of a voxel, or this thickness of a coarse one
VESSEL_CLEARANCE_MM = 9.0  # a nodule's centre keeps off the sinuses, so that it does not melt into them
PUSH_REACH_MM = 22.0  # brain farther than this from a ventricle does not move


@dataclasses.dataclass(frozen=True)
class Film:
    """Linear enhancement: a rim of ``thickness_mm`` on the pia inside a ball (MNI centre, radius in mm)."""

    centre_mni: Point
    radius_mm: float
    thickness_mm: float = 1.0


@dataclasses.dataclass(frozen=True)
class Nodule:
    """Ellipsoid of enhancing tissue with ``diameters_mm`` along x, y, z of the subject.

    A leptomeningeal nodule is centred in the fluid that touches the pia nearest to ``near_mni``; a parenchymal
    metastasis (``tissue=Tissue.METASTASIS``) in the nearest deep white matter.
    """

    near_mni: Point
    diameters_mm: Point
    tissue: Tissue = Tissue.NODULE


@dataclasses.dataclass(frozen=True)
class Disease:
    """What a visit adds to the healthy head.

    ``film_concentration`` is contrast agent in the film, mmol/l after a standard dose; ``ventricle_push_mm`` moves the
    walls of the ventricles outwards, or inwards when negative.
    """

    films: tuple[Film, ...] = ()
    nodules: tuple[Nodule, ...] = ()
    film_concentration: float = MATERIALS[Tissue.FILM].contrast
    ventricle_push_mm: float = 0.0


@dataclasses.dataclass(frozen=True)
class Diseased:
    """A head with disease.

    Attributes
    ----------
    maps, ventricles : array
        As in :class:`~lmresp.simulate.anatomy.Anatomy`, with disease and moved ventricle walls.
    truth : dict
        Volumes in mm3, nodules and metastases with centre (RAS mm of the subject) and diameters, Evans index.
    """

    maps: Volume
    ventricles: Volume
    truth: dict[str, Any]


def place(anatomy: Anatomy, nodule: Nodule) -> NDArray[np.float64]:
    """Find where a nodule goes: RAS mm of the subject, shape (3,).

    Raises
    ------
    ValueError
        If no such place lies within 20 mm of the point asked for.
    """
    near = anatomy.from_mni(nodule.near_mni)
    half = int(np.ceil(SEARCH_MM / anatomy.grid_mm))
    low = np.maximum(np.round(anatomy.voxel(near)).astype(int) - half, 0)
    box = tuple(slice(int(a), int(a) + 2 * half + 1) for a in low)
    white = anatomy.fraction(Tissue.WM)[box]
    if nodule.tissue is Tissue.METASTASIS:
        wanted = ndimage.minimum_filter(white, 3) > 0.6
    else:
        tissue = anatomy.fraction(Tissue.GM)[box] + white
        vessel = anatomy.fraction(Tissue.VESSEL)[box] > 0.5
        clear = (
            ndimage.distance_transform_edt(~vessel) * anatomy.grid_mm >= VESSEL_CLEARANCE_MM
            if vessel.any()
            else ~vessel
        )
        free = (anatomy.ventricles[box] < 0.01) & clear
        below_surface = anatomy.hull_distance[box] < -3
        wanted = (anatomy.fraction(Tissue.CSF)[box] > min(0.4, FLUID_MM / anatomy.grid_mm)) & (
            ndimage.maximum_filter(tissue, 3) > 0.5
        )
        wanted &= free & below_surface
    world = anatomy.world((np.argwhere(wanted) + low).astype(np.float64))
    away = ((world - near) ** 2).sum(axis=1)
    if not len(away) or away.min() > SEARCH_MM**2:
        raise ValueError(f"no place for a {nodule.tissue} within {SEARCH_MM:g} mm of MNI {nodule.near_mni}")
    centre: NDArray[np.float64] = world[int(np.argmin(away))]
    return centre


def ellipsoid(
    anatomy: Anatomy, centre: NDArray[np.float64], diameters_mm: Point
) -> tuple[Volume, tuple[int, int, int]]:
    """Fraction of each voxel inside an ellipsoid, by 4 x 4 x 4 points in each voxel; with the box's first voxel."""
    semi = np.asarray(diameters_mm) / 2
    low = np.floor(anatomy.voxel(centre - semi)).astype(int)
    high = np.ceil(anatomy.voxel(centre + semi)).astype(int) + 1
    sub = (np.arange(SUBSAMPLES) + 0.5) / SUBSAMPLES - 0.5
    squares = []
    for axis in range(3):
        fine = (np.arange(low[axis], high[axis])[:, None] + sub).ravel() * anatomy.grid_mm + anatomy.affine[axis, 3]
        squares.append(((fine - centre[axis]) / semi[axis]) ** 2)
    inside = squares[0][:, None, None] + squares[1][:, None] + squares[2] <= 1
    shape = [n for size in high - low for n in (size, SUBSAMPLES)]
    fraction = inside.reshape(shape).mean(axis=(1, 3, 5)).astype(np.float32)
    return fraction, (int(low[0]), int(low[1]), int(low[2]))


def _film(anatomy: Anatomy, maps: Volume, films: tuple[Film, ...]) -> None:
    """Turn fluid on the pia into film: thickness times the area of pia in the voxel, at most its fluid (in place)."""
    tissue = maps[INDEX[Tissue.GM]] + maps[INDEX[Tissue.WM]]
    amount = np.zeros_like(tissue)
    for film in films:
        centre = np.reshape(film.centre_mni, (3, 1, 1, 1)).astype(np.float32)
        away = np.sqrt(((anatomy.mni - centre) ** 2).sum(axis=0))
        patch = np.clip((film.radius_mm - away) / 4 + 0.5, 0, 1)
        np.maximum(amount, film.thickness_mm * patch, out=amount)
    slopes = np.gradient(tissue, anatomy.grid_mm)
    area = np.sqrt(sum(slope**2 for slope in slopes))  # mm2 of pia in each mm3
    subarachnoid = (anatomy.ventricles < 0.01) & (anatomy.hull_distance < CSF_MM)
    film_map = np.minimum(amount * area * subarachnoid, maps[INDEX[Tissue.CSF]])
    maps[INDEX[Tissue.CSF]] -= film_map
    maps[INDEX[Tissue.FILM]] += film_map


def _push_ventricles(anatomy: Anatomy, push_mm: float) -> tuple[Volume, Volume]:
    """Move the ventricle walls along their normals; brain within 22 mm gives way smoothly."""
    wall = anatomy.ventricles * (anatomy.fraction(Tissue.CSF) + anatomy.fraction(Tissue.CHOROID))
    boxes = ndimage.find_objects((wall > 0.3).astype(np.int8))
    margin = int(np.ceil((PUSH_REACH_MM + 6) / anatomy.grid_mm))
    box = tuple(slice(s.start - margin, s.stop + margin) for s in boxes[0])
    core = wall[box] > 0.3
    step = anatomy.grid_mm
    signed = step * (ndimage.distance_transform_edt(~core) - ndimage.distance_transform_edt(core))
    signed = ndimage.gaussian_filter(signed, 2.0 / step)
    normal = np.stack(np.gradient(ndimage.gaussian_filter(signed, 2.0 / step), step))
    fall = np.cos(np.pi / 2 * np.clip((signed - push_mm) / PUSH_REACH_MM, 0, 1)) ** 2
    move = normal * (fall * push_mm / step)
    grid = np.meshgrid(*[np.arange(n, dtype=np.float32) for n in signed.shape], indexing="ij")
    source = [g - m for g, m in zip(grid, move, strict=True)]
    maps, ventricles = anatomy.maps.copy(), anatomy.ventricles.copy()
    for tissue in (Tissue.GM, Tissue.WM, Tissue.CSF, Tissue.CHOROID, Tissue.VESSEL):
        part = anatomy.fraction(tissue)[box]
        maps[INDEX[tissue]][box] = ndimage.map_coordinates(part, source, order=1, mode="nearest")
    ventricles[box] = ndimage.map_coordinates(anatomy.ventricles[box], source, order=1, mode="nearest")
    return maps, ventricles


def _crossings_mm(profile: Volume, grid: float) -> float:
    """Width between the outermost places where a profile crosses one half, mm, between voxels linearly."""
    above = np.flatnonzero(profile > 0.5)
    if not len(above):
        return 0.0
    first, last = int(above[0]), int(above[-1])
    left = (profile[first] - 0.5) / max(profile[first] - (profile[first - 1] if first else 0), 1e-6)
    beyond = profile[last + 1] if last + 1 < len(profile) else 0
    right = (profile[last] - 0.5) / max(profile[last] - beyond, 1e-6)
    return float(grid * (last - first + left + right))


def evans_index(anatomy: Anatomy, ventricle_map: Volume) -> float:
    """Widest frontal horns over widest inner skull, both in axial planes 0 to 30 mm above MNI zero.

    Parameters
    ----------
    anatomy : Anatomy
        The head.
    ventricle_map : array (nx, ny, nz)
        Fraction of each voxel inside the ventricles.

    Returns
    -------
    float
        The largest ratio over the planes.
    """
    level, front = anatomy.mni[2], anatomy.mni[1]
    best = 0.0
    for k in np.flatnonzero((np.median(level, axis=(0, 1)) >= 0) & (np.median(level, axis=(0, 1)) <= 30)):
        skull = np.clip((CSF_MM - anatomy.hull_distance[:, :, k]) / anatomy.grid_mm + 0.5, 0, 1)
        inner = max(_crossings_mm(row, anatomy.grid_mm) for row in skull.T)
        horns = ventricle_map[:, :, k] * (front[:, :, k] > 5)
        wide = max(_crossings_mm(row, anatomy.grid_mm) for row in horns.T)
        best = max(best, wide / inner if inner else 0.0)
    return best


def apply(anatomy: Anatomy, disease: Disease) -> Diseased:
    """Put disease into a head.

    Parameters
    ----------
    anatomy : Anatomy
        The healthy head; not changed.
    disease : Disease
        What to add.

    Returns
    -------
    Diseased
        Fraction maps and truth. Every volume of the truth is the sum of a fraction map times the voxel volume.

    Raises
    ------
    ValueError
        If a nodule finds no place.
    """
    if disease.ventricle_push_mm:
        maps, ventricles = _push_ventricles(anatomy, disease.ventricle_push_mm)
    else:
        maps, ventricles = anatomy.maps.copy(), anatomy.ventricles
    if disease.films:
        _film(anatomy, maps, disease.films)
    lesions: dict[Tissue, list[dict[str, Any]]] = {Tissue.NODULE: [], Tissue.METASTASIS: []}
    for nodule in disease.nodules:
        centre = place(anatomy, nodule)
        fraction, start = ellipsoid(anatomy, centre, nodule.diameters_mm)
        put(maps, nodule.tissue, fraction, start)
        lesions[nodule.tissue].append(
            {
                "center_mm": [round(float(c), 3) for c in centre],
                "diameters_mm": list(nodule.diameters_mm),
                "volume_mm3": float(fraction.sum(dtype=np.float64)) * anatomy.voxel_mm3,
            }
        )
    ventricle_map = ventricles * (maps[INDEX[Tissue.CSF]] + maps[INDEX[Tissue.CHOROID]])

    def volume(fraction: Volume) -> float:
        return float(fraction.sum(dtype=np.float64)) * anatomy.voxel_mm3

    truth: dict[str, Any] = {
        "film_mm3": volume(maps[INDEX[Tissue.FILM]]),
        "film_concentration_mmol_l": disease.film_concentration if disease.films else 0.0,
        "nodule_mm3": volume(maps[INDEX[Tissue.NODULE]]),
        "nodules": lesions[Tissue.NODULE],
        "metastasis_mm3": volume(maps[INDEX[Tissue.METASTASIS]]),
        "metastases": lesions[Tissue.METASTASIS],
        "ventricles_mm3": volume(ventricle_map),
        "evans_index": evans_index(anatomy, ventricle_map),
        "brain_mm3": volume(sum(maps[INDEX[t]] for t in (Tissue.GM, Tissue.WM))),
    }
    return Diseased(maps, ventricles, truth)
