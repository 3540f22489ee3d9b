"""How the scorecard is laid out: one letter a choice, the draft beside it, reads side by side."""

from __future__ import annotations

import pytest

from lmresp.reads import form
from lmresp.reads.scans import Scan
from lmresp.review import scorecard
from tests.reading_rooms import scan_result


def scan(*, is_baseline: bool) -> Scan:
    return Scan("sub-S01_ses-X", "S-01", "X", "1" if is_baseline else "2", "2024-01-01", is_baseline, "imaged")


@pytest.mark.parametrize("is_baseline", [True, False])
def test_every_choice_has_a_letter_of_its_own_that_its_text_shows(is_baseline: bool) -> None:
    asked = form.fields(scan(is_baseline=is_baseline), [])
    choices = [field for field in asked if field.kind == form.CHOICE]
    assert len(choices) >= 7
    for field in choices:
        options = [scorecard.option(code) for code in field.allowed]
        letters = [one.letter for one in options]
        assert len(set(letters)) == len(letters)
        assert all(one.parts[1].upper() == one.letter and "".join(one.parts) == one.text for one in options)


def test_diameters_are_read_with_a_comma_and_nothing_typed_is_no_answer() -> None:
    asked = form.fields(scan(is_baseline=True), [])
    given = {"BRAIN.NODULE_1_X": " 11,5 ", "BRAIN.NODULE_1_Y": "ne", "BRAIN.LINEAR": "", "SOMETHING.ELSE": "x"}
    rows = scorecard.typed(given, asked)
    assert [(row["item"], row["value"]) for row in rows] == [("NODULE_1_X", "11.5"), ("NODULE_1_Y", "NE")]


def test_the_draft_of_a_follow_up_is_its_change_and_leaves_ne_to_the_reader() -> None:
    result = scan_result("S-01", "2", "WK06", "2024-02-12")
    draft = scorecard.beside(result, "BASELINE")
    assert (draft["BRAIN NODULES"].code, draft["BRAIN NODULES"].copied) == ("WORSE", "WORSE")
    assert draft["BRAIN NODULES"].findings == (1,)
    assert (draft["BRAIN CRANIAL_NERVE"].code, draft["BRAIN CRANIAL_NERVE"].copied) == ("NE", "")
    assert (draft["BRAIN NODULE_1_X"].text, draft["BRAIN NODULE_1_X"].findings) == ("11.8 mm", (1,))
    assert draft["WHOLE OVERALL"].code == "PD"
    assert scorecard.beside(result, "PREVIOUS").keys() == {"BRAIN NODULE_1_X", "BRAIN NODULE_1_Y"}
    assert scorecard.beside({"scorecard": None}, "BASELINE") == {}


def test_what_differs_is_told_of_the_reads_and_not_of_what_stands_beside() -> None:
    labels = {
        "BRAIN NODULES": "Nodules",
        "BRAIN LINEAR": "Linear",
        "BRAIN NODULE_1_X": "Nodule 1",
        "SPINE LINEAR": "Spine",
    }
    first = {"BRAIN NODULES": "WORSE", "BRAIN LINEAR": "NO CHANGE", "BRAIN NODULE_1_X": "12"}
    second = {"BRAIN NODULES": "NO CHANGE", "BRAIN LINEAR": "NO CHANGE"}
    rows = scorecard.comparison([first, second, {"BRAIN LINEAR": "WORSE"}], labels, among=2)
    assert [(row.label, row.cells, row.differs) for row in rows] == [
        ("Nodules", ("Worse", "No change", "–"), True),
        ("Linear", ("No change", "No change", "Worse"), False),
        ("Nodule 1", ("12 mm", "–", "–"), True),
    ]


def test_a_problem_leads_to_the_element_to_mend() -> None:
    asked = form.fields(scan(is_baseline=True), [])
    answers = [
        form.answer("BRAIN", "NODULES", "NE"),
        form.answer("BRAIN", "LINEAR", "NE", "OTHER"),
        form.answer("BRAIN", "HYDROCEPHALUS", "PRESENT", "", "x" * 400),
    ]
    problems = form.problems(answers, asked, comparator="")
    found = {one.text.split(":")[0]: one.target for one in scorecard.faults(problems, asked, answers)}
    assert found["Nodules of the brain"] == "f-BRAIN.NODULES.ne"
    assert found["Linear enhancement of the brain"] == "f-BRAIN.LINEAR.comment"
    assert found["Hydrocephalus"] == "f-BRAIN.HYDROCEPHALUS.comment"
    assert found["Enhancement of cranial nerves"] == "f-BRAIN.CRANIAL_NERVE"
