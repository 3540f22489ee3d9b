"""Cytology: samples to a status per visit, in clinical situations."""

from __future__ import annotations

import pandas as pd
import pytest

from lmresp.criteria import Charter, charter_from_record, charter_record, load_charter
from lmresp.csf.cytology import COLUMNS, grade_csf

DAYS = ["2024-01-01", "2024-02-12", "2024-03-25", "2024-05-06"]  # every 42 days
SUBJECTS = pd.DataFrame([{"subject_id": "S1", "ref_start_dtc": "2024-01-01"}])
VISITS = pd.DataFrame(
    [
        {"subject_id": "S1", "visit_num": str(n), "visit": f"V{n}", "start_dtc": day, "status": "DONE"}
        for n, day in enumerate(DAYS)
    ]
)


def sample(visit: int | None, result: str, day: str | None = None, **more: str) -> dict[str, str]:
    number = "" if visit is None else str(visit)
    return {
        "subject_id": "S1",
        "visit_num": number,
        "collected_dtc": day or DAYS[visit or 0],
        "site": "LUMBAR",
        "method": "CYTOLOGY",
        "result": result,
        "row_id": f"csf:{number}{result}{day or ''}",
        **more,
    }


def changed(**settings: object) -> Charter:
    record = charter_record(load_charter())
    for name, value in settings.items():
        record["settings"][name]["value"] = value
    return charter_from_record(record)


def grade(*samples: dict[str, str], visits: pd.DataFrame = VISITS, charter: Charter | None = None) -> pd.DataFrame:
    frame, _ = grade_csf(pd.DataFrame(list(samples)), SUBJECTS, visits, charter or load_charter())
    return frame.set_index("visit")


@pytest.mark.parametrize(
    ("results", "expected"),
    [
        (["POSITIVE", "NEGATIVE", "NEGATIVE"], ["positive_persistent", "cleared", "cleared"]),
        (["NEGATIVE", "NEGATIVE", "POSITIVE"], ["negative", "negative", "positive_new"]),
        (["NEGATIVE", "POSITIVE", "POSITIVE"], ["negative", "positive_new", "positive_persistent"]),
        (["POSITIVE", "POSITIVE", "NEGATIVE"], ["positive_persistent", "positive_persistent", "cleared"]),
        (["POSITIVE", "NEGATIVE", "POSITIVE"], ["positive_persistent", "cleared", "positive_new"]),
        (["POSITIVE", "SUSPICIOUS", "ATYPICAL"], ["positive_persistent", "equivocal", "equivocal"]),
        (["POSITIVE", "NOT EVALUABLE", "NOT DONE"], ["positive_persistent", "missing", "missing"]),
        # An equivocal baseline is no reference: nothing was cleared, nothing is new.
        (["ATYPICAL", "NEGATIVE", "POSITIVE"], ["equivocal", "negative", "positive_new"]),
        (["ATYPICAL", "POSITIVE", "NEGATIVE"], ["equivocal", "positive_persistent", "cleared"]),
    ],
)
def test_courses(results: list[str], expected: list[str]) -> None:
    frame = grade(*(sample(n, result) for n, result in enumerate(results)))
    assert frame["status"].tolist()[:3] == expected
    assert frame.loc["V3", "status"] == "missing"
    assert frame.loc["V3", "reason"] == "no CSF sample"
    assert frame.loc["V0", "flags"].split(";")[0] == "baseline"


def test_a_missing_sample_is_never_negative() -> None:
    frame = grade(sample(0, "POSITIVE"), sample(1, "NOT EVALUABLE", reason_ne="BLOODY"))
    assert frame.loc["V1", "status"] == "missing"
    assert frame.loc["V1", "reason"] == "cytology not evaluable: bloody"


def test_clearance_needs_two_negatives_far_enough_apart() -> None:
    frame = grade(sample(0, "POSITIVE"), sample(1, "NEGATIVE"), sample(2, "NEGATIVE"))
    assert frame["confirmed"].tolist() == ["", "N", "Y", ""]
    assert "clearance_unconfirmed" in frame.loc["V1", "flags"]


def test_not_evaluable_neither_confirms_nor_breaks_and_equivocal_breaks() -> None:
    start = [sample(0, "POSITIVE"), sample(1, "NEGATIVE")]
    gap = grade(*start, sample(2, "NOT EVALUABLE"), sample(3, "NEGATIVE"))
    broken = grade(*start, sample(2, "ATYPICAL"), sample(3, "NEGATIVE"))
    assert (gap.loc["V3", "confirmed"], broken.loc["V3", "confirmed"]) == ("Y", "N")


def test_another_site_does_not_confirm() -> None:
    frame = grade(sample(0, "POSITIVE"), sample(1, "NEGATIVE"), sample(2, "NEGATIVE", site="VENTRICULAR"))
    assert frame["confirmed"].tolist() == ["", "N", "N", ""]


