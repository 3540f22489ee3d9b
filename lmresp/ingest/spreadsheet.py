"""Finds the tables of a study in CSV files and workbooks, whatever program saved them, and reads them as text."""

from __future__ import annotations

import csv
import dataclasses
import datetime
import io
import re
import warnings
import zipfile
from collections import defaultdict
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import openpyxl

from lmresp.ingest import identifiers, spec
from lmresp.ingest.study import Study
from lmresp.queries import Query, make
from lmresp.store import write_csv

MAX_BYTES = 100_000_000
MAX_UNPACKED_BYTES = 1_000_000_000
OWN_SHEETS = ("readme", "lists")  # sheets of the template that hold no data
_CSV_ALLOWED = "CSV (UTF-8), separated by comma, semicolon or tab"
_XLSX_ALLOWED = "an Excel workbook (.xlsx) or CSV (UTF-8)"
_DECIMAL_COMMA = re.compile(r"[+-]?[0-9]+,[0-9]+")


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


def read_csv_file(path: Path, table: str) -> tuple[ReadTable | None, list[Query]]:
    """Read one CSV file in any of the dialects that spreadsheets save.

    UTF-8 with or without byte order mark, else Windows-1252 (said in a query); comma, semicolon or tab, whichever
    finds more of the table's columns in the header; any line end; decimal commas in numeric columns of files that are
    not separated by commas and hold no decimal point.

    Parameters
    ----------
    path : Path
        The file.
    table : str
        The table that it is to hold.

    Returns
    -------
    tuple
        The table, or None when the file cannot be read or is empty, and the queries.
    """
    queries: list[Query] = []
    rows: list[tuple[int, tuple[str, ...]]] = []
    try:
        text, encoding = _decoded(path)
        if encoding != "UTF-8":
            queries.append(make("IN029", file=path.name, value=encoding, allowed="CSV UTF-8"))
        delimiter = _delimiter(text, table)
        # strict: an unbalanced quote must not swallow the rows behind it
        for number, cells in enumerate(csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True), 1):
            if any(cell.strip() for cell in cells):
                rows.append((number, tuple(cells)))
    except _UnreadableError as error:
        return None, [make("IN024", file=path.name, value=str(error), allowed=_CSV_ALLOWED, place=path.name)]
    except csv.Error as error:
        number = (rows[-1][0] if rows else 0) + 1
        where: dict[str, Any] = {"file": path.name, "row": str(number), "value": _csv_problem(str(error))}
        return None, [make("IN024", allowed=_CSV_ALLOWED, place=f"{path.name} row {number}", **where)]
    if not rows:
        return None, queries
    read = _as_table(table, path.name, "", rows)
    return dataclasses.replace(read, decimal_comma=delimiter != "," and not _has_point(read)), queries


class _UnreadableError(Exception):
    """A file that is no table; the text says why."""


def _decoded(path: Path) -> tuple[str, str]:
    """Return the text of a file and its encoding; raise :class:`_UnreadableError` when it is not text."""
    try:
        if path.stat().st_size > MAX_BYTES:
            raise _UnreadableError("it is larger than 100 MB")
        content = path.read_bytes()
    except OSError as error:
        raise _UnreadableError(str(error.strerror)) from None
    if content[:2] in (b"\xff\xfe", b"\xfe\xff"):
        raise _UnreadableError("it is UTF-16 text")
    if b"\0" in content:
        raise _UnreadableError("it holds NUL bytes, so it is UTF-16 text or not text at all")
    try:
        return content.decode("utf-8-sig"), "UTF-8"
    except UnicodeDecodeError:
        pass
    try:
        return content.decode("cp1252"), "Windows-1252"
    except UnicodeDecodeError:
        raise _UnreadableError("it is neither UTF-8 nor Windows-1252 text") from None


def _csv_problem(reason: str) -> str:
    if "field larger" in reason:
        return "a cell is larger than 131072 characters; a closing quote may be missing"
    if "unexpected end" in reason or "expected after" in reason:
        return "a double quote is not closed or stands inside a cell"
    return reason


def _delimiter(text: str, table: str) -> str:
    header = next((line for line in text.splitlines() if line.strip(" \t;,")), "")

    def score(delimiter: str) -> tuple[int, int]:
        cells = next(csv.reader([header], delimiter=delimiter), [])
        return len(spec.match_headers(table, cells)), len(cells)

    return max((",", ";", "\t"), key=score)


def _as_table(table: str, file: str, sheet: str, rows: list[tuple[int, tuple[str, ...]]]) -> ReadTable:
    header_row, header = rows[0]
    header = tuple(identifiers.plain_cell(cell)[:100] for cell in header)
    while header and not header[-1]:  # columns without a name at the right hold nothing we could call by name
        header = header[:-1]
    return ReadTable(table, file, sheet, header, header_row, tuple(rows[1:]))


