"""The pathway graph: its proofs."""

from __future__ import annotations

import re
from importlib.resources import files

import pytest

from lmresp.errors import CriteriaError
from lmresp.pathway.graph import graph_from_text, load_graph

TEXT = files("lmresp.pathway").joinpath("graph", "egfr_lm.yaml").read_text(encoding="utf-8")


def test_every_fact_that_is_asked_of_a_study_can_be_unknown() -> None:
    graph = load_graph("egfr_lm")
    derived_always = {"worsening", "call", "neuro", "csf", "imaging", "gain", "inadequate", "earlier_block"}
    assert {name for name, fact in graph.facts.items() if "unknown" not in fact.values} == derived_always


def test_nothing_of_the_graph_gives_a_dose() -> None:
    graph = load_graph("egfr_lm")
    said = [rule.note for node in graph.nodes.values() for rule in node.table.rules]
    said += [node.label for node in graph.nodes.values()]
    said += [remark.text for remark in (*graph.remarks, *graph.disagreement)]
    said += [text for fact in graph.facts.values() for text in (fact.label, fact.meaning, *fact.collect.values())]
    for text in [*graph.branches.values(), *said]:
        assert not re.search(r"\d\s*(mg|milligram|g/)", text), text


def test_nodes_come_before_those_they_lead_to() -> None:
    graph = load_graph("egfr_lm")
    order = list(graph.nodes)
    for name, node in graph.nodes.items():
        for target in node.table.outputs:
            if target in graph.nodes:
                assert order.index(name) < order.index(target)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("to: B_SUPPORT,", "to: B_NOWHERE,", "B_NOWHERE"),
        ("entry: N0_entry", "entry: N1_icp", "can never be reached"),
        ("to: N1_icp,", "to: N0_entry,", "can never be reached|circle"),
        ('to: N3_tki, note: "no sign', 'to: N0_entry, note: "no sign', "circle"),
        ("- {when: {hydrocephalus: [present]}", "- {when: {hydrocephalus: [huge]}", "hydrocephalus is 'huge'"),
        ("evidence: [zhong2024]", "evidence: [zhong2025]", "zhong2025"),
        ('tag: "V R"', 'tag: "V X"', "tag 'X'"),
        ("      unread: a locked", "      unseen: a locked", "'unseen'"),
        ("IID: possible", "IID: unlikely", "unlikely"),
        ("facts: [tki]", "facts: [tki, mood]", "unknown fact 'mood'"),
        ("to: B_TKI, then: N4_assess", "to: B_TKI, then: N4_asses", "goes on at 'N4_asses'"),
        ('note: "on a third-generation TKI"', 'note: "on it > still"', "which a trail cannot hold"),
        ("steroids: [increased], neuro: [improved]", "steroids: [more], neuro: [improved]", "steroids 'more'"),
        ("literal: [both], both: [none]", "literal: [both], both: [maybe]", "both 'maybe'"),
        ("evidence: [rano_lm2017, zhong2024]", "evidence: [nobody2030]", "nobody2030"),
        ("certainty: {place in this sequence: D,", "certainty: {place in this sequence: E,", "certainty"),
    ],
)
def test_a_broken_graph_is_refused(old: str, new: str, message: str) -> None:
    assert old in TEXT
    with pytest.raises(CriteriaError, match=message):
        graph_from_text(TEXT.replace(old, new), "graph.yaml")


def test_an_unknown_graph() -> None:
    with pytest.raises(CriteriaError, match="no pathway graph"):
        load_graph("../egfr_lm")
