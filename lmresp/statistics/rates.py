"""Rates of response, disease control, CSF clearance and neurological improvement with exact intervals.

Every rate stands twice, unconfirmed and confirmed: a plausible rate that is wrong because confirmation was bypassed is
the commonest silent error. Intervals: Clopper-Pearson (exact) and Wilson, 95 %, by ``statsmodels``.
"""

from __future__ import annotations

from collections.abc import Callable, Collection

import pandas as pd
from statsmodels.stats.proportion import proportion_confint

from lmresp.criteria.charter import Charter
from lmresp.criteria.timeline import days, position_of, text_frame
from lmresp.statistics.groups import arms, groups
from lmresp.terms import Call, Csf, Neuro

COLUMNS = (
    *("rate", "group", "confirmed", "responders", "subjects", "percent", "clopper_pearson_low"),
    *("clopper_pearson_high", "wilson_low", "wilson_high", "note"),
)
RATES = {"ORR": "response", "DCR": "disease control", "CSFCLR": "CSF clearance", "NEUIMP": "neurological improvement"}
"""Name and meaning of each rate, in the order of the file."""
_AMONG = {
    "CSFCLR": "among subjects with positive cytology at baseline",
    "NEUIMP": "among subjects with a deficit at baseline",
}
_EVENT, _NEW_THERAPY = "0", "2"
"""Codes of ``censored`` in ``endpoints.csv``."""
_POSITIVE = (Csf.POSITIVE_PERSISTENT, Csf.POSITIVE_NEW)
_METHODS = {"clopper_pearson": "beta", "wilson": "wilson"}


def rates(
    best: pd.DataFrame,
    endpoints: pd.DataFrame,
    csf: pd.DataFrame,
    neuro: pd.DataFrame,
    subjects: pd.DataFrame,
    charter: Charter,
) -> pd.DataFrame:
    """Estimate every rate for all subjects and for each arm.

    Parameters
    ----------
    best : pandas.DataFrame
        ``best_response.csv``: the analysis set, one row a subject.
    endpoints : pandas.DataFrame
        ``endpoints.csv``; its charter policy says until when samples and examinations count.
    csf, neuro : pandas.DataFrame
        The strands, one row per subject and visit.
    subjects : pandas.DataFrame
        ``subject_id, arm, arm_code``.
    charter : Charter
        ``confirm_days`` between the first and the last of a run of improved examinations.

    Returns
    -------
    pandas.DataFrame
        Columns :data:`COLUMNS`, all text. ``ORR`` and ``DCR`` are among everyone: subjects without a call and
        subjects set aside count as non-responders, and ``note`` says how many. ``CSFCLR`` is among subjects with
        positive cytology at baseline, ``NEUIMP`` among those with a deficit at baseline. ``percent`` and the limits
        are in percent with two decimals, empty when nobody is in the set.

    Notes
    -----
    An improvement is confirmed by a run of improved examinations that spans ``confirm_days``; examinations that were
    not evaluable neither confirm nor break it; none counts after a deterioration. A pending confirmation counts as
    unconfirmed.
    """
    by_arm = arms(subjects)
    counted = {
        "ORR": _responses(best, [Call.RESPONSE], by_any=True),
        "DCR": _responses(best, [Call.RESPONSE, Call.STABLE], by_any=False),
        "CSFCLR": _clearances(csf, endpoints, best),
        "NEUIMP": _improvements(neuro, endpoints, best, charter.number("confirm_days")),
    }
    rows = []
    for rate, table in counted.items():
        for group, mask in groups(table["subject_id"], by_arm).items():
            part = table[mask]
            for confirmed, column in (("N", "unconfirmed"), ("Y", "confirmed")):
                estimate = proportion(int(part[column].sum()), len(part))
                note = _note(rate, part)
                rows.append({"rate": rate, "group": group, "confirmed": confirmed, **estimate, "note": note})
    return pd.DataFrame(rows, columns=list(COLUMNS)).astype(object)


def proportion(responders: int, subjects: int) -> dict[str, str]:
    """Return one proportion with its 95 % limits, in percent with two decimals.

    Returns
    -------
    dict of str to str
        ``responders, subjects, percent, clopper_pearson_low, ...``; percent and limits empty without subjects.
    """
    found = {"responders": str(responders), "subjects": str(subjects)}
    if subjects == 0:
        return {**found, **dict.fromkeys(("percent", *(f"{m}_{end}" for m in _METHODS for end in ("low", "high"))), "")}
    found["percent"] = f"{100 * responders / subjects:.2f}"
    for name, method in _METHODS.items():
        low, high = proportion_confint(responders, subjects, alpha=0.05, method=method)
        # The exact limit of nobody is 0 and of everybody 1; rounding errors of the library must not print as -0.00.
        found[f"{name}_low"] = f"{100 * max(float(low), 0.0):.2f}"
        found[f"{name}_high"] = f"{100 * min(float(high), 1.0):.2f}"
    return found


