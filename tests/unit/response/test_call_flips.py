"""What would change a call: smallest sets of open inputs, and the grammar that names them."""

from __future__ import annotations

from itertools import combinations, product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lmresp.criteria import Scheme, load_scheme
from lmresp.notation import Flip, flips_text, read_flips
from lmresp.response.flips import smallest_flips

SCHEMES = [load_scheme("rano_lm_2017_overall"), load_scheme("eano_esmo_followup", switched_on=("eano_esmo_followup",))]


@st.composite
def cases(draw: st.DrawFn) -> tuple[Scheme, dict[str, str], dict[str, set[str]]]:
    scheme = draw(st.sampled_from(SCHEMES))
    now = {each.name: draw(st.sampled_from(each.words)) for each in scheme.inputs}
    possible = {each.name: draw(st.sets(st.sampled_from(each.words))) for each in scheme.inputs}
    return scheme, now, possible


def changing(
    scheme: Scheme, now: dict[str, str], possible: dict[str, set[str]]
) -> dict[frozenset[tuple[str, str]], str]:
    """Every assignment of open inputs that gives another call, found by trying all of them."""
    call = scheme.decide_one(now).output
    found = {}
    for size in range(len(now) + 1):
        for names in combinations(sorted(possible), size):
            for values in product(*(possible[name] - {now[name]} for name in names)):
                changed = dict(zip(names, values, strict=True))
                other = scheme.decide_one({**now, **changed}).output
                if other != call:
                    found[frozenset(changed.items())] = other
    return found


@settings(max_examples=300, deadline=None, derandomize=True)
@given(cases())
def test_what_is_listed_changes_the_call_and_nothing_smaller_does(case: tuple) -> None:
    scheme, now, possible = case
    listed = smallest_flips(scheme, now, possible)
    everything = changing(scheme, now, possible)
    sets_that_change = {frozenset(name for name, _ in values) for values in everything}
    smallest = {names for names in sets_that_change if not any(other < names for other in sets_that_change)}
    assert {frozenset(name for name, _ in flip.values) for flip in listed} == smallest
    expected = {
        values: call for values, call in everything.items() if frozenset(name for name, _ in values) in smallest
    }
    assert {frozenset(flip.values): flip.call for flip in listed} == expected
    assert len(listed) == len(expected)
    assert bool(listed) == bool(everything)  # an empty text promises that nothing open could change the call


@settings(max_examples=100, deadline=None, derandomize=True)
@given(cases())
def test_the_text_says_all_of_it(case: tuple) -> None:
    listed = smallest_flips(*case)
    assert read_flips(flips_text(listed)) == listed


def test_the_grammar() -> None:
    flips = [
        Flip((("imaging", "progressive"),), "PROGRESSION"),
        Flip((("neuro", "stable"), ("csf", "cleared")), "RESPONSE"),
    ]
    text = "imaging=progressive -> PROGRESSION; neuro=stable & csf=cleared -> RESPONSE"
    assert (flips_text(flips), read_flips(text), read_flips(""), flips_text([])) == (text, flips, [], "")


@pytest.mark.parametrize(
    "text", ["imaging progressive would give PROGRESSION", "imaging=a ->", "-> RESPONSE", "a=b -> C;", "a=b, c=d -> E"]
)
def test_other_text_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="not an alternative"):
        read_flips(text)


def test_alternatives_are_in_the_order_of_the_scheme() -> None:
    scheme = load_scheme("rano_lm_2017_overall")
    now = {"neuro": "not_evaluable", "csf": "cleared", "imaging": "not_evaluable"}
    possible = {"imaging": {"stable", "progressive", "improved"}, "neuro": {"worse", "stable"}}
    assert flips_text(smallest_flips(scheme, now, possible)) == (
        "neuro=worse -> SUSPECTED_PROGRESSION; imaging=progressive -> PROGRESSION"
    )
