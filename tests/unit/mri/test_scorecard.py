"""The scorecard: items to an overall value, reads before drafts."""

from __future__ import annotations

from typing import Any

import pandas as pd
import pytest

from lmresp.criteria import load_charter
from lmresp.mri.scorecard import COLUMNS, grade_mri, overall_from_items
from tests.charters import charter_with

DAYS = ["2024-01-01", "2024-02-12", "2024-03-25"]
SUBJECTS = pd.DataFrame([{"subject_id": "S1", "ref_start_dtc": "2024-01-01"}])
VISITS = pd.DataFrame(
    [
        {"subject_id": "S1", "visit_num": str(n), "visit": f"V{n}", "start_dtc": day, "status": "DONE"}
        for n, day in enumerate(DAYS)
    ]
)


def item(name: str, presence: str, change: str | None, compartment: str = "BRAIN", reason: str = "") -> dict[str, Any]:
    return {"item": name, "compartment": compartment, "presence": presence, "change": change, "reason": reason}


def draft(visit: int, *items: dict[str, Any], status: str = "measured", reason: str = "") -> dict[str, Any]:
    return {
        "scan": f"sub-S1_ses-v{visit}",
        "subject_id": "S1",
        "visit_num": str(visit),
        "scan_date": DAYS[visit],
        "status": status,
        "reason": reason,
        "scorecard": {"items": list(items)},
    }


def read(read_id: str, visit: int, name: str, value: str, **more: str) -> dict[str, str]:
    return {
        "read_id": read_id,
        "subject_id": "S1",
        "visit_num": str(visit),
        "scan_dtc": DAYS[visit],
        "reader_id": "RADIOLOGIST 1",
        "role": "INDEPENDENT ASSESSOR",
        "read_dtc": "2024-06-01T10:00Z",
        "locked_dtc": "2024-06-02T10:00Z",
        "item": name,
        "value": value,
        "row_id": f"mri_reads:{read_id}",
        "compartment": "WHOLE" if name == "OVERALL" else "BRAIN",
        **more,
    }


def grade(reads: list[dict[str, str]], *drafts: dict[str, Any], **settings: Any) -> tuple[pd.DataFrame, list[str]]:
    charter = charter_with(**settings)
    frame, problems = grade_mri(pd.DataFrame(reads), list(drafts), SUBJECTS, VISITS, charter)
    # The forms here hold the rows under test and no more; IN012 has tests of its own.
    return frame.set_index("visit"), [problem.code for problem in problems if problem.code != "IN012"]


@pytest.mark.parametrize(
    ("items", "expected"),
    [
        ([item("NODULES", "ABSENT", "IMPROVED"), item("LINEAR", "ABSENT", "NO CHANGE")], "CR"),
        ([item("NODULES", "PRESENT", "IMPROVED"), item("LINEAR", "ABSENT", "NO CHANGE")], "PR"),
        ([item("NODULES", "PRESENT", "NO CHANGE")], "SD"),
        ([item("NODULES", "PRESENT", "WORSE"), item("LINEAR", "ABSENT", "IMPROVED")], "PD"),
        ([item("NODULES", "PRESENT", "IMPROVED"), item("LINEAR", "NE", "NE")], "NE"),
        ([item("NODULES", "PRESENT", "WORSE"), item("LINEAR", "NE", "NE")], "PD"),
        ([item("HYDROCEPHALUS", "PRESENT", "WORSE")], "PD"),
        ([item("NODULES", "PRESENT", "NO CHANGE"), item("PARENCHYMAL", "PRESENT", "WORSE")], "SD"),  # kept apart
    ],
)
def test_overall_from_items(items: list[dict[str, Any]], expected: str) -> None:
    rule = overall_from_items(items)
    assert rule is not None
    assert rule.output == expected


def test_the_reference_scan_has_no_overall() -> None:
    assert overall_from_items([item("NODULES", "PRESENT", None)]) is None
    assert overall_from_items([]) is None


@pytest.mark.parametrize(
    ("overall", "status"),
    [("CR", "improved"), ("PR", "improved"), ("SD", "stable"), ("PD", "progressive"), ("NE", "not_evaluable")],
)
def test_overall_to_grade(overall: str, status: str) -> None:
    frame, _ = grade([read("1", 1, "OVERALL", overall)])
    assert frame.loc["V1", "status"] == status


