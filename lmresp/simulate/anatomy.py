"""A new head for every seed: the average brain warped, with skull, scalp, face, vessels and what enhances normally.

A head is a stack of fraction maps, one for each material, that add up to 1 with air; everything counted from it
is therefore an exact sum. Recipe: section 7 of the imaging reference (tissue maps sharpened as a power over its
sum, shells by distance from the closed brain surface, sinuses as tubes along the inner skull, veins and arteries as
minimum-cost paths).
"""

from __future__ import annotations

import dataclasses
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from lmresp.simulate import head, shape, template, vessels
from lmresp.simulate.canvas import Affine, Canvas
from lmresp.simulate.template import Volume
from lmresp.simulate.tissues import INDEX, TISSUES, Tissue


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
    traits : Traits
        What was drawn from the seed.
    """

    seed: int
    grid_mm: float
    affine: Affine
    maps: Volume
    mni: Volume
    ventricles: Volume
    hull_distance: Volume
    traits: shape.Traits

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
    nx, ny, nz = (int(np.floor((hi - lo) / grid_mm)) + 1 for lo, hi in shape.BOX_MM)
    affine = np.diag([grid_mm, grid_mm, grid_mm, 1.0])
    affine[:3, 3] = [lo for lo, _ in shape.BOX_MM]
    traits = shape.draw(seed)
    mni = shape.mni_coordinates(seed, traits, (nx, ny, nz), grid_mm)
    base = template.load()
    placed = [(mni[a] - np.float32(base.hull_affine[a, 3])) / np.float32(base.hull_affine[a, a]) for a in range(3)]
    hull = ndimage.map_coordinates(base.hull_distance, placed, order=1, mode="nearest")
    maps = np.zeros((len(TISSUES), nx, ny, nz), dtype=np.float32)
    canvas = Canvas(maps, mni, hull, np.zeros_like(hull), affine, np.array(traits.scale))
    head.shells(canvas, traits)
    head.brain(canvas, traits, seed)
    maps /= np.maximum(maps.sum(axis=0), 1)
    head.cavities(canvas)
    head.base_of_skull(canvas)
    head.folds_of_dura(canvas)
    head.glands(canvas)
    vessels.add(canvas, seed)
    return Anatomy(seed, grid_mm, affine, maps, mni, canvas.ventricles, hull, traits)
