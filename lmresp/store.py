"""Writing and reading the files between stages: atomic, and the same bytes for the same content.

Every file is written beside its destination under a name unique to the process, flushed to disk and
renamed, so that a reader never sees half a file and two jobs writing the same output cannot mix.
"""

from __future__ import annotations

import contextlib
import csv
import gzip
import hashlib
import io
import json
import os
import re
import socket
import uuid
import zipfile
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from openpyxl import Workbook

_SAVED = re.compile(rb"(<dcterms:(?:created|modified)[^>]*>)[^<]*(<)")


def write_bytes(path: str | os.PathLike[str], content: bytes, *, only_if_changed: bool = False) -> bool:
    """Write ``content`` to ``path`` atomically (temp file, fsync, rename).

    Parameters
    ----------
    path : path-like
        Destination; its parent folders are made.
    content : bytes
        The whole content.
    only_if_changed : bool
        Leave an existing file with the same content, and so its modification time, alone.

    Returns
    -------
    bool
        Whether the file was written.
    """
    target = Path(path)
    if only_if_changed and target.is_file() and target.read_bytes() == content:
        return False
    target.parent.mkdir(parents=True, exist_ok=True)
    temp = target.with_name(f".{target.name}.{socket.gethostname()}-{os.getpid()}-{uuid.uuid4().hex}.part")
    try:
        with open(temp, "wb") as handle:
            handle.write(content)
            handle.flush()
            os.fsync(handle.fileno())
        temp.replace(target)
    finally:
        with contextlib.suppress(FileNotFoundError):
            temp.unlink()
    folder = os.open(target.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
    return True


def write_text(path: str | os.PathLike[str], text: str, *, only_if_changed: bool = False) -> bool:
    """Write UTF-8 text atomically; see :func:`write_bytes`."""
    return write_bytes(path, text.encode("utf-8"), only_if_changed=only_if_changed)


def write_json(path: str | os.PathLike[str], value: Any, *, only_if_changed: bool = False) -> bool:
    """Write JSON with sorted keys and a final newline; NaN and infinity are refused."""
    text = json.dumps(value, indent=1, sort_keys=True, ensure_ascii=False, allow_nan=False)
    return write_text(path, text + "\n", only_if_changed=only_if_changed)


def read_json(path: str | os.PathLike[str]) -> Any:
    """Read a JSON file."""
    return json.loads(Path(path).read_text(encoding="utf-8"))


def csv_text(rows: Iterable[Mapping[str, Any]], columns: Sequence[str]) -> str:
    r"""Render rows as RFC 4180 CSV text with ``\n`` line ends, also inside cells; ``None`` becomes an empty cell."""
    out = io.StringIO()
    writer = csv.DictWriter(out, fieldnames=list(columns), extrasaction="raise", lineterminator="\n")
    writer.writeheader()
    for row in rows:
        writer.writerow({column: _cell(row.get(column)) for column in columns})
    return out.getvalue()


def _cell(value: Any) -> str:
    # A lone carriage return is not quoted by the csv module and would break the row when read back.
    return "" if value is None else str(value).replace("\r\n", "\n").replace("\r", "\n")


def write_csv(
    path: str | os.PathLike[str],
    rows: Iterable[Mapping[str, Any]],
    columns: Sequence[str],
    *,
    only_if_changed: bool = False,
) -> bool:
    """Write rows (mappings) as CSV, atomically, columns in the order given."""
    return write_text(path, csv_text(rows, columns), only_if_changed=only_if_changed)


def read_csv(path: str | os.PathLike[str]) -> list[dict[str, str]]:
    """Read a CSV that lmresp wrote: every cell as text, empty cells as ``""``."""
    with open(path, encoding="utf-8", newline="") as handle:
        return list(csv.DictReader(handle))


def workbook_bytes(book: Workbook) -> bytes:
    """Save a workbook without the time of saving, so that equal content gives equal bytes."""
    saved, out = io.BytesIO(), io.BytesIO()
    book.save(saved)
    with zipfile.ZipFile(saved) as source, zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as target:
        for entry in sorted(source.namelist()):
            content = source.read(entry)
            if entry == "docProps/core.xml":
                content = _SAVED.sub(rb"\g<1>1980-01-01T00:00:00Z\g<2>", content)
            target.writestr(zipfile.ZipInfo(entry, (1980, 1, 1, 0, 0, 0)), content, zipfile.ZIP_DEFLATED)
    return out.getvalue()


def gzip_bytes(content: bytes) -> bytes:
    """Gzip with no time and no name in the header, so that equal content gives equal bytes."""
    return gzip.compress(content, compresslevel=6, mtime=0)


def sha256_file(path: str | os.PathLike[str]) -> str:
    """SHA-256 of a file's content, hexadecimal."""
    with open(path, "rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()


def sha256_text(text: str) -> str:
    """SHA-256 of UTF-8 text, hexadecimal."""
    return hashlib.sha256(text.encode("utf-8")).hexdigest()
