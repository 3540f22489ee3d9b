"""Geometry of the figures of agreement: text of the tables in, places in SVG units out.

Drawing is left to ``templates/agreement.svg.j2``. Points are told apart by letters and shapes, never by colour.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence

from lmresp.report.study_data import Rows

LEFT, RIGHT = 340, 980  # ends of the axis of the dot plot
LINE = 22  # height of a row
TITLE = 24  # height of the name of an item
FLOOR = -0.2  # where the axis of kappa begins, or at the fifth below the lowest number
CHART_LEFT, CHART_RIGHT, CHART_TOP, CHART_LOW = 48, 580, 14, 150


@dataclasses.dataclass(frozen=True, slots=True)
class Dot:
    """One estimate: its letter, where it stands, and the ends of its limits (None without limits)."""

    letter: str
    label: str
    y: float
    x: float
    low: float | None
    high: float | None
    text: str


@dataclasses.dataclass(frozen=True, slots=True)
class Block:
    """One item: its name, its dots, and where published values lie (two places for a range)."""

    title: str
    y: float
    dots: Sequence[Dot]
    published: Sequence[float]
    published_y: float
    published_text: str


@dataclasses.dataclass(frozen=True, slots=True)
class DotPlot:
    """Kappas of the study beside the published ones; ``low`` is the foot of the plot."""

    blocks: Sequence[Block]
    ticks: Sequence[tuple[float, str]]
    low: float
    height: float


@dataclasses.dataclass(frozen=True, slots=True)
class Batch:
    """One batch of reads on a chart."""

    number: str
    x: float
    y: float
    outside: bool
    text: str


@dataclasses.dataclass(frozen=True, slots=True)
class Chart:
    """A p-chart of one reader: the centre, the limits as stepped lines, and the batches."""

    reader: str
    against: str
    centre: float
    lower: str
    upper: str
    batches: Sequence[Batch]
    trend: str


def dot_plot(items: Sequence[tuple[str, Sequence[tuple[str, str, str, str, str]], str]]) -> DotPlot | None:
    """Place the kappas of each item that has one; None where no item has.

    Parameters
    ----------
    items : sequence of tuple
        Title; points as letter, label, value, low, high (text, limits may be ""); published value (``0.44``, ``0.46 to
        0.63`` or "").
    """
    shown = [item for item in items if item[1]]
    if not shown:
        return None
    least = min(float(low or value) for _, points, _ in shown for _, _, value, low, _ in points)
    start = max(min(FLOOR, math.floor(least * 5) / 5), -1.0)

    def x(text: str) -> float:
        return round(LEFT + (float(text) - start) / (1 - start) * (RIGHT - LEFT), 1)

    blocks, y = [], 4.0
    for title, points, published in shown:
        top, y = y + 16, y + TITLE
        dots = []
        for letter, label, value, low, high in points:
            limits = f", 95 % limits {low} to {high}" if low else ", no limits"
            start_x, end_x = x(low) if low else None, x(high) if high else None
            dots.append(Dot(letter, label, y + LINE / 2, x(value), start_x, end_x, f"{label}: {value}{limits}"))
            y += LINE
        known = [x(part) for part in published.split(" to ")] if published else []
        blocks.append(Block(title, top, dots, known, y + LINE / 2, published))
        y += LINE if known else 0
    ticks = [(x(str(tick / 5)), f"{tick / 5:g}".replace("-", "−")) for tick in range(round(start * 5), 6)]
    return DotPlot(blocks, ticks, y + 4, y + 40)


def chart(rows: Rows) -> Chart:
    """Place the batches of one reader (rows of ``drift.csv``, two or more, in order)."""
    width = (CHART_RIGHT - CHART_LEFT) / len(rows)

    def y(percent: str) -> float:
        return round(CHART_LOW - float(percent) / 100 * (CHART_LOW - CHART_TOP), 1)

    def stepped(column: str) -> str:
        ends = [(CHART_LEFT + place * width, CHART_LEFT + (place + 1) * width) for place in range(len(rows))]
        return "".join(
            f"{'L' if place else 'M'}{start:.1f} {y(row[column])}H{end:.1f}"
            for place, ((start, end), row) in enumerate(zip(ends, rows, strict=True))
        )

    batches = [
        Batch(
            number=row["batch"],
            x=round(CHART_LEFT + (place + 0.5) * width, 1),
            y=y(row["percent"]),
            outside=row["outside"] != "",
            text=f"batch {row['batch']}, {row['first_read']} to {row['last_read']}: {row['agreed']} of {row['n']}",
        )
        for place, row in enumerate(rows)
    ]
    first = rows[0]
    trend = f"test of a trend: z = {first['trend_z']}, p = {first['trend_p']}" if first["trend_z"] else first["note"]
    return Chart(first["reader"], first["against"], y(first["centre"]), stepped("low"), stepped("high"), batches, trend)