def test_worst_evaluable_sample_within_72_hours_counts() -> None:
    frame = grade(
        sample(0, "NEGATIVE"),
        sample(1, "NEGATIVE"),
        sample(1, "POSITIVE", "2024-02-15"),
        sample(1, "NOT EVALUABLE", "2024-02-13"),
    )
    assert frame.loc["V1", ["status", "result", "samples"]].tolist() == ["positive_new", "POSITIVE", "3"]
    assert "samples_disagree" in frame.loc["V1", "flags"]


def test_a_sample_beyond_72_hours_is_not_pooled_and_is_named() -> None:
    rows = pd.DataFrame([sample(0, "NEGATIVE"), sample(1, "NEGATIVE"), sample(1, "POSITIVE", "2024-02-16")])
    frame, problems = grade_csf(rows, SUBJECTS, VISITS, load_charter())
    assert frame["status"].tolist()[1] == "negative"
    assert [(problem.code, problem.value) for problem in problems] == [("DV020", "2024-02-16")]


@pytest.mark.parametrize(
    ("between", "confirmed"),
    [("POSITIVE", ["N", "N", "Y"]), ("ATYPICAL", ["N", "N", "Y"]), ("NEGATIVE", ["N", "Y", "Y"])],
)
def test_no_clearance_is_confirmed_past_a_sample_that_was_not_pooled(between: str, confirmed: list[str]) -> None:
    # Two weeks after the negative sample of its visit: too far to decide that visit, and still a fact.
    graded = grade(
        *(sample(n, result) for n, result in enumerate(["POSITIVE", "NEGATIVE", "NEGATIVE", "NEGATIVE"])),
        sample(1, between, "2024-02-26"),
    )
    assert graded["status"].tolist()[1:] == ["cleared"] * 3
    assert graded["confirmed"].tolist()[1:] == confirmed
    assert graded.loc["V3", "clearance_start"] == (DAYS[1] if between == "NEGATIVE" else DAYS[2])


def test_a_sample_without_a_visit_joins_the_nearest_within_the_window() -> None:
    frame = grade(sample(0, "POSITIVE"), sample(None, "NEGATIVE", "2024-02-26"), sample(None, "POSITIVE", "2024-04-15"))
    assert frame["status"].tolist() == ["positive_persistent", "cleared", "missing", "missing"]


def test_flow_cytometry_does_not_count_by_default() -> None:
    frame = grade(sample(0, "NEGATIVE"), sample(1, "POSITIVE", method="FLOW"))
    assert frame.loc["V1", "status"] == "missing"
    assert changed(cytology_methods=["FLOW"]).texts("cytology_methods") == ("FLOW",)


def test_new_after_an_unconfirmed_negative_is_a_setting() -> None:
    course = [sample(0, "POSITIVE"), sample(1, "NEGATIVE"), sample(2, "POSITIVE")]
    assert grade(*course).loc["V2", "status"] == "positive_new"
    strict = grade(*course, charter=changed(positive_new_after="confirmed_clearance"))
    assert strict.loc["V2", "status"] == "positive_persistent"


def test_a_visit_not_done_is_a_row_with_its_reason() -> None:
    visits = VISITS.assign(reason_not_done=["", "", "holiday", ""], status=["DONE", "DONE", "NOT DONE", "DONE"])
    frame = grade(sample(0, "POSITIVE"), visits=visits)
    assert frame.loc["V2", ["status", "reason"]].tolist() == ["missing", "visit not done: holiday"]


def test_baseline_is_the_last_visit_up_to_the_first_dose() -> None:
    subjects = SUBJECTS.assign(ref_start_dtc="2024-02-12")
    frame, _ = grade_csf(pd.DataFrame([sample(0, "POSITIVE"), sample(2, "NEGATIVE")]), subjects, VISITS, load_charter())
    assert frame["flags"].tolist()[:2] == ["before_baseline", "baseline"]
    assert frame["status"].tolist()[2] == "cleared"  # the reference is the last usable result up to baseline


def test_empty_tables_give_empty_frames() -> None:
    frame, problems = grade_csf(pd.DataFrame(), SUBJECTS.head(0), VISITS.head(0), load_charter())
    assert (len(frame), list(frame.columns), problems) == (0, list(COLUMNS), [])


def test_a_baseline_after_the_first_dose_is_flagged_on_what_follows() -> None:
    late = SUBJECTS.assign(ref_start_dtc="2023-12-01")  # a month before the first visit
    frame, _ = grade_csf(pd.DataFrame([sample(0, "POSITIVE"), sample(1, "NEGATIVE")]), late, VISITS, load_charter())
    flags = frame.set_index("visit")["flags"].str.split(";")
    assert "baseline_on_treatment" in flags["V1"]
    assert "baseline_on_treatment" not in flags["V0"]
    assert not grade(sample(0, "POSITIVE"), sample(1, "NEGATIVE"))["flags"].str.contains("on_treatment").any()
