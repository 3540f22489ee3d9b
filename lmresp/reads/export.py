"""The locked reads that stand, as CSV or workbook in the layout of ``mri_reads`` (pure)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from openpyxl import Workbook

from lmresp import store
from lmresp.reads import rows


def table_rows(entries: Iterable[Mapping[str, Any]]) -> list[dict[str, str]]:
    """Return rows of ``mri_reads``, guarded against spreadsheets that run formulas."""
    return [{name: rows.guarded(row[name]) for name in rows.COLUMNS} for row in rows.rows_of(entries)]


def csv_bytes(entries: Iterable[Mapping[str, Any]]) -> bytes:
    """Return the CSV file."""
    return store.csv_text(table_rows(entries), rows.COLUMNS).encode("utf-8")


def xlsx_bytes(entries: Iterable[Mapping[str, Any]]) -> bytes:
    """Return the workbook: one sheet, text cells only."""
    book = Workbook(write_only=True)
    sheet = book.create_sheet("mri_reads")
    sheet.append(list(rows.COLUMNS))
    for row in table_rows(entries):
        sheet.append([row[name] or None for name in rows.COLUMNS])
    return store.workbook_bytes(book)
