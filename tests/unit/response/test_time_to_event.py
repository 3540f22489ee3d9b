"""Time to event: one case for each row of the censoring table (origin 2023-03-01 = study day 1, defaults)."""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from functools import cache
from typing import Any

import pandas as pd
import pytest

from lmresp.response.best import best_response
from lmresp.response.time_to_event import COLUMNS, time_to_event
from tests.charters import charter_with

ORIGIN = datetime.date(2023, 3, 1)
R, S, P, N = "RESPONSE", "STABLE", "PROGRESSION", "NOT_EVALUABLE"
Tables = dict[str, pd.DataFrame]


def date(day: int) -> str:
    """Day 0 is the origin, so that ``days`` of an endpoint is day + 1."""
    return (ORIGIN + datetime.timedelta(days=day)).isoformat()


def calls(*course: tuple[int, str]) -> pd.DataFrame:
    """Calls of the visits nearest to the six-weekly schedule."""
    rows = [("S1", f"V{round(day / 42)}", str(round(day / 42)), call, "N", date(day)) for day, call in course]
    return pd.DataFrame(rows, columns=["subject_id", "visit", "visit_num", "call", "provisional", "date"])


def study(**more: str) -> Tables:
    return {"subjects": pd.DataFrame([{"subject_id": "S1", "ref_start_dtc": date(0), "arm": "A", **more}])}


def dead(day: int | str) -> Tables:
    return study(death_dtc=day if isinstance(day, str) else date(day), death_fl="Y")


def therapy(day: int, **more: str) -> Tables:
    row = {"subject_id": "S1", "start_dtc": date(day), "is_new_anticancer": "Y", **more}
    return {"treatments": pd.DataFrame([row])}


def left(event: str, cause: str = "", scope: str = "STUDY PARTICIPATION") -> Tables:
    row = {"subject_id": "S1", "event": event, "dtc": date(400), "scope": scope, "cause": cause}
    return {"disposition": pd.DataFrame([row])}


def visits(*planned: int) -> Tables:
    rows = [
        {"subject_id": "S1", "visit_num": str(n), "planned_day": str(day), "window_minus": "7", "window_plus": "7"}
        for n, day in enumerate(planned, start=1)
    ]
    return {"visits": pd.DataFrame(rows)}


def derive(course: pd.DataFrame, tables: Tables, strands: Tables | None = None, **settings: Any) -> pd.DataFrame:
    rules, strands = charter_with(**settings), strands or {}
    best = best_response(course, strands, tables, rules)
    frame, _ = time_to_event(course, best, strands, tables, rules)
    assert list(frame.columns) == list(COLUMNS)
    assert not frame.duplicated(["subject_id", "parameter", "policy"]).any()
    return frame


def cohort(cases: Sequence[tuple[pd.DataFrame, Tables, Tables]], **settings: Any) -> list[pd.DataFrame]:
    """Derive many subjects at once, as the workflow does, and return the rows of each."""
    names = [f"S{n:02d}" for n in range(len(cases))]

    def joined(parts: Sequence[Tables]) -> Tables:
        found: dict[str, list[pd.DataFrame]] = {}
        for subject, part in zip(names, parts, strict=True):
            for name, frame in part.items():
                found.setdefault(name, []).append(frame.assign(subject_id=subject))
        return {name: pd.concat(frames, ignore_index=True) for name, frames in found.items()}

    courses = pd.concat([case[0].assign(subject_id=subject) for subject, case in zip(names, cases, strict=True)])
    frame = derive(courses, joined([case[1] for case in cases]), joined([case[2] for case in cases]), **settings)
    return [frame[frame["subject_id"] == subject] for subject in names]


def row(frame: pd.DataFrame, parameter: str = "LMPFS", policy: str = "charter") -> list[str]:
    found = frame[(frame["parameter"] == parameter) & (frame["policy"] == policy)]
    assert len(found) == 1
    return found[["days", "censored", "event"]].iloc[0].tolist()


SIX_WEEKLY = visits(43, 85, 127, 169)  # windows 35-49, 77-91, 119-133, 161-175 of study days


