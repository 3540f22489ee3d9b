"""Parameters of every measurement, read from ``parameters/``: value, unit, source and certainty of each."""

from __future__ import annotations

from functools import cache
from importlib.resources import files
from typing import Any

import yaml

from lmresp import __version__

_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # ten times faster where PyYAML has libyaml


@cache
def table() -> dict[str, dict[str, dict[str, Any]]]:
    """Load ``parameters/*.yaml``: method, to parameter name, to ``value``, ``unit``, ``source`` and ``certainty``."""
    loaded: dict[str, dict[str, dict[str, Any]]] = {}
    for file in sorted(files("lmresp.mri").joinpath("parameters").iterdir(), key=lambda f: f.name):
        if file.name.endswith(".yaml"):
            loaded |= yaml.load(file.read_text(encoding="utf-8"), Loader=_LOADER)  # noqa: S506 - it is a safe loader
    return loaded


@cache
def number(name: str) -> float:
    """Value of one parameter.

    Parameters
    ----------
    name : str
        ``method.parameter``, for example ``"film.threshold"``.

    Raises
    ------
    KeyError
        If no file of ``parameters/`` has no such parameter.
    """
    method, parameter = name.split(".")
    return float(table()[method][parameter]["value"])


@cache
def numbers(name: str) -> tuple[Any, ...]:
    """Value of a parameter that is a list (of numbers, or of lists of numbers)."""
    method, parameter = name.split(".")
    return tuple(table()[method][parameter]["value"])


def method_id(name: str) -> str:
    """Identifier of a method as written beside each number: ``lmresp <name> <version>``."""
    if name not in table():
        raise KeyError(name)
    return f"lmresp {name} {__version__}"


def tables_page() -> str:
    """Render every parameter as the last section of ``docs/methods.md`` states it."""
    parts = []
    for method, parameters in sorted(table().items()):
        rows = [
            f"| `{method}.{name}` | {shown(entry)} | {entry['unit']} | {entry['certainty']} |"
            for name, entry in parameters.items()
        ]
        parts.append(
            "\n".join([f"### {method}", "", "| parameter | value | unit | certainty |", "|---|---|---|---|", *rows])
        )
    return "\n\n".join(parts) + "\n"


def shown(entry: dict[str, Any]) -> str:
    """Value of a parameter as the page of methods shows it; a list of places is named by its length."""
    if "warn" in entry:
        return f"warns at {entry['warn']}, fails at {entry['fail']} ({entry['better']} is better)"
    value = entry["value"]
    if isinstance(value, list) and isinstance(value[0], list):
        return f"{len(value)} entries, see the file"
    return str(value)
