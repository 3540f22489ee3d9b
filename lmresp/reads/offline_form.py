"""A workbook for reading elsewhere: the form of every scan that is open to a reader, and the way back (pure).

Only the cells that the reader fills are unlocked; choices are lists of a hidden sheet. What is filled in is checked
again on import like everything else: the protection of a sheet stops slips, not people.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from openpyxl import Workbook
from openpyxl.styles import Alignment, Font, PatternFill, Protection
from openpyxl.utils import get_column_letter
from openpyxl.worksheet.datavalidation import DataValidation
from openpyxl.worksheet.worksheet import Worksheet

from lmresp import RESEARCH_USE
from lmresp.criteria.charter import Charter
from lmresp.reads import form
from lmresp.reads.rows import guarded, unguarded
from lmresp.reads.scans import Scan
from lmresp.reads.state import ADJUDICATOR, ROLES, Read, Task

FORM, ABOUT, LISTS = "form", "about", "lists"
FORMAT = "lmresp-read-form/1"
HEADER = ("subject", "visit", "visit number", "scan date", "compartment", "item", "question", "answer")
MORE = ("why not evaluable", "comment", "earlier", "help")
_ANSWER, _WHY, _COMMENT = 8, 9, 10  # columns that the reader fills
_WIDTHS = (14, 12, 12, 12, 13, 16, 44, 20, 28, 40, 30, 70)
HEAD_ROW = 4
COMPARATOR, CONTRADICTION, READ_AT, LOCK = "COMPARATOR", "REASON contradiction", "READ AT", "LOCK"
_ASKED = PatternFill("solid", fgColor="FFF7DC")
_MINUTES = re.compile(r"(\d{4}-\d{2}-\d{2})[T ](\d{2}:\d{2})(?::\d{2})?(Z|[+-]\d{2}:\d{2})?")


def workbook(tasks: Sequence[Task], previous: Sequence[Read], charter: Charter, who: str, study_id: str) -> Workbook:
    """Make the workbook of one reader.

    Parameters
    ----------
    tasks : sequence of Task
        The scans to ask about: those that the worklist has open and unread.
    previous : sequence of Read
        The reads of this reader.
    charter : Charter
    who : str
        A key of :data:`lmresp.reads.state.ROLES` other than the adjudicator, who must see both reads.
    study_id : str

    Raises
    ------
    ValueError
        For another role.
    """
    if who not in ROLES or who == ADJUDICATOR:
        raise ValueError(who)
    book = Workbook()
    sheet = book.active
    if not isinstance(sheet, Worksheet):
        raise TypeError("openpyxl made a workbook without a sheet")
    sheet.title = FORM
    about, lists = book.create_sheet(ABOUT), book.create_sheet(LISTS)
    for name, value in (("format", FORMAT), ("study", study_id), ("reader", who), ("charter", charter.digest)):
        about.append([name, guarded(value)])
    sheet.append([f"Read form of {who}, study {study_id}. {RESEARCH_USE}"])
    sheet.append(
        [f"Fill in the yellow cells. READ AT: date and time (UTC), such as 2026-03-01T14:30Z. {LOCK}: choose LOCK"]
    )
    sheet.append(["once a scan is finished; a scan without it is left aside on import."])
    sheet.append([*HEADER, *MORE])
    choices = _Choices(lists, sheet)
    usual = form.form_words()["words"][charter.text("reference_imaging").upper()]
    for task in tasks:
        _ask(sheet, choices, task.scan, form.fields(task.scan, previous), usual)
    _finish(book, sheet, about, lists)
    return book


class _Choices:
    """The closed lists of the form, each once on the hidden sheet, with the cells that offer it."""

    def __init__(self, lists: Worksheet, sheet: Worksheet) -> None:
        self.lists, self.sheet = lists, sheet
        self.rules: dict[tuple[str, ...], DataValidation] = {}

    def offer(self, codes: Sequence[str], row: int, column: int) -> None:
        """Let a cell take only these codes."""
        key = tuple(codes)
        if key not in self.rules:
            letter = get_column_letter(len(self.rules) + 1)
            for number, code in enumerate(key, start=1):
                self.lists[f"{letter}{number}"] = code
            rule = DataValidation(type="list", formula1=f"{LISTS}!${letter}$1:${letter}${len(key)}", allow_blank=True)
            rule.showErrorMessage, rule.error = True, f"Use one of: {', '.join(key)}"[:255]
            self.sheet.add_data_validation(rule)
            self.rules[key] = rule
        self.rules[key].add(self.sheet.cell(row=row, column=column))

    def measure(self, limits: tuple[float, float], row: int) -> None:
        """Let a cell take a diameter, or NE."""
        cell = self.sheet.cell(row=row, column=_ANSWER)
        (low, high), at = limits, cell.coordinate
        test = f'OR({at}="NE",AND(ISNUMBER({at}),{at}>={low:g},{at}<={high:g}))'
        rule = DataValidation(type="custom", formula1=test, allow_blank=True)
        rule.showErrorMessage, rule.error = True, f"A number from {low:g} to {high:g} (mm), or NE"
        self.sheet.add_data_validation(rule)
        rule.add(cell)


def _ask(sheet: Worksheet, choices: _Choices, scan: Scan, asked: Sequence[form.Field], usual: str) -> None:
    place = [guarded(text) for text in (scan.subject_id, scan.visit, scan.visit_num, scan.scan_date)]
    words = form.form_words()
    for field in asked:
        earlier = "; ".join(f"{visit}: {value}" for visit, value in field.before)
        needed = "" if field.required else " (where there is one)"
        row = _row(
            sheet, [*place, field.compartment, field.item, field.label + needed, "", "", "", earlier, field.help]
        )
        if field.kind == form.MM:
            choices.measure(field.limits, row)
        else:
            choices.offer(field.allowed, row, _ANSWER)
        choices.offer(field.reasons_ne, row, _WHY)
        _open(sheet, row, (_ANSWER, _WHY, _COMMENT))
    if not scan.is_baseline:
        text = words["comparator"]
        told = f"{text['help']} The charter compares with: {usual}."
        row = _row(sheet, [*place, "", COMPARATOR, text["label"], "", "", "", "", told])
        choices.offer(form.comparators(), row, _ANSWER)
        _open(sheet, row, (_ANSWER,))
        row = _row(sheet, [*place, "", CONTRADICTION, f"{words['reasons']['contradiction']} (if so)"])
        choices.offer(words["reason_codes"], row, _ANSWER)
        _open(sheet, row, (_ANSWER, _COMMENT))
    row = _row(sheet, [*place, "", READ_AT, "Date and time of the read (UTC)"])
    _open(sheet, row, (_ANSWER,))
    row = _row(sheet, [*place, "", LOCK, "Finished: nothing can be changed any more without a reason"])
    choices.offer([LOCK], row, _ANSWER)
    _open(sheet, row, (_ANSWER,))


def _row(sheet: Worksheet, cells: Sequence[str]) -> int:
    sheet.append([cell or None for cell in cells])
    for cell in sheet[sheet.max_row]:
        cell.number_format = "@"
    return int(sheet.max_row)


def _open(sheet: Worksheet, row: int, columns: Sequence[int]) -> None:
    for column in columns:
        cell = sheet.cell(row=row, column=column)
        cell.protection = Protection(locked=False)
        cell.fill = _ASKED
        if column == _ANSWER:
            cell.number_format = "General"  # a diameter is a number, so that its limits can be checked


def _finish(book: Workbook, sheet: Worksheet, about: Worksheet, lists: Worksheet) -> None:
    for number, width in enumerate(_WIDTHS, start=1):
        sheet.column_dimensions[get_column_letter(number)].width = width
    for cell in sheet[HEAD_ROW]:
        cell.font = Font(bold=True)
        cell.alignment = Alignment(vertical="top")
    sheet.freeze_panes = sheet.cell(row=HEAD_ROW + 1, column=_ANSWER)
    for one in (sheet, about, lists):
        one.protection.sheet = True
    about.sheet_state = lists.sheet_state = "hidden"
    book.active = 0


def rows_of(
    file: str,
    about: Sequence[tuple[int, Sequence[str]]],
    sheet: Sequence[tuple[int, Sequence[str]]],
    study_id: str,
) -> tuple[list[dict[str, str]], list[str], list[str]]:
    """Turn a filled form into rows of ``mri_reads``.

    Parameters
    ----------
    file : str
        Its name, for messages.
    about, sheet : sequence of (int, cells)
        Numbered rows of the sheets :data:`ABOUT` and :data:`FORM`.
    study_id : str
        The study that it must have been made for.

    Returns
    -------
    rows : list of dict
        Answers of the scans that are marked :data:`LOCK`.
    refused, notes : list of str
        Why nothing can be taken; scans that are begun and not marked.
    """
    facts = {cells[0]: unguarded(cells[1]) for _, cells in about if len(cells) > 1}
    who = facts.get("reader", "")
    if facts.get("format") != FORMAT or who not in ROLES or who == ADJUDICATOR:
        return [], [f"{file}: it is no form of reads as lmresp writes it. Allowed: lmresp reads form."], []
    if facts.get("study") != study_id:
        return [], [f"{file}: the form is of the study {facts.get('study', '')!r}. Allowed: {study_id}."], []
    header = next((cells for number, cells in sheet if number == HEAD_ROW), ())
    if tuple(header) != (*HEADER, *MORE):
        return [], [f"{file} row {HEAD_ROW}: the header was changed. Allowed: {', '.join((*HEADER, *MORE))}."], []
    by_scan: dict[tuple[str, ...], list[tuple[int, list[str]]]] = {}
    for number, cells in sheet:
        if number > HEAD_ROW:
            full = [*cells, *[""] * (len(HEADER) + len(MORE) - len(cells))]
            by_scan.setdefault(tuple(map(unguarded, full[:4])), []).append((number, full))
    rows: list[dict[str, str]] = []
    notes: list[str] = []
    for place, members in by_scan.items():
        marks = {full[5]: (number, full) for number, full in members if not full[4]}
        if marks.get(LOCK, (0, [""] * len(HEADER)))[1][_ANSWER - 1].strip().upper() == LOCK:
            rows += _scan_rows(file, place, members, marks, who)
        elif any(full[_ANSWER - 1].strip() for _, full in members):
            notes.append(f"{file}: {place[0]} {place[1]} is begun and not marked {LOCK}; it is left aside")
    return rows, [], notes


def _scan_rows(
    file: str,
    place: Sequence[str],
    members: Sequence[tuple[int, list[str]]],
    marks: Mapping[str, tuple[int, list[str]]],
    who: str,
) -> list[dict[str, str]]:
    def said(item: str, column: int = _ANSWER) -> str:
        return marks[item][1][column - 1].strip() if item in marks else ""

    code = said(CONTRADICTION)
    reader, role = ROLES[who]
    common = {
        "_file": file,
        "_sheet": FORM,
        "subject_id": place[0],
        "visit_num": place[2],
        "scan_dtc": place[3],
        "reader_id": reader,
        "role": role,
        "read_dtc": _moment(said(READ_AT)),
        "locked_dtc": _moment(said(READ_AT)),
        "session_id": "",
        "blinded": "Y",
        "comparator": said(COMPARATOR),
        "reasons": f"contradiction {code} {said(CONTRADICTION, _COMMENT)}".strip() if code else "",
    }
    return [
        {
            **common,
            "_row": str(number),
            "read_id": f"{number}",
            "compartment": full[4],
            "item": full[5],
            "value": full[_ANSWER - 1].strip(),
            "reason_ne": full[_WHY - 1].strip(),
            "comment": full[_COMMENT - 1].strip(),
        }
        for number, full in members
        if full[4] and any(full[column - 1].strip() for column in (_ANSWER, _WHY, _COMMENT))
    ]


def _moment(text: str) -> str:
    """Write a moment as the table has it; a spreadsheet drops the ``Z`` of a date that it recognises."""
    match = _MINUTES.fullmatch(text)
    return f"{match[1]}T{match[2]}{match[3] or 'Z'}" if match else text
