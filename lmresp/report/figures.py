"""Geometry of the swimmer plot and of a subject's timeline: rows of text in, positions in SVG units out.

Drawing is left to ``templates/figures.svg.j2``; nothing here knows about colours or markup.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
from collections.abc import Iterable, Mapping, Sequence

from lmresp.report.days import axis_ticks, origin, parse_day, weeks
from lmresp.report.study_data import Row, Rows
from lmresp.report.wording import Word, word

WIDTH = 1000
LABEL = 170  # room for lane labels and subject ids
RIGHT = 40  # room for the arrow and the cross
MARK = 30  # width of a mark
ROW = 26  # height of a swimmer row
LANE = 32  # height of a timeline lane


@dataclasses.dataclass(frozen=True, slots=True)
class Mark:
    """A box with letters: ``x`` is its centre, ``at`` its true place (they differ where boxes would overlap)."""

    x: float
    at: float
    word: Word
    title: str
    draft: bool = False
    provisional: bool = False


@dataclasses.dataclass(frozen=True, slots=True)
class Span:
    """A bar from ``x`` over ``width``, with text that fits in it."""

    x: float
    width: float
    text: str
    title: str
    open_end: bool = False


@dataclasses.dataclass(frozen=True, slots=True)
class Lane:
    """One row of a figure; ``y`` is its middle."""

    label: str
    y: float
    kind: str
    marks: Sequence[Mark] = ()
    spans: Sequence[Span] = ()


@dataclasses.dataclass(frozen=True, slots=True)
class Axis:
    """Weeks to SVG units."""

    low: float
    high: float

    def x(self, week: float) -> float:
        """Place of a week."""
        return round(LABEL + (week - self.low) / (self.high - self.low) * (WIDTH - LABEL - RIGHT), 1)

    @property
    def ticks(self) -> list[tuple[float, int]]:
        """Place and number of each labelled week."""
        return [(self.x(week), week) for week in axis_ticks(self.low, self.high)]


@dataclasses.dataclass(frozen=True, slots=True)
class SwimmerRow:
    """One subject of the swimmer plot."""

    subject: str
    y: float
    x: float
    width: float
    end_x: float  # where the end sign stands
    end: str  # "death", "off study", "ongoing"
    end_title: str
    marks: Sequence[Mark]
    summary: str


@dataclasses.dataclass(frozen=True, slots=True)
class Figure:
    """A figure with its axis and height; ``undated`` counts what could not be placed."""

    axis: Axis
    height: float
    lanes: Sequence[Lane] = ()
    rows: Sequence[SwimmerRow] = ()
    undated: int = 0


@dataclasses.dataclass(frozen=True)
class Course:
    """Everything stored about one subject, with the days that could be read."""

    subject: str
    facts: Row
    calls: Rows
    csf: Rows
    mri: Rows
    neuro: Rows
    steroids: Rows
    pathway: Rows
    visits: Rows
    treatments: Rows
    procedures: Rows
    disposition: Rows

    def day(self, row: Row) -> dt.date | None:
        """Day of a row of a visit: its own date, else the start of its visit."""
        own = parse_day(row.get("date", ""))
        if own is not None:
            return own
        starts = (v for v in self.visits if v.get("visit_num", "") == row.get("visit_num", ""))
        return next((day for v in starts if (day := parse_day(v.get("start_dtc", "")))), None)

    def seen_days(self) -> list[dt.date]:
        """Every readable day on which the subject was seen, sorted."""
        rows = [*self.calls, *self.csf, *self.mri, *self.neuro]
        days = {day for row in rows if (day := self.day(row))}
        days |= {day for v in self.visits if (day := parse_day(v.get("start_dtc", "")))}
        alive = parse_day(self.facts.get("last_alive_dtc", ""))
        return sorted(days | ({alive} if alive else set()))

    def start(self) -> dt.date | None:
        """Time origin."""
        return origin(self.facts, self.seen_days())

    def end(self) -> tuple[dt.date | None, str, str]:
        """Last day, its kind (death, off study, ongoing) and the words for it.

        A death whose date is not complete is drawn at the last day the subject is known to have lived.
        """
        last = max(self.seen_days(), default=self.start())
        death = self.facts.get("death_dtc", "")
        if death or self.facts.get("death_fl", "") == "Y":
            day = parse_day(death)
            return day or last, "death", f"died {day}" if day else f"died, date incomplete ({death or 'not given'})"
        left = [row for row in self.disposition if row.get("scope", "") == "STUDY PARTICIPATION"]
        for row in left:
            day = parse_day(row.get("dtc", ""))
            return day or last, "off study", f"left the study {row.get('dtc', '')}: {row.get('event', '')}"
        return last, "ongoing", f"on study, last seen {last}" if last else "no day known"


def _spread(marks: Iterable[Mark]) -> list[Mark]:
    """Shift boxes to the right until none covers another; ``at`` keeps the true place."""
    placed: list[Mark] = []
    for mark in sorted(marks, key=lambda m: (m.at, m.title)):
        x = max(mark.at, placed[-1].x + MARK + 2) if placed else mark.at
        placed.append(dataclasses.replace(mark, x=round(x, 1)))
    return placed


def _call_title(row: Row, week: float) -> str:
    call = word("call", row["call"])
    source = "draft, not read by a radiologist" if row.get("mri_source") == "draft" else ""
    provisional = "provisional" if row.get("provisional") == "Y" else ""
    return ", ".join(filter(None, [f"{row['visit']} (week {week:.1f}): {call.label}", source, provisional]))


def _call_marks(course: Course, axis: Axis, start: dt.date) -> list[Mark]:
    marks = []
    for row in course.calls:
        day = course.day(row)
        if day is None:
            continue
        week = weeks(day, start)
        x = axis.x(week)
        draft, provisional = row.get("mri_source") == "draft", row.get("provisional") == "Y"
        marks.append(Mark(x, x, word("call", row["call"]), _call_title(row, week), draft, provisional))
    return _spread(marks)


def swimmer(courses: Sequence[Course]) -> Figure:
    """One bar per subject, longest first (ties by id), with the calls at their days and how it ended.

    Parameters
    ----------
    courses : sequence of Course
        One per subject.

    Returns
    -------
    Figure
        ``rows`` hold the subjects that have a day at all; ``undated`` counts calls without one.
    """
    spans: list[tuple[float, float, Course, dt.date, str, str]] = []
    undated = 0
    for course in courses:
        start = course.start()
        last, end, end_title = course.end()
        undated += sum(course.day(row) is None for row in course.calls)
        if start is None or last is None:
            continue
        first = min([0.0, *(weeks(day, start) for row in course.calls if (day := course.day(row)))])
        spans.append((max(weeks(last, start), 0.0), first, course, start, end, end_title))
    spans.sort(key=lambda s: (-s[0], s[2].subject))
    axis = Axis(min((s[1] for s in spans), default=0.0), max([*(s[0] for s in spans), 4.0]))
    rows = []
    for number, (length, _, course, start, end, end_title) in enumerate(spans):
        marks = _call_marks(course, axis, start)
        bar_end = axis.x(length)
        covered = max([bar_end, *(m.x + MARK / 2 for m in marks)])
        summary = "; ".join([*(m.title for m in marks), end_title])
        x = axis.x(0)
        row = SwimmerRow(
            course.subject, number * ROW + ROW / 2, x, round(bar_end - x, 1), covered, end, end_title, marks, summary
        )
        rows.append(row)
    return Figure(axis, len(rows) * ROW, rows=rows, undated=undated)


def _strand_lane(label: str, group: str, rows: Rows, course: Course, axis: Axis, start: dt.date, y: float) -> Lane:
    marks = []
    for row in rows:
        day = course.day(row)
        if day is None:
            continue
        shown = word(group, row.get("status", ""))
        week = weeks(day, start)
        draft = row.get("source") == "draft"
        reason = row.get("reason", "")
        title = f"{row.get('visit', '')} (week {week:.1f}): {label} {shown.label}" + (", draft" if draft else "")
        marks.append(Mark(axis.x(week), axis.x(week), shown, f"{title}. {reason}" if reason else title, draft))
    return Lane(label, y, "marks", marks=_spread(marks))


def _fit(text: str, width: float) -> str:
    """Cut text to what about ``width`` units hold at 10 units font size."""
    room = int((width - 6) / 6.2)
    if room < 2:
        return ""
    return text if len(text) <= room else text[: room - 1] + "…"


def _treatment_lanes(course: Course, axis: Axis, start: dt.date, end: float, y: float) -> list[Lane]:
    spans: dict[str, list[Span]] = {}
    for row in course.treatments:
        first, last = parse_day(row.get("start_dtc", "")), parse_day(row.get("end_dtc", ""))
        if first is None:
            continue
        low = max(weeks(first, start), axis.low)
        high = min(weeks(last, start), axis.high) if last else max(end, low)
        if high < axis.low or low > axis.high:
            continue
        x, width = axis.x(low), max(round(axis.x(high) - axis.x(low), 1), 4.0)
        name = row.get("name", "")
        kind = word("treatment", row.get("kind", "")).label
        period = f"{row.get('start_dtc', '')} to {row.get('end_dtc', '') or 'ongoing'}"
        spans.setdefault(kind, []).append(Span(x, width, _fit(name, width), f"{kind}: {name}, {period}", last is None))
    return [Lane(kind, y + n * LANE, "bars", spans=spans[kind]) for n, kind in enumerate(sorted(spans))]


def _procedure_lane(course: Course, axis: Axis, start: dt.date, y: float) -> list[Lane]:
    marks = []
    for row in course.procedures:
        day = parse_day(row.get("start_dtc", ""))
        if day is None or not axis.low <= weeks(day, start) <= axis.high:
            continue
        shown = dataclasses.replace(word("procedure", row.get("kind", "")), tone="plain")
        x = axis.x(weeks(day, start))
        marks.append(Mark(x, x, shown, f"{shown.label}, {row.get('start_dtc', '')}"))
    return [Lane("Procedures", y, "marks", marks=_spread(marks))] if marks else []


def _branch_lane(course: Course, axis: Axis, start: dt.date, until: float, y: float) -> Lane:
    placed = [(weeks(day, start), row) for row in course.pathway if (day := course.day(row))]
    placed.sort(key=lambda p: (p[0], p[1].get("visit_num", "")))
    spans = []
    for number, (week, row) in enumerate(placed):
        x = axis.x(week)
        end = axis.x(placed[number + 1][0]) if number + 1 < len(placed) else min(max(axis.x(until), x + 90), WIDTH)
        width = max(round(end - x - 2, 1), 4.0)
        short = " / ".join(name.removeprefix("B_").replace("_", " ") for name in row.get("branch", "").split(";"))
        title = f"{row.get('visit', '')} (week {week:.1f}): {row.get('branch', '')} {row.get('branch_label', '')}"
        spans.append(Span(x, width, _fit(short, width), title))
    return Lane("Pathway branch", y, "ribbon", spans=spans)


def timeline(course: Course) -> Figure | None:
    """Lanes of one subject over weeks: treatment, procedures, the three strands, steroids, call, branch.

    Returns
    -------
    Figure or None
        ``None`` when no day of the subject is known, so that there is no axis.
    """
    start, seen = course.start(), course.seen_days()
    last, end, end_title = course.end()
    if start is None or last is None:
        return None
    low = min([0.0, *(weeks(day, start) for day in seen)])
    high = max([4.0, weeks(last, start), *(weeks(day, start) for day in seen)])
    axis = Axis(low, high + 0.04 * (high - low))  # the last box keeps clear of the edge
    until = weeks(last, start)
    lanes = _treatment_lanes(course, axis, start, until, LANE / 2)
    lanes += _procedure_lane(course, axis, start, LANE / 2 + len(lanes) * LANE)
    strands: tuple[tuple[str, str, Rows], ...] = (
        ("CSF", "csf", course.csf),
        ("MRI", "mri", course.mri),
        ("Neuro", "neuro", course.neuro),
        *((("Steroids", "steroids", course.steroids),) if course.steroids else ()),
    )
    for label, group, rows in strands:
        lanes.append(_strand_lane(label, group, rows, course, axis, start, LANE / 2 + len(lanes) * LANE))
    call_y, calls = LANE / 2 + len(lanes) * LANE, _call_marks(course, axis, start)
    lanes.append(Lane("Call", call_y, "call", marks=calls))
    lanes.append(_branch_lane(course, axis, start, until, call_y + LANE))
    undated = sum(course.day(row) is None for row in (*course.calls, *course.csf, *course.mri, *course.neuro))
    height = len(lanes) * LANE
    x = axis.x(until)
    clear = max([x, *(mark.x + MARK / 2 for mark in calls)])
    ending = SwimmerRow(course.subject, call_y, x, 0, clear, end, end_title, (), end_title)
    return Figure(axis, height, lanes=lanes, rows=[ending], undated=undated)


def by_subject(rows: Rows) -> Mapping[str, list[Row]]:
    """Group rows by ``subject_id``, keeping their order."""
    groups: dict[str, list[Row]] = {}
    for row in rows:
        groups.setdefault(row.get("subject_id", ""), []).append(row)
    return groups
