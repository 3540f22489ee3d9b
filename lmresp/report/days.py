"""Days and weeks of a subject on a common axis."""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Iterable, Mapping


def parse_day(text: str) -> dt.date | None:
    """Read the day of an ISO 8601 date or date and time; ``None`` for a partial date, no date or other text."""
    try:
        return dt.date.fromisoformat(text.strip()[:10])
    except ValueError:
        return None


def origin(subject: Mapping[str, str], days: Iterable[dt.date]) -> dt.date | None:
    """Time origin of a subject: randomisation, else first dose, else the first day known of the subject."""
    for column in ("rand_dtc", "ref_start_dtc"):
        day = parse_day(subject.get(column, ""))
        if day is not None:
            return day
    return min(days, default=None)


def weeks(day: dt.date, start: dt.date) -> float:
    """Weeks from the origin to a day (may be negative)."""
    return (day - start).days / 7


def axis_ticks(low: float, high: float) -> list[int]:
    """Whole weeks to label on an axis from ``low`` to ``high`` weeks: at most 14, on a round step."""
    span = max(high - low, 1.0)
    step = next((s for s in (1, 2, 4, 6, 12, 24, 52) if span / s <= 13), 52 * math.ceil(span / 52 / 13))
    first = math.ceil(low / step) * step
    return list(range(first, math.floor(high) + 1, step))
