"""One table as it stands in a file, and the files that are not opened at all."""

from __future__ import annotations

import dataclasses
import stat
from collections.abc import Sequence
from pathlib import Path

from lmresp.ingest import identifiers

MAX_BYTES = 100_000_000
"""Largest table file. The longest table, the reads of 500 subjects at 20 visits by two readers, takes about 50 MB."""
MAX_COLUMNS = 1000  # cells of one row; the widest table has fewer than 40

Rows = list[tuple[int, tuple[str, ...]]]


@dataclasses.dataclass(frozen=True, slots=True)
class ReadTable:
    """One table as it stands in a file: all cells text.

    ``rows`` pairs the row number of the spreadsheet (the header's own row counts, blank rows too) with the cells.
    """

    table: str
    file: str
    sheet: str
    header: tuple[str, ...]
    header_row: int
    rows: tuple[tuple[int, tuple[str, ...]], ...]
    decimal_comma: bool = False

    @property
    def place(self) -> str:
        """File and sheet in words."""
        return f"{self.file} sheet {self.sheet}" if self.sheet else self.file


class UnreadableError(Exception):
    """A file that is no table; the text says why, ``row`` where in it."""

    def __init__(self, why: str, row: int = 0) -> None:
        super().__init__(why)
        self.row = row


def shown_name(path: Path) -> str:
    """Return a file's name as it may stand in a query: one line of text that can be written as UTF-8."""
    return identifiers.plain_cell(path.name.encode("utf-8", "replace").decode("utf-8"))


def check_file(path: Path) -> None:
    """Refuse what must not be opened: folders, pipes and devices (which never end), files without end or permission.

    Raises
    ------
    UnreadableError
        With the reason in words. Nothing of the file has been read.
    """
    try:
        found = path.stat()
    except OSError as error:
        raise UnreadableError(f"it cannot be opened ({error.strerror})") from None
    if stat.S_ISDIR(found.st_mode):
        raise UnreadableError("it is a folder")
    if not stat.S_ISREG(found.st_mode):
        raise UnreadableError("it is a pipe, a socket or a device")
    if found.st_size > MAX_BYTES:
        raise UnreadableError(f"it is larger than {MAX_BYTES // 1_000_000} MB")


def trimmed(number: int, cells: Sequence[str]) -> tuple[str, ...]:
    """Return the cells of a row up to the last that is not blank.

    Raises
    ------
    UnreadableError
        If they are more than :data:`MAX_COLUMNS`: a few bytes of a file can stand for thousands of cells.
    """
    length = len(cells)
    while length and not cells[length - 1].strip():
        length -= 1
    if length > MAX_COLUMNS:
        raise UnreadableError(f"a row has more than {MAX_COLUMNS} cells", number)
    return tuple(cells[:length])


def as_table(table: str, file: str, sheet: str, rows: Rows) -> ReadTable:
    """Take the first row for the header."""
    header_row, header = rows[0]
    header = tuple(identifiers.plain_cell(cell)[:100] for cell in header)
    while header and not header[-1]:  # columns without a name at the right hold nothing we could call by name
        header = header[:-1]
    return ReadTable(table, file, sheet, header, header_row, tuple(rows[1:]))
