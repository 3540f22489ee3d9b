"""Geometry of a Kaplan-Meier figure: rows of ``survival_curve.csv`` in, paths in SVG units out.

Drawing is left to ``templates/survival.svg.j2``. Curves are told apart by their dash, and by colour besides.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence

from lmresp.report.days import axis_ticks
from lmresp.report.study_data import Row, Rows

WIDTH = 600
LEFT = 58  # room for the percents and for the words "at risk"
RIGHT = 18
TOP = 12
PLOT = 210  # height of the plot
TABLE = 72  # from the foot of the plot to the first row of numbers at risk
LINE = 36  # height of a name and its row of numbers at risk
SHORTEST_WEEKS = 4.0  # a shorter follow-up is drawn on an axis of so many weeks
DASHES = ("", "7 4", "2 3", "9 3 2 3")
COLOURS = ("#111418", "#0072b2", "#d55e00", "#009e73")


@dataclasses.dataclass(frozen=True, slots=True)
class Step:
    """One row of a curve: the day, and what is known from it on (share alive, pointwise limits)."""

    day: float
    at_risk: int
    censored: int
    survival: float
    limits: tuple[float, float] | None


@dataclasses.dataclass(frozen=True, slots=True)
class Curve:
    """One curve: its line, its ticks, the limits around it, and how many were at risk at each label of the axis."""

    group: str
    dash: str
    colour: str
    line: str
    bands: Sequence[str]
    ticks: Sequence[tuple[float, float, str]]
    at_risk: Sequence[tuple[float, int]]
    table_y: float
    median_x: float | None


@dataclasses.dataclass(frozen=True, slots=True)
class SurvivalFigure:
    """A Kaplan-Meier figure; ``low`` is the foot of the plot, ``height`` that of the whole drawing."""

    curves: Sequence[Curve]
    ticks: Sequence[tuple[float, int]]
    levels: Sequence[tuple[float, int]]
    low: float
    height: float

    @property
    def half(self) -> float:
        """Height of one half, where the median is read."""
        return _y(0.5)


def _y(share: float) -> float:
    return round(TOP + (1 - share) * PLOT, 1)


def _steps(rows: Rows) -> list[Step]:
    """Read the rows of one curve, in the order of the days.

    Raises
    ------
    ValueError
        If a number of the curve is none: the statistics never write such a row.
    """
    steps = []
    for row in rows:
        limits = (float(row["low"]), float(row["high"])) if row["low"] and row["high"] else None
        numbers = int(row["at_risk"]), int(row["censored"])
        steps.append(Step(float(row["day"]), *numbers, float(row["survival"]), limits))
    return sorted(steps, key=lambda step: step.day)


class _Scale:
    def __init__(self, last_day: float) -> None:
        self.weeks = max(last_day / 7, SHORTEST_WEEKS)

    def x(self, day: float) -> float:
        return round(LEFT + day / 7 / self.weeks * (WIDTH - LEFT - RIGHT), 1)


def _line(steps: Sequence[Step], scale: _Scale) -> str:
    """Path of the step function: level until the day of an event, then down; it ends on the last day observed."""
    path, level = f"M{scale.x(0)} {_y(1)}", 1.0
    for step in steps:
        path += f"H{scale.x(step.day)}"
        if step.survival != level:
            path, level = f"{path}V{_y(step.survival)}", step.survival
    return path


def _bands(steps: Sequence[Step], scale: _Scale) -> Iterator[str]:
    """Outlines of the pointwise limits, one for each stretch of days on which they exist."""
    upper, lower = "", ""
    for step, following in zip(steps, [*steps[1:], None], strict=True):
        if following is None or step.limits is None:
            if upper:
                yield f"{upper}{lower}Z"
            upper, lower = "", ""
            continue
        left, right = scale.x(step.day), scale.x(following.day)
        low, high = (_y(limit) for limit in step.limits)
        upper += f"{'L' if upper else 'M'}{left} {high}H{right}"
        lower = f"L{right} {low}H{left}{lower}"


def _at_risk(steps: Sequence[Step], week: int) -> int:
    """How many are followed to the first day of a week or longer."""
    return next((step.at_risk for step in steps if step.day >= week * 7), 0)


def survival_figure(curve_rows: Rows, survival_rows: Rows) -> SurvivalFigure | None:
    """Lay out one parameter under one policy.

    Parameters
    ----------
    curve_rows : sequence of mapping
        Rows of ``survival_curve.csv`` of the parameter and policy.
    survival_rows : sequence of mapping
        The rows of ``survival.csv`` of the same, for the medians.

    Returns
    -------
    SurvivalFigure or None
        One curve for each arm, or one for all where there is one arm only; ``None`` when there is no curve. Pointwise
        limits are drawn for a single curve only.
    """
    groups: dict[str, list[Row]] = {}
    for row in curve_rows:
        groups.setdefault(row["group"], []).append(row)
    if len(groups) > 1:
        groups.pop("all", None)
    if not groups:
        return None
    medians = {row["group"]: row.get("median_days", "") for row in survival_rows}
    read = {group: _steps(rows) for group, rows in groups.items()}
    scale = _Scale(max(steps[-1].day for steps in read.values()))
    ticks = [(scale.x(week * 7), week) for week in axis_ticks(0, scale.weeks)]
    low = _y(0)
    curves = []
    for number, (group, steps) in enumerate(read.items()):
        median = medians.get(group, "")
        curves.append(
            Curve(
                group=group,
                dash=DASHES[number % len(DASHES)],
                colour=COLOURS[number % len(COLOURS)],
                line=_line(steps, scale),
                bands=list(_bands(steps, scale)) if len(read) == 1 else [],
                ticks=[
                    (scale.x(s.day), _y(s.survival), f"day {s.day:g}: {s.censored} censored")
                    for s in steps
                    if s.censored
                ],
                at_risk=[(x, _at_risk(steps, week)) for x, week in ticks],
                table_y=low + TABLE + number * LINE,
                median_x=scale.x(float(median)) if median else None,
            )
        )
    levels = [(_y(percent / 100), percent) for percent in (100, 75, 50, 25, 0)]
    return SurvivalFigure(curves, ticks, levels, low, low + TABLE + (len(curves) - 1) * LINE + 12)
