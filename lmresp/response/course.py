"""The course of a subject: which calls count, when a progression is dated, which responses are confirmed."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
import pandas as pd

from lmresp.criteria.charter import STRANDS, Charter
from lmresp.criteria.timeline import day_text, days, joined, text_frame
from lmresp.response.vocabulary import Vocabulary
from lmresp.terms import Csf, Imaging, Neuro

CONFIRMED, PENDING, FAILED = "confirmed", "pending", "not_confirmed"
_CALLS = ("subject_id", "visit", "visit_num", "date", "call", "provisional", "csf", "neuro", "mri")
_WORSE = {"csf": Csf.POSITIVE_NEW.value, "neuro": Neuro.WORSE.value, "imaging": Imaging.PROGRESSIVE.value}
"""The word of each strand that speaks for progression."""


def dated_calls(
    calls: pd.DataFrame, strands: Mapping[str, pd.DataFrame], charter: Charter, words: Vocabulary
) -> pd.DataFrame:
    """Date every call; a progression on the earliest date of a strand that by itself establishes it.

    Parameters
    ----------
    calls : pandas.DataFrame
        ``subject_id, visit, visit_num, date, call, provisional`` and, if there, ``csf, neuro, mri``.
    strands : mapping of str to pandas.DataFrame
        ``csf``, ``neuro``, ``mri``: their dates of each visit (``subject_id, visit_num, date``). A strand that is not
        given takes no part, so that the call's own date stands.
    charter : Charter
        Its scheme tells which strand establishes a progression whatever the others are.
    words : Vocabulary

    Returns
    -------
    pandas.DataFrame
        The calls as text with ``day`` (days since 1970, NaN when not dated), ``number`` (of the visit) and
        ``worse`` (strands that speak for progression at a visit called so, joined with ``;``).

    Raises
    ------
    ValueError
        If a call is no word of the vocabulary.
    """
    rows = text_frame(calls, _CALLS)
    words.check(rows["call"])
    rows["day"], rows["number"] = days(rows["date"]), pd.to_numeric(rows["visit_num"], errors="coerce")
    ended = rows["call"].isin(words.progression)
    establishing = _establishing(charter, words)
    earliest = pd.Series(np.nan, index=rows.index)
    worse = []
    for name, column in (("csf", "csf"), ("neuro", "neuro"), ("imaging", "mri")):
        frame = strands.get(column)
        if frame is not None:
            dates = text_frame(frame, ["subject_id", "visit_num", "date"]).drop_duplicates(["subject_id", "visit_num"])
            found = rows[["subject_id", "visit_num"]].merge(dates, on=["subject_id", "visit_num"], how="left")
            day = pd.Series(days(found["date"].fillna("")).to_numpy(), index=rows.index)
            alone = day.where(rows[column].isin(establishing[name]))
            earliest = pd.concat([earliest, alone], axis=1).min(axis=1)
        spoke = ended & (rows[column] == _WORSE[name])
        worse.append(pd.Series(np.where(spoke, name, ""), index=rows.index, dtype=object))
    rows["worse"] = joined(worse)
    rows["day"] = rows["day"].mask(ended & earliest.notna(), earliest)
    rows["date"] = day_text(rows["day"])
    return rows


def _establishing(charter: Charter, words: Vocabulary) -> dict[str, set[str]]:
    """Return for each strand the values on which the scheme gives progression whatever the other strands are."""
    cells = charter.scheme.combinations()
    cells["ended"] = cells["call"].isin(words.progression)
    by_strand = {name: cells.groupby(name)["ended"].all() for name in STRANDS}
    return {name: {str(value) for value in always.index[always]} for name, always in by_strand.items()}


def course(
    calls: pd.DataFrame, people: pd.DataFrame, charter: Charter, words: Vocabulary, *, ignore_therapy: bool
) -> pd.DataFrame:
    """Keep the calls that count.

    Parameters
    ----------
    calls : pandas.DataFrame
        From :func:`dated_calls`.
    people : pandas.DataFrame
        From :func:`lmresp.response.follow_up.follow_up`.
    charter : Charter
        ``nact_same_day``.
    words : Vocabulary
        ``worst_first`` and ``progression``.
    ignore_therapy : bool
        Whether assessments from a new anticancer therapy on count all the same (treatment policy).

    Returns
    -------
    pandas.DataFrame
        One row per subject and date, sorted: the calls from the origin to the first progression, not after death,
        before new therapy; of several on one date the first in ``worst_first``. With ``day`` and ``origin``.

    Notes
    -----
    A progression found on the day on which new therapy starts counts when ``nact_same_day`` is ``event``.
    """
    rows = calls.merge(people[["subject_id", "origin", "death", "therapy"]], on="subject_id", how="inner")
    rows = rows[rows["day"].notna() & ~(rows["day"] < rows["origin"]) & ~(rows["day"] > rows["death"])]
    if not ignore_therapy:
        same_day = charter.text("nact_same_day") == "event"
        on_the_day = (rows["day"] == rows["therapy"]) & rows["call"].isin(words.progression) & same_day
        rows = rows[~(rows["day"] >= rows["therapy"]) | on_the_day]
    rows["severity"] = rows["call"].map({call: place for place, call in enumerate(words.worst_first)})
    rows = rows.sort_values(["subject_id", "day", "severity", "number"], kind="stable")
    rows = rows.drop_duplicates(["subject_id", "day"])
    ended = rows["call"].isin(words.progression).astype(int)
    before = ended.groupby(rows["subject_id"], sort=False).cumsum() - ended
    return rows[before == 0].reset_index(drop=True)


def confirmations(rows: pd.DataFrame, charter: Charter, words: Vocabulary) -> npt.NDArray[np.object_]:
    """Say for each response whether a later assessment confirms it, all subjects in one pass.

    Parameters
    ----------
    rows : pandas.DataFrame
        From :func:`course`.
    charter : Charter
        ``confirm_days``, ``max_ne``, ``accept_sd``.
    words : Vocabulary
        ``responses``, best grade first, ``unconfirmed``, ``stable_between``.

    Returns
    -------
    numpy.ndarray
        Shape (len(rows),): ``confirmed``, ``not_confirmed``, ``pending`` (nothing broke it, and no later assessment
        as good comes late enough) or ``""`` for a call that is no response.

    Notes
    -----
    The partner of a response is the first later assessment at least ``confirm_days`` after it that is as good or
    better. From the response to its partner every assessment must be as good, better or not evaluable, at most
    ``max_ne`` not evaluable, and no response follows a better one. With ``accept_sd`` one stable assessment may lie
    between for the grades of ``stable_between``. Source: the confirmation rules of RECIST 1.1 as the open derivation
    of pharmaverse admiralonco 1.4 words them.
    """
    answer = np.full(len(rows), "", dtype=object)
    grade = rows["call"].map({word: place for place, word in enumerate(words.responses)}).to_numpy(dtype=float)
    if len(rows) == 0 or np.isnan(grade).all():
        return answer
    # One growing number per subject and day, so that a single sorted search never crosses from subject to subject.
    subject = pd.factorize(rows["subject_id"])[0].astype(np.int64)
    day = rows["day"].to_numpy(dtype=np.int64)
    confirm = max(charter.number("confirm_days"), 1)  # a response never confirms itself
    place = subject * (int(day.max() - day.min()) + confirm + 1) + (day - day.min())
    last = np.searchsorted(subject, subject, side="right") - 1
    unclear = (rows["call"] == words.not_evaluable).to_numpy()
    middling = (rows["call"] == words.unconfirmed).to_numpy()
    before = pd.Series(grade).groupby(subject).transform(lambda column: column.ffill().shift()).to_numpy()
    gaps, stable, declines = np.cumsum(unclear), np.cumsum(middling), np.cumsum(grade > before)
    for level, word in enumerate(words.responses):
        good = grade <= level
        accept = int(charter.on("accept_sd") and word in words.stable_between)
        breaks = np.cumsum(~(good | unclear | (middling & bool(accept))))
        where, partners = np.flatnonzero(grade == level), np.flatnonzero(good)
        index = np.searchsorted(place[partners], place[where] + confirm)
        partner = partners[np.minimum(index, len(partners) - 1)]
        found = (index < len(partners)) & (subject[partner] == subject[where]) & (partner > where)
        until = np.where(found, partner, last[where])
        clean = (breaks[until] == breaks[where]) & (gaps[until] - gaps[where] <= charter.number("max_ne"))
        clean &= (stable[until] - stable[where] <= accept) & (declines[until] == declines[where])
        answer[where] = np.where(~clean, FAILED, np.where(found, CONFIRMED, PENDING))
    return answer
