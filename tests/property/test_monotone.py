"""A worse input never gives a better answer, all else equal; every cell that breaks this is in docs/monotonicity.md."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from itertools import product
from pathlib import Path
from typing import Any

import pytest
import yaml

from lmresp.criteria import Rule, Scheme, load_scheme, schemes
from lmresp.criteria.cells import with_cells

ORDERS: dict[str, dict[str, Any]] = yaml.safe_load((Path(__file__).parent / "orders.yaml").read_text(encoding="utf-8"))
PAGE = Path(__file__).resolve().parents[2] / "docs" / "monotonicity.md"
NO_ORDER = {"eano_esmo_diagnosis"}
"""Classes of diagnosis are not better or worse than each other."""

Break = tuple[str, str, str, str, str, str]
"""Kind, scheme, what stays the same, what gets worse, answer before with its rule, answer after with its rule."""


@cache
def scheme(scheme_id: str) -> Scheme:
    return load_scheme(scheme_id, switched_on=schemes())


def places(levels: list[list[str]]) -> dict[str, int]:
    return {word: place for place, words in enumerate(levels) for word in words}


def worsenings(table: Scheme, order: dict[str, Any]) -> Iterator[tuple[dict[str, str], str, str, Rule, Rule]]:
    """Every cell, with each of its inputs made worse in every way: cell, input, worse word, both rules."""
    for words in product(*(each.words for each in table.inputs)):
        cell = dict(zip((each.name for each in table.inputs), words, strict=True))
        for name, levels in order["inputs"].items():
            place = places(levels)
            for worse in (word for word in place if cell[name] in place and place[word] > place[cell[name]]):
                yield cell, name, worse, table.decide_one(cell), table.decide_one({**cell, name: worse})


def kind_of_break(order: dict[str, Any], before: str, after: str) -> str:
    place = places(order["good"] + order["bad"])
    if before in place and after in place:
        return "better" if place[after] < place[before] else ""
    if before not in place:
        return "gained" if after in places(order["good"]) else ""
    return "lost" if before in places(order["bad"]) else ""


def breaks(table: Scheme, order: dict[str, Any]) -> list[Break]:
    found = []
    for cell, name, worse, before, after in worsenings(table, order):
        kind = kind_of_break(order, before.output, after.output)
        if kind:
            same = ", ".join(f"{other}={word}" for other, word in cell.items() if other != name)
            change = f"{name}: {cell[name]} to {worse}"
            answers = (f"{before.output} ({before.rule_id})", f"{after.output} ({after.rule_id})")
            found.append((kind, table.scheme_id, same, change, *answers))
    return found


def printed() -> list[Break]:
    lines = PAGE.read_text(encoding="utf-8").splitlines()
    rows = [[cell.strip().strip("`") for cell in line.strip("|").split("|")] for line in lines if line.startswith("| ")]
    return [tuple(row[:6]) for row in rows if row[0] in ("better", "lost", "gained")]  # type: ignore[misc]


def test_every_scheme_has_an_order_or_a_reason_for_none() -> None:
    assert set(ORDERS) | NO_ORDER == set(schemes())
    for scheme_id, order in ORDERS.items():
        words = {each.name: set(each.words) for each in scheme(scheme_id).inputs}
        for name, levels in order["inputs"].items():
            assert set(places(levels)) <= words[name], (scheme_id, name)
        assert set(places(order["good"] + order["bad"])) <= set(scheme(scheme_id).outputs)


def test_cells_that_break_the_order_are_those_of_the_page() -> None:
    found = [each for scheme_id, order in ORDERS.items() for each in breaks(scheme(scheme_id), order)]
    assert sorted(found) == sorted(printed())


def test_the_orders_compare_something() -> None:
    """Comparisons by hand: neuro 3 worsenings in 24 settings, csf 9 (two words are equal) in 16, imaging 3 in 24."""
    name = "rano_lm_2017_overall"
    assert len(list(worsenings(scheme(name), ORDERS[name]))) == 3 * 24 + 9 * 16 + 3 * 24
    assert breaks(scheme(name), ORDERS[name]) == []


@pytest.mark.parametrize(
    ("when", "call", "kinds"),
    [
        ({"neuro": ["worse"], "csf": ["negative"], "imaging": ["stable"]}, "RESPONSE", {"better"}),
        ({"neuro": ["worse"], "csf": ["negative"], "imaging": ["not_evaluable"]}, "STABLE", {"gained"}),
        ({"neuro": ["stable"], "csf": ["negative"], "imaging": ["progressive"]}, "NOT_EVALUABLE", {"lost"}),
    ],
)
def test_one_cell_turned_round_is_found(when: dict[str, list[str]], call: str, kinds: set[str]) -> None:
    name = "rano_lm_2017_overall"
    turned = with_cells(scheme(name), [{"when": when, "output": call, "source": "test"}], "test")
    found = breaks(turned, ORDERS[name])
    assert kinds <= {each[0] for each in found}
    assert all("test.1" in each[4] + each[5] for each in found)


UNKNOWN = {
    "rano_lm_2017_overall": {"neuro": "not_evaluable", "csf": "missing", "imaging": "not_evaluable"},
    "eano_esmo_followup": {"clinical": "not_done", "imaging": "not_done", "csf": "not_done"},
    "lano_2019_overall_imaging": {"any_ne": "true"},
    "nano_2017_overall": {"exam": "not_done", "explained_otherwise": "true"},
    "bloom_modified_rano_lm": {"central_mri": "NE"},
    "strand_csf": {"now": "none"},
    "strand_imaging": {"overall": "none"},
    "strand_neuro_steroids": {"neuro": "not_evaluable"},
}


@pytest.mark.parametrize("scheme_id", sorted(UNKNOWN))
def test_an_input_that_is_not_known_never_supports_response_or_stability(scheme_id: str) -> None:
    """criteria.md section 10: a missing element never supports response or stability."""
    table, good = scheme(scheme_id), places(ORDERS[scheme_id]["good"])
    for words in product(*(each.words for each in table.inputs)):
        cell = dict(zip((each.name for each in table.inputs), words, strict=True))
        if any(cell[name] == word for name, word in UNKNOWN[scheme_id].items()):
            assert table.decide_one(cell).output not in good, cell


def test_a_worse_sample_never_gives_a_better_call() -> None:
    """The cytology table and the call's table together, for every history and every state of the other strands."""
    call_place = places(ORDERS["rano_lm_2017_overall"]["good"] + ORDERS["rano_lm_2017_overall"]["bad"])
    csf, overall = scheme("strand_csf"), scheme("rano_lm_2017_overall")
    inputs = {each.name: each.words for each in overall.inputs}
    compared = 0
    for reference, before in product(("positive", "negative", "none"), repeat=2):
        for neuro, imaging in product(inputs["neuro"], inputs["imaging"]):
            calls = [
                overall.decide_one(
                    {
                        "neuro": neuro,
                        "imaging": imaging,
                        "csf": csf.decide_one({"reference": reference, "before": before, "now": now}).output,
                    }
                ).output
                for now in ("negative", "equivocal", "positive")
            ]
            known = [call_place[call] for call in calls if call in call_place]
            assert known == sorted(known), (reference, before, neuro, imaging, calls)
            compared += len(known)
    assert compared > 0
