"""How far apart two raters date the first progression of a subject (pure)."""

from __future__ import annotations

import pandas as pd

from lmresp.criteria.timeline import days
from lmresp.statistics.agreement import NE, compared, comparisons, row
from lmresp.statistics.estimates import Estimate
from lmresp.terms import Item

_VISIT = ["subject_id", "number", "against"]


def first_progression(ratings: pd.DataFrame) -> list[dict[str, str]]:
    """Set the scans at which two raters first read PD side by side.

    Parameters
    ----------
    ratings : pandas.DataFrame
        Answers: ``rater, kind, subject_id, number, date, phase, item, value, against, blinded``.

    Returns
    -------
    list of dict
        One row of ``agreement.csv`` for every two raters, ``first_pd_days``: median over the subjects in whom both read
        PD of the days from the first rater's first PD to the second's; ``note`` counts them.

    Notes
    -----
    Blinded reads, and only visits that both judged: a visit that one of them did not read dates nothing.
    """
    overall = ratings[(ratings["item"] == Item.OVERALL.value) & (ratings["blinded"] == "Y") & (ratings["value"] != NE)]
    rows = []
    for comparison in comparisons(overall):
        if len(comparison.raters) != 2:
            continue
        mine = compared(overall, comparison)
        first, second = (mine[mine["rater"] == rater] for rater in comparison.raters)
        pairs = first.merge(second[[*_VISIT, "value"]], on=_VISIT, suffixes=("", "_second"))
        if pairs.empty:
            continue
        pairs["day"] = days(pairs["date"])
        dates = pd.DataFrame(
            {
                "first": pairs[pairs["value"] == "PD"].groupby("subject_id")["day"].min(),
                "second": pairs[pairs["value_second"] == "PD"].groupby("subject_id")["day"].min(),
            }
        )
        apart = (dates["second"] - dates["first"]).dropna()
        only = [int((dates[a].notna() & dates[b].isna()).sum()) for a, b in (("first", "second"), ("second", "first"))]
        subjects = int(pairs["subject_id"].nunique())
        neither = subjects - len(apart) - sum(only)
        note = (
            f"PD by both {len(apart)}, by the first only {only[0]}, by the second only {only[1]}, by neither {neither}"
        )
        value = float(apart.median()) if len(apart) else None
        found = Estimate(value, None, None, len(apart), subjects, note=note)
        rows.append(row((comparison.label, Item.OVERALL.value, "WHOLE", "follow-up"), "first_pd_days", found))
    return rows
