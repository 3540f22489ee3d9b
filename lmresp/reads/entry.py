"""One line of the record of reads: its keys, its canonical text and its digest (pure)."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

FORMAT = "lmresp-read/1"
KINDS = ("read", "lock")
SOURCES = ("reading room", "csv", "xlsx", "redcap", "sr")
CHAIN = ("seq", "utc", "previous", "digest")
"""Keys that only :class:`lmresp.reads.record.Record` fills in."""
MAX_TEXT = 1000
"""Most characters of one text in an entry."""
MAX_LINE = 200_000
"""Most bytes of one line of the record; a read of all items with comments has about 6000."""

_TEXT: dict[str, Any] = dict.fromkeys(
    (
        *("format", "kind", "read", "scan", "subject_id", "visit", "visit_num", "scan_date", "reader", "role"),
        *("account", "session", "comparator", "implied", "chosen", "supersedes", "source", "charter", "software"),
    ),
    "",
)
_LISTS: dict[str, Any] = {name: [] for name in ("blinded_to", "answers", "departs", "reasons", "over")}
BLANK: dict[str, Any] = {**_TEXT, **_LISTS, "draft": {"digest": "", "shown": False}, "origin": {}, "format": FORMAT}
"""Every key of an entry without those of the chain, empty."""
_ROWS = {"answers": {"compartment", "item", "value", "reason_ne", "comment"}, "reasons": {"about", "code", "text"}}
_ACCOUNT = re.compile(r"[A-Za-z0-9_-]{1,64}")
_UTC = re.compile(r"\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}\.\d{6}Z")
_NUMBER = re.compile(r"(?:-?\d{1,9}(?:\.\d{1,9})?)?")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")


def canonical(entry: Mapping[str, Any]) -> bytes:
    """Return the one text of an entry: sorted keys, no blanks, UTF-8.

    Raises
    ------
    ValueError
        If it holds NaN or what UTF-8 cannot write.
    """
    text = json.dumps(entry, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    return text.encode("utf-8")


def digest_of(entry: Mapping[str, Any]) -> str:
    """SHA-256 of the canonical text of an entry without its own digest, hexadecimal."""
    return hashlib.sha256(canonical({key: value for key, value in entry.items() if key != "digest"})).hexdigest()


def is_plain(text: str, limit: int = MAX_TEXT) -> bool:
    """Whether a text is one line that can be printed, of at most ``limit`` characters."""
    return len(text) <= limit and not _CONTROL.search(text)


def fault(entry: Mapping[str, Any], utc: str) -> str:
    """Say what makes an entry unfit for the record, whatever else stands there.

    Parameters
    ----------
    entry : mapping
        The keys of :data:`BLANK`, no others.
    utc : str
        ``YYYY-MM-DDThh:mm:ss.ffffffZ``.

    Returns
    -------
    str
        Empty when nothing does.
    """
    wrong = sorted(set(BLANK) ^ set(entry))
    return f"the keys {', '.join(wrong)} are missing or unknown" if wrong else malformed({**entry, "utc": utc})


def malformed(entry: Mapping[str, Any]) -> str:
    """Say what of an entry, new or from the record, has not the shape that readers of the record rely on.

    Parameters
    ----------
    entry : mapping
        The keys of :data:`BLANK` and ``utc``; what other keys hold is not looked at.

    Returns
    -------
    str
        Empty when nothing has.
    """
    utc = entry["utc"]
    if not isinstance(utc, str) or not _UTC.fullmatch(utc):
        return f"{utc!r} is not a time in UTC with microseconds"
    wrong = _misshapen(entry)
    if wrong:
        return wrong
    for name, each in _texts(entry):
        if not isinstance(each, str) or not is_plain(each):
            return f"{name} holds what is not one line of text of at most {MAX_TEXT} characters"
    if not _NUMBER.fullmatch(entry["visit_num"]):
        return "the number of the visit is none"
    if (
        entry["format"] != FORMAT
        or entry["kind"] not in KINDS
        or entry["source"] not in SOURCES
        or not _ACCOUNT.fullmatch(entry["account"])
    ):
        return "format, kind, source or account is not one that is allowed"
    return ""


def _misshapen(entry: Mapping[str, Any]) -> str:
    """Name what is no list, no mapping or has other keys than it should."""
    if not all(isinstance(entry[name], list) for name in _LISTS):
        return f"one of {', '.join(_LISTS)} is no list"
    for name, keys in _ROWS.items():
        if not all(isinstance(row, Mapping) and set(row) == keys for row in entry[name]):
            return f"{name} does not hold {', '.join(sorted(keys))}"
    draft = entry["draft"]
    if not isinstance(draft, Mapping) or set(draft) != {"digest", "shown"} or not isinstance(draft["shown"], bool):
        return "draft does not hold digest and shown"
    return "" if isinstance(entry["origin"], Mapping) else "origin is no mapping"


def _texts(entry: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """Give everything that has to be one line of text, each with the name of its key."""
    yield from ((name, entry[name]) for name in _TEXT)
    yield from ((name, each) for name in ("blinded_to", "departs", "over") for each in entry[name])
    yield from ((name, each) for name in _ROWS for row in entry[name] for each in row.values())
    yield "draft", entry["draft"]["digest"]
    yield from (("origin", each) for each in entry["origin"].values())