CENSORING: list[tuple[tuple[tuple[int, str], ...], Tables, list[str]]] = [
    # progression on time
    (((42, S), (84, P)), study(), ["85", "0", P]),
    # death before progression, on time
    (((42, S),), dead(90), ["91", "0", "DEATH"]),
    # progression and death on one day: progression comes first
    (((42, S), (84, P)), dead(84), ["85", "0", P]),
    # death before the first assessment: an event within the gap of 98 days, else missed
    ((), dead(98), ["99", "0", "DEATH"]),
    ((), dead(99), ["1", "4", "EVENT AFTER MISSED ASSESSMENTS"]),
    # no progression: last adequate assessment (the last visit was not evaluable)
    (((42, S), (84, S), (126, N)), study(), ["85", "1", "ONGOING"]),
    # new therapy before progression
    (((42, S), (84, S), (126, P)), study() | therapy(100), ["85", "2", "NEW THERAPY"]),
    (((42, S), (84, S)), study() | therapy(100), ["85", "2", "NEW THERAPY"]),
    # an assessment on the day of new therapy does not count
    (((42, S), (84, S)), study() | therapy(84), ["43", "2", "NEW THERAPY"]),
    (((84, S),), study() | therapy(42), ["1", "2", "NEW THERAPY"]),
    # progression on the day of new therapy is an event by default
    (((42, S), (84, P)), study() | therapy(84), ["85", "0", P]),
    # nothing adequate after baseline and no death
    (((42, N),), study(), ["1", "3", "NO POST-BASELINE ASSESSMENT"]),
    ((), study() | therapy(50), ["1", "3", "NO POST-BASELINE ASSESSMENT"]),
    # withdrawn or lost; the end of treatment for toxicity is no reason by itself
    (((42, S),), study() | left("LOST TO FOLLOW-UP"), ["43", "5", "WITHDRAWN OR LOST"]),
    (((42, S),), study() | left("ADVERSE EVENT", scope="STUDY TREATMENT"), ["43", "1", "ONGOING"]),
    (((42, S),), study() | left("COMPLETED"), ["43", "1", "ONGOING"]),
    # two scheduled assessments missed before the event, by count of visits
    (((42, S), (168, P)), study() | SIX_WEEKLY, ["43", "4", "EVENT AFTER MISSED ASSESSMENTS"]),
    (((42, S), (126, P)), study() | SIX_WEEKLY, ["127", "0", P]),  # one missed
    (((42, S), (84, N), (126, N), (168, P)), study() | SIX_WEEKLY, ["43", "4", "EVENT AFTER MISSED ASSESSMENTS"]),
    (((42, S), (92, S), (126, N), (168, P)), study() | SIX_WEEKLY, ["169", "0", P]),  # visit 2 late, not missed
    # twelve-weekly: 84 days without an assessment miss nothing
    (((84, S), (168, P)), study() | visits(85, 169), ["169", "0", P]),
    # without a schedule: 2 x 42 + 2 x 7 days
    (((42, S), (140, P)), study(), ["141", "0", P]),
    (((42, S), (141, P)), study(), ["43", "4", "EVENT AFTER MISSED ASSESSMENTS"]),
    # therapy and a gap: the same date, therapy named
    (((42, S), (168, P)), study() | SIX_WEEKLY | therapy(100), ["43", "2", "NEW THERAPY"]),
    # the gap closes again: only what was missed right before the event counts
    (((42, S), (168, S), (182, P)), study() | SIX_WEEKLY, ["183", "0", P]),
]


@cache
def censored() -> list[pd.DataFrame]:
    return cohort([(calls(*course), tables, {}) for course, tables, _ in CENSORING])


@pytest.mark.parametrize("case", range(len(CENSORING)))
def test_censoring_table(case: int) -> None:
    assert row(censored()[case]) == CENSORING[case][2]


