"""What must hold for any course of calls: progression ends it, confirmation only takes away, order does not matter."""

from __future__ import annotations

import copy
import datetime

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lmresp.criteria import Charter, charter_from_record, charter_record, load_charter
from lmresp.response.best import best_response
from lmresp.response.time_to_event import time_to_event
from lmresp.response.vocabulary import Vocabulary, charter_vocabulary, load_vocabulary

RECORD = charter_record(load_charter())
CHARTER = load_charter()
START = datetime.date(2024, 1, 1)
FEW = settings(max_examples=6, deadline=None, derandomize=True)
VOCABULARIES = {"modified_rano_lm": charter_vocabulary(CHARTER), "recist_1_1": load_vocabulary("recist_1_1")}

# A visit is the place of its word in the order of the criterion and the days since the visit before.
VISIT = st.tuples(st.integers(0, 5), st.integers(1, 50))
COHORT = st.lists(st.lists(VISIT, max_size=6), min_size=4, max_size=12)
WORDS = pytest.mark.parametrize("words", list(VOCABULARIES.values()), ids=list(VOCABULARIES))
Course = list[tuple[int, int]]


def with_settings(**values: object) -> Charter:
    record = copy.deepcopy(RECORD)
    for name, value in values.items():
        record["settings"][name]["value"] = value
    return charter_from_record(record)


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


@WORDS
@FEW
@given(COHORT, VISIT)
def test_a_visit_after_progression_changes_nothing(
    words: Vocabulary, cohort: list[Course], more: tuple[int, int]
) -> None:
    ended = len(words.best_first) - 2  # the place of progression: last but one in both orders
    assert words.best_first[ended] in words.progression
    progressed = [[*course, (ended, 42)] for course in cohort]
    calls, tables = study(progressed, words)
    longer, _ = study([[*course, more] for course in progressed], words)
    before, after = derive(calls, tables, words), derive(longer, tables, words)
    pd.testing.assert_frame_equal(before[0], after[0])
    no_survival = [frame[frame["parameter"] != "OS"].reset_index(drop=True) for frame in (before[1], after[1])]
    pd.testing.assert_frame_equal(*no_survival)  # a later visit shows that the subject is alive


@WORDS
@FEW
@given(COHORT)
def test_best_response_is_never_worse_than_confirmed_best_response(words: Vocabulary, cohort: list[Course]) -> None:
    order = [*words.best_first, "MISSING"]
    best, _ = derive(*study(cohort, words), words)
    for row in best.itertuples():
        assert order.index(str(row.best_response)) <= order.index(str(row.confirmed_best))
        assert (row.confirmation == "") == (row.best_response not in words.responses)
        assert (row.confirmed_response == "Y") == (row.confirmed_best in words.responses)


@WORDS
@FEW
@given(COHORT, st.integers(0, 100))
def test_a_later_confirmation_never_makes_a_response(words: Vocabulary, cohort: list[Course], days: int) -> None:
    calls, tables = study(cohort, words)
    now, _ = derive(calls, tables, words)
    later, _ = derive(calls, tables, words, with_settings(confirm_days=28 + days))
    gained = (now["confirmed_response"] != "Y") & (later["confirmed_response"] == "Y")
    assert not gained.any()
    became = ~now["confirmed_best"].isin(words.responses) & later["confirmed_best"].isin(words.responses)
    assert not became.any()
    assert now["best_response"].tolist() == later["best_response"].tolist()
    unresponsive = ~now["best_response"].isin(words.responses)
    assert now.loc[unresponsive, "confirmed_best"].tolist() == later.loc[unresponsive, "confirmed_best"].tolist()


@WORDS
@FEW
@given(COHORT, st.randoms(use_true_random=False))
def test_order_of_rows_and_subjects_changes_nothing(words: Vocabulary, cohort: list[Course], random: object) -> None:
    calls, tables = study(cohort, words)
    seed = random.randint(0, 9999)
    mixed = {"subjects": tables["subjects"].sample(frac=1, random_state=seed)}
    one, other = derive(calls, tables, words), derive(calls.sample(frac=1, random_state=seed), mixed, words)
    for ours, theirs in zip(one, other, strict=True):
        pd.testing.assert_frame_equal(ours, theirs)


@WORDS
@FEW
@given(COHORT)
def test_a_subject_alone_has_the_same_result(words: Vocabulary, cohort: list[Course]) -> None:
    calls, tables = study(cohort, words)
    best, times = derive(calls, tables, words)
    one = {"subjects": tables["subjects"].iloc[:1]}
    alone, own = derive(calls[calls["subject_id"] == "S0"], one, words)
    pd.testing.assert_frame_equal(best.iloc[:1], alone)
    pd.testing.assert_frame_equal(times[times["subject_id"] == "S0"].reset_index(drop=True), own)


@WORDS
@FEW
@given(COHORT, st.integers(-1000, 1000))
def test_shifting_all_dates_shifts_the_results(words: Vocabulary, cohort: list[Course], days: int) -> None:
    now, moved = derive(*study(cohort, words), words), derive(*study(cohort, words, shift=days), words)
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
@FEW
@given(COHORT)
def test_every_subject_has_one_row_for_each_endpoint_of_its_set(words: Vocabulary, cohort: list[Course]) -> None:
    best, times = derive(*study(cohort, words), words)
    assert not times.duplicated(["subject_id", "parameter", "policy"]).any()
    count = times.groupby("parameter")["subject_id"].nunique().to_dict()
    assert count["OS"] == count["LMPFS"] == len(cohort)
    confirmed = int((best["confirmed_response"] == "Y").sum())
    assert count.get("DOR", 0) == count.get("TTR", 0) == confirmed
    assert (times["days"].astype(int) >= 1).all()
