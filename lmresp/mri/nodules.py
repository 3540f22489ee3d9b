"""Nodular enhancement: compact enhancing lesions, their diameters, and whether they touch the leptomeninges."""

from __future__ import annotations

import dataclasses

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from lmresp.mri import diameters
from lmresp.mri.enhancement import Enhancement, smooth
from lmresp.mri.methods import number
from lmresp.mri.volume import Float, Mask, Matrix, Volume, resample


@dataclasses.dataclass(frozen=True, eq=False)
class Nodule:
    """One compact enhancing lesion; positions in world mm (RAS+)."""

    center_mm: npt.NDArray[np.float64]
    long_mm: float
    perp_mm: float
    volume_mm3: float
    measurable: bool
    lm_related: bool
    confidence: float
    note: str


@dataclasses.dataclass(frozen=True, eq=False)
class Found:
    """Nodules of a scan, largest first, and the voxels they take (on the scan's grid)."""

    nodules: list[Nodule]
    mask: Mask


@dataclasses.dataclass(frozen=True, eq=False)
class Tissue:
    """What surrounds enhancement, all on the grid of the map.

    Parameters
    ----------
    brain, excluded : bool
        Where to look, and where enhancement is normal.
    csf : float32
        CSF fraction before contrast.
    white : bool
        White matter before contrast.
    depth : float32
        Depth below the brain surface in mm.
    """

    brain: Mask
    excluded: Mask
    csf: Float
    white: Mask
    depth: Float


def find(enhancement: Enhancement, tissue: Tissue, quality: float, edge_mm: float) -> Found:
    """Find nodules.

    Parameters
    ----------
    enhancement : Enhancement
        Map in white-matter units, and its noise.
    tissue : Tissue
        Where to look, and what is around.
    quality : float
        0 to 1: what the images allow (slice thickness, registration); multiplies every confidence.
    edge_mm : float
        Largest voxel edge of the images as acquired.

    Returns
    -------
    Found

    Notes
    -----
    On a grid of about 1 mm: threshold at ``max(0.35, 6 noise)``, opening by a ball of 1.6 mm, 6-connected components; a
    component is a nodule if its inscribed sphere is wide enough in millimetres and against the sphere of equal volume.
    Leptomeningeal if its edge is less than 2 mm from CSF or the brain surface (Le Rhun 2019, footnote 1) and it is not
    embedded in white matter.
    """
    e = enhancement.map
    level = max(number("nodules.threshold"), number("nodules.threshold_noise") * enhancement.noise)
    surroundings = _Surroundings(
        e.like(smooth(e, number("enhancement.smooth_mm"))),
        e.like(tissue.brain & ~tissue.excluded),
        e.like(np.maximum(tissue.csf * tissue.brain, ~tissue.brain)),
        e.like(tissue.white & tissue.brain),
        e.like(tissue.depth),
    )
    slack = number("nodules.slice_widening") * max(0.0, edge_mm - 1.0)
    nodules: list[Nodule] = []
    taken = np.zeros(e.shape, bool)
    for region, group in _regions((surroundings.values.array > level) & tissue.brain & ~tissue.excluded, e):
        place, candidate = surroundings.within(region, group, level)
        ball = _ball(number("nodules.opening_mm"), place.grid.spacing)
        labels, count = ndimage.label(ndimage.binary_opening(candidate, ball))
        mine = np.zeros(candidate.shape, np.float32)
        for n, box in enumerate(ndimage.find_objects(labels, count), start=1):
            wide = tuple(slice(max(0, s.start - 6), s.stop + 6) for s in box)
            part = labels[wide] == n
            here = place.cut(wide)
            nodule = _measure(part, here, level, slack, quality, enhancement.noise)
            if nodule is not None:
                nodules.append(nodule)
                grown = ndimage.binary_dilation(part, iterations=2) & (here.values > level)
                mine[wide] = np.maximum(mine[wide], grown)
        if mine.any():
            coarse_part = _part(e, region)
            taken[region] |= resample(place.grid.like(mine), coarse_part) > 0.5
    nodules.sort(key=lambda nodule: (-nodule.long_mm * nodule.perp_mm, tuple(nodule.center_mm)))
    return Found(nodules, taken)


