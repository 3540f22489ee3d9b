"""Neurological examination: NANO's rule of change, other causes, and what is not an examination."""

from __future__ import annotations

import pandas as pd
import pytest

from lmresp.criteria import charter_from_record, charter_record, load_charter
from lmresp.neuro.examination import COLUMNS, grade_neuro

DAYS = ["2024-01-01", "2024-02-12", "2024-03-25"]
SUBJECTS = pd.DataFrame([{"subject_id": "S1", "ref_start_dtc": "2024-01-01"}])
VISITS = pd.DataFrame(
    [
        {"subject_id": "S1", "visit_num": str(n), "visit": f"V{n}", "start_dtc": day, "status": "DONE"}
        for n, day in enumerate(DAYS)
    ]
)


def row(visit: int, item: str, score: str = "", instrument: str = "NANO", **more: str) -> dict[str, str]:
    return {
        "subject_id": "S1",
        "visit_num": str(visit),
        "exam_dtc": DAYS[visit],
        "instrument": instrument,
        "item": item,
        "score": score,
        "row_id": f"neuro:{visit}:{item}",
        **more,
    }


def grade(*rows: dict[str, str]) -> pd.DataFrame:
    return grade_neuro(pd.DataFrame(list(rows)), SUBJECTS, VISITS, load_charter())[0].set_index("visit")


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        ({"gait": "0"}, {"gait": "2"}, "worse"),  # two levels worse
        ({"gait": "2"}, {"gait": "3"}, "worse"),  # newly at the top score
        ({"sensation": "1"}, {"sensation": "2"}, "worse"),  # top of a domain of three levels
        ({"gait": "0"}, {"gait": "1"}, "stable"),
        ({"gait": "3"}, {"gait": "3"}, "stable"),  # at the top already, cannot progress
        ({"gait": "3"}, {"gait": "1"}, "improved"),
        ({"gait": "3"}, {"gait": "2"}, "stable"),
        (
            {"gait": "3", "language": "0"},
            {"gait": "1", "language": "1"},
            "stable",
        ),  # a gain with a lesser loss elsewhere
        ({"gait": "3", "language": "0"}, {"gait": "0", "language": "2"}, "worse"),  # a gain does not cancel progression
    ],
)
def test_nano_change_rule(before: dict[str, str], after: dict[str, str], expected: str) -> None:
    rows = [row(0, item, score) for item, score in before.items()] + [row(1, i, s) for i, s in after.items()]
    assert grade(*rows).loc["V1", "status"] == expected


def test_worsening_counts_from_the_best_level() -> None:
    frame = grade(row(0, "gait", "2"), row(1, "gait", "0"), row(2, "gait", "2"))
    assert frame["status"].tolist() == ["stable", "improved", "worse"]


def test_the_examiners_conclusion_stands_and_disagreement_is_asked() -> None:
    rows = [row(0, "gait", "0"), row(1, "gait", "0", status="WORSENED")]
    frame, problems = grade_neuro(pd.DataFrame(rows), SUBJECTS, VISITS, load_charter())
    assert frame["status"].tolist()[1] == "worse"
    assert [problem.code for problem in problems] == ["DV021"]


def test_a_worsening_with_another_cause_does_not_count() -> None:
    frame = grade(row(0, "overall", status="STABLE"), row(1, "overall", status="WORSENED", alternative_cause="sepsis"))
    assert frame.loc["V1", "status"] == "not_evaluable"
    assert frame.loc["V1", "alternative_cause"] == "sepsis"
    assert "sepsis" in frame.loc["V1", "reason"]


def test_other_causes_excluded_is_no_cause() -> None:
    frame = grade(
        row(0, "overall", status="STABLE"), row(1, "overall", status="WORSENED", alternative_cause="EXCLUDED")
    )
    assert frame.loc["V1", "status"] == "worse"


def test_the_charter_says_what_counts_as_no_cause() -> None:
    record = charter_record(load_charter())
    record["settings"]["no_other_cause"]["value"] = ["ruled out"]
    rows = [row(0, "overall", status="STABLE"), row(1, "overall", status="WORSENED", alternative_cause="Ruled out")]
    frame, _ = grade_neuro(pd.DataFrame(rows), SUBJECTS, VISITS, charter_from_record(record))
    assert frame["status"].tolist()[1] == "worse"


def test_an_explained_domain_is_dropped_and_the_rest_judged() -> None:
    frame = grade(
        *(row(0, "gait", "0"), row(0, "language", "0")),
        *(row(1, "gait", "3", alternative_cause="steroid myopathy"), row(1, "language", "0")),
    )
    assert frame.loc["V1", "status"] == "stable"
    assert "domains_explained_otherwise" in frame.loc["V1", "flags"]


@pytest.mark.parametrize("code", ["98", "99", "", "7", "abc"])
def test_codes_that_are_no_level_are_never_scores(code: str) -> None:
    frame = grade(row(0, "gait", "0"), row(1, "gait", code))
    assert frame.loc["V1", "status"] == "not_evaluable"


def test_not_assessed_and_explained_are_told_apart() -> None:
    frame = grade(row(0, "gait", "0"), row(0, "language", "0"), row(1, "gait", "98"), row(1, "language", "0"))
    assert "domains_not_assessed" in frame.loc["V1", "flags"]
    assert "explained" not in frame.loc["V1", "flags"]


def test_symptomatic_and_performance_status() -> None:
    frame = grade(
        *(row(0, "gait", "1"), row(0, "KPS", "70", "KPS"), row(0, "ECOG", "2", "ECOG")),
        *(row(1, "gait", "0"), row(1, "KPS", "50", "KPS")),
        row(2, "overall", status="STABLE"),
    )
    assert frame["symptomatic"].tolist() == ["Y", "N", ""]
    assert frame["kps"].tolist() == ["70", "50", ""]
    assert "ecog_2" in frame.loc["V0", "flags"]


def test_performance_status_alone_is_no_examination() -> None:
    frame = grade(row(1, "KPS", "70", "KPS"))
    assert frame.loc["V1", ["status", "reason"]].tolist() == ["not_evaluable", "no neurological examination"]


def test_no_call_is_derived_from_nano_lm() -> None:
    # NANO-LM 2024: level definitions and response rule were not seen; items are stored only.
    frame = grade(row(0, "walking", "0", "NANO_LM"), row(1, "walking", "2", "NANO_LM"))
    assert frame.loc["V1", "status"] == "not_evaluable"


def test_empty_tables_give_empty_frames() -> None:
    frame, problems = grade_neuro(pd.DataFrame(), SUBJECTS.head(0), VISITS.head(0), load_charter())
    assert (len(frame), list(frame.columns), problems) == (0, list(COLUMNS), [])
