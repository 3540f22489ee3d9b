"""Leptomeningeal disease, metastases and ventricles, put into a head as fraction maps: the truth is an exact sum."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from lmresp.simulate.anatomy import Anatomy
from lmresp.simulate.canvas import soft
from lmresp.simulate.head import CSF_MM
from lmresp.simulate.regions import REGIONS, Region, label
from lmresp.simulate.shape import PUSH_REACH_MM, push_field
from lmresp.simulate.template import Volume
from lmresp.simulate.tissues import INDEX, MATERIALS, Tissue
from lmresp.simulate.widths import measure

Point = tuple[float, float, float]
ByRegion = Callable[[], dict[str, dict[str, float]]]
SUBSAMPLES = 4  # per axis and voxel, for the edges of ellipsoids
SEARCH_MM = 20.0  # a nodule is placed no farther than this from where it was asked for
FLUID_MM = 0.8  # a nodule is centred in fluid: two fifths of a voxel, or this thickness of a coarse one
SINUS_CLEARANCE_MM = 9.0  # a nodule's centre keeps off the sinuses, so that it does not melt into them
NODULE_DEPTH_MM = 3.0  # below the closed surface of the brain


@dataclasses.dataclass(frozen=True)
class Film:
    """Linear enhancement: a rim of ``thickness_mm`` on the pia inside a ball (MNI centre, radius in mm).

    With a ``region`` it keeps to that region, and with ``Region.EPENDYMA`` it lies on the walls of the ventricles;
    without one it takes all the pia of the ball, the ependyma excepted.
    """

    centre_mni: Point
    radius_mm: float
    thickness_mm: float = 1.0
    region: Region | None = None


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

    ``film_concentration`` is contrast agent in the film, mmol/l after a standard dose (0.05 is faint, 0.8 as bright as
    a vein); ``ventricle_push_mm`` moves the walls of the ventricles outwards, or inwards when negative.
    ``dura_concentration`` and ``dura_thickening_mm`` make the dura enhance and swell as after a lumbar puncture or a
    shunt, which is no leptomeningeal disease.
    """

    films: tuple[Film, ...] = ()
    nodules: tuple[Nodule, ...] = ()
    film_concentration: float = MATERIALS[Tissue.FILM].contrast
    ventricle_push_mm: float = 0.0
    dura_concentration: float = MATERIALS[Tissue.DURA].contrast
    dura_thickening_mm: float = 0.0

    def concentrations(self) -> dict[Tissue, float]:
        """Contrast agent in every material after a standard dose, mmol/l."""
        standard = {tissue: material.contrast for tissue, material in MATERIALS.items()}
        return standard | {Tissue.FILM: self.film_concentration, Tissue.DURA: self.dura_concentration}


class Layers:
    """Fraction maps of a head with disease; a map is copied from the healthy head when it is first changed."""

    def __init__(self, healthy: Volume) -> None:
        self._maps: list[Volume] = list(healthy)
        self._own: set[int] = set()

    def __getitem__(self, tissue: Tissue) -> Volume:
        """Return the map of one material, to read."""
        return self._maps[INDEX[tissue]]

    def edit(self, tissue: Tissue) -> Volume:
        """Return the map of one material, to change in place."""
        number = INDEX[tissue]
        if number not in self._own:
            self._maps[number] = self._maps[number].copy()
            self._own.add(number)
        return self._maps[number]

    def put(self, tissue: Tissue, fraction: Volume, start: tuple[int, int, int]) -> None:
        """Fill ``fraction`` of each voxel of a box with a material; what was there shrinks in proportion."""
        box = tuple(slice(s, s + n) for s, n in zip(start, fraction.shape, strict=True))
        for other in Tissue:
            if self[other][box].any():
                self.edit(other)[box] *= 1 - fraction
        self.edit(tissue)[box] += fraction


