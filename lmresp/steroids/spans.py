"""The days that an interval with partial dates may cover."""

from __future__ import annotations

import numpy as np
import pandas as pd

COLUMNS = ("start_low", "start_high", "end_low", "end_high", "reversed")


def possible_days(starts: pd.Series, ends: pd.Series, ongoing: pd.Series, once: pd.Series) -> pd.DataFrame:
    """Turn the dates of intervals into the earliest and latest day on which each may start and end.

    Parameters
    ----------
    starts, ends : pandas.Series of str
        ISO 8601 text, may be partial or empty.
    ongoing : pandas.Series of str
        ``Y``, ``N`` or empty.
    once : pandas.Series of bool
        Whether a single dose was given, on the first day.

    Returns
    -------
    pandas.DataFrame
        Columns :data:`COLUMNS` on the same index: days since 1970-01-01, minus or plus infinity where nothing bounds
        them, and whether the end lies before the start.

    Notes
    -----
    A start is never completed. An end without a day is the last day of its month, without a month 31 December; no
    end means that the interval goes on, unless ``ongoing`` is N: then any later day may be its last. An end together
    with ongoing Y may be wrong, as may either date of an interval that ends before it starts.
    """
    start_low, start_high = _bounds(starts)
    start_low, start_high = start_low.fillna(-np.inf), start_high.fillna(np.inf)
    last = _bounds(ends)[1]
    unreadable = (ends != "") & last.isna()
    backwards = last < start_low
    start_high = start_high.where(~(last < start_high) | backwards, last)
    open_end = (last.isna() & (ongoing == "N")) | unreadable
    end_low = last.fillna(np.inf).mask(open_end, start_high)
    end_high = last.fillna(np.inf).mask((last.notna() & (ongoing == "Y")) | unreadable, np.inf)
    end_low, end_high = end_low.mask(once, start_low), end_high.mask(once, start_high)
    backwards &= ~once
    return pd.DataFrame(
        {
            "start_low": start_low.mask(backwards, last),
            "start_high": start_high.mask(backwards, np.inf),
            "end_low": end_low.mask(backwards, -np.inf),
            "end_high": end_high.mask(backwards, np.inf),
            "reversed": backwards,
        }
    )


def _bounds(texts: pd.Series) -> tuple[pd.Series, pd.Series]:
    """Return the first and last day that each text can mean; NaN when its year is not known."""
    gap = texts.str.replace(r"^(\d{4})---\d{2}$", r"\1", regex=True)  # a day without its month
    parts = gap.str.extract(r"^(\d{4})(?:-(\d{2})(?:-(\d{2})(?:T.*)?)?)?$").fillna("")
    year, month, day = (parts[place] for place in range(3))
    first_text = year + "-" + month.where(month != "", "01") + "-" + day.where(day != "", "01")
    first = pd.to_datetime(first_text, format="%Y-%m-%d", errors="coerce")
    last = first.where(month != "", first + pd.offsets.YearEnd(0))
    last = last.where((month == "") | (day != ""), last + pd.offsets.MonthEnd(0))
    return _number(first), _number(last)


def _number(dates: pd.Series) -> pd.Series:
    return (dates - pd.Timestamp("1970-01-01")) / pd.Timedelta(days=1)
