"""Data queries: what is wrong with the study's data, where, and what to do about it.

The wording of every query lives in ``catalogue.yaml``, keyed by its stable code.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from functools import cache
from importlib.resources import files
from typing import Any

import yaml

COLUMNS = (
    "query_id",
    "code",
    "severity",
    "subject_id",
    "visit",
    "file",
    "sheet",
    "row",
    "column",
    "value",
    "allowed",
    "message",
    "action",
    "sets_aside",
)


@dataclasses.dataclass(frozen=True, slots=True)
class Query:
    """One row of ``queries.csv`` (all fields are text, so that it survives a CSV round trip).

    ``sets_aside`` is ``"Y"`` when the query blocks its subject: the subject gets no call until it is solved.
    ``row`` counts as a spreadsheet does: the header is row 1.
    """

    code: str
    severity: str
    message: str
    action: str
    sets_aside: str = "N"
    subject_id: str = ""
    visit: str = ""
    file: str = ""
    sheet: str = ""
    row: str = ""
    column: str = ""
    value: str = ""
    allowed: str = ""

    def as_row(self) -> dict[str, str]:
        """Return the query as a mapping of column to text, without its number."""
        return dataclasses.asdict(self)


@cache
def catalogue() -> dict[str, dict[str, Any]]:
    """Load the catalogue: code to severity, message, action and whether the subject is set aside."""
    text = files("lmresp.queries").joinpath("catalogue.yaml").read_text(encoding="utf-8")
    loaded: dict[str, dict[str, Any]] = yaml.safe_load(text)
    return loaded


def make(code: str, *, sets_aside: bool | None = None, **fields: Any) -> Query:
    """Build a query from its catalogue entry.

    Parameters
    ----------
    code : str
        A key of ``catalogue.yaml``.
    sets_aside : bool, optional
        Overrides the catalogue's default for this code.
    **fields
        Fields of :class:`Query` (``subject_id``, ``visit``, ``file``, ``sheet``, ``row``, ``column``, ``value``,
        ``allowed``) and any further name that the message or action of the entry uses in braces. A ``row_id`` of an
        input table (``csf.csv:12``, ``tables.xlsx/csf:12``) gives ``file``, ``sheet`` and ``row``.

    Raises
    ------
    KeyError
        If the code is not in the catalogue or a name used in its text is not given.
    """
    entry = catalogue()[code]
    text = {name: "" if value is None else str(value) for name, value in fields.items()}
    if text.get("row_id") and not text.get("row"):
        text |= _place(text["row_id"])
    names = {field.name for field in dataclasses.fields(Query)}
    filled = dict.fromkeys(names, "") | text
    blocks = bool(entry.get("sets_aside", False)) if sets_aside is None else sets_aside
    kept = {name: value for name, value in text.items() if name in names}
    kept["value"] = kept.get("value", "")[:200]
    return Query(
        code=code,
        severity=str(entry["severity"]),
        message=str(entry["message"]).format(**filled),
        action=str(entry["action"]).format(**filled),
        sets_aside="Y" if blocks else "N",
        **kept,
    )


def _place(row_id: str) -> dict[str, str]:
    """File, sheet and row of the row of an input table; nothing for another text."""
    source, _, row = row_id.rpartition(":")
    file, _, sheet = source.partition("/")
    return {"file": file, "sheet": sheet, "row": row} if file and row.isdigit() and ":" not in source else {}


def numbered(queries: Iterable[Query]) -> list[dict[str, str]]:
    """Sort queries (worst first, then by place) and number them ``Q0001``...; duplicates are dropped."""
    rank = {"error": 0, "warning": 1, "info": 2}

    def order(query: Query) -> tuple[Any, ...]:
        row = int(query.row) if query.row.isdigit() else 0
        return (
            rank.get(query.severity, 3),
            query.subject_id,
            query.visit,
            query.code,
            query.file,
            row,
            query.column,
            query.value,
            query.message,
        )

    unique = sorted(set(queries), key=order)
    return [{"query_id": f"Q{n:04d}", **query.as_row()} for n, query in enumerate(unique, start=1)]


def from_row(row: dict[str, str]) -> Query:
    """Rebuild a query from a row of a queries CSV."""
    names = {field.name for field in dataclasses.fields(Query)}
    return Query(**{name: value for name, value in row.items() if name in names})
