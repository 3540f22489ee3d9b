"""The grammar of what would change a call."""

from __future__ import annotations

import pytest

from lmresp.report.flips import flips


def test_each_alternative_keeps_its_strands_and_its_call() -> None:
    one, two = flips("csf=positive_new -> PROGRESSION; neuro=worse & imaging=not_evaluable -> SUSPECTED_PROGRESSION")
    assert one.conditions == [("CSF cytology", "Newly positive")]
    assert one.call is not None
    assert one.call.value == "PROGRESSION"
    assert two.conditions == [("Neurological examination", "Worse"), ("MRI", "Not evaluable")]
    assert two.call is not None
    assert two.call.label == "Suspected progression"


@pytest.mark.parametrize("text", ["a radiologist's read", "csf -> STABLE", "csf=cleared", "csf=cleared -> "])
def test_what_is_not_of_the_grammar_stays_text(text: str) -> None:
    (flip,) = flips(text)
    assert flip.text == text.strip()
    assert flip.call is None


def test_a_strand_without_words_is_not_lost() -> None:
    (flip,) = flips("other=odd_value -> STABLE")
    assert flip.conditions == [("other", "odd_value")]


def test_nothing_would_change_it() -> None:
    assert flips("") == []
    assert flips(" ; ") == []
