"""Steroid doses by hand: equivalents, the five days of a visit, partial dates, and words that nobody may guess."""

from __future__ import annotations

import pandas as pd
import pytest

from lmresp.criteria import charter_from_record, charter_record, load_charter
from lmresp.errors import CriteriaError
from lmresp.steroids.dosing import COLUMNS, NO_TABLE, grade_steroids
from lmresp.steroids.lists import generic_name, intakes_per_day
from lmresp.terms import Steroids
from tests.charters import charter_with

DAYS = ["2024-01-01", "2024-02-12", "2024-03-25"]
SUBJECTS = pd.DataFrame([{"subject_id": name, "ref_start_dtc": "2024-01-01"} for name in ("S1", "S2")])
VISITS = pd.DataFrame(
    [
        {"subject_id": name, "visit_num": str(n), "visit": f"V{n}", "start_dtc": day, "status": "DONE"}
        for name in ("S1", "S2")
        for n, day in enumerate(DAYS)
    ]
)
NONE, STABLE, INCREASED, DECREASED, UNKNOWN = (
    *(Steroids.NONE, Steroids.STABLE, Steroids.INCREASED, Steroids.DECREASED),
    Steroids.UNKNOWN,
)


def course(dose: str, freq: str, start: str, end: str = "", drug: str = "dexamethasone", **more: str) -> dict[str, str]:
    given = {"subject_id": "S1", "drug": drug, "dose": dose, "unit": "mg", "freq": freq}
    return {**given, "start_dtc": start, "end_dtc": end, "row_id": f"steroids.csv:{start}", **more}


def grade(*rows: dict[str, str], days_before: int = 5) -> tuple[pd.DataFrame, list[str]]:
    charter = charter_with(steroid_days_before=days_before)
    frame, problems = grade_steroids(pd.DataFrame(list(rows)), SUBJECTS, VISITS, charter)
    assert list(frame.columns) == list(COLUMNS)
    return frame[frame["subject_id"] == "S1"].set_index("visit"), [problem.code for problem in problems]


@pytest.mark.parametrize(
    ("dose", "freq", "drug", "milligrams"),
    [
        ("40", "QD", "prednisone", "6"),  # 40 / 5 x 0.75
        ("4", "BID", "dexamethasone", "8"),
        ("2", "tid", "Dexamethasone sodium phosphate", "6"),
        ("32", "QD", "METHYLPREDNISOLONE", "6"),  # 32 / 4 x 0.75
        ("100", "Q12H", "hydrocortisone sodium succinate", "7.5"),  # 200 / 20 x 0.75
        ("12.5", "BID", "cortisone acetate", "0.75"),  # 25 mg of cortisone a day
        ("4", "QOD", "dexamethasone", "2"),
        ("1", "Q6H", "dexamethasone 1 mg", "4"),
    ],
)
def test_daily_dose_in_dexamethasone_equivalents(dose: str, freq: str, drug: str, milligrams: str) -> None:
    frame, problems = grade(course(dose, freq, "2023-12-01", drug=drug))
    assert frame["dex_eq_mg_day"].tolist() == [milligrams] * 3
    assert frame["status"].tolist() == [STABLE] * 3
    assert problems == []


def test_an_equal_dose_of_another_drug_is_stable() -> None:
    frame, _ = grade(course("6", "QD", "2023-12-01", "2024-01-31"), course("40", "QD", "2024-02-01", drug="prednisone"))
    assert frame["status"].tolist() == [STABLE] * 3


def test_rise_fall_and_end_against_baseline() -> None:
    frame, problems = grade(
        course("4", "BID", "2023-12-01", "2024-01-31"), course("4", "QD", "2024-02-01", "2024-03-01")
    )
    assert frame["status"].tolist() == [STABLE, DECREASED, NONE]
    assert frame["dex_eq_mg_day"].tolist() == ["8", "4", "0"]
    assert frame["reference_mg_day"].tolist() == ["8", "8", "8"]
    assert frame.loc["V2", "reason"] == "no steroid, 8 at baseline"
    rising, _ = grade(course("4", "QD", "2024-01-20"))
    assert rising["status"].tolist() == [NONE, INCREASED, INCREASED]
    assert problems == []


def test_the_dose_of_a_visit_is_the_mean_of_five_days() -> None:
    # Of 8 to 12 February the last two days were on 10 mg: 2 x 10 / 5 = 4 mg.
    frame, _ = grade(course("10", "QD", "2024-02-11"))
    assert frame["dex_eq_mg_day"].tolist() == ["0", "4", "10"]
    # A dose on the sixth day before the visit does not count any more.
    ended, _ = grade(course("10", "QD", "2024-02-01", "2024-02-07"))
    assert ended["status"].tolist() == [NONE, NONE, NONE]


