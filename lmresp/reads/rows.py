"""Locked reads as rows of the table ``mri_reads`` (pure)."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from lmresp.reads.desk import OTHER_READS
from lmresp.reads.state import Read, standing

COLUMNS = (
    *("read_id", "subject_id", "visit_num", "scan_dtc", "reader_id", "role", "read_dtc", "locked_dtc", "session_id"),
    *("blinded", "compartment", "item", "value", "reason_ne", "comparator", "comment", "reasons"),
)
_REASON = re.compile(r"(?P<about>[a-z]+) (?P<code>[A-Z_]+)(?: (?P<text>.*))?")
_RISKY = re.compile(r"'*(?:[=@\t\r]|[+-](?![0-9.]*\Z))")


def rows_of(entries: Iterable[Mapping[str, Any]]) -> list[dict[str, str]]:
    """Return the locked reads that stand as rows of ``mri_reads``, all text.

    Parameters
    ----------
    entries : iterable of mapping
        The record.

    Returns
    -------
    list of dict
        :data:`COLUMNS` and ``_row``, the number of the entry; in the order of the record. A read that was replaced is
        left out: the record keeps it, and nothing of it may count beside the read that replaced it.
    """
    return [row for read in standing(entries) for row in read_rows(read)]


def read_rows(read: Read) -> list[dict[str, str]]:
    """Return the rows of one locked read."""
    entry = read.entry
    common = {
        "subject_id": entry["subject_id"],
        "visit_num": entry["visit_num"],
        "scan_dtc": entry["scan_date"],
        "reader_id": entry["reader"],
        "role": entry["role"],
        "read_dtc": seconds(read.read_utc),
        "locked_dtc": seconds(read.locked_utc),
        "session_id": entry["session"],
        "blinded": "Y" if OTHER_READS in entry["blinded_to"] else "N",
        "comparator": entry["comparator"],
        "reasons": reasons_text(entry["reasons"]),
        "_row": str(entry["seq"]),
    }
    return [{**common, "read_id": f"{read.read}.{row['compartment']}.{row['item']}", **row} for row in entry["answers"]]


def seconds(utc: str) -> str:
    """Cut a time of the record to whole seconds, as tables write it."""
    return re.sub(r"\.\d+Z$", "Z", utc)


def reasons_text(reasons: Sequence[Mapping[str, str]]) -> str:
    """Write reasons into one cell: ``contradiction READER_DISAGREES text | change DATA_CORRECTION``."""
    return " | ".join(f"{each['about']} {each['code']} {each['text']}".strip() for each in reasons)


def reasons_of(text: str) -> list[dict[str, str]]:
    """Read the cell of :func:`reasons_text` back; what has another form becomes a reason about nothing."""
    found = []
    for part in filter(None, (part.strip() for part in text.split("|"))):
        match = _REASON.fullmatch(part)
        given = match.groupdict(default="") if match else {"about": "", "code": "", "text": part}
        found.append({name: given[name].strip() for name in ("about", "code", "text")})
    return found


def guarded(text: str) -> str:
    """Put an apostrophe before a text that a spreadsheet would run (``= + - @``, tab, CR), but not before a number."""
    return "'" + text if _RISKY.match(text) else text


def unguarded(text: str) -> str:
    """Undo :func:`guarded`, for any text."""
    return text[1:] if text.startswith("'") and _RISKY.match(text) else text