def test_treatment_policy_counts_what_the_charter_censors() -> None:
    frame = derive(calls((42, S), (168, P)), study() | SIX_WEEKLY | therapy(100))
    assert row(frame, policy="treatment_policy") == ["169", "0", P]
    frame = derive(calls((42, S)), study() | therapy(50))
    assert row(frame, policy="treatment_policy") == ["43", "1", "ONGOING"]
    frame = derive(calls((42, S), (168, P)), study() | SIX_WEEKLY, gap_rule="none")
    assert row(frame) == ["169", "0", P]
    frame = derive(calls((42, S), (84, P)), study() | therapy(50), nact_rule="ignore")
    assert row(frame) == ["85", "0", P]


def test_settings_of_the_charter() -> None:
    same_day = (calls((42, S), (84, P)), study() | therapy(84))
    assert row(derive(*same_day, nact_same_day="censor")) == ["43", "2", "NEW THERAPY"]
    suspected = (calls((42, "SUSPECTED_PROGRESSION"), (84, S)), study())
    assert row(derive(*suspected)) == ["85", "1", "ONGOING"]
    wider = derive(*suspected, progression_calls=[P, "SUSPECTED_PROGRESSION"])
    assert row(wider) == ["43", "0", "SUSPECTED_PROGRESSION"]
    assert row(derive(calls((42, S), (168, P)), study() | SIX_WEEKLY, max_missed=3)) == ["169", "0", P]


def test_no_baseline_comes_before_every_other_reason() -> None:
    empty = pd.DataFrame([{"subject_id": "S1", "visit_num": "0", "status": "not_evaluable", "flags": "baseline"}])
    frame = derive(calls((42, S), (84, P)), study() | therapy(50), {"neuro": empty})
    assert row(frame) == ["1", "6", "NO BASELINE"]
    one = {"neuro": empty, "mri": empty.assign(status="stable")}  # one strand suffices
    assert row(derive(calls((42, S), (84, P)), study(), one)) == ["85", "0", P]


SURVIVAL: list[tuple[Tables, list[str]]] = [
    (dead(90), ["91", "0", "DEATH"]),
    (study(last_alive_dtc=date(200)), ["201", "1", "ONGOING"]),
    (study(), ["43", "1", "ONGOING"]),  # the visit on day 42 shows that the subject was alive
    (study(last_alive_dtc=date(200)) | left("LOST TO FOLLOW-UP"), ["201", "5", "WITHDRAWN OR LOST"]),
    # partial date of death: the day after the last known alive date in the same month, else its first day
    (dead("2023-04"), ["44", "0", "DEATH"]),  # alive on 2023-04-12 (day 42)
    (dead("2023-06"), ["93", "0", "DEATH"]),  # 2023-06-01
    (dead("2023"), ["43", "1", "ONGOING"]),  # month not given: not guessed
    (dead(50) | therapy(45), ["51", "0", "DEATH"]),  # new therapy never ends survival
    (dead(-5), ["43", "1", "ONGOING"]),  # no one dies before the origin: asked, not computed
]


def test_overall_survival() -> None:
    frames = cohort([(calls((42, S)), tables, {}) for tables, _ in SURVIVAL])
    assert [row(frame, "OS") for frame in frames] == [expected for _, expected in SURVIVAL]
    assert [row(frame, "OS", "treatment_policy") for frame in frames] == [expected for _, expected in SURVIVAL]


def test_a_death_cannot_be_imputed_beyond_its_month() -> None:
    frame = derive(calls((60, S)), dead("2023-04"))  # alive on 2023-04-30
    assert frame.loc[frame["parameter"] == "OS", "date"].tolist() == ["2023-04-30"] * 2
    assert frame.loc[frame["parameter"] == "OS", "reason"].str.contains("day of death not given").all()


def test_an_undated_death_and_a_call_after_death_are_named() -> None:
    course = calls((42, S), (60, S))
    for tables, code in ((dead("2023"), "DV050"), (dead(50), "DV003"), (dead(-5), "DV006")):
        best = best_response(course, {}, tables, charter_with())
        _, problems = time_to_event(course, best, {}, tables, charter_with())
        assert code in {each.code for each in problems}


