"""Best response: the worked examples of the derivation rules (origin 2023-03-01, defaults), in the words of RANO-LM."""

from __future__ import annotations

import datetime
from typing import Any

import pandas as pd
import pytest

from lmresp.criteria import load_charter
from lmresp.response.best import best_response
from tests.charters import charter_with

ORIGIN = datetime.date(2023, 3, 1)
R, S, P, N = "RESPONSE", "STABLE", "PROGRESSION", "NOT_EVALUABLE"
COLUMNS = ["subject_id", "visit", "visit_num", "call", "provisional", "date"]


def date(day: int) -> str:
    return (ORIGIN + datetime.timedelta(days=day)).isoformat()


def calls(*course: tuple[int, str], subject: str = "S1") -> pd.DataFrame:
    rows = [(subject, f"V{n}", str(n), call, "Y", date(day)) for n, (day, call) in enumerate(course)]
    return pd.DataFrame(rows, columns=COLUMNS)


def subjects(*names: str, **more: str) -> dict[str, pd.DataFrame]:
    rows = [{"subject_id": name, "ref_start_dtc": date(0), "rand_dtc": "", **more} for name in names or ("S1",)]
    return {"subjects": pd.DataFrame(rows)}


def best(*course: tuple[int, str], tables: dict[str, pd.DataFrame] | None = None, **settings: Any) -> pd.Series:
    return best_response(calls(*course), {}, tables or subjects(), charter_with(**settings)).iloc[0]


@pytest.mark.parametrize(
    ("course", "expected"),
    [
        ([(43, R), (71, R)], [R, "2023-04-13", "Y", "2023-04-13"]),
        ([(43, R), (70, R), (84, S)], [R, "2023-04-13", "N", ""]),  # 27 days apart
        ([(43, R), (85, N), (127, R)], [R, "2023-04-13", "Y", "2023-04-13"]),  # one gap allowed
        ([(43, R), (85, N), (106, N), (127, R)], [R, "2023-04-13", "PENDING", ""]),  # two gaps; the last one is open
        ([(43, R), (85, S), (127, R), (155, S)], [R, "2023-04-13", "N", ""]),  # stability breaks it
        ([(43, R), (85, S), (127, R), (169, R)], [R, "2023-04-13", "Y", "2023-07-06"]),  # a later one on its own
        ([(20, R), (43, P)], [R, "2023-03-21", "N", ""]),
        ([(43, P), (71, R), (113, R)], [P, "2023-04-13", "N", ""]),  # nothing counts after progression
        ([(41, S)], [N, "2023-04-11", "N", ""]),
        ([(42, S)], [S, "2023-04-12", "N", ""]),
        ([(41, S), (83, P)], [P, "2023-05-23", "N", ""]),
        ([(-5, R), (43, S)], [S, "2023-04-13", "N", ""]),  # before the origin
        ([(43, R), (43, S)], [S, "2023-04-13", "N", ""]),  # two calls on one date: the worst
        ([(43, "SUSPECTED_PROGRESSION"), (85, N)], ["SUSPECTED_PROGRESSION", "2023-04-13", "N", ""]),
        ([], ["MISSING", "", "N", ""]),
    ],
)
def test_worked_examples(course: list[tuple[int, str]], expected: list[str]) -> None:
    row = best(*course)
    assert [row["best_response"], row["date"], row["confirmed_response"], row["confirmed_date"]] == expected


@pytest.mark.parametrize(
    ("course", "expected"),
    [
        ([(43, R), (71, R)], [R, "2023-04-13", "CONFIRMED"]),
        ([(43, R), (85, S)], [S, "2023-04-13", "NOT CONFIRMED"]),  # counts as stable on its own date
        ([(20, R), (43, P)], [P, "2023-04-13", "NOT CONFIRMED"]),  # before the least duration of stability
        ([(20, R)], [N, "2023-03-21", "PENDING"]),
        ([(43, S)], [S, "2023-04-13", ""]),
        ([(43, N)], [N, "2023-04-13", ""]),  # not evaluable is not missing
        ([], ["MISSING", "", ""]),
    ],
)
def test_confirmed_best_response(course: list[tuple[int, str]], expected: list[str]) -> None:
    row = best(*course)
    assert [row["confirmed_best"], row["confirmed_best_date"], row["confirmation"]] == expected


def test_a_pending_response_is_decided_when_follow_up_ends() -> None:
    assert best((43, R), (57, R))["confirmed_response"] == "PENDING"
    ended = subjects() | {
        "disposition": pd.DataFrame(
            [{"subject_id": "S1", "event": "COMPLETED", "dtc": date(60), "scope": "STUDY PARTICIPATION"}]
        )
    }
    assert best((43, R), (57, R), tables=ended)["confirmed_response"] == "N"
    off_drug = subjects() | {"disposition": ended["disposition"].assign(scope="STUDY TREATMENT")}
    assert best((43, R), (57, R), tables=off_drug)["confirmed_response"] == "PENDING"
    assert best((43, R), tables=subjects(death_dtc=date(60), death_fl="Y"))["confirmation"] == "NOT CONFIRMED"


def therapy(day: int | str, **more: str) -> dict[str, pd.DataFrame]:
    start = day if isinstance(day, str) else date(day)
    row = {"subject_id": "S1", "kind": "SYSTEMIC", "start_dtc": start, "is_new_anticancer": "Y", **more}
    return subjects() | {"treatments": pd.DataFrame([row])}