def test_a_locked_read_stands_before_the_draft_and_both_are_reported() -> None:
    frame, _ = grade([read("1", 1, "OVERALL", "SD")], draft(1, item("NODULES", "PRESENT", "WORSE")))
    assert frame.loc["V1", ["source", "overall", "status"]].tolist() == ["read", "SD", "stable"]
    assert frame.loc["V1", ["draft_status", "draft_overall"]].tolist() == ["progressive", "PD"]
    assert "read_differs_from_draft" in frame.loc["V1", "flags"]


def test_a_draft_or_read_that_is_no_answer_does_not_differ() -> None:
    frame, _ = grade([read("1", 1, "OVERALL", "SD")], draft(1, item("NODULES", "NE", "NE")))
    assert frame.loc["V1", ["overall", "draft_overall"]].tolist() == ["SD", "NE"]
    assert "read_differs_from_draft" not in frame.loc["V1", "flags"]
    frame, _ = grade([read("1", 1, "OVERALL", "NE")], draft(1, item("NODULES", "PRESENT", "WORSE")))
    assert "read_differs_from_draft" not in frame.loc["V1", "flags"]


def test_a_draft_that_is_not_evaluable_says_which_items_and_why() -> None:
    items = [item("NODULES", "ABSENT", "NO CHANGE"), item("LINEAR", "NE", "NE", reason="too noisy")]
    spine = item("NODULES", "NE", "NE", "SPINE", "needs a reader")
    frame, _ = grade([], draft(1, *items, spine))
    assert frame.loc["V1", "reason"] == "draft: NE (LINEAR BRAIN: too noisy; NODULES SPINE: needs a reader)"


def test_a_read_that_is_not_evaluable_says_why() -> None:
    frame, _ = grade([read("1", 1, "OVERALL", "NE", reason_ne="motion")])
    assert frame.loc["V1", "reason"] == "read: NE (OVERALL WHOLE: motion)"


def test_an_unlocked_read_is_not_analysed_and_is_asked_for() -> None:
    frame, codes = grade([read("1", 1, "OVERALL", "SD", locked_dtc="")], draft(1, item("NODULES", "PRESENT", "WORSE")))
    assert frame.loc["V1", ["source", "overall"]].tolist() == ["draft", "PD"]
    assert "draft" in frame.loc["V1", "flags"].split(";")
    assert codes == ["IN011"]


def test_a_draft_stands_only_if_the_charter_lets_it() -> None:
    frame, _ = grade([], draft(1, item("NODULES", "PRESENT", "WORSE")), draft_may_stand=False)
    assert frame.loc["V1", ["source", "status", "draft_overall"]].tolist() == ["", "not_evaluable", "PD"]


def test_a_superseded_row_is_replaced() -> None:
    frame, _ = grade([read("1", 1, "OVERALL", "SD"), read("2", 1, "OVERALL", "PD", supersedes="1")])
    assert frame.loc["V1", ["overall", "read_id"]].tolist() == ["PD", "2"]


def test_an_unlocked_replacement_leaves_the_locked_row() -> None:
    frame, _ = grade([read("1", 1, "OVERALL", "SD"), read("2", 1, "OVERALL", "PD", supersedes="1", locked_dtc="")])
    assert frame.loc["V1", "overall"] == "SD"


def test_adjudicated_before_independent_before_investigator() -> None:
    site = read("1", 1, "OVERALL", "PD", reader_id="INVESTIGATOR", role="INVESTIGATOR")
    independent = read("2", 1, "OVERALL", "SD")
    adjudicated = read("3", 1, "OVERALL", "PR", reader_id="ADJUDICATOR", role="ADJUDICATION COMMITTEE")
    assert grade([site])[0].loc["V1", "overall"] == "PD"
    assert grade([site, independent])[0].loc["V1", "overall"] == "SD"
    assert grade([site, independent, adjudicated])[0].loc["V1", "overall"] == "PR"


def test_readers_who_disagree_without_adjudication_are_no_answer() -> None:
    frame, codes = grade([read("1", 1, "OVERALL", "SD"), read("2", 1, "OVERALL", "PD", reader_id="RADIOLOGIST 2")])
    assert frame.loc["V1", "status"] == "not_evaluable"
    assert codes == ["DV009"]


def test_overall_that_does_not_follow_from_the_items_is_asked() -> None:
    frame, codes = grade([read("1", 1, "OVERALL", "SD"), read("2", 1, "LINEAR", "WORSE")])
    assert frame.loc["V1", "overall"] == "SD"
    assert codes == ["IN013"]


def test_items_without_an_overall_are_combined() -> None:
    frame, _ = grade([read("1", 1, "LINEAR", "WORSE")])
    assert frame.loc["V1", ["source", "overall"]].tolist() == ["read", "PD"]