def test_duration_and_time_to_response_are_of_confirmed_responders_only() -> None:
    frame = derive(calls((42, R), (84, R), (126, P)), study())
    assert row(frame, "DOR") == ["85", "0", P]  # from day 42 to day 126
    assert row(frame, "TTR") == ["43", "0", R]
    frame = derive(calls((42, R), (84, R)), study() | therapy(126))
    assert row(frame, "DOR") == ["43", "2", "NEW THERAPY"]
    for course in (((42, R), (84, S)), ((42, R),)):  # not confirmed, pending
        assert set(derive(calls(*course), study())["parameter"]) == {"OS", "LMPFS"}


def csf(*samples: tuple[int, str, str]) -> Tables:
    """Cytology strand: baseline on day -3, then (day, result, whether a clearance is confirmed)."""
    rows = []
    for n, (day, result, confirmed) in enumerate(samples):
        status = "cleared" if result == "NEGATIVE" else "positive_persistent" if result == "POSITIVE" else "missing"
        first = min((d for d, each, _ in samples[1:] if each == "NEGATIVE"), default=0)
        rows.append(
            {
                "subject_id": "S1",
                "visit_num": str(n),
                "visit": f"V{n}",
                "date": date(day),
                "status": status,
                "flags": "" if n else "baseline",
                "certainty": "seen",
                "result": result,
                "confirmed": confirmed,
                "clearance_start": date(first) if confirmed == "Y" else "",
            }
        )
    return {"csf": pd.DataFrame(rows)}


CLEARING = ((-3, "POSITIVE", ""), (42, "NEGATIVE", "N"), (84, "NEGATIVE", "Y"))


CLEARANCES: list[tuple[tuple[tuple[int, str, str], ...], Tables, list[str]]] = [
    (CLEARING, study(), ["43", "0", "CLEARANCE"]),  # dated at the first of the two
    (CLEARING[:2], study(), ["43", "1", "ONGOING"]),
    (CLEARING[:1], study(), ["1", "3", "NO POST-BASELINE ASSESSMENT"]),
    (((-3, "POSITIVE", ""), (42, "NOT EVALUABLE", "")), study(), ["1", "3", "NO POST-BASELINE ASSESSMENT"]),
    (CLEARING[:2], dead(100), ["43", "7", "DEATH WITHOUT EVENT"]),
    (CLEARING[:2], study() | left("LOST TO FOLLOW-UP"), ["43", "5", "WITHDRAWN OR LOST"]),
    (CLEARING, study() | therapy(60), ["43", "2", "NEW THERAPY"]),  # confirmed only after it
    (CLEARING, study() | therapy(60, target="SYSTEMIC"), ["43", "0", "CLEARANCE"]),  # not aimed at the CSF
    (CLEARING, study() | therapy(90), ["43", "0", "CLEARANCE"]),
]


def test_time_to_clearance() -> None:
    frames = cohort([(calls((42, S)), tables, csf(*samples)) for samples, tables, _ in CLEARANCES])
    assert [row(frame, "TTCSFCLR") for frame in frames] == [expected for *_, expected in CLEARANCES]


def test_clearance_is_followed_only_where_the_baseline_was_positive() -> None:
    samples = csf((-3, "NEGATIVE", ""), (42, "NEGATIVE", ""), (84, "NEGATIVE", ""))
    assert "TTCSFCLR" not in set(derive(calls((42, S)), study(), samples)["parameter"])


def neuro(*exams: tuple[int, str]) -> Tables:
    rows = [
        {"subject_id": "S1", "visit_num": str(n), "visit": f"V{n}", "date": date(day), "status": status}
        | {"flags": "" if n else "baseline", "certainty": "seen"}
        for n, (day, status) in enumerate([(-3, "stable"), *exams])
    ]
    return {"neuro": pd.DataFrame(rows)}


