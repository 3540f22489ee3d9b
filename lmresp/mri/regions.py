"""Regions of the leptomeninges: which part of the brain surface a voxel belongs to, by its place in the template.

Cerebrum, cerebellum and brain stem of the template are grown once from seeds (watershed on its tissue maps); a voxel
belongs to the nearest of them. Cisterns and cranial nerves are boxes in template space, the ependyma is the rim of the
subject's own ventricles. Borders are as good as the affine fit, a few millimetres: names for a report, not anatomy.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import ndimage
from skimage.segmentation import watershed

from lmresp.mri import template
from lmresp.mri.brain import signed_distance
from lmresp.mri.methods import number, numbers
from lmresp.mri.volume import Float, Mask, Matrix, Volume, resample, world_axes

Labels = npt.NDArray[np.uint8]

_watershed: Any = watershed

CONVEXITY, CISTERNS, FOLIA, STEM, EPENDYMA, NERVES = range(1, 7)
NAMES = (
    "",
    "cerebral convexity sulci",
    "basal cisterns",
    "cerebellar folia",
    "brain stem surface",
    "ependyma",
    "cranial nerves",
)
_LOBES = ("frontal", "parietal", "temporal", "occipital", "insular", "interhemispheric")
_NERVES = ("internal auditory canal", "trigeminal", "cavernous and orbital")
_PAIRED = (*_LOBES, "basal cisterns", "cerebellar hemisphere", "brain stem", "ependyma", *_NERVES)
PARCELS = ("", *(f"{side} {name}" for name in _PAIRED for side in ("left", "right")), "vermis", "fourth ventricle")


@dataclasses.dataclass(frozen=True, eq=False)
class Regions:
    """Region and parcel of every voxel.

    Parameters
    ----------
    map : uint8
        Index into ``NAMES``; 0 outside the brain mask and inside the ventricles.
    parcels : uint8
        Index into ``PARCELS`` (28 parts of the regions: sides, lobes, nerves); 0 where ``map`` is 0.
    """

    map: Labels
    parcels: Labels


@dataclasses.dataclass(frozen=True, eq=False)
class Parts:
    """Distance in mm from each large part of the template's brain, on the template's grid."""

    cerebrum: Volume
    cerebellum: Volume
    stem: Volume


@cache
def parts() -> Parts:
    """Cerebrum, cerebellum and brain stem of the template.

    Notes
    -----
    Seeded watershed (Meyer 1994, as in scikit-image) on CSF minus white-matter probability: basins are tissue, the
    crests are the tentorial gap and the cisterns.
    """
    base = template.load()
    x, y, z = world_axes(base.brain)
    seeds = np.zeros(base.mask.shape, np.int32)
    for part, x0, x1, y0, y1, z0, z1 in numbers("regions.seed_boxes"):
        seeds[(x > x0) & (x < x1) & (y > y0) & (y < y1) & (z > z0) & (z < z1)] = part
    for part, cx, cy, cz, rx, ry, rz in numbers("regions.seed_ellipsoids"):
        seeds[((x - cx) / rx) ** 2 + ((y - cy) / ry) ** 2 + ((z - cz) / rz) ** 2 < 1] = part
    height = ndimage.gaussian_filter(base.csf - base.white, 0.7)
    grown = _watershed(height, seeds * base.mask, mask=base.mask)
    away = [ndimage.distance_transform_edt(grown != part, sampling=base.brain.spacing) for part in (1, 2, 3)]
    return Parts(*(base.brain.like(distance) for distance in away))


def label(grid: Volume, to_template: Matrix, mask: Mask, csf: Float, depth: Float, ventricle: Mask) -> Regions:
    """Name the region of every voxel of the brain.

    Parameters
    ----------
    grid : Volume
        Grid of the scan; only its shape and affine are used.
    to_template : float64, shape (4, 4)
        World position in the scan to the template's.
    mask : bool
        Brain with its CSF.
    csf : float32
        CSF fraction: the cisterns of the nerves are fluid.
    depth : float32
        Depth below the surface of the mask in mm; the interhemispheric surface lies away from it or near the midline.
    ventricle : bool
        Lateral and third ventricles of this subject.

    Returns
    -------
    Regions
        Of the shape of ``grid``.
    """
    inside = np.flatnonzero(mask & ~ventricle)
    x, y, z = (axis.ravel()[inside] for axis in world_axes(grid, to_template))
    to_cerebrum, to_cerebellum, to_stem = (
        resample(part, grid, to_template).ravel()[inside]
        for part in (parts().cerebrum, parts().cerebellum, parts().stem)
    )
    to_stem[z < -70] = 0  # below the template: medulla and cord
    hind = to_cerebellum < to_cerebrum
    right = x > 0
    region = np.where(hind, FOLIA, CONVEXITY).astype(np.uint8)
    parcel = np.where(hind, _paired("cerebellar hemisphere", right), _lobes(x, y, z, depth.ravel()[inside]))
    parcel[hind & (np.abs(x) < number("regions.medial_mm"))] = PARCELS.index("vermis")

    def assign(where: Mask, name: int, paired: str) -> None:
        region[where] = name
        parcel[where] = _paired(paired, right[where])

    for _, *box in numbers("regions.basal_boxes"):
        assign(_in_box(x, y, z, box) & ~hind, CISTERNS, "basal cisterns")
    assign((to_stem < number("regions.stem_mm")) & (to_stem <= to_cerebellum), STEM, "brain stem")
    fluid = csf.ravel()[inside] > 0.2
    for name, *box in numbers("regions.nerve_boxes"):
        assign(_in_box(x, y, z, box) & fluid & (to_stem > number("regions.stem_mm")), NERVES, name)
    near = (signed_distance(ventricle, grid) if ventricle.any() else np.full(grid.shape, np.inf)).ravel()[inside]
    assign(near < number("regions.ependyma_mm"), EPENDYMA, "ependyma")
    fourth = _in_box(x, y, z, numbers("regions.fourth_ventricle"))
    region[fourth], parcel[fourth] = EPENDYMA, PARCELS.index("fourth ventricle")
    out = Regions(np.zeros(grid.shape, np.uint8), np.zeros(grid.shape, np.uint8))
    out.map.ravel()[inside], out.parcels.ravel()[inside] = region, parcel
    return out


def _in_box(x: Float, y: Float, z: Float, box: Sequence[float]) -> Mask:
    x0, x1, y0, y1, z0, z1 = box
    return np.asarray((x > x0) & (x < x1) & (y > y0) & (y < y1) & (z > z0) & (z < z1), dtype=bool)


def _paired(name: str, right: Mask) -> Labels:
    """Parcel of a paired structure: left, or the next number, right."""
    return np.asarray(PARCELS.index(f"left {name}") + right, dtype=np.uint8)


def _lobes(x: Float, y: Float, z: Float, depth: Float) -> Labels:
    """Lobe of cerebral voxels by planes in template space."""
    ax, right = np.abs(x), x > 0
    front, tilt = numbers("regions.central_y_mm")
    top, slope, back = numbers("regions.temporal")
    out = _paired("parietal", right)

    def assign(where: Mask, name: str) -> None:
        out[where] = _paired(name, right[where])

    assign(y > front + tilt * (z - 40), "frontal")
    assign(y < number("regions.occipital_y_mm"), "occipital")
    assign((z < top - slope * (y + 20)) & (y > back) & (y < 24) & (ax > 14), "temporal")
    assign(_in_box(ax, y, z, numbers("regions.insula")), "insular")
    medial = number("regions.medial_mm")
    assign((ax < medial) & (depth > medial / 2), "interhemispheric")
    return out
