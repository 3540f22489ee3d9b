"""The decision-table engine: rules as data, proved total when loaded, answered by one array look-up.

A scheme lists closed inputs and rules; the first rule that matches gives the answer. The input space is finite, so
it is enumerated once into a dense array that holds, for every combination, the number of its rule. From that array
follow both proofs (no combination without an answer, no rule that can never answer) and the vectorised evaluation.
"""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Mapping, Sequence
from functools import cached_property
from itertools import product
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from lmresp.criteria.reading import read_yaml, schema
from lmresp.errors import CriteriaError
from lmresp.terms import Certainty

PUBLISHED = frozenset({Certainty.SEEN, Certainty.SEEN_SECONDARY})
"""Only a rule of these certainties may be reported as a published criterion; any other answer is provisional."""


@dataclasses.dataclass(frozen=True, slots=True)
class Input:
    """One closed input of a scheme."""

    name: str
    words: tuple[str, ...]
    meaning: str


@dataclasses.dataclass(frozen=True, slots=True)
class Rule:
    """One row of a decision table.

    ``when`` holds, per named input, the values that match; an input that is not named matches with any value.
    """

    rule_id: str
    when: tuple[tuple[str, tuple[str, ...]], ...]
    output: str
    certainty: Certainty
    citation: str
    check_against: str = ""
    open_reason: str = ""
    flags: tuple[str, ...] = ()
    note: str = ""

    @property
    def provisional(self) -> bool:
        """Whether the rule is something else than text that was read in a publication."""
        return self.certainty not in PUBLISHED


@dataclasses.dataclass(frozen=True)
class Scheme:
    """A decision table that has been proved total and free of dead rules."""

    scheme_id: str
    title: str
    kind: str
    completeness: str
    enabled_by_default: bool
    inputs: tuple[Input, ...]
    outputs: tuple[str, ...]
    rules: tuple[Rule, ...]
    impossible_inputs: tuple[str, ...] = ()
    lift_when: str = ""

    @cached_property
    def lookup(self) -> npt.NDArray[np.int16]:
        """Number of the matching rule for every combination, one axis per input; -1 where none matches."""
        table = np.full([len(each.words) for each in self.inputs], -1, dtype=np.int16)
        for number in range(len(self.rules) - 1, -1, -1):  # backwards, so that the first match is written last
            allowed = dict(self.rules[number].when)
            axes = [[each.words.index(value) for value in allowed.get(each.name, each.words)] for each in self.inputs]
            table[np.ix_(*axes)] = number
        table.flags.writeable = False
        return table

    @cached_property
    def answers(self) -> npt.NDArray[np.object_]:
        """Answer to every combination, one axis per input."""
        answers = np.array([rule.output for rule in self.rules], dtype=object)[self.lookup]
        answers.flags.writeable = False
        return answers

    @cached_property
    def _positions(self) -> dict[str, pd.Index[Any]]:
        return {each.name: pd.Index(each.words) for each in self.inputs}

    @cached_property
    def _columns(self) -> dict[str, npt.NDArray[np.object_]]:
        columns = {
            "call": [rule.output for rule in self.rules],
            "rule_id": [rule.rule_id for rule in self.rules],
            "certainty": [rule.certainty.value for rule in self.rules],
            "citation": [rule.citation for rule in self.rules],
            "flags": [";".join(rule.flags) for rule in self.rules],
            "note": [rule.note for rule in self.rules],
            "provisional": ["Y" if rule.provisional else "N" for rule in self.rules],
        }
        return {name: np.array(values, dtype=object) for name, values in columns.items()}

    def locate(self, frame: pd.DataFrame) -> tuple[npt.NDArray[np.intp], ...]:
        """Find the combination of each row: where it lies in :attr:`lookup` and :attr:`answers`.

        Parameters
        ----------
        frame : pandas.DataFrame, shape (n, ...)
            One column of text per input of the scheme; Boolean inputs may be given as ``bool``.

        Returns
        -------
        tuple of numpy.ndarray of int, each of shape (n,)
            One array per input.

        Raises
        ------
        ValueError
            If a column is missing or holds a value outside the scheme's list: the caller broke its promise.
        """
        codes = []
        for each in self.inputs:
            if each.name not in frame.columns:
                raise ValueError(f"{self.scheme_id}: the input {each.name!r} is missing")
            column = frame[each.name]
            positions = self._positions[each.name]
            if column.dtype == bool:
                code = positions.get_indexer(pd.Index(["false", "true"])).take(column.to_numpy().astype(np.intp))
            else:
                code = positions.get_indexer(pd.Index(column))
            if (code < 0).any():
                raise ValueError(self._refusal(each, column.iloc[int(np.argmax(code < 0))]))
            codes.append(code)
        return tuple(codes)

    def match(self, frame: pd.DataFrame) -> npt.NDArray[np.int16]:
        """Return the number of the matching rule for each row.

        Parameters
        ----------
        frame : pandas.DataFrame, shape (n, ...)
            See :meth:`locate`.

        Returns
        -------
        numpy.ndarray of int16, shape (n,)

        Raises
        ------
        ValueError
            See :meth:`locate`.
        """
        return self.lookup[self.locate(frame)]

    def decide(self, inputs: pd.DataFrame | Mapping[str, Sequence[Any]]) -> pd.DataFrame:
        """Answer every row by one gather.

        Parameters
        ----------
        inputs : pandas.DataFrame or mapping of str to sequence
            One column per input of the scheme.

        Returns
        -------
        pandas.DataFrame
            Columns ``call, rule_id, certainty, citation, flags, note, provisional`` (text; ``provisional`` is Y or
            N), on the index of ``inputs``.

        Raises
        ------
        ValueError
            See :meth:`match`.
        """
        frame = inputs if isinstance(inputs, pd.DataFrame) else pd.DataFrame(dict(inputs))
        number = self.match(frame).astype(np.intp)  # once for all columns
        # The answers are a few words repeated many times: `object` shares them, text would be looked at cell by cell.
        answers = {name: values.take(number) for name, values in self._columns.items()}
        return pd.DataFrame(answers, index=frame.index, dtype=object, copy=False)

    def decide_one(self, inputs: Mapping[str, Any]) -> Rule:
        """Return the rule that answers a single combination (same promises as :meth:`match`)."""
        place = []
        for each in self.inputs:
            word = _word(inputs.get(each.name, ""))
            if word not in each.words:
                raise ValueError(self._refusal(each, word))
            place.append(each.words.index(word))
        return self.rules[int(self.lookup[tuple(place)])]

    def _refusal(self, each: Input, value: object) -> str:
        return f"{self.scheme_id}: {each.name} is {value!r}, not one of {', '.join(each.words)}"

    def combinations(self) -> pd.DataFrame:
        """Every combination of inputs with its answer: what a clinician can check line by line."""
        cells = pd.DataFrame(list(product(*(each.words for each in self.inputs))), dtype=object)
        cells.columns = pd.Index([each.name for each in self.inputs])
        return pd.concat([cells, self.decide(cells)], axis=1)

    def cells_by_certainty(self) -> dict[Certainty, int]:
        """Count the combinations by the certainty of their rule."""
        found = Counter(self.rules[int(number)].certainty for number in self.lookup.ravel())
        return {level: found[level] for level in Certainty if level in found}

    @property
    def cells_read(self) -> tuple[int, int]:
        """Combinations whose answer was read in a publication, and all combinations."""
        counts = self.cells_by_certainty()
        return sum(n for level, n in counts.items() if level in PUBLISHED), int(self.lookup.size)