def _regions(candidate: Mask, grid: Volume) -> list[tuple[tuple[slice, ...], Mask]]:
    """Groups of candidate voxels with a box around each: two groups cannot touch on a finer grid."""
    groups, count = ndimage.label(ndimage.binary_dilation(candidate, np.ones((3, 3, 3))), np.ones((3, 3, 3)))
    sizes = np.bincount(groups[candidate], minlength=count + 1) * grid.voxel_mm3
    pad = np.ceil(number("nodules.surroundings_mm") / grid.spacing).astype(int)
    regions = []
    for group, box in enumerate(ndimage.find_objects(groups, count), start=1):
        if sizes[group] >= 0.5 * number("nodules.smallest_mm3"):
            wide = tuple(
                slice(max(0, s.start - p), min(n, s.stop + p)) for s, p, n in zip(box, pad, grid.shape, strict=True)
            )
            regions.append((wide, groups[wide] == group))
    return regions


def _part(grid: Volume, box: tuple[slice, ...]) -> Volume:
    affine = grid.affine.copy()
    affine[:3, 3] = (grid.affine @ [*(s.start for s in box), 1.0])[:3]
    return Volume(grid.array[box], affine)


@dataclasses.dataclass(frozen=True, eq=False)
class _Surroundings:
    """Maps of the whole scan from which the place of a group is cut, on voxels of about 1 mm."""

    values: Volume
    search: Volume
    fluid: Volume
    white: Volume
    depth: Volume

    def within(self, box: tuple[slice, ...], group: Mask, level: float) -> tuple[_Place, Mask]:
        fine = _fine_grid(_part(self.values, box))
        values = resample(_part(self.values, box), fine)
        search = _part(self.search, box)
        candidate = (values > level) & (resample(search.like(search.array * group), fine) > 0.5)
        place = _Place(
            values,
            resample(_part(self.fluid, box), fine) > number("nodules.csf_fraction"),
            resample(_part(self.white, box), fine) > 0.5,
            resample(_part(self.depth, box), fine) < number("nodules.convexity_mm"),
            fine,
            tuple(slice(0, n) for n in fine.shape),
        )
        return place, candidate


@dataclasses.dataclass(frozen=True, eq=False)
class _Place:
    """Surroundings of one component, in its box."""

    values: Float
    fluid: Mask
    white: Mask
    shallow: Mask
    grid: Volume
    box: tuple[slice, ...]

    def cut(self, box: tuple[slice, ...]) -> _Place:
        return _Place(self.values[box], self.fluid[box], self.white[box], self.shallow[box], self.grid, box)


def _measure(part: Mask, place: _Place, level: float, slack: float, quality: float, noise: float) -> Nodule | None:
    """Decide whether one component is a nodule, and measure it."""
    values, grid = place.values, place.grid
    voxel, spacing = grid.voxel_mm3, grid.spacing
    volume = float(part.sum()) * voxel
    if volume < number("nodules.smallest_mm3"):
        return None
    filled = ndimage.binary_fill_holes(part)  # a ring with a necrotic centre is one lesion
    inner = ndimage.distance_transform_edt(np.pad(filled, 1), sampling=spacing)
    inscribed = 2 * float(inner.max()) - float(spacing.min()) / 2
    equivalent = float(np.cbrt(6 * volume / np.pi))
    if inscribed < number("nodules.inscribed_mm") + slack or inscribed / equivalent < number("nodules.compactness"):
        return None
    if _elongation(filled, spacing) > number("nodules.elongation"):
        return None
    half = max(level, 0.5 * float(np.percentile(values[filled], 75)))
    distance = ndimage.distance_transform_edt(~filled, sampling=spacing)
    allowed = distance <= number("nodules.rim_mm")
    found = diameters.of_lesion(values, allowed, half, spacing)
    if found.perp_mm < number("nodules.roundness") * found.long_mm:
        return None
    index = np.argwhere(filled).mean(axis=0) + [s.start for s in place.box]
    center = (grid.affine @ [*index, 1.0])[:3]
    outline = (values > half) & allowed
    # From the edge of the lesion to the edge of the fluid: half a voxel is taken off at each end.
    away = ndimage.distance_transform_edt(~outline, sampling=spacing)
    gap = away[place.fluid & ~outline]
    embedded = float(place.white[(away > 1) & (away <= 4)].mean()) > number("nodules.white_shell")
    edge = float(gap.min()) - float(spacing.mean()) if gap.size else np.inf
    limit = number("nodules.measurable_mm")
    borderline = min(abs(found.long_mm - limit), abs(found.perp_mm - limit)) < 0.5
    height = float(np.percentile(values[filled], 75))
    signal = 1 - float(np.exp(-max(height / max(noise, 1e-6) - 3, 0) / 3))
    shape = min(1.0, inscribed / equivalent / 0.75) * min(1.0, found.perp_mm / found.long_mm / 0.75)
    middle = tuple(round(c) for c in np.argwhere(filled).mean(axis=0))
    zone = number("nodules.convexity_confidence") if place.shallow[middle] else 0.9
    return Nodule(
        center_mm=np.asarray(center, dtype=float),
        long_mm=found.long_mm,
        perp_mm=found.perp_mm,
        volume_mm3=float(outline.sum()) * voxel,
        measurable=found.long_mm > limit and found.perp_mm > limit,
        lm_related=bool(edge < number("nodules.leptomeningeal_mm") + slack and not embedded),
        confidence=round(quality * signal * shape * zone, 3),
        note="within 0.5 mm of the limit for a measurable nodule" if borderline else "",
    )


