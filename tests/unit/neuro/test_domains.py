"""NANO beside the strand: references, deficits at the top at baseline, other causes, several examiners, NANO-LM."""

from __future__ import annotations

import itertools

import pandas as pd
import pytest

from lmresp.criteria import Charter, charter_from_record, charter_record, load_charter, load_scheme
from lmresp.errors import CriteriaError
from lmresp.neuro.examination import grade_neuro
from lmresp.neuro.instruments import items_of

DAYS = ["2023-12-20", "2024-01-01", "2024-02-12", "2024-03-25", "2024-05-06"]
SUBJECTS = pd.DataFrame([{"subject_id": "S1", "ref_start_dtc": "2024-01-01"}])
VISITS = pd.DataFrame(
    [
        {"subject_id": "S1", "visit_num": str(n), "visit": name, "start_dtc": day, "status": "DONE"}
        for n, (name, day) in enumerate(zip(("SCR", "BL", "V1", "V2", "V3"), DAYS, strict=True))
    ]
)
SCR, BL, V1, V2, V3 = range(5)


def changed(**settings: object) -> Charter:
    record = charter_record(load_charter())
    for name, value in settings.items():
        record["settings"][name]["value"] = value
    return charter_from_record(record)


def row(visit: int, item: str, score: str = "", instrument: str = "NANO", **more: str) -> dict[str, str]:
    given = {"subject_id": "S1", "visit_num": str(visit), "exam_dtc": DAYS[visit], "instrument": instrument}
    return {**given, "item": item, "score": score, "row_id": f"neuro.csv:{visit}:{item}", **more}


def course(*visits: dict[str, str], first: int = BL, instrument: str = "NANO") -> list[dict[str, str]]:
    return [row(n, item, score, instrument) for n, at in enumerate(visits, first) for item, score in at.items()]


def grade(rows: list[dict[str, str]], charter: Charter | None = None) -> tuple[pd.DataFrame, list[str]]:
    frame, problems = grade_neuro(pd.DataFrame(rows), SUBJECTS, VISITS, charter or load_charter())
    return frame.set_index("visit"), [problem.code for problem in problems]


def test_nano_is_reported_with_its_rule_beside_the_strand() -> None:
    frame, _ = grade(course({"gait": "0"}, {"gait": "2"}, {"gait": "98"}, {"gait": "99"}))
    answers = ["", "", "NEUROLOGIC_PROGRESSION", "NOT_ASSESSED", "NON_EVALUABLE"]
    assert frame["nano"].tolist() == answers
    assert frame["nano_rule_id"].tolist() == ["", "", "NA03", "NA01", "NA02"]
    assert frame["nano_certainty"].tolist()[2:] == ["seen_secondary"] * 3
    assert frame["certainty"].tolist()[2] == "convention"  # NANO's word used as that of RANO-LM


def test_the_examination_of_rano_lm_is_not_reported_as_nano() -> None:
    frame, _ = grade(course({"vision": "0"}, {"vision": "3"}, instrument="LM_NEURO_EXAM"))
    assert frame.loc["V1", ["status", "nano", "instrument"]].tolist() == ["worse", "", "LM_NEURO_EXAM"]


def test_nano_is_answered_where_another_instrument_counts() -> None:
    rows = course({"gait": "0"}, {"gait": "0"}, instrument="LM_NEURO_EXAM") + course({"gait": "0"}, {"gait": "3"})
    frame, _ = grade(rows)
    assert frame.loc["V1", ["status", "nano"]].tolist() == ["stable", "NEUROLOGIC_PROGRESSION"]


@pytest.mark.parametrize(("gain", "lesser", "loss"), list(itertools.product((False, True), repeat=3)))
def test_every_done_cell_of_appendix_e_from_scores(gain: bool, lesser: bool, loss: bool) -> None:
    """Gait 3 to 1 is a response, language 0 to 1 a lesser worsening, behavior 0 to 2 progression."""
    before = {"gait": "3", "language": "0", "behavior": "0"}
    after = {"gait": "1" if gain else "3", "language": "1" if lesser else "0", "behavior": "2" if loss else "0"}
    frame, _ = grade(course(before, after))
    cell = {"exam": "done", "explained_otherwise": "false", "any_progression": str(loss).lower()}
    cell |= {"any_response": str(gain).lower(), "any_lesser_worsening": str(lesser).lower()}
    expected = load_scheme("nano_2017_overall").decide_one(cell)
    assert (frame.loc["V1", "nano"], frame.loc["V1", "nano_rule_id"]) == (expected.output, expected.rule_id)