def _has_point(read: ReadTable) -> bool:
    places = [n for n, header in enumerate(read.header) if _is_numeric(read.table, header)]
    return any("." in cells[n] for _, cells in read.rows for n in places if n < len(cells))


def _is_numeric(table: str, header: str) -> bool:
    name = spec.match_headers(table, [header]).get(header)
    return bool(name) and spec.table_spec(table).columns[str(name)].type in ("num", "int")


def read_workbook(path: Path) -> tuple[list[ReadTable], list[Query]]:
    """Read every sheet of an XLSX file that is named after a table.

    Dates become ISO 8601 text, numbers their shortest decimal text, TRUE and FALSE words. A formula gives its stored
    result.

    Returns
    -------
    tuple
        Tables in the order of the sheets, and queries; a broken or fake workbook gives a query and no table.
    """

    def refuse(why: str) -> tuple[list[ReadTable], list[Query]]:
        return [], [make("IN024", file=path.name, value=why, allowed=_XLSX_ALLOWED, place=path.name)]

    try:
        with zipfile.ZipFile(path) as archive:
            if sum(entry.file_size for entry in archive.infolist()) > MAX_UNPACKED_BYTES:
                return refuse("it unpacks to more than 1 GB")
    except (OSError, zipfile.BadZipFile):
        return refuse("it is not an Excel workbook, or it was cut off")
    tables: list[ReadTable] = []
    queries: list[Query] = []
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # openpyxl warns of styles and validations it will not keep
            values = openpyxl.load_workbook(path, read_only=True, data_only=True)
            formulas = openpyxl.load_workbook(path, read_only=True, data_only=False)
            for name in values.sheetnames:
                table = name.strip().lower()
                if table in spec.TABLES:
                    rows = list(_sheet_rows(values[name], formulas[name], path.name, name, queries))
                    if rows:
                        tables.append(_as_table(table, path.name, name, rows))
                elif table not in OWN_SHEETS:
                    allowed = ", ".join(spec.TABLES)
                    queries.append(make("IN032", file=path.name, sheet=name, value=f"sheet {name}", allowed=allowed))
            values.close()
            formulas.close()
    except Exception as error:
        # openpyxl raises whatever its parts raise (KeyError, ParseError, TypeError, zlib.error ...) on a broken file
        return refuse(f"it is a broken Excel workbook ({type(error).__name__})")
    return tables, queries


def _sheet_rows(
    values: Any, formulas: Any, file: str, sheet: str, queries: list[Query]
) -> Iterator[tuple[int, tuple[str, ...]]]:
    for one in (values, formulas):
        if hasattr(one, "reset_dimensions"):  # some programs store a wrong sheet size, which would cut rows off
            one.reset_dimensions()
    pairs = zip(values.iter_rows(), formulas.iter_rows(), strict=True)
    for number, (cells, sources) in enumerate(pairs, start=1):
        texts = []
        for place, (cell, source) in enumerate(zip(cells, sources, strict=True), start=1):
            texts.append(_cell_text(cell.value))
            if cell.value is None and source.data_type == "f":
                letter = openpyxl.utils.get_column_letter(place)
                where = {"file": file, "sheet": sheet, "row": number, "column": letter}
                allowed = "a value"
                queries.append(make("IN036", **where, allowed=allowed, place=f"{file} sheet {sheet} row {number}"))
        if any(text.strip() for text in texts):
            yield number, tuple(texts)


def _cell_text(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, datetime.datetime):
        midnight = value.time() == datetime.time()
        return value.date().isoformat() if midnight else value.isoformat(timespec="seconds")
    if isinstance(value, datetime.date):
        return value.isoformat()
    if isinstance(value, datetime.time):
        return value.isoformat(timespec="minutes")
    if isinstance(value, bool):
        return str(value).upper()
    if isinstance(value, float):
        return str(int(value)) if value.is_integer() and abs(value) < 1e15 else repr(value)
    return str(value)


def read_tables(study: Study) -> tuple[dict[str, ReadTable], list[Query]]:
    """Find and read every table of a study.

    A table may stand in ``tables/<table>.csv`` or in a sheet of an XLSX file in ``tables/``, any case. Given twice
    with rows, none is used; a template with only its header does not count as given.

    Returns
    -------
    tuple
        Table name to table, in the order of :data:`lmresp.ingest.spec.TABLES`, and queries.
    """
    found: dict[str, list[ReadTable]] = defaultdict(list)
    queries: list[Query] = []
    folder = study.tables_folder
    paths = sorted(folder.iterdir(), key=lambda path: path.name) if folder.is_dir() else []
    for path in paths:
        if path.name.startswith((".", "~$")):  # hidden files and the lock files of an open workbook
            continue
        table, kind = path.stem.strip().lower(), path.suffix.lower()
        if kind == ".xlsx" and path.is_file():
            read, asked = read_workbook(path)
            for one in read:
                found[one.table].append(one)
        elif kind == ".csv" and table in spec.TABLES and path.is_file():
            one_read, asked = read_csv_file(path, table)
            found[table] += [one_read] if one_read else []
        else:
            allowed = f".xlsx, or .csv named {', '.join(spec.TABLES)}"
            asked = [make("IN032", file=path.name, value="this file", allowed=allowed)]
        queries += asked
    chosen: dict[str, ReadTable] = {}
    for table in spec.TABLES:
        given = [one for one in found[table] if one.rows] or found[table][:1]
        if len(given) > 1:
            places = ", ".join(one.place for one in given)
            queries.append(make("IN023", file=given[0].file, value=places, allowed="one file or sheet", table=table))
        elif given:
            doubled = _doubled(given[0])
            queries += doubled
            if not doubled:
                chosen[table] = given[0]
    return chosen, queries


