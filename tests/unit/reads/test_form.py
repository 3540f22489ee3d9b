"""What the form asks, and every rule that blocks a save."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest

from lmresp.reads import form, state
from lmresp.reads.form import answer
from lmresp.reads.scans import EXPECTED, NONE
from tests.charters import charter_with
from tests.unit.reads.helpers import BASELINE, BRAIN_ONLY, CHARTER, WEEK6, Study, complete

MISSING_SPINE = dataclasses.replace(WEEK6, spine=EXPECTED)
LM = {"BRAIN NODULES", "BRAIN LINEAR", "BRAIN HYDROCEPHALUS", "SPINE NODULES", "SPINE LINEAR"}
APART = {"BRAIN CRANIAL_NERVE", "BRAIN PARENCHYMAL", "SPINE PARENCHYMAL"}


def required(scan: Any) -> set[str]:
    return {field.key for field in form.fields(scan, []) if field.required}


def why(answers: list[dict[str, str]], scan: Any = WEEK6, **more: Any) -> list[str]:
    fields = form.fields(scan, [])
    usual = {"comparator": "" if scan.is_baseline else "BASELINE"}
    return [f"{p.field}: {p.message}" for p in form.problems(answers, fields, **{**usual, **more})]


def reason(about: str, code: str = "READER_DISAGREES", text: str = "") -> list[dict[str, str]]:
    return [{"about": about, "code": code, "text": text}]


# --- what is asked ---
def test_the_items_of_the_card_must_be_answered() -> None:
    # 2019 card (Neuro-Oncology 2019;21:648, Table 5) and the two that are recorded apart; overall after baseline.
    assert required(WEEK6) == LM | APART | {"WHOLE OVERALL"}
    assert required(BASELINE) == LM | APART
    brain = {key for key in LM | APART if key.startswith("BRAIN")}
    assert required(BRAIN_ONLY) == brain


def test_presence_is_asked_at_baseline_and_change_later() -> None:
    early = {field.key: field.allowed for field in form.fields(BASELINE, [])}
    late = {field.key: field.allowed for field in form.fields(WEEK6, [])}
    assert all(early[key] == ("PRESENT", "ABSENT", "NE") for key in LM | APART)
    assert all(late[key] == ("IMPROVED", "NO CHANGE", "WORSE", "NE") for key in LM | APART)
    assert late["WHOLE OVERALL"] == ("CR", "PR", "SD", "PD", "NE")


def test_three_nodules_of_each_region_have_two_diameters() -> None:
    names = {f"{part} NODULE_{n}_{axis}" for part in ("BRAIN", "SPINE") for n in (1, 2, 3) for axis in "XY"}
    found = {field.key: field for field in form.fields(WEEK6, []) if field.kind == form.MM}
    assert set(found) == names
    assert {field.limits for field in found.values()} == {(0.0, 300.0)}


def test_a_spine_that_is_missing_now_is_answered_by_the_reader() -> None:
    spine = [field for field in form.fields(MISSING_SPINE, []) if field.compartment == "SPINE"]
    assert {field.item for field in spine} == {"NODULES", "LINEAR", "PARENCHYMAL"}
    assert {(field.allowed, field.reasons_ne, field.required) for field in spine} == {
        (("NE",), ("PARTIAL COVERAGE",), True)
    }


def test_earlier_answers_stand_beside_the_field_and_a_judged_spine_is_expected(tmp_path: Path) -> None:
    study = Study(tmp_path)
    study.read(BASELINE, answers=complete(BASELINE, BRAIN_LINEAR="PRESENT"))
    reads = state.current(study.record.entries())
    fields = {f.key: f for f in form.fields(dataclasses.replace(WEEK6, spine=NONE), reads)}
    assert fields["BRAIN LINEAR"].before == (("BL", "PRESENT"),)
    assert fields["SPINE LINEAR"].allowed == ("NE",)


def test_every_field_and_code_has_words() -> None:
    words = form.form_words()["words"]
    for scan in (BASELINE, WEEK6, MISSING_SPINE):
        for field in form.fields(scan, []):
            assert field.label
            assert field.group in form.form_words()["groups"]
            assert [code for code in (*field.allowed, *field.reasons_ne) if code not in words] == []
    assert [code for code in (*form.comparators(), *form.form_words()["reason_codes"]) if code not in words] == []


# --- what blocks ---
def test_a_complete_form_is_taken() -> None:
    assert why(complete(WEEK6)) == []
    assert why(complete(BASELINE), BASELINE) == []
    nodule = complete(WEEK6, BRAIN_NODULE_1_X="13.5", BRAIN_NODULE_1_Y="11")
    assert why(nodule) == []


@pytest.mark.parametrize("key", sorted(LM | APART | {"WHOLE OVERALL"}))
def test_an_empty_item_blocks(key: str) -> None:
    answers = [row for row in complete(WEEK6) if f"{row['compartment']} {row['item']}" != key]
    [problem] = why(answers)
    assert problem.startswith(f"{key}: ")
    assert problem.endswith("not answered.")


def changed(key: str, **cells: str) -> list[dict[str, str]]:
    return [row | (cells if f"{row['compartment']} {row['item']}" == key else {}) for row in complete(WEEK6)]


@pytest.mark.parametrize(
    ("answers", "part"),
    [
        (changed("BRAIN LINEAR", value="PRESENT"), "IMPROVED, NO CHANGE, WORSE, NE"),
        (changed("BRAIN LINEAR", value="worse"), "cannot be chosen"),
        (changed("WHOLE OVERALL", value="iCR"), "CR, PR, SD, PD, NE"),
        (changed("BRAIN CRANIAL_NERVE", value="NE"), "NE needs a reason"),
        (changed("BRAIN CRANIAL_NERVE", value="NE", reason_ne="BORED"), "MOTION, NO CONTRAST"),
        (changed("BRAIN CRANIAL_NERVE", reason_ne="MOTION"), "beside another value"),
        (changed("BRAIN CRANIAL_NERVE", value="NE", reason_ne="OTHER"), "OTHER needs a comment"),
        (changed("BRAIN CRANIAL_NERVE", comment="x" * 301), "at most 300"),
        (changed("BRAIN CRANIAL_NERVE", comment="a\nb"), "one line"),
        (changed("BRAIN CRANIAL_NERVE", comment="Mrs Smith, MRN 1234567"), "looks like"),
        ([*complete(WEEK6), answer("BRAIN", "LINEAR", "WORSE")], "answered twice"),
        ([*complete(WEEK6), answer("WHOLE", "LINEAR", "NO CHANGE")], "is not asked here"),
        ([*complete(WEEK6), answer("BRAIN", "<script>", "x")], "is not asked here"),
        (complete(WEEK6, BRAIN_NODULE_2_X="8"), "the other diameter"),
        (complete(WEEK6, BRAIN_NODULE_2_X="8", BRAIN_NODULE_2_Y="1e9"), "a number from 0 to 300"),
        (complete(WEEK6, BRAIN_NODULE_2_X="8", BRAIN_NODULE_2_Y="nan"), "a number from 0 to 300"),
        (complete(WEEK6, BRAIN_NODULE_2_X="301", BRAIN_NODULE_2_Y="5"), "a number from 0 to 300"),
    ],
)
def test_what_cannot_be_is_named_with_what_is_allowed(answers: list[dict[str, str]], part: str) -> None:
    [problem] = why(answers)
    assert part in problem


def test_diameters_of_absent_nodules_block() -> None:
    answers = complete(BASELINE, BRAIN_NODULE_1_X="8", BRAIN_NODULE_1_Y="8")
    assert len([problem for problem in why(answers, BASELINE) if "absent" in problem]) == 2


@pytest.mark.parametrize(("comparator", "scan"), [("", WEEK6), ("LAST", WEEK6), ("BASELINE", BASELINE)])
def test_a_follow_up_is_compared_with_something_and_a_baseline_with_nothing(comparator: str, scan: Any) -> None:
    [problem] = why(complete(scan), scan, comparator=comparator)
    assert problem.startswith("comparator: ")


@pytest.mark.parametrize(
    ("items", "overall", "contradiction"),
    [
        ({"BRAIN_LINEAR": "WORSE"}, "SD", True),  # a worse item is progression
        ({"BRAIN_LINEAR": "WORSE"}, "PD", False),
        ({"SPINE_NODULES": "IMPROVED"}, "PR", False),
        ({"SPINE_NODULES": "IMPROVED"}, "CR", False),  # changes alone do not tell CR from PR
        ({"SPINE_NODULES": "IMPROVED"}, "PD", True),
        ({"BRAIN_PARENCHYMAL": "WORSE"}, "SD", False),  # recorded apart
        ({"BRAIN_CRANIAL_NERVE": "WORSE"}, "SD", False),
        ({"BRAIN_LINEAR": "NE"}, "SD", True),
        ({"BRAIN_LINEAR": "NE"}, "NE", False),
    ],
)
def test_an_overall_value_that_does_not_follow_needs_a_reason(
    items: dict[str, str], overall: str, contradiction: bool
) -> None:
    answers = complete(WEEK6, **items, WHOLE_OVERALL=overall)
    answers = [row | ({"reason_ne": "MOTION"} if row["value"] == "NE" else {}) for row in answers]
    found = why(answers)
    assert [problem.split(":")[0] for problem in found] == ["reason contradiction"] * contradiction
    assert why(answers, reasons=reason("contradiction")) == []


def draft(**said: str) -> list[dict[str, str]]:
    return complete(WEEK6, **said)


def test_departing_from_the_draft_that_was_shown_needs_a_reason() -> None:
    answers = complete(WEEK6)
    shown = draft(BRAIN_LINEAR="WORSE", WHOLE_OVERALL="PD")
    [problem] = why(answers, draft=shown)
    assert problem.startswith("reason draft: ")
    assert "BRAIN LINEAR, WHOLE OVERALL" in problem
    assert why(answers, draft=shown, reasons=reason("draft")) == []
    assert why(answers, draft=None) == []  # what was hidden cannot be departed from
    assert form.departs(answers, shown) == ["BRAIN LINEAR", "WHOLE OVERALL"]


def test_what_the_draft_leaves_to_the_reader_is_no_departure() -> None:
    assert why(complete(WEEK6), draft=draft(BRAIN_CRANIAL_NERVE="NE")) == []
    sized = draft(BRAIN_NODULE_1_X="12.1", BRAIN_NODULE_1_Y="10.4")
    assert form.departs(complete(WEEK6), sized) == []


def test_changing_a_locked_read_and_adjudicating_need_reasons() -> None:
    assert why(complete(WEEK6), changes_locked=True)[0].startswith("reason change: ")
    assert why(complete(WEEK6), changes_locked=True, reasons=reason("change")) == []
    assert why(complete(WEEK6), adjudicates=True)[0].startswith("reason adjudication: ")


@pytest.mark.parametrize(
    ("reasons", "part"),
    [
        (reason("change", "BECAUSE"), "READER_DISAGREES"),
        (reason("change", "OTHER"), "needs a text"),
        (reason("change", "", "a vessel"), "a text alone is no reason. Allowed: READER_DISAGREES"),
        (reason("change", "OTHER", "a | b"), "sign |"),
        (reason("change", "OTHER", "born on 1.2.1950"), "looks like"),
        (reason("change") * 2, "given twice"),
        (reason("mood"), "draft, contradiction, change, adjudication"),
    ],
)
def test_a_reason_is_a_code_and_a_text(reasons: list[dict[str, str]], part: str) -> None:
    [problem] = why(complete(WEEK6), reasons=reasons)
    assert part in problem


# --- the draft as answers ---
ITEM = {"nadir_change": None, "reason": "why", "confidence": 0.8, "evidence": {}}
CARD = {
    "items": [
        {**ITEM, "item": "NODULES", "compartment": "BRAIN", "presence": "PRESENT", "change": "NO CHANGE"},
        {**ITEM, "item": "LINEAR", "compartment": "BRAIN", "presence": "NE", "change": "NE", "nadir_change": "WORSE"},
    ],
    "nodules": [{"long_mm": 12.1, "perp_mm": 10.4}] * 4,
    "overall": "NE",
}


def test_the_draft_gives_presence_at_baseline_and_change_later() -> None:
    early = {**CARD, "items": [{**row, "change": None} for row in CARD["items"]], "overall": None}
    assert [row["value"] for row in form.draft_answers(early)[:2]] == ["PRESENT", "NE"]
    late = {f"{row['compartment']} {row['item']}": row["value"] for row in form.draft_answers(CARD)}
    assert (late["BRAIN NODULES"], late["BRAIN LINEAR"], late["WHOLE OVERALL"]) == ("NO CHANGE", "NE", "NE")
    assert (late["BRAIN NODULE_3_X"], late["BRAIN NODULE_3_Y"], len(late)) == ("12.1", "10.4", 9)


def test_the_draft_answers_for_the_scan_compared_with_only() -> None:
    nadir = {row["item"]: row["value"] for row in form.draft_answers(CARD, "NADIR")}
    assert (nadir["NODULES"], nadir["LINEAR"]) == ("NO CHANGE", "WORSE")  # the nadir of the first is the reference scan
    assert "OVERALL" not in nadir
    assert {row["item"][:6] for row in form.draft_answers(CARD, "PREVIOUS")} == {"NODULE"}  # sizes only
    assert form.draft_answers(None) == []


# --- adjudication ---
@pytest.mark.parametrize(
    ("how", "chosen", "blocked"),
    [
        ("choose", "R000001", False),
        ("choose", "", True),
        ("own", "", False),
        ("own", "R000001", True),
        ("either", "", False),
        ("either", "R000001", False),
        ("either", "R000009", True),
    ],
)
def test_the_charter_says_what_an_adjudicator_may_do(tmp_path: Path, how: str, chosen: str, blocked: bool) -> None:
    study = Study(tmp_path)
    answers = study.read(BASELINE)["answers"]
    over = state.current(study.record.entries())
    found = form.adjudication_problems(
        chosen, answers, over, charter_with(adjudication=how), reason("adjudication") if chosen else []
    )
    assert bool(found) == blocked


def test_a_chosen_read_is_taken_as_a_whole_with_a_reason(tmp_path: Path) -> None:
    study = Study(tmp_path)
    answers = study.read(BASELINE)["answers"]
    over = state.current(study.record.entries())
    other = [answers[0] | {"value": "PRESENT"}, *answers[1:]]
    [problem] = form.adjudication_problems("R000001", other, over, CHARTER, reason("adjudication"))
    assert "as a whole" in problem.message
    [problem] = form.adjudication_problems("R000001", answers, over, CHARTER, [])
    assert problem.field == "reason adjudication"