def test_a_domain_that_responds_does_not_stand_in_its_own_way() -> None:
    """No *other* domain worse: gait 3, 0, then 1 is two better than baseline and one worse than its best."""
    frame, _ = grade(course({"gait": "3"}, {"gait": "0"}, {"gait": "1"}))
    assert frame.loc["V2", "nano"] == "NEUROLOGIC_RESPONSE"
    both = {"gait": "3", "language": "3"}
    frame, _ = grade(course(both, {"gait": "0", "language": "0"}, {"gait": "1", "language": "1"}))
    assert frame.loc["V2", "nano"] == "NEUROLOGIC_STABILITY"  # each is worse than its best beside the other


def test_the_reference_of_a_worsening_is_a_setting() -> None:
    rows = course({"gait": "2"}, {"gait": "0"}, {"gait": "2"})
    assert grade(rows)[0].loc["V2", "status"] == "worse"
    assert grade(rows, changed(reference_neuro="baseline"))[0].loc["V2", "status"] == "stable"


def test_a_better_level_before_baseline_is_no_reference() -> None:
    frame, _ = grade(course({"gait": "0"}, {"gait": "2"}, {"gait": "2"}, first=SCR))
    assert frame["status"].tolist()[:3] == ["stable", "stable", "stable"]
    assert frame.loc["V1", "nano"] == "NEUROLOGIC_STABILITY"


def test_worse_than_the_best_level_counts_without_a_baseline() -> None:
    frame, _ = grade(course({"gait": "0"}, {"gait": "0"}, {"gait": "3"}, first=V1))
    assert frame["status"].tolist()[2:] == ["not_evaluable", "not_evaluable", "worse"]


def test_deficits_at_the_top_at_baseline() -> None:
    before = {"strength": "3", "sensation": "2", "gait": "3", "language": "0"}
    frame, _ = grade(course(before, {"strength": "0", "sensation": "0", "gait": "3", "language": "0"}))
    assert frame["fixed"].tolist() == ["", *["gait;sensation;strength"] * 4]
    # Strength and sensation are set aside: one score a domain does not say which limb it comes from.
    assert frame.loc["V1", "nano"] == "NEUROLOGIC_STABILITY"
    assert "domains_set_aside" in frame.loc["V1", "flags"]
    alone, _ = grade(course({"strength": "3"}, {"strength": "1"}))
    assert alone.loc["V1", ["nano", "status"]].tolist() == ["NOT_ASSESSED", "not_evaluable"]
    gait, _ = grade(course({"gait": "3"}, {"gait": "1"}))
    assert gait.loc["V1", "nano"] == "NEUROLOGIC_RESPONSE"  # gait is not a domain that is set aside


def test_a_domain_without_a_row_is_not_assessed() -> None:
    frame, _ = grade(course({"gait": "0", "language": "0"}, {"gait": "0"}, {"gait": "0", "language": "0"}))
    assert ["domains_not_assessed" in flags for flags in frame["flags"]] == [False, False, True, False, False]


def test_not_assessed_and_non_evaluable_are_never_scores() -> None:
    """98 and 99 are openEHR's codes; as levels they would be the worst progression ever seen."""
    frame, problems = grade(course({"gait": "98", "language": "0"}, {"gait": "99", "language": "0"}))
    assert frame.loc["V1", ["nano", "symptomatic"]].tolist() == ["NEUROLOGIC_STABILITY", "N"]
    flags = frame.loc["V1", "flags"].split(";")
    assert ("domains_explained_otherwise" in flags, "domains_not_assessed" in flags) == (True, False)
    assert problems == []


@pytest.mark.parametrize("score", ["4", "-1", "1.5", "inf", "nan", "0x1", "2,0"])
def test_a_score_that_is_no_level_is_asked_for_and_not_used(score: str) -> None:
    for instrument, item in (("NANO", "gait"), ("LM_NEURO_EXAM", "gait")):
        frame, problems = grade(course({item: "0"}, {item: score}, instrument=instrument))
        assert (frame.loc["V1", "status"], problems) == ("not_evaluable", ["DV022"])