def _doubled(read: ReadTable) -> list[Query]:
    """Ask about columns of the table that the header names more than once."""
    names = [name for header in read.header for name in spec.match_headers(read.table, [header]).values()]
    twice = sorted({name for name in names if names.count(name) > 1})
    where: dict[str, Any] = {"file": read.file, "sheet": read.sheet, "row": read.header_row, "place": read.place}
    return [make("IN030", value=", ".join(twice), allowed="one column of each name", **where)] if twice else []


def write_raw_tables(study: Study) -> tuple[list[str], list[Query]]:
    """Write ``work/raw/<table>.csv`` for every known table; a file is rewritten only when its bytes change.

    Cells of columns that are not the table's are not taken over (only their header is), identity is withheld and
    accession numbers and UIDs are hashed, so that nothing that identifies a subject enters the results folder.

    Parameters
    ----------
    study : Study
        The study.

    Returns
    -------
    tuple
        Names of the tables that have rows, in fixed order, and the queries about files and whole rows.
    """
    tables, queries = read_tables(study)
    present = []
    for table in spec.TABLES:
        read = tables.get(table)
        rows, asked = _raw_rows(read) if read else ([], [])
        headers = list(dict.fromkeys(h for h in read.header if h and h not in spec.META)) if read else []
        write_csv(study.results / "work" / "raw" / f"{table}.csv", rows, (*spec.META, *headers), only_if_changed=True)
        queries += asked
        present += [table] if rows else []
    if "subjects" not in present and not any(query.file.lower().startswith("subjects.") for query in queries):
        queries.append(make("IN033", file="tables", allowed="subjects.csv or .xlsx"))
    return present, queries


def _raw_rows(read: ReadTable) -> tuple[list[dict[str, str]], list[Query]]:
    names = spec.match_headers(read.table, read.header)
    columns = spec.table_spec(read.table).columns
    rows: list[dict[str, str]] = []
    queries: list[Query] = []
    for number, cells in read.rows:
        # A row shorter than the header is filled up: spreadsheets leave out separators at the end of a row.
        padded = cells + ("",) * (len(read.header) - len(cells))
        row = {"_file": read.file, "_sheet": read.sheet, "_row": str(number)}
        for header, cell in zip(read.header, padded, strict=False):
            if header and header not in spec.META and header not in row:
                column = columns[names[header]] if header in names else None
                row[header] = _taken_over(cell, column, decimal_comma=read.decimal_comma) if column else ""
        for header, name in names.items():
            if columns[name].by:
                row[header] = _dependent_cell(row, header, read.table, names)
        if any(cell.strip() for cell in padded[len(read.header) :]):
            subject = next((row[header] for header, name in names.items() if name == "subject_id"), "")
            queries.append(
                make(
                    "IN025",
                    subject_id=subject,
                    file=read.file,
                    sheet=read.sheet,
                    row=number,
                    value=f"{len(cells)} cells under {len(read.header)} headers",
                    allowed="one cell for each header",
                    place=f"{read.place} row {number}",
                )
            )
        else:
            rows.append(row)
    return rows, queries


def _taken_over(cell: str, column: spec.Column, *, decimal_comma: bool) -> str:
    text = identifiers.plain_cell(cell)
    if column.type in ("num", "int"):
        return text.replace(",", ".") if decimal_comma and _DECIMAL_COMMA.fullmatch(text) else text
    kind = identifiers.kind_of(text)
    if kind:
        return identifiers.withheld(kind)
    if column.type in ("code", "flag"):
        return identifiers.coded_cell(text, column.codes or spec.FLAG)
    return identifiers.hashed(text) if column.hashed else text


def _dependent_cell(row: Mapping[str, str], header: str, table: str, names: Mapping[str, str]) -> str:
    """Return a cell whose list depends on another column; every list counts where that one is not known."""
    by = spec.table_spec(table).columns[names[header]].by or {}
    on = next((row[other] for other, name in names.items() if name == by["column"] and other in row), "")
    known = identifiers.same_code(on, list(by["rules"]))
    rules = [by["rules"][known]] if known else by["rules"].values()
    return identifiers.coded_cell(row[header], [code for rule in rules for code in rule.get("codes", ("NE",))])
