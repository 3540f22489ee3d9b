"""Choosing by voxels what the headers of a series leave open; the numbers are those of :mod:`lmresp.ingest.pixels`.

Only such series are read, and what was seen of them is kept by the digest of their content: a second index reads none.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

from lmresp import store
from lmresp.ingest import pixels
from lmresp.ingest.convert import load_series
from lmresp.ingest.header import limit, rules, rules_text
from lmresp.ingest.series import Class, classify
from lmresp.ingest.session import T1, alike
from lmresp.ingest.stacks import Stack
from lmresp.ingest.unreadable import UnreadableSeries
from lmresp.terms import BodyPart, Sequence

FORMAT = "lmresp-pixels/1"
READER = "1"  # raise when the reading of voxels changes, so that old caches are not used


class Looks:
    """What the voxels of series say, kept in a cache.

    Parameters
    ----------
    study_folder : Path
        The study.
    cache_file : Path
        Where the numbers are kept, by the digests of the series; it holds nothing else.
    """

    def __init__(self, study_folder: Path, cache_file: Path) -> None:
        self._folder, self._file = study_folder, cache_file
        self._key = store.sha256_text(READER + rules_text())
        self._used: dict[str, Any] = {}
        try:
            cache = store.read_json(cache_file)
            self._known = dict(cache["looks"]) if (cache["format"], cache["key"]) == (FORMAT, self._key) else {}
        except (OSError, ValueError, KeyError, TypeError):  # a damaged cache is no cache
            self._known = {}

    def save(self) -> None:
        """Write the cache, when anything was looked at."""
        if self._used or self._file.is_file():
            content = {"format": FORMAT, "key": self._key, "looks": self._used}
            store.write_json(self._file, content, only_if_changed=True)

    def one(self, stack: Stack) -> pixels.Look | None:
        """Numbers of one series; None when it cannot be read or is too large to be looked at."""
        if stack.digest not in self._used:
            self._used[stack.digest] = self._known.get(stack.digest) or self._look(stack)
        seen = self._used[stack.digest]
        return None if "problem" in seen else pixels.Look(**seen | {"extents": tuple(seen["extents"])})

    def pair(self, stack: Stack, other: Stack) -> tuple[float, float] | None:
        """Numbers of two T1 of one session (:func:`lmresp.ingest.pixels.brighter`); None when there are none."""
        name = f"{stack.digest} {other.digest}"
        if name not in self._used:
            self._used[name] = self._known.get(name) or self._compare(stack, other)
        seen = self._used[name]
        return None if "problem" in seen else (seen["tails"][0], seen["tails"][1])

    def _look(self, stack: Stack) -> dict[str, Any]:
        try:
            return dataclasses.asdict(pixels.look(self._read(stack, "edge_mm")))
        except UnreadableSeries as error:
            return {"problem": str(error)}

    def _compare(self, stack: Stack, other: Stack) -> dict[str, Any]:
        try:
            tails = pixels.brighter(self._read(stack, "pair_edge_mm"), self._read(other, "pair_edge_mm"))
        except UnreadableSeries as error:
            return {"problem": str(error)}
        return {"problem": "they do not show the same place"} if tails is None else {"tails": tails}

    def _read(self, stack: Stack, edge: str) -> pixels.Coarse:
        header = stack.header
        if header.rows * header.columns * stack.slices > limit("pixels", "max_voxels"):
            raise UnreadableSeries("too large to be looked at")
        record = {"source": header.source, "files": stack.files, "facts": stack.facts}
        image, _ = load_series(self._folder, record)
        return pixels.coarse(image, limit("pixels", edge))


def weighting(stack: Stack, one: Class, looks: Looks) -> Class:
    """Choose between weightings that contradict each other, when the voxels allow only one of them."""
    if not one.options or stack.problem:
        return one
    found = looks.one(stack)
    left = [] if found is None else [kind for kind in one.options if kind in pixels.weightings(found)]
    return classify(stack.header, stack.extents, chosen=left[0]) if len(left) == 1 else one


def body_part(stack: Stack, one: Class, looks: Looks) -> Class:
    """Tell head from spine where neither header nor field of view does."""
    anatomy = (*T1, Sequence.T2, Sequence.FLAIR, Sequence.FLAIR_POST)
    if one.body_part is not BodyPart.UNKNOWN or one.sequence not in anatomy or stack.problem:
        return one
    found = looks.one(stack)
    part = BodyPart.UNKNOWN if found is None else pixels.body_part(found)
    if part is BodyPart.UNKNOWN:
        return one
    reason = f"{one.reason}; the voxels show a {'head' if part is BodyPart.BRAIN else 'spine'}"
    return dataclasses.replace(one, body_part=part, reason=reason)


def contrast(stacks: list[Stack], classes: list[Class], looks: Looks) -> list[Class]:
    """Tell apart two T1 of a session that were made alike, where one is brighter in places than the other.

    Parameters
    ----------
    stacks, classes : list
        The series of one session, in the same order.
    looks : Looks
        What the voxels say.

    Returns
    -------
    list of Class
        The classes, with the settled ones replaced. What headers, clock or order have told is never changed; a T1
        with several mates that disagree stays unknown.
    """
    out = list(classes)
    for i, mine in enumerate(classes):
        if mine.sequence is not Sequence.T1_UNKNOWN or stacks[i].problem:
            continue
        votes = set()
        for j, other in enumerate(classes):
            if j == i or stacks[j].problem or not alike(stacks[i].header, mine, stacks[j].header, other):
                continue
            said = pixels.contrast(looks.pair(stacks[i], stacks[j]))
            votes |= {"one": {Sequence.T1_POST}, "other": {Sequence.T1_PRE}}.get(said, set())
            same = {"one": Sequence.T1_POST, "other": Sequence.T1_PRE}.get(said)
            if same is other.sequence:  # brighter than one after contrast, or darker than one before it
                votes |= set(T1)
        if len(votes) == 1:
            base = mine.reason.rsplit("; ", 1)[0]
            kind = votes.pop()
            what = "brighter than" if kind is Sequence.T1_POST else "without the bright places of"
            reason = f"{base}; the voxels are {what} those of the T1 made alike"
            sure = rules()["confidence"]["pixels"]
            out[i] = dataclasses.replace(mine, sequence=kind, reason=reason, confidence=sure)
    return out
