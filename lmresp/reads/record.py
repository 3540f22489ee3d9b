"""The record of reads on disk: append-only JSON Lines, each line chained to the one before by its digest.

A line is appended under a lock of the file and flushed to disk before the save counts. What a killed save left of a
line is set apart in a file beside the record, never dropped. ``verify`` finds lines that were edited, deleted, inserted
or moved; cutting the end off shows by the head digest, which every report prints.
"""

from __future__ import annotations

import contextlib
import dataclasses
import fcntl
import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from lmresp.errors import StudyError
from lmresp.reads import entry as entries_of
from lmresp.reads.scans import Place, place
from lmresp.reads.state import refusal

FOLDER = "reads"
FILE = "reads.jsonl"
NAME = f"{FOLDER}/{FILE}"
"""Name of the record inside a study folder, as rows and messages give it."""
ALLOWED = "the record as lmresp wrote it; take it back from a backup, lmresp reads verify lists every bad line"


@dataclasses.dataclass(frozen=True, slots=True)
class Head:
    """The last line: its number (0 without any) and its digest ("" without any)."""

    seq: int
    digest: str


@dataclasses.dataclass(frozen=True, slots=True)
class Problem:
    """What is wrong with the record.

    Attributes
    ----------
    line : int
        Number of the line, from 1; 0 for the record as a whole.
    kind : str
        ``edited``, ``missing``, ``out of place``, ``unreadable``, ``torn`` (only what a killed save left behind the
        last line; nothing that was saved is harmed) or ``cut`` (the head digest asked for is not in the record).
    message : str
        The same in words.
    """

    line: int
    kind: str
    message: str

    @property
    def breaks(self) -> bool:
        """Whether the record cannot be used with it."""
        return self.kind != "torn"