def _note(rate: str, part: pd.DataFrame) -> str:
    differ = int((part["unconfirmed"] != part["confirmed"]).sum())
    parts = [RATES[rate], _AMONG.get(rate, "among all subjects")]
    parts.append(f"{differ} subject(s) differ between confirmed and unconfirmed")
    for column, text in (("pending", "awaiting confirmation"), ("aside", "set aside, counted as non-responders")):
        if int(part[column].sum()):
            parts.append(f"{int(part[column].sum())} {text}")
    return "; ".join(parts)


def _people(best: pd.DataFrame) -> pd.DataFrame:
    rows = text_frame(best, ["subject_id", "best_response", "confirmed_best", "confirmed_response"])
    return rows.assign(aside=rows["best_response"] == "", pending=rows["confirmed_response"] == "PENDING")


def _responses(best: pd.DataFrame, words: list[Call], *, by_any: bool) -> pd.DataFrame:
    people = _people(best)
    confirmed = people["confirmed_response"] == "Y" if by_any else people["confirmed_best"].isin(words)
    return people.assign(unconfirmed=people["best_response"].isin(words), confirmed=confirmed)


def _limits(endpoints: pd.DataFrame, parameter: str, last: Collection[str]) -> pd.DataFrame:
    """Rows of the charter's policy of a parameter; ``until`` is the last day that counts, set by the codes ``last``."""
    rows = text_frame(endpoints, ["subject_id", "parameter", "policy", "date", "censored"])
    rows = rows[(rows["parameter"] == parameter) & (rows["policy"] == "charter")].reset_index(drop=True)
    return rows.assign(until=days(rows["date"]).where(rows["censored"].isin(last)))


def _strand(frame: pd.DataFrame, extra: list[str]) -> pd.DataFrame:
    rows = text_frame(frame, ["subject_id", "date", "status", "flags", *extra])
    rows["day"], rows["early"] = days(rows["date"]), position_of(rows["flags"]) != ""
    return rows.sort_values(["subject_id", "day"], kind="stable").reset_index(drop=True)


def _counted(rows: pd.DataFrame, limits: pd.DataFrame) -> pd.DataFrame:
    """Rows after baseline up to the last day that counts."""
    until = rows["subject_id"].map(limits.set_index("subject_id")["until"]).astype(float)
    return rows[~rows["early"] & ~(rows["day"] > until)].reset_index(drop=True)


def _table(members: pd.Series, best: pd.DataFrame, responders: Callable[[str], set[str]]) -> pd.DataFrame:
    aside = set(_people(best).query("aside")["subject_id"])
    table = pd.DataFrame({"subject_id": sorted(set(members))}, dtype=object)
    unconfirmed = table["subject_id"].isin(responders("N") | responders("Y"))
    table = table.assign(unconfirmed=unconfirmed, confirmed=table["subject_id"].isin(responders("Y")))
    table["aside"] = table["subject_id"].isin(aside)
    table.loc[table["aside"], ["unconfirmed", "confirmed"]] = False
    return table.assign(pending=False)


def _clearances(csf: pd.DataFrame, endpoints: pd.DataFrame, best: pd.DataFrame) -> pd.DataFrame:
    limits = _limits(endpoints, "TTCSFCLR", [_NEW_THERAPY])
    rows = _strand(csf, [])
    definite = rows[rows["early"] & rows["status"].isin([*_POSITIVE, Csf.NEGATIVE, Csf.CLEARED])]
    at_baseline = definite.drop_duplicates("subject_id", keep="last")
    members = at_baseline.loc[at_baseline["status"].isin(_POSITIVE), "subject_id"]
    rows = _counted(rows, limits)
    once = set(rows.loc[rows["status"] == Csf.CLEARED, "subject_id"])
    twice = set(limits.loc[limits["censored"] == "0", "subject_id"])
    return _table(members, best, lambda confirmed: twice if confirmed == "Y" else once)


def _improvements(neuro: pd.DataFrame, endpoints: pd.DataFrame, best: pd.DataFrame, confirm_days: int) -> pd.DataFrame:
    rows = _strand(neuro, ["symptomatic"])
    at_baseline = rows[rows["early"] & (rows["symptomatic"] != "")].drop_duplicates("subject_id", keep="last")
    members = at_baseline.loc[at_baseline["symptomatic"] == "Y", "subject_id"]
    # What gets better after the deterioration is no improvement of the baseline deficit, and may be due to new therapy.
    rows = _counted(rows, _limits(endpoints, "TTNEUDET", [_EVENT, _NEW_THERAPY]))
    rows = rows[rows["status"] != Neuro.NOT_EVALUABLE].reset_index(drop=True)
    improved = rows["status"] == Neuro.IMPROVED
    run = (~improved).groupby(rows["subject_id"], sort=False).cumsum()
    runs = rows[improved].groupby(["subject_id", run[improved]])["day"].agg(["min", "max", "size"]).reset_index()
    spans = (runs["max"] - runs["min"] >= confirm_days) & (runs["size"] > 1)
    once, twice = set(runs["subject_id"]), set(runs.loc[spans, "subject_id"])
    return _table(members, best, lambda confirmed: twice if confirmed == "Y" else once)
