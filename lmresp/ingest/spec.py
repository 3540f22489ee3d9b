"""The columns of the input tables, read from ``columns/<table>.yaml``."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from functools import cache
from importlib.resources import files
from typing import Any

import yaml

TABLES = (
    "subjects",
    "visits",
    "csf",
    "mri_reads",
    "mri_measures",
    "neuro",
    "steroids",
    "treatments",
    "procedures",
    "disposition",
    "decisions",
    "facts",
    "scans",
)

FLAG = ("Y", "N")  # what a column of the type flag may hold
META = ("_file", "_sheet", "_row")  # columns that lead every raw table: where a row stands


@dataclasses.dataclass(frozen=True, slots=True)
class Column:
    """What one column may hold; see ``columns.schema.json`` for the meaning of each field."""

    name: str
    type: str
    required: str
    meaning: str
    codes: tuple[str, ...] = ()
    max_length: int = 200
    range: tuple[float, float] | None = None
    plausible: tuple[float, float] | None = None
    quantity: str = ""
    full_date: bool = False
    needs_year: bool = False
    hashed: bool = False
    after_cut: str | tuple[str, ...] = ""
    by: Mapping[str, Any] | None = None


@dataclasses.dataclass(frozen=True, slots=True)
class Table:
    """Columns, key and conditional requirements of one input table."""

    name: str
    meaning: str
    key: tuple[str, ...]
    columns: Mapping[str, Column]
    date: str = ""
    required_when: tuple[Mapping[str, Any], ...] = ()

    @property
    def output_columns(self) -> tuple[str, ...]:
        """Columns of the checked table: those of the input, each laboratory value as given, and ``row_id``."""
        given = [
            f"{name}{end}"
            for name, column in self.columns.items()
            if column.quantity
            for end in ("_given", "_unit_given")
        ]
        return (*self.columns, *given, "row_id")


@cache
def table_spec(table: str) -> Table:
    """Load the specification of a table.

    Parameters
    ----------
    table : str
        One of :data:`TABLES`.

    Raises
    ------
    KeyError
        If there is no such table.
    """
    if table not in TABLES:
        raise KeyError(table)
    path = files("lmresp.ingest").joinpath("columns", f"{table}.yaml")
    loaded = yaml.safe_load(path.read_text(encoding="utf-8"))
    columns = {name: _column(name, fields) for name, fields in loaded["columns"].items()}
    return Table(
        name=loaded["table"],
        meaning=loaded["meaning"],
        key=tuple(loaded["key"]),
        columns=columns,
        date=loaded.get("date", ""),
        required_when=tuple(loaded.get("required_when", ())),
    )


def _column(name: str, fields: Mapping[str, Any]) -> Column:
    values: dict[str, Any] = {key: tuple(value) if isinstance(value, list) else value for key, value in fields.items()}
    return Column(name=name, **values)


def match_headers(table: str, headers: Iterable[str]) -> dict[str, str]:
    """Find the columns of a table among the headers of a file.

    Case and blanks around a header do not matter; nothing else is forgiven.

    Returns
    -------
    dict of str to str
        Header as written to column name; headers that are no column of the table are left out.
    """
    columns = table_spec(table).columns
    found = {header: header.strip().lower() for header in headers}
    return {header: name for header, name in found.items() if name in columns}
