"""Best response: the worked examples of the derivation rules (origin 2023-03-01, defaults)."""

from __future__ import annotations

import datetime

import pandas as pd
import pytest

from lmresp.criteria import charter_from_record, charter_record, load_charter
from lmresp.response.best import best_response

ORIGIN = datetime.date(2023, 3, 1)
SUBJECTS = pd.DataFrame([{"subject_id": "S1", "ref_start_dtc": "2023-03-01", "rand_dtc": ""}])
R, S, P, N = "RESPONSE", "STABLE", "PROGRESSION", "NOT_EVALUABLE"


def derive(*calls: tuple[int, str]) -> list[str]:
    rows = [
        {
            "subject_id": "S1",
            "visit": f"V{n}",
            "visit_num": str(n),
            "call": call,
            "provisional": "Y",
            "date": (ORIGIN + datetime.timedelta(days=day)).isoformat(),
        }
        for n, (day, call) in enumerate(calls)
    ]
    frame = pd.DataFrame(rows, columns=["subject_id", "visit", "visit_num", "call", "provisional", "date"])
    row = best_response(frame, SUBJECTS, load_charter()).iloc[0]
    return [row["best_response"], row["date"], row["confirmed_response"], row["confirmed_date"]]


@pytest.mark.parametrize(
    ("calls", "expected"),
    [
        ([(43, R), (71, R)], [R, "2023-04-13", "Y", "2023-04-13"]),
        ([(43, R), (70, R)], [R, "2023-04-13", "N", ""]),  # 27 days apart
        ([(43, R), (85, N), (127, R)], [R, "2023-04-13", "Y", "2023-04-13"]),  # one gap allowed
        ([(43, R), (85, N), (106, N), (127, R)], [R, "2023-04-13", "N", ""]),  # two gaps
        ([(43, R), (85, S), (127, R)], [R, "2023-04-13", "N", ""]),  # stability breaks it
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
def test_worked_examples(calls: list[tuple[int, str]], expected: list[str]) -> None:
    assert derive(*calls) == expected


def test_everyone_has_a_row_and_a_subject_set_aside_says_so() -> None:
    people = pd.DataFrame([{"subject_id": name, "ref_start_dtc": "2023-03-01"} for name in ("S2", "S1", "S3")])
    calls = pd.DataFrame(
        [{"subject_id": "S1", "visit": "V1", "visit_num": "1", "call": S, "provisional": "N", "date": "2023-05-01"}]
    )
    rows = best_response(calls, people, load_charter(), {"S3": "key stands twice"}).set_index("subject_id")
    assert rows.index.tolist() == ["S1", "S2", "S3"]
    assert rows["best_response"].tolist() == [S, "MISSING", ""]
    assert rows.loc["S3", "reason"] == "set aside: key stands twice"
    assert rows.loc["S3", "confirmed_response"] == ""


def test_one_subjects_response_never_confirms_anothers() -> None:
    people = pd.DataFrame([{"subject_id": name, "ref_start_dtc": "2023-03-01"} for name in ("A", "B")])
    calls = pd.DataFrame(
        [
            {"subject_id": name, "visit": "V", "visit_num": "1", "call": R, "provisional": "N", "date": date}
            for name, date in (("A", "2023-05-01"), ("B", "2023-09-01"))
        ]
    )
    assert best_response(calls, people, load_charter())["confirmed_response"].tolist() == ["N", "N"]


def test_the_charter_orders_the_calls() -> None:
    people = pd.DataFrame([{"subject_id": "S1", "ref_start_dtc": "2023-03-01"}])
    calls = pd.DataFrame(
        [
            {"subject_id": "S1", "visit": "V", "visit_num": str(n), "call": call, "provisional": "N", "date": date}
            for n, (call, date) in enumerate([(S, "2023-05-01"), (R, "2023-05-01"), (N, "2023-06-01")])
        ]
    )
    assert best_response(calls, people, load_charter())["best_response"].tolist() == [S]
    record = charter_record(load_charter())
    record["settings"]["worst_first"]["value"] = [R, S, "SUSPECTED_PROGRESSION", P, N]
    assert best_response(calls, people, charter_from_record(record))["best_response"].tolist() == [R]
    record["settings"]["best_first"]["value"] = [N, P, "SUSPECTED_PROGRESSION", S, R]
    assert best_response(calls, people, charter_from_record(record))["best_response"].tolist() == [N]


def test_a_subject_whose_own_row_was_left_out_still_has_a_row() -> None:
    empty = pd.DataFrame(columns=["subject_id", "visit", "visit_num", "call", "provisional", "date"])
    rows = best_response(empty, SUBJECTS, load_charter(), {"S0": "ref_start_dtc is not a date"}).set_index("subject_id")
    assert list(rows.index) == ["S0", "S1"]
    assert rows.loc["S0", "reason"] == "set aside: ref_start_dtc is not a date"
    assert rows.loc["S1", "best_response"] == "MISSING"
