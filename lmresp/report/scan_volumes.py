"""The volumes that a scan page carries: cropped, air set to zero, one byte a voxel, predicted, gzip, base64.

A page has a budget of bytes. The T1 after contrast keeps its full resolution as long as it can; the series to switch
to are cut to the brain and its surroundings, then made coarser, and what was done is said on the page.
"""

from __future__ import annotations

import base64
import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from lmresp import store
from lmresp.report.slices import Volume

Kind = Literal["grey", "label", "signed"]
Mask = npt.NDArray[np.bool_]

LIMIT = 11_300_000  # bytes of base64; the page stays below 12 MB
PRIMARY_PART = 0.74  # of it at most, for the images of the first view
SIGNED_STEP = 0.01  # of a change map or subtraction; the codes reach -1.27 to 1.27
HEADROOM = 1.25  # codes reach this many times the upper end of the window, for a wider one


@dataclasses.dataclass(frozen=True)
class Job:
    """One volume to be carried.

    Parameters
    ----------
    name, title : str
        Its name among the volumes, and in words.
    volume : Volume
        What is shown.
    kind : {"grey", "label", "signed"}
        Grey: codes 0 to 255 from 0 to ``top``. Signed: 128 is zero, in steps of ``SIGNED_STEP``. Label: as it is.
    inside : bool, shape of the volume
        What is kept; the rest is zero.
    away : float32, every second voxel, or None
        Distance to the brain in mm, see :func:`distance`; by it the volume may be cut to the surroundings of the brain.
    top : float
        Signal of the highest code.
    coarse : int
        Codes are rounded to multiples of this; noise costs bytes.
    """

    name: str
    title: str
    volume: Volume
    kind: Kind
    inside: Mask
    away: npt.NDArray[np.float32] | None = None
    top: float = 1.0
    coarse: int = 1


@dataclasses.dataclass(frozen=True)
class Plan:
    """How volumes are made smaller: margin about the brain in mm (None: the whole head), edge of a voxel in mm."""

    margin: float | None = None
    edge: float = 0.0

    @property
    def words(self) -> str:
        """What was done, in words; empty if nothing was."""
        cut = "" if self.margin is None else f"shown to {self.margin:.0f} mm about the brain"
        coarse = f"in voxels of {self.edge:g} mm" if self.edge > 1 else ""
        return " and ".join(filter(None, [cut, coarse]))


PRIMARY = (Plan(), Plan(edge=1.0), Plan(20, 1.0), Plan(15, 1.5), Plan(15, 2.0), Plan(10, 3.0), Plan(10, 4.0))
SECONDARY = (Plan(), *(Plan(10, edge) for edge in (0.0, 1.0, 1.25, 1.5, 1.75, 2.0, 2.5, 3.0, 4.0)))


@dataclasses.dataclass(frozen=True)
class Packed:
    """Volumes ready for the page: their description, their base64, and what had to be given up."""

    about: Mapping[str, Mapping[str, Any]]
    texts: Mapping[str, str]
    notes: Sequence[str]


def head_mask(volume: Volume) -> Mask:
    """Head of an image: the largest bright region, a little wider, with its holes filled.

    Made on every second voxel, which is enough to tell the air outside.
    """
    array = volume.array[::2, ::2, ::2]
    bright = array > 0.1 * float(np.percentile(array, 99))
    regions, count = ndimage.label(bright)
    if count == 0:
        return np.ones(volume.array.shape, bool)
    sizes = np.bincount(regions.ravel())[1:]
    largest = ndimage.binary_dilation(regions == 1 + int(sizes.argmax()), iterations=2)
    return _doubled(ndimage.binary_fill_holes(largest), volume.array.shape)


def _doubled(mask: Mask, shape: tuple[int, ...]) -> Mask:
    big = mask.repeat(2, 0).repeat(2, 1).repeat(2, 2)
    return np.asarray(big[: shape[0], : shape[1], : shape[2]], dtype=bool)


