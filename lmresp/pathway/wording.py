"""Puts the way through the pathway graph into words: nodes passed, deciding facts, evidence, what to collect."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from lmresp.criteria.table import Rule
from lmresp.criteria.timeline import joined
from lmresp.pathway.graph import NO_BRANCH, Graph, Node
from lmresp.pathway.inadequate import RULES
from lmresp.pathway.walk import walk

_SEEN_AGAIN = {"Y": ", seen again", "N": ", not seen again yet"}


def put_in_words(facts: pd.DataFrame, judged: pd.DataFrame, graph: Graph) -> pd.DataFrame:
    """Walk the graph and say what was found.

    Parameters
    ----------
    facts : pandas.DataFrame
        One column per fact of the graph.
    judged : pandas.DataFrame
        From :func:`lmresp.pathway.inadequate.judge_inadequate`, on the same rows.
    graph : Graph
        The pathway.

    Returns
    -------
    pandas.DataFrame
        The columns ``branch`` to ``collect``, ``parallel_branch`` and ``parallel_reason`` of ``pathway.csv``. Evidence
        and certainty are those of the node in which the way ends.
    """
    route = walk(facts, graph)
    out = pd.DataFrame({"branch": route.branch, "parallel_branch": route.parallel}, index=facts.index)
    for name in ("nodes", "trail", "reason", "evidence", "evidence_keys", "certainty", "certainty_words", "collect"):
        out[name] = pd.Series("", index=facts.index, dtype=object)
    out["parallel_reason"] = pd.Series("", index=facts.index, dtype=object)
    for name, (rows, number) in route.steps.items():
        node = graph.nodes[name]
        for each in np.unique(number):
            rule, here = node.table.rules[each], rows[number == each]
            if not node.parallel:
                _say_step(out, facts, here, node, rule, graph)
            elif rule.output != NO_BRANCH:
                sources = "; ".join(graph.citations[key] for key in node.evidence)
                sure = certainty_words(node.certainty, graph)
                out.loc[here, "parallel_reason"] = f"{node.label}: {rule.note} ({sure}; {sources})"
    out["collect"] = out["collect"].map(lambda text: "; ".join(dict.fromkeys(text.split("; "))))
    out["branch_label"] = out["branch"].map({name: branch_label(name, graph) for name in set(out["branch"])})
    grade = (
        "inadequate response ("
        + judged["inadequate_rule"]
        + " rule): "
        + judged["inadequate_grade"].str.replace("_", " ")
    )
    grade += judged["inadequate_confirmed"].map(_SEEN_AGAIN).fillna("")
    grade = grade.where(judged["inadequate_grade"] != "", "")
    others = _other_branches(facts, judged, route.branch, graph)
    out["reason"] = joined([out["reason"], grade, others, _remarks(facts, graph)], "; ")
    return out


def certainty_words(certainty: Mapping[str, str], graph: Graph) -> str:
    """Say the certainty of a node in words, with its letter."""
    said = [(what, f"{graph.certainties[grade]} ({grade})") for what, grade in certainty.items()]
    return "; ".join(f"{what}: {words}" if what else words for what, words in said)


def branch_label(branch: str, graph: Graph) -> str:
    """Label of a branch, or of several options joined with ``;``."""
    return "; ".join(graph.branches[part] for part in branch.split(";"))


def vocabulary(graph: Graph) -> list[dict[str, str]]:
    """List what the codes of ``pathway.csv`` mean, for those who explain it.

    Returns
    -------
    list of dict
        Rows ``kind, key, text``; ``kind`` is ``node``, ``fact``, ``branch``, ``evidence``, ``certainty`` or ``rule``.
    """
    kinds: dict[str, Mapping[str, str]] = {
        "node": {name: node.label for name, node in graph.nodes.items()},
        "fact": {name: fact.label for name, fact in graph.facts.items()},
        "branch": graph.branches,
        "evidence": graph.citations,
        "certainty": graph.certainties,
        "rule": {name: table.title for name, table in graph.inadequate.items()},
    }
    return [{"kind": kind, "key": key, "text": text} for kind, words in kinds.items() for key, text in words.items()]


def _say_step(out: pd.DataFrame, facts: pd.DataFrame, here: pd.Index, node: Node, rule: Rule, graph: Graph) -> None:
    """Add one node, for the rows that one of its rules answered."""
    decided = [fact for fact, _ in rule.when] or [source.name for source in node.table.inputs]
    values = joined([f"{fact}=" + facts.loc[here, fact] for fact in decided], ", ")
    step = f"{node.name}: " + values + f" -> {rule.note}"
    out.loc[here, "trail"] = joined([out.loc[here, "trail"], step], " > ")
    out.loc[here, "nodes"] = joined([out.loc[here, "nodes"], pd.Series(node.name, index=here)])
    after = node.then.get(rule.rule_id)
    goes_on = f"; once dealt with, the way goes on at: {graph.nodes[after].label}" if after else ""
    out.loc[here, "reason"] = f"{node.label}: {rule.note}{goes_on}"
    out.loc[here, "evidence"] = "; ".join(graph.citations[key] for key in node.evidence)
    out.loc[here, "evidence_keys"] = ";".join(node.evidence)
    out.loc[here, "certainty"] = ", ".join(f"{grade} {what}".strip() for what, grade in node.certainty.items())
    out.loc[here, "certainty_words"] = certainty_words(node.certainty, graph)
    wanted = [
        facts.loc[here, name].map(dict(graph.facts[name].collect)).fillna("") for name in node.collect[rule.rule_id]
    ]
    out.loc[here, "collect"] = joined([out.loc[here, "collect"], *wanted], "; ")


def _other_branches(facts: pd.DataFrame, judged: pd.DataFrame, branch: pd.Series, graph: Graph) -> pd.Series:
    """Say where another rule for an inadequate response would lead to another branch."""
    parts = []
    for rule in RULES:
        other = walk(facts.assign(inadequate=judged[f"inadequate_{rule}"]), graph).branch
        labels = other.map({name: branch_label(name, graph) for name in set(other)})
        said = f"by the rule {rule} the branch would be " + other + " (" + labels + ")"
        parts.append(said.where(other != branch, ""))
    return joined(parts, "; ")


def _remarks(facts: pd.DataFrame, graph: Graph) -> pd.Series:
    parts = [pd.Series("", index=facts.index, dtype=object)]
    for remark in graph.remarks:
        sources = "; ".join(graph.citations[key] for key in remark.evidence)
        said = f"{remark.text} ({graph.certainties[remark.certainty]} ({remark.certainty}); {sources})"
        parts.append(pd.Series(np.where(remark.fits(facts), said, ""), index=facts.index, dtype=object))
    return joined(parts, "; ")