def test_a_change_explained_for_the_whole_visit_explains_nano_too() -> None:
    rows = course({"gait": "0"}, {"gait": "3"})
    rows.append(row(V1, "overall", status="WORSENED", alternative_cause="sepsis"))
    frame, problems = grade(rows)
    assert frame.loc["V1", ["status", "nano", "nano_rule_id"]].tolist() == ["not_evaluable", "NON_EVALUABLE", "NA02"]
    assert problems == []


def test_what_the_scores_say_against_the_examiner_is_disputed() -> None:
    rows = [*course({"gait": "0"}, {"gait": "0"}), row(V1, "overall", status="WORSENED")]
    frame, problems = grade(rows)
    assert frame.loc["V1", ["status", "disputed"]].tolist() == ["worse", "stable"]
    assert problems == ["DV021"]


def test_what_another_examiner_says_is_disputed() -> None:
    rows = [row(BL, "overall", status="STABLE")]
    rows += [row(V1, "overall", status=word, examiner=word) for word in ("STABLE", "WORSENED", "NE")]
    rows += [row(V2, "overall", status="STABLE", examiner=word) for word in ("A", "B")]
    frame, _ = grade(rows)
    assert frame.loc["V1", ["status", "disputed"]].tolist() == ["worse", "not_evaluable;stable"]
    assert frame.loc["V2", ["status", "disputed"]].tolist() == ["stable", ""]


def test_an_item_that_the_scale_does_not_name_is_asked_for() -> None:
    rows = [*course({"gaits": "0"}), row(BL, "total", "23"), row(BL, "overall", status="STABLE")]
    frame, problems = grade(rows)
    assert problems == ["DV030", "DV030"]
    assert frame.loc["BL", "symptomatic"] == ""


def test_items_of_nano_lm_are_listed_and_never_called() -> None:
    assert len(items_of("NANO_LM")) == 13  # thirteen are named, fourteen stated
    rows = [row(V1, item, "2", "NANO_LM") for item in items_of("NANO_LM")]
    rows[0]["alternative_cause"] = "ototoxicity"
    frame, problems = grade(rows)
    text = frame.loc["V1", "nano_lm"]
    assert text.startswith("13 items scored, none not assessed, 1 explained otherwise: bladder and bowel 2 (explained")
    assert "26" not in text  # no sum
    assert (frame.loc["V1", "status"], frame.loc["V1", "nano"], problems) == ("not_evaluable", "", [])
    assert frame.loc["V2", "nano_lm"] == ""


def test_items_of_nano_lm_that_cannot_be_used() -> None:
    rows = [row(V1, "hearing", "", "NANO_LM", not_assessed_reason="refused"), row(V1, "limb strength", "3", "NANO_LM")]
    rows += [row(V1, "walking", "1", "NANO_LM"), row(V1, "bladder", "1", "NANO_LM")]
    frame, problems = grade(rows)
    assert frame.loc["V1", "nano_lm"] == (
        "1 item scored, 1 not assessed, none explained otherwise: "
        "hearing not assessed, limb strength not usable, walking 1"
    )
    assert sorted(problems) == ["DV022", "DV030"]


def test_an_instrument_without_a_change_rule_cannot_be_judged() -> None:
    with pytest.raises(CriteriaError, match="NANO_LM"):
        grade(course({"gait": "0"}), changed(neuro_instruments=["NANO_LM"]))


def test_row_order_and_later_visits_change_nothing() -> None:
    rows = course(
        {"gait": "3", "language": "0"}, {"gait": "1", "language": "1"}, {"gait": "0"}, {"gait": "2"}, first=BL
    )
    whole, _ = grade(rows)
    pd.testing.assert_frame_equal(whole, grade(rows[::-1])[0])
    part, _ = grade(rows[:4])
    pd.testing.assert_frame_equal(part.loc[:"V1"], whole.loc[:"V1"])


def test_examiners_who_differ_are_asked_and_the_worst_counts() -> None:
    at_v1 = [row(V1, "gait", "0", examiner="A"), row(V1, "gait", "3", examiner="B")]
    frame, asked = grade([row(BL, "gait", "1", examiner=who) for who in "AB"] + at_v1)
    assert asked == ["DV036"]
    assert frame.loc["V1", "status"] == "worse"


@pytest.mark.parametrize("cause", ["None", "nein", "Keine", "-"])
def test_a_word_for_no_cause_hides_no_progression(cause: str) -> None:
    frame, _ = grade([row(BL, "gait", "0"), row(V1, "gait", "2", alternative_cause=cause)])
    assert frame.loc["V1", "status"] == "worse"
