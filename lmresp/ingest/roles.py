"""Which series of a scan is measured as what: after contrast, before contrast, FLAIR, T2."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from lmresp import terms

BRAIN = (terms.BodyPart.BRAIN.value, terms.BodyPart.UNKNOWN.value)


class Role(NamedTuple):
    """Name of the series chosen for a role, and why it was chosen."""

    series: str
    reason: str


def choose_roles(series: Sequence[Mapping[str, Any]]) -> dict[str, Role]:
    """Choose the series of the head to measure.

    Parameters
    ----------
    series : sequence of mappings
        The ``series`` of a scan record, in the order of acquisition.

    Returns
    -------
    dict of str to Role
        Keys among ``post``, ``pre``, ``flair``, ``t2``; a role nobody can play is absent. A T1 whose contrast state is
        unknown plays ``pre`` only where there is no other T1: it then shows anatomy, never a finding.

    Notes
    -----
    Order of preference: a series of the head by its header, original before reformatted, 3D before 2D, (pre only) the
    same acquisition and pulse sequence as the post-contrast T1, the smallest voxels, the latest.
    """
    roles: dict[str, Role] = {}
    post = _best(series, [terms.Sequence.T1_POST])
    if post:
        roles["post"] = post
    like = next((s for s in series if post and s["series"] == post.series), None)
    pre = _best(series, [terms.Sequence.T1_PRE], like)
    if pre is None and post is None:
        unknown = _best(series, [terms.Sequence.T1_UNKNOWN])
        pre = unknown and Role(unknown.series, "contrast state not known: anatomy only; " + unknown.reason)
    if pre:
        roles["pre"] = pre
    flair = _best(series, [terms.Sequence.FLAIR]) or _best(series, [terms.Sequence.FLAIR_POST])
    if flair:
        roles["flair"] = flair
    t2 = _best(series, [terms.Sequence.T2])
    if t2:
        roles["t2"] = t2
    return roles


def candidates(series: Sequence[Mapping[str, Any]], sequences: Sequence[terms.Sequence]) -> list[Mapping[str, Any]]:
    """Usable series of the head with one of these sequences."""
    wanted = {s.value for s in sequences}
    return [s for s in series if s["use"] and s["sequence"] in wanted and s["body_part"] in BRAIN]


def _best(
    series: Sequence[Mapping[str, Any]], sequences: Sequence[terms.Sequence], like: Mapping[str, Any] | None = None
) -> Role | None:
    able = candidates(series, sequences)
    if not able:
        return None

    def rank(item: tuple[int, Mapping[str, Any]]) -> tuple[Any, ...]:
        number, one = item
        facts = one["facts"]
        unlike = like is not None and (one["acquisition"], facts.get("scanning_sequence")) != (
            like["acquisition"], like["facts"].get("scanning_sequence"),
        )  # fmt: skip
        volume = round(math.prod(facts.get("spacing_mm") or [100.0]), 2)
        known = one["body_part"] == terms.BodyPart.BRAIN.value
        return (not known, bool(facts.get("derived")), unlike, one["acquisition"] != "3D", volume, -number)

    chosen = min(enumerate(able), key=rank)[1]
    spacing = " x ".join(f"{v:.2f}" for v in chosen["facts"].get("spacing_mm") or []) or "unknown"
    if len(able) == 1:
        return Role(chosen["series"], "the only one")
    return Role(chosen["series"], f"one of {len(able)}: {chosen['acquisition']}, voxels {spacing} mm")
