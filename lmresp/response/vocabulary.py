"""The words of a response criterion over time: which are responses, what is adequate, what ends the course.

The derivation engine knows no criterion; each is a file of ``vocabularies/``. Reasons of censoring lie in
``censoring.yaml``, the inputs of the companion schemes in ``companions.yaml``.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterable, Mapping
from functools import cache
from typing import Any

from lmresp.criteria.charter import Charter
from lmresp.criteria.reading import read_yaml
from lmresp.errors import CriteriaError
from lmresp.plain_yaml import packaged_text


@dataclasses.dataclass(frozen=True, slots=True)
class Vocabulary:
    """Words of a criterion.

    Attributes
    ----------
    responses : tuple of str
        Grades of response, best first.
    stable : tuple of str
        Words that count only from ``sd_min_days`` after the origin.
    unconfirmed : str
        What a response that was not confirmed counts as, from ``sd_min_days`` on.
    stable_between : tuple of str
        Grades between which and their confirmation one ``unconfirmed`` word may lie when the charter accepts it.
    progression : tuple of str
        Words that end the course and are the event of progression-free survival.
    not_evaluable : str
        The word that is no evidence either way.
    adequate : tuple of str
        Words of an assessment that could be judged.
    best_first, worst_first : tuple of str
        Every word, in the order for the best response, and for several calls on one date.
    implausible_after : mapping of str to tuple of str
        Words that should not follow another without progression between.
    """

    name: str
    responses: tuple[str, ...]
    stable: tuple[str, ...]
    unconfirmed: str
    stable_between: tuple[str, ...]
    progression: tuple[str, ...]
    not_evaluable: str
    adequate: tuple[str, ...]
    best_first: tuple[str, ...]
    worst_first: tuple[str, ...]
    implausible_after: Mapping[str, tuple[str, ...]]

    def __post_init__(self) -> None:
        """Refuse words that contradict one another.

        Raises
        ------
        lmresp.errors.CriteriaError
            If the two orders do not hold the same words, or another list names a word outside them.
        """
        known = set(self.best_first)
        if known != set(self.worst_first) or len(known) != len(self.best_first) or len(known) != len(self.worst_first):
            raise CriteriaError("best_first and worst_first must order the same words", where=self.name)
        used = {*self.responses, *self.stable, self.unconfirmed, *self.stable_between, *self.progression}
        used |= {self.not_evaluable, *self.adequate, *self.implausible_after}
        used |= {word for words in self.implausible_after.values() for word in words}
        if used - known:
            allowed = ", ".join(self.best_first)
            raise CriteriaError(f"unknown word {sorted(used - known)[0]!r}", where=self.name, allowed=allowed)

    def check(self, words: Iterable[str]) -> None:
        """Refuse a word that the criterion does not have; it is never taken for not evaluable.

        Raises
        ------
        ValueError
            Naming the words and those allowed.
        """
        unknown = sorted(set(words) - set(self.best_first))
        if unknown:
            raise ValueError(f"{self.name} has no word {', '.join(unknown)}; allowed: {', '.join(self.best_first)}")


@dataclasses.dataclass(frozen=True, slots=True)
class Censoring:
    """Reasons of censoring: the word and the date in words of each code, and which entries lead to them."""

    event: Mapping[str, str]
    dated: Mapping[str, str]
    off_study: tuple[str, ...]
    lm_death: tuple[str, ...]


def _data(name: str, schema_name: str) -> dict[str, Any]:
    schema: dict[str, Any] = json.loads(packaged_text("lmresp.response", schema_name))
    return read_yaml(packaged_text("lmresp.response", name), name, schema)


@cache
def load_vocabulary(name: str) -> Vocabulary:
    """Load a packaged vocabulary: ``modified_rano_lm`` or ``recist_1_1``.

    Raises
    ------
    lmresp.errors.CriteriaError
        If the file breaks its schema or contradicts itself.
    """
    content = _data(f"vocabularies/{name}.yaml", "vocabulary.schema.json")
    lists = ("responses", "stable", "stable_between", "progression", "adequate", "best_first", "worst_first")
    return Vocabulary(
        name=name,
        unconfirmed=content["unconfirmed"],
        not_evaluable=content["not_evaluable"],
        implausible_after={word: tuple(after) for word, after in content["implausible_after"].items()},
        **{key: tuple(content[key]) for key in lists},
    )


def charter_vocabulary(charter: Charter) -> Vocabulary:
    """Return the words of the visit call with the charter's orders and its event of progression."""
    return dataclasses.replace(
        load_vocabulary("modified_rano_lm"),
        best_first=charter.texts("best_first"),
        worst_first=charter.texts("worst_first"),
        progression=charter.texts("progression_calls"),
    )


@cache
def load_censoring() -> Censoring:
    """Load ``censoring.yaml``."""
    content = _data("censoring.yaml", "censoring.schema.json")
    codes = content["codes"]
    return Censoring(
        event={code: text["event"] for code, text in codes.items()},
        dated={code: text["dated"] for code, text in codes.items()},
        off_study=tuple(content["off_study"]),
        lm_death=tuple(content["lm_death"]),
    )


@cache
def load_companions() -> dict[str, dict[str, Any]]:
    """Load ``companions.yaml``: by scheme its input words (``words``), and what it asks for beside its table."""
    return _data("companions.yaml", "companions.schema.json")
