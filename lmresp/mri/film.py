"""Film once found: its pieces and regions, with volume, pial surface, parcels and confidence."""

from __future__ import annotations

import dataclasses

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from lmresp.mri import regions
from lmresp.mri.methods import number, numbers
from lmresp.mri.volume import Float, Mask, Matrix, Volume

Labels = npt.NDArray[np.int32]


@dataclasses.dataclass(frozen=True)
class Component:
    """One connected piece of film.

    Parameters
    ----------
    label : int
        Its number in ``Found.labels``.
    voxel : (i, j, k)
        Its centre, voxel indices.
    volume_mm3 : float
        Enhancement-equivalent volume.
    area_mm2 : float
        Pial surface it covers.
    region : str
        Region that holds most of it.
    parcels : tuple of str
        Parcels that it touches.
    confidence : float
        0 to 1.
    """

    label: int
    voxel: tuple[float, float, float]
    volume_mm3: float
    area_mm2: float
    region: str
    parcels: tuple[str, ...]
    confidence: float


@dataclasses.dataclass(frozen=True)
class RegionFilm:
    """Film of one region: volume, pial surface, parcels touched, the highest confidence of its pieces, and a caveat."""

    region: str
    volume_mm3: float
    area_mm2: float
    parcels: tuple[str, ...]
    confidence: float
    note: str


@dataclasses.dataclass(frozen=True, eq=False)
class Film:
    """Film voxel by voxel, with the blurred rim of one voxel: one entry for each voxel of both.

    Parameters
    ----------
    labels : int32, shape of the grid
        Number of the component; 0 elsewhere.
    where : int, shape (n,)
        Flat index of each voxel of film and rim.
    owner, inner : shape (n,)
        Its component, and whether it is film proper.
    share : float32, shape (n,)
        Enhancement as a part of that of a voxel full of film.
    surface : float32, shape (n,)
        Pial surface, mm2 for each mm3.
    region, parcel : uint8, shape (n,)
        Where it lies.
    """

    labels: Labels
    where: npt.NDArray[np.intp]
    owner: Labels
    inner: Mask
    share: Float
    surface: Float
    region: regions.Labels
    parcel: regions.Labels

    @classmethod
    def around(cls, labels: Labels, free: Mask, share: Float, surface: Float, places: regions.Regions) -> Film:
        """Take components and the free voxels that touch them."""
        near = ndimage.maximum_filter(labels, footprint=ndimage.generate_binary_structure(3, 2))
        where = np.flatnonzero((near > 0) & free)
        inner = labels.ravel()[where] > 0
        region, parcel = places.map.ravel()[where], places.parcels.ravel()[where]
        return cls(
            labels, where, near.ravel()[where], inner, share.ravel()[where], surface.ravel()[where], region, parcel
        )

    def without(self, components: list[int], labels: Labels) -> Film:
        """Leave components out."""
        kept = ~np.isin(self.owner, components)
        return Film(
            labels,
            self.where[kept],
            self.owner[kept],
            self.inner[kept],
            self.share[kept],
            self.surface[kept],
            self.region[kept],
            self.parcel[kept],
        )

    def total(self, group: npt.NDArray[np.integer], weight: npt.NDArray[np.generic], size: int) -> list[float]:
        """Sum of a weight over the voxels of each group."""
        return [float(v) for v in np.bincount(group, weight, size)]


def mirrored(labels: Labels, enhances: Mask, grid: Volume, to_template: Matrix) -> list[float]:
    """For each component, the part of its mirror image (in template space) within 2 mm of which something enhances."""
    voxels = np.argwhere(labels > 0)
    to_mirror = np.linalg.inv(to_template @ grid.affine) @ np.diag([-1.0, 1, 1, 1]) @ to_template @ grid.affine
    at = np.rint(voxels @ to_mirror[:3, :3].T + to_mirror[:3, 3]).astype(int)
    within = ((at >= 0) & (at < enhances.shape)).all(axis=1)
    there = np.zeros(len(voxels))
    wide = enhances & ndimage.binary_opening(enhances)
    wide = ndimage.binary_dilation(wide, iterations=2)
    there[within] = wide[tuple(at[within].T)]
    owner = labels[tuple(voxels.T)]
    count = int(labels.max())
    return [
        float(v) for v in np.bincount(owner, there, count + 1) / np.maximum(np.bincount(owner, minlength=count + 1), 1)
    ]


def describe(
    film: Film, covered: Float, edge: Mask, mirror: list[float], depth: Float, grid: Volume
) -> list[Component]:
    """Measure each component; the confidence is a product of what speaks against it."""
    count = int(film.labels.max())
    volumes = film.total(film.owner, film.share, count + 1)
    areas = film.total(film.owner, film.surface, count + 1)
    low, high = numbers("linear.coverage_range")
    out = []
    for n, box in enumerate(ndimage.find_objects(film.labels), start=1):
        own = film.labels[box] == n
        mine = (film.owner == n) & film.inner
        per_region = np.bincount(film.region[mine], minlength=len(regions.NAMES))
        region = int(per_region[1:].argmax()) + 1
        size = float(own.sum()) * grid.voxel_mm3
        shallow = float((depth[box][own] < number("linear.convexity_mm")).mean())
        volume = max(volumes[n], 0.0) * grid.voxel_mm3
        confidence = (
            float(numbers("linear.prior")[region - 1])
            * float(np.clip((covered[box][own].mean() - low) / (high - low), 0, 1))
            * (1 - float(edge[box][own].mean()) * float(np.exp(-size / number("linear.edge_size_mm3"))))
            * (1 - (1 - number("linear.convexity_factor")) * shallow)
            * (1 - (1 - number("linear.symmetry_factor")) * mirror[n])
            * (1 - float(np.exp(-size / number("linear.size_mm3"))))
        )
        i, j, k = (float(c.mean() + s.start) for c, s in zip(np.nonzero(own), box, strict=True))
        out.append(
            Component(
                n,
                (i, j, k),
                volume,
                areas[n] * grid.voxel_mm3,
                regions.NAMES[region],
                _parcels(film.parcel[mine], grid),
                round(confidence, 3),
            )
        )
    return sorted(out, key=lambda part: (-part.volume_mm3, part.voxel))


def _parcels(parcel: regions.Labels, grid: Volume) -> tuple[str, ...]:
    """Parcels that hold enough film."""
    held = np.bincount(parcel, minlength=len(regions.PARCELS)) * grid.voxel_mm3
    return tuple(
        name for name, mm3 in zip(regions.PARCELS, held, strict=True) if name and mm3 >= number("linear.smallest_mm3")
    )


def by_region(film: Film, components: list[Component], grid: Volume) -> list[RegionFilm]:
    """Share the film out to the regions."""
    size = len(regions.NAMES)
    volumes = film.total(film.region, film.share, size)
    areas = film.total(film.region, film.surface, size)
    out = []
    for n, name in enumerate(regions.NAMES[1:], start=1):
        mine = (film.region == n) & film.inner
        touched = np.bincount(film.owner[mine], minlength=int(film.labels.max()) + 1) * grid.voxel_mm3
        sure = [c.confidence for c in components if touched[c.label] >= number("linear.core_mm3")]
        note = "zones of the nerves, not the nerves: a reader must look" if n == regions.NERVES and sure else ""
        out.append(
            RegionFilm(
                name,
                max(volumes[n], 0.0) * grid.voxel_mm3 if sure else 0.0,
                areas[n] * grid.voxel_mm3 if sure else 0.0,
                _parcels(film.parcel[mine], grid),
                max(sure, default=0.0),
                note,
            )
        )
    return out
