"""Reading aid for one region of the spine: registration, subtraction, canal, and what enhances in it, for the reader.

No item of the draft rests on it, and that nothing was marked does not mean that nothing is there: film on the cord is
read with the lowest agreement of all items by humans, and slices of 3 mm hide much of it.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np
from scipy import ndimage

from lmresp.mri import canal, qc, spine_registration
from lmresp.mri.canal import Canal, upright
from lmresp.mri.diameters import of_lesion
from lmresp.mri.enhancement import EnhancementError, smooth
from lmresp.mri.methods import method_id, number, numbers
from lmresp.mri.registration import RegistrationError, correlation, rigid
from lmresp.mri.spine_registration import Points, moved
from lmresp.mri.volume import Float, Mask, Matrix, Volume, VolumeError, checked, resample, working_grid

KEYS = ("pre", "post", "t2")
FOR_THE_READER = "for the reader"
_REMARK = "Reading aid without a draft item. Nothing marked does not mean nothing there."
_TOUCHES = "reaches the margin of the canal: may be a vein or a root"
_FROM_T1 = "canal outlined on T1, less surely than on T2"


@dataclasses.dataclass(frozen=True)
class Candidate:
    """Enhancement inside the canal, for the reader to judge.

    Parameters
    ----------
    number : int
        From 1, top to bottom; its value in the label image.
    world_mm : tuple
        Brightest point, RAS+ mm of the post-contrast series.
    voxel : tuple
        The same in voxels of the post-contrast series as it was given.
    level_mm : float
        Distance along the canal from the top of the field of view to its middle.
    length_mm : float
        Extent along the canal.
    long_mm, perp_mm : float
        Longest diameter in the plane of the slices, and longest perpendicular, in the slice where they are largest.
    peak : float
        Largest enhancement, units of tissue signal.
    note : str
        ``for the reader``, and what speaks against it.
    """

    number: int
    world_mm: tuple[float, float, float]
    voxel: tuple[int, int, int]
    level_mm: float
    length_mm: float
    long_mm: float
    perp_mm: float
    peak: float
    note: str


@dataclasses.dataclass(frozen=True, eq=False)
class RegionAid:
    """Reading aid for one region.

    Parameters
    ----------
    why : tuple of str
        What could not be done, with the reason.
    checks : list of dict
        Rows of :func:`lmresp.mri.qc.check`.
    matrices : dict
        World mm of the post-contrast series to that of ``pre``, ``t2`` and ``reference`` (its post-contrast series).
    canal_from : str
        Series on which the canal was found; empty if it was not.
    figures : dict
        Size, contrast and outline of the canal.
    noise : float or None
        Standard deviation of the enhancement inside the canal.
    candidates : tuple of Candidate or None
        None where they were not looked for (``why`` says the reason).
    images : dict of Volume
        ``enhancement``, ``difference``, ``canal`` and ``candidates``, as far as they exist, all on one grid: a box
        around the canal on the lattice of the post-contrast series.
    """

    why: tuple[str, ...]
    checks: list[dict[str, Any]]
    matrices: dict[str, Matrix]
    canal_from: str
    figures: dict[str, float]
    noise: float | None
    candidates: tuple[Candidate, ...] | None
    images: dict[str, Volume]


@dataclasses.dataclass
class _Work:
    """What has been established so far."""

    why: list[str] = dataclasses.field(default_factory=list)
    checks: list[dict[str, Any]] = dataclasses.field(default_factory=list)
    matrices: dict[str, Matrix] = dataclasses.field(default_factory=dict)
    canal_from: str = ""
    figures: dict[str, float] = dataclasses.field(default_factory=dict)
    noise: float | None = None
    candidates: tuple[Candidate, ...] | None = None
    images: dict[str, Volume] = dataclasses.field(default_factory=dict)


def aid(series: Mapping[str, Volume], reference: Mapping[str, Volume] | None = None) -> RegionAid:
    """Prepare one region of one scan for the reader.

    Parameters
    ----------
    series : mapping
        Native images by ``pre`` and ``post`` (T1 before and after contrast agent) and ``t2``, as far as they exist.
    reference : mapping, optional
        The same region of the reference scan; ``pre`` and ``post`` are used.

    Returns
    -------
    RegionAid
        Bad data never raises: ``why`` says what could not be done.
    """
    work = _Work()
    try:
        _prepare(work, _usable(work, series, ""), None if reference is None else _usable(work, reference, "reference "))
    except (RegistrationError, EnhancementError, VolumeError) as error:
        work.why.append(str(error))
    return RegionAid(tuple(work.why), **{f.name: getattr(work, f.name) for f in dataclasses.fields(work)[1:]})


def rows(region: str, found: RegionAid) -> dict[str, Any]:
    """Reading aid as JSON.

    Parameters
    ----------
    region : str
        ``CERVICAL``, ``THORACIC``, ``LUMBAR`` or ``SPINE``.
    found : RegionAid
        Of :func:`aid`.
    """
    return {
        "region": region,
        "method": method_id("spine"),
        "remark": _REMARK,
        "why": list(found.why),
        "checks": found.checks,
        "canal": {"from": found.canal_from, **{k: round(v, 2) for k, v in sorted(found.figures.items())}},
        "noise": None if found.noise is None else round(found.noise, 4),
        "candidates": None if found.candidates is None else [_candidate_row(c) for c in found.candidates],
        "matrices": {k: np.round(v, 4).tolist() for k, v in sorted(found.matrices.items())},
        "images": sorted(found.images),
    }


def _candidate_row(one: Candidate) -> dict[str, Any]:
    return {
        **dataclasses.asdict(one),
        "world_mm": [round(x, 1) for x in one.world_mm],
        "voxel": list(one.voxel),
        **{name: round(getattr(one, name), 1) for name in ("level_mm", "length_mm", "long_mm", "perp_mm")},
        "peak": round(one.peak, 3),
    }


def _usable(work: _Work, series: Mapping[str, Volume], whose: str) -> dict[str, Volume]:
    out = {}
    for key in KEYS:
        if key in series:
            try:
                out[key] = checked(series[key].array, series[key].affine)
            except VolumeError as error:
                work.why.append(f"{whose}{key}: {error}")
    return out


def _prepare(work: _Work, given: Mapping[str, Volume], reference: Mapping[str, Volume] | None) -> None:
    finest = number("spine.finest_mm")
    images = {key: working_grid(upright(volume), finest) for key, volume in given.items()}
    found = _canal(work, images)
    if "post" not in images:
        work.why.append("no T1 after contrast agent in this region: enhancement cannot be judged")
    if found is None or found.mask is None:
        return
    source = images[work.canal_from]
    anchor = images.get("post", source)
    to_source: Matrix = np.eye(4)
    if anchor is not source:
        to_source = rigid(spine_registration.around(anchor, found.path), source, start=np.eye(4)).matrix
        work.matrices[work.canal_from] = to_source
    path = moved(found.path, np.linalg.inv(to_source))
    box = spine_registration.around(anchor, path)
    inside = resample(source.like(found.mask), box, to_source) > 0.5
    if not inside.any():
        work.why.append("the canal lies outside the T1 after contrast agent")
        return
    work.images["canal"] = box.like(inside)
    if "post" not in images:
        return
    if "pre" not in images:
        work.why.append("no T1 before contrast agent: enhancement cannot be told from fat, blood or slow flow")
        return
    now = _enhancement(work, box, images["pre"], path, inside, "pre")
    if now is None:
        return
    work.images["enhancement"] = now
    _find(work, now, _from_pre(box, images["pre"], work), path, inside, given["post"])
    if reference is not None:
        old = {key: working_grid(upright(volume), finest) for key, volume in reference.items()}
        _compare(work, anchor, box, path, inside, now, old)


def _canal(work: _Work, images: Mapping[str, Volume]) -> Canal | None:
    """Canal on T2; on a T1 only where there is no T2."""
    key = next((key for key in ("t2", "pre", "post") if key in images), None)
    if key is None:
        work.why.append("no image of this region")
        return None
    found = canal.find(images[key], bright=key == "t2")
    work.figures = found.figures
    if found.mask is None:
        work.why.append(f"{found.why} ({key})")
    else:
        work.canal_from = key
    return found


def _surround(box: Volume, path: Points, pre: Float) -> Mask:
    """Bone and muscle about the canal, without what is dark."""
    away = spine_registration.from_path(box, path)
    near, far = numbers("spine.surround_mm")
    return np.asarray((away > near) & (away < far) & (pre > number("spine.dark") * np.percentile(pre, 95)))


def _from_pre(box: Volume, pre: Volume, work: _Work) -> Volume:
    return box.like(resample(pre, box, work.matrices["pre"]))


def _enhancement(work: _Work, box: Volume, pre: Volume, path: Points, inside: Mask, name: str) -> Volume | None:
    """Enhancement in units of the tissue around the canal at the same height; None where it cannot be had."""
    whole = rigid(box, pre, start=np.eye(4)).matrix
    work.matrices[name] = whole
    sampled = box.like(spine_registration.sampled(box, pre, spine_registration.piecewise(box, pre, whole)))
    near = _surround(box, path, sampled.array)
    if near.sum() < 500:
        raise EnhancementError("too little tissue around the canal")
    work.checks.append(qc.check(f"spine_{name}", correlation(box, sampled, near | inside)))
    if work.checks[-1]["result"] == "FAIL":
        work.why.append("T1 before and after contrast agent do not match: other technique, fat suppression or movement")
        return None
    expected = _gain(box.array, sampled.array, near, inside) * sampled.array
    level = [
        float(np.median(v)) if (v := expected[:, :, k][near[:, :, k]]).size > 20 else np.nan
        for k in range(near.shape[2])
    ]
    unit = np.array(level)
    unit = np.where(np.isfinite(unit), unit, np.nanmedian(unit))
    unit = ndimage.gaussian_filter1d(unit, number("spine.unit_mm") / box.spacing[2], mode="nearest")
    if not unit.min() > 0:
        raise EnhancementError("the tissue around the canal has no signal")
    return box.like((box.array - expected) / unit)


def _gain(post: Float, pre: Float, near: Mask, inside: Mask) -> float:
    """Scanner gain from pre to post: the ratio in the canal, whose cord and CSF do not take up contrast agent.

    Disease can fill the canal; marrow and muscle, which enhance a little, bound the ratio from above. A fit with an
    offset through tissue would put the CSF of a healthy canal at -0.12.
    """
    low = number("spine.gain_from") * float(np.median(pre[near]))
    ratios = [float(np.median(post[m] / pre[m])) for where in (near, inside) if (m := where & (pre > low)).sum() >= 100]
    return min(ratios)


def _find(work: _Work, e: Volume, pre: Volume, path: Points, inside: Mask, native: Volume) -> None:
    """Noise, whether contrast agent was given, and the candidates."""
    smoothed = smooth(e, number("spine.smooth_mm"))
    low = smoothed[inside & (smoothed < 0)]
    work.noise = 1.4826 * float(np.median(-low)) if low.size else 0.0  # disease only adds: the lower half is noise
    work.checks.append(qc.check("spine_noise", work.noise))
    around = ndimage.distance_transform_edt(~inside, sampling=e.spacing)
    veins = smoothed[(around > 0) & (around < number("spine.veins_mm"))]
    given = float(np.percentile(veins, number("spine.veins_percentile"))) if veins.size else 0.0
    work.checks.append(qc.check("spine_contrast", given))
    if work.checks[-1]["result"] == "FAIL" or given < number("spine.veins_over_noise") * work.noise:
        work.why.append("no contrast agent seen: the veins around the canal do not enhance")
        return
    core = _core(e, inside, number("spine.margin_mm" if work.canal_from == "t2" else "spine.margin_t1_mm"))
    core &= ~_fat(pre, inside)
    high = max(number("spine.threshold"), number("spine.over_noise") * work.noise)
    labels, count = ndimage.label(core & (smoothed > number("spine.spread") * high), np.ones((3, 3, 3)))
    peaks = ndimage.maximum(smoothed, labels, np.arange(1, count + 1)) if count else []
    found = []
    for label in np.flatnonzero(np.asarray(peaks) >= high) + 1:
        part = labels == label
        one = _candidate(work, e, smoothed, part, core, path, native)
        if max(one.length_mm, one.long_mm) >= number("spine.least_mm"):
            found.append((one, part))
    found.sort(key=lambda pair: pair[0].level_mm)
    del found[int(number("spine.most")) :]
    work.candidates = tuple(dataclasses.replace(one, number=n) for n, (one, _) in enumerate(found, 1))
    picture = np.zeros(e.shape, dtype=np.float32)
    for n, (_, part) in enumerate(found, 1):
        picture[part] = n
    work.images["candidates"] = e.like(picture)


def _core(e: Volume, inside: Mask, margin: float) -> Mask:
    """The canal without its ends, its outermost slices (``spine.side_mm``) and a margin in their plane."""
    away = np.stack(
        [ndimage.distance_transform_edt(np.pad(one, 1, mode="edge"), sampling=e.spacing[1:]) for one in inside]
    )
    slices = max(1, round(number("spine.side_mm") / float(e.spacing[0])))
    sides = ndimage.binary_erosion(inside, np.ones((1 + 2 * slices, 1, 1)))
    core = (away[:, 1:-1, 1:-1] > margin) & sides
    levels = np.flatnonzero(inside.any(axis=(0, 1)))
    end = round(number("spine.ends_mm") / float(e.spacing[2]))
    core[:, :, : levels[0] + end] = False
    core[:, :, levels[-1] + 1 - end :] = False
    return np.asarray(core)


def _fat(pre: Volume, inside: Mask) -> Mask:
    """Fat at the edge of the canal before contrast agent, and the pixels next to it."""
    bright = pre.array > number("spine.fat") * float(np.percentile(pre.array[inside], 75))
    return np.asarray(ndimage.binary_dilation(bright, np.ones((1, 3, 3))))


def _candidate(
    work: _Work, e: Volume, smoothed: Float, part: Mask, core: Mask, path: Points, native: Volume
) -> Candidate:
    at = np.argwhere(part)
    values = smoothed[part]
    peak = at[int(values.argmax())]
    world = (e.affine @ [*peak, 1.0])[:3]
    voxel = np.rint((np.linalg.inv(native.affine) @ [*world, 1.0])[:3]).astype(int)
    run = np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(path, axis=0), axis=1))])
    points = moved(at, e.affine)
    along = np.interp(-points[:, 2], -path[:, 2], run)
    box = tuple(slice(max(0, a - 2), b + 3) for a, b in zip(at.min(axis=0), at.max(axis=0), strict=True))
    diameters = of_lesion(smoothed[box], part[box], 0.5 * float(values.max()), e.spacing, axis=0)
    notes = [FOR_THE_READER]
    if (ndimage.binary_dilation(part[box]) & ~core[box]).any():
        notes.append(_TOUCHES)
    if work.canal_from != "t2":
        notes.append(_FROM_T1)
    return Candidate(
        number=0,
        world_mm=(float(world[0]), float(world[1]), float(world[2])),
        voxel=(int(voxel[0]), int(voxel[1]), int(voxel[2])),
        level_mm=float((along.min() + along.max()) / 2),
        length_mm=float(np.ptp(along) + e.spacing[2]),
        long_mm=diameters.long_mm,
        perp_mm=diameters.perp_mm,
        peak=float(values.max()),
        note="; ".join(notes),
    )


def _compare(
    work: _Work,
    anchor: Volume,
    box: Volume,
    path: Points,
    inside: Mask,
    now: Volume,
    reference: Mapping[str, Volume],
) -> None:
    """Reference visit on the current one, and the difference of their enhancement."""
    missing = [key for key in ("post", "pre") if key not in reference]
    if missing:
        work.why.append(f"reference scan without T1 {missing[0]}: no difference map")
        return
    to_reference, ahead = spine_registration.to_reference(anchor, box, reference["post"])
    work.matrices["reference"] = to_reference
    sampled = box.like(resample(reference["post"], box, to_reference))
    seen = resample(reference["post"].like(np.ones(reference["post"].shape)), box, to_reference) > 0.99
    near = (_surround(box, path, box.array) | inside) & seen
    work.checks.append(qc.check("spine_overlap", float(seen[inside].mean())))
    work.checks.append(qc.check("spine_reference", correlation(box, sampled, near)))
    work.checks.append(qc.check("spine_level", ahead))
    if qc.worst([row["result"] for row in work.checks[-3:]]) == "FAIL":
        work.why.append("the reference scan does not match: another subject, other technique or other levels")
        return
    old_path = moved(path, to_reference)
    old_box = spine_registration.around(reference["post"], old_path)
    old_inside = resample(box.like(inside), old_box, np.asarray(np.linalg.inv(to_reference))) > 0.5
    before = _enhancement(work, old_box, reference["pre"], old_path, old_inside, "reference_pre")
    if before is None:
        return
    covered = resample(before.like(np.ones(before.shape)), box, to_reference) > 0.99
    difference = np.where(covered, now.array - resample(before, box, to_reference), 0.0)
    work.images["difference"] = box.like(difference)
