"""A study's own decision table: cells that replace those of a scheme, and a whole scheme of its own.

Both are data and are proved like a shipped scheme: total, no dead rule, closed words.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping, Sequence
from itertools import product
from typing import Any

import numpy as np

from lmresp.criteria.table import Rule, Scheme, build_scheme
from lmresp.errors import CriteriaError
from lmresp.terms import Call, Certainty, Csf, Imaging, Neuro

STRANDS: dict[str, type[Csf] | type[Neuro] | type[Imaging]] = {"csf": Csf, "neuro": Neuro, "imaging": Imaging}
"""Inputs that the scheme of the visit call must have."""
INPUT_ORDER = ("neuro", "csf", "imaging")
"""Order in which the inputs of a visit's call are written everywhere."""


def own_scheme(content: Mapping[str, Any], where: str) -> Scheme:
    """Build the scheme of a study's own file, and prove it.

    Parameters
    ----------
    content : mapping
        What the file holds, in the format of ``scheme.schema.json``.
    where : str
        Name of the file, for errors.

    Returns
    -------
    Scheme

    Raises
    ------
    lmresp.errors.CriteriaError
        If the inputs are not the three strands in their words, a call is unknown, or a proof fails (see
        :func:`lmresp.criteria.table.build_scheme`).

    Notes
    -----
    The inputs are checked before the table is unfolded, so that a file cannot ask for a table of any size.
    """
    given = {name: {str(word) for word in each["values"]} for name, each in content["inputs"].items()}
    wanted = {name: {word.value for word in words} for name, words in STRANDS.items()}
    for name in sorted(given.keys() ^ wanted.keys()):
        fault = f"the input {name!r} is {'missing' if name in wanted else 'not known'}"
        raise CriteriaError(fault, where=where, allowed=", ".join(INPUT_ORDER))
    for name in INPUT_ORDER:
        if given[name] != wanted[name]:
            odd = sorted(given[name] ^ wanted[name])[0]
            fault = f"the input {name} {'lacks the word' if odd in wanted[name] else 'has the unknown word'} {odd!r}"
            raise CriteriaError(fault, where=where, allowed=", ".join(word.value for word in STRANDS[name]))
    unknown = [call for call in content["outputs"] if call not in {call.value for call in Call}]
    if unknown:
        known = ", ".join(call.value for call in Call)
        raise CriteriaError(f"the output {unknown[0]!r} is not a call", where=where, allowed=known)
    rules = [{**rule, "when": _in_order(rule["when"])} for rule in content["rules"]]
    return build_scheme({**content, "inputs": _in_order(content["inputs"]), "rules": rules}, where)


def _in_order(by_input: Mapping[str, Any]) -> dict[str, Any]:
    """Order what is said of each input; a file of results keeps its keys sorted, and no order means anything."""
    return {
        name: by_input[name] for name in (*INPUT_ORDER, *sorted(by_input.keys() - set(INPUT_ORDER))) if name in by_input
    }


def with_cells(scheme: Scheme, cells: Sequence[Mapping[str, Any]], charter: str) -> Scheme:
    """Put a charter's cells before the rules of a scheme, and prove the result.

    Parameters
    ----------
    scheme : Scheme
        The scheme to modify.
    cells : sequence of mapping
        Each with ``when`` (input to the words that match; an input not named matches any), ``output``, ``source``,
        optional ``certainty`` (default *convention*) and ``note``. The first that matches decides.
    charter : str
        Name of the charter; the cells become the rules ``<charter>.1``, ``<charter>.2``, ...

    Returns
    -------
    Scheme
        Total and without dead rules. Rules of ``scheme`` that the cells replace in every combination are left out.

    Raises
    ------
    lmresp.errors.CriteriaError
        If a cell names an unknown input, word or call, or if earlier cells take all its combinations.
    """
    if not cells:
        return scheme
    own = tuple(_rule(scheme, cell, f"{charter}.{number}", number) for number, cell in enumerate(cells, start=1))
    used = {int(number) for number in np.unique(dataclasses.replace(scheme, rules=(*own, *scheme.rules)).lookup)}
    for number, rule in enumerate(own):
        if number not in used:
            raise CriteriaError(f"cell {number + 1} ({rule.rule_id}) can never answer: earlier cells take all it names")
    kept = tuple(rule for number, rule in enumerate(scheme.rules, start=len(own)) if number in used)
    rules = (*own, *kept)
    twice = sorted({rule.rule_id for rule in own} & {rule.rule_id for rule in kept})
    if twice:
        raise CriteriaError(f"the scheme has a rule {twice[0]} of its own; give the charter another name")
    given = {rule.output for rule in rules}
    changed = _changed(scheme, own)
    return dataclasses.replace(
        scheme,
        title=f"{scheme.title}; {changed} of {scheme.lookup.size} cells set by the charter {charter}",
        rules=rules,
        outputs=tuple(output for output in scheme.outputs if output in given),
    )


def _rule(scheme: Scheme, cell: Mapping[str, Any], rule_id: str, number: int) -> Rule:
    words = {each.name: each.words for each in scheme.inputs}
    for name, values in cell["when"].items():
        if name not in words:
            raise CriteriaError(f"cell {number} names the unknown input {name!r}", allowed=", ".join(words))
        for value in values:
            if value not in words[name]:
                raise CriteriaError(f"cell {number}: {name} is {value!r}", allowed=", ".join(words[name]))
    if cell["output"] not in scheme.outputs:
        raise CriteriaError(f"cell {number} gives {cell['output']!r}", allowed=", ".join(scheme.outputs))
    return Rule(
        rule_id=rule_id,
        when=tuple((name, tuple(cell["when"][name])) for name in words if name in cell["when"]),
        output=cell["output"],
        certainty=Certainty(cell.get("certainty", Certainty.CONVENTION.value)),
        citation=cell["source"],
        note=cell.get("note", ""),
    )


def _changed(scheme: Scheme, own: Sequence[Rule]) -> int:
    """How many combinations the cells decide."""
    axes = {each.name: each.words for each in scheme.inputs}
    return len({point for rule in own for point in product(*(dict(rule.when).get(name, axes[name]) for name in axes))})


def answers(scheme: Scheme) -> list[str]:
    """List what a scheme answers, one text per combination, whatever the order of its inputs and words.

    Returns
    -------
    list of str
        Sorted, each ``csf=cleared, imaging=stable, neuro=stable -> STABLE``.
    """
    names = sorted(each.name for each in scheme.inputs)
    table = scheme.combinations()
    cells = table[names].to_numpy(dtype=object)
    return sorted(
        f"{', '.join(f'{name}={word}' for name, word in zip(names, row, strict=True))} -> {call}"
        for row, call in zip(cells, table["call"], strict=True)
    )


def canonical(value: Any) -> str:
    """JSON text of plain data that is the same however a person wrote it: keys sorted, 5.0 as 5."""
    return json.dumps(_plain(value), sort_keys=True, ensure_ascii=False)


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _plain(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(each) for each in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value
