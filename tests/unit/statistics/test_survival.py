"""Kaplan-Meier: textbook data with reference values from R and SAS.

6-MP trial: Freireich EJ, et al. Blood 1963;21:699-716 (weeks; subjects still in remission have a plus).
"""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from lmresp.criteria import charter_from_record, charter_record, load_charter
from lmresp.statistics.survival import COLUMNS, CURVE_COLUMNS, curve, median_with_limits, survival

SIX_MP = "6 6 6 6+ 7 9+ 10 10+ 11+ 13 16 17+ 19+ 20+ 22 23 25+ 32+ 32+ 34+ 35+"
PLACEBO = "1 1 2 2 3 4 4 5 5 8 8 8 8 11 11 12 12 15 17 22 23"


def times(text: str) -> tuple[np.ndarray, np.ndarray]:
    words = text.split()
    return np.array([float(word.rstrip("+")) for word in words]), np.array([not word.endswith("+") for word in words])


@pytest.mark.parametrize(
    ("data", "interval", "median", "low", "high"),
    [
        (times(SIX_MP), "loglog", 23, 13, None),
        (times(SIX_MP), "log", 23, 16, None),
        (times(PLACEBO), "loglog", 8, 4, 11),
        (times(PLACEBO), "log", 8, 4, 12),
    ],
)
def test_reference_medians(
    data: tuple[np.ndarray, np.ndarray], interval: str, median: float, low: float, high: float | None
) -> None:
    found = median_with_limits(*data, interval)
    assert found[:2] == (median, low)
    assert np.isnan(found[2]) if high is None else found[2] == high


def test_pointwise_limits_of_the_6_mp_arm() -> None:
    """At week 10: S = 18/21 x 16/17 x 14/15; Greenwood's variance by hand, limits on both scales."""
    level = 18 / 21 * 16 / 17 * 14 / 15
    greenwood = 3 / (21 * 18) + 1 / (17 * 16) + 1 / (15 * 14)
    error, z = greenwood**0.5, 1.959964
    spread = z * error / -np.log(level)
    by_hand = {
        "log": (level * np.exp(-z * error), level * np.exp(z * error)),
        "loglog": (level ** np.exp(spread), level ** np.exp(-spread)),
    }
    for interval, (low, high) in by_hand.items():
        step = next(step for step in curve(*times(SIX_MP), interval) if step["day"] == "10")
        assert float(step["survival"]) == pytest.approx(level, abs=1e-6)
        assert (float(step["low"]), float(step["high"])) == pytest.approx((low, min(high, 1.0)), abs=2e-6)


def test_a_curve_at_exactly_one_half_gives_the_middle_of_the_stretch() -> None:
    everyone = np.ones(4, dtype=bool)
    assert median_with_limits(np.array([1.0, 2.0, 3.0, 4.0]), everyone, "loglog")[0] == 2.5
    # 1/2 as a product of fractions: 5/6 * 4/5 * 3/4
    at = np.array([1.0, 2.0, 3.0, 7.0, 8.0, 9.0])
    assert median_with_limits(at, np.ones(6, dtype=bool), "loglog")[0] == 5.0
    ended = np.array([True, True, False, False])  # no event later: the day on which it was reached
    assert median_with_limits(np.array([1.0, 2.0, 3.0, 4.0]), ended, "loglog")[0] == 2.0


def test_numbers_at_risk_of_the_6_mp_arm() -> None:
    steps = {step["day"]: step for step in curve(*times(SIX_MP), "log")}
    assert [steps[day]["at_risk"] for day in ("0", "6", "7", "10", "13", "16", "22", "23")] == [
        *("21", "21", "17", "15", "12", "11", "7", "6")
    ]
    assert (steps["6"]["events"], steps["6"]["censored"]) == ("3", "1")
    assert steps["6"]["survival"] == "0.857143"  # 18/21
    assert steps["0"]["low"] == ""


def endpoints(rows: list[tuple[str, str, str]]) -> pd.DataFrame:
    frame = pd.DataFrame(rows, columns=["subject_id", "days", "censored"])
    return frame.assign(parameter="OS", policy="charter", provisional="N")


def test_groups_and_what_was_not_reached() -> None:
    treated, control = times(SIX_MP), times(PLACEBO)
    rows, people = [], []
    for arm, (at, happened) in (("6-MP", treated), ("placebo", control)):
        for n, (day, event) in enumerate(zip(at, happened, strict=True)):
            people.append({"subject_id": f"{arm}{n}", "arm": arm})
            rows.append((f"{arm}{n}", f"{day:g}", "0" if event else "1"))
    medians, curves = survival(endpoints(rows), pd.DataFrame(people), load_charter())
    assert tuple(medians.columns) == COLUMNS
    assert tuple(curves.columns) == CURVE_COLUMNS
    by_group = medians.set_index("group")
    assert by_group.index.tolist() == ["all", "6-MP", "placebo"]
    assert by_group.loc["6-MP", ["subjects", "events", "censored"]].tolist() == ["21", "9", "12"]
    assert by_group.loc["6-MP", ["median_days", "low_days", "high_days"]].tolist() == ["23", "13", ""]
    assert by_group.loc["6-MP", "note"] == "not reached: upper limit"
    assert by_group.loc["placebo", ["median_days", "low_days", "high_days", "note"]].tolist() == ["8", "4", "11", ""]
    record = charter_record(load_charter())
    record["settings"]["median_interval"]["value"] = "log"
    other = survival(endpoints(rows), pd.DataFrame(people), charter_from_record(record))[0].set_index("group")
    assert other.loc["6-MP", ["low_days", "interval"]].tolist() == ["16", "log"]


@pytest.mark.parametrize("rows", [[("S1", "5", "1"), ("S2", "9", "3")], [("S1", "1", "0")]])
def test_few_subjects(rows: list[tuple[str, str, str]]) -> None:
    medians, curves = survival(endpoints(rows), pd.DataFrame([{"subject_id": "S1"}]), load_charter())
    events = sum(censored == "0" for *_, censored in rows)
    assert medians["events"].tolist() == [str(events)]
    assert medians["median_days"].tolist() == (["1"] if events else [""])
    assert medians["low_days"].tolist() == [""]
    assert float(curves["survival"].iloc[-1]) == 1 - events


def test_no_endpoints_give_headers_only() -> None:
    medians, curves = survival(endpoints([]), pd.DataFrame(columns=["subject_id"]), load_charter())
    assert medians.empty
    assert curves.empty
