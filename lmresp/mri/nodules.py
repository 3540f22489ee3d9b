"""Nodular enhancement: compact enhancing lesions, their diameters, and whether they touch the leptomeninges."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from lmresp.mri import diameters, lumps
from lmresp.mri.enhancement import Enhancement, smooth
from lmresp.mri.methods import number
from lmresp.mri.volume import Float, Mask, Matrix, Volume


@dataclasses.dataclass(frozen=True, eq=False)
class Nodule:
    """One compact enhancing lesion; positions in world mm (RAS+).

    Parameters
    ----------
    center_mm : float64, shape (3,)
        Centre of the lesion.
    long_mm, perp_mm : float
        Longest diameter in the axial plane (in the plane of thick slices), and longest perpendicular to it.
    volume_mm3 : float
        Volume inside half of the maximum.
    measurable : bool
        More than 5 x 5 mm.
    lm_related : bool
        The outer edge is less than 2 mm from the leptomeninges.
    confidence : float
        0 to 1: how often a lump like this is a nodule on phantoms and real scans, times what the images allow.
    note : str
        What a reader should know, in words; may be empty.
    other_planes_mm2 : (float, float)
        Product of the two diameters in the two other planes of the grid.
    feret_mm : float
        Longest diameter in three dimensions.
    """

    center_mm: npt.NDArray[np.float64]
    long_mm: float
    perp_mm: float
    volume_mm3: float
    measurable: bool
    lm_related: bool
    confidence: float
    note: str
    other_planes_mm2: tuple[float, float] = (0.0, 0.0)
    feret_mm: float = 0.0


@dataclasses.dataclass(frozen=True, eq=False)
class Found:
    """Nodules of a scan, largest first, and the voxels they take: ``labels`` holds 1 + the index of the nodule."""

    nodules: list[Nodule]
    labels: npt.NDArray[np.uint16]

    @property
    def mask(self) -> Mask:
        """Voxels of all nodules, shape of the scan's grid."""
        return np.asarray(self.labels > 0, dtype=bool)

    def at_least(self, confidence: float) -> Mask:
        """Voxels of the nodules of at least this confidence, shape of the scan's grid."""
        sure = [False, *(nodule.confidence >= confidence for nodule in self.nodules)]
        return np.asarray(np.array(sure, dtype=bool)[self.labels], dtype=bool)


@dataclasses.dataclass(frozen=True, eq=False)
class Tissue:
    """What surrounds enhancement, all on the grid of the map.

    Parameters
    ----------
    depth : float32
        Depth below the surface of the brain mask in mm (negative outside).
    csf : float32
        CSF fraction before contrast.
    white : bool
        White matter before contrast.
    ventricle : bool
        The ventricles: their wall is not leptomeninges.
    normal : mapping of str to bool array
        Where compact enhancement may be normal, by the name a reader is told ("dural sinus", "choroid plexus"). A
        lump there is kept, with less confidence.
    """

    depth: Float
    csf: Float
    white: Mask
    ventricle: Mask
    normal: Mapping[str, Mask]


def find(enhancement: Enhancement, tissue: Tissue, quality: float, edge_mm: float) -> Found:
    """Find nodules.

    Parameters
    ----------
    enhancement : Enhancement
        Map in white-matter units, and its noise.
    tissue : Tissue
        What is around.
    quality : float
        0 to 1: what the images allow (slice thickness, registration); multiplies every confidence.
    edge_mm : float
        Largest voxel edge of the images as acquired.

    Returns
    -------
    Found

    Notes
    -----
    Lumps (:func:`lmresp.mri.lumps.find`) above ``max(0.35, 6 noise)`` whose centre lies in the brain; how likely each
    is a nodule by a logistic function of its shape (see ``parameters/nodules.yaml``); diameters on the contour at half
    of its brightness. Leptomeningeal if its edge is less than 2 mm from CSF outside the ventricles or from the brain
    surface (Le Rhun 2019, footnote 1) and it is not embedded in white matter.
    """
    e = enhancement.map
    values = smooth(e, number("enhancement.smooth_mm"))
    seen = np.where(tissue.depth > -number("nodules.outside_mm"), values, np.float32(0))
    lowest = max(number("nodules.threshold"), number("nodules.threshold_noise") * enhancement.noise)
    found: list[tuple[Nodule, lumps.Shape]] = []
    for lump in lumps.find(seen, e.spacing, lowest):
        shape = lumps.describe(lump, seen, e.spacing)
        nodule = _judge(shape, seen, e, tissue, quality, edge_mm)
        if nodule is not None:
            found.append((nodule, shape))
    found.sort(key=lambda one: (-one[0].long_mm * one[0].perp_mm, tuple(one[0].center_mm)))
    labels = np.zeros(e.shape, np.uint16)
    for n in range(len(found), 0, -1):  # where two touch, the larger keeps the voxel
        labels[found[n - 1][1].box][found[n - 1][1].core] = n
    return Found([nodule for nodule, _ in found], labels)


