"""Rates: reference intervals (recomputed by hand or in R) and who is counted."""

from __future__ import annotations

import pandas as pd
import pytest

from lmresp.criteria import load_charter
from lmresp.statistics.rates import COLUMNS, proportion, rates


@pytest.mark.parametrize(
    ("responders", "subjects", "exact", "wilson"),
    [
        (81, 263, ("25.27", "36.76"), ("25.53", "36.62")),
        (15, 148, ("5.78", "16.17"), ("6.24", "16.05")),
        (0, 20, ("0.00", "16.84"), ("0.00", "16.11")),
        (1, 29, ("0.09", "17.76"), ("0.61", "17.18")),
        (29, 29, ("88.06", "100.00"), ("88.30", "100.00")),
        (7, 20, ("15.39", "59.22"), ("18.12", "56.71")),
    ],
)
def test_intervals(responders: int, subjects: int, exact: tuple[str, str], wilson: tuple[str, str]) -> None:
    found = proportion(responders, subjects)
    assert (found["clopper_pearson_low"], found["clopper_pearson_high"]) == exact
    assert (found["wilson_low"], found["wilson_high"]) == wilson


def test_a_rate_of_nobody_has_no_interval() -> None:
    found = proportion(0, 0)
    assert found["subjects"] == "0"
    assert {found[name] for name in ("percent", "clopper_pearson_low", "wilson_high")} == {""}


BEST = pd.DataFrame(
    [
        ("S1", "RESPONSE", "RESPONSE", "Y"),
        ("S2", "RESPONSE", "STABLE", "N"),  # the same day, unconfirmed
        ("S3", "RESPONSE", "NOT_EVALUABLE", "PENDING"),
        ("S4", "PROGRESSION", "PROGRESSION", "N"),
        ("S5", "MISSING", "MISSING", "N"),
        ("S6", "", "", ""),  # set aside
    ],
    columns=["subject_id", "best_response", "confirmed_best", "confirmed_response"],
)
SUBJECTS = pd.DataFrame({"subject_id": [f"S{n}" for n in range(1, 7)], "arm": ["A", "A", "A", "B", "B", "B"]})


def endpoints(parameter: str, *rows: tuple[str, str, str]) -> pd.DataFrame:
    frame = pd.DataFrame(rows, columns=["subject_id", "date", "censored"])
    return frame.assign(parameter=parameter, policy="charter")


def strand(*rows: tuple[str, str, str, str]) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=["subject_id", "date", "status", "flags"]).assign(symptomatic="Y")


NOTHING = strand()
NO_ENDPOINTS = endpoints("TTCSFCLR")


def rate(frame: pd.DataFrame, name: str, group: str = "all") -> dict[str, tuple[str, str]]:
    rows = frame[(frame["rate"] == name) & (frame["group"] == group)]
    return {row.confirmed: (row.responders, row.subjects) for row in rows.itertuples()}


def test_everyone_is_in_the_denominator() -> None:
    found = rates(BEST, NO_ENDPOINTS, NOTHING, NOTHING, SUBJECTS, load_charter())
    assert tuple(found.columns) == COLUMNS
    assert rate(found, "ORR") == {"N": ("3", "6"), "Y": ("1", "6")}
    assert rate(found, "DCR") == {"N": ("3", "6"), "Y": ("2", "6")}
    note = found.loc[found["rate"] == "ORR", "note"].iloc[0]
    assert "2 subject(s) differ" in note
    assert "1 set aside, counted as non-responders" in note
    assert "1 awaiting confirmation" in note


def test_arms_are_shown_when_there_are_several() -> None:
    found = rates(BEST, NO_ENDPOINTS, NOTHING, NOTHING, SUBJECTS, load_charter())
    assert rate(found, "ORR", "A") == {"N": ("3", "3"), "Y": ("1", "3")}
    assert rate(found, "ORR", "B") == {"N": ("0", "3"), "Y": ("0", "3")}
    one = rates(BEST, NO_ENDPOINTS, NOTHING, NOTHING, SUBJECTS.assign(arm="A"), load_charter())
    assert set(one["group"]) == {"all"}


