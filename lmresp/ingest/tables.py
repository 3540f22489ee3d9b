"""Checks the tables row by row: every cell in its one spelling, every problem a query, nothing guessed."""

from __future__ import annotations

import dataclasses
import os
import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

from lmresp.ingest import dates, identifiers, units
from lmresp.ingest.spec import FLAG, META, Column, Table, match_headers, table_spec
from lmresp.queries import COLUMNS, Query, from_row, make, numbered
from lmresp.store import read_csv, write_csv

Row = dict[str, str]
QUERY_COLUMNS = COLUMNS  # the query files of a stage have the columns of queries.csv

_LIMIT = re.compile(r"[<>]=? ?[0-9]+(?:[.,][0-9]+)?")
_HOSPITAL_NUMBER = re.compile(r"[0-9]{7,}")
_SERIAL = re.compile(r"[0-9]{5}(?:\.[0-9]+)?")


class _RowCheck:
    """One row on its way through the checks: its cells, and what was found."""

    def __init__(self, table: Table, raw: Mapping[str, str], names: Mapping[str, str], data_cut: str) -> None:
        self.table = table
        self.data_cut = data_cut
        self.file, self.sheet, self.number = (raw[name] for name in META)
        self.cells: Row = dict.fromkeys(table.output_columns, "")
        for header, name in names.items():
            self.cells[name] = identifiers.plain_cell(raw.get(header) or "")
        self.cells["row_id"] = f"{self.file}/{self.sheet}:{self.number}" if self.sheet else f"{self.file}:{self.number}"
        self.queries: list[Query] = []
        self.good = True
        self.withheld: set[str] = set()

    def ask(self, code: str, column: str, value: str, *, leave_out: bool = True, **fields: str) -> None:
        """Raise a query about a cell; the row is left out unless told otherwise."""
        self.good = self.good and not leave_out
        place = f"{self.file} sheet {self.sheet}" if self.sheet else self.file
        self.queries.append(
            make(
                code,
                sets_aside=None if leave_out else False,
                subject_id=self.cells.get("subject_id", ""),
                visit=self.cells.get("visit") or self.cells.get("visit_num", ""),
                file=self.file,
                sheet=self.sheet,
                row=self.number,
                column=column,
                value=value,
                place=f"{place} row {self.number}",
                **fields,
            )
        )

    def run(self) -> None:
        """Check identity first, so that no later query can repeat it, then every cell, then the row."""
        for column in self.table.columns.values():
            self._identity(column)
        clear = [column for column in self.table.columns.values() if column.name not in self.withheld]
        for column in clear:
            self._cell(column)
        for column in clear:
            self._dependent(column)
        if self.good:
            self._required_when()
            self._after_cut()

    def _identity(self, column: Column) -> None:
        text = self.cells[column.name]
        if column.type in ("num", "int", "dtc", "datetime"):
            return
        kind = identifiers.kind_of(text)
        if kind:
            needed = column.required == "R" or column.name in self.table.key
            shown = identifiers.withheld(kind)
            self.cells[column.name] = shown if needed else ""
            found = f"text like {identifiers.with_article(kind)}"
            stops = needed and column.name != "subject_id"  # without its identifier, no subject can be set aside
            self.ask("IN015", column.name, shown, leave_out=stops, found=found, allowed=_allowed(column))
            self.good = self.good and not needed
            self.withheld.add(column.name)
        elif column.hashed:
            self.cells[column.name] = identifiers.hashed(text)

    def _cell(self, column: Column) -> None:
        text = self.cells[column.name]
        if not text:
            if column.required == "R":
                self.ask("IN020", column.name, "", allowed=_allowed(column))
            return
        if column.type == "str" and len(text) > column.max_length:
            self.ask("IN026", column.name, text, length=str(len(text)), allowed=_allowed(column))
        elif column.type in ("code", "flag"):
            self._code(column, text, column.codes or FLAG)
        elif column.type in ("dtc", "datetime"):
            self._date(column, text)
        elif column.type in ("num", "int") and not column.quantity:
            self._number(column, text, column.range)
        if column.name == "subject_id" and self.table.name == "subjects" and _HOSPITAL_NUMBER.fullmatch(text):
            self.ask("IN028", column.name, text, leave_out=False, allowed=_allowed(column))

    def _code(self, column: Column, text: str, codes: Sequence[str]) -> None:
        """Accept differences of case and of blanks; write the code as the list does."""
        found = identifiers.same_code(text, codes)
        if found is None:
            self.ask("IN003", column.name, identifiers.coded_cell(text, codes), allowed=", ".join(codes))
        else:
            self.cells[column.name] = found

    def _date(self, column: Column, text: str) -> None:
        problem = dates.problem(text)
        if problem and _SERIAL.fullmatch(text):
            problem = "looks like the day number of a spreadsheet, not like a date"
        elif not problem and column.full_date and not dates.is_full(text):
            problem = "has no day, which is needed here"
        elif not problem and column.needs_year and text.startswith("--"):
            problem = "has no year, which is needed here"
        elif not problem and column.type == "datetime" and not dates.has_time(text):
            problem = "has no time, which is needed here"
        if problem:
            self.ask("IN004", column.name, text, problem=problem, allowed=_allowed(column))

    def _number(self, column: Column, text: str, limits: Sequence[float] | None) -> None:
        value = units.number(text)
        low, high = limits or (float("-inf"), float("inf"))
        whole = column.type != "int" or value is None or value == value.to_integral_value()
        if value is None or not whole or not low <= value <= high:
            self.ask("IN027", column.name, text, allowed=_number_allowed(column.type, limits))
        else:
            self.cells[column.name] = units.number_text(value)

    def _dependent(self, column: Column) -> None:
        """Check what depends on another column: units, and values whose list depends on the item."""
        text = self.cells[column.name]
        if column.quantity and text:
            self._laboratory(column, text)
        rule = (column.by or {}).get("rules", {}).get(self.cells.get((column.by or {}).get("column", ""), ""), {})
        if not text or not rule:
            return
        if "range" in rule:
            if text.upper() == "NE":
                self.cells[column.name] = "NE"
            else:
                self._number(column, text, rule["range"])
        else:
            number = units.number(text)
            self._code(column, text if number is None else units.number_text(number), rule["codes"])

    def _laboratory(self, column: Column, text: str) -> None:
        name, unit = column.name, self.cells[f"{column.name}_unit"]
        self.cells[f"{name}_given"], self.cells[f"{name}_unit_given"] = text, unit
        if _LIMIT.fullmatch(text):
            self.cells[name] = ""
            self.ask("IN035", name, text, leave_out=False, allowed="a number")
            return
        value = units.number(text)
        if value is None or value < 0:
            self.ask("IN027", name, text, allowed=_number_allowed("num", (0, float("inf"))))
            return
        converted = units.convert(column.quantity, value, unit)
        if converted is None:
            allowed = ", ".join(units.accepted_units(column.quantity))
            self.ask("IN007", f"{name}_unit", unit, quantity=name, allowed=allowed)
            return
        standard = units.standard_unit(column.quantity)
        self.cells[name], self.cells[f"{name}_unit"] = units.number_text(converted), standard
        if column.plausible and not column.plausible[0] <= converted <= column.plausible[1]:
            allowed = f"{column.plausible[0]:g} to {column.plausible[1]:g} {standard}"
            self.ask("IN008", name, f"{text} {unit}", leave_out=False, allowed=allowed)

    def _required_when(self) -> None:
        for rule in self.table.required_when:
            column = str(rule["column"])
            if not self.cells[column] and all(_holds(self.cells[name], v) for name, v in rule["when"].items()):
                because = " and ".join(f"{name} is {self.cells[name] or 'empty'}" for name in rule["when"])
                self.ask("IN021", column, "", because=because, allowed=_allowed(self.table.columns[column]))

    def _after_cut(self) -> None:
        for column in self.table.columns.values():
            day = dates.earliest(self.cells[column.name]) if column.after_cut else None
            if day is None or not self.data_cut or day.isoformat() <= self.data_cut:
                continue
            fields = {"limit": f"the data cut {self.data_cut}", "allowed": f"up to {self.data_cut}"}
            whole_row = column.after_cut == "row"
            self.ask("IN005", column.name, self.cells[column.name], leave_out=whole_row, **fields)
            for name in () if whole_row else column.after_cut:
                self.cells[name] = ""


