"""Drawing on a stack of fraction maps: shapes given in MNI mm, put into a head where its own coordinates say."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from lmresp.simulate.template import Volume
from lmresp.simulate.tissues import INDEX, Tissue

Affine = NDArray[np.float64]
Point = tuple[float, float, float]
Box = tuple[slice, slice, slice]
WARP_REACH_MM = 16.0  # a point of the head lies no farther than this from where its scale alone would put it


@dataclasses.dataclass(frozen=True)
class Canvas:
    """A head in the making.

    Attributes
    ----------
    maps : array (materials, nx, ny, nz), float32
        Fraction of each voxel filled by each material; changed in place.
    mni : array (3, nx, ny, nz), float32
        MNI coordinates, mm, of each voxel.
    hull : array (nx, ny, nz), float32
        Signed distance from the closed brain surface, mm, negative inside.
    ventricles : array (nx, ny, nz), float32
        Membership of the ventricles.
    affine : array (4, 4)
        Voxel to RAS mm.
    scale : array (3,)
        Size of the head, along each axis, in units of the template.
    """

    maps: Volume
    mni: Volume
    hull: Volume
    ventricles: Volume
    affine: Affine
    scale: NDArray[np.float64]

    @property
    def grid(self) -> float:
        """Voxel size, mm."""
        return float(self.affine[0, 0])

    def box(self, points: Sequence[Point], reach_mm: float) -> Box:
        """Voxels in which everything within ``reach_mm`` of MNI points must lie."""
        world = np.array(points) * self.scale
        low = np.floor((world.min(0) - reach_mm - WARP_REACH_MM - self.affine[:3, 3]) / self.grid).astype(int)
        high = np.ceil((world.max(0) + reach_mm + WARP_REACH_MM - self.affine[:3, 3]) / self.grid).astype(int)
        shape = self.hull.shape
        x, y, z = (slice(max(int(a), 0), min(int(b) + 1, n)) for a, b, n in zip(low, high, shape, strict=True))
        return x, y, z

    def ellipsoid(self, centre: Point, semi: Point, box: Box | None = None) -> tuple[Volume, Box]:
        """Approximate signed distance, mm, from an ellipsoid given in MNI mm, in its box."""
        box = box or self.box([centre], max(semi) + 4)
        mni = self.mni[(slice(None), *box)]
        radius = np.sqrt(sum(((mni[a] - np.float32(centre[a])) / np.float32(semi[a])) ** 2 for a in range(3)))
        return ((radius - 1) * np.float32(min(semi))).astype(np.float32), box

    def tube(self, points: Sequence[Point], reach_mm: float) -> tuple[Volume, Box]:
        """Distance, mm, from a broken line given in MNI mm, in its box."""
        box = self.box(points, reach_mm)
        mni = self.mni[(slice(None), *box)]
        nearest = np.full(mni.shape[1:], np.inf, dtype=np.float32)
        for first, second in itertools.pairwise(points):
            start, along = np.array(first, dtype=np.float32), np.subtract(second, first).astype(np.float32)
            rel = [mni[a] - start[a] for a in range(3)]
            where = np.clip(sum(rel[a] * along[a] for a in range(3)) / float(along @ along), 0, 1)
            np.minimum(nearest, np.sqrt(sum((rel[a] - where * along[a]) ** 2 for a in range(3))), out=nearest)
        return nearest, box

    def soft(self, distance: Volume, border: float = 0.0) -> Volume:
        """Fraction of a voxel that lies within ``border`` mm of a surface."""
        return soft(distance, border, self.grid)

    def put(self, tissue: Tissue, fraction: Volume, box: Box) -> None:
        """Fill ``fraction`` of each voxel of a box with a material; what was there shrinks in proportion."""
        put(self.maps, tissue, fraction, (box[0].start, box[1].start, box[2].start))

    def clear(self, fraction: Volume, box: Box) -> None:
        """Fill ``fraction`` of each voxel of a box with air."""
        self.maps[(slice(None), *box)] *= 1 - fraction


def soft(distance: Volume, border: float, grid: float) -> Volume:
    """Fraction of a voxel that lies within ``border`` mm of a surface."""
    part: Volume = np.clip((border - distance) / np.float32(grid) + np.float32(0.5), 0, 1)
    return part


def put(maps: Volume, tissue: Tissue, fraction: Volume, start: tuple[int, int, int] = (0, 0, 0)) -> None:
    """Fill ``fraction`` of each voxel with ``tissue``; what was there shrinks in proportion (in place).

    ``fraction`` covers the box of the maps that begins at voxel ``start``; only where it is not zero is touched.
    """
    found = ndimage.find_objects((fraction > 0).astype(np.int8))
    if not found:
        return
    inner = found[0]
    box = tuple(slice(s + o.start, s + o.stop) for s, o in zip(start, inner, strict=True))
    part = maps[(slice(None), *box)]
    part *= 1 - fraction[inner]
    part[INDEX[tissue]] += fraction[inner]
