"""Finds the tables of a study in CSV files and workbooks, and takes them over as text."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from lmresp.errors import StudyError
from lmresp.ingest import identifiers, spec
from lmresp.ingest.cells import is_failed
from lmresp.ingest.csv_file import read_csv_file
from lmresp.ingest.study import Study
from lmresp.ingest.table_file import ReadTable, shown_name
from lmresp.ingest.workbook import read_workbook
from lmresp.queries import Query, make, numbered
from lmresp.store import write_csv

_DECIMAL_COMMA = re.compile(r"[+-]?[0-9]+,[0-9]+")
# Queries about a whole table: it is there and none of it can be used.
UNUSABLE = ("IN001", "IN023", "IN024", "IN030", "IN033")


def read_tables(study: Study) -> tuple[dict[str, ReadTable], list[Query]]:
    """Find and read every table of a study.

    A table may stand in ``tables/<table>.csv`` or in a sheet of an XLSX file in ``tables/``, any case. Given twice
    with rows, none is used; a template with only its header does not count as given. Files of 100 MB, pipes and what
    else cannot be a table are refused before they are opened.

    Returns
    -------
    tuple
        Table name to table, in the order of :data:`lmresp.ingest.spec.TABLES`, and queries.
    """
    found: dict[str, list[ReadTable]] = defaultdict(list)
    queries: list[Query] = []
    other: list[Path] = []
    for path in _paths(study.tables_folder, queries):
        table, kind = path.stem.strip().lower(), path.suffix.lower()
        if kind == ".xlsx":
            read, asked = read_workbook(path)
            for one in read:
                found[one.table].append(one)
            queries += asked
        elif kind == ".csv" and table in spec.TABLES:
            one_read, asked = read_csv_file(path, table)
            found[table] += [one_read] if one_read else []
            queries += asked
        else:
            other.append(path)
    queries += [_unread(path, found) for path in other]
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


def _paths(folder: Path, queries: list[Query]) -> list[Path]:
    """List what lies in the folder of tables; a folder that cannot be opened is asked about."""
    try:
        names = sorted(path.name for path in folder.iterdir())
    except FileNotFoundError:
        return []
    except OSError as error:
        why = f"the folder cannot be opened ({error.strerror})"
        queries.append(
            make("IN024", file=folder.name, value=why, allowed="a folder that may be opened", place=folder.name)
        )
        return []
    # hidden files and the lock files of an open workbook are not ours
    return [folder / name for name in names if not name.startswith((".", "~$"))]


def _unread(path: Path, found: Mapping[str, list[ReadTable]]) -> Query:
    """Ask about a file that is not read: an error when it may hold a table of the study that nothing else gives."""
    table, name = path.stem.strip().lower(), shown_name(path)
    if table in spec.TABLES and not any(one.rows for one in found.get(table, ())):
        return make("IN024", file=name, value="it is neither CSV nor .xlsx", allowed=".csv or .xlsx", place=name)
    allowed = f".xlsx, or .csv named {', '.join(spec.TABLES)}"
    return make("IN032", file=name, value="this file", allowed=allowed)


def _doubled(read: ReadTable) -> list[Query]:
    """Ask about columns of the table that the header names more than once."""
    names = [name for header in read.header for name in spec.match_headers(read.table, [header]).values()]
    twice = sorted({name for name in names if names.count(name) > 1})
    where: dict[str, Any] = {"file": read.file, "sheet": read.sheet, "row": read.header_row, "place": read.place}
    return [make("IN030", value=", ".join(twice), allowed="one column of each name", **where)] if twice else []


def stop_if_unusable(study: Study) -> None:
    """Stop where a table is there and none of it can be used.

    Its rows could concern every subject: calls made without them would be wrong and look right. A problem of single
    rows is no reason to stop; it sets its subject aside. Nothing is written.

    Raises
    ------
    StudyError
        With the first such problem in one line.
    """
    from lmresp.ingest.tables import check_headers

    tables, queries = read_tables(study)
    for read in tables.values():
        if read.rows:
            queries += check_headers(read.table, read.file, read.sheet, read.header)[0]
    if not _has_subjects(tables, queries):
        queries.append(_no_subjects())
    found = numbered(query for query in queries if query.code in UNUSABLE)
    if found:
        first, more = found[0], len(found) - 1
        rest = f" ({more} more of this kind; lmresp check lists them)" if more else ""
        what = first["message"].removesuffix(".") + rest
        raise StudyError(f"{first['code']} {what}", where="tables", allowed=first["allowed"])


def _has_subjects(tables: Mapping[str, ReadTable], queries: list[Query]) -> bool:
    """Whether the subjects are given, or asked for already."""
    asked = any(query.file.lower().startswith("subjects.") for query in queries if query.code in UNUSABLE)
    return asked or ("subjects" in tables and bool(tables["subjects"].rows))


def _no_subjects() -> Query:
    return make("IN033", file="tables", allowed="subjects.csv or .xlsx")


def write_raw_tables(
    study: Study, further: Mapping[str, Sequence[Mapping[str, str]]] | None = None
) -> tuple[list[str], list[Query]]:
    """Write ``work/raw/<table>.csv`` for every known table; a file is rewritten only when its bytes change.

    Cells of columns that are not the table's are not taken over (only their header is), identity is withheld and
    accession numbers and UIDs are hashed, so that nothing that identifies a subject enters the results folder.

    Parameters
    ----------
    study : Study
        The study.
    further : mapping of str to rows, optional
        Rows of a table that do not come from a file of tables: names of columns, ``_file`` and ``_row``. They stand
        behind the rows of the table that the study has otherwise.

    Returns
    -------
    tuple
        Names of the tables that have rows, in fixed order, and the queries about files and whole rows.
    """
    tables, queries = read_tables(study)
    present = []
    for table in spec.TABLES:
        read = tables.get(table)
        rows, asked = raw_rows(read) if read else ([], [])
        headers = list(dict.fromkeys(h for h in read.header if h and h not in spec.META)) if read else []
        rows += _further_rows(table, (further or {}).get(table, ()), headers)
        write_csv(study.results / "work" / "raw" / f"{table}.csv", rows, (*spec.META, *headers), only_if_changed=True)
        queries += asked
        present += [table] if rows else []
    if not _has_subjects(tables, queries):
        queries.append(_no_subjects())
    return present, queries


def raw_rows(read: ReadTable) -> tuple[list[dict[str, str]], list[Query]]:
    """Take the rows of a table over as text under the headers of its file, without identity; ask about broken rows."""
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


def _further_rows(table: str, given: Sequence[Mapping[str, str]], headers: list[str]) -> list[dict[str, str]]:
    """Put rows under the headers that the table has already; headers that it lacks are added to them."""
    columns = spec.table_spec(table).columns
    spelt = {name: header for header, name in spec.match_headers(table, headers).items()}
    for name in dict.fromkeys(name for row in given for name in row if name not in spec.META and name not in spelt):
        spelt[name] = name
        headers.append(name)
    return [
        {"_file": row["_file"], "_sheet": "", "_row": row["_row"]}
        | {spelt[n]: _taken_over(cell, columns[n], decimal_comma=False) for n, cell in row.items() if n in columns}
        for row in given
    ]


def _taken_over(cell: str, column: spec.Column, *, decimal_comma: bool) -> str:
    text = identifiers.plain_cell(cell)
    if is_failed(text):
        return text  # said by the check of the row
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
    if is_failed(row[header]):
        return row[header]
    by = spec.table_spec(table).columns[names[header]].by or {}
    on = next((row[other] for other, name in names.items() if name == by["column"] and other in row), "")
    known = identifiers.same_code(on, list(by["rules"]))
    rules = [by["rules"][known]] if known else by["rules"].values()
    return identifiers.coded_cell(row[header], [code for rule in rules for code in rule.get("codes", ("NE",))])
