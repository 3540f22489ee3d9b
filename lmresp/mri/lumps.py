"""Compact bright lumps of a map: found at every level of brightness, and described by their shape and surroundings."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from lmresp.mri.methods import number
from lmresp.mri.volume import Float, Mask

Box = tuple[slice, ...]
Spacing = npt.NDArray[np.float64]
# Large balls first: they part a lesion from the vein or sinus it touches. The last finds the small lesions.
_BALLS = (("opening", "opening"), ("opening", "widening"), ("opening",))


@dataclasses.dataclass(frozen=True, eq=False)
class Lump:
    """One connected set of voxels above ``level``, in its box of the map."""

    level: float
    box: Box
    part: Mask


@dataclasses.dataclass(frozen=True, eq=False)
class Shape:
    """What a lump looks like. Its body is what is brighter than half of it within 2 mm of its core.

    Parameters
    ----------
    box : tuple of slice
        Where the lump and its surroundings lie in the map; the masks below cover this box.
    core : bool
        The lump at half of its own brightness, holes filled, without what touches it thinly (a vessel).
    height : float
        75th percentile of the map in the lump.
    back : float
        Median of the map 1 to 3 mm around the body.
    across_mm : float
        Diameter of the largest sphere in the body.
    elongation : float
        Longest over shortest principal axis of the body.
    fill : float
        Volume of the body over that of the ellipsoid with the same axes.
    compactness : float
        Inscribed sphere over the sphere of the same volume (diameters).
    attached : float
        Part of the shell 1 to 3 mm around the body that is brighter than half of the lump: 0 for a lump on its own, a
        few hundredths where one vessel passes, more in a sinus or in folded film.
    volume_mm3 : float
        Volume of the core.
    """

    box: Box
    core: Mask
    height: float
    back: float
    across_mm: float
    elongation: float
    fill: float
    compactness: float
    attached: float
    volume_mm3: float


def is_thick(spacing: Spacing) -> bool:
    """Whether the voxels are too long in one direction for shapes to be judged in three dimensions."""
    return float(spacing.max()) > number("nodules.thick_mm")


def find(values: Float, spacing: Spacing, lowest: float) -> list[Lump]:
    """Find lumps that are roughly ellipsoids.

    Parameters
    ----------
    values : float32, shape (I, J, K)
        The map; 0 where nothing should be seen.
    spacing : float64, shape (3,)
        Voxel size in mm.
    lowest : float
        Lowest level of brightness.

    Returns
    -------
    list of Lump
        Disjoint, from the lowest level upwards.

    Notes
    -----
    A grey-value opening by a ball removes whatever is thinner than the ball at any level at once (opening commutes
    with thresholding). Levels then rise by a fixed factor, and at each the connected components are judged: what is an
    ellipsoid by its second moments is a lump and is not looked into further; what is not (a lump fused with film or
    vessels) is looked at again at the next level, where it may have come apart (Matas, Image Vis Comput 2004;22:761 for
    such a tree of components).
    """
    levels = [lowest * number("nodules.level_factor") ** n for n in range(int(number("nodules.levels")))]
    filled = fill_holes(values, spacing, levels[::3])
    taken = np.zeros(values.shape, bool)
    found: list[Lump] = []
    for balls in _BALLS:
        opened = opening(filled, spacing, *(number(f"nodules.{ball}_mm") for ball in balls))
        for level in levels:
            labels, count = ndimage.label(opened > level)
            if count == 0:
                break
            volume, axes = _moments(labels, count, spacing)
            shaped = (volume >= number("nodules.smallest_mm3")) & (volume <= number("nodules.largest_mm3"))
            shaped &= axes[:, 2] / axes[:, 0] < number("nodules.elongation")
            shaped &= _ellipsoid_share(volume, axes) > number("nodules.ellipsoid_share")
            shaped[np.unique(labels[taken])] = False
            shaped[0] = False
            boxes = ndimage.find_objects(labels)
            for n in np.flatnonzero(shaped):
                box = boxes[n - 1]
                part = labels[box] == n
                taken[box] |= part
                found.append(Lump(level, box, part))
    return found


def describe(lump: Lump, values: Float, spacing: Spacing) -> Shape:
    """Describe a lump of a map (see :class:`Shape`)."""
    pad = np.ceil(number("nodules.surroundings_mm") / spacing).astype(int)
    box = tuple(
        slice(max(0, s.start - int(p)), min(n, s.stop + int(p)))
        for s, p, n in zip(lump.box, pad, values.shape, strict=True)
    )
    part = np.zeros([s.stop - s.start for s in box], bool)
    part[tuple(slice(s.start - b.start, s.stop - b.start) for s, b in zip(lump.box, box, strict=True))] = lump.part
    here = values[box]
    lit = part & (here > lump.level)  # without the dark centre of a ring
    height = float(np.percentile(here[lit if lit.any() else part], 75))
    half = 0.5 * height
    reach = ndimage.distance_transform_edt(~part, sampling=spacing) <= number("nodules.rim_mm")
    bright = fill_holes(((here > half) & reach).astype(np.float32), spacing, [0.5])
    core = _main(opening(bright, spacing, number("nodules.opening_mm")) > 0.5, part)
    if not core.any():  # too small for the ball at half of its brightness
        core = _main(bright > 0.5, part)
    near = ndimage.distance_transform_edt(~core, sampling=spacing) <= number("nodules.rim_mm")
    body = _main((bright > 0.5) & near, core)
    away = ndimage.distance_transform_edt(~body, sampling=spacing)
    shell = (away > 1) & (away <= 3)
    around = here[shell] if shell.any() else np.zeros(1, np.float32)
    attached = float((around > half).mean())
    if attached < number("nodules.free"):
        core = body  # nothing touches it: nothing to cut off
    inner = ndimage.distance_transform_edt(np.pad(body, 1), sampling=spacing)
    volume, axes = _moments(body.astype(np.int32), 1, spacing)
    across = 2 * float(inner.max()) - float(spacing.min()) / 2
    return Shape(
        box=box,
        core=core,
        height=height,
        back=float(np.median(around)),
        across_mm=across,
        elongation=float(axes[1, 2] / axes[1, 0]),
        fill=float(_ellipsoid_share(volume, axes)[1]),
        compactness=across / float(np.cbrt(6 * volume[1] / np.pi)),
        attached=attached,
        volume_mm3=float(core.sum()) * float(np.prod(spacing)),
    )


def opening(values: Float, spacing: Spacing, *radii_mm: float) -> Float:
    """Grey-value opening by a ball: the highest level at which a ball through the voxel stays inside.

    Parameters
    ----------
    values : float32, shape (I, J, K)
        The map.
    spacing : float64, shape (3,)
        Voxel size in mm; along an axis with voxels larger than a radius nothing is done.
    *radii_mm : float
        Radius of the ball, in parts: two small balls one after the other make a large one for far fewer comparisons.
    """
    low = float(values.min())
    out = values
    for radius in radii_mm:
        out = _sweep(out, spacing, radius, np.minimum, low)
    for radius in radii_mm:
        out = _sweep(out, spacing, radius, np.maximum, low)
    return out


def fill_holes(values: Float, spacing: Spacing, levels: Sequence[float]) -> Float:
    """Raise what is enclosed at a level to that level: a lesion with a necrotic centre is one lesion.

    In thick slices a hole is closed when it is closed in its slice.
    """
    joined = ndimage.generate_binary_structure(3, 1)
    if is_thick(spacing):
        joined = joined & np.expand_dims(np.arange(3) == 1, _other_axes(int(spacing.argmax())))
    out = values
    for level in levels:
        labels, _ = ndimage.label(out <= level, joined)
        sizes = np.bincount(labels.ravel()) * float(np.prod(spacing))
        hole = sizes < number("nodules.largest_hole_mm3")
        hole[0] = False
        for axis in range(3):  # what reaches the edge of the map is not enclosed
            if not (is_thick(spacing) and axis == int(spacing.argmax())):
                for end in (0, -1):
                    hole[np.unique(labels.take(end, axis))] = False
        out = np.where(hole[labels], np.float32(np.nextafter(np.float32(level), np.float32(np.inf))), out)
    return out


def _main(candidates: Mask, part: Mask) -> Mask:
    """The connected set of voxels that holds most of a lump."""
    labels, _ = ndimage.label(candidates)
    counts = np.bincount(labels[part & candidates], minlength=2)
    counts[0] = 0
    return np.asarray((labels == int(counts.argmax())) & candidates, dtype=bool)


def _other_axes(axis: int) -> tuple[int, int]:
    first, second = (a for a in range(3) if a != axis)
    return first, second


def _sweep(values: Float, spacing: Spacing, radius_mm: float, best: np.ufunc, outside: float) -> Float:
    """Smallest (``np.minimum``) or largest (``np.maximum``) value within a radius of every voxel."""
    reach = [int(radius_mm / s + 1e-6) for s in spacing]
    padded = np.pad(values, [(r, r) for r in reach], constant_values=outside)
    out = values.copy()  # the step of zero
    for step in itertools.product(*(range(-r, r + 1) for r in reach)):
        if 0 < float(np.sum((np.array(step) * spacing) ** 2)) <= radius_mm**2 + 1e-6:
            moved = padded[tuple(slice(r + s, r + s + n) for r, s, n in zip(reach, step, values.shape, strict=True))]
            best(out, moved, out=out)
    return out


def _moments(
    labels: npt.NDArray[np.int32], count: int, spacing: Spacing
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Volume (mm3) of every label, and standard deviations along its axes (mm, ascending); row 0 is unused."""
    where = np.nonzero(labels)
    of = labels[where]
    points = [w * s for w, s in zip(where, spacing, strict=True)]
    number_of = np.maximum(np.bincount(of, minlength=count + 1), 1).astype(float)
    middle = [np.bincount(of, p, count + 1) / number_of for p in points]
    away = [p - m[of] for p, m in zip(points, middle, strict=True)]
    spread = np.zeros((count + 1, 3, 3))
    for a in range(3):
        for b in range(a, 3):
            spread[:, a, b] = spread[:, b, a] = np.bincount(of, away[a] * away[b], count + 1) / number_of
        spread[:, a, a] += spacing[a] ** 2 / 12
    axes = np.sqrt(np.maximum(np.linalg.eigvalsh(spread), 1e-6))
    return number_of * float(np.prod(spacing)), axes


def _ellipsoid_share(volume: npt.NDArray[np.float64], axes: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Volume over that of the ellipsoid with the same second moments (semi-axes sqrt(5) standard deviations)."""
    return np.asarray(volume / (4 / 3 * np.pi * np.prod(np.sqrt(5) * axes, axis=-1)), dtype=float)