EXAMINED: list[tuple[tuple[tuple[int, str], ...], Tables, list[str]]] = [
    (((42, "stable"), (84, "worse")), study(), ["85", "0", "NEUROLOGICAL DETERIORATION"]),
    (((42, "stable"), (84, "not_evaluable")), study(), ["43", "1", "ONGOING"]),
    (((42, "stable"),), dead(60) | left("DEATH", "LM"), ["61", "0", "DEATH BY LM"]),
    (((42, "stable"),), dead(60) | left("DEATH", "SYSTEMIC"), ["43", "7", "DEATH WITHOUT EVENT"]),
    (((42, "stable"),), dead(60), ["43", "7", "DEATH WITHOUT EVENT"]),  # cause not known
    (((42, "stable"), (84, "worse")), study() | therapy(60), ["43", "2", "NEW THERAPY"]),
]
CONFIRMED: list[tuple[tuple[tuple[int, str], ...], Tables, list[str]]] = [
    (((42, "worse"), (84, "stable")), study(), ["85", "1", "ONGOING"]),
    (((42, "worse"), (63, "not_evaluable"), (84, "worse")), study(), ["43", "0", "NEUROLOGICAL DETERIORATION"]),
    (((42, "worse"), (84, "worse")), study() | therapy(60), ["43", "2", "NEW THERAPY"]),  # confirmed only after it
]


@pytest.mark.parametrize(("cases", "confirm"), [(EXAMINED, False), (CONFIRMED, True)])
def test_time_to_neurological_deterioration(
    cases: list[tuple[tuple[tuple[int, str], ...], Tables, list[str]]], *, confirm: bool
) -> None:
    found = cohort(
        [(calls((42, S)), tables, neuro(*exams)) for exams, tables, _ in cases], neuro_deterioration_confirmed=confirm
    )
    assert [row(frame, "TTNEUDET") for frame in found] == [expected for *_, expected in cases]


def test_a_row_rests_on_the_call_it_is_dated_by() -> None:
    course = calls((42, S), (84, P))
    course["provisional"] = ["N", "Y"]
    frame = derive(course, study())
    assert frame.set_index(["parameter", "policy"]).loc[("LMPFS", "charter"), "provisional"] == "Y"
    assert (frame.loc[frame["parameter"] == "OS", "provisional"] == "N").all()


def test_subjects_set_aside_have_no_row_and_no_subject_at_all_gives_none() -> None:
    course = calls((42, S))
    best = best_response(course, {}, study(), charter_with(), {"S1": "key stands twice"})
    frame, _ = time_to_event(course, best, {}, study(), charter_with(), {"S1": "key stands twice"})
    assert frame.empty
    assert list(frame.columns) == list(COLUMNS)


def test_nothing_counts_after_the_data_cut() -> None:
    course, tables = calls((42, S)), dead(90)
    best = best_response(course, {}, tables, charter_with(), data_cut=date(60))
    frame, _ = time_to_event(course, best, {}, tables, charter_with(), data_cut=date(60))
    assert row(frame, "OS") == ["43", "1", "ONGOING"]


def codes(course: pd.DataFrame, tables: Tables) -> set[str]:
    best = best_response(course, {}, tables, charter_with())
    return {each.code for each in time_to_event(course, best, {}, tables, charter_with())[1]} - {"DV011"}


@pytest.mark.parametrize(
    ("course", "tables", "expected"),
    [
        (((42, R), (84, S)), study(), {"DV001"}),
        (((42, R), (84, P)), study(), set()),
        (((42, P), (84, S)), study(), {"DV002"}),
        (((42, R),), dead(60), {"DV004"}),
        (((42, R),), study(), set()),  # pending: follow-up goes on
        (((42, N), (84, N)), study(), {"DV005"}),
        (((42, S), (168, P)), study() | SIX_WEEKLY, {"DV007"}),
    ],
)
def test_queries(course: tuple[tuple[int, str], ...], tables: Tables, expected: set[str]) -> None:
    assert codes(calls(*course), tables) == expected


def test_an_endpoint_censored_in_most_subjects_is_named_once() -> None:
    course = calls((42, S))
    best = best_response(course, {}, study(), charter_with())
    found = [each for each in time_to_event(course, best, {}, study(), charter_with())[1] if each.code == "DV011"]
    assert [each.value for each in found] == ["LMPFS", "OS"]
    assert found[0].message == "LMPFS is censored in 1 of 1 subjects (100 %)."
