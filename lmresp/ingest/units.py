"""Numbers and laboratory units: one spelling, exact decimal conversion by a table."""

from __future__ import annotations

import re
from decimal import Decimal
from functools import cache
from importlib.resources import files
from typing import Any

import yaml

_PLAIN = re.compile(r"[+-]?[0-9]{1,30}(?:\.[0-9]{0,30})?(?:[eE][+-]?[0-9]{1,2})?")
# One comma and not exactly three digits behind it cannot be a thousands separator; nor can it behind a lone zero.
_DECIMAL_COMMA = re.compile(r"[+-]?(?:[0-9]+,(?:[0-9]{1,2}|[0-9]{4,})|0,[0-9]+)")


def number(text: str) -> Decimal | None:
    """Read a number; None when the text is not plainly one.

    A decimal comma is read where it cannot be a thousands separator (``1,5``, ``0,125``); ``1,234`` and ``1,234.5``
    are not read. Infinity, NaN and words are not numbers.
    """
    if _DECIMAL_COMMA.fullmatch(text):
        text = text.replace(",", ".")
    return Decimal(text) if _PLAIN.fullmatch(text) else None


def number_text(value: Decimal) -> str:
    """Write a number in its one spelling: ``1.50`` as ``1.5``, ``2.0`` as ``2``, ``1E+3`` as ``1000``."""
    return "0" if value == 0 else f"{value.normalize():f}"


@cache
def _table() -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load(files("lmresp.ingest").joinpath("units.yaml").read_text(encoding="utf-8"))
    return loaded


def standard_unit(quantity: str) -> str:
    """Return the unit in which ``quantity`` is kept."""
    return str(_table()[quantity]["standard"])


def accepted_units(quantity: str) -> tuple[str, ...]:
    """Return every unit that ``quantity`` may be given in."""
    return tuple(_table()[quantity]["units"])


def convert(quantity: str, value: Decimal, unit: str) -> Decimal | None:
    """Convert a laboratory value to the standard unit of its quantity.

    Parameters
    ----------
    quantity : str
        A key of ``units.yaml``: ``cell_count`` (/uL), ``protein`` (g/L), ``glucose`` (mmol/L) or ``pressure`` (cmH2O).
    value : Decimal
        The value as given.
    unit : str
        Its unit, any case; blanks are ignored and the micro sign may be written ``u``.

    Returns
    -------
    Decimal or None
        The value in the standard unit, rounded to six significant digits; None when the unit is not known.

    Raises
    ------
    KeyError
        If the quantity is not in the table.
    """
    factors = {_plain(name): Decimal(str(factor)) for name, factor in _table()[quantity]["units"].items()}
    factor = factors.get(_plain(unit))
    if factor is None:
        return None
    return value if factor == 1 else Decimal(f"{value * factor:.6g}")


def _plain(unit: str) -> str:
    return "".join(unit.split()).replace("\u00b5", "u").replace("\u03bc", "u").lower()
