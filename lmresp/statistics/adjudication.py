"""How often readers differ, are adjudicated, accepted and change a locked read (pure)."""

from __future__ import annotations

import numpy as np
import pandas as pd

from lmresp.statistics.agreement import ALL_READERS, row
from lmresp.statistics.estimates import Estimate, estimate_share
from lmresp.statistics.published import Conventions, load_conventions

_VISIT = ["subject_id", "number"]
_ANSWER = [*_VISIT, "phase", "item", "compartment"]
ANY = "ANY"
"""In the place of the item: the visit as a whole."""


def adjudication(ratings: pd.DataFrame) -> list[dict[str, str]]:
    """Estimate the shares of disputed, adjudicated and accepted reads, and of locked reads that were changed.

    Parameters
    ----------
    ratings : pandas.DataFrame
        Answers of locked reads, blinded or not: ``rater, kind, subject_id, number, phase, item, compartment, value,
        changed``.

    Returns
    -------
    list of dict
        Rows of ``agreement.csv``, shares in percent: ``disagreed`` and ``adjudicated`` among the visits that two
        independent readers read, by item and (``ANY``) for the visit; ``accepted_by_adjudicator`` by reader, among the
        answers that differed and were adjudicated; ``locked_reads_changed`` by reader, among all reads.

    Notes
    -----
    An answer is accepted when the adjudicator gives the same. NE and a value differ. The item is adjudicated when the
    readers differ on it and an adjudicator's read of the visit is locked.
    """
    conventions = load_conventions()
    readers = ratings[ratings["kind"] == "reader"]
    judge = ratings[ratings["kind"] == "adjudicator"]
    judged_visits = pd.MultiIndex.from_frame(judge[_VISIT])
    double = readers.groupby(_ANSWER)["value"].agg(["size", "nunique"]).query("size > 1").reset_index()
    double = double.assign(differs=double["nunique"] > 1)
    double["judged"] = pd.MultiIndex.from_frame(double[_VISIT]).isin(judged_visits)
    rows = []
    for key, part in double.groupby(["phase", "item", "compartment"], sort=True):
        phase, item, compartment = (str(word) for word in key)
        where = (ALL_READERS, item, compartment, phase)
        rows.append(row(where, "disagreed", _share(part, part["differs"], conventions)))
        rows.append(row(where, "adjudicated", _share(part, part["differs"] & part["judged"], conventions)))
    rows += _by_visit(double, conventions)
    return rows + _accepted(readers, judge, double, conventions) + _changed(ratings, conventions)


def _share(part: pd.DataFrame, holds: pd.Series, conventions: Conventions) -> Estimate:
    subject = pd.factorize(part["subject_id"])[0].astype(np.int64)
    return estimate_share(holds.to_numpy(dtype=np.int64), subject, conventions)


def _by_visit(double: pd.DataFrame, conventions: Conventions) -> list[dict[str, str]]:
    visits = double[double["phase"] == "follow-up"].groupby(_VISIT)[["differs", "judged"]].any().reset_index()
    if visits.empty:
        return []
    where = (ALL_READERS, ANY, "WHOLE", "follow-up")
    return [
        row(where, "disagreed", _share(visits, visits["differs"], conventions), "on any item"),
        row(where, "adjudicated", _share(visits, visits["judged"], conventions), "visits with an adjudicated read"),
    ]


def _accepted(
    readers: pd.DataFrame, judge: pd.DataFrame, double: pd.DataFrame, conventions: Conventions
) -> list[dict[str, str]]:
    """Of the answers on which readers differed and an adjudicator answered: the share that the adjudicator shares."""
    disputed = readers.merge(double.loc[double["differs"], _ANSWER], on=_ANSWER)
    disputed = disputed.merge(judge[[*_ANSWER, "value"]], on=_ANSWER, suffixes=("", "_judge"))
    rows = []
    for key, part in disputed.groupby(["rater", "phase", "item", "compartment"], sort=True):
        rater, phase, item, compartment = (str(word) for word in key)
        found = _share(part, part["value"] == part["value_judge"], conventions)
        rows.append(row((rater, item, compartment, phase), "accepted_by_adjudicator", found))
    return rows


def _changed(ratings: pd.DataFrame, conventions: Conventions) -> list[dict[str, str]]:
    people = ratings[~ratings["kind"].isin(["accepted", "draft"])]
    reads = people.drop_duplicates(["rater", *_VISIT])
    return [
        row(
            (str(rater), ANY, "WHOLE", "all visits"),
            "locked_reads_changed",
            _share(part, part["changed"] == "Y", conventions),
            "locked again after a change; only the last counts",
        )
        for rater, part in reads.groupby("rater", sort=True)
    ]