def distance(brain: Volume) -> npt.NDArray[np.float32]:
    """Distance to the brain in mm, of every second voxel of a brain mask."""
    outside = ~(brain.array[::2, ::2, ::2] > 0)
    return np.asarray(ndimage.distance_transform_edt(outside, sampling=2 * brain.spacing), dtype=np.float32)


def near(away: npt.NDArray[np.float32], margin: float, shape: tuple[int, ...]) -> Mask:
    """Brain and ``margin`` mm about it, in all voxels of a volume of that shape."""
    return _doubled(away <= margin, shape)


def _kept(job: Job, plan: Plan) -> Mask:
    if plan.margin is None or job.away is None:
        return job.inside
    return job.inside & near(job.away, plan.margin, job.inside.shape)


def _coarser(job: Job, inside: Mask, edge: float) -> tuple[Volume, Mask]:
    """Enlarge the voxels to ``edge`` mm where they are smaller; labels keep the middle voxel's."""
    factor = np.maximum(1.0, edge / job.volume.spacing)
    if (factor < 1.001).all():
        return job.volume, inside
    array, offset = job.volume.array, (factor - 1) / 2
    shape = tuple(int(n) for n in np.maximum(1, np.floor(np.array(array.shape) / factor)))
    order = 0 if job.kind == "label" else 1
    smooth = ndimage.gaussian_filter(array.astype(np.float32), 0.35 * (factor - 1) * 1.2) if order else array
    made = ndimage.affine_transform(smooth, factor, offset, shape, order=order, mode="nearest")
    covered = ndimage.affine_transform(inside.astype(np.uint8), factor, offset, shape, order=0, mode="nearest") > 0
    affine = job.volume.affine @ np.block([[np.diag(factor), offset[:, None]], [np.zeros((1, 3)), np.ones((1, 1))]])
    return Volume(made, affine), covered


def _codes(job: Job, array: npt.NDArray[Any], inside: Mask) -> npt.NDArray[np.uint8]:
    if job.kind == "label":
        return np.where(inside, array, 0).astype(np.uint8)
    scaled = array.astype(np.float32) * (255 / job.top if job.kind == "grey" else 1 / SIGNED_STEP)
    scaled = np.rint(scaled / job.coarse) * job.coarse
    if job.kind == "grey":
        return np.where(inside, np.clip(scaled, 0, 255), 0).astype(np.uint8)
    return np.where(inside, np.clip(scaled, -127, 127) + 128, 128).astype(np.uint8)


