"""What spreadsheets leave in a cell instead of the value that someone entered."""

from __future__ import annotations

import re

NO_RESULT = "[formula without a stored result]"
"""What stands for a formula cell that the program which saved the workbook never calculated."""
_FAILED = re.compile(
    r"#(?:N/A|REF!|NAME\?|VALUE!|DIV/0!|NUM!|NULL!|SPILL!|CALC!)"
    r"|#(?:NV|BEZUG!|WERT!|ZAHL!)"  # German
    r"|#{3,}",  # a column that was too narrow when the sheet was saved as text
    re.IGNORECASE,
)
_SHORTENED = re.compile(r"[0-9](?:[.,][0-9]+)?E\+[0-9]{2,3}", re.IGNORECASE)


def is_failed(text: str) -> bool:
    """Whether a cell holds what a spreadsheet shows when it has no value: ``#N/A``, ``#REF!``, ``####``."""
    return (text[:1] == "#" and bool(_FAILED.fullmatch(text))) or text == NO_RESULT


def is_shortened_number(text: str) -> bool:
    """Whether a text is a long number that a spreadsheet has cut to a few digits: ``1.23457E+11``."""
    return bool(_SHORTENED.fullmatch(text))