def test_the_shipped_charter_takes_the_dose_of_the_day() -> None:
    # 4 mg a day from two days before baseline on: a mean of five days would be 2.4 mg, and no change a rise.
    two_days_before = course("4", "QD", "2023-12-30")
    days = load_charter().number("steroid_days_before")
    frame, _ = grade(two_days_before, days_before=days)
    assert frame["dex_eq_mg_day"].tolist() == ["4", "4", "4"]
    assert frame["status"].tolist() == [STABLE] * 3
    mean, _ = grade(two_days_before)
    assert mean["status"].tolist() == [STABLE, INCREASED, INCREASED]


def test_one_dose_counts_on_its_day() -> None:
    frame, _ = grade(course("10", "ONCE", "2024-02-12"))
    assert frame["dex_eq_mg_day"].tolist() == ["0", "2", "0"]


def test_intervals_that_overlap_add_up() -> None:
    frame, _ = grade(course("4", "QD", "2023-12-01"), course("2", "QD", "2024-01-15"))
    assert frame["dex_eq_mg_day"].tolist() == ["4", "6", "6"]


def test_a_change_of_dose_within_a_day_is_not_counted_twice() -> None:
    frame, _ = grade(course("4", "QD", "2023-12-01", "2024-02-10"), course("4", "QD", "2024-02-10"))
    assert frame["dex_eq_mg_day"].tolist() == ["4", "4", "4"]


def test_physiologic_replacement_is_apart() -> None:
    replacement = course("10", "BID", "2024-01-15", drug="hydrocortisone", physiologic="Y")
    frame, problems = grade(replacement)
    assert frame["status"].tolist() == [NONE] * 3
    assert frame.loc["V1", "reason"] == "only physiologic replacement"
    assert "physiologic_replacement" in frame.loc["V1", "flags"]
    assert "physiologic_replacement" not in frame.loc["V0", "flags"]
    both, _ = grade(course("4", "QD", "2023-12-01"), replacement)
    assert both["status"].tolist() == [STABLE] * 3
    assert grade({**replacement, "freq": "as ordered"})[1] == problems == []  # what is not counted is not asked for


def test_local_steroids_do_not_count_and_an_unknown_route_is_asked_for() -> None:
    frame, problems = grade(course("20", "QD", "2024-01-15", drug="hydrocortisone", route="topical"))
    assert (frame["status"].tolist(), problems) == ([NONE] * 3, [])
    frame, problems = grade(course("20", "QD", "2024-01-15", drug="hydrocortisone", route="INTRATHECAL"))
    assert (frame["status"].tolist(), problems) == ([NONE, UNKNOWN, UNKNOWN], ["DV035"])


@pytest.mark.parametrize(
    ("row", "code"),
    [
        (course("4", "PRN", "2024-02-01", "2024-03-01"), "DV031"),
        (course("4", "2x/d", "2024-02-01", "2024-03-01"), "DV031"),
        (course("4", "", "2024-02-01", "2024-03-01"), "DV031"),
        (course("4", "QD", "2024-02-01", "2024-03-01", drug="methyl prednisolone"), "DV032"),
        (course("4", "QD", "2024-02-01", "2024-03-01", drug="Decadron"), "DV032"),
        (course("4", "QD", "2024-02-01", "2024-03-01", drug="dexamethasone/prednisone"), "DV032"),
        (course("-4", "QD", "2024-02-01", "2024-03-01"), "DV034"),
        (course("inf", "QD", "2024-02-01", "2024-03-01"), "DV034"),
        (course("4,5", "QD", "2024-02-01", "2024-03-01"), "DV034"),
        (course("4", "QD", "2024-02-01", "2024-03-01", unit="g"), "DV034"),
    ],
)
def test_what_cannot_be_read_is_asked_for_and_makes_the_visits_it_touches_unknown(
    row: dict[str, str], code: str
) -> None:
    frame, problems = grade(row)
    assert frame["status"].tolist() == [NONE, UNKNOWN, NONE]
    assert problems == [code]
    assert frame.loc["V1", ["dex_eq_mg_day", "row_ids"]].tolist() == ["", "steroids.csv:2024-02-01"]


def test_an_unknown_dose_at_baseline_leaves_later_doses_without_comparison_but_not_their_absence() -> None:
    frame, _ = grade(course("4", "PRN", "2023-12-01", "2024-01-10"), course("4", "QD", "2024-02-01", "2024-03-01"))
    assert frame["status"].tolist() == [UNKNOWN, UNKNOWN, NONE]
    assert frame["dex_eq_mg_day"].tolist() == ["", "4", "0"]
    assert frame.loc["V1", "reason"].endswith("not known at baseline")


