"""Scored domains and NANO's rule of change.

Source: NANO 2017 (Neuro-Oncology 2017;19:625-635, read in a transcription). A domain that was not assessed and one
that another cause explains are told apart; neither is ever a score, and nothing is summed.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from lmresp import queries
from lmresp.criteria import load_scale, load_scheme
from lmresp.criteria.charter import Charter
from lmresp.criteria.timeline import BEFORE_BASELINE
from lmresp.neuro.instruments import domain_table
from lmresp.neuro.item_checks import unusable_levels
from lmresp.queries import Query

KEYS = ["subject_id", "number"]
_SERIES = ["subject_id", "instrument", "item"]


def scored_domains(rows: pd.DataFrame, grid: pd.DataFrame, charter: Charter) -> tuple[pd.DataFrame, list[Query]]:
    """Lay out the scored domains with the levels that they are compared with.

    Parameters
    ----------
    rows : pandas.DataFrame
        Rows of the table ``neuro`` joined to visits (``number``), with ``cause`` (another cause, in words).
    grid : pandas.DataFrame
        From :func:`lmresp.criteria.timeline.visit_grid`.
    charter : Charter
        ``reference_neuro``.

    Returns
    -------
    domains : pandas.DataFrame
        One row per visit, instrument and domain: ``score`` (NaN where it was not assessed, another cause explains it,
        or it is no level; the worst of several examiners), ``explained``, ``reference`` (level at baseline),
        ``better`` (the level that a worsening counts from: baseline, or the better of baseline and the best level
        since), ``fixed`` (at the top level at baseline), ``aside`` (not judged for that reason).
    problems : list of Query
        DV022: a score that is not a level of its domain; DV036: a domain with several levels at one visit.
    """
    domains = rows.drop(columns="visit").merge(domain_table(), on=["instrument", "item"], how="inner")
    domains = domains.merge(grid[[*KEYS, "position", "visit"]], on=KEYS, how="left")
    codes = load_scale("nano_2017")
    absent = domains["score"].isin(codes["not_assessed_codes"]) | (domains["score"] == "")
    other = domains["score"].isin(codes["non_evaluable_codes"]) | (domains["cause"] != "")
    level = pd.to_numeric(domains["score"], errors="coerce").astype(float)
    known = (level >= 0) & (level % 1 == 0) & ~(level > domains["top"])
    outside = ~absent & ~domains["score"].isin(codes["non_evaluable_codes"]) & ~known
    problems = unusable_levels(domains[outside])
    domains["score"] = level.mask(absent | other | outside)
    domains["explained"] = other & ~absent
    problems += _scored_twice(domains)
    per_visit = [*_SERIES, "number", "position", "top", "set_aside"]
    domains = domains.groupby(per_visit, dropna=False, sort=True).agg(
        score=("score", "max"), explained=("explained", "any")
    )
    domains = domains.reset_index().sort_values([*_SERIES, "number"], kind="stable").reset_index(drop=True)
    series = [domains[key] for key in _SERIES]
    at_baseline = domains["score"].where(domains["position"] != "")
    domains["reference"] = at_baseline.groupby(series, sort=False).transform("last")
    domains["fixed"] = domains["reference"] == domains["top"]
    domains["aside"] = domains["fixed"] & domains["set_aside"]
    domains["better"] = domains["reference"]
    if charter.text("reference_neuro") == "best":
        since = domains["score"].mask(domains["position"] == BEFORE_BASELINE)
        best = since.groupby(series, sort=False).cummin().groupby(series, sort=False).ffill()
        domains["better"] = np.fmin(domains["reference"], best.groupby(series, sort=False).shift())
    return domains, problems


def _scored_twice(domains: pd.DataFrame) -> list[Query]:
    """Ask for every domain to which one visit gives several levels."""
    each = domains.groupby([*KEYS, "instrument", "item", "visit"], sort=True)["score"].agg(["min", "max"])
    differ = each[each["min"] < each["max"]].reset_index()
    return [
        queries.make(
            "DV036",
            subject_id=row["subject_id"],
            visit=row["visit"],
            file="neuro",
            column="score",
            value=f"{row['min']:g} to {row['max']:g}",
            item=row["item"],
            instrument=row["instrument"],
        )
        for row in differ.to_dict("records")
    ]


def judge(domains: pd.DataFrame, explained_visits: pd.DataFrame) -> pd.DataFrame:
    """Judge each visit by NANO's rule of change.

    Parameters
    ----------
    domains : pandas.DataFrame
        From :func:`scored_domains`.
    explained_visits : pandas.DataFrame
        ``subject_id, number`` of visits whose change as a whole has another cause.

    Returns
    -------
    pandas.DataFrame
        One row per visit and instrument with a domain: ``items`` (answer of ``nano_2017_overall``) with ``rule_id``
        and ``certainty``, ``scored``, ``deficit``, ``left_out``, ``explained`` (bool).

    Notes
    -----
    A domain that another cause explains is dropped and the rest judged. A response asks that no *other* domain is
    worse, by the reference of a worsening; a domain that is two levels better than at baseline and one worse than its
    best does not stand in its own way. Progression from the best level counts where a baseline level is missing.
    """
    rule = load_scale("nano_2017")["change_rule"]
    domains = domains.copy()
    score = domains["score"].mask(domains["aside"])
    better, top = domains["better"], domains["top"]
    new_top = (score == top) & (better < top) & bool(rule["new_top_score_is_progression"])
    domains["progression"] = (score - better >= rule["progression_levels"]) | new_top
    domains["response"] = domains["reference"] - score >= rule["response_levels"]
    domains["lesser"] = (score > better) & ~domains["progression"]
    domains["comparable"] = score.notna() & domains["reference"].notna()
    domains["scored"] = domains["score"].notna()
    domains["deficit"] = domains["score"] > 0
    domains["seen"] = domains["reference"].notna() & (domains["scored"] | domains["explained"])
    at = [domains[key] for key in (*KEYS, "instrument")]
    others_worse = domains["lesser"].groupby(at).transform("sum") - domains["lesser"].astype(int)
    domains["alone"] = domains["response"] & (others_worse == 0)
    names = ["progression", "response", "lesser", "comparable", "scored", "deficit", "explained", "alone"]
    groups = domains.groupby([*KEYS, "instrument"], sort=True)
    visits = groups[names].any().join(groups["seen"].sum()).reset_index()
    known = domains[domains["reference"].notna()].groupby(["subject_id", "instrument"])["item"].nunique()
    whose = pd.MultiIndex.from_frame(visits[["subject_id", "instrument"]])
    visits["left_out"] = visits["seen"] < known.reindex(whose, fill_value=0).to_numpy()
    compared = visits["comparable"] | visits["progression"]
    whole = pd.MultiIndex.from_frame(visits[KEYS]).isin(pd.MultiIndex.from_frame(explained_visits[KEYS]))
    decided = load_scheme("nano_2017_overall").decide(
        pd.DataFrame(
            {
                "exam": np.where(compared | visits["explained"], "done", "not_done"),
                "explained_otherwise": (visits["explained"] & ~compared)
                | ((visits["progression"] | visits["response"]) & whole),
                "any_progression": visits["progression"],
                "any_response": visits["response"],
                "any_lesser_worsening": visits["lesser"] & ~visits["alone"],
            }
        )
    )
    visits["items"] = decided["call"]
    visits["nano_rule_id"], visits["nano_certainty"] = decided["rule_id"], decided["certainty"]
    columns = ["scored", "deficit", "left_out", "explained", "items", "nano_rule_id", "nano_certainty"]
    return visits[[*KEYS, "instrument", *columns]]
