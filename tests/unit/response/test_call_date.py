"""Which strands settle a call by themselves, read off the decision table."""

from __future__ import annotations

from itertools import product

from lmresp.criteria import load_scheme
from lmresp.response.call_date import settling

SCHEME = load_scheme("rano_lm_2017_overall")
NAMES = [each.name for each in SCHEME.inputs]
CELLS = list(product(*(each.words for each in SCHEME.inputs)))


def settled_by(*names: str) -> set[tuple[str, ...]]:
    """Values of the named strands that settle the call."""
    axes = tuple(NAMES.index(name) for name in names)
    table = settling(SCHEME)[axes]
    places = {each.name: each.words for each in SCHEME.inputs}
    return {
        tuple(cell[axis] for axis in axes)
        for cell in CELLS
        if table[tuple(places[name].index(word) for name, word in zip(NAMES, cell, strict=True))]
    }


def test_only_imaging_progression_settles_a_call_alone() -> None:
    """RL01 to RL03: progressive imaging is progression whatever the other strands say; nothing else is anything."""
    assert settled_by("imaging") == {("progressive",)}
    assert settled_by("neuro") == settled_by("csf") == set()


def test_a_worse_examination_and_new_positive_cytology_settle_it_together() -> None:
    """RL04 of the appendix: progression at every imaging grade."""
    assert settled_by("neuro", "csf") == {("worse", "positive_new")}


def test_all_strands_together_always_settle_it() -> None:
    assert settled_by("neuro", "csf", "imaging") == set(CELLS)


def test_a_set_settles_exactly_where_the_other_strands_change_nothing() -> None:
    for axes, table in settling(SCHEME).items():
        for place in product(*(range(len(each.words)) for each in SCHEME.inputs)):
            ways = [
                [place[axis]] if axis in axes else range(len(each.words)) for axis, each in enumerate(SCHEME.inputs)
            ]
            assert table[place] == (len({SCHEME.answers[way] for way in product(*ways)}) == 1)