@dataclasses.dataclass(frozen=True)
class Diseased:
    """A head with disease.

    Attributes
    ----------
    maps : Layers
        Fraction maps with disease and moved ventricle walls.
    ventricles : array
        As in :class:`~lmresp.simulate.anatomy.Anatomy`.
    truth : dict
        Volumes in mm3, nodules and metastases with centre (RAS mm of the subject) and diameters, Evans index.
    """

    maps: Layers
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
        sinus = ndimage.binary_opening(vessel) if anatomy.grid_mm < 1.5 else vessel  # without the thin vessels
        away = ndimage.distance_transform_edt(~sinus) * anatomy.grid_mm if sinus.any() else np.full(sinus.shape, 99.0)
        free = (anatomy.ventricles[box] < 0.01) & (away >= SINUS_CLEARANCE_MM)
        below_surface = anatomy.hull_distance[box] < -NODULE_DEPTH_MM
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


def _film(anatomy: Anatomy, maps: Layers, ventricles: Volume, films: tuple[Film, ...]) -> ByRegion:
    """Turn fluid on the pia into film: thickness times the area of pia in the voxel, at most its fluid (in place).

    Returns what counts the film by region once everything else is in place.
    """
    inside = ndimage.find_objects((anatomy.hull_distance < CSF_MM + 2).astype(np.int8))[0]
    regions, wall = label(anatomy, inside), ventricles[inside]
    amount, thickness = np.zeros_like(wall), np.zeros_like(wall)
    for film in films:
        centre = np.reshape(film.centre_mni, (3, 1, 1, 1)).astype(np.float32)
        away = np.sqrt(((anatomy.mni[(slice(None), *inside)] - centre) ** 2).sum(axis=0))
        patch = np.clip((film.radius_mm - away) / 4 + 0.5, 0, 1)
        if film.region is not None:
            patch *= regions == REGIONS.index(film.region)
        if film.region is not Region.EPENDYMA:
            patch *= (wall < 0.01) & (anatomy.hull_distance[inside] < CSF_MM)
        new = film.thickness_mm * patch
        thickness[new > amount] = film.thickness_mm
        np.maximum(amount, new, out=amount)
    slopes = np.gradient(maps[Tissue.GM][inside] + maps[Tissue.WM][inside], anatomy.grid_mm)
    area = np.sqrt(sum(slope**2 for slope in slopes))  # mm2 of pia in each mm3
    part = np.minimum(amount * area, maps[Tissue.CSF][inside])
    maps.edit(Tissue.CSF)[inside] -= part
    maps.edit(Tissue.FILM)[inside] += part

    def by_region() -> dict[str, dict[str, float]]:
        """Volume and extent (mm2 of pia under film) in every region, of the film that is left."""
        film = maps[Tissue.FILM][inside]
        filled = np.flatnonzero(film)
        where, volume = regions.ravel()[filled], film.ravel()[filled].astype(np.float64) * anatomy.voxel_mm3
        extent = volume / thickness.ravel()[filled]
        volumes, extents = (np.bincount(where, w, len(REGIONS)) for w in (volume, extent))
        return {
            str(region): {"volume_mm3": float(volumes[n]), "area_mm2": float(extents[n])}
            for n, region in enumerate(REGIONS)
        }

    return by_region


def _thicken_dura(anatomy: Anatomy, maps: Layers, by_mm: float) -> None:
    """Turn the fluid within ``by_mm`` of the dura into dura (in place)."""
    hull, grid = anatomy.hull_distance, anatomy.grid_mm
    layer = (soft(hull, CSF_MM + grid, grid) - soft(hull, CSF_MM - by_mm, grid)) * maps[Tissue.CSF]
    maps.edit(Tissue.CSF)[...] -= layer
    maps.edit(Tissue.DURA)[...] += layer


def _no_film() -> dict[str, dict[str, float]]:
    return {str(region): {"volume_mm3": 0.0, "area_mm2": 0.0} for region in REGIONS}


