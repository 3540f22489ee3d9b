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
from lmresp.ingest.assign import norm
from lmresp.ingest.row_check import Row, RowCheck, allowed_text
from lmresp.ingest.spec import META, Table, match_headers, table_spec
from lmresp.queries import COLUMNS, Query, from_row, make, numbered
from lmresp.store import read_csv, write_csv

QUERY_COLUMNS = COLUMNS  # the query files of a stage have the columns of queries.csv


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
    queries, usable = check_headers(table, raw_rows[0]["_file"], raw_rows[0]["_sheet"], headers)
    if not usable:
        return [], queries
    checks = [RowCheck(described, raw, names, data_cut) for raw in raw_rows]
    for check in checks:
        check.run()
    _check_keys(described, checks)
    if table == "mri_reads":
        _check_locked(checks)
    if table == "subjects":
        _check_folder_names(checks)
    if table == "visits":
        _check_visit_labels(checks)
    queries += [query for check in checks for query in check.queries]
    return [check.cells for check in checks if check.good], queries


def check_headers(table: str, file: str, sheet: str, headers: Sequence[str]) -> tuple[list[Query], bool]:
    """Check the header of a table.

    Parameters
    ----------
    table : str
        A name of :data:`lmresp.ingest.spec.TABLES`.
    file, sheet : str
        Where the table stands.
    headers : sequence of str
        Its headers as written.

    Returns
    -------
    tuple
        The queries, and whether the table can be used: every required column is there.
    """
    described, names = table_spec(table), match_headers(table, headers)
    place = f"{file} sheet {sheet}" if sheet else file
    where: dict[str, Any] = {"file": file, "sheet": sheet, "row": "1", "place": place}
    allowed, given = ", ".join(described.columns), set(names.values())
    queries, unread = [], []
    for header in (header for header in headers if header and header not in names):
        near = _near_column(header, described)
        if identifiers.is_identity_header(header):
            fields = {"value": "whole column", "found": "a column that identifies people", "allowed": allowed}
            queries.append(make("IN015", sets_aside=False, **where, column=header, **fields))
        elif near and near not in given:
            queries.append(make("IN041", **where, column=header, value=header, near=near, allowed=near))
        else:
            unread.append(header)
    if unread:
        queries.append(make("IN022", **where, value=", ".join(unread)[:200], allowed=allowed))
    missing = [c for c in described.columns.values() if c.required == "R" and c.name not in given]
    queries += [make("IN001", **where, column=column.name, allowed=allowed_text(column)) for column in missing]
    return queries, not missing


def _near_column(header: str, table: Table) -> str:
    """Find the column that a header means but for a unit, a remark in brackets or the marks between its words."""
    word = re.sub(r"\W+", "_", re.sub(r"\(.*?\)|\[.*?\]", "", header.lower())).strip("_")
    for name, column in table.columns.items():
        ends = (
            [re.sub(r"\W+", "_", unit.lower()) for unit in units.accepted_units(column.quantity)]
            if column.quantity
            else []
        )
        if word == name or word in [f"{name}_{end.strip('_')}" for end in ends]:
            return name
    return ""


def _check_locked(checks: Iterable[RowCheck]) -> None:
    """Leave unlocked reads out; a read is a row per compartment and item, so that one query stands for a session."""
    sessions: dict[tuple[str, ...], list[RowCheck]] = defaultdict(list)
    for check in checks:
        if check.good and not check.cells["locked_dtc"]:
            check.good = False
            sessions[tuple(check.cells[name] for name in ("subject_id", "scan_dtc", "reader_id"))].append(check)
    for session in sessions.values():
        first, last = session[0].cells["read_id"], session[-1].cells["read_id"]
        shown = first if first == last else f"{first}..{last}"
        session[0].ask("IN011", "locked_dtc", shown, allowed=dates.ALLOWED_TIME)


def _check_keys(table: Table, checks: Iterable[RowCheck]) -> None:
    groups: dict[tuple[str, ...], list[RowCheck]] = defaultdict(list)
    for check in checks:
        if check.good:
            groups[tuple(check.cells[name] for name in table.key)].append(check)
    for key, group in groups.items():
        asked = set()  # once for each subject concerned: not every key names the subject
        for check in group if len(group) > 1 else []:
            check.good = False
            if check.cells.get("subject_id", "") not in asked:
                asked.add(check.cells.get("subject_id", ""))
                rows, shown = _rows_text(group), ", ".join(part for part in key if part)
                allowed = f"one row for each {' + '.join(table.key)}; now in {rows}"
                check.ask("IN002", "+".join(table.key), shown, rows=rows, allowed=allowed)


def _rows_text(checks: Sequence[RowCheck]) -> str:
    numbers = [check.number for check in checks]
    return f"rows {', '.join(numbers[:-1])} and {numbers[-1]}"


def _check_visit_labels(checks: Iterable[RowCheck]) -> None:
    """Set aside subjects with a visit label that fits several visits: images could go to the wrong one.

    Rows with one number are the same key twice, which has its own query.
    """
    groups: dict[tuple[str, str], list[RowCheck]] = defaultdict(list)
    for check in checks:
        if not check.withheld & {"subject_id", "visit"} and check.cells["visit"]:
            groups[(check.cells["subject_id"], norm(check.cells["visit"]))].append(check)
    for group in groups.values():
        if len({check.cells["visit_num"] for check in group}) > 1:
            for check in group:
                check.good = False
            labels = ", ".join(dict.fromkeys(check.cells["visit"] for check in group))
            allowed = "labels that differ in their letters (A to Z) or digits within a subject"
            group[0].ask("IN038", "visit", labels, rows=_rows_text(group), allowed=allowed)


def _check_folder_names(checks: Iterable[RowCheck]) -> None:
    """Set aside subjects whose images could be mixed up: BIDS labels hold letters and digits only, in any case."""
    groups: dict[str, list[RowCheck]] = defaultdict(list)
    for check in checks:
        groups[norm(check.cells["subject_id"])].append(check)
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