def _holds(cell: str, values: Sequence[str]) -> bool:
    return bool(cell) if values == ["any"] else cell in values


def _number_allowed(kind: str, limits: Sequence[float] | None) -> str:
    words = "a whole number" if kind == "int" else "a number"
    if limits is None:
        return words
    return (
        f"{words}, {limits[0]:g} or more"
        if limits[1] == float("inf")
        else f"{words} from {limits[0]:g} to {limits[1]:g}"
    )


def _allowed(column: Column) -> str:
    """Say what a column accepts."""
    if column.type == "code":
        return ", ".join(column.codes)
    if column.type == "flag":
        return ", ".join(FLAG)
    if column.type == "dtc":
        return dates.ALLOWED_FULL if column.full_date else dates.ALLOWED
    if column.type == "datetime":
        return dates.ALLOWED_TIME
    if column.type in ("num", "int"):
        return _number_allowed(column.type, column.range)
    return f"text of at most {column.max_length} characters without anything that identifies a person"


def check_table(
    table: str, raw_rows: Sequence[Mapping[str, str]], *, data_cut: str = ""
) -> tuple[list[Row], list[Query]]:
    """Check the raw rows of one table.

    Headers are matched without case and blanks around them; codes too, and written as in the list. A row with an
    error is left out and its subject set aside by the query; a record after the data cut is left out and its subject
    goes on. Nothing is repaired silently: a cell is changed only in spelling, and laboratory values are converted
    with the value as given kept in ``<column>_given`` and ``<column>_unit_given``.

    Parameters
    ----------
    table : str
        A name of :data:`lmresp.ingest.spec.TABLES`.
    raw_rows : sequence of mapping
        Rows of ``work/raw/<table>.csv``: ``_file``, ``_sheet``, ``_row`` and the file's own headers, all text.
    data_cut : str
        ``YYYY-MM-DD``; empty for no cut.

    Returns
    -------
    tuple
        Checked rows with the columns ``table_spec(table).output_columns``, in the order of the file, and the queries.

    Raises
    ------
    KeyError
        If there is no such table.
    """
    described = table_spec(table)
    if not raw_rows:
        return [], []
    headers = [header for header in raw_rows[0] if header not in META]
    names = match_headers(table, headers)
    queries, usable = _check_headers(described, raw_rows[0], headers, names)
    if not usable:
        return [], queries
    checks = [_RowCheck(described, raw, names, data_cut) for raw in raw_rows]
    for check in checks:
        check.run()
    _check_keys(described, checks)
    if table == "mri_reads":
        _check_locked(checks)
    if table == "subjects":
        _check_folder_names(checks)
    queries += [query for check in checks for query in check.queries]
    return [check.cells for check in checks if check.good], queries


