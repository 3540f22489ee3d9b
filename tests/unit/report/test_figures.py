"""Geometry of swimmer and timeline against dates counted by hand."""

from __future__ import annotations

import itertools
from typing import Any

import pytest

from lmresp.report.days import axis_ticks, parse_day
from lmresp.report.figures import MARK, Course, swimmer, timeline


def course(subject: str, last: str, calls: list[tuple[str, str]] = (), **facts: str) -> Course:  # type: ignore[assignment]
    person = {"subject_id": subject, "ref_start_dtc": "2024-01-01", "last_alive_dtc": last, **facts}
    rows = [{"visit": f"V{n}", "visit_num": str(n), "date": d, "call": c} for n, (d, c) in enumerate(calls)]
    empty: dict[str, Any] = dict.fromkeys(
        ("csf", "mri", "neuro", "steroids", "pathway", "visits", "treatments", "procedures", "disposition"), ()
    )
    return Course(subject=subject, facts=person, calls=rows, **empty)


def test_call_stands_on_its_week() -> None:
    # 2024-02-12 is 42 days, six weeks, after 2024-01-01; the bar ends on 2024-06-17, week 24.
    figure = swimmer([course("S-1", "2024-06-17", [("2024-02-12", "STABLE")])])
    (row,) = figure.rows
    tick = {week: x for x, week in figure.axis.ticks}
    assert row.marks[0].at == tick[6]
    assert row.x == tick[0]
    assert row.x + row.width == pytest.approx(tick[24], abs=0.1)
    assert "week 6.0" in row.marks[0].title


def test_longest_first_and_ties_by_id() -> None:
    figure = swimmer([course("S-3", "2024-03-01"), course("S-2", "2024-05-01"), course("S-1", "2024-03-01")])
    assert [row.subject for row in figure.rows] == ["S-2", "S-1", "S-3"]


def test_endings() -> None:
    alive = course("S-1", "2024-05-01")
    died = course("S-2", "", death_dtc="2024-04-01")
    left = course("S-3", "2024-03-01")
    stop = [{"scope": "STUDY PARTICIPATION", "dtc": "2024-03-01", "event": "LOST TO FOLLOW-UP"}]
    left = Course(**{**{f: getattr(left, f) for f in left.__dataclass_fields__}, "disposition": stop})
    ends = {row.subject: (row.end, row.end_title) for row in swimmer([alive, died, left]).rows}
    assert ends["S-1"][0] == "ongoing"
    assert ends["S-2"] == ("death", "died 2024-04-01")
    assert ends["S-3"] == ("off study", "left the study 2024-03-01: LOST TO FOLLOW-UP")


def test_stopping_the_drug_is_not_leaving_the_study() -> None:
    stays = course("S-1", "2024-05-01")
    stop = [{"scope": "STUDY TREATMENT", "dtc": "2024-03-01", "event": "PROGRESSIVE DISEASE"}]
    stays = Course(**{**{f: getattr(stays, f) for f in stays.__dataclass_fields__}, "disposition": stop})
    assert stays.end()[1] == "ongoing"


def test_incomplete_death_date_is_not_guessed() -> None:
    figure = swimmer([course("S-1", "2024-02-12", death_dtc="2024-03", death_fl="Y")])
    (row,) = figure.rows
    assert row.end == "death"
    assert "incomplete (2024-03)" in row.end_title
    assert row.x + row.width == pytest.approx(figure.axis.x(6), abs=0.1)  # last day known to have lived


def test_calls_on_one_day_do_not_cover_one_another() -> None:
    calls = [("2024-02-12", "STABLE"), ("2024-02-12", "PROGRESSION"), ("2024-02-13", "STABLE")]
    marks = swimmer([course("S-1", "2024-06-17", calls)]).rows[0].marks
    assert all(b.x - a.x >= MARK for a, b in itertools.pairwise(marks))
    assert marks[0].x == marks[0].at


def test_undated_calls_are_counted() -> None:
    figure = swimmer([course("S-1", "2024-06-17", [("2024-02", "STABLE"), ("2024-02-12", "STABLE")])])
    assert figure.undated == 1
    assert len(figure.rows[0].marks) == 1


def test_randomisation_is_the_origin_and_baseline_may_come_before() -> None:
    subject = course("S-1", "2024-06-17", [("2024-01-01", "STABLE")], rand_dtc="2024-01-08")
    figure = timeline(subject)
    assert figure is not None
    call = next(lane for lane in figure.lanes if lane.kind == "call").marks[0]
    assert "week -1.0" in call.title
    assert call.at == figure.axis.x(-1)
    assert call.at < figure.axis.x(0)


def test_timeline_has_the_three_lanes_the_call_and_the_branch_in_order() -> None:
    figure = timeline(course("S-1", "2024-06-17"))
    assert figure is not None
    assert [lane.label for lane in figure.lanes] == ["CSF", "MRI", "Neuro", "Call", "Pathway branch"]


@pytest.mark.parametrize("text", ["2024-02", "2024", "", "soon", "2024-02-30", "UNK"])
def test_only_full_dates_are_days(text: str) -> None:
    assert parse_day(text) is None


def test_axis_is_labelled_on_round_steps() -> None:
    assert axis_ticks(0, 24) == list(range(0, 25, 2))
    assert axis_ticks(-3.5, 108) == list(range(0, 109, 12))
    assert len(axis_ticks(0, 3000)) <= 14
