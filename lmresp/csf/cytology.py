"""Grades CSF cytology: the samples of a visit to one result, and the results of a subject to a status per visit.

Source: the words of the scheme ``rano_lm_2017_overall``; how results become words is the table ``strand_csf`` with
the cytology settings of the charter (which results are positive, which samples are one assessment).
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from lmresp import queries
from lmresp.criteria import load_scheme
from lmresp.criteria.charter import Charter
from lmresp.criteria.timeline import (
    STRAND_COLUMNS,
    day_text,
    days,
    flag,
    join_visits,
    joined,
    not_done_text,
    strand_frame,
    text_frame,
    visit_grid,
)
from lmresp.queries import Query

COLUMNS = (
    *STRAND_COLUMNS,
    *("result", "confirmed", "samples", "site"),
)
_READ = ("subject_id", "visit_num", "collected_dtc", "site", "method", "result", "reason_ne", "row_id")


def grade_csf(
    csf: pd.DataFrame, subjects: pd.DataFrame, visits: pd.DataFrame, charter: Charter
) -> tuple[pd.DataFrame, list[Query]]:
    """Grade the cytology of every visit.

    Parameters
    ----------
    csf, subjects, visits : pandas.DataFrame
        Checked tables of text (``work/tables/*.csv``).
    charter : Charter
        Cytology settings.

    Returns
    -------
    frame : pandas.DataFrame
        One row per visit of ``visits``, columns :data:`COLUMNS`, all text, sorted by subject and visit number.
        ``status`` is a value of :class:`lmresp.terms.Csf`; ``confirmed`` is Y or N for a cleared visit, by what is
        known up to that visit; the baseline visit is graded against itself.
    problems : list of Query
        DV020: a sample that lies too far from the others of its visit to be pooled with them.

    Notes
    -----
    Samples within ``cytology_pool_hours`` of the visit's leading sample (the one nearest to the visit's date) are one
    assessment; the worst evaluable result counts. No look-ahead: a visit is graded by what was known at it.
    """
    grid = visit_grid(subjects, visits)
    pooled, problems = _pool(_samples(csf, grid, charter), grid, charter)
    frame = strand_frame(grid, pooled)
    history = _history(frame, charter)
    decided = load_scheme("strand_csf").decide(history)
    frame["status"] = decided["call"]
    frame["rule_id"], frame["certainty"] = decided["rule_id"], decided["certainty"]
    frame["confirmed"] = np.where(
        decided["call"] == "cleared", np.where(history["clearance_confirmed"], "Y", "N"), ""
    ).astype(object)
    no_baseline = history["no_baseline"] & (frame["position"] == "")
    frame["flags"] = joined(
        [
            frame["position"],
            decided["flags"],
            frame["conflict"],
            flag(frame["confirmed"] == "N", "clearance_unconfirmed"),
            flag(history["after_clearance"] & (decided["call"] == "positive_new"), "positive_after_negative"),
            flag(no_baseline, "no_baseline_cytology"),
        ]
    )
    frame["reason"] = _reason(frame)
    frame["disputed"] = ""
    frame["date"] = frame["sample_date"].where(frame["sample_date"] != "", frame["date"])
    return frame[list(COLUMNS)].astype(object), problems


def _samples(csf: pd.DataFrame, grid: pd.DataFrame, charter: Charter) -> pd.DataFrame:
    rows = text_frame(csf, _READ)
    rows["result"] = rows["result"].str.upper()
    rows = rows[rows["method"].str.upper().isin(charter.texts("cytology_methods"))]
    rows = rows[rows["subject_id"].isin(grid["subject_id"])].reset_index(drop=True)
    rows["sample_day"] = days(rows["collected_dtc"])
    rows = join_visits(rows.assign(day=rows["sample_day"]), grid, charter).drop(columns="day")
    return rows[rows["number"].notna()]  # the input checks name a sample that belongs to no visit


def _pool(samples: pd.DataFrame, grid: pd.DataFrame, charter: Charter) -> tuple[pd.DataFrame, list[Query]]:
    positive, equivocal, negative = (
        charter.texts(f"cytology_{name}") for name in ("positive", "equivocal", "negative")
    )
    worst_first = [*positive, *equivocal, *negative]
    samples = samples.merge(grid[["subject_id", "number", "day", "visit"]], on=["subject_id", "number"], how="left")
    samples["evaluable"] = samples["result"].isin(worst_first)
    samples["rank"] = samples["result"].map({word: place for place, word in enumerate(worst_first)})
    samples["rank"] = samples["rank"].fillna(len(worst_first))
    samples["gap"] = (samples["sample_day"] - samples["day"]).abs().fillna(0.0)
    keys = ["subject_id", "number"]
    order = [*keys, "evaluable", "gap", "sample_day", "rank", "row_id"]
    samples = samples.sort_values(order, ascending=[True, True, False, True, True, True, True], kind="stable")
    lead = samples.groupby(keys, sort=False)["sample_day"].transform("first")
    far = (samples["sample_day"] - lead).abs() * 24 > charter.number("cytology_pool_hours")
    problems = [
        queries.make("DV020", subject_id=row.subject_id, visit=row.visit, value=row.collected_dtc, row_id=row.row_id)
        for row in samples[far].itertuples()
    ]
    samples = samples[~far].sort_values([*keys, "rank", "sample_day", "row_id"], kind="stable")
    kinds = {**dict.fromkeys(positive, "positive"), **dict.fromkeys(equivocal, "equivocal")}
    samples["kind"] = samples["result"].map({**kinds, **dict.fromkeys(negative, "negative")}).fillna("none")
    groups = samples.groupby(keys, sort=True)
    pooled = groups.agg(
        kind=("kind", "first"),
        result=("result", "first"),
        reason_ne=("reason_ne", "first"),
        samples=("result", "size"),
        row_ids=("row_id", lambda ids: ";".join(sorted(ids))),
        site=("site", lambda sites: ";".join(sorted(set(sites)))),
        sample_day=("sample_day", "first"),
    ).reset_index()
    evaluable = samples[samples["evaluable"]].groupby(keys)["kind"].nunique()
    conflict = pd.MultiIndex.from_frame(pooled[keys]).map(evaluable.to_dict()).to_numpy(dtype=float) > 1
    pooled["conflict"] = flag(pd.Series(conflict, index=pooled.index), "samples_disagree")
    pooled["sample_date"] = day_text(pooled["sample_day"])
    pooled["samples"] = pooled["samples"].astype(str).astype(object)
    return pooled, problems


def _history(frame: pd.DataFrame, charter: Charter) -> pd.DataFrame:
    """Return for each visit what was known before it: the inputs of ``strand_csf``, and the run of negatives."""
    subject = frame["subject_id"]
    now = frame["kind"].where(frame["kind"] != "", "none")
    definite = now.where(now.isin(["positive", "negative"]))
    before = definite.groupby(subject, sort=False).ffill().groupby(subject, sort=False).shift()
    at_baseline = definite.where(frame["position"] != "").groupby(subject, sort=False).transform("last")
    first = definite.groupby(subject, sort=False).transform("first")
    seen = before.notna()  # without a baseline result the first definite one stands in, once it is known
    reference = at_baseline.fillna(first.where(seen)).where(frame["position"] == "", definite)
    # A run of negatives goes on over visits without a usable sample and is broken by any other result.
    broken = now.isin(["positive", "equivocal"])
    run = broken.groupby(subject, sort=False).cumsum()
    negative = now == "negative"
    keys = [subject, run]
    count = negative.groupby(keys, sort=False).cumsum()
    sample_day = pd.to_numeric(frame["sample_day"], errors="coerce")
    start = sample_day.where(negative).groupby(keys, sort=False).cummin()
    sites = frame["site"].where(negative)
    one_site = sites.groupby(keys, sort=False).transform("nunique") <= 1
    confirmed = (
        negative
        & one_site
        & (count >= charter.number("clearance_negatives"))
        & (sample_day - start >= charter.number("clearance_interval_days"))
    )
    confirmed_before = (
        confirmed.astype(float).groupby(subject, sort=False).transform(lambda column: column.cummax().shift())
    )
    unconfirmed = (reference == "positive") & (before == "negative") & ~(confirmed_before == 1.0)
    if charter.text("positive_new_after") == "confirmed_clearance":
        before = before.mask(unconfirmed, "positive")
    return pd.DataFrame(
        {
            "now": now,
            "before": before.fillna("none"),
            "reference": reference.fillna("none"),
            "clearance_confirmed": confirmed,
            "after_clearance": reference == "positive",
            "no_baseline": at_baseline.isna(),
        },
        index=frame.index,
    )


def _reason(frame: pd.DataFrame) -> pd.Series:
    unusable = frame["result"].str.lower() + frame["reason_ne"].map(lambda text: f": {text.lower()}" if text else "")
    chosen = np.select(
        [frame["status"] != "missing", frame["result"] != "", ~frame["done"]],
        ["cytology " + frame["result"].str.lower(), "cytology " + unusable, not_done_text(frame)],
        default="no CSF sample",
    )
    return pd.Series(chosen, index=frame.index, dtype=object)
