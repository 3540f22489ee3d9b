"""The record of one scan: its series, what each shows and whether it is used."""

from __future__ import annotations

import dataclasses
from collections import defaultdict
from collections.abc import Mapping
from pathlib import PurePosixPath
from typing import Any

from lmresp import terms
from lmresp.ingest import assign, bids, scan_checks, tie_break
from lmresp.ingest.header import limit, rules
from lmresp.ingest.headers import File
from lmresp.ingest.roles import choose_roles
from lmresp.ingest.series import Class, classify
from lmresp.ingest.session import settle_clock, settle_contrast
from lmresp.ingest.stacks import Stack, build_stacks
from lmresp.ingest.tie_break import Looks
from lmresp.queries import Query, make

NAMES = {
    terms.Sequence.T1_PRE: "T1-pre",
    terms.Sequence.T1_POST: "T1-post",
    terms.Sequence.T1_UNKNOWN: "T1",
    terms.Sequence.FLAIR: "FLAIR",
    terms.Sequence.FLAIR_POST: "FLAIR-post",
    terms.Sequence.T2: "T2",
    terms.Sequence.DWI: "DWI",
    terms.Sequence.OTHER: "other",
}
MEASURED = {s for s in NAMES if s not in (terms.Sequence.DWI, terms.Sequence.OTHER)}


@dataclasses.dataclass(frozen=True, slots=True)
class Placed:
    """An image file with its subject, visit and date, and how they were found.

    ``date`` may be that of its session or its visit; ``own_date`` is what the file itself or ``scans.csv`` gives.
    """

    file: File
    override: assign.Override
    subject_id: str
    visit: assign.Visit
    session: str
    date: str
    own_date: str
    how: str


def build_record(
    name: str,
    members: list[Placed],
    sidecars: Mapping[str, Mapping[str, Any]],
    damaged: Mapping[str, int],
    looks: Looks,
) -> tuple[dict[str, Any], list[Query]]:
    """Build the scan record of one subject's visit.

    Parameters
    ----------
    name : str
        Name of the scan.
    members : list of Placed
        Its image files.
    sidecars : mapping
        Path of every sidecar under ``mri/`` to its facts.
    damaged : mapping
        How many files of a series (by its hash) cannot be read.
    looks : Looks
        What the voxels of series say whose headers leave a choice.

    Returns
    -------
    tuple
        The scan record (docs/architecture.md), still without its reference scan, and queries on its series.
    """
    visit = members[0].visit
    merged = [_with_sidecar(m.file, sidecars) for m in members]
    stacks = build_stacks(merged, damaged)
    classes = _classes(stacks, looks)
    overrides = {m.file.path: m.override for m in members}
    problems: list[Query] = []
    series, counts = [], dict.fromkeys(terms.Sequence, 0)
    for stack, one in zip(stacks, classes, strict=True):
        entry, more = _series(stack, one, [overrides[p] for p in stack.files], (visit.subject_id, visit.visit))
        problems += more
        counts[terms.Sequence(entry["sequence"])] += 1
        entry["series"] = f"{NAMES[terms.Sequence(entry['sequence'])]}-{counts[terms.Sequence(entry['sequence'])]}"
        series.append(entry)
    dates = sorted({m.own_date or m.date for m in members} - {""})
    if len({m.file.header.study for m in members if m.file.header and m.file.header.study}) > 1 or len(dates) > 1:
        problems.append(make("SC024", subject_id=visit.subject_id, visit=visit.visit, value=", ".join(dates)))
    return {
        "format": "lmresp-scan/1",
        "scan": name,
        "subject_id": visit.subject_id,
        "visit": visit.visit,
        "visit_num": visit.visit_num,
        "scan_date": _scan_date(members, series),
        "reference": None,
        "is_reference": False,
        "assigned": "; ".join(dict.fromkeys(part for m in members for part in m.how.split("; "))),
        "series": series,
    }, problems


