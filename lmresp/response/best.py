"""Best response of each subject from the calls of the visits, unconfirmed and confirmed.

Source: the confirmation and stability rules of RECIST 1.1 as the open derivations of pharmaverse admiralonco 1.4 word
them, with the charter's numbers; the words are those of a :class:`lmresp.response.vocabulary.Vocabulary`.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from lmresp.criteria.charter import Charter
from lmresp.response.course import CONFIRMED, PENDING, confirmations, course, dated_calls
from lmresp.response.follow_up import follow_up
from lmresp.response.vocabulary import Vocabulary, charter_vocabulary

COLUMNS = (
    *("subject_id", "best_response", "date", "visit", "confirmed_best", "confirmed_best_date", "confirmation"),
    *("confirmed_response", "confirmed_date", "progression_date", "progression_by", "provisional", "calls", "reason"),
)
MISSING = "MISSING"
"""Best response of a subject without any call after baseline."""


def best_response(
    calls: pd.DataFrame,
    strands: Mapping[str, pd.DataFrame],
    tables: Mapping[str, pd.DataFrame],
    charter: Charter,
    set_aside: Mapping[str, str] | None = None,
    *,
    data_cut: str = "",
    words: Vocabulary | None = None,
) -> pd.DataFrame:
    """Derive the best response of every subject.

    Parameters
    ----------
    calls : pandas.DataFrame
        As :func:`lmresp.response.call.call_visits` returns them.
    strands : mapping of str to pandas.DataFrame
        ``csf``, ``neuro``, ``mri``, for the date of a progression; may be empty.
    tables : mapping of str to pandas.DataFrame
        Checked input tables. Everyone in ``subjects`` gets a row, and so does a subject whose own row was left out;
        ``treatments`` and ``disposition`` say when new therapy started and participation ended.
    charter : Charter
        ``confirm_days``, ``sd_min_days``, ``max_ne``, ``accept_sd``, ``nact_rule``, ``nact_same_day`` and the orders.
    set_aside : mapping of str to str, optional
        Subjects without calls because of a blocking query, and the query's message.
    data_cut : str
        ISO date after which nothing counts; empty for none.
    words : Vocabulary, optional
        Words of the calls; those of the modified RANO-LM call with the charter's orders when not given.

    Returns
    -------
    pandas.DataFrame
        Columns :data:`COLUMNS`, all text, one row per subject, sorted.

        - ``best_response`` (a word, ``MISSING`` without any call, empty when set aside) needs no confirmation;
          ``confirmed_best`` does: a response that was not confirmed counts as stable from ``sd_min_days`` after the
          origin and as not evaluable before. Each with the date of the first call that gives it.
        - ``confirmation`` speaks of ``best_response`` when that is a response: CONFIRMED, NOT CONFIRMED or PENDING.
        - ``confirmed_response`` (Y/N/PENDING) tells whether any response was confirmed, ``confirmed_date`` is that of
          the first response of the pair. PENDING: nothing broke the response, no assessment came late enough to
          confirm it, and the subject is still followed (alive, in the study, without new therapy).
        - ``progression_date``: earliest date of a strand that by itself establishes the progression;
          ``progression_by``: strands that spoke for it (``csf``, ``neuro``, ``imaging``).
        - ``calls`` counts the calls that were used.

    Raises
    ------
    ValueError
        If a call is no word of the vocabulary.

    Notes
    -----
    Used are the calls of :func:`lmresp.response.course.course`. Words such as STABLE count from ``sd_min_days`` after
    the origin; an earlier one counts as not evaluable. Responses and progression count from the first day.
    """
    words = words or charter_vocabulary(charter)
    people = follow_up(tables, calls, data_cut, set_aside)
    ignore = charter.text("nact_rule") == "ignore"
    used = course(dated_calls(calls, strands, charter, words), people, charter, words, ignore_therapy=ignore)
    used = _values(used, charter, words)
    open_now = ~(people["dead"] | people["off_study"] | (people["therapy"].notna() & (not ignore)))
    going_on = set(people.loc[open_now, "subject_id"])
    used["pending"] = (used["state"] == PENDING) & used["subject_id"].isin(going_on)
    best, sure = _best(used, "value", words), _best(used, "confirmed_value", words)
    out = people[["subject_id"]].copy()
    subject = out["subject_id"]

    def take(rows: pd.DataFrame, column: str) -> pd.Series:
        return subject.map(rows.drop_duplicates("subject_id").set_index("subject_id")[column]).astype(object).fillna("")

    aside = people["is_aside"]
    for name, rows, column in (
        ("best_response", best, "value"),
        ("date", best, "date"),
        ("visit", best, "visit"),
        ("confirmed_best", sure, "confirmed_value"),
        ("confirmed_best_date", sure, "date"),
        ("confirmed_date", used[used["state"] == CONFIRMED], "date"),
    ):
        out[name] = take(rows, column)
    ended = used[used["call"].isin(words.progression)]
    out["progression_date"], out["progression_by"] = take(ended, "date"), take(ended, "worse")
    for name in ("best_response", "confirmed_best"):
        out[name] = out[name].mask((out[name] == "") & ~aside, MISSING)
    pending = subject.isin(used.loc[used["pending"], "subject_id"])
    out["confirmed_response"] = _text([aside, out["confirmed_date"] != "", pending], ["", "Y", "PENDING"], "N")
    response = out["best_response"].isin(words.responses)
    waits = subject.isin(best.merge(used.loc[used["pending"], ["subject_id", "call"]])["subject_id"])
    agree = out["best_response"] == out["confirmed_best"]
    out["confirmation"] = _text([~response, agree, waits], ["", "CONFIRMED", "PENDING"], "NOT CONFIRMED")
    doubtful = (take(best, "provisional") == "Y") | (take(sure, "provisional") == "Y")
    out["provisional"] = np.where(used.empty | (out["date"] == ""), "", np.where(doubtful, "Y", "N")).astype(object)
    counts = used["subject_id"].value_counts()
    out["calls"] = subject.map(counts).fillna(0).astype(int).astype(str)
    early = subject.isin(best.loc[best["value"] != best["call"], "subject_id"])
    called = subject.isin(calls["subject_id"])
    out["reason"] = _reasons(out, people["aside"].where(aside), early, called, charter)
    return out[list(COLUMNS)].astype(object)


def _reasons(out: pd.DataFrame, aside: pd.Series, early: pd.Series, called: pd.Series, charter: Charter) -> pd.Series:
    """Say why there is no best response, or none that is confirmed; ``aside`` is NaN for who is not set aside."""
    confirm_days = charter.number("confirm_days")
    return _text(
        [
            aside.notna(),
            (out["best_response"] == MISSING) & called,
            out["best_response"] == MISSING,
            early,
            out["confirmation"] == "PENDING",
            out["confirmation"] == "NOT CONFIRMED",
        ],
        [
            "set aside: " + aside.fillna(""),
            "no call that counts: all lie before the origin, or from the start of new anticancer therapy on",
            "no call after baseline",
            f"stable only before day {charter.number('sd_min_days')} after the origin",
            f"not yet confirmed: no assessment {confirm_days} days or more after the response so far",
            f"response not confirmed after {confirm_days} days or more",
        ],
        "",
    )


def _text(conditions: list[pd.Series], choices: list[str | pd.Series], default: str) -> pd.Series:
    index = conditions[0].index
    columns = [each if isinstance(each, pd.Series) else pd.Series(each, index=index) for each in choices]
    chosen = np.select(
        [c.to_numpy(dtype=bool) for c in conditions], [c.to_numpy(dtype=object) for c in columns], default
    )
    return pd.Series(chosen, index=index, dtype=object)


def _values(used: pd.DataFrame, charter: Charter, words: Vocabulary) -> pd.DataFrame:
    """Add what each call counts as, without and with confirmation."""
    used["state"] = confirmations(used, charter, words)
    late = used["day"] >= used["origin"] + charter.number("sd_min_days")
    early_stable = used["call"].isin(words.stable) & ~late
    used["value"] = used["call"].mask(early_stable, words.not_evaluable)
    unconfirmed = used["call"].isin(words.responses) & (used["state"] != CONFIRMED)
    instead = pd.Series(np.where(late, words.unconfirmed, words.not_evaluable), index=used.index, dtype=object)
    used["confirmed_value"] = used["value"].mask(unconfirmed, instead)
    return used


def _best(used: pd.DataFrame, column: str, words: Vocabulary) -> pd.DataFrame:
    rank = used[column].map({word: place for place, word in enumerate(words.best_first)})
    order = used.assign(rank=rank).sort_values(["subject_id", "rank", "day"], kind="stable")
    return order.drop_duplicates("subject_id").drop(columns="rank")