def test_hydrocephalus_of_a_read() -> None:
    frame, _ = grade(
        [
            *(read("1", 0, "HYDROCEPHALUS", "ABSENT"), read("2", 1, "HYDROCEPHALUS", "NO CHANGE")),
            read("3", 2, "HYDROCEPHALUS", "WORSE"),
        ]
    )
    assert frame["hydrocephalus"].tolist() == ["ABSENT", "ABSENT", "PRESENT"]


def test_a_compartment_seen_at_baseline_and_missing_now_is_not_evaluable() -> None:
    frame, _ = grade(
        [],
        draft(0, item("LINEAR", "ABSENT", None), item("LINEAR", "PRESENT", None, "SPINE")),
        draft(1, item("LINEAR", "ABSENT", "NO CHANGE")),
    )
    assert frame.loc["V1", "overall"] == "NE"
    assert "compartment_missing" in frame.loc["V1", "flags"]


def test_drafts_of_the_brain_only_are_evaluable_and_say_so() -> None:
    frame, _ = grade([], draft(0, item("LINEAR", "ABSENT", None)), draft(1, item("LINEAR", "ABSENT", "NO CHANGE")))
    assert frame.loc["V1", ["overall", "status", "reason"]].tolist() == ["SD", "stable", "draft: SD"]
    assert frame.loc["V1", "flags"].split(";") == ["draft", "spine_not_assessed"]


def test_a_spine_series_that_no_one_read_is_not_assessed() -> None:
    frame, _ = grade([], draft(1, item("LINEAR", "PRESENT", "WORSE"), item("LINEAR", "NE", "NE", "SPINE")))
    assert "spine_not_assessed" in frame.loc["V1", "flags"].split(";")


@pytest.mark.parametrize("compartment", ["SPINE", "WHOLE"])
def test_a_spine_read_at_baseline_is_expected_of_later_drafts(compartment: str) -> None:
    frame, _ = grade(
        [read("1", 0, "LINEAR", "PRESENT", compartment=compartment)],
        draft(0, item("LINEAR", "ABSENT", None)),
        draft(1, item("LINEAR", "ABSENT", "NO CHANGE")),
    )
    assert frame.loc["V1", ["overall", "status"]].tolist() == ["NE", "not_evaluable"]
    assert frame.loc["V1", "reason"] == "draft: NE (LINEAR SPINE: seen at baseline, not part of this draft)"


def test_a_spine_that_the_baseline_read_could_not_judge_is_not_expected() -> None:
    frame, _ = grade(
        [read("1", 0, "LINEAR", "NE", compartment="SPINE")], draft(1, item("LINEAR", "ABSENT", "NO CHANGE"))
    )
    assert frame.loc["V1", "overall"] == "SD"


def test_a_scan_that_could_not_be_measured_says_why() -> None:
    frame, _ = grade([], draft(1, status="not_measured", reason="no contrast"))
    assert frame.loc["V1", ["status", "reason"]].tolist() == [
        "not_evaluable",
        "scan could not be measured: no contrast",
    ]


def test_empty_input_gives_empty_frames() -> None:
    frame, problems = grade_mri(pd.DataFrame(), [], SUBJECTS.head(0), VISITS.head(0), load_charter())
    assert (len(frame), list(frame.columns), problems) == (0, list(COLUMNS), [])


def test_the_pattern_of_a_draft_stands_in_at_baseline_where_nobody_read() -> None:
    drafted = draft(
        0,
        *(item("LINEAR", "PRESENT", None), item("NODULES", "ABSENT", None), item("HYDROCEPHALUS", "ABSENT", None)),
    )
    assert grade([], drafted)[0].loc["V0", "mri_pattern"] == "A"
    assert grade([], drafted, draft_may_stand=False)[0].loc["V0", "mri_pattern"] == ""
    reads = [read("1", 0, "LINEAR", "ABSENT"), read("2", 0, "NODULES", "PRESENT")]
    assert grade(reads, drafted)[0].loc["V0", "mri_pattern"] == "B"


def test_a_draft_compares_with_the_baseline_whatever_the_charter_asks() -> None:
    worse = draft(1, item("NODULES", "PRESENT", "WORSE"))
    frame, _ = grade([], worse)
    assert frame.loc["V1", "comparator"] == "BASELINE"
    assert "comparator_differs" not in frame.loc["V1", "flags"]
    frame, _ = grade([], worse, reference_imaging="nadir")
    assert "comparator_differs" in frame.loc["V1", "flags"].split(";")
