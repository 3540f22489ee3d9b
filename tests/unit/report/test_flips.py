"""What would change a call, in words."""

from __future__ import annotations

from lmresp.report.flips import flip_views


def test_each_alternative_keeps_its_strands_and_its_call() -> None:
    one, two = flip_views("csf=positive_new -> PROGRESSION; neuro=worse & imaging=not_evaluable -> STABLE")
    assert one.conditions == [("CSF cytology", "Newly positive")]
    assert one.call.value == "PROGRESSION"
    assert two.conditions == [("Neurological examination", "Worse"), ("MRI", "Not evaluable")]
    assert two.call.label == "Stable"


def test_nothing_would_change_it() -> None:
    assert flip_views("") == []