class Record:
    """The record of reads of one study.

    Parameters
    ----------
    path : Path
        ``STUDY/reads/reads.jsonl``; it need not exist.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        # What was verified before, so that a long record is not verified anew for every line.
        self._seen: tuple[bytes, list[dict[str, Any]]] = (b"", [])

    def entries(self) -> list[dict[str, Any]]:
        """Return every entry in order, verified.

        Raises
        ------
        StudyError
            If the chain is broken; names the first bad line.
        """
        return list(self._verified(_content(self.path)))

    def head(self) -> Head:
        """Return the head of the verified record.

        Raises
        ------
        StudyError
            If the chain is broken.
        """
        return _head(self.entries())

    def append(self, entry: Mapping[str, Any], *, utc: str) -> dict[str, Any]:
        """Append one entry: it is on disk when this returns.

        Parameters
        ----------
        entry : mapping
            The keys of :data:`lmresp.reads.entry.BLANK`. A read gets its identifier here.
        utc : str
            Time of saving, ``YYYY-MM-DDThh:mm:ss.ffffffZ``.

        Returns
        -------
        dict
            The entry with ``seq``, ``utc``, ``read``, ``previous`` and ``digest``.

        Raises
        ------
        StudyError
            If the chain is broken, or the entry does not fit what stands there (:func:`lmresp.reads.state.refusal`),
            for instance because the same reader saved in another window meanwhile. Nothing is written then.
        OSError
            If the disk is full or the file may not be written; a line written in part is taken back.
        """
        fault = entries_of.fault(entry, utc)
        if fault:
            raise StudyError(fault, where=NAME)
        with _locked(self.path) as handle:
            content = _read_all(handle)
            entries = self._verified(content)
            why = refusal(entries, entry)
            if why:
                raise StudyError(why, where=NAME)
            head = _head(entries)
            whole = len(entries) > content.count(b"\n")  # the last line lacks nothing but its end
            end = _settle(self.path, handle, content, head.seq + 1, whole=whole)
            line = {**entry, "seq": head.seq + 1, "utc": utc, "previous": head.digest}
            if entry["kind"] == "read":
                line["read"] = f"R{line['seq']:06d}"
            line["digest"] = entries_of.digest_of(line)
            text = entries_of.canonical(line) + b"\n"
            if len(text) > entries_of.MAX_LINE:
                raise StudyError(f"the entry takes more than {entries_of.MAX_LINE} bytes", where=NAME)
            try:
                _write(handle, text)
            except OSError:
                os.ftruncate(handle, end)
                raise
        return line

    def _verified(self, content: bytes) -> list[dict[str, Any]]:
        before, known = self._seen
        cut = not content.startswith(before)
        if cut:
            before, known = b"", []
        entries, problems = _checked(content[len(before) :], known)
        bad = [problem for problem in problems if problem.breaks]
        if bad:
            more = f" ({len(bad) - 1} more)" if len(bad) > 1 else ""
            raise StudyError(f"line {bad[0].line}: {bad[0].message}{more}", where=NAME, allowed=ALLOWED)
        if cut:  # a whole chain, but not the one that was read before
            head = self._seen[1][-1]["digest"]
            what = f"lines that were read before are gone: the record was cut; its head was {head}"
            raise StudyError(what, where=NAME, allowed="the record with that line; take it back from a backup")
        entries = [*known, *entries]
        if content.endswith(b"\n"):
            self._seen = content, entries
        return entries


def verify(path: Path, head: str = "") -> list[Problem]:
    """Say everything that is wrong with a record.

    Parameters
    ----------
    path : Path
        The file; one that does not exist is an empty record.
    head : str, optional
        A head digest printed earlier (64 hexadecimal digits): the record must still hold the line that it stands for.

    Returns
    -------
    list of Problem
        By line; empty when the record is whole.
    """
    entries, problems = _checked(_content(path), [])
    digests = {entry.get("digest") for entry in entries}
    if head and head.lower() not in digests:
        message = f"no line has the head digest {head}: lines were cut off the end, or the record was written anew"
        problems.append(Problem(0, "cut", message))
    return problems


def torn_files(path: Path) -> list[Path]:
    """Return what killed saves left, set apart beside the record, sorted."""
    return sorted(path.parent.glob("torn-*.txt"))


@contextlib.contextmanager
def _locked(path: Path) -> Iterator[int]:
    """Open the record for appending, made with its folder where it is missing, and hold its lock."""
    if not path.parent.is_dir():
        path.parent.mkdir(parents=True, exist_ok=True)
        _sync(path.parent.parent)
    created = not path.exists()
    handle = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o660)
    try:
        if created:
            _sync(path.parent)
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield handle
    finally:
        os.close(handle)  # and with it the lock


def _content(path: Path) -> bytes:
    """Read the whole file, never half a line that another process is writing."""
    try:
        handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return b""
    try:
        fcntl.flock(handle, fcntl.LOCK_SH)
        return _read_all(handle)
    finally:
        os.close(handle)


def _read_all(handle: int) -> bytes:
    parts, at = [], 0
    while part := os.pread(handle, 1 << 20, at):
        parts.append(part)
        at += len(part)
    return b"".join(parts)


def _write(handle: int, text: bytes) -> None:
    while text:
        text = text[os.write(handle, text) :]
    os.fsync(handle)


def _sync(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _settle(path: Path, handle: int, content: bytes, seq: int, *, whole: bool) -> int:
    """Set the torn end of the record apart, or end its last line; return the length of what stays."""
    kept = content.rfind(b"\n") + 1
    if kept == len(content):
        return kept
    if whole:
        _write(handle, b"\n")
        return len(content) + 1
    number = 1
    while True:
        apart = path.with_name(f"torn-{seq}.txt" if number == 1 else f"torn-{seq}-{number}.txt")
        try:
            beside = os.open(apart, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o660)
            break
        except FileExistsError:
            number += 1
    try:
        _write(beside, content[kept:])
    except OSError:
        apart.unlink()  # what is torn still stands at the end of the record
        raise
    finally:
        os.close(beside)
    _sync(path.parent)
    os.ftruncate(handle, kept)
    os.fsync(handle)
    return kept


def _head(entries: list[dict[str, Any]]) -> Head:
    return Head(len(entries), str(entries[-1]["digest"])) if entries else Head(0, "")


def _checked(content: bytes, known: list[dict[str, Any]]) -> tuple[list[dict[str, Any]], list[Problem]]:
    """Read the lines behind known entries and say what breaks the chain; an incomplete last line is no entry."""
    head = _head(known)
    saved = {str(entry["read"]): _place(entry) for entry in known}
    lines = content.split(b"\n")
    rest = lines.pop()
    entries: list[dict[str, Any]] = []
    problems: list[Problem] = []
    seq = head.seq
    digest: str | None = head.digest  # of the line before; None where that one cannot be read
    for number, line in enumerate(lines, start=seq + 1):
        entry = _parsed(line)
        if entry is None:
            problems.append(Problem(number, "unreadable", "it is no entry of the record"))
            seq, digest = seq + 1, None
            continue
        found = _faults(entry, line, number, seq, digest) or _misfit(entry, number, saved)
        edited = any(problem.kind == "edited" for problem in found)
        problems += found
        entries.append(entry)
        saved.setdefault(str(entry["read"]), _place(entry))
        seq, digest = seq + 1 if edited else int(entry["seq"]), str(entry["digest"])
    last = _parsed(rest) if rest else None
    if last is not None and not _faults(last, rest, head.seq + len(lines) + 1, seq, digest):
        entries.append(last)  # only the end of the line is missing: killed at the last byte, or saved by an editor
    elif rest:
        message = "a save was cut off in the middle; the next save sets what is left of it apart"
        problems.append(Problem(head.seq + len(lines) + 1, "torn", message))
    return entries, problems


def _place(entry: Mapping[str, Any]) -> Place:
    return place(entry["subject_id"], entry["visit_num"])


def _misfit(entry: Mapping[str, Any], number: int, saved: Mapping[str, Place]) -> list[Problem]:
    """Say what a line names that does not stand before it: the chain alone does not tell, as it can be made anew."""
    own = f"R{entry['seq']:06d}"
    if entry["kind"] == "read" and entry["read"] != own:
        return [Problem(number, "out of place", f"entry {entry['seq']} holds the read {entry['read']!r}, not {own}")]
    named = [entry["read"]] if entry["kind"] == "lock" else [entry["supersedes"], *entry["over"]]
    gone = [name for name in named if name and saved.get(name) != _place(entry)]
    if gone:
        message = f"entry {entry['seq']} rests on {gone[0]!r}, which is no read of this scan before it"
        return [Problem(number, "out of place", message)]
    return []


def _parsed(line: bytes) -> dict[str, Any] | None:
    try:
        entry = json.loads(line)
    except (ValueError, RecursionError):
        return None
    known = isinstance(entry, dict) and set(entry) == {*entries_of.BLANK, *entries_of.CHAIN}
    whole = known and type(entry["seq"]) is int and isinstance(entry["digest"], str)
    # A chain can be made anew by anybody; what stands in it must still have the shape that the rest of lmresp rests on.
    return entry if whole and not entries_of.malformed(entry) else None


def _faults(entry: Mapping[str, Any], line: bytes, number: int, seq: int, digest: str | None) -> list[Problem]:
    """Compare a line with its own digest and with the line before."""
    try:
        own = entries_of.canonical(entry) == line and entries_of.digest_of(entry) == entry["digest"]
    except (ValueError, TypeError):
        own = False
    if not own:
        return [Problem(number, "edited", f"entry {entry['seq']} was edited: its digest does not fit its text")]
    given = int(entry["seq"])
    if given > seq + 1:
        gone = f"entry {seq + 1}" if given == seq + 2 else f"entries {seq + 1} to {given - 1}"
        return [Problem(number, "missing", f"{gone} should stand before entry {given}: deleted or moved")]
    if given <= seq:
        return [Problem(number, "out of place", f"entry {given} stands after entry {seq}: inserted, repeated or moved")]
    if digest is not None and entry["previous"] != digest:
        return [Problem(number, "out of place", f"entry {given} does not continue the line before, which was replaced")]
    return []
