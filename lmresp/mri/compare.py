"""A scan against the reference scan and against the nadir: change of enhancement, nodules by their tracks."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from lmresp.mri import change, deformable, lattice, tracking
from lmresp.mri.earlier import NADIR_OF_IMAGES, Earlier
from lmresp.mri.enhancing import Enhancing
from lmresp.mri.measurement import LINEAR, NODULE, NORMAL, VENTRICLE, EarlierScan, KnownNodule
from lmresp.mri.methods import number
from lmresp.mri.prepare import Prepared
from lmresp.mri.ventricles import Ventricles
from lmresp.mri.volume import Mask, Volume

_FATES = {
    tracking.Fate.SAME: "",
    tracking.Fate.APPEARED: "new",
    tracking.Fate.MERGED: "merged",
    tracking.Fate.SPLIT: "split",
}


@dataclasses.dataclass(frozen=True, eq=False)
class Current:
    """The scan that is compared: ``labels`` its segmentation, ``pre`` its T1 before contrast in white-matter units."""

    scan: Prepared
    found: Enhancing
    spaces: Ventricles
    labels: Volume
    pre: Volume


@dataclasses.dataclass(frozen=True)
class NoduleState:
    """Track of a nodule (None for a mere candidate), its status against the reference scan, and a note."""

    track: int | None
    status: str
    note: str = ""


@dataclasses.dataclass(frozen=True, eq=False)
class Against:
    """What changed against one earlier scan; ``film`` holds the figures of :class:`lmresp.mri.draft.Compared`.

    ``moved``: ventricles changed so much that movement of the brain was removed first (deformable step).
    """

    earlier: EarlierScan
    why_not: str
    changed: change.Changed | None
    film: dict[str, float]
    new: int = 0
    lost: int = 0
    lost_unseen: int = 0
    moved: bool = False


@dataclasses.dataclass(frozen=True, eq=False)
class Tracked:
    """Nodules over visits: the state of each nodule of this scan, the tracks that are gone, film by component."""

    states: list[NoduleState]
    lost: list[dict[str, Any]]
    film: dict[int, str]
    default: str

    def film_status(self, label: int) -> str:
        """Status of a piece of film against the reference scan."""
        return self.film.get(label, self.default)


def with_earlier(now: Current, earlier: Earlier) -> tuple[list[Against], Tracked]:
    """Compare a scan with the reference scan and, where it is another one, with the nadir of film.

    Parameters
    ----------
    now : Current
        The scan.
    earlier : Earlier
        What it is compared with.

    Returns
    -------
    against : list of Against
        The reference scan first, then the nadir; empty where there is no reference scan or it cannot be compared.
    tracked : Tracked
    """
    lumps = now.found.nodules.nodules if now.found.nodules else []
    kept = [k for k, n in enumerate(lumps) if n.confidence >= number("draft.doubtful")]
    aligned = earlier.reference is not None and earlier.reference.aligned and not now.scan.pose.why
    visits = [[_lump(n) for n in visit] for visit in earlier.visits] if aligned else []
    here = [
        tracking.Lump(tuple(round(float(c), 1) for c in lumps[k].center_mm), lumps[k].long_mm, lumps[k].volume_mm3)  # type: ignore[arg-type]
        for k in kept
    ]
    rows = tracking.track([*visits, here])[-1]
    of = {kept[row.index]: row for row in rows if row.index is not None}
    if not aligned or earlier.reference is None:
        states = [
            NoduleState(of[k].track if k in of else None, "" if earlier.why else "baseline") for k in range(len(lumps))
        ]
        return [], Tracked(states, [], {}, "" if earlier.why or now.scan.pose.why else "baseline")
    against = [_against(now, earlier.reference, of)]
    nadir = earlier.nadir.get(NADIR_OF_IMAGES[0])
    if nadir is not None and nadir.scan != earlier.reference.scan and nadir.aligned:
        against.append(_against(now, nadir, of))
    before = {n.track: n for n in earlier.reference.nodules}
    states = [_state(now, k, of.get(k), before) for k in range(len(lumps))]
    known = {n.track: n for visit in earlier.visits for n in visit}
    gone = [_gone(row, known[row.track]) for row in rows if row.index is None]
    return against, Tracked(states, gone, _film_states(now, against[0]), "")


def pictures(now: Current, earlier: Earlier, against: Sequence[Against]) -> dict[str, Volume]:
    """Images for the page: the change map, and this scan on the reference lattice where that is another one."""
    out: dict[str, Volume] = {}
    if against and against[0].changed is not None:
        out["change"] = against[0].changed.grid.like(against[0].changed.difference)
    reference = earlier.reference
    if reference is None or not reference.aligned or now.scan.pose.why:
        return out
    if not lattice.same(now.scan.anchor, reference.anchor):
        out["reference_anchor"] = lattice.onto(now.scan.anchor, reference.anchor)
        out["reference_labels"] = lattice.onto(now.labels, reference.anchor, how="nearest")
    return out


def _lump(nodule: KnownNodule) -> tracking.Lump:
    return tracking.Lump(nodule.center_mm, nodule.long_mm, nodule.volume_mm3)


def _against(now: Current, earlier: EarlierScan, of: dict[int, tracking.Tracked]) -> Against:
    """Compare with one earlier scan on the coarser lattice of the two."""
    nothing = {"before_mm3": float(earlier.measures.get("LINEAR_VOL") or 0.0)}
    result = _changed(now, earlier)
    if result is None:
        which = "this" if now.found.why_not else "the earlier"
        return Against(earlier, f"the enhancement of {which} scan could not be judged", None, nothing)
    changed, moved = result
    lumps = now.found.nodules.nodules if now.found.nodules else []
    bar = number("draft.confident")
    sure_then = {n.track for n in earlier.nodules if n.sure}
    then = {n.track for n in earlier.nodules}
    new = sum(
        row.track not in then and _seen(lumps[k].center_mm, lumps[k].long_mm, changed.up, changed.grid)
        for k, row in of.items()
        if lumps[k].lm_related and lumps[k].confidence >= bar
    )
    here = {row.track for row in of.values()}
    missing = [n for n in earlier.nodules if n.track in sure_then and n.track not in here]
    unseen = sum(not _seen(np.array(n.center_mm), n.long_mm, changed.gone, changed.grid) for n in missing)
    film = {
        "net_mm3": changed.film.change_mm3,
        "sd_mm3": changed.film.sd_mm3,
        "before_mm3": changed.film.before_mm3,
        "up_mm3": changed.up_mm3,
        "down_mm3": changed.down_mm3,
        "hidden_up_mm3": changed.hidden_up_mm3,
        "hidden_down_mm3": changed.hidden_down_mm3,
    }
    return Against(earlier, "", changed, film, int(new), len(missing), int(unseen), moved)


def _changed(now: Current, earlier: EarlierScan) -> tuple[change.Changed, bool] | None:
    """Compare the two maps on the coarser lattice, with the movement between them removed where ventricles changed.

    None where the enhancement of one of the scans could not be judged.
    """
    if now.found.why_not or now.found.map is None or now.found.open_ is None:
        return None
    if earlier.enhancement is None or earlier.pre is None:
        return None
    grid = lattice.coarser(now.scan.anchor, earlier.anchor)
    here = {
        "e": lattice.onto(now.found.map.map, grid),
        "pre": lattice.onto(now.pre, grid),
        "labels": lattice.onto(now.labels, grid, how="nearest"),
        "brain": lattice.onto(now.scan.anchor.like(now.scan.mask), grid),
        "open": lattice.onto(now.scan.anchor.like(now.found.open_), grid),
    }
    then = lattice.onto(earlier.pre, grid)
    brain = _is(lattice.onto(earlier.anchor.like(earlier.brain), grid))
    moved = deformable.needed(earlier.measures.get("VENT_VOL"), now.spaces.volume_mm3)
    if moved:
        field = deformable.movement(then, here["pre"], brain | _is(here["brain"]))
        kinds = {"e": "cubic", "pre": "cubic", "labels": "nearest", "brain": "linear", "open": "linear"}
        here = {name: grid.like(deformable.warp(v, grid, field, how=kinds[name])) for name, v in here.items()}
    labels_now = here["labels"].array
    labels_then = lattice.onto(earlier.anchor.like(earlier.labels), grid, how="nearest").array
    states = [
        change.State(e, pre.array, noise, full, labels == LINEAR, labels == NODULE)
        for e, pre, noise, full, labels in (
            (here["e"], here["pre"], now.found.map.noise, now.found.full_signal, labels_now),
            (lattice.onto(earlier.enhancement, grid), then, earlier.noise, earlier.full_signal, labels_then),
        )
    ]
    brain &= _is(here["brain"])
    spaces = ndimage.binary_dilation((labels_now == VENTRICLE) | (labels_then == VENTRICLE))
    open_ = _is(here["open"]) & brain & ~spaces
    steps = np.maximum(1, np.round(number("change.rim_mm") / grid.spacing)).astype(int)
    near = ndimage.binary_dilation(brain, np.ones(2 * steps + 1, bool)) & ~spaces
    normal = (labels_now == NORMAL) | (labels_then == NORMAL) | (near & ~open_ & ~brain)
    found = change.compare(states[0], states[1], search=open_ & ~normal, hidden=near & ~open_, normal=normal)
    return found, moved


def _is(volume: Volume) -> Mask:
    return np.asarray(volume.array > 0.5, dtype=bool)


def _state(now: Current, k: int, row: tracking.Tracked | None, before: dict[int, KnownNodule]) -> NoduleState:
    """Status of a nodule against the reference scan, and what became of it since the last visit."""
    if row is None:
        return NoduleState(None, "")
    nodule = now.found.nodules.nodules[k] if now.found.nodules else None
    if nodule is None or row.track not in before:
        others = ", ".join(f"{t}" for t in row.others)
        note = f"split from track {others}" if row.fate is tracking.Fate.SPLIT else ""
        return NoduleState(row.track, _FATES[row.fate] or "new", note)
    then = before[row.track]
    gone = nodule.long_mm * nodule.perp_mm - then.long_mm * then.perp_mm
    spread = max(0.5, 0.5 * float(np.hypot(*np.sort(now.scan.anchor.spacing)[:2])))
    noise = spread * float(np.sqrt(2 * (then.long_mm**2 + then.perp_mm**2)))
    part = 0.01 * then.long_mm * then.perp_mm
    status = "unchanged"
    if gone > max(noise, number("draft.worse_percent") * part):
        status = "grown"
    elif -gone > max(noise, number("draft.improved_percent") * part):
        status = "shrunk"
    merged = ", ".join(f"{t}" for t in row.others) if row.fate is tracking.Fate.MERGED else ""
    return NoduleState(row.track, status, f"merged with track {merged}" if merged else "")


def _gone(row: tracking.Tracked, last: KnownNodule) -> dict[str, Any]:
    return {
        "track": row.track,
        "center_mm": list(last.center_mm),
        "long_mm": last.long_mm,
        "perp_mm": last.perp_mm,
        "fate": str(row.fate),
        "into": row.others[0] if row.others else None,
    }


def _film_states(now: Current, against: Against) -> dict[int, str]:
    """Status of every piece of film: what came or went inside it beyond its own uncertainty."""
    film, changed = now.found.film, against.changed
    if film is None or changed is None or against.moved or not lattice.same(now.scan.anchor, changed.grid):
        return {}
    out = {}
    boxes = ndimage.find_objects(film.labels)
    for piece in film.components:
        box = tuple(slice(max(0, s.start - 1), s.stop + 1) for s in boxes[piece.label - 1])
        inside = np.zeros(film.labels.shape, bool)
        inside[box] = ndimage.binary_dilation(film.labels[box] == piece.label)
        net = changed.net(inside)
        beyond = abs(net.change_mm3) > number("draft.linear_change_sd") * net.sd_mm3
        was = max(net.before_mm3, 0.0)
        status = "unchanged"
        if beyond and net.change_mm3 > 0:
            status = "new" if was < number("draft.film_new") * (was + net.change_mm3) else "grown"
        elif beyond:
            status = "shrunk"
        out[piece.label] = status
    return out


def _seen(center_mm: npt.NDArray[np.float64], long_mm: float, changed: Mask, grid: Volume) -> bool:
    """Whether the change map, too, shows something at the place of a nodule."""
    place = np.linalg.inv(grid.affine) @ [*center_mm, 1.0]
    reach = np.ceil(0.5 * long_mm / grid.spacing).astype(int)
    low = [max(0, round(c) - r) for c, r in zip(place[:3], reach, strict=True)]
    high = [max(0, round(c) + r + 1) for c, r in zip(place[:3], reach, strict=True)]
    return bool(changed[low[0] : high[0], low[1] : high[1], low[2] : high[2]].any())