def likelihood(shape: lumps.Shape) -> float:
    """Fraction of lumps of this shape that are nodules, 0 to 1: logistic, fitted on phantoms and real scans."""
    score = (
        number("nodules.weight_constant")
        + number("nodules.weight_elongation") * float(np.log(shape.elongation))
        + number("nodules.weight_attached") * float(np.sqrt(shape.attached))
        + number("nodules.weight_across") * float(np.log(np.clip(shape.across_mm, 1.0, number("nodules.across_mm"))))
        + number("nodules.weight_fill") * shape.fill
    )
    return float(1 / (1 + np.exp(-score)))


def _judge(
    shape: lumps.Shape, values: Float, e: Volume, tissue: Tissue, quality: float, edge_mm: float
) -> Nodule | None:
    """Measure one lump; None if it lies outside the brain or is hardly ever a nodule."""
    middle = np.argwhere(shape.core).mean(axis=0) + [s.start for s in shape.box]
    i, j, k = (round(float(c)) for c in middle)
    depth = float(tissue.depth[i, j, k])
    if depth <= -number("nodules.surface_mm"):
        return None
    confidence = likelihood(shape) * quality
    notes = []
    for name, zone in sorted(tissue.normal.items()):
        if float(zone[shape.box][shape.core].mean()) > 0.5:
            free = shape.attached < number("nodules.free")  # a piece of a sinus never is
            confidence *= number(f"nodules.normal_{'free' if free else 'attached'}_confidence")
            notes.append(f"where a {name} enhances normally: a reader must look")
            break
    if depth < number("nodules.surface_mm"):
        confidence *= number("nodules.surface_confidence")
        notes.append("at the surface of the brain mask: a vein or dura looks the same")
    if confidence < number("nodules.least_confidence"):
        return None
    axis = _across(e)
    sizes = diameters.of_lesion(values[shape.box], shape.core, 0.5 * shape.height, e.spacing, axis)
    limit = number("nodules.measurable_mm")
    if min(abs(sizes.long_mm - limit), abs(sizes.perp_mm - limit)) <= number("nodules.borderline_mm"):
        notes.insert(0, "borderline: within 0.5 mm of the limit for a measurable nodule")
    if sizes.perp_mm < number("nodules.roundness") * sizes.long_mm or sizes.solidity < number("nodules.solidity"):
        notes.append("irregular outline: a vessel may touch it")
    if lumps.is_thick(e.spacing):
        notes.append("thick slices: diameters in the plane of the slices only")
    return Nodule(
        center_mm=np.asarray((e.affine @ [*middle, 1.0])[:3], dtype=float),
        long_mm=sizes.long_mm,
        perp_mm=sizes.perp_mm,
        volume_mm3=shape.volume_mm3,
        measurable=sizes.long_mm > limit and sizes.perp_mm > limit,
        lm_related=_touches_leptomeninges(shape, tissue, e.spacing, edge_mm),
        confidence=round(confidence, 3),
        note="; ".join(notes),
        other_planes_mm2=sizes.other_planes_mm2,
        feret_mm=sizes.feret_mm,
    )


def _across(e: Volume) -> int:
    """The axis across the plane of measurement: that of thick slices, else the one nearest to head to foot."""
    if lumps.is_thick(e.spacing):
        return int(e.spacing.argmax())
    return int(np.abs(e.affine[2, :3] / e.spacing).argmax())


def _touches_leptomeninges(
    shape: lumps.Shape, tissue: Tissue, spacing: npt.NDArray[np.float64], edge_mm: float
) -> bool:
    inside = tissue.depth[shape.box] > 0
    fluid = (tissue.csf[shape.box] > number("nodules.csf_fraction")) & ~tissue.ventricle[shape.box] | ~inside
    # From the edge of the lesion to the edge of the fluid: half a voxel is taken off at each end.
    away = ndimage.distance_transform_edt(~shape.core, sampling=spacing)
    gap = away[fluid & ~shape.core]
    edge = float(gap.min()) - float(spacing.mean()) if gap.size else np.inf
    shell = (away > 1) & (away <= 4)
    embedded = bool(shell.any()) and float((tissue.white[shape.box] & inside)[shell].mean()) > number(
        "nodules.white_shell"
    )
    slack = number("nodules.slice_widening") * max(0.0, edge_mm - 1.0)
    return edge < number("nodules.leptomeningeal_mm") + slack and not embedded


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
