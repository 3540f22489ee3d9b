"""Reads a table from a CSV file, whatever spreadsheet program saved it."""

from __future__ import annotations

import csv
import dataclasses
import io
from pathlib import Path

from lmresp.ingest import spec
from lmresp.ingest.table_file import ReadTable, Rows, UnreadableError, as_table, check_file, shown_name, trimmed
from lmresp.queries import Query, make

ALLOWED = "CSV (UTF-8) of at most 100 MB, separated by comma, semicolon or tab"


def read_csv_file(path: Path, table: str) -> tuple[ReadTable | None, list[Query]]:
    """Read one CSV file in any of the dialects that spreadsheets save.

    UTF-8 with or without byte order mark, else Windows-1252 (said in a query); comma, semicolon or tab, whichever
    finds more of the table's columns in the header; any line end; decimal commas in numeric columns of files that are
    not separated by commas and hold no decimal point.

    Parameters
    ----------
    path : Path
        The file. A folder, a pipe or a file of more than 100 MB is refused before it is opened.
    table : str
        The table that it is to hold.

    Returns
    -------
    tuple
        The table, or None when the file cannot be read or is empty, and the queries.
    """
    queries: list[Query] = []
    name = shown_name(path)
    try:
        check_file(path)
        text, encoding = _decoded(path)
        if encoding != "UTF-8":
            queries.append(make("IN029", file=name, value=encoding, allowed="CSV UTF-8"))
        delimiter = _delimiter(text, table)
        rows = _rows(text, delimiter)
    except UnreadableError as error:
        row = str(error.row or "")
        place = f"{name} row {row}" if row else name
        return None, [make("IN024", file=name, row=row, value=str(error), allowed=ALLOWED, place=place)]
    if not rows:
        return None, queries
    read = as_table(table, name, "", rows)
    return dataclasses.replace(read, decimal_comma=delimiter != "," and not _has_point(read)), queries


def _decoded(path: Path) -> tuple[str, str]:
    """Return the text of a file and its encoding."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise UnreadableError(f"it cannot be opened ({error.strerror})") from None
    if content[:2] in (b"\xff\xfe", b"\xfe\xff"):
        raise UnreadableError("it is UTF-16 text")
    if b"\0" in content:
        raise UnreadableError("it holds NUL bytes, so it is UTF-16 text or not text at all")
    try:
        return content.decode("utf-8-sig"), "UTF-8"
    except UnicodeDecodeError:
        pass
    try:
        return content.decode("cp1252"), "Windows-1252"
    except UnicodeDecodeError:
        raise UnreadableError("it is neither UTF-8 nor Windows-1252 text") from None


def _rows(text: str, delimiter: str) -> Rows:
    rows: Rows = []
    try:
        # strict: an unbalanced quote must not swallow the rows behind it
        for number, cells in enumerate(csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True), 1):
            if found := trimmed(number, cells):
                rows.append((number, found))
    except csv.Error as error:
        raise UnreadableError(_csv_problem(str(error)), (rows[-1][0] if rows else 0) + 1) from None
    return rows


def _csv_problem(reason: str) -> str:
    if "field larger" in reason:
        return "a cell is larger than 131072 characters; a closing quote may be missing"
    if "unexpected end" in reason or "expected after" in reason:
        return "a double quote is not closed or stands inside a cell"
    return reason


def _delimiter(text: str, table: str) -> str:
    header = next((line for line in io.StringIO(text, newline=None) if line.strip(" \t;,\n")), "")

    def score(delimiter: str) -> tuple[int, int]:
        try:
            cells = next(csv.reader([header], delimiter=delimiter), [])
        except csv.Error:
            return 0, 0
        return len(spec.match_headers(table, cells)), len(cells)

    return max((",", ";", "\t"), key=score)


def _has_point(read: ReadTable) -> bool:
    places = [n for n, header in enumerate(read.header) if _is_numeric(read.table, header)]
    return any("." in cells[n] for _, cells in read.rows for n in places if n < len(cells))


def _is_numeric(table: str, header: str) -> bool:
    name = spec.match_headers(table, [header]).get(header)
    return bool(name) and spec.table_spec(table).columns[str(name)].type in ("num", "int")
