"""Words, letters and tones of coded values (``text/wording.yaml``)."""

from __future__ import annotations

import dataclasses
from functools import cache
from importlib.resources import files
from typing import Any

import yaml

STRAND_GROUPS = {"csf": "csf", "neuro": "neuro", "imaging": "mri", "steroids": "steroids"}
"""Strand to the group of its words."""


@dataclasses.dataclass(frozen=True, slots=True)
class Word:
    """How one coded value is shown: short letters for a mark, a label for text, a tone for the eye."""

    value: str
    letters: str
    label: str
    tone: str


@cache
def _wording() -> dict[str, dict[str, dict[str, str]]]:
    text = files("lmresp.report").joinpath("text/wording.yaml").read_text(encoding="utf-8")
    loaded: dict[str, dict[str, dict[str, str]]] = yaml.safe_load(text)
    return loaded


def word(group: str, value: Any) -> Word:
    """Look up a coded value.

    Parameters
    ----------
    group : str
        A section of ``wording.yaml``, such as ``call``.
    value : Any
        The code; a value without an entry is shown as it is, so that nothing disappears from a page.

    Raises
    ------
    KeyError
        If the group does not exist.
    """
    code = "" if value is None else str(value)
    entry = _wording()[group].get(code)
    if entry is None:
        return Word(code, code[:3] or "–", code or "not given", "none")
    return Word(code, entry["letters"], entry["label"], entry["tone"])


def words(group: str) -> list[Word]:
    """Every word of a group in the order of the file, for a legend."""
    return [word(group, code) for code in _wording()[group]]
