"""An empty study for a coordinator to fill in: study.yaml, CSV headers and one workbook with closed lists."""

from __future__ import annotations

import os
from pathlib import Path

from openpyxl import Workbook
from openpyxl.styles import Font
from openpyxl.utils import get_column_letter
from openpyxl.worksheet.datavalidation import DataValidation

from lmresp import RESEARCH_USE
from lmresp.errors import StudyError
from lmresp.ingest import dictionary, spec
from lmresp.store import csv_text, workbook_bytes, write_bytes, write_text

STUDY_TEMPLATE = f"""\
# The study. {RESEARCH_USE}
study_id: MY-STUDY          # at most 20 characters; the same as study_id in the table subjects
data_cut: "2024-12-31"      # nothing after this day is used; lmresp takes no other "today"
title: ""                   # for the report
# charter: charter.yaml     # the study's own criteria, if any; `lmresp charter show` prints what holds without
"""
WORKBOOK = "tables.xlsx"
LAST_ROW = 5000  # closed lists are offered down to this row


def template_workbook() -> Workbook:
    """Build the workbook: a readme sheet, one sheet per table with closed lists to choose from, and their values."""
    book = Workbook()
    readme = book.active
    if readme is None:
        raise RuntimeError("openpyxl made a workbook without a sheet")
    readme.title = "readme"
    lists = book.create_sheet("lists")
    readme.append(["table", "column", "needed", "allowed", "meaning"])
    for name in spec.TABLES:
        table = spec.table_spec(name)
        sheet = book.create_sheet(name)
        for place, column in enumerate(table.columns.values(), start=1):
            needed = {"R": "required", "C": "on condition", "O": "optional"}[column.required]
            meaning = column.meaning + dictionary.condition_text(table, column.name)
            readme.append([name, column.name, needed, dictionary.allowed_values(column), meaning])
            letter = get_column_letter(place)
            head = sheet.cell(row=1, column=place, value=column.name)
            head.font = Font(bold=column.required == "R")
            sheet.column_dimensions[letter].width = max(12, len(column.name) + 2)
            if column.type in ("str", "dtc", "datetime", "code"):
                # Text cells, so that the spreadsheet changes neither 2024-03 nor an identifier with leading zeros.
                sheet.column_dimensions[letter].number_format = "@"
            codes, closed = _offered(column)
            if codes:
                used = lists.max_column + 1 if lists["A1"].value else 1
                for row, code in enumerate((f"{name}.{column.name}", *codes), start=1):
                    lists.cell(row=row, column=used, value=code)
                source = get_column_letter(used)
                rule = DataValidation(
                    type="list",
                    formula1=f"lists!${source}$2:${source}${len(codes) + 1}",
                    allow_blank=True,
                    showErrorMessage=closed,
                )
                rule.error = f"Use one of: {', '.join(codes)}"[:255]
                sheet.add_data_validation(rule)
                rule.add(f"{letter}2:{letter}{LAST_ROW}")
        sheet.freeze_panes = "A2"
    lists.sheet_state = "hidden"
    for letter, width in zip("ABCDE", (16, 22, 14, 60, 90), strict=True):
        readme.column_dimensions[letter].width = width
    return book


def _offered(column: spec.Column) -> tuple[tuple[str, ...], bool]:
    """Return the values that a column offers to choose from, and whether no others may be typed.

    Where the list depends on another column, all its lists are offered together, and the check of the tables decides.
    """
    if column.by:
        rules = column.by["rules"].values()
        return tuple(dict.fromkeys(str(code) for rule in rules for code in rule.get("codes", ()))), False
    return spec.FLAG if column.type == "flag" else column.codes, True


def write_templates(folder: str | os.PathLike[str]) -> list[Path]:
    """Write an empty study: ``study.yaml``, ``tables/*.csv`` with headers only, ``tables/tables.xlsx`` and ``mri/``.

    Fill in the CSV files or the workbook: a table that holds only its header does not count as given.

    Parameters
    ----------
    folder : path-like
        New or empty folder.

    Returns
    -------
    list of Path
        The files written.

    Raises
    ------
    StudyError
        If one of the files exists already; nothing is written then.
    """
    root = Path(folder)
    texts = {root / "study.yaml": STUDY_TEMPLATE}
    for name in spec.TABLES:
        texts[root / "tables" / f"{name}.csv"] = csv_text([], list(spec.table_spec(name).columns))
    workbook = root / "tables" / WORKBOOK
    there = [path for path in (*texts, workbook) if path.exists()]
    if there:
        raise StudyError(f"{there[0].name} exists already", where=root.name, allowed="a folder without a study")
    for path, text in texts.items():
        write_text(path, text)
    write_bytes(workbook, workbook_bytes(template_workbook()))
    (root / "mri").mkdir(exist_ok=True)
    return [*texts, workbook]
