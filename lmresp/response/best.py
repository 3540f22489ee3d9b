"""Best response of each subject from the calls of the visits, confirmed and unconfirmed.

Source: the confirmation and stability rules of the study's derivation settings (first later assessment at least
``confirm_days`` after the response, at most ``max_ne`` non-evaluable visits between; stability from ``sd_min_days``).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt
import pandas as pd

from lmresp.criteria.charter import Charter
from lmresp.criteria.timeline import days, text_frame
from lmresp.terms import Call

COLUMNS = (
    *("subject_id", "best_response", "date", "visit", "confirmed_response", "confirmed_date", "provisional", "calls"),
    *("reason",),
)
MISSING = "MISSING"
"""Best response of a subject without any call after baseline."""


def best_response(
    calls: pd.DataFrame, subjects: pd.DataFrame, charter: Charter, set_aside: Mapping[str, str] | None = None
) -> pd.DataFrame:
    """Derive the best response of every subject.

    Parameters
    ----------
    calls : pandas.DataFrame
        As :func:`lmresp.response.call.call_visits` returns them.
    subjects : pandas.DataFrame
        Checked table of text; everyone in it gets a row, and so does a subject whose own row was left out.
    charter : Charter
        ``best_first``, ``worst_first``, ``confirm_days``, ``sd_min_days``, ``max_ne``.
    set_aside : mapping of str to str, optional
        Subjects without calls because of a blocking query, and the query's message.

    Returns
    -------
    pandas.DataFrame
        Columns :data:`COLUMNS`, all text, one row per subject, sorted. ``best_response`` is a value of
        :class:`lmresp.terms.Call`, ``MISSING``, or empty for a subject set aside; it needs no confirmation, and
        ``confirmed_response`` (Y/N) tells whether a response was confirmed, with the date of the first response of
        the confirmed pair. ``calls`` counts the calls that were used.

    Notes
    -----
    Used are calls from the origin (randomisation, else first dose) up to and including the first PROGRESSION, one per
    date (the first in ``worst_first``). STABLE counts from ``sd_min_days`` after the origin; an earlier
    one counts as NOT_EVALUABLE. A RESPONSE is confirmed by the first RESPONSE at least ``confirm_days`` later when
    everything between is RESPONSE or NOT_EVALUABLE, with at most ``max_ne`` of the latter.
    """
    aside = set_aside or {}
    people = text_frame(subjects, ["subject_id", "rand_dtc", "ref_start_dtc"]).drop_duplicates("subject_id")
    lost = [{"subject_id": subject} for subject in aside if subject not in set(people["subject_id"])]
    if lost:  # nobody disappears
        people = pd.concat([people, text_frame(pd.DataFrame(lost), list(people.columns))])
    people = people[people["subject_id"] != ""].sort_values("subject_id", kind="stable").reset_index(drop=True)
    people["origin"] = days(people["rand_dtc"]).fillna(days(people["ref_start_dtc"]))
    used = _used(calls, people, charter.texts("worst_first"))
    used["confirmed"] = _confirmed(used, charter)
    used["value"] = used["call"].where(
        (used["call"] != Call.STABLE) | (used["day"] >= used["origin"] + charter.number("sd_min_days")),
        Call.NOT_EVALUABLE.value,
    )
    used["rank"] = used["value"].map({call: place for place, call in enumerate(charter.texts("best_first"))})
    best = used.sort_values(["subject_id", "rank", "day"], kind="stable").drop_duplicates("subject_id")
    first = used[used["confirmed"]].drop_duplicates("subject_id").set_index("subject_id")["date"]
    best = best.set_index("subject_id")
    out = people[["subject_id"]].copy()
    subject = out["subject_id"]
    for name, column in (
        ("best_response", "value"),
        ("date", "date"),
        ("visit", "visit"),
        ("provisional", "provisional"),
    ):
        out[name] = subject.map(best[column].to_dict()).astype(object).fillna("")
    out["best_response"] = out["best_response"].mask((out["best_response"] == "") & ~subject.isin(aside), MISSING)
    out["confirmed_date"] = subject.map(first.to_dict()).astype(object).fillna("")
    out["confirmed_response"] = np.where(subject.isin(aside), "", np.where(out["confirmed_date"] != "", "Y", "N"))
    out["calls"] = (
        subject.map(used["subject_id"].value_counts().to_dict()).astype(object).fillna(0).astype(int).astype(str)
    )
    early = subject.map((best["value"] != best["call"]).to_dict()).astype(object).fillna(value=False).astype(bool)
    unconfirmed = (out["best_response"] == Call.RESPONSE) & (out["confirmed_response"] == "N")
    out["reason"] = np.select(
        [subject.isin(aside), out["best_response"] == MISSING, early, unconfirmed],
        [
            "set aside: " + subject.map(dict(aside)).astype(object).fillna(""),
            pd.Series("no call after baseline", index=out.index),
            pd.Series(f"stable only before day {charter.number('sd_min_days')} after the origin", index=out.index),
            pd.Series(f"response not confirmed after {charter.number('confirm_days')} days or more", index=out.index),
        ],
        default="",
    )
    return out[list(COLUMNS)].astype(object)


def _used(calls: pd.DataFrame, people: pd.DataFrame, worst_first: Sequence[str]) -> pd.DataFrame:
    rows = calls[["subject_id", "visit", "visit_num", "date", "call", "provisional"]].merge(
        people[["subject_id", "origin"]], on="subject_id", how="inner"
    )
    rows["day"] = days(rows["date"])
    rows = rows[rows["day"].notna() & ~(rows["day"] < rows["origin"])]
    rows["severity"] = rows["call"].map({call: place for place, call in enumerate(worst_first)})
    rows["number"] = pd.to_numeric(rows["visit_num"])
    rows = rows.sort_values(["subject_id", "day", "severity", "number"], kind="stable")
    rows = rows.drop_duplicates(["subject_id", "day"])
    progressed = (rows["call"] == Call.PROGRESSION).astype(int)
    before = progressed.groupby(rows["subject_id"], sort=False).cumsum() - progressed
    return rows[before == 0].reset_index(drop=True)


def _confirmed(rows: pd.DataFrame, charter: Charter) -> npt.NDArray[np.bool_]:
    """Return for each call whether it is a response that a later one confirms (all subjects in one pass)."""
    response = (rows["call"] == Call.RESPONSE).to_numpy()
    unclear = (rows["call"] == Call.NOT_EVALUABLE).to_numpy()
    answer = np.zeros(len(rows), dtype=bool)
    if not response.any():
        return answer
    # One growing number per subject and day, so that a single sorted search never crosses from subject to subject.
    subject = pd.factorize(rows["subject_id"])[0].astype(np.int64)
    day = rows["day"].to_numpy(dtype=np.int64)
    span = int(day.max() - day.min()) + charter.number("confirm_days") + 1
    place = subject * span + (day - day.min())
    where = np.flatnonzero(response)
    partner = np.searchsorted(place[where], place[where] + charter.number("confirm_days"))
    found = partner < len(where)
    later = where[np.minimum(partner, len(where) - 1)]
    found &= (subject[later] == subject[where]) & (later > where)
    breaks, gaps = np.cumsum(~(response | unclear)), np.cumsum(unclear)
    found &= (breaks[later] == breaks[where]) & (gaps[later] - gaps[where] <= charter.number("max_ne"))
    answer[where] = found
    return answer
