"""Every combination of facts ends in exactly one branch, and every branch and rule can be reached."""

from __future__ import annotations

from itertools import product

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lmresp.criteria import charter_from_record, charter_record, load_charter
from lmresp.pathway.graph import load_graph
from lmresp.pathway.inadequate import RULES, judge_inadequate
from lmresp.pathway.walk import walk

GRAPH = load_graph("egfr_lm")
VALUES = {name: fact.values for name, fact in GRAPH.facts.items()}
CONTINUES = {
    "egfr_mutation": "Y",
    "lm_certainty": "confirmed",
    "opening_pressure": "normal",
    "hydrocephalus": "absent",
    "papilloedema": "absent",
    "diversion": "none",
    "kps": "good",
    "encephalopathy": "absent",
    "major_deficits": "absent",
    "targeted_option": "Y",
    "tki": "current",
    "due": "Y",
    "worsening": "N",
    "call": "RESPONSE",
    "neuro": "improved",
    "csf": "negative",
    "imaging": "improved",
    "other_cause_excluded": "unknown",
    "neuro_persistent": "N",
    "csf_persistent": "N",
    "gain": "Y",
    "inadequate": "N",
    "csf_flow": "open",
    "earlier_block": "N",
    "marrow": "adequate",
    "shunt": "none",
    "genotype": "unknown",
    "systemic": "controlled",
    "steroids": "stable",
}
EXAMPLES = {
    "B_CONTINUE": {},
    "B_NOT_APPLICABLE": {"egfr_mutation": "N"},
    "B_ICP": {"opening_pressure": "raised"},
    "B_SUPPORT": {"kps": "poor", "targeted_option": "N"},
    "B_TKI": {"tki": "none"},
    "B_COLLECT": {"csf": "missing", "call": "NOT_EVALUABLE"},
    "B_RETEST": {"csf": "positive", "call": "STABLE"},
    "B_ADD_IT": {"csf": "positive", "call": "STABLE", "inadequate": "Y"},
    "B_FLOW": {"csf": "positive", "call": "STABLE", "inadequate": "Y", "csf_flow": "blocked"},
    "B_ALT": {"csf": "positive", "call": "STABLE", "inadequate": "Y", "csf_flow": "blocked", "earlier_block": "Y"},
    "B_GENO": {"call": "PROGRESSION", "genotype": "met_amplification"},
    "B_TRIAL": {"call": "PROGRESSION", "genotype": "c797s"},
    "B_PLATINUM;B_RT;B_ADD_IT;B_TRIAL": {"call": "PROGRESSION", "genotype": "none_found"},
    "B_PLATINUM;B_RT;B_TRIAL": {"call": "PROGRESSION", "genotype": "none_found", "csf_flow": "blocked"},
}


def test_the_examples_name_every_fact_and_branch() -> None:
    assert set(CONTINUES) == set(GRAPH.facts)
    assert {part for name in EXAMPLES for part in name.split(";")} | {"B_SYSTEMIC"} == set(GRAPH.branches)


@pytest.mark.parametrize("branch", EXAMPLES)
def test_every_branch_has_an_example(branch: str) -> None:
    assert walk(pd.DataFrame([{**CONTINUES, **EXAMPLES[branch]}]), GRAPH).branch.tolist() == [branch]


def test_systemic_progression_stands_beside() -> None:
    found = walk(pd.DataFrame([{**CONTINUES, "systemic": "progression"}]), GRAPH)
    assert (found.branch.tolist(), found.parallel.tolist()) == (["B_CONTINUE"], ["B_SYSTEMIC"])


@pytest.mark.parametrize("name", GRAPH.nodes)
def test_every_cell_of_a_node_leads_on(name: str) -> None:
    """Read the rules top down, as a person would: exactly one first match, and it leads to a node or to branches."""
    node = GRAPH.nodes[name]
    names = [each.name for each in node.table.inputs]
    table = pd.DataFrame(list(product(*(each.words for each in node.table.inputs))), columns=names, dtype=object)
    numbers = node.table.match(table)
    for cell, number in zip(table.to_dict("records"), numbers, strict=True):
        first = next(
            rule for rule in node.table.rules if all(cell[str(fact)] in allowed for fact, allowed in rule.when)
        )
        assert first is node.table.rules[number]
        ends = {"-"} if node.parallel else set()
        assert set(first.output.split(";")) <= {*GRAPH.nodes, *GRAPH.branches, *ends}


ANY_FACTS = st.lists(st.fixed_dictionaries({n: st.sampled_from(v) for n, v in VALUES.items()}), min_size=1, max_size=40)