def _word(value: str | bool) -> str:
    # YAML reads true and false as Booleans; inside the engine every value is a word.
    return str(value).lower() if isinstance(value, bool) else value


def scheme_from_text(text: str, where: str) -> Scheme:
    """Read one scheme from YAML text and prove it.

    Parameters
    ----------
    text : str
        YAML, format ``lmresp-scheme/1``.
    where : str
        File name for errors.

    Raises
    ------
    lmresp.errors.CriteriaError
        See :func:`build_scheme`; also if the text breaks the format.
    """
    return build_scheme(read_yaml(text, where, schema("scheme")), where)


def build_scheme(content: Mapping[str, Any], where: str) -> Scheme:
    """Build a scheme from content that follows ``scheme.schema.json`` and prove it total and without dead rules.

    Raises
    ------
    lmresp.errors.CriteriaError
        If a rule names an unknown input, value or output, two rules share an id, a combination has no answer (it is
        named), a rule can never answer (it is named) or an output is never given.
    """
    inputs = tuple(
        Input(name, tuple(_word(value) for value in given["values"]), given["meaning"])
        for name, given in content["inputs"].items()
    )
    rules = tuple(
        Rule(
            rule_id=row["id"],
            when=tuple((name, tuple(_word(value) for value in values)) for name, values in row["when"].items()),
            output=row["output"],
            certainty=Certainty(row["certainty"]),
            citation=row["citation"],
            check_against=row.get("check_against", ""),
            open_reason=row.get("open_reason", ""),
            flags=tuple(row.get("flags", ())),
            note=row.get("note", ""),
        )
        for row in content["rules"]
    )
    scheme = Scheme(
        scheme_id=content["id"],
        title=content["title"],
        kind=content["kind"],
        completeness=content["completeness"],
        enabled_by_default=content["enabled_by_default"],
        inputs=inputs,
        outputs=tuple(content["outputs"]),
        rules=rules,
        impossible_inputs=tuple(content.get("impossible_inputs", ())),
        lift_when=content.get("lift_when", ""),
    )
    _check_words(scheme, where)
    _prove(scheme, where)
    return scheme


def _check_words(scheme: Scheme, where: str) -> None:
    values = {each.name: each.words for each in scheme.inputs}
    repeated = [rule_id for rule_id, n in Counter(rule.rule_id for rule in scheme.rules).items() if n > 1]
    if repeated:
        raise CriteriaError(f"the rule id {repeated[0]} stands more than once", where=where)
    for rule in scheme.rules:
        for name, allowed in rule.when:
            if name not in values:
                raise CriteriaError(f"rule {rule.rule_id} names the unknown input {name!r}", where=where)
            unknown = [value for value in allowed if value not in values[name]]
            if unknown:
                known = ", ".join(values[name])
                raise CriteriaError(f"rule {rule.rule_id}: {name} is {unknown[0]!r}", where=where, allowed=known)
        if rule.output not in scheme.outputs:
            known = ", ".join(scheme.outputs)
            raise CriteriaError(f"rule {rule.rule_id} gives {rule.output!r}", where=where, allowed=known)


def _prove(scheme: Scheme, where: str) -> None:
    open_cells = np.argwhere(scheme.lookup < 0)
    if len(open_cells):
        first = zip(scheme.inputs, open_cells[0], strict=True)
        named = ", ".join(f"{each.name}={each.words[code]}" for each, code in first)
        raise CriteriaError(f"{len(open_cells)} combinations have no answer, first: {named}", where=where)
    used = {int(number) for number in np.unique(scheme.lookup)}
    dead = [rule.rule_id for number, rule in enumerate(scheme.rules) if number not in used]
    if dead:
        raise CriteriaError(f"rule {dead[0]} can never answer: earlier rules take all its combinations", where=where)
    idle = [output for output in scheme.outputs if output not in {rule.output for rule in scheme.rules}]
    if idle:
        raise CriteriaError(f"no rule gives the output {idle[0]!r}", where=where)