def test_clearance_is_among_those_with_positive_cytology_at_baseline() -> None:
    csf = strand(
        ("S1", "2024-01-01", "positive_persistent", "baseline"),
        ("S1", "2024-02-12", "cleared", ""),
        ("S2", "2024-01-01", "positive_persistent", "baseline"),
        ("S2", "2024-02-12", "cleared", ""),
        ("S3", "2024-01-01", "positive_persistent", "baseline"),
        ("S3", "2024-02-12", "positive_persistent", ""),
        ("S3", "2024-03-25", "cleared", ""),  # after new therapy
        ("S4", "2024-01-01", "negative", "baseline"),
    )
    times = endpoints("TTCSFCLR", ("S1", "2024-02-12", "0"), ("S2", "2024-02-12", "1"), ("S3", "2024-02-12", "2"))
    found = rates(BEST, times, csf, NOTHING, SUBJECTS, load_charter())
    assert rate(found, "CSFCLR") == {"N": ("2", "3"), "Y": ("1", "3")}


def test_a_subject_set_aside_stays_in_the_denominator_of_clearance() -> None:
    csf = strand(("S1", "2024-01-01", "positive_persistent", "baseline"), ("S1", "2024-02-12", "cleared", ""))
    csf = pd.concat([csf, csf.assign(subject_id="S6")])
    found = rates(BEST, endpoints("TTCSFCLR", ("S1", "2024-02-12", "0")), csf, NOTHING, SUBJECTS, load_charter())
    assert rate(found, "CSFCLR") == {"N": ("1", "2"), "Y": ("1", "2")}
    assert "1 set aside, counted as non-responders" in found.loc[found["rate"] == "CSFCLR", "note"].iloc[0]


def test_an_improvement_after_deterioration_does_not_count() -> None:
    neuro = strand(
        ("S1", "2024-01-01", "stable", "baseline"),
        ("S1", "2024-02-12", "worse", ""),
        ("S1", "2024-03-25", "improved", ""),  # on the next therapy
        ("S1", "2024-05-06", "improved", ""),
    )
    times = endpoints("TTNEUDET", ("S1", "2024-02-12", "0"))
    found = rates(BEST, times, NOTHING, neuro, SUBJECTS, load_charter())
    assert rate(found, "NEUIMP") == {"N": ("0", "1"), "Y": ("0", "1")}


def test_improvement_is_among_those_with_a_deficit_at_baseline() -> None:
    neuro = strand(
        ("S1", "2024-01-01", "stable", "baseline"),
        ("S1", "2024-02-12", "improved", ""),
        ("S1", "2024-02-26", "not_evaluable", ""),  # neither confirms nor breaks
        ("S1", "2024-03-25", "improved", ""),
        ("S2", "2024-01-01", "stable", "baseline"),
        ("S2", "2024-02-12", "improved", ""),
        ("S2", "2024-02-26", "stable", ""),
        ("S2", "2024-03-25", "improved", ""),
        ("S3", "2024-01-01", "stable", "baseline"),
        ("S3", "2024-02-12", "improved", ""),
        ("S3", "2024-02-26", "improved", ""),  # 14 days: too soon
        ("S6", "2024-01-01", "stable", "baseline"),
        ("S6", "2024-02-12", "improved", ""),  # set aside: no responder
    )
    well = strand(("S4", "2024-01-01", "stable", "baseline"), ("S4", "2024-02-12", "stable", ""))
    neuro = pd.concat([neuro, well.assign(symptomatic="N")])
    found = rates(BEST, NO_ENDPOINTS, NOTHING, neuro, SUBJECTS, load_charter())
    assert rate(found, "NEUIMP") == {"N": ("3", "4"), "Y": ("1", "4")}
