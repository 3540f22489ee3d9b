"""From series as acquired to images on one lattice: resampled once, corrected for bias, with the brain mask."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np
from scipy import ndimage

from lmresp.mri import bias, brain, lattice, qc, quality, registration, template
from lmresp.mri.measurement import Pose
from lmresp.mri.methods import number, numbers, table
from lmresp.mri.volume import Mask, Matrix, Volume, VolumeError, resample

PICTURES = ("flair", "t2")  # shown, and evidence of flow voids; no number rests on their exact place

_DOUBTS = ("motion artefact", "coverage of the brain")


@dataclasses.dataclass(eq=False)
class Prepared:
    """A scan ready to be measured.

    Parameters
    ----------
    contrast : {"prepost", "post_only", "none"}
        What enhancement can rest on.
    anchor : Volume
        The T1 that carries the lattice (after contrast, or the plain one), in the common space.
    pose : Pose
        Where the scan lies.
    mask : bool, shape of ``anchor``
        Brain with its CSF.
    images : dict of str to Volume
        ``anchor``, ``pre``, ``flair``, ``t2``, ``brain``: those that exist, all on the lattice of ``anchor``.
    checks : list of dict
        Checks so far.
    edge_mm : float
        Longest voxel edge of the T1 images as acquired.
    quality : float
        0 to 1, what voxel size and checks allow.
    fine_t2 : bool
        The T2 is fine enough, and aligned finely enough, to show flow voids.
    """

    contrast: str
    anchor: Volume
    pose: Pose
    mask: Mask
    images: dict[str, Volume]
    checks: list[dict[str, Any]]
    edge_mm: float
    quality: float
    fine_t2: bool = False

    @property
    def to_template(self) -> Matrix:
        """Common space to template, mm."""
        return self.pose.to_template


def carrier(images: Mapping[str, Any]) -> str:
    """Role of the T1 that carries a scan: ``post`` where there is one, else ``pre``.

    Raises
    ------
    VolumeError
        If there is neither.
    """
    for role in ("post", "pre"):
        if role in images:
            return role
    raise VolumeError("no T1-weighted image of the head")


def prepare(images: Mapping[str, Volume], pose: Pose) -> Prepared:
    """Bring every image of a scan onto its lattice in the common space.

    Parameters
    ----------
    images : mapping of str to Volume
        By role: ``post`` and ``pre`` (T1 after and before contrast), ``flair``, ``t2``; at least one T1, as acquired.
    pose : Pose
        Where the scan lies.

    Returns
    -------
    Prepared

    Raises
    ------
    VolumeError
        If there is no T1, or no brain in it.
    RegistrationError
        If the two T1 do not overlap at all.

    Notes
    -----
    Every image is interpolated once: registration to the carrying T1 and the pose in the common space are composed
    first. Thick slices are not interpolated at all (see :func:`lmresp.mri.lattice.lattice`).
    """
    role = carrier(images)
    native = images[role]
    grid = lattice.lattice(native, pose.to_common, pose.box)
    back = np.asarray(np.linalg.inv(pose.to_common), dtype=float)
    checks = [*pose.checks, qc.check("coverage", _covered(native, pose))]
    motion = quality.ghosting(native)
    if motion is not None:
        checks.append(qc.check("motion", motion))
    anchor = grid.like(resample(native, grid, back, how="cubic"))
    found = brain.mask(anchor)
    if not found.mask.any():
        raise VolumeError(f"no brain found in the T1-weighted image ({found.note or found.method})")
    around = ndimage.binary_dilation(found.mask, iterations=2)
    prepared = {"anchor": bias.correct(anchor, around)}
    contrast = "prepost" if {"post", "pre"} <= set(images) else "post_only" if role == "post" else "none"
    if contrast == "prepost":
        brain_there = resample(anchor.like(found.mask), native, pose.to_common) > 0.5
        moved = _before_contrast(native, images["pre"], anchor, back, found.mask, brain_there)
        prepared["pre"] = bias.correct(moved, around)
    fine_t2 = "t2" in images and float(images["t2"].spacing.max()) <= number("volume.void_edge_mm")
    for name in PICTURES:
        if name in images:
            finest = 0.0 if name == "t2" and fine_t2 else number("registration.picture_mm")
            try:
                fit = registration.within_session(native, images[name], finest_mm=finest)
            except registration.RegistrationError:
                continue  # shown on the page only; its absence changes no number
            prepared[name] = grid.like(np.maximum(resample(images[name], grid, fit.matrix @ back), 0))
    prepared["brain"] = grid.like(found.mask)
    millilitres = float(found.mask.sum()) * grid.voxel_mm3 / 1000
    low, high = (qc.check(f"brain_volume_{side}", millilitres) for side in ("low", "high"))
    checks.append(high if low["result"] == "PASS" else low)
    expected = resample(template.load().brain, grid, pose.to_template)
    first = prepared.get("pre", prepared["anchor"])
    checks.append(qc.check("template", registration.correlation(first, grid.like(expected), found.mask)))
    edge = max(float(images[name].spacing.max()) for name in ("post", "pre") if name in images)
    checks.append(qc.check("slices", edge))
    steps = numbers("volume.quality_by_edge")
    worth = next(float(part) for longest, part in steps if edge <= longest)
    worth *= number("quality.doubt") ** sum(c["result"] == "WARN" for c in checks if c["check"] in _DOUBTS)
    return Prepared(
        contrast, prepared["anchor"], pose, found.mask, prepared, checks, edge, worth, fine_t2 and "t2" in prepared
    )


def _before_contrast(native: Volume, pre: Volume, anchor: Volume, back: Matrix, mask: Mask, inside: Mask) -> Volume:
    """Resample the T1 before contrast; where the header's pose misled, try every start.

    ``mask`` is the brain on the lattice, ``inside`` on the grid of ``native``.
    """
    fit = registration.within_session(native, pre, inside=inside)
    moved = anchor.like(resample(pre, anchor, fit.matrix @ back, how="cubic"))
    if registration.correlation(anchor, moved, mask) >= float(table()["qc"]["pre_to_post"]["warn"]):
        return moved
    other = registration.rigid_multistart(native, pre, inside=inside)
    if other.metric >= fit.metric:
        return moved
    return anchor.like(resample(pre, anchor, other.matrix @ back, how="cubic"))


def _covered(native: Volume, pose: Pose) -> float:
    """Part of the template's brain that lies inside the field of view."""
    base = template.load()
    inside = np.argwhere(base.mask[::2, ::2, ::2]) * 2
    world = base.brain.affine @ np.column_stack([inside, np.ones(len(inside))]).T
    voxel = np.linalg.inv(pose.to_template @ pose.to_common @ native.affine) @ world
    last = np.array(native.shape)[:, None] - 0.5
    return float(((voxel[:3] >= -0.5) & (voxel[:3] <= last)).all(axis=0).mean())