@pytest.mark.parametrize(
    ("start", "end", "more", "expected"),
    [
        ("2023-11", "", {}, [STABLE, STABLE, STABLE]),  # every possible start lies before the first five days
        ("2023-12", "", {}, [UNKNOWN, UNKNOWN, UNKNOWN]),  # those are 28 December to 1 January
        ("2024-02", "", {}, [NONE, UNKNOWN, INCREASED]),
        ("2024", "", {}, [UNKNOWN, UNKNOWN, UNKNOWN]),  # 1 January may be its first day
        ("2024---15", "", {}, [UNKNOWN, UNKNOWN, UNKNOWN]),
        ("", "", {}, [UNKNOWN, UNKNOWN, UNKNOWN]),
        ("2024-01-15", "2024-02", {}, [NONE, INCREASED, NONE]),  # 29 February
        ("2024-01-15", "2024", {}, [NONE, INCREASED, INCREASED]),  # 31 December
        ("2024-01-15", "", {"ongoing": "Y"}, [NONE, INCREASED, INCREASED]),
        ("2024-01-15", "", {"ongoing": "N"}, [NONE, UNKNOWN, UNKNOWN]),  # it ended, nobody knows when
        ("2024-01-15", "2024-02-20", {"ongoing": "Y"}, [NONE, INCREASED, UNKNOWN]),  # ended and not ended
        ("2024-03-01", "2024-02-01", {}, [NONE, UNKNOWN, UNKNOWN]),  # ends before it starts
        ("2024-01", "2024-01-20", {}, [UNKNOWN, NONE, NONE]),
    ],
)
def test_partial_and_contradictory_dates(start: str, end: str, more: dict[str, str], expected: list[str]) -> None:
    frame, problems = grade(course("4", "QD", start, end, **more))
    assert frame["status"].tolist() == expected
    assert problems == (["DV033"] if UNKNOWN in expected else [])


def test_a_subject_without_rows_took_none_and_a_study_without_rows_does_not_say() -> None:
    frame, _ = grade_steroids(pd.DataFrame([course("4", "QD", "2023-12-01")]), SUBJECTS, VISITS, load_charter())
    assert frame.loc[frame["subject_id"] == "S2", "status"].tolist() == [NONE] * 3
    for table in (None, pd.DataFrame(), pd.DataFrame(columns=["subject_id", "drug"])):
        frame, problems = grade_steroids(table, SUBJECTS, VISITS, load_charter())
        assert set(frame["status"]) == {UNKNOWN}
        assert set(frame["reason"]) == {NO_TABLE}
        assert problems == []


def test_a_visit_without_a_date_is_unknown() -> None:
    visits = VISITS.assign(status=["DONE", "NOT DONE", "DONE"] * 2, start_dtc=["2024-01-01", "", ""] * 2)
    visits["reason_not_done"] = ["", "holiday", ""] * 2
    frame, _ = grade_steroids(pd.DataFrame([course("4", "QD", "2023-12-01")]), SUBJECTS, visits, load_charter())
    assert frame["status"].tolist()[:3] == [STABLE, UNKNOWN, UNKNOWN]
    assert frame["reason"].tolist()[1:3] == ["visit not done: holiday", "the visit has no date"]


def test_row_order_changes_nothing() -> None:
    rows = [course("4", "QD", "2023-12-01", "2024-02-10"), course("4", "PRN", "2024-03-01"), course("2", "QD", "2024")]
    one, other = grade(*rows), grade(*reversed(rows))
    pd.testing.assert_frame_equal(one[0], other[0])
    assert sorted(one[1]) == sorted(other[1])


def test_names_of_drugs() -> None:
    known = load_charter().amounts("steroid_equivalents_mg")
    assert generic_name("Prednisolone", known) == "prednisolone"  # not inside methylprednisolone
    assert generic_name("Methylprednisolone 16 mg tablet", known) == "methylprednisolone"
    assert [generic_name(drug, known) for drug in ("", "sodium", "hydro cortisone", "fludrocortisone", "ünlü")] == [
        ""
    ] * 5
    assert generic_name("Methyl-Prednisolone", [*known, "methyl prednisolone"]) == "methyl prednisolone"


def test_every_frequency_is_in_capitals() -> None:
    assert all(word == word.upper() and count > 0 for word, count in intakes_per_day().items())


def test_a_charter_without_dexamethasone_cannot_compare() -> None:
    record = charter_record(load_charter())
    record["settings"]["steroid_equivalents_mg"]["value"] = {"prednisone": 5}
    with pytest.raises(CriteriaError, match="dexamethasone"):
        grade_steroids(pd.DataFrame([course("4", "QD", "2024")]), SUBJECTS, VISITS, charter_from_record(record))
