"""Loading the pathway graph: nodes are decision tables of the criteria engine, so each is proved total.

The graph itself is data (``graph/<id>.yaml``); there is no expression language.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from functools import cache
from graphlib import CycleError, TopologicalSorter
from importlib.resources import files
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from lmresp.criteria.reading import read_yaml
from lmresp.criteria.table import Scheme, build_scheme
from lmresp.errors import CriteriaError

UNKNOWN = "unknown"
NO_BRANCH = "-"
ARROWS = (" > ", " -> ")
"""What parts the nodes and the answers of a trail, so no note may hold it."""
OPEN_WORDS = (UNKNOWN, "missing", "not_evaluable")
"""Values that leave a fact open, unless the fact names its own."""


@dataclasses.dataclass(frozen=True, slots=True)
class Fact:
    """One closed fact of the graph.

    Attributes
    ----------
    label : str
        Name in words.
    collect : mapping of str to str
        What to ask for, by each value that leaves the fact open.
    recorded : str
        How a site may record it; empty for a fact that is always derived.
    """

    name: str
    label: str
    values: tuple[str, ...]
    meaning: str
    collect: Mapping[str, str]
    recorded: str = ""


@dataclasses.dataclass(frozen=True, slots=True)
class Node:
    """One node of the graph.

    Attributes
    ----------
    table : Scheme
        Decision table over the node's facts; the output is the next node, or branches joined with ``;``.
    collect : mapping of str to tuple of str
        Per rule the facts to ask for when they are open.
    then : mapping of str to str
        Per rule that ends in a branch the node at which the way goes on once the branch has been dealt with.
    certainty : mapping of str to str
        Grade A to D by what it holds for; one grade for all stands under the empty name.
    """

    name: str
    label: str
    table: Scheme
    collect: Mapping[str, tuple[str, ...]]
    then: Mapping[str, str]
    evidence: tuple[str, ...]
    certainty: Mapping[str, str]
    parallel: bool


@dataclasses.dataclass(frozen=True, slots=True)
class Remark:
    """Something said beside the branch when the facts fit; it changes nothing.

    In ``Graph.disagreement`` ``when`` is over the answers of the rules for an inadequate response.
    """

    when: Mapping[str, tuple[str, ...]]
    text: str
    evidence: tuple[str, ...]
    certainty: str = ""

    def fits(self, frame: pd.DataFrame) -> npt.NDArray[np.bool_]:
        """Tell for every row of a frame, one column per name in ``when``, whether the remark holds."""
        fitting = np.ones(len(frame), dtype=bool)
        for name, allowed in self.when.items():
            fitting &= frame[name].isin(list(allowed)).to_numpy()
        return fitting


@dataclasses.dataclass(frozen=True, slots=True)
class Graph:
    """A pathway; ``nodes`` stand in an order in which every node comes before those it leads to."""

    graph_id: str
    version: str
    title: str
    disclaimer: str
    entry: str
    drugs: Mapping[str, tuple[str, ...]]
    certainties: Mapping[str, str]
    lm_types: Mapping[str, str]
    facts: Mapping[str, Fact]
    nodes: Mapping[str, Node]
    inadequate: Mapping[str, Scheme]
    remarks: tuple[Remark, ...]
    disagreement: tuple[Remark, ...]
    branches: Mapping[str, str]
    citations: Mapping[str, str]


@cache
def load_graph(graph_id: str) -> Graph:
    """Load a packaged pathway graph and prove it.

    Raises
    ------
    lmresp.errors.CriteriaError
        If there is no such graph, it breaks its schema, a node is not total or has dead rows, a node, branch, fact or
        piece of evidence that is named does not exist, a node or branch is never reached, the nodes form a circle, or
        a note cannot be told apart in a trail.

    Notes
    -----
    Every node has exactly one answer for every combination of its facts, every answer is a node or a branch, and the
    nodes form no circle; so every combination of all facts ends in exactly one branch (or one set of options).
    """
    file = files("lmresp.pathway").joinpath("graph", f"{graph_id}.yaml")
    if not file.is_file():
        raise CriteriaError(f"there is no pathway graph {graph_id!r}")
    return graph_from_text(file.read_text(encoding="utf-8"), f"graph/{graph_id}.yaml")


def graph_from_text(text: str, where: str) -> Graph:
    """Read a graph from YAML text; see :func:`load_graph`."""
    schema = json.loads(files("lmresp.pathway").joinpath("graph.schema.json").read_text(encoding="utf-8"))
    content = read_yaml(text, where, schema)
    facts = {name: _fact(name, given, where) for name, given in content["facts"].items()}
    nodes = {name: _node(name, given, facts, content["evidence"], where) for name, given in content["nodes"].items()}
    rules = {
        name: _table(f"inadequate_{name}", given, "answer", facts, where)
        for name, given in content["inadequate"].items()
    }
    order = _checked_order(nodes, content["entry"], content["branches"], where)
    values = {name: fact.values for name, fact in facts.items()}
    answers = {name: table.outputs for name, table in rules.items()}
    return Graph(
        graph_id=content["id"],
        version=content["version"],
        title=content["title"],
        disclaimer=content["disclaimer"],
        entry=content["entry"],
        drugs={name: tuple(drug.lower() for drug in drugs) for name, drugs in content["drugs"].items()},
        certainties=content["certainties"],
        lm_types=content["lm_types"]["words"],
        facts=facts,
        nodes={name: nodes[name] for name in order},
        inadequate=rules,
        remarks=tuple(_remark(given, "text", values, content["evidence"], where) for given in content["remarks"]),
        disagreement=tuple(
            _remark(given, "why", answers, content["evidence"], where) for given in content["disagreement"]
        ),
        branches=content["branches"],
        citations={name: _cite(given, content["tags"], where) for name, given in content["evidence"].items()},
    )


def _fact(name: str, given: Mapping[str, Any], where: str) -> Fact:
    values, asked = tuple(given["values"]), given["collect"]
    if isinstance(asked, str):
        asked = {word: asked for word in values if word in OPEN_WORDS}
    lost = sorted(set(asked) - set(values))
    if lost:
        raise CriteriaError(f"{name} is collected when {lost[0]!r}", where=where, allowed=", ".join(values))
    return Fact(name, given["label"], values, given["meaning"], asked, given.get("recorded", ""))


def _remark(
    given: Mapping[str, Any], text: str, values: Mapping[str, tuple[str, ...]], evidence: Mapping[str, Any], where: str
) -> Remark:
    when = {name: tuple(words) for name, words in given["when"].items()}
    for name, words in when.items():
        lost = [word for word in words if word not in values.get(name, ())]
        if lost:
            raise CriteriaError(f"a remark hangs on {name} {lost[0]!r}", where=where, allowed=", ".join(values))
    lost = [key for key in given["evidence"] if key not in evidence]
    if lost:
        raise CriteriaError(f"a remark names {lost[0]!r}, which is not in the file", where=where)
    return Remark(when, given[text].strip(), tuple(given["evidence"]), given.get("certainty", ""))


def _cite(given: Mapping[str, str], tags: Mapping[str, str], where: str) -> str:
    """Write a citation with how it was read, in words."""
    ids = [f"{key}:{given[key]}" for key in ("doi", "pmid", "pmcid") if key in given]
    lost = [tag for tag in given["tag"].split() if tag not in tags]
    if lost:
        raise CriteriaError(f"the evidence has the tag {lost[0]!r}", where=where, allowed=", ".join(tags))
    how = " and ".join(tags[tag] for tag in given["tag"].split())
    return f"{' '.join([given['cite'], *ids])} [{how}]"


def _table(name: str, given: Mapping[str, Any], answer: str, facts: Mapping[str, Fact], where: str) -> Scheme:
    unknown = [fact for fact in given["facts"] if fact not in facts]
    if unknown:
        raise CriteriaError(f"{name} uses the unknown fact {unknown[0]!r}", where=where, allowed=", ".join(facts))
    content = {
        "id": name,
        "title": given.get("label", given.get("title", name)),
        "kind": "pathway",
        "completeness": "design choice",
        "enabled_by_default": True,
        "inputs": {fact: {"values": facts[fact].values, "meaning": facts[fact].meaning} for fact in given["facts"]},
        "outputs": list(dict.fromkeys(row[answer] for row in given["rules"])),
        "rules": [
            {
                "id": f"{name}.{number}",
                "when": row["when"],
                "output": row[answer],
                "certainty": "convention",
                "citation": "design choice",
                "note": row.get("note", ""),
            }
            for number, row in enumerate(given["rules"], start=1)
        ],
    }
    return build_scheme(content, f"{where}, {name}")


def _node(
    name: str, given: Mapping[str, Any], facts: Mapping[str, Fact], evidence: Mapping[str, Any], where: str
) -> Node:
    table = _table(name, given, "to", facts, where)
    rows = list(zip((rule.rule_id for rule in table.rules), given["rules"], strict=True))
    collect = {rule_id: tuple(row.get("collect", ())) for rule_id, row in rows}
    asked = [fact for wanted in collect.values() for fact in wanted]
    for wanted, known in ((given["evidence"], evidence), (asked, facts)):
        lost = [item for item in wanted if item not in known]
        if lost:
            raise CriteriaError(f"{name} names {lost[0]!r}, which is not in the file", where=where)
    unclear = [row["note"] for _, row in rows if any(arrow in row["note"] for arrow in ARROWS)]
    if unclear:
        raise CriteriaError(f"{name} has the note {unclear[0]!r}, which a trail cannot hold", where=where)
    graded = given["certainty"]
    return Node(
        name=name,
        label=given["label"],
        table=table,
        collect=collect,
        then={rule_id: row["then"] for rule_id, row in rows if "then" in row},
        evidence=tuple(given["evidence"]),
        certainty={"": graded} if isinstance(graded, str) else graded,
        parallel=given.get("parallel", False),
    )


def _checked_order(nodes: Mapping[str, Node], entry: str, branches: Mapping[str, str], where: str) -> list[str]:
    targets = {name: {to for output in node.table.outputs for to in output.split(";")} for name, node in nodes.items()}
    for name, found in targets.items():
        lost = sorted(found - set(nodes) - set(branches) - {NO_BRANCH})
        if lost:
            raise CriteriaError(f"{name} leads to {lost[0]!r}, which is neither node nor branch", where=where)
        after = sorted(set(nodes[name].then.values()) - set(nodes))
        if after:
            raise CriteriaError(f"{name} goes on at {after[0]!r}, which is no node", where=where)
    starts = [entry, *(name for name, node in nodes.items() if node.parallel)]
    reached: set[str] = set()
    while starts:
        name = starts.pop()
        if name not in reached:
            reached.add(name)
            starts.extend(targets.get(name, ()))
    lost = sorted((set(nodes) | set(branches)) - reached)
    if lost:
        raise CriteriaError(f"{lost[0]} can never be reached", where=where)
    try:
        order = list(TopologicalSorter({name: found & set(nodes) for name, found in targets.items()}).static_order())
    except CycleError as error:
        raise CriteriaError(f"the nodes form a circle: {' -> '.join(error.args[1])}", where=where) from error
    return order[::-1]
