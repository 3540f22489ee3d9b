"""Nodules keep their identity over visits: the same, appeared, vanished, merged or split."""

from __future__ import annotations

import dataclasses
import enum
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from scipy.optimize import linear_sum_assignment

from lmresp.mri.methods import number

Pairs = npt.NDArray[np.bool_]


class Fate(enum.StrEnum):
    """What became of a nodule since the visit before."""

    SAME = "same"
    APPEARED = "appeared"
    VANISHED = "vanished"
    MERGED = "merged"
    SPLIT = "split"


@dataclasses.dataclass(frozen=True)
class Lump:
    """A nodule as tracking needs it.

    Parameters
    ----------
    center_mm : (x, y, z)
        Centre in the common space of the subject.
    long_mm : float
        Longest diameter.
    volume_mm3 : float
        Volume.
    """

    center_mm: tuple[float, float, float]
    long_mm: float
    volume_mm3: float


@dataclasses.dataclass(frozen=True)
class Tracked:
    """A nodule of one visit, or one that is gone at it.

    Parameters
    ----------
    track : int
        Identity over all visits, from 1 in order of appearance; never used twice.
    index : int or None
        Its place in the list of that visit; None if it is not there.
    fate : Fate
        Since the last visit at which anything of it was seen.
    others : tuple of int
        Tracks that merged into it, or, for a part that split off, the track it came from; for one that merged, the
        track it went into.
    """

    track: int
    index: int | None
    fate: Fate
    others: tuple[int, ...] = ()


def track(visits: Sequence[Sequence[Lump]]) -> list[list[Tracked]]:
    """Follow nodules through all visits.

    Parameters
    ----------
    visits : sequence of sequence of Lump
        The nodules of each visit, visits in order of time.

    Returns
    -------
    list of list of Tracked
        For each visit its nodules in the order given, then those that were there the visit before and are not any
        more (``VANISHED``, or ``MERGED`` into another).

    Notes
    -----
    Two lumps touch if their centres are closer than half the longer diameter plus ``tracking.slack_mm``. Touching
    lumps are paired one to one, as many as possible and with the least sum of distances (Hungarian method). A lump of
    the visit before that stays without partner has merged into a larger lump of this visit that holds its centre; an
    unpaired lump of this visit was split off if a larger one of the visit before held its centre. A track that
    vanished is taken up again by a lump that touches where it was last seen: a nodule missed at one visit keeps its
    name. The order of a list matters only for the numbers of tracks that appear together.
    """
    last: dict[int, Lump] = {}  # as last seen
    present: set[int] = set()
    out: list[list[Tracked]] = []
    for lumps in visits:
        named = _name(lumps, last, present)
        rows = [named[n] for n in range(len(lumps))]
        rows += _gone(lumps, rows, last, present)
        last |= {row.track: lumps[row.index] for row in rows if row.index is not None}
        present = {row.track for row in rows if row.index is not None}
        out.append(rows)
    return out


def _name(lumps: Sequence[Lump], last: dict[int, Lump], present: set[int]) -> dict[int, Tracked]:
    """Give every lump of a visit its track: first those present the visit before, then those seen earlier."""
    named: dict[int, Tracked] = {}
    for pool in (sorted(present), sorted(set(last) - present)):
        free = [n for n in range(len(lumps)) if n not in named]
        for old, new in _pair([last[t] for t in pool], [lumps[n] for n in free]):
            fate = Fate.SAME if pool[old] in present else Fate.APPEARED
            named[free[new]] = Tracked(pool[old], free[new], fate)
    following = max(last, default=0) + 1
    for n, lump in enumerate(lumps):
        if n not in named:
            parents = [t for t in sorted(present) if _within(lump, last[t])]
            fate = Fate.SPLIT if parents else Fate.APPEARED
            named[n] = Tracked(following, n, fate, tuple(parents))
            following += 1
    return named


def _gone(lumps: Sequence[Lump], rows: list[Tracked], last: dict[int, Lump], present: set[int]) -> list[Tracked]:
    """Tracks without a lump at this visit; the lumps they merged into are marked in ``rows``."""
    out = []
    for missing in sorted(present - {row.track for row in rows}):
        into = [n for n in range(len(lumps)) if rows[n].fate is not Fate.APPEARED and _within(last[missing], lumps[n])]
        if not into:
            out.append(Tracked(missing, None, Fate.VANISHED))
            continue
        n = min(into, key=lambda n: (_apart(last[missing], lumps[n]), n))
        out.append(Tracked(missing, None, Fate.MERGED, (rows[n].track,)))
        rows[n] = dataclasses.replace(rows[n], fate=Fate.MERGED, others=(*rows[n].others, missing))
    return out


def _pair(old: Sequence[Lump], new: Sequence[Lump]) -> list[tuple[int, int]]:
    """One to one pairs of touching lumps: as many as possible, then the smallest sum of distances."""
    if not old or not new:
        return []
    apart = np.array([[_apart(a, b) for b in new] for a in old])
    touching = np.array([[_touch(a, b) for b in new] for a in old])
    never = 1e3 * (1.0 + float(apart.max()))
    rows, columns = linear_sum_assignment(np.where(touching, apart, never))
    return [(int(i), int(j)) for i, j in zip(rows, columns, strict=True) if touching[i, j]]


def _apart(a: Lump, b: Lump) -> float:
    return float(np.linalg.norm(np.subtract(a.center_mm, b.center_mm)))


def _touch(a: Lump, b: Lump) -> bool:
    return _apart(a, b) <= 0.5 * max(a.long_mm, b.long_mm) + number("tracking.slack_mm")


def _within(part: Lump, whole: Lump) -> bool:
    """Whether the centre of a smaller lump lies inside a larger one."""
    return part.volume_mm3 < whole.volume_mm3 and _apart(part, whole) <= 0.5 * whole.long_mm