def match(
    current: list[Nodule], reference: list[tuple[npt.NDArray[np.float64], float, float]], to_reference: Matrix
) -> tuple[list[int | None], list[int]]:
    """Pair nodules of this scan with those of the reference scan by the distance of their centres.

    Parameters
    ----------
    current : list of Nodule
        Nodules of this scan.
    reference : list of (center_mm, long_mm, perp_mm)
        Those of the reference scan, in its world.
    to_reference : float64, shape (4, 4)
        World of this scan to world of the reference scan.

    Returns
    -------
    pairs : list of int or None
        For each current nodule, the index of its partner, or None if it is new.
    lost : list of int
        Reference nodules without a partner.
    """
    pairs: list[int | None] = [None] * len(current)
    distances = []
    for n, nodule in enumerate(current):
        moved = (to_reference @ [*nodule.center_mm, 1.0])[:3]
        for m, (center, long_mm, _) in enumerate(reference):
            gap = float(np.linalg.norm(moved - center))
            if gap <= max(number("nodules.match_mm"), 0.5 * max(long_mm, nodule.long_mm)):
                distances.append((gap, n, m))
    free = set(range(len(reference)))
    for _, n, m in sorted(distances):
        if pairs[n] is None and m in free:
            pairs[n] = m
            free.discard(m)
    return pairs, sorted(free)


def _elongation(part: Mask, spacing: npt.NDArray[np.float64]) -> float:
    """Ratio of the longest to the shortest principal axis of a set of voxels."""
    points = np.argwhere(part) * spacing
    spread = np.linalg.eigvalsh(np.cov(points.T) + np.diag(spacing**2 / 12))
    return float(np.sqrt(spread[-1] / spread[0]))


def _fine_grid(e: Volume) -> Volume:
    """Return a grid of voxels no coarser than about 1 mm over the same box (the same grid if it is fine enough)."""
    factors = np.maximum(1, np.round(e.spacing / number("nodules.grid_mm")).astype(int))
    if factors.max() == 1:
        return Volume(np.zeros(e.shape, np.float32), e.affine)
    affine = e.affine.copy()
    affine[:3, :3] = e.affine[:3, :3] / factors
    affine[:3, 3] += affine[:3, :3] @ ((1 - factors) / 2)
    return Volume(np.zeros(tuple(np.array(e.shape) * factors), np.float32), affine)


def _ball(radius: float, spacing: npt.NDArray[np.float64]) -> Mask:
    reach = [max(1, int(radius / s)) for s in spacing]
    grid = np.meshgrid(*[np.arange(-r, r + 1) * s for r, s in zip(reach, spacing, strict=True)], indexing="ij")
    return np.asarray(sum(axis**2 for axis in grid) <= radius**2 + 1e-6, dtype=bool)
