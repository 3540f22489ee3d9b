"""Packaged data of the comparison of readers: the scales and conventions, and published agreement (pure)."""

from __future__ import annotations

import dataclasses
import json
from functools import cache
from typing import Any

from lmresp.criteria.reading import read_yaml
from lmresp.errors import CriteriaError
from lmresp.plain_yaml import packaged_text

_OF_KAPPA = {"cohen_kappa_median": "cohen_kappa"}
"""Statistics of ours that a published one is compared with although its name is another."""


@dataclasses.dataclass(frozen=True, slots=True)
class Conventions:
    """``agreement.yaml``: words of each scale, the best first, and the least numbers that are asked for."""

    scales: dict[str, tuple[str, ...]]
    least_pairs: int
    least_subjects: int
    batch: int
    most_batches: int


@dataclasses.dataclass(frozen=True, slots=True)
class Published:
    """A published number as text (``0.46 to 0.63`` where only a range is known, "" where it was not read)."""

    value: str
    note: str


@cache
def load_conventions() -> Conventions:
    """Load ``agreement.yaml``.

    Raises
    ------
    lmresp.errors.CriteriaError
        If the file breaks its schema.
    """
    content = _data("agreement")
    return Conventions(
        scales={name: tuple(words) for name, words in content["scales"].items()},
        least_pairs=content["least_pairs"]["value"],
        least_subjects=content["least_subjects"]["value"],
        batch=content["batch"]["value"],
        most_batches=content["most_batches"]["value"],
    )


@cache
def load_published() -> dict[tuple[str, str, str, str], Published]:
    """Load ``published_agreement.yaml``: by statistic, item, compartment and phase.

    Raises
    ------
    lmresp.errors.CriteriaError
        If the file breaks its schema, names a source that it does not list, or holds two records for one number.
    """
    content = _data("published_agreement")
    found: dict[tuple[str, str, str, str], Published] = {}
    for record in content["records"]:
        key = (record["statistic"], record["item"], record["compartment"], record["phase"])
        source = content["sources"].get(record["source"])
        if source is None or key in found:
            fault = "an unknown source" if source is None else "a number that is there already"
            raise CriteriaError(f"the record of {' '.join(key)} has {fault}", where="published_agreement.yaml")
        certainty = record["certainty"].replace("_", " ")
        note = f"{source['citation']}; {source['raters']}; {record['note']}; {certainty} ({source['read']})"
        value = f"{record['value']:g}" if "value" in record else ""
        value = f"{record['low']:g} to {record['high']:g}" if "low" in record else value
        found[key] = Published(value, note)
    return found


def published_for(statistic: str, item: str, compartment: str, phase: str) -> Published:
    """Return what is published for one of our numbers, empty where nothing is."""
    key = (_OF_KAPPA.get(statistic, statistic), item, compartment, phase)
    return load_published().get(key, Published("", ""))


def _data(name: str) -> dict[str, Any]:
    schema: dict[str, Any] = json.loads(packaged_text("lmresp.statistics", f"{name}.schema.json"))
    return read_yaml(packaged_text("lmresp.statistics", f"{name}.yaml"), f"{name}.yaml", schema)
