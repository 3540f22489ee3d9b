"""One row per subject: the event of an endpoint or the reason and the date on which it is censored.

Source: the table of ``censoring.yaml``. Code 0 is an event; where several reasons hold the order is 6, 3, then 2 and 4
by the earlier date, then 7, 5, 1.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

import numpy as np
import pandas as pd

from lmresp.criteria.charter import Charter
from lmresp.criteria.timeline import day_text, flag, joined, text_frame
from lmresp.response.vocabulary import load_censoring

EVENT, ONGOING, THERAPY, NOT_ASSESSED, MISSED, LEFT, NO_BASELINE, DIED = "01234567"
"""Codes of ``censoring.yaml``."""
RESULT = ("subject_id", "start", "day", "censored", "event", "reason", "visit", "source", "provisional")


@dataclasses.dataclass(frozen=True, slots=True)
class Rules:
    """Which rules hold for an endpoint under a policy.

    Attributes
    ----------
    source : str
        Where the date of an assessment comes from, such as ``calls.date``.
    therapy : bool
        Whether new therapy ends it.
    same_day : bool
        Whether an event on the day on which new therapy starts counts.
    gaps : pandas.DataFrame or None
        Scheduled assessments (:func:`schedule`) when missed ones end it.
    max_missed, max_gap : int
        Consecutive missed assessments, and days without one after the schedule, from which an event is censored.
    assessed : bool
        Whether a subject without any assessment after the start is censored for that.
    """

    source: str
    therapy: bool = False
    same_day: bool = True
    gaps: pd.DataFrame | None = None
    max_missed: int = 0
    max_gap: int = 0
    assessed: bool = True


def schedule(
    tables: Mapping[str, pd.DataFrame], people: pd.DataFrame, adequate: pd.DataFrame, charter: Charter
) -> pd.DataFrame:
    """List the scheduled assessments of each subject with their windows.

    Parameters
    ----------
    tables : mapping of str to pandas.DataFrame
        ``visits``: a row with a ``planned_day`` is a scheduled assessment.
    people : pandas.DataFrame
        ``subject_id, day1``.
    adequate : pandas.DataFrame
        Adequate calls, ``subject_id, number``.
    charter : Charter
        ``assessment_window_days`` where ``visits`` gives no window.

    Returns
    -------
    pandas.DataFrame
        ``subject_id, opens, closes`` (days since 1970) and ``made`` (bool: the visit has an adequate call of its own,
        also one dated outside the window).
    """
    columns = ["subject_id", "visit_num", "planned_day", "window_minus", "window_plus"]
    rows = text_frame(tables.get("visits", pd.DataFrame()), columns)
    rows = rows.merge(people[["subject_id", "day1"]], on="subject_id", how="inner")
    for name in columns[1:]:
        rows[name] = pd.to_numeric(rows[name], errors="coerce")
    rows = rows[rows["planned_day"].notna() & rows["day1"].notna()]
    planned = rows["day1"] + rows["planned_day"] - (rows["planned_day"] > 0)  # there is no study day 0
    window = charter.number("assessment_window_days")
    made = pd.MultiIndex.from_frame(rows[["subject_id", "visit_num"]]).isin(
        pd.MultiIndex.from_frame(adequate[["subject_id", "number"]])
    )
    return pd.DataFrame(
        {
            "subject_id": rows["subject_id"],
            "opens": planned - rows["window_minus"].fillna(window),
            "closes": planned + rows["window_plus"].fillna(window),
            "made": made,
        }
    )


def _last(assessed: pd.DataFrame, subject: pd.Series, limit: pd.Series) -> pd.DataFrame:
    """Last assessment of each subject before its limit (of any date where the limit is NaN), in the order given."""
    limits = assessed["subject_id"].map(dict(zip(subject, limit, strict=True)))
    rows = assessed[~(assessed["day"] >= limits)].sort_values(["subject_id", "day"], kind="stable")
    rows = rows.drop_duplicates("subject_id", keep="last").set_index("subject_id")
    return rows.reindex(subject).reset_index(drop=True)


def _missed(frame: pd.DataFrame, last: pd.Series, rules: Rules) -> pd.Series:
    """Say in words what was missed between the last assessment and the event, where it is enough to censor it."""
    nothing = pd.Series("", index=frame.index, dtype=object)
    if rules.gaps is None:
        return nothing
    since = last.fillna(frame["start"])
    times = pd.DataFrame({"subject_id": frame["subject_id"], "since": since, "event": frame["event"]})
    rows = rules.gaps.merge(times, on="subject_id", how="inner")
    missed = rows[~rows["made"] & (rows["opens"] > rows["since"]) & (rows["closes"] < rows["event"])]
    count = frame["subject_id"].map(missed["subject_id"].value_counts()).fillna(0).astype(int)
    end = frame["subject_id"].map(rules.gaps.groupby("subject_id")["closes"].max()).astype(float)
    beyond = frame["event"] - np.fmax(since, end)
    long = ~(frame["event"] <= end) & (beyond > rules.max_gap)
    span = " between " + day_text(since) + " and " + day_text(frame["event"])
    by_gap = "no assessment for more than " + str(rules.max_gap) + " days" + span
    by_count = count.astype(str) + " scheduled assessments missed" + span
    return nothing.mask(long & frame["event"].notna(), by_gap).mask(count >= rules.max_missed, by_count)


def event_or_censored(frame: pd.DataFrame, assessed: pd.DataFrame, rules: Rules) -> pd.DataFrame:
    """Decide event or censoring for every subject of an endpoint.

    Parameters
    ----------
    frame : pandas.DataFrame
        One row per subject: ``subject_id, start, event`` (days; NaN without event), ``word, source, visit, note,
        provisional`` (of the event), ``therapy`` (day or NaN), ``competing`` (day of a death that is no event, or
        NaN), ``dead, no_baseline`` (bool), ``left`` (text) and ``therapy_note``.
    assessed : pandas.DataFrame
        Adequate assessments: ``subject_id, day, visit, provisional``.
    rules : Rules

    Returns
    -------
    pandas.DataFrame
        Columns :data:`RESULT`, one row per row of ``frame`` in its order; ``day`` is never before ``start``.
    """
    if frame.empty:
        return pd.DataFrame(columns=list(RESULT))
    frame = frame.reset_index(drop=True)
    subject, event, start = frame["subject_id"], frame["event"], frame["start"]
    words = load_censoring()
    therapy = frame["therapy"] if rules.therapy else pd.Series(np.nan, index=frame.index)
    stopped = therapy.notna() & ~((event < therapy) | ((event == therapy) & rules.same_day))
    any_time = _last(assessed, subject, pd.Series(np.nan, index=frame.index))
    before_event, before_therapy = _last(assessed, subject, event), _last(assessed, subject, therapy)
    gap = _missed(frame, before_event["day"], rules).where(event.notna(), "")
    unseen = any_time["day"].isna() & event.isna() & ~frame["dead"] & rules.assessed
    code = np.select(
        [
            frame["no_baseline"],
            unseen,
            stopped,
            gap != "",
            event.notna(),
            frame["competing"].notna(),
            frame["left"] != "",
        ],
        [NO_BASELINE, NOT_ASSESSED, THERAPY, MISSED, EVENT, DIED, LEFT],
        default=ONGOING,
    ).astype(object)
    chosen = any_time.where(~pd.Series(code == THERAPY), before_therapy).where(~pd.Series(code == MISSED), before_event)
    at_start = pd.Series(np.isin(code, [NO_BASELINE, NOT_ASSESSED])) | chosen["day"].isna() | (chosen["day"] < start)
    happened = pd.Series(code == EVENT)
    day = chosen["day"].mask(at_start, start).where(~happened, event)
    censored = pd.Series(code, index=frame.index, dtype=object)
    details = [
        censored.map(words.dated).where(~happened, ""),
        flag(censored == THERAPY, "new therapy of ") + day_text(therapy.where(censored == THERAPY)),
        frame["therapy_note"].where(censored == THERAPY, ""),
        gap.where(censored == MISSED, ""),
        frame["left"].str.lower().where(censored == LEFT, ""),
        frame["note"],
    ]
    return pd.DataFrame(
        {
            "subject_id": subject,
            "start": start,
            "day": day,
            "censored": censored,
            "event": censored.map(words.event).where(~happened, frame["word"]),
            "reason": joined(details, "; "),
            "visit": chosen["visit"].where(~at_start, "").where(~happened, frame["visit"]).fillna(""),
            "source": pd.Series(np.where(at_start, "origin", rules.source)).where(~happened, frame["source"]),
            "provisional": chosen["provisional"]
            .where(~at_start, "N")
            .where(~happened, frame["provisional"])
            .fillna("N"),
        }
    )[list(RESULT)]