def predicted(codes: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """Differences to the median of left, upper and left + upper - corner (as in lossless JPEG-LS), modulo 256.

    Makes gzip a tenth better on images with noise. Left is the neighbour along the first axis, upper along the second.
    """
    x = codes.astype(np.int16)
    left, up, corner = np.zeros_like(x), np.zeros_like(x), np.zeros_like(x)
    left[1:], up[:, 1:], corner[1:, 1:] = x[:-1], x[:, :-1], x[:-1, :-1]
    guess = np.clip(left + up - corner, np.minimum(left, up), np.maximum(left, up))
    return np.asarray((x - guess) & 255, dtype=np.uint8)


def _encoded(job: Job, plan: Plan, keep: Mask | None = None) -> tuple[dict[str, Any], str]:
    """Describe and encode one volume; its box is that of what is kept."""
    volume, inside = _coarser(job, _kept(job, plan) if keep is None else keep, plan.edge)
    spans = [np.flatnonzero(inside.any(axis=tuple(a for a in range(3) if a != axis))) for axis in range(3)]
    low = [int(span[0]) if span.size else 0 for span in spans]
    high = [int(span[-1]) + 1 if span.size else 1 for span in spans]
    part = tuple(slice(a, b) for a, b in zip(low, high, strict=True))
    codes = _codes(job, volume.array[part], inside[part])
    affine = volume.affine.copy()
    affine[:3, 3] = (volume.affine @ [*low, 1.0])[:3]
    step = {"grey": job.top / 255, "label": 1.0, "signed": SIGNED_STEP}[job.kind]
    about = {
        "kind": job.kind,
        "shape": list(codes.shape),
        "affine": np.round(affine[:3], 6).ravel().tolist(),
        "step": step,
        "zero": 128 if job.kind == "signed" else 0,
    }
    content = store.gzip_bytes(predicted(codes).tobytes(order="F"))
    return about, base64.b64encode(content).decode("ascii")


def _attempt(jobs: Sequence[Job], plan: Plan, keeps: Sequence[Mask]) -> dict[str, tuple[dict[str, Any], str]]:
    return {job.name: _encoded(job, plan, keep) for job, keep in zip(jobs, keeps, strict=True)}


def _fitting(
    jobs: Sequence[Job], plans: Sequence[Plan], limit: int, bytes_a_voxel: float
) -> tuple[dict[str, tuple[dict[str, Any], str]], Plan | None]:
    """Encode by the first plan that fits; plans that cannot fit by far are passed over unmade."""
    if not jobs:
        return {}, plans[0]
    for plan in plans:
        keeps = [_kept(job, plan) for job in jobs]
        finer = [float(np.prod(np.maximum(1.0, plan.edge / job.volume.spacing))) for job in jobs]
        expected = bytes_a_voxel * sum(int(k.sum()) / f for k, f in zip(keeps, finer, strict=True))
        if expected > 2 * limit:
            continue
        made = _attempt(jobs, plan, keeps)
        if sum(len(text) for _, text in made.values()) <= limit:
            return made, plan
    return {}, None


def pack(primary: Sequence[Job], secondary: Sequence[Sequence[Job]], *, limit: int = LIMIT) -> Packed:
    """Encode the volumes of a page within its budget.

    Parameters
    ----------
    primary : sequence of Job
        Volumes of the first view.
    secondary : sequence of sequence of Job
        Groups of volumes to switch to; an earlier group leaves no less than its even share to the later ones.
    limit : int
        Bytes of base64 for all of them.

    Returns
    -------
    Packed
        Volumes that fit in no size are left out, and ``notes`` says so.

    Notes
    -----
    The median predictor is that of LOCO-I (Weinberger et al. 2000, doi:10.1109/83.855427).
    """
    notes = []
    made, plan = _fitting(primary, PRIMARY, int(limit * PRIMARY_PART), 0.0)
    if plan is None:
        notes.append("The images are too large for a page and are left out.")
    elif plan.words:
        notes.append(f"To keep the page small, {plan.words}: {_names(primary)}.")
    voxels = sum(int(job.inside.sum()) for job in primary if job.kind == "grey")
    bytes_a_voxel = sum(len(text) for _, text in made.values()) / max(voxels, 1)
    groups = [group for group in secondary if group]
    for place, group in enumerate(groups):
        left = limit - sum(len(text) for _, text in made.values())
        more, plan = _fitting(group, SECONDARY, left // (len(groups) - place), bytes_a_voxel)
        made |= more
        if plan is None:
            notes.append(f"Too large for this page and left out: {_names(group)}.")
        elif plan.words:
            notes.append(f"To keep the page small, {plan.words}: {_names(group)}.")
    return Packed({k: v[0] for k, v in made.items()}, {k: v[1] for k, v in made.items()}, notes)


def _names(jobs: Sequence[Job]) -> str:
    return " and ".join(dict.fromkeys(job.title for job in jobs))


def grey_job(
    name: str, title: str, volume: Volume, window_top: float, inside: Mask, away: npt.NDArray[np.float32] | None
) -> Job:
    """Return the job of a grey image; its codes reach beyond the upper end of the window."""
    return Job(name, title, volume, "grey", inside, away, window_top * HEADROOM)
