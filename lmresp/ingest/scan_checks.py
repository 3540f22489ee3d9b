"""Queries about scans and series (codes SC0xx; their wording is in ``lmresp/queries/catalogue.yaml``)."""

from __future__ import annotations

import posixpath
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import PurePosixPath
from typing import Any

from lmresp import terms
from lmresp.ingest import assign, protocol
from lmresp.ingest.header import limit
from lmresp.ingest.headers import File
from lmresp.ingest.roles import candidates, choose_roles
from lmresp.ingest.series import Class
from lmresp.ingest.stacks import Stack
from lmresp.queries import Query, make

LISTED = 3  # how many other scans a query names; the rest is counted
T1 = (terms.Sequence.T1_PRE, terms.Sequence.T1_POST, terms.Sequence.T1_UNKNOWN)


def skipped(files: Sequence[File]) -> list[Query]:
    """Files that are no MR images: one query for every folder and kind, or every file that could not be read."""
    out: list[Query] = []
    counted: dict[tuple[str, str], list[str]] = defaultdict(list)
    for file in files:
        header = file.header
        if header is not None and header.kind == "unreadable":
            out.append(make("SC001", file=file.path, reason=header.problem))
        elif header is not None and header.kind in ("other_image", "non_image"):
            counted[
                ("SC003" if header.kind == "other_image" else "SC004", str(PurePosixPath(file.path).parent))
            ].append(file.path)
        elif file.kind == "other" and file.facts.get("unknown"):
            counted[("SC028", str(PurePosixPath(file.path).parent))].append(file.path)
        elif file.kind == "sidecar" and file.facts.get("problem"):
            out.append(make("SC001", file=file.path, reason=file.facts["problem"]))
        elif file.kind == "archive":
            out += _refused(file)
    for (code, _), paths in sorted(counted.items()):
        out.append(make(code, file=paths[0], value=f"{len(paths)} files", count=len(paths)))
    return out


def _refused(archive: File) -> list[Query]:
    """What is not read of an archive: one query for every code and reason, naming the first member."""
    grouped: dict[tuple[str, str], list[str]] = defaultdict(list)
    for code, member, reason in archive.facts["refused"]:
        grouped[(code, reason)].append(member)
    out = []
    for (code, reason), members in sorted(grouped.items()):
        file = f"{archive.path}/{members[0]}".rstrip("/")
        more = f", and {len(members) - 1} more member(s) likewise" if len(members) > 1 else ""
        out.append(make(code, file=file, value=reason + more, reason=reason + more))
    return out


def series(entry: Mapping[str, Any], stack: Stack, one: Class, whose: tuple[str, str]) -> list[Query]:
    """Problems of one series."""
    where: dict[str, Any] = {"subject_id": whose[0], "visit": whose[1], "file": stack.files[0]}
    out: list[Query] = []
    measured = entry["sequence"] not in (terms.Sequence.OTHER.value, terms.Sequence.DWI.value)
    if stack.missing and measured:
        out.append(make("SC008", **where, value=stack.problem))
    elif stack.problem and measured and stack.header.kind == "image":
        out.append(make("SC009", **where, value=stack.problem))
    head = limit("geometry", "head_extent_mm")
    cut = stack.extents is not None and any(e < low for e, low in zip(stack.extents, head, strict=True))
    if entry["use"] and entry["body_part"] == terms.BodyPart.BRAIN.value and cut:
        size = " x ".join(f"{e:g}" for e in stack.extents or ())
        out.append(make("SC035", **where, value=f"{size} mm"))
    if entry["use"] and stack.tilt_deg > limit("geometry", "min_tilt_deg"):
        out.append(make("SC118", **where, value=f"{stack.tilt_deg:.1f} degrees"))
    if stack.repeated:
        out.append(make("SC034", **where, value=f"{stack.repeated} files"))
    if not entry["overruled"] and "contradict" in one.reason:
        out.append(make("SC030", **where, value=one.reason))
    elif entry["sequence"] == terms.Sequence.OTHER.value and not entry["overruled"] and one.confidence < 0.5:
        out.append(make("SC011", **where, value=one.reason))
    if entry["sequence"] == terms.Sequence.T1_UNKNOWN.value and entry["use"]:
        out.append(make("SC025", **where, value=one.reason))
    return out


