"""A decision table that a charter modifies cell by cell: its proofs, its answers, what is refused."""

from __future__ import annotations

from itertools import product
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lmresp.criteria import Scheme, load_scheme
from lmresp.criteria.cells import answers, with_cells
from lmresp.errors import CriteriaError

BASE = load_scheme("rano_lm_2017_overall")
WORDS = {each.name: each.words for each in BASE.inputs}


def cell(output: str, **when: list[str]) -> dict[str, Any]:
    return {"when": when, "output": output, "source": "protocol 7.3"}


def decided(scheme: Scheme) -> dict[tuple[str, ...], tuple[str, str]]:
    """Every combination (neuro, csf, imaging) with its rule and answer."""
    table = scheme.combinations()
    keys = table[["neuro", "csf", "imaging"]].itertuples(index=False, name=None)
    return dict(zip(keys, zip(table["rule_id"], table["call"], strict=True), strict=True))


BASE_DECIDED = decided(BASE)


def as_a_person_reads(cells: list[dict[str, Any]]) -> dict[tuple[str, ...], tuple[str, str]]:
    """Every combination: the first cell whose every condition holds, else the scheme's own rule."""
    found = dict(BASE_DECIDED)
    for words in product(*WORDS.values()):
        inputs = dict(zip(WORDS, words, strict=True))
        for number, each in enumerate(cells, start=1):
            if all(inputs[name] in allowed for name, allowed in each["when"].items()):
                found[words] = (f"t.{number}", each["output"])
                break
    return found


def test_one_cell_changes_one_answer() -> None:
    cells = [cell("RESPONSE", neuro=["stable"], csf=["cleared"], imaging=["stable"])]
    scheme = with_cells(BASE, cells, "t")
    assert decided(scheme) == as_a_person_reads(cells)
    assert set(answers(scheme)) - set(answers(BASE)) == {"csf=cleared, imaging=stable, neuro=stable -> RESPONSE"}
    rule = scheme.rules[0]
    assert (rule.rule_id, rule.certainty, rule.citation) == ("t.1", "convention", "protocol 7.3")
    assert scheme.title.endswith("; 1 of 96 cells set by the charter t")


def test_a_cell_may_say_that_it_was_read() -> None:
    # A study whose people have the paper writes where they read it: the answer stays, its certainty rises.
    cells = [{**cell("STABLE", neuro=["stable"], csf=["negative"], imaging=["stable"]), "certainty": "seen"}]
    scheme = with_cells(BASE, cells, "t")
    assert answers(scheme) == answers(BASE)
    assert scheme.cells_read == (BASE.cells_read[0] + 1, 96)


def test_a_rule_that_cells_replace_whole_is_left_out() -> None:
    cells = [cell("SUSPECTED_PROGRESSION", neuro=["worse"], csf=["positive_new"])]  # all that RL04 decides
    scheme = with_cells(BASE, cells, "t")
    assert "RL04" not in {rule.rule_id for rule in scheme.rules}
    assert decided(scheme) == as_a_person_reads(cells)


def test_no_cells_leave_the_scheme_alone() -> None:
    assert with_cells(BASE, [], "t") is BASE


def test_a_charter_without_response() -> None:
    cells = [cell("STABLE", imaging=["improved"], csf=["cleared", "negative"], neuro=["improved", "stable"])]
    scheme = with_cells(BASE, cells, "t")
    assert scheme.outputs == ("STABLE", "SUSPECTED_PROGRESSION", "PROGRESSION", "NOT_EVALUABLE")


def test_the_first_cell_that_matches_decides() -> None:
    cells = [cell("STABLE", csf=["missing"], imaging=["stable"]), cell("PROGRESSION", csf=["missing"])]
    assert decided(with_cells(BASE, cells, "t")) == as_a_person_reads(cells)


@pytest.mark.parametrize(
    ("cells", "message"),
    [
        ([cell("PROGRESSION", csf=["missing"]), cell("STABLE", csf=["missing"], neuro=["worse"])], r"cell 2 \(t.2\)"),
        ([cell("STABLE", neuro=["better"])], "cell 1: neuro is 'better'. Allowed: improved, stable, worse"),
        ([cell("STABLE", mri=["stable"])], "cell 1 names the unknown input 'mri'. Allowed: neuro, csf, imaging"),
        ([cell("PD", neuro=["worse"])], "cell 1 gives 'PD'. Allowed: RESPONSE, STABLE"),
    ],
)
def test_a_faulty_cell_is_refused(cells: list[dict[str, Any]], message: str) -> None:
    with pytest.raises(CriteriaError, match=message):
        with_cells(BASE, cells, "t")


def test_names_may_not_meet() -> None:
    once = with_cells(BASE, [cell("STABLE", csf=["missing"])], "t")
    with pytest.raises(CriteriaError, match=r"a rule t\.1 of its own"):
        with_cells(once, [cell("STABLE", csf=["equivocal"])], "t")


subsets = st.fixed_dictionaries(
    {}, optional={name: st.lists(st.sampled_from(words), min_size=1, unique=True) for name, words in WORDS.items()}
).filter(bool)
some_cells = st.lists(
    st.builds(lambda when, output: cell(output, **when), subsets, st.sampled_from(BASE.outputs)), max_size=4
)


@settings(max_examples=40, deadline=None)
@given(some_cells)
def test_any_cells_give_a_total_table_or_name_the_dead_one(cells: list[dict[str, Any]]) -> None:
    deciding = {rule for rule, _ in as_a_person_reads(cells).values()}
    dead = [f"t.{number}" for number in range(1, len(cells) + 1) if f"t.{number}" not in deciding]
    if dead:
        with pytest.raises(CriteriaError, match=dead[0].replace(".", r"\.")):
            with_cells(BASE, cells, "t")
    else:
        scheme = with_cells(BASE, cells, "t")
        assert decided(scheme) == as_a_person_reads(cells)
        assert {rule.rule_id for rule in scheme.rules} == deciding
        assert set(scheme.outputs) == {rule.output for rule in scheme.rules}
