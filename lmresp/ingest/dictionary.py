"""The data dictionary: every column of every input table in words, from the same files that the checks use."""

from __future__ import annotations

from lmresp.ingest import dates, spec, units
from lmresp.ingest.table_file import MAX_BYTES

_REQUIRED = {"R": "required", "C": "on condition", "O": "optional"}
_TYPES = {
    "str": "text",
    "int": "whole number",
    "num": "number",
    "dtc": "date",
    "datetime": "date and time",
    "flag": "Y or N",
    "code": "code",
}


def allowed_values(column: spec.Column) -> str:
    """Say in words what a column accepts beyond its type."""
    parts = []
    if column.codes:
        parts.append(", ".join(column.codes))
    if column.type == "str":
        parts.append(f"at most {column.max_length} characters")
    if column.range:
        parts.append(f"{column.range[0]:g} to {column.range[1]:g}")
    if column.full_date:
        parts.append("year, month and day")
    if column.needs_year:
        parts.append("year at least")
    if column.quantity:
        unit = units.standard_unit(column.quantity)
        parts.append(f"unit in {column.name}_unit ({', '.join(units.accepted_units(column.quantity))}); kept in {unit}")
    if column.plausible:
        parts.append(f"plausible {column.plausible[0]:g} to {column.plausible[1]:g}")
    if column.by:
        rules = (f"{code}: {_rule(rule)}" for code, rule in column.by["rules"].items())
        parts.append(f"by {column.by['column']}: " + "; ".join(rules))
    return ". ".join(parts)


def _rule(rule: dict[str, list[str] | list[float]]) -> str:
    if "codes" in rule:
        return ", ".join(str(code) for code in rule["codes"])
    return "{:g} to {:g} or NE".format(*rule["range"])


def condition_text(table: spec.Table, column: str) -> str:
    """Say when a column must be filled in; empty when there is no such condition."""
    rules = [rule["when"] for rule in table.required_when if rule["column"] == column]
    return " Required when " + "; or when ".join(_when(rule) for rule in rules) + "." if rules else ""


def _when(conditions: dict[str, list[str]]) -> str:
    words = {"any": "filled in", "": "empty"}
    return " and ".join(
        f"{name} is {' or '.join(words.get(value, value) for value in values)}" for name, values in conditions.items()
    )


def data_dictionary() -> str:
    """Render every input table and column as Markdown.

    Returns
    -------
    str
        The text of ``docs/data_dictionary.md``.
    """
    lines = [
        "# Data dictionary",
        "",
        "Made from `lmresp/ingest/columns/*.yaml` by `lmresp.ingest.dictionary.data_dictionary`; change those files,",
        "not this page.",
        "",
        "Each table is `tables/<table>.csv`, or a sheet of that name in one `.xlsx` file in `tables/`. Only `subjects`",
        "is required. Headers and codes may differ in case and in blanks around them. CSV files may be UTF-8 or",
        "Windows-1252, separated by comma, semicolon or tab; numbers may have a decimal comma where it cannot be a",
        "thousands separator. `NA` is a word and not a missing value: leave a cell empty when there is nothing to say.",
        f"A file has at most {MAX_BYTES // 1_000_000} MB. Of a workbook, hidden sheets and rows are read too, and",
        "a formula counts with its stored result.",
        "",
        f"Dates are {dates.ALLOWED}. A record dated after the data cut is left out and named in the queries.",
        "Columns that are not listed here are not read. Columns and texts that identify a person are not taken over.",
        "",
    ]
    for name in spec.TABLES:
        table = spec.table_spec(name)
        lines += [
            f"## {name}",
            "",
            f"{table.meaning} Key: {' + '.join(f'`{column}`' for column in table.key)}.",
            "",
            "| column | type | needed | allowed | meaning |",
            "|---|---|---|---|---|",
        ]
        for column in table.columns.values():
            meaning = column.meaning + condition_text(table, column.name)
            cells = (
                f"`{column.name}`",
                _TYPES[column.type],
                _REQUIRED[column.required],
                allowed_values(column),
                meaning,
            )
            lines.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
        lines.append("")
    return "\n".join(lines)