def _check_headers(
    table: Table, first: Mapping[str, str], headers: Sequence[str], names: Mapping[str, str]
) -> tuple[list[Query], bool]:
    place = f"{first['_file']} sheet {first['_sheet']}" if first["_sheet"] else first["_file"]
    where: dict[str, Any] = {"file": first["_file"], "sheet": first["_sheet"], "row": "1", "place": place}
    allowed = ", ".join(table.columns)
    queries = []
    unknown = [header for header in headers if header not in names]
    for header in unknown:
        if identifiers.is_identity_header(header):
            found = "a column that identifies people"
            queries.append(
                make(
                    "IN015",
                    sets_aside=False,
                    **where,
                    column=header,
                    value="whole column",
                    found=found,
                    allowed=allowed,
                )
            )
    others = [header for header in unknown if not identifiers.is_identity_header(header)]
    if others:
        queries.append(make("IN022", **where, value=", ".join(others)[:200], allowed=allowed))
    given = set(names.values())
    missing = [c for c in table.columns.values() if c.required == "R" and c.name not in given]
    queries += [make("IN001", **where, column=column.name, allowed=_allowed(column)) for column in missing]
    return queries, not missing


def _check_locked(checks: Iterable[_RowCheck]) -> None:
    """Leave unlocked reads out; a read is a row per compartment and item, so that one query stands for a session."""
    sessions: dict[tuple[str, ...], list[_RowCheck]] = defaultdict(list)
    for check in checks:
        if check.good and not check.cells["locked_dtc"]:
            check.good = False
            sessions[tuple(check.cells[name] for name in ("subject_id", "scan_dtc", "reader_id"))].append(check)
    for session in sessions.values():
        first, last = session[0].cells["read_id"], session[-1].cells["read_id"]
        shown = first if first == last else f"{first}..{last}"
        session[0].ask("IN011", "locked_dtc", shown, allowed=dates.ALLOWED_TIME)