@settings(max_examples=60, deadline=None)
@given(ANY_FACTS)
def test_any_facts_end_in_one_branch(rows: list[dict[str, str]]) -> None:
    frame = pd.DataFrame(rows, dtype=object)
    found = walk(frame, GRAPH)
    assert all(set(branch.split(";")) <= set(GRAPH.branches) for branch in found.branch)
    assert set(found.parallel) <= {"", "B_SYSTEMIC"}
    passed = sum(len(at) for name, (at, _) in found.steps.items() if name == GRAPH.entry)
    assert passed == len(frame)
    ends = 0  # rows that leave a node for a branch: every row does so exactly once
    for name, (_, numbers) in found.steps.items():
        if not GRAPH.nodes[name].parallel:
            ends += sum(GRAPH.nodes[name].table.rules[number].output.startswith("B_") for number in numbers)
    assert ends == len(frame)


@settings(max_examples=60, deadline=None)
@given(ANY_FACTS, st.sampled_from(RULES))
def test_the_rules_stand_side_by_side(rows: list[dict[str, str]], rule: str) -> None:
    record = charter_record(load_charter())
    record["settings"]["inadequate_rule"]["value"] = rule
    frame = pd.DataFrame(rows, dtype=object)
    judged = judge_inadequate(frame, charter_from_record(record), GRAPH)
    answers = judged[[f"inadequate_{each}" for each in RULES]]
    assert set(answers.to_numpy().ravel()) <= {"Y", "N", "CANNOT DECIDE", "NOT DUE"}
    differ = answers.eq("Y").any(axis=1) & answers.eq("N").any(axis=1)
    assert judged["rules_disagree"].eq("Y").tolist() == differ.tolist()
    assert judged["disagreement"].ne("").tolist() == differ.tolist()
    yes = judged["inadequate"] == "Y"
    assert judged["inadequate_grade"].ne("").tolist() == yes.tolist()
    assert judged["inadequate_confirmed"].isin(["Y", "N"]).tolist() == yes.tolist()
    assert set(judged["inadequate_grade"]) <= {"", "neurology_only", "cytology_only", "both", "by_call"}


def test_wherever_the_rules_disagree_it_is_said_why() -> None:
    names = [str(each.name) for table in GRAPH.inadequate.values() for each in table.inputs]
    used = list(dict.fromkeys(names))
    frame = pd.DataFrame(list(product(*(VALUES[name] for name in used))), columns=used, dtype=object)
    # What the facts mean leaves these: positive cytology persists or not, negative does not, else it is not known.
    possible = {"positive": ["Y", "N"], "negative": ["N"], "equivocal": ["unknown"], "missing": ["unknown"]}
    allowed = [pair[1] in possible[pair[0]] for pair in zip(frame["csf"], frame["csf_persistent"], strict=True)]
    frame = frame[allowed].reset_index(drop=True)
    judged = judge_inadequate(frame, load_charter(), GRAPH)
    silent = judged["rules_disagree"].eq("Y") & ~judged["disagreement"].str.contains("Sources: ", regex=False)
    assert frame[silent].drop_duplicates().to_dict("records") == []


def _mask(lookup: np.ndarray, number: int, private: tuple[int, ...]) -> np.ndarray:
    return (lookup == number).any(axis=private) if private else lookup == number


def test_every_rule_can_answer_somewhere_on_the_way() -> None:
    """Exact: the combinations of shared facts with which each node can be reached, carried from node to node."""
    nodes = {name: node for name, node in GRAPH.nodes.items() if not node.parallel}
    count: dict[str, int] = {}
    for node in nodes.values():
        for each in node.table.inputs:
            count[each.name] = count.get(each.name, 0) + 1
    shared = [name for name, times in count.items() if times > 1]
    shape = [len(VALUES[name]) for name in shared]
    reached = {name: np.zeros(shape, dtype=bool) for name in nodes}
    reached[GRAPH.entry][...] = True
    never = []
    for name, node in nodes.items():
        inputs = [each.name for each in node.table.inputs]
        private = tuple(axis for axis, fact in enumerate(inputs) if fact not in shared)
        common = [fact for fact in inputs if fact in shared]
        order = np.argsort([shared.index(fact) for fact in common])
        size = [len(VALUES[fact]) if fact in common else 1 for fact in shared]
        for number, rule in enumerate(node.table.rules):
            fits = np.transpose(_mask(node.table.lookup, number, private), order).reshape(size)
            with_it = reached[name] & fits
            if not with_it.any():
                never.append((name, dict(rule.when)))
            elif rule.output in nodes:
                reached[rule.output] |= with_it
    # The reference's route for T790M without a third-generation TKI: N3 answers such a subject before.
    assert never == [("N10_genotype", {"genotype": ("t790m",), "tki": ("none",)})]
