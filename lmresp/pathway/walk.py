"""Walks the pathway graph for every call at once and names the branch, the way there and what is missing."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd

from lmresp import RESEARCH_USE
from lmresp.criteria.charter import Charter
from lmresp.criteria.timeline import flag, joined
from lmresp.pathway.facts import derive_facts
from lmresp.pathway.graph import NO_BRANCH, Graph, load_graph
from lmresp.pathway.inadequate import RULES, judge_inadequate

COLUMNS = (
    *("subject_id", "visit", "visit_num", "date", "branch", "branch_label", "nodes", "reason", "evidence", "certainty"),
    *("collect", "inadequate", "inadequate_rule", "inadequate_grade", "inadequate_literal", "inadequate_both"),
    *("inadequate_call_based", "rules_disagree", "parallel_branch", "provisional", "research_use"),
)


def find_branches(
    calls: pd.DataFrame, strands: Mapping[str, pd.DataFrame], tables: Mapping[str, pd.DataFrame], charter: Charter
) -> pd.DataFrame:
    """Name the pathway branch of every call.

    Parameters
    ----------
    calls : pandas.DataFrame
        As :func:`lmresp.response.call.call_visits` returns them.
    strands, tables : mapping of str to pandas.DataFrame
        See :func:`lmresp.pathway.facts.derive_facts`.
    charter : Charter
        Names the graph and the rule for an inadequate response.

    Returns
    -------
    pandas.DataFrame
        Columns :data:`COLUMNS`, all text, one row per call in the order of ``calls``. ``branch`` holds one branch, or
        options of equal standing joined with ``;``. ``collect`` lists what is unknown on the way and worth having;
        with the branch B_COLLECT it is what the branch hangs on. ``provisional`` is Y when the call is.
    """
    graph = load_graph(charter.text("pathway"))
    facts = derive_facts(calls, strands, tables, charter, graph)
    judged = judge_inadequate(facts, charter, graph)
    walked = _walk(facts.assign(inadequate=judged["inadequate"]), graph)
    out = pd.concat([calls[["subject_id", "visit", "visit_num", "date", "provisional"]], walked, judged], axis=1)
    labels = {name: "; ".join(graph.branches[part] for part in name.split(";")) for name in set(out["branch"])}
    out["branch_label"] = out["branch"].map(labels)
    grade = ("inadequate response (" + out["inadequate_rule"] + " rule): " + out["inadequate_grade"]).where(
        out["inadequate_grade"] != "", ""
    )
    out["reason"] = joined([out["reason"], grade, _other_branches(facts, judged, out["branch"], graph)], "; ")
    out["research_use"] = RESEARCH_USE
    return out[list(COLUMNS)].astype(object)


def _walk(facts: pd.DataFrame, graph: Graph) -> pd.DataFrame:
    at = pd.Series(graph.entry, index=facts.index, dtype=object)
    columns = ["nodes", "reason", "evidence", "certainty", "collect"]
    out = pd.DataFrame("", index=facts.index, dtype=object, columns=columns)
    parallel = pd.Series("", index=facts.index, dtype=object)
    for name, node in graph.nodes.items():  # in order, so that one pass follows every way through
        here = pd.Series(data=True, index=facts.index) if node.parallel else at == name
        if not here.any():
            continue
        decided = node.table.decide(facts[here])
        if node.parallel:
            parallel[here] = decided["call"].where(decided["call"] != NO_BRANCH, "")
            continue
        at[here] = decided["call"]
        out.loc[here, "nodes"] = joined([out.loc[here, "nodes"], flag(here[here], name)])
        out.loc[here, "reason"] = node.label + ": " + decided["note"]
        out.loc[here, "evidence"] = "; ".join(graph.citations[cite] for cite in node.evidence)
        out.loc[here, "certainty"] = node.certainty
        asked = _asked(facts[here], decided["rule_id"], node.collect, graph)
        out.loc[here, "collect"] = joined([out.loc[here, "collect"], asked], "; ")
    out["branch"], out["parallel_branch"] = at, parallel
    return out


def _asked(facts: pd.DataFrame, rule_id: pd.Series, collect: Mapping[str, tuple[str, ...]], graph: Graph) -> pd.Series:
    """Name the facts that the rule asks for and that are not known."""
    parts = []
    for fact in sorted({fact for wanted in collect.values() for fact in wanted}):
        rules = [rule for rule, wanted in collect.items() if fact in wanted]
        parts.append(facts[fact].map(dict(graph.facts[fact].collect)).where(rule_id.isin(rules)).fillna(""))
    return joined(parts, "; ") if parts else pd.Series("", index=facts.index, dtype=object)


def _other_branches(facts: pd.DataFrame, judged: pd.DataFrame, branch: pd.Series, graph: Graph) -> pd.Series:
    """Say where another rule for an inadequate response would lead to another branch."""
    parts = []
    for rule in RULES:
        other = _walk(facts.assign(inadequate=judged[f"inadequate_{rule}"]), graph)["branch"]
        parts.append((f"by the rule {rule} the branch would be " + other).where(other != branch, ""))
    return joined(parts, "; ")
