"""What must hold for any course of calls: progression ends it, confirmation only takes away, order does not matter.

Every test derives one cohort of many random courses at once: a derivation costs the same for one subject as for many.
"""

from __future__ import annotations

import datetime

import numpy as np
import pandas as pd
import pytest

from lmresp.criteria import Charter, load_charter
from lmresp.response.best import best_response
from lmresp.response.time_to_event import time_to_event
from lmresp.response.vocabulary import Vocabulary, charter_vocabulary, load_vocabulary
from tests.charters import charter_with

CHARTER = load_charter()
START = datetime.date(2024, 1, 1)
VOCABULARIES = {"modified_rano_lm": charter_vocabulary(CHARTER), "recist_1_1": load_vocabulary("recist_1_1")}
WORDS = pytest.mark.parametrize("words", list(VOCABULARIES.values()), ids=list(VOCABULARIES))

Course = list[tuple[int, int]]
"""Visits: the place of the word in the order of the criterion, and the days since the visit before."""


def courses(number: int = 300, seed: int = 1) -> list[Course]:
    draw = np.random.default_rng(seed).integers
    return [[(int(draw(6)), int(draw(1, 51))) for _ in range(draw(7))] for _ in range(number)]


COHORT = courses()


def study(cohort: list[Course], words: Vocabulary, shift: int = 0) -> tuple[pd.DataFrame, dict[str, pd.DataFrame]]:
    order, rows = words.best_first, []
    start = START + datetime.timedelta(days=shift)
    for who, course in enumerate(cohort):
        day = 0
        for n, (place, gap) in enumerate(course, start=1):
            day += gap
            date = (start + datetime.timedelta(days=day)).isoformat()
            rows.append((f"S{who}", f"V{n}", str(n), order[place % len(order)], "N", date))
    calls = pd.DataFrame(rows, columns=["subject_id", "visit", "visit_num", "call", "provisional", "date"])
    people = [{"subject_id": f"S{who}", "ref_start_dtc": start.isoformat()} for who in range(len(cohort))]
    return calls, {"subjects": pd.DataFrame(people)}


def derive(
    calls: pd.DataFrame, tables: dict[str, pd.DataFrame], words: Vocabulary, charter: Charter = CHARTER
) -> tuple[pd.DataFrame, pd.DataFrame]:
    best = best_response(calls, {}, tables, charter, words=words)
    return best, time_to_event(calls, best, {}, tables, charter, words=words)[0]


def test_the_courses_are_of_every_kind() -> None:
    words = VOCABULARIES["modified_rano_lm"]
    best, _ = derive(*study(COHORT, words), words)
    assert set(best["best_response"]) == {*words.best_first, "MISSING"}
    assert set(best["confirmation"]) == {"", "CONFIRMED", "NOT CONFIRMED", "PENDING"}


@WORDS
def test_a_visit_after_progression_changes_nothing(words: Vocabulary) -> None:
    ended = words.best_first.index(words.progression[0])
    progressed = [[*course, (ended, 42)] for course in COHORT]
    calls, tables = study(progressed, words)
    longer, _ = study([[*course, *more[:1]] for course, more in zip(progressed, courses(seed=2), strict=True)], words)
    assert len(longer) > len(calls)
    before, after = derive(calls, tables, words), derive(longer, tables, words)
    pd.testing.assert_frame_equal(before[0], after[0])
    no_survival = [frame[frame["parameter"] != "OS"].reset_index(drop=True) for frame in (before[1], after[1])]
    pd.testing.assert_frame_equal(*no_survival)  # a later visit shows that the subject is alive


@WORDS
def test_best_response_is_never_worse_than_confirmed_best_response(words: Vocabulary) -> None:
    order = [*words.best_first, "MISSING"]
    best, _ = derive(*study(COHORT, words), words)
    for row in best.itertuples():
        assert order.index(str(row.best_response)) <= order.index(str(row.confirmed_best)), row
        assert (row.confirmation == "") == (row.best_response not in words.responses), row
        assert (row.confirmed_response == "Y") == (row.confirmed_best in words.responses), row


@WORDS
@pytest.mark.parametrize("days", [1, 28, 100])
def test_a_later_confirmation_never_makes_a_response(words: Vocabulary, days: int) -> None:
    calls, tables = study(COHORT, words)
    late = charter_with(confirm_days=CHARTER.number("confirm_days") + days)
    now, later = (best_response(calls, {}, tables, each, words=words) for each in (CHARTER, late))
    gained = (now["confirmed_response"] != "Y") & (later["confirmed_response"] == "Y")
    assert not gained.any()
    became = ~now["confirmed_best"].isin(words.responses) & later["confirmed_best"].isin(words.responses)
    assert not became.any()
    assert now["best_response"].tolist() == later["best_response"].tolist()
    unresponsive = ~now["best_response"].isin(words.responses)
    assert now.loc[unresponsive, "confirmed_best"].tolist() == later.loc[unresponsive, "confirmed_best"].tolist()


@WORDS
@pytest.mark.parametrize("seed", [1, 2])
def test_order_of_rows_and_subjects_changes_nothing(words: Vocabulary, seed: int) -> None:
    calls, tables = study(COHORT, words)
    mixed = {"subjects": tables["subjects"].sample(frac=1, random_state=seed)}
    one, other = derive(calls, tables, words), derive(calls.sample(frac=1, random_state=seed), mixed, words)
    for ours, theirs in zip(one, other, strict=True):
        pd.testing.assert_frame_equal(ours, theirs)


@WORDS
def test_a_subject_alone_has_the_same_result(words: Vocabulary) -> None:
    calls, tables = study(COHORT, words)
    best, times = derive(calls, tables, words)
    for subject in ("S0", "S7", "S42"):
        one = {"subjects": tables["subjects"][tables["subjects"]["subject_id"] == subject]}
        alone, own = derive(calls[calls["subject_id"] == subject], one, words)
        pd.testing.assert_frame_equal(best[best["subject_id"] == subject].reset_index(drop=True), alone)
        pd.testing.assert_frame_equal(times[times["subject_id"] == subject].reset_index(drop=True), own)


@WORDS
@pytest.mark.parametrize("days", [-1000, 59])
def test_shifting_all_dates_shifts_the_results(words: Vocabulary, days: int) -> None:
    now, moved = derive(*study(COHORT, words), words), derive(*study(COHORT, words, shift=days), words)
    dates = [["date", "confirmed_best_date", "confirmed_date", "progression_date"], ["start_date", "date"]]
    for ours, theirs, columns in zip(now, moved, dates, strict=True):
        rest = [name for name in ours.columns if name not in columns and name != "reason"]
        pd.testing.assert_frame_equal(ours[rest], theirs[rest])
        for name in columns:
            expected = pd.to_datetime(ours[name], errors="coerce") + pd.Timedelta(days=days)
            pd.testing.assert_series_equal(
                expected, pd.to_datetime(theirs[name], errors="coerce"), check_names=False, check_dtype=False
            )


@WORDS
def test_every_subject_has_one_row_for_each_endpoint_of_its_set(words: Vocabulary) -> None:
    best, times = derive(*study(COHORT, words), words)
    assert not times.duplicated(["subject_id", "parameter", "policy"]).any()
    count = times.groupby("parameter")["subject_id"].nunique().to_dict()
    assert count["OS"] == count["LMPFS"] == len(COHORT)
    confirmed = int((best["confirmed_response"] == "Y").sum())
    assert count.get("DOR", 0) == count.get("TTR", 0) == confirmed > 0
    assert (times["days"].astype(int) >= 1).all()
