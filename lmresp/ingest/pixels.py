"""What the voxels of a series say where its headers do not: weighting, contrast agent, head or spine.

Cheap on purpose: a coarse grid, no registration, a few numbers. It is a tie-break among readings that the headers leave
open, never a reading of its own, and says nothing where the numbers lie between the limits of ``series_rules.yaml``.
The limits were chosen on the real series listed there.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from skimage.filters import threshold_otsu

from lmresp.ingest.header import limit
from lmresp.terms import BodyPart

Array = NDArray[np.float32]


@dataclasses.dataclass(frozen=True, slots=True)
class Coarse:
    """A volume on a coarse grid: voxels, axes in RAS+ order; affine (4 x 4), voxel index to world, mm."""

    array: Array
    affine: NDArray[np.float64]

    @property
    def edges(self) -> NDArray[np.float64]:
        """Voxel edges, mm."""
        edges: NDArray[np.float64] = np.sqrt((self.affine[:3, :3] ** 2).sum(axis=0))
        return edges


@dataclasses.dataclass(frozen=True, slots=True)
class Look:
    """Numbers of one volume; None where the volume does not allow them.

    ``bright`` and ``dark``: share of the deep upper head above and below the signal of brain tissue (fluid is one of
    them); ``near_fluid``: signal of tissue near dark fluid (grey matter) over that far from it (white matter);
    ``extents``: of what is not air, mm along right-left, front-back, up-down; ``top_closed``, ``through``: whether it
    ends below the upper border of the image, and whether it reaches both the upper and the lower border.
    """

    bright: float | None
    dark: float | None
    near_fluid: float | None
    extents: tuple[float, float, float]
    top_closed: bool
    through: bool


def coarse(image: Any, edge_mm: float) -> Coarse:
    """Average a volume over blocks of voxels.

    Parameters
    ----------
    image : nibabel image
        Three axes in RAS+ order.
    edge_mm : float
        Wanted voxel edge; an axis with longer voxels keeps them.
    """
    array = np.asarray(image.dataobj, dtype=np.float32)
    affine = np.array(image.affine, dtype=np.float64)
    edges = np.sqrt((affine[:3, :3] ** 2).sum(axis=0))
    step = np.clip(np.round(edge_mm / edges), 1, array.shape).astype(int)
    (i, j, k), (a, b, c) = (np.array(array.shape) // step).tolist(), step.tolist()
    blocks = array[: i * a, : j * b, : k * c].reshape(i, a, j, b, k, c)
    affine[:3, 3] += affine[:3, :3] @ ((step - 1) / 2)
    affine[:3, :3] *= step
    return Coarse(blocks.mean(axis=(1, 3, 5), dtype=np.float32), affine)


def look(one: Coarse) -> Look:
    """Numbers of one volume; see :class:`Look`."""
    array, edges = one.array, one.edges
    body = _body(array)
    if not body.any():
        return Look(None, None, None, (0.0, 0.0, 0.0), top_closed=False, through=False)
    spans = [np.nonzero(body.any(axis=tuple(b for b in range(3) if b != a)))[0] for a in range(3)]
    extents = tuple(round(float((np.ptp(s) + 1) * e), 1) for s, e in zip(spans, edges, strict=True))
    top, bottom = int(spans[2].max()), int(spans[2].min())
    places = {
        "extents": (extents[0], extents[1], extents[2]),
        "top_closed": top < array.shape[2] - 1,
        "through": top == array.shape[2] - 1 and bottom == 0,
    }
    depth = ndimage.distance_transform_edt(np.pad(body, 1), sampling=edges)[1:-1, 1:-1, 1:-1]
    down = (top - np.arange(array.shape[2])) * edges[2]
    low, high = limit("pixels", "below_top_mm")
    deep = (depth > limit("pixels", "deep_mm")) & ((down > low) & (down < high))[None, None, :]
    if deep.sum() * np.prod(edges) < limit("pixels", "least_mm3"):
        return Look(None, None, None, **places)
    tissue = float(np.median(array[deep]))
    bright = float((array[deep] > limit("pixels", "bright") * tissue).mean())
    dark = float((array[deep] < limit("pixels", "dark") * tissue).mean())
    return Look(round(bright, 4), round(dark, 4), _near_fluid(array, deep, tissue, edges), **places)


def weightings(found: Look) -> frozenset[str]:
    """Weightings (T1, T2, FLAIR) that the numbers of a head allow; all three when they do not tell."""
    everything = frozenset(("T1", "T2", "FLAIR"))
    if found.bright is None or found.dark is None:
        return everything
    share, times = limit("pixels", "fluid_share"), limit("pixels", "fluid_times")
    if found.bright > share and found.bright > times * found.dark:
        return frozenset(("T2",))
    if found.dark <= share or found.dark <= times * found.bright:
        return everything
    if found.near_fluid is not None and found.near_fluid <= limit("pixels", "grey_darker"):
        return frozenset(("T1",))
    if found.near_fluid is not None and found.near_fluid >= limit("pixels", "grey_brighter"):
        return frozenset(("FLAIR",))
    return frozenset(("T1", "FLAIR"))


def body_part(found: Look) -> BodyPart:
    """Head or spine by the shape of what is not air; unknown when it is neither."""
    width, depth, height = found.extents
    least, most = limit("pixels", "head_least_mm"), limit("pixels", "head_most_mm")
    fits = all(low <= e <= high for e, low, high in zip((width, depth), least, most, strict=False))
    if fits and height >= least[2] and found.top_closed:
        return BodyPart.BRAIN
    if width <= limit("geometry", "spine_width_mm") and height >= limit("pixels", "spine_least_mm") and found.through:
        return BodyPart.SPINE
    return BodyPart.UNKNOWN


def brighter(one: Coarse, other: Coarse) -> tuple[float, float] | None:
    """How much brighter and how much darker the brightest and darkest parts of one T1 are than those of another.

    Parameters
    ----------
    one, other : Coarse
        Two T1-weighted volumes of one session, made alike; they are laid over each other by their affines only.

    Returns
    -------
    tuple of float or None
        The 99.5th percentile and the negated 0.5th percentile of the difference, in units of the signal of tissue,
        after the gain and slow changes of brightness are taken out. Movement and noise make both equal; contrast agent
        makes the first larger. None when the volumes do not show the same place.
    """
    onto = np.linalg.inv(other.affine) @ one.affine
    moved = ndimage.affine_transform(
        other.array, onto[:3, :3], onto[:3, 3], output_shape=one.array.shape, order=1, mode="constant", cval=np.nan
    )
    inside = np.isfinite(moved)
    if inside.sum() * np.prod(one.edges) < limit("pixels", "least_mm3"):
        return None
    moved = np.nan_to_num(moved)
    both = ndimage.binary_erosion(_body(one.array, fill=False) & _body(moved, fill=False) & inside)
    if both.sum() * np.prod(one.edges) < limit("pixels", "least_mm3"):
        return None
    if np.corrcoef(one.array[both], moved[both])[0, 1] < limit("pixels", "least_correlation"):
        return None
    gain = np.median(one.array[both] / moved[both])
    difference = np.where(both, one.array - gain * moved, 0) / np.median(one.array[both])
    slow = _smooth(difference, one.edges) / np.maximum(_smooth(both, one.edges), 1e-3)
    values = (difference - slow)[both]
    return round(float(np.percentile(values, 99.5)), 4), round(float(-np.percentile(values, 0.5)), 4)


def contrast(tails: tuple[float, float] | None) -> str:
    """Which of two T1 was made after contrast, by :func:`brighter`: ``"one"``, ``"other"`` or ``""`` (not told)."""
    if tails is None or max(tails) < limit("pixels", "least_brighter"):
        return ""
    up, down = max(tails[0], 1e-3), max(tails[1], 1e-3)
    times = limit("pixels", "brighter_times")
    return "one" if up >= times * down else "other" if down >= times * up else ""


def _body(array: Array, *, fill: bool = True) -> NDArray[np.bool_]:
    """What is not air; filled, the largest piece without holes."""
    otsu: Any = threshold_otsu  # which has no types
    some = array[array > array.min()]
    body: NDArray[np.bool_] = array > (0.6 * float(otsu(some)) if some.size else np.inf)
    if not fill:
        return body
    labelled, count = ndimage.label(body)
    if count > 1:
        body = labelled == np.bincount(labelled.ravel())[1:].argmax() + 1
    filled: NDArray[np.bool_] = np.stack(
        [ndimage.binary_fill_holes(body[:, :, k]) for k in range(body.shape[2])], axis=2
    )
    return filled


def _near_fluid(array: Array, deep: NDArray[np.bool_], tissue: float, edges: NDArray[np.float64]) -> float | None:
    """Signal of tissue near dark fluid over that far from it, freed from slow changes of brightness."""
    low, high = limit("pixels", "tissue")
    fluid, solid = deep & (array < low * tissue), deep & (array > low * tissue) & (array < high * tissue)
    local = array / np.maximum(
        _smooth(np.where(solid, array, 0), edges) / np.maximum(_smooth(solid, edges), 1e-3), 1e-3 * tissue
    )
    away = ndimage.distance_transform_edt(~fluid, sampling=edges)
    first, last, beyond = limit("pixels", "near_far_mm")
    near, far = solid & (away > first) & (away <= last), solid & (away > beyond)
    if min(near.sum(), far.sum()) * np.prod(edges) < limit("pixels", "least_mm3") / 20:
        return None
    return round(float(np.median(local[near]) / np.median(local[far])), 4)


def _smooth(array: NDArray[Any], edges: NDArray[np.float64]) -> Array:
    smoothed: Array = ndimage.gaussian_filter(array.astype(np.float32), limit("pixels", "smooth_mm") / edges)
    return smoothed