def _push_ventricles(anatomy: Anatomy, push_mm: float) -> tuple[Layers, Volume]:
    """Move the ventricle walls along their normals; brain within 22 mm gives way smoothly."""
    wall = anatomy.ventricles * (anatomy.fraction(Tissue.CSF) + anatomy.fraction(Tissue.CHOROID))
    boxes = ndimage.find_objects((wall > 0.3).astype(np.int8))
    margin = int(np.ceil((PUSH_REACH_MM + 6) / anatomy.grid_mm))
    box = tuple(slice(s.start - margin, s.stop + margin) for s in boxes[0])
    move = push_field(wall[box], anatomy.grid_mm, push_mm) / anatomy.grid_mm
    grid = np.meshgrid(*[np.arange(n, dtype=np.float32) for n in move.shape[1:]], indexing="ij")
    source = [g - m for g, m in zip(grid, move, strict=True)]
    maps, ventricles = Layers(anatomy.maps), anatomy.ventricles.copy()
    for tissue in (Tissue.GM, Tissue.WM, Tissue.CSF, Tissue.CHOROID, Tissue.VESSEL):
        part = anatomy.fraction(tissue)[box]
        maps.edit(tissue)[box] = ndimage.map_coordinates(part, source, order=1, mode="nearest")
    ventricles[box] = ndimage.map_coordinates(anatomy.ventricles[box], source, order=1, mode="nearest")
    return maps, ventricles


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
        maps, ventricles = Layers(anatomy.maps), anatomy.ventricles
    if disease.dura_thickening_mm:
        _thicken_dura(anatomy, maps, disease.dura_thickening_mm)
    by_region = _film(anatomy, maps, ventricles, disease.films) if disease.films else _no_film
    lesions: dict[Tissue, list[dict[str, Any]]] = {Tissue.NODULE: [], Tissue.METASTASIS: []}
    for nodule in disease.nodules:
        centre = place(anatomy, nodule)
        fraction, start = ellipsoid(anatomy, centre, nodule.diameters_mm)
        maps.put(nodule.tissue, fraction, start)
        lesions[nodule.tissue].append(
            {
                "near_mni": list(nodule.near_mni),
                "center_mm": [round(float(c), 3) for c in centre],
                "diameters_mm": list(nodule.diameters_mm),
                "long_mm": max(nodule.diameters_mm[:2]),
                "perp_mm": min(nodule.diameters_mm[:2]),
                "volume_mm3": float(fraction.sum(dtype=np.float64)) * anatomy.voxel_mm3,
            }
        )
    ventricle_map = ventricles * (maps[Tissue.CSF] + maps[Tissue.CHOROID])

    def volume(fraction: Volume) -> float:
        return float(fraction.sum(dtype=np.float64)) * anatomy.voxel_mm3

    widths = measure(anatomy, ventricle_map)
    film_by_region = by_region()
    truth: dict[str, Any] = {
        "film_mm3": volume(maps[Tissue.FILM]),
        "film_area_mm2": sum(row["area_mm2"] for row in film_by_region.values()),
        "film_by_region": film_by_region,
        "film_concentration_mmol_l": disease.film_concentration if disease.films else 0.0,
        "nodule_mm3": volume(maps[Tissue.NODULE]),
        "nodules": lesions[Tissue.NODULE],
        "metastasis_mm3": volume(maps[Tissue.METASTASIS]),
        "metastases": lesions[Tissue.METASTASIS],
        "ventricles_mm3": volume(ventricle_map),
        "evans_index": widths.evans,
        "frontal_occipital_horn_ratio": widths.fohr,
        "frontal_horns_mm": widths.frontal_mm,
        "occipital_horns_mm": widths.occipital_mm,
        "inner_skull_mm": widths.inner_skull_mm,
        "brain_mm3": volume(maps[Tissue.GM]) + volume(maps[Tissue.WM]),
    }
    return Diseased(maps, ventricles, truth)
