"""Leptomeningeal disease, metastases and ventricles, put into a head as fraction maps so that the truth is an exact sum."""

from __future__ import annotations

import dataclasses
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from lmresp.simulate.anatomy import Anatomy, put
from lmresp.simulate.template import Volume
from lmresp.simulate.tissues import INDEX, MATERIALS, Tissue

Point = tuple[float, float, float]
SUBSAMPLES = 4  # per axis and voxel, for the edges of ellipsoids
PUSH_REACH_MM = 22.0  # brain farther than this from a ventricle does not move
FILM_CELL_MM = 4.0


@dataclasses.dataclass(frozen=True)
class Film:
    """Linear enhancement: a rim on the pia inside a ball.

    ``centre_mni`` and ``radius_mm`` give the patch, ``thickness_mm`` the rim, ``concentration`` the contrast agent
    in mmol/l after a standard dose.
    """

    centre_mni: Point
    radius_mm: float
    thickness_mm: float = 1.0
    concentration: float = MATERIALS[Tissue.FILM].contrast


@dataclasses.dataclass(frozen=True)
class Nodule:
    """Ellipsoid of enhancing tissue.

    ``diameters_mm`` are along x, y, z of the subject. A leptomeningeal nodule is moved from ``near_mni`` to the
    nearest fluid that touches the pia (``snap``); a parenchymal metastasis to the nearest deep white matter.
    """

    near_mni: Point
    diameters_mm: Point
    tissue: Tissue = Tissue.NODULE


@dataclasses.dataclass(frozen=True)
class Disease:
    """Everything that a visit adds to the healthy head; ``ventricle_push_mm`` moves the walls outwards (or inwards)."""

    films: tuple[Film, ...] = ()
    nodules: tuple[Nodule, ...] = ()
    ventricle_push_mm: float = 0.0


@lru_cache(maxsize=64)
def nodule_centre(anatomy_key: _Key, nodule: Nodule) -> NDArray[np.float64]:
    """RAS mm of a nodule's centre; see :func:`place`."""
    anatomy = anatomy_key.anatomy
    near = anatomy.from_mni(nodule.near_mni)
    half = int(np.ceil(20 / anatomy.grid_mm))
    middle = np.round(anatomy.voxel(near)).astype(int)
    low = np.maximum(middle - half, 0)
    box = tuple(slice(int(a), int(a) + 2 * half + 1) for a in low)
    fluid = anatomy.fraction(Tissue.CSF)[box]
    pia = anatomy.fraction(Tissue.GM)[box] + anatomy.fraction(Tissue.WM)[box]
    if nodule.tissue is Tissue.METASTASIS:
        wanted = ndimage.minimum_filter(anatomy.fraction(Tissue.WM)[box], 3) > 0.6
    else:
        # Subarachnoid: fluid beside brain tissue, below the surface, outside ventricles and vessels.
        free = (anatomy.ventricles[box] < 0.01) & (anatomy.fraction(Tissue.VESSEL)[box] < 0.05)
        wanted = (fluid > 0.45) & free & (ndimage.maximum_filter(pia, 3) > 0.5) & (anatomy.hull_distance[box] < -3)
    spots = np.argwhere(wanted)
    if not len(spots):
        raise ValueError(f"no place for a {nodule.tissue} within 20 mm of MNI {nodule.near_mni}")
    world = anatomy.world(spots + low)
    centre: NDArray[np.float64] = world[int(np.argmin(((world - near) ** 2).sum(axis=1)))]
    return centre


@dataclasses.dataclass(frozen=True, eq=False)
class _Key:
    """Hashable handle of an anatomy (by identity), for the caches."""

    anatomy: Anatomy