def _classes(stacks: list[Stack], looks: Looks) -> list[Class]:
    """Class every series: by its own headers, then by the others of its session, each time with the voxels last."""
    classes = [tie_break.weighting(s, classify(s.header, s.extents), looks) for s in stacks]
    classes = [tie_break.body_part(s, c, looks) for s, c in zip(stacks, classes, strict=True)]
    sessions: dict[str, list[int]] = defaultdict(list)
    for i, stack in enumerate(stacks):
        sessions[stack.header.study or str(PurePosixPath(stack.files[0]).parent)].append(i)
    for indices in sessions.values():
        headers = [stacks[i].header for i in indices]
        some = settle_contrast(headers, settle_clock(headers, [classes[i] for i in indices]))
        some = settle_clock(headers, tie_break.contrast([stacks[i] for i in indices], some, looks))
        for i, one in zip(indices, some, strict=True):
            classes[i] = one
    return classes


def _scan_date(members: list[Placed], series: list[dict[str, Any]]) -> str:
    """Date of a scan: of the T1 that is measured, else of its session, else of any usable series.

    A series that is not used never counts: it may be a stray image of another day.
    """
    roles = choose_roles(series)
    chosen = roles.get("post") or roles.get("pre")
    first = {f for s in series if chosen and s["series"] == chosen.series for f in s["files"]}
    sessions = {m.session for m in members if m.file.path in first}
    usable = {f for s in series if s["use"] for f in s["files"]}
    able = [m for m in members if m.file.path in usable and (not chosen or m.session in sessions)]
    for found in (
        [m.own_date for m in able if m.file.path in first],
        [m.own_date for m in able],
        [m.date for m in able],
    ):
        if any(found):
            return min(date for date in found if date)
    return ""


def _with_sidecar(file: File, sidecars: Mapping[str, Mapping[str, Any]]) -> File:
    if file.kind == "dicom" or file.header is None or file.header.kind != "image":
        return file
    facts = bids.applicable(file.path, sidecars)
    return dataclasses.replace(file, header=bids.with_sidecar(file.header, facts)) if facts else file


def _series(
    stack: Stack, one: Class, overrides: list[assign.Override], whose: tuple[str, str]
) -> tuple[dict[str, Any], list[Query]]:
    """Build one entry of a scan record, with what ``scans.csv`` says of it put first."""
    said: dict[str, tuple[str, str]] = {}
    problems: list[Query] = []
    for column in ("sequence", "body_part"):
        values = {(o.value(column), o.row(column)) for o in overrides if o.value(column)}
        if len({v for v, _ in values}) == 1:
            said[column] = min(values)
        elif values:
            listed = ", ".join(sorted(v for v, _ in values))
            problems.append(
                make(
                    "SC022",
                    subject_id=whose[0],
                    visit=whose[1],
                    file=stack.files[0],
                    column=column,
                    value=listed,
                    allowed="one value",
                )
            )
    sequence = terms.Sequence(said.get("sequence", (one.sequence.value, ""))[0])
    if sequence is terms.Sequence.NON_IMAGE:  # an image that the coordinator wants left out
        sequence = terms.Sequence.OTHER
    reason = f"scans.csv row {said['sequence'][1]}" if "sequence" in said else one.reason
    left_out = sorted({o.row("use") for o in overrides if o.value("use") == "N"})
    unclear = sorted({f"row {row} has no valid {c}" for o in overrides for c, (_, row) in o.invalid.items()})
    cover = limit("geometry", "min_brain_extent_mm")
    if one.body_part is terms.BodyPart.BRAIN and not stack.problem and stack.extents and min(stack.extents) < cover:
        stack = dataclasses.replace(stack, problem=f"it covers only {min(stack.extents):g} mm of the head")
    if stack.problem or left_out or unclear:
        told = f"row {', '.join(left_out)}" if left_out else ", ".join(unclear)
        reason += f"; not used: {stack.problem or 'scans.csv ' + told}"
    entry = {
        "source": stack.header.source,
        "files": list(stack.files),
        "digest": stack.digest,
        "sequence": sequence.value,
        "body_part": said.get("body_part", (one.body_part.value, ""))[0],
        "plane": one.plane.value,
        "acquisition": one.acquisition,
        "reason": reason,
        "confidence": rules()["confidence"]["overruled"] if "sequence" in said else one.confidence,
        "overruled": bool(said or left_out or unclear),
        "use": not stack.problem and not left_out and not unclear and sequence in MEASURED,
        "facts": stack.facts,
    }
    problems += scan_checks.series(entry, stack, one, whose)
    return entry, problems