def scan(record: Mapping[str, Any], visit: assign.Visit, data_cut: str) -> list[Query]:
    """Problems of one scan as a whole."""
    entries = record["series"]
    where: dict[str, Any] = {"subject_id": record["subject_id"], "visit": record["visit"]}
    whole: dict[str, Any] = {**where, "file": _folder(entries)}
    roles = choose_roles(entries)
    out: list[Query] = []
    spine = [s for s in entries if s["body_part"] in protocol.SPINE]
    if not candidates(entries, T1):
        only_spine = bool(spine) and len(spine) == len(entries)
        out.append(make("SC018" if only_spine else "SC014", **whole))
    elif "post" not in roles:
        denied = _said_without_contrast(candidates(entries, T1))
        out.append(make("SC111", **whole, value=denied) if denied else make("SC012", **whole))
    elif "pre" not in roles:
        both = _alike(candidates(entries, [terms.Sequence.T1_POST]))
        out.append(make("SC115", **whole, value=both) if both else make("SC013", **whole))
    for role, sequence in (("post", terms.Sequence.T1_POST), ("pre", terms.Sequence.T1_PRE)):
        able = candidates(entries, [sequence])
        if len(able) > 1:
            listed = ", ".join(s["series"] for s in able)
            chosen: dict[str, Any] = {"role": role, "chosen": roles[role].series, "reason": roles[role].reason}
            file = next(s["files"][0] for s in able if s["series"] == roles[role].series)
            out.append(make("SC017", **where, file=file, value=listed, **chosen))
    elsewhere = [s for s in entries if s["body_part"] == terms.BodyPart.OTHER.value and s["sequence"] in set(T1)]
    if elsewhere:
        listed = ", ".join(s["series"] for s in elsewhere)
        out.append(make("SC117", **where, file=elsewhere[0]["files"][0], value=listed))
    return [*out, *protocol.departures(record), *_dates(record["scan_date"], visit, data_cut, whole)]


def _said_without_contrast(able: Sequence[Mapping[str, Any]]) -> str:
    """Names of the T1 series when every one of them says that no contrast was given; else empty."""
    denied = all(s["facts"].get("contrast_agent") == "no" and not s["overruled"] for s in able)
    return ", ".join(s["series"] for s in able) if denied else ""


def _alike(post: Sequence[Mapping[str, Any]]) -> str:
    """Names of T1 series of one kind that are all said to be after contrast; empty when there are no two."""
    kinds: dict[tuple[Any, ...], list[str]] = defaultdict(list)
    for s in post:
        kinds[(s["acquisition"], s["plane"], s["facts"].get("scanning_sequence"))].append(s["series"])
    return ", ".join(next((names for names in kinds.values() if len(names) > 1), []))


def _folder(entries: Sequence[Mapping[str, Any]]) -> str:
    """Folder that holds all files of a scan."""
    return str(posixpath.commonpath([posixpath.dirname(file) for one in entries for file in one["files"]]))


def _dates(date: str, visit: assign.Visit, data_cut: str, where: Mapping[str, Any]) -> list[Query]:
    """A date after the data cut, or outside the visit's window."""
    out = []
    if date and data_cut and date > data_cut[:10]:
        out.append(make("SC019", **where, value=date, allowed=f"up to {data_cut[:10]}"))
    if date and visit.start:
        days = assign.days_between(visit.start, date)
        if not -visit.minus <= days <= visit.plus:
            out.append(make("SC026", **where, value=date, days=f"{days:+d}"))
    return out


def same_image(records: Sequence[Mapping[str, Any]]) -> list[Query]:
    """Images with the same content in two scans: one of the two is in the wrong place."""
    seen: dict[str, list[tuple[Mapping[str, Any], str]]] = defaultdict(list)
    for record in records:
        digests = {one["digest"]: one["files"][0] for one in reversed(record["series"])}
        for digest, file in digests.items():
            seen[digest].append((record, file))
    out = []
    for found in seen.values():
        for record, file in found if len(found) > 1 else []:
            others = [r["scan"] for r, _ in found[: LISTED + 1] if r is not record][:LISTED]
            more = len(found) - 1 - len(others)
            text = ", ".join(others) + (f" and {more} more" if more else "")
            who = {"subject_id": record["subject_id"], "visit": record["visit"]}
            out.append(make("SC023", **who, file=file, value=text))
    return out
