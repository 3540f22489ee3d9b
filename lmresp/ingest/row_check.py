"""One row of a table on its way through the checks."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from lmresp.ingest import cells, dates, identifiers, units
from lmresp.ingest.spec import FLAG, META, Column, Table
from lmresp.queries import Query, make

Row = dict[str, str]

_LIMIT = re.compile(r"[<>]=? ?[0-9]+(?:[.,][0-9]+)?")
_HOSPITAL_NUMBER = re.compile(r"[0-9]{7,}")
_SERIAL = re.compile(r"[0-9]{5}(?:\.[0-9]+)?")


class RowCheck:
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
        if column.type in ("num", "int", "dtc", "datetime") or cells.is_failed(text):
            return
        kind = identifiers.kind_of(text)
        if kind:
            needed = column.required == "R" or column.name in self.table.key
            shown = identifiers.withheld(kind)
            self.cells[column.name] = shown if needed else ""
            found = f"text like {identifiers.with_article(kind)}"
            stops = needed and column.name != "subject_id"  # without its identifier, no subject can be set aside
            self.ask("IN015", column.name, shown, leave_out=stops, found=found, allowed=allowed_text(column))
            self.good = self.good and not needed
            self.withheld.add(column.name)
        elif column.hashed:
            self.cells[column.name] = identifiers.hashed(text)

    def _cell(self, column: Column) -> None:
        text = self.cells[column.name]
        if not text:
            if column.required == "R":
                self.ask("IN020", column.name, "", allowed=allowed_text(column))
        elif cells.is_failed(text):
            self.cells[column.name] = ""  # before the query: this may be the subject's own identifier
            self.ask("IN036", column.name, text, allowed=allowed_text(column))
        elif self._names_something(column) and cells.is_shortened_number(text):
            self.ask("IN040", column.name, text, allowed=allowed_text(column))
        else:
            self._filled_cell(column, text)

    def _names_something(self, column: Column) -> bool:
        """Whether a cut number in this column would be taken for another subject, read or record."""
        return column.type == "str" and (column.name in self.table.key or column.name.endswith("_id"))

    def _filled_cell(self, column: Column, text: str) -> None:
        if column.type == "str" and len(text) > column.max_length:
            self.ask("IN026", column.name, text, length=str(len(text)), allowed=allowed_text(column))
        elif column.type in ("code", "flag"):
            self._code(column, text, column.codes or FLAG)
        elif column.type in ("dtc", "datetime"):
            self._date(column, text)
        elif column.type in ("num", "int") and not column.quantity:
            self._number(column, text, column.range)
        if column.name == "subject_id" and self.table.name == "subjects" and _HOSPITAL_NUMBER.fullmatch(text):
            self.ask("IN028", column.name, text, leave_out=False, allowed=allowed_text(column))

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
            self.ask("IN004", column.name, text, problem=problem, allowed=allowed_text(column))

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
                self.ask("IN021", column, "", because=because, allowed=allowed_text(self.table.columns[column]))

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


def allowed_text(column: Column) -> str:
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
