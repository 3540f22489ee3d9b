"""Reads CSF samples, joins them to visits and pools those of one visit to one result."""

from __future__ import annotations

import pandas as pd

from lmresp import queries
from lmresp.criteria.charter import Charter
from lmresp.criteria.timeline import day_text, days, flag, join_visits, text_frame
from lmresp.queries import Query

KINDS = ("positive", "equivocal", "negative")
"""What an evaluable result counts as, worst first; which results these are is set by the charter."""
_READ = ("subject_id", "visit_num", "collected_dtc", "site", "method", "result", "reason_ne", "row_id")
_QUALITY = ("volume_ml", "hours_to_lab")
_FIXED = "fixed"
KEYS = ["subject_id", "number"]


def read_samples(csf: pd.DataFrame, grid: pd.DataFrame, charter: Charter) -> pd.DataFrame:
    """Return the samples of the methods that count, each joined to a visit, with what their result counts as.

    Parameters
    ----------
    csf : pandas.DataFrame
        Checked table of text.
    grid : pandas.DataFrame
        From :func:`lmresp.criteria.timeline.visit_grid`.
    charter : Charter
        ``cytology_methods``, ``cytology_positive``, ``cytology_equivocal``, ``cytology_negative``,
        ``cytology_min_volume_ml``, ``cytology_max_hours``, ``join_window_days``.

    Returns
    -------
    pandas.DataFrame
        One row per sample that belongs to a visit; the input checks name the others. A site that is not given is
        ``UNKNOWN``. ``kind`` is one of :data:`KINDS` or ``none``; ``rank`` is 0 for the worst result.
    """
    rows = text_frame(csf, [*_READ, *_QUALITY, _FIXED])
    for name in ("result", "site", "method"):
        rows[name] = rows[name].str.upper()
    rows["site"] = rows["site"].where(rows["site"] != "", "UNKNOWN")
    rows = rows[rows["method"].isin(charter.texts("cytology_methods"))]
    rows = rows[rows["subject_id"].isin(grid["subject_id"])].reset_index(drop=True)
    rows["sample_day"] = days(rows["collected_dtc"])
    rows = join_visits(rows.assign(day=rows["sample_day"]), grid, charter).drop(columns="day")
    rows = rows[rows["number"].notna()].merge(grid[[*KEYS, "day", "visit"]], on=KEYS, how="left")
    words = {kind: charter.texts(f"cytology_{kind}") for kind in KINDS}
    worst_first = [word for kind in KINDS for word in words[kind]]
    rows["kind"] = rows["result"].map({word: kind for kind in KINDS for word in words[kind]}).fillna("none")
    rows["rank"] = rows["result"].map({word: place for place, word in enumerate(worst_first)})
    rows["rank"] = rows["rank"].astype(float).fillna(len(worst_first))
    rows["evaluable"] = rows["kind"] != "none"
    taken = rows["result"] != "NOT DONE"
    volume, hours = (pd.to_numeric(rows[name], errors="coerce").astype(float) for name in _QUALITY)
    rows["low_volume"] = taken & (volume < charter.amount("cytology_min_volume_ml"))
    rows["late"] = taken & (hours > charter.amount("cytology_max_hours")) & (rows[_FIXED].str.upper() != "Y")
    return rows


def pool_samples(samples: pd.DataFrame, charter: Charter) -> tuple[pd.DataFrame, list[Query]]:
    """Leave out the samples that lie too far from the leading sample of their visit.

    Parameters
    ----------
    samples : pandas.DataFrame
        From :func:`read_samples`.
    charter : Charter
        ``cytology_pool_hours``.

    Returns
    -------
    pooled : pandas.DataFrame
        The samples that make one assessment with the leading sample of their visit (the evaluable one nearest to the
        visit's date), worst result first.
    problems : list of Query
        DV020: a sample that was left out.
    """
    gap = (samples["sample_day"] - samples["day"]).abs().fillna(0.0)
    order = [*KEYS, "evaluable", "gap", "sample_day", "rank", "row_id"]
    samples = samples.assign(gap=gap)
    samples = samples.sort_values(order, ascending=[True, True, False, True, True, True, True], kind="stable")
    lead = samples.groupby(KEYS, sort=False)["sample_day"].transform("first")
    far = (samples["sample_day"] - lead).abs() * 24 > charter.number("cytology_pool_hours")
    problems = [
        queries.make(
            "DV020",
            subject_id=row["subject_id"],
            visit=row["visit"],
            value=row["collected_dtc"],
            row_id=row["row_id"],
        )
        for row in samples[far].to_dict("records")
    ]
    return samples[~far].sort_values([*KEYS, "rank", "sample_day", "row_id"], kind="stable"), problems


def assessments(pooled: pd.DataFrame) -> pd.DataFrame:
    """Return one row per visit with samples: the worst evaluable result, what was pooled, and how good it was.

    Parameters
    ----------
    pooled : pandas.DataFrame
        From :func:`pool_samples`.
    """
    evaluable = pooled[pooled["evaluable"]]
    groups = pooled.groupby(KEYS, sort=True)
    found = groups.agg(
        kind=("kind", "first"),
        result=("result", "first"),
        reason_ne=("reason_ne", "first"),
        samples=("result", "size"),
        row_ids=("row_id", lambda ids: ";".join(sorted(ids))),
        site=("site", lambda sites: ";".join(sorted(set(sites)))),
        sample_day=("sample_day", "first"),
        low_volume=("low_volume", "any"),
        late=("late", "any"),
    )
    found["kinds"] = evaluable.groupby(KEYS)["kind"].agg(lambda kinds: ";".join(sorted(set(kinds))))
    found = found.reset_index()
    found["kinds"] = found["kinds"].astype(object).where(found["kinds"].notna(), "")
    found["quality"] = flag(found["low_volume"], "low_volume")
    found["delay"] = flag(found["late"], "late_processing")
    found["sample_date"] = day_text(found["sample_day"])
    found["samples"] = found["samples"].astype(str).astype(object)
    return found.drop(columns=["low_volume", "late"])
