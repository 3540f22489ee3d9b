"""Geometry of a Kaplan-Meier figure against a curve counted by hand."""

from __future__ import annotations

import re

import pytest

from lmresp.report.survival_figure import LEFT, PLOT, RIGHT, TOP, WIDTH, SurvivalFigure, survival_figure


def row(day: int, at_risk: int, events: int, censored: int, survival: float, group: str = "all") -> dict[str, str]:
    cells = {"day": day, "at_risk": at_risk, "events": events, "censored": censored, "survival": survival}
    return {"group": group, "low": "", "high": ""} | {name: str(value) for name, value in cells.items()}


def drawn(rows: list[dict[str, str]], medians: dict[str, str] | None = None) -> SurvivalFigure:
    figure = survival_figure(rows, [{"group": g, "median_days": m} for g, m in (medians or {}).items()])
    assert figure is not None
    return figure


# Four subjects: an event on day 7, one censored on day 14, events on days 21 and 28. S = 3/4, 3/4, 3/8, 0.
FOUR = [row(7, 4, 1, 0, 0.75), row(14, 3, 0, 1, 0.75), row(21, 2, 1, 0, 0.375), row(28, 1, 1, 0, 0.0)]


def test_curve_is_level_until_an_event_and_then_falls() -> None:
    (curve,) = drawn(FOUR).curves
    span = WIDTH - LEFT - RIGHT  # four weeks
    x = [LEFT + week / 4 * span for week in range(5)]
    y = {share: TOP + (1 - share) * PLOT for share in (1, 0.75, 0.375, 0)}
    assert re.sub("[0-9.]", "", curve.line) == "M HVHHVHV"
    places = [float(number) for number in re.findall(r"[0-9.]+", curve.line)]
    wanted = [x[0], y[1], x[1], y[0.75], x[2], x[3], y[0.375], x[4], y[0]]
    assert places == pytest.approx(wanted, abs=0.06)
    ((tick_x, tick_y, title),) = curve.ticks
    assert (tick_x, tick_y) == pytest.approx((x[2], y[0.75]), abs=0.06)
    assert title == "day 14: 1 censored"


def test_numbers_at_risk_are_those_followed_to_the_week_or_longer() -> None:
    figure = drawn(FOUR)
    assert [week for _, week in figure.ticks] == [0, 1, 2, 3, 4]
    assert [count for _, count in figure.curves[0].at_risk] == [4, 4, 3, 2, 1]


def test_median_is_marked_only_where_it_is_reached() -> None:
    reached = drawn(FOUR, {"all": "21"})
    assert reached.curves[0].median_x == pytest.approx(LEFT + 0.75 * (WIDTH - LEFT - RIGHT))
    assert reached.half == TOP + PLOT / 2
    assert drawn(FOUR, {"all": ""}).curves[0].median_x is None


def test_limits_are_drawn_where_they_exist_and_for_one_curve_only() -> None:
    rows = [dict(each) for each in FOUR]
    rows[0] |= {"low": "0.13", "high": "0.96"}
    rows[2] |= {"low": "0.01", "high": "0.8"}
    (curve,) = drawn(rows).curves
    assert len(curve.bands) == 2  # days 7 to 14 and 21 to 28
    assert all(band.startswith("M") and band.endswith("Z") for band in curve.bands)
    two = drawn([*(each | {"group": "A"} for each in rows), *(each | {"group": "B"} for each in rows)])
    assert [curve.bands for curve in two.curves] == [[], []]


def test_arms_are_drawn_instead_of_all_and_differ_in_dash_as_well_as_colour() -> None:
    rows = [each | {"group": group} for group in ("all", "A", "B", "C", "D") for each in FOUR]
    curves = drawn(rows).curves
    assert [curve.group for curve in curves] == ["A", "B", "C", "D"]
    assert len({curve.dash for curve in curves}) == len({curve.colour for curve in curves}) == 4
    assert len({curve.table_y for curve in curves}) == 4


def test_one_subject_without_an_event_is_a_level_line_with_a_tick() -> None:
    (curve,) = drawn([row(1, 1, 0, 1, 1.0)]).curves
    assert not re.search("V", curve.line)
    assert len(curve.ticks) == 1
    assert [count for _, count in curve.at_risk] == [1, 0, 0, 0, 0]


def test_no_curve_no_figure() -> None:
    assert survival_figure([], []) is None


def test_a_curve_that_holds_no_numbers_is_a_broken_promise() -> None:
    with pytest.raises(ValueError, match="soon"):
        drawn([FOUR[0] | {"day": "soon"}])
