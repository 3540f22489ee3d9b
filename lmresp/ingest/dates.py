"""Dates as study tables carry them: ISO 8601 text that may be partial. Nothing is imputed here."""

from __future__ import annotations

import calendar
import datetime
import re
from functools import lru_cache

ALLOWED = "YYYY, YYYY-MM, YYYY-MM-DD, YYYY-MM-DDThh:mm[:ss][Z or +hh:mm], YYYY---DD or --MM-DD"
ALLOWED_FULL = "YYYY-MM-DD or YYYY-MM-DDThh:mm[:ss][Z or +hh:mm]"
ALLOWED_TIME = "YYYY-MM-DDThh:mm[:ss][Z or +hh:mm]"

_FORM = re.compile(
    r"(?P<year>[0-9]{4})"
    r"(?:-(?P<month>[0-9]{2})(?:-(?P<day>[0-9]{2})"
    r"(?P<time>T(?P<hour>[0-9]{2}):(?P<minute>[0-9]{2})(?::(?P<second>[0-9]{2}))?"
    r"(?P<zone>Z|[+-][0-9]{2}:[0-9]{2})?)?)?"
    r"|---(?P<gap_day>[0-9]{2}))?"
)
_NO_YEAR = re.compile(r"--(?P<month>[0-9]{2})-(?P<day>[0-9]{2})")


@lru_cache(maxsize=100_000)
def problem(text: str) -> str:
    """Say what is wrong with a date text.

    Parameters
    ----------
    text : str
        A date as in the tables, without blanks around it.

    Returns
    -------
    str
        Empty when the text has one of the forms of :data:`ALLOWED` and stands in the calendar, else a phrase.

    Notes
    -----
    The list of forms is that of the study's data specification (SDTM's ISO 8601 text with its two gap forms).
    Years before 1900 are refused as misspelt.
    """
    no_year = _NO_YEAR.fullmatch(text)
    if no_year:
        return _calendar_problem(2000, no_year["month"], no_year["day"])  # a leap year: --02-29 is possible
    form = _FORM.fullmatch(text)
    if not form:
        return "is not an ISO 8601 date"
    if not 1900 <= int(form["year"]) <= 2199:
        return "has a year outside 1900 to 2199"
    if form["gap_day"]:
        return "" if 1 <= int(form["gap_day"]) <= 31 else "has a day that is not in the calendar"
    return _calendar_problem(int(form["year"]), form["month"], form["day"]) or _clock_problem(form)


def is_full(text: str) -> bool:
    """Whether a valid date text has year, month and day."""
    return bool(re.match(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", text)) and not problem(text)


def has_time(text: str) -> bool:
    """Whether a valid date text has a time of day."""
    return "T" in text and not problem(text)


def earliest(text: str) -> datetime.date | None:
    """Return the earliest day that a valid date text can mean; None when its year or month is not known.

    Times are dropped: texts without a zone are local and can be compared by day only.
    """
    return _bound(text, first=True)


def latest(text: str) -> datetime.date | None:
    """Return the latest day that a valid date text can mean; None when its year or month is not known."""
    return _bound(text, first=False)


def moment(text: str) -> datetime.datetime | None:
    """Return date and time of a valid text that has both, as written (zone dropped); None otherwise."""
    return datetime.datetime.fromisoformat(text).replace(tzinfo=None) if has_time(text) else None


def _bound(text: str, *, first: bool) -> datetime.date | None:
    if not text or "--" in text or problem(text):
        return None
    year, month, day = int(text[:4]), text[5:7], text[8:10]
    at_month = int(month) if month else (1 if first else 12)
    last_day = calendar.monthrange(year, at_month)[1]
    return datetime.date(year, at_month, int(day) if day else (1 if first else last_day))


def _calendar_problem(year: int, month: str | None, day: str | None) -> str:
    try:
        datetime.date(year, int(month or 1), int(day or 1))
    except ValueError:
        return "is not in the calendar"
    return ""


def _clock_problem(form: re.Match[str]) -> str:
    hour, minute, second = (int(form[name] or 0) for name in ("hour", "minute", "second"))
    zone = form["zone"] or "Z"
    if hour > 23 or minute > 59 or second > 59:
        return "has a time that is not on the clock"
    if zone != "Z" and (int(zone[1:3]) > 14 or int(zone[4:6]) > 59):
        return "has a time zone that does not exist"
    return ""
