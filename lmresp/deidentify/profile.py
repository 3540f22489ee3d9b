"""The tables of de-identification: DICOM PS3.15 Table E.1-1 (``profile.yaml``) and what may stay (``kept.yaml``)."""

from __future__ import annotations

import dataclasses
import re
from functools import cache
from importlib.resources import files
from typing import Any

import yaml


@dataclasses.dataclass(frozen=True, slots=True)
class Rule:
    """What Table E.1-1 says of one attribute: code of the basic profile, and ``dates``, ``text`` or no option."""

    code: str
    option: str


@dataclasses.dataclass(frozen=True)
class Kept:
    """``kept.yaml``, with sets in place of lists; tags are numbers."""

    classes: frozenset[str]
    quarantined_classes: dict[str, str]
    required: dict[int, str]
    number_groups: frozenset[int]
    numbers: frozenset[str]
    most_numbers: int
    pointers: frozenset[str]
    texts: dict[str, frozenset[str]]
    patterns: dict[str, re.Pattern[str]]
    words: frozenset[str]
    series_words: dict[str, str]
    agent_words: dict[str, str]
    image_types_quarantined: frozenset[str]
    most_depth: int


def _read(name: str) -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load(files("lmresp.deidentify").joinpath(name).read_text(encoding="utf-8"))
    return loaded


@cache
def table() -> dict[int, Rule]:
    """Load Table E.1-1: tag to rule."""
    rows = _read("profile.yaml")["attributes"]
    return {int(tag, 16): Rule(str(row["code"]), str(row["option"])) for tag, row in rows.items()}


@cache
def kept() -> Kept:
    """Load ``kept.yaml``."""
    value = _read("kept.yaml")
    return Kept(
        classes=frozenset(value["classes"]),
        quarantined_classes=value["quarantined_classes"],
        required={int(tag, 16): code for tag, code in value["required"].items()},
        number_groups=frozenset(value["number_groups"]),
        numbers=frozenset(value["numbers"]),
        most_numbers=value["most_numbers"],
        pointers=frozenset(value["pointers"]),
        texts={name: frozenset(texts) for name, texts in value["texts"].items()},
        patterns={name: re.compile(pattern) for name, pattern in value["patterns"].items()},
        words=frozenset(word for line in value["words"] for word in line),
        series_words=value["series_words"],
        agent_words=value["agent_words"],
        image_types_quarantined=frozenset(value["image_types_quarantined"]),
        most_depth=value["most_depth"],
    )


def action(tag: int, rule: Rule) -> str:
    """Settle alternative codes by what the exported objects must have (PS3.15 Table E.1-1a): D, Z, X or U."""
    if len(rule.code) == 1:
        return rule.code
    return kept().required.get(tag, "X" if rule.code.startswith("X") else "Z")
