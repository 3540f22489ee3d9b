"""Receipts: ``pacs/receipts.jsonl``, one line for every answer of a PACS to an object that was sent; only appended to.

A receipt holds no PatientID, name, UID or date of the subject: it names the object by the digest of its file and by the
hash of its UID.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

FORMAT = "lmresp-receipt/1"
DONE = ("stored", "warning")
"""Outcomes after which an object is in the PACS."""

Receipt = Mapping[str, Any]


def load(path: Path) -> list[Receipt]:
    """Read all receipts; a line that a killed process left half written is passed over, and stays in the file."""
    if not path.is_file():
        return []
    found: list[Receipt] = []
    for line in path.read_bytes().split(b"\n"):
        try:
            value = json.loads(line)
        except ValueError:
            continue
        if isinstance(value, dict) and value.get("format") == FORMAT:
            found.append(value)
    return found


def append(path: Path, receipt: Receipt) -> None:
    """Append one receipt and wait until it is on the disk; the file is for its owner only."""
    line = json.dumps({"format": FORMAT, **receipt}, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
    with open(descriptor, "rb+") as handle:
        size = handle.seek(0, os.SEEK_END)
        torn = size and os.pread(descriptor, 1, size - 1) != b"\n"
        handle.write(b"\n" * bool(torn) + line.encode() + b"\n")
        handle.flush()
        os.fsync(descriptor)


def is_sent(receipts: Iterable[Receipt], digest: str, to: str) -> bool:
    """Whether a file of this digest was stored at this PACS."""
    return any(r.get("digest") == digest and r.get("to") == to and r.get("outcome") in DONE for r in receipts)


def is_taken(receipts: Iterable[Receipt], uid: str, digest: str, to: str) -> bool:
    """Whether an object of this UID (its hash) was given to this PACS with other content, whatever became of it."""
    return any(
        r.get("object") == uid and r.get("digest") != digest and r.get("to") == to and r.get("outcome") != "refused"
        for r in receipts
    )
