"""Queries on courses: calls that contradict one another, and endpoints that deserve a second look."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd

from lmresp import queries
from lmresp.criteria.timeline import day_text, days, text_frame
from lmresp.queries import Query
from lmresp.response.censoring import EVENT, MISSED
from lmresp.response.follow_up import BEFORE_ORIGIN
from lmresp.response.vocabulary import Vocabulary

MOST = 0.5
"""Share of censored subjects above which an endpoint is named."""


def check_calls(calls: pd.DataFrame, people: pd.DataFrame, best: pd.DataFrame, words: Vocabulary) -> list[Query]:
    """Name calls and subjects whose course is implausible or incomplete.

    Parameters
    ----------
    calls : pandas.DataFrame
        From :func:`lmresp.response.course.dated_calls`.
    people : pandas.DataFrame
        From :func:`lmresp.response.follow_up.follow_up`.
    best : pandas.DataFrame
        From :func:`lmresp.response.best.best_response`.
    words : Vocabulary

    Returns
    -------
    list of Query
        DV001 a response lost without progression, DV002 a better call after progression, DV003 a call after death,
        DV004 confirmation missing only because follow-up ended, DV005 not evaluable twice in a row, DV006 a death
        before the origin, DV050 one without a usable date, DV051 an adequate call without a date.
    """
    rows = calls.merge(people[["subject_id", "origin", "death"]], on="subject_id", how="inner")
    undated = rows[rows["day"].isna() & rows["call"].isin(words.adequate)]
    rows = rows[rows["day"].notna() & ~(rows["day"] < rows["origin"])]
    rows = rows.sort_values(["subject_id", "day", "number"], kind="stable").reset_index(drop=True)
    late = rows[rows["day"] > rows["death"]]
    found = [_query("DV003", row, limit=day_text(pd.Series([row.death])).iloc[0]) for row in late.itertuples()]
    found += [_query("DV051", row) for row in undated.itertuples()]
    rows = rows[~(rows["day"] > rows["death"])].reset_index(drop=True)
    found += [*_losses(rows, words), *_after_progression(rows, words), *_twice(rows, words)]
    found += [
        queries.make("DV004", subject_id=row.subject_id, visit=row.visit, value=row.date)
        for row in _unconfirmable(best, rows, people, words).itertuples()
    ]
    found += [
        queries.make(
            "DV006" if str(row.death_note).startswith(BEFORE_ORIGIN) else "DV050",
            subject_id=row.subject_id,
            file="subjects",
            column="death_dtc",
            value=row.death_note,
        )
        for row in people[people["dead"] & people["death"].isna() & ~people["is_aside"]].itertuples()
    ]
    return found


def _query(code: str, row: Any, **more: Any) -> Query:
    return queries.make(code, subject_id=row.subject_id, visit=row.visit, value=row.call, date=row.date, **more)


def _losses(rows: pd.DataFrame, words: Vocabulary) -> Iterator[Query]:
    """Each later call that should not follow a response unless progression lies between; the first of a subject."""
    stretch = rows["call"].isin(words.progression).groupby(rows["subject_id"], sort=False).cumsum()
    for word, after in sorted(words.implausible_after.items()):
        had = (rows["call"] == word).astype(int).groupby([rows["subject_id"], stretch], sort=False).cummax()
        lost = rows[(had == 1) & rows["call"].isin(after)].drop_duplicates("subject_id")
        for row in lost.itertuples():
            yield _query("DV001", row, before=word)


def _after_progression(rows: pd.DataFrame, words: Vocabulary) -> Iterator[Query]:
    ended = rows["call"].isin(words.progression)
    had = ended.astype(int).groupby(rows["subject_id"], sort=False).cummax() == 1
    better = rows[had & ~ended & rows["call"].isin(words.adequate)].drop_duplicates("subject_id")
    first = rows[ended].drop_duplicates("subject_id").set_index("subject_id")["date"].to_dict()
    for row in better.itertuples():
        yield _query("DV002", row, before=first[row.subject_id])


def _twice(rows: pd.DataFrame, words: Vocabulary) -> Iterator[Query]:
    unclear = rows["call"] == words.not_evaluable
    again = unclear & unclear.groupby(rows["subject_id"], sort=False).shift(fill_value=False)
    for row in rows[again].drop_duplicates("subject_id").itertuples():
        yield _query("DV005", row)


def _unconfirmable(best: pd.DataFrame, rows: pd.DataFrame, people: pd.DataFrame, words: Vocabulary) -> pd.DataFrame:
    """Subjects whose response nothing broke, with follow-up ended before it could be confirmed."""
    mine = text_frame(best, ["subject_id", "visit", "date", "confirmation", "confirmed_response", "best_response"])
    mine = mine[(mine["confirmation"] == "NOT CONFIRMED") & (mine["confirmed_response"] == "N")].copy()
    mine["since"] = days(mine["date"])
    after = rows.merge(mine[["subject_id", "since"]], on="subject_id", how="inner")
    after = after[after["day"] > after["since"]]
    kept = after["call"].isin([*words.responses, words.not_evaluable])
    broken = after.loc[~kept, "subject_id"]
    ended = people.loc[people["dead"] | people["off_study"] | people["therapy"].notna(), "subject_id"]
    return mine[~mine["subject_id"].isin(broken) & mine["subject_id"].isin(ended)]


def check_endpoints(frame: pd.DataFrame) -> list[Query]:
    """Name events censored for missed assessments (DV007) and endpoints censored in most subjects (DV011)."""
    rows = frame[(frame["censored"] == MISSED) & (frame["policy"] == "charter")]
    found = [
        queries.make("DV007", subject_id=row.subject_id, visit=row.visit, value=row.parameter, reason=row.reason)
        for row in rows.itertuples()
    ]
    by_charter = frame[frame["policy"] == "charter"]
    for parameter, group in by_charter.groupby("parameter", sort=True):
        censored = int((group["censored"] != EVENT).sum())
        if censored > MOST * len(group):
            share = int(np.floor(100 * censored / len(group)))
            found.append(queries.make("DV011", value=parameter, censored=censored, subjects=len(group), share=share))
    return found
