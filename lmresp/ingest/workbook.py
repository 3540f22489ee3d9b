"""Reads the tables of an Excel workbook, sheet by sheet."""

from __future__ import annotations

import datetime
import re
import warnings
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import openpyxl

from lmresp.ingest import spec
from lmresp.ingest.cells import NO_RESULT
from lmresp.ingest.table_file import ReadTable, Rows, UnreadableError, as_table, check_file, shown_name, trimmed
from lmresp.queries import Query, make

ALLOWED = "an Excel workbook (.xlsx) or CSV (UTF-8) of at most 100 MB, without merged cells"
MAX_UNPACKED_BYTES = 500_000_000
MAX_OTHER_BYTES = 100_000_000  # styles, shared texts: read whole, unlike the sheets, which stream
MAX_ROWS = 1_048_576  # of a sheet of Excel
OWN_SHEETS = ("readme", "lists")  # sheets of the template that hold no data
_MERGED = re.compile(rb"<(?:\w+:)?mergeCell [^>]*?ref=\"([A-Z]+[0-9]+:[A-Z]+[0-9]+)\"")
_CHUNK = 1_000_000  # bytes


def read_workbook(path: Path) -> tuple[list[ReadTable], list[Query]]:
    """Read every sheet of an XLSX file that is named after a table, hidden sheets and hidden rows too.

    Dates become ISO 8601 text, numbers their shortest decimal text, TRUE and FALSE words. A formula gives its stored
    result, or :data:`lmresp.ingest.cells.NO_RESULT` where it has none. A sheet with merged cells is refused: only the
    first of them holds the value, and whether it holds for the others is not said.

    Returns
    -------
    tuple
        Tables in the order of the sheets, and queries; a workbook that is broken, fake or would unpack without end
        gives a query and no table.
    """
    tables: list[ReadTable] = []
    queries: list[Query] = []
    name = shown_name(path)

    def refuse(error: UnreadableError, sheet: str = "") -> Query:
        row = str(error.row or "")
        place = " ".join(filter(None, (name, sheet and f"sheet {sheet}", row and f"row {row}")))
        return make("IN024", file=name, sheet=sheet, row=row, value=str(error), allowed=ALLOWED, place=place)

    try:
        check_file(path)
        _check_size(path)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # openpyxl warns of styles and validations it will not keep
            values = openpyxl.load_workbook(path, read_only=True, data_only=True)
            formulas = openpyxl.load_workbook(path, read_only=True, data_only=False)
            for sheet in values.sheetnames:
                table = sheet.strip().lower()
                if table in spec.TABLES:
                    try:
                        _refuse_merged(path, values[sheet])
                        rows = list(_sheet_rows(values[sheet], formulas[sheet]))
                    except UnreadableError as error:
                        queries.append(refuse(error, sheet))
                        continue
                    if rows:
                        tables.append(as_table(table, name, sheet, rows))
                elif table not in OWN_SHEETS:
                    allowed = ", ".join(spec.TABLES)
                    queries.append(make("IN032", file=name, sheet=sheet, value=f"sheet {sheet}", allowed=allowed))
            values.close()
            formulas.close()
    except UnreadableError as error:
        return [], [refuse(error)]
    except Exception as error:
        # openpyxl raises whatever its parts raise (KeyError, ParseError, TypeError, zlib.error ...) on a broken file
        return [], [refuse(UnreadableError(f"it is a broken Excel workbook ({type(error).__name__})"))]
    return tables, queries


def read_sheet(path: Path, sheet: str) -> Rows:
    """Read one sheet of an XLSX file that is no table of the study, as :func:`read_workbook` reads its tables.

    Returns
    -------
    list of (int, tuple of str)
        Row numbers and cells as text, without blank rows; empty when there is no such sheet.

    Raises
    ------
    lmresp.ingest.table_file.UnreadableError
        If the file is broken, fake, too large, or the sheet has merged cells.
    """
    try:
        check_file(path)
        _check_size(path)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            values = openpyxl.load_workbook(path, read_only=True, data_only=True)
            formulas = openpyxl.load_workbook(path, read_only=True, data_only=False)
        try:
            if sheet not in values.sheetnames:
                return []
            _refuse_merged(path, values[sheet])
            return list(_sheet_rows(values[sheet], formulas[sheet]))
        finally:
            values.close()
            formulas.close()
    except UnreadableError:
        raise
    except Exception as error:  # see read_workbook
        raise UnreadableError(f"it is a broken Excel workbook ({type(error).__name__})") from None


def _check_size(path: Path) -> None:
    try:
        with zipfile.ZipFile(path) as archive:
            sizes = {entry.filename: entry.file_size for entry in archive.infolist()}
    except OSError as error:
        raise UnreadableError(f"it cannot be opened ({error.strerror})") from None
    except zipfile.BadZipFile:
        raise UnreadableError("it is not an Excel workbook, or it was cut off") from None
    other = sum(size for name, size in sizes.items() if not name.startswith("xl/worksheets/"))
    if sum(sizes.values()) > MAX_UNPACKED_BYTES or other > MAX_OTHER_BYTES:
        raise UnreadableError(f"it unpacks to more than {MAX_UNPACKED_BYTES // 1_000_000} MB")


def _refuse_merged(path: Path, sheet: Any) -> None:
    """Refuse a sheet with merged cells, which openpyxl does not tell of when it streams a sheet."""
    found: list[str] = []
    with zipfile.ZipFile(path) as archive, archive.open(sheet._worksheet_path) as stream:
        rest = b""
        while chunk := stream.read(_CHUNK):
            found += [ref.decode() for ref in _MERGED.findall(rest + chunk)]
            rest = chunk[-200:] if not found else b""
    if found:
        more = "" if len(found) == 1 else f" and {len(found) - 1} more"
        raise UnreadableError(f"cells are merged ({found[0]}{more})")


def _sheet_rows(values: Any, formulas: Any) -> Iterator[tuple[int, tuple[str, ...]]]:
    for one in (values, formulas):
        if hasattr(one, "reset_dimensions"):  # some programs store a wrong sheet size, which would cut rows off
            one.reset_dimensions()
    pairs = zip(values.iter_rows(), formulas.iter_rows(), strict=True)
    for number, (cells, sources) in enumerate(pairs, start=1):
        if number > MAX_ROWS:
            raise UnreadableError(f"it has more than {MAX_ROWS} rows")
        texts = [
            NO_RESULT if cell.value is None and source.data_type == "f" else _cell_text(cell.value)
            for cell, source in zip(cells, sources, strict=True)
        ]
        if found := trimmed(number, texts):
            yield number, found


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