def _check_keys(table: Table, checks: Iterable[_RowCheck]) -> None:
    groups: dict[tuple[str, ...], list[_RowCheck]] = defaultdict(list)
    for check in checks:
        if check.good:
            groups[tuple(check.cells[name] for name in table.key)].append(check)
    for key, group in groups.items():
        if len(group) > 1:
            rows = ", ".join(check.number for check in group)
            for check in group:
                shown = ", ".join(part for part in key if part)
                allowed = f"one row for each {' + '.join(table.key)}; now in rows {rows}"
                check.ask(
                    "IN002", table.key[-1] if len(table.key) == 1 else "+".join(table.key), shown, allowed=allowed
                )


def _check_folder_names(checks: Iterable[_RowCheck]) -> None:
    """Set aside subjects whose images could be mixed up: BIDS labels hold letters and digits only, in any case."""
    groups: dict[str, list[_RowCheck]] = defaultdict(list)
    for check in checks:
        groups[re.sub(r"[^0-9A-Za-z]", "", check.cells["subject_id"]).casefold()].append(check)
    for label, group in groups.items():
        names = {check.cells["subject_id"] for check in group} - {""}
        for check in group:
            others = sorted(names - {check.cells["subject_id"]})
            if check.cells["subject_id"] and (others or not label):
                allowed = "identifiers with letters (A to Z) or digits that no other subject has in the same order"
                shown = ", ".join(others) or "an empty one"
                check.ask("IN037", "subject_id", check.cells["subject_id"], other=shown, allowed=allowed)


def write_queries(path: str | os.PathLike[str], queries: Iterable[Query]) -> None:
    """Write queries, sorted and numbered, with the columns of ``queries.csv``."""
    write_csv(path, numbered(queries), QUERY_COLUMNS)


def collect_queries(paths: Iterable[str | os.PathLike[str]]) -> list[Query]:
    """Read query files; a file that does not exist counts as empty."""
    return [from_row(row) for path in paths if Path(path).is_file() for row in read_csv(path)]


def with_visit_labels(queries: Iterable[Query], visits_rows: Iterable[Mapping[str, str]]) -> list[Query]:
    """Name visits by their label wherever the table ``visits`` knows it.

    Parameters
    ----------
    queries : iterable of Query
        Queries whose ``visit`` is a label or a number.
    visits_rows : iterable of mapping
        Rows of ``work/tables/visits.csv``.

    Returns
    -------
    list of Query
        The queries in the same order; a number that the subject does not have stays a number.
    """
    labels: dict[str, dict[Decimal, str]] = defaultdict(dict)
    for row in visits_rows:
        value = units.number(row.get("visit_num", ""))
        if value is not None and row.get("visit"):
            labels[row["subject_id"]].setdefault(value, row["visit"])

    def named(query: Query) -> Query:
        known, value = labels.get(query.subject_id, {}), units.number(query.visit)
        if value not in known or query.visit in known.values():  # a label may look like a number
            return query
        return dataclasses.replace(query, visit=known[value])

    return [named(query) for query in queries]


def set_aside_subjects(queries: Iterable[Query]) -> dict[str, list[str]]:
    """Return the subjects that a query sets aside, each with the codes that do so, sorted."""
    reasons: dict[str, set[str]] = defaultdict(set)
    for query in queries:
        if query.sets_aside == "Y" and query.subject_id:
            reasons[query.subject_id].add(query.code)
    return {subject: sorted(reasons[subject]) for subject in sorted(reasons)}


def ingest_table(
    raw_csv: str | os.PathLike[str],
    table: str,
    out_csv: str | os.PathLike[str],
    out_queries: str | os.PathLike[str],
    *,
    data_cut: str = "",
) -> None:
    """Check one raw table and write its checked rows and its queries (the step of one job).

    Parameters
    ----------
    raw_csv : path-like
        ``work/raw/<table>.csv``.
    table : str
        Name of the table.
    out_csv, out_queries : path-like
        ``work/tables/<table>.csv`` and ``work/tables/<table>.queries.csv``; both are always written.
    data_cut : str
        ``YYYY-MM-DD`` of ``study.yaml``.
    """
    rows, queries = check_table(table, read_csv(raw_csv), data_cut=data_cut)
    write_csv(out_csv, rows, table_spec(table).output_columns)
    write_queries(out_queries, queries)