def test_nothing_counts_from_new_therapy_on() -> None:
    course = ((43, S), (85, R), (127, R))
    assert best(*course, tables=therapy(86))["confirmed_response"] == "N"  # the confirmation comes after it
    assert best(*course, tables=therapy(85))["best_response"] == S
    assert best(*course, tables=therapy(85), nact_rule="ignore")["confirmed_response"] == "Y"
    alone = best((85, R), tables=therapy(85))
    assert alone["best_response"] == "MISSING"
    assert "new anticancer therapy" in alone["reason"]  # a call was made, and does not count
    assert best(tables=therapy(85))["reason"] == "no call after baseline"
    assert best(*course, tables=therapy(-1))["confirmed_response"] == "Y"  # before day 1 it is no new therapy
    assert best(*course, tables=therapy(85, is_new_anticancer="N"))["confirmed_response"] == "Y"


def test_a_partial_start_of_therapy_is_taken_early_but_not_before_day_1() -> None:
    assert best((43, R), (71, R), tables=therapy("2023-05"))["confirmed_response"] == "N"  # 1 May, before 11 May
    assert best((43, R), (71, R), tables=therapy("2023-03"))["best_response"] == "MISSING"  # day 1
    assert best((43, R), (71, R), tables=therapy("2023"))["best_response"] == "MISSING"  # day 1
    assert best((43, R), (71, R), tables=therapy("2022"))["confirmed_response"] == "Y"  # before day 1


def test_progression_on_the_day_of_new_therapy_is_the_charters_choice() -> None:
    assert best((85, P), tables=therapy(85))["progression_date"] == date(85)
    assert best((85, P), tables=therapy(85), nact_same_day="censor")["progression_date"] == ""
    assert best((85, R), tables=therapy(85))["best_response"] == "MISSING"  # a response on that day does not count


def test_one_stable_visit_may_lie_between_when_the_charter_accepts_it() -> None:
    course = ((43, R), (85, S), (127, R), (155, S), (183, S))
    assert best(*course)["confirmed_response"] == "N"
    assert best(*course, accept_sd=True)["confirmed_date"] == date(43)
    two = ((43, R), (85, S), (99, S), (127, R), (155, S), (183, S))
    assert best(*two, accept_sd=True)["confirmed_response"] == "N"


def test_progression_is_dated_by_the_strand_that_establishes_it_alone() -> None:
    """Progressive imaging gives progression whatever the other strands are; a worse examination alone does not."""
    key = {"subject_id": "S1", "visit_num": "0"}
    course = calls((90, P)).assign(csf="positive_new", neuro="worse", mri="progressive")
    strands = {
        "csf": pd.DataFrame([{**key, "date": date(80)}]),
        "neuro": pd.DataFrame([{**key, "date": date(70)}]),
        "mri": pd.DataFrame([{**key, "date": date(85)}]),
    }
    row = best_response(course, strands, subjects(), load_charter()).iloc[0]
    assert [row["progression_date"], row["progression_by"]] == [date(85), "csf;neuro;imaging"]
    assert row["date"] == date(85)
    together = course.assign(mri="stable")  # examination and cytology establish it together: the later date stands
    row = best_response(together, strands, subjects(), load_charter()).iloc[0]
    assert [row["progression_date"], row["progression_by"]] == [date(90), "csf;neuro"]


def test_progression_calls_of_the_charter_end_the_course() -> None:
    course = ((43, "SUSPECTED_PROGRESSION"), (85, R), (127, R))
    assert best(*course)["confirmed_response"] == "Y"
    row = best(*course, progression_calls=[P, "SUSPECTED_PROGRESSION"])
    assert [row["best_response"], row["progression_date"]] == ["SUSPECTED_PROGRESSION", date(43)]


def test_a_word_that_the_criterion_does_not_have_is_an_error() -> None:
    with pytest.raises(ValueError, match="iCR"):
        best((43, "iCR"))


def test_calls_after_death_or_without_a_date_do_not_count() -> None:
    assert best((43, S), (90, R), tables=subjects(death_dtc=date(60), death_fl="Y"))["best_response"] == S
    undated = calls((43, R)).assign(date="2023-04")
    assert best_response(undated, {}, subjects(), load_charter())["best_response"].tolist() == ["MISSING"]


def test_everyone_has_a_row_and_a_subject_set_aside_says_so() -> None:
    aside = {"S3": "key stands twice", "S0": "ref_start_dtc is not a date"}
    rows = best_response(calls((61, S)), {}, subjects("S2", "S1", "S3"), load_charter(), aside).set_index("subject_id")
    assert rows.index.tolist() == ["S0", "S1", "S2", "S3"]
    assert rows["best_response"].tolist() == ["", S, "MISSING", ""]
    assert rows["confirmed_response"].tolist() == ["", "N", "N", ""]
    assert rows.loc["S3", "reason"] == "set aside: key stands twice"
    assert rows.loc["S0", "reason"] == "set aside: ref_start_dtc is not a date"


def test_one_subjects_response_never_confirms_anothers() -> None:
    both = pd.concat([calls((61, R), subject="A"), calls((184, R), subject="B")])
    assert best_response(both, {}, subjects("A", "B"), load_charter())["confirmed_response"].tolist() == ["PENDING"] * 2


def test_the_charter_orders_the_calls() -> None:
    course = ((61, S), (61, R), (92, N))
    worst = [R, S, "SUSPECTED_PROGRESSION", P, N]
    assert best(*course)["best_response"] == S
    assert best(*course, worst_first=worst)["best_response"] == R
    assert best(*course, worst_first=worst, best_first=worst[::-1])["best_response"] == N
