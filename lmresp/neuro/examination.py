"""Grades the neurological examination: the examiner's conclusion and the scored domains to a status per visit.

Source: NANO 2017 (Neuro-Oncology 2017;19:625-635, read in a transcription) for the change of scored domains; the
change rule of the RANO-LM examination was not read, so NANO's is applied to it by convention (table ``strand_neuro``).
A domain that was not assessed and one that another cause explains are told apart and never summed.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from lmresp import queries
from lmresp.criteria import load_scale, load_scheme
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
    *("instrument", "symptomatic", "alternative_cause", "kps"),
)
SCALES = {"NANO": "nano_2017", "LM_NEURO_EXAM": "rano_lm_2017_exam"}
"""Scale facts of each instrument whose domains are judged."""
_READ = (
    *("subject_id", "visit_num", "exam_dtc", "instrument", "item", "score", "not_assessed_reason", "status"),
    *("alternative_cause", "row_id"),
)
_KEYS = ["subject_id", "number"]


def grade_neuro(
    neuro: pd.DataFrame, subjects: pd.DataFrame, visits: pd.DataFrame, charter: Charter
) -> tuple[pd.DataFrame, list[Query]]:
    """Grade the neurological examination of every visit.

    Parameters
    ----------
    neuro, subjects, visits : pandas.DataFrame
        Checked tables of text (``work/tables/*.csv``).
    charter : Charter
        ``neuro_instruments``, ``conclusions_worst_first``, ``no_other_cause``, ``join_window_days``.

    Returns
    -------
    frame : pandas.DataFrame
        One row per visit of ``visits``, columns :data:`COLUMNS`, all text, sorted by subject and visit number.
        ``status`` is a value of :class:`lmresp.terms.Neuro`; ``symptomatic`` is Y when a deficit attributed to LM is
        present, N when every assessed domain is normal, empty when not known; an ECOG score is in ``flags`` as
        ``ecog_2``. The baseline visit is graded against itself.
    problems : list of Query
        DV021: the examiner's conclusion does not follow from the scored domains (it stands); DV022: a score outside
        the levels of its domain (not used).
    """
    grid = visit_grid(subjects, visits)
    rows = _rows(neuro, grid, charter)
    domains, problems = _domains(rows, grid, charter)
    found = _visit_facts(rows, charter).merge(_judge(domains), on=_KEYS, how="left", validate="one_to_one")
    frame = strand_frame(grid, found)
    inputs = _inputs(frame)
    decided = load_scheme("strand_neuro").decide(inputs)
    frame["status"], frame["rule_id"], frame["certainty"] = decided["call"], decided["rule_id"], decided["certainty"]
    implied: dict[str, str] = load_scale("nano_2017")["conclusions"]
    disagree = (inputs["examiner"] != inputs["items"].map(implied)) & inputs["items"].isin(implied)
    disagree &= inputs["examiner"].isin(implied.values()) & (frame["position"] == "")
    frame["symptomatic"] = np.where(
        (frame["deficit"] == "") & (frame["status"] == "worse"), "Y", frame["deficit"]
    ).astype(object)
    frame["flags"] = joined(
        [
            frame["position"],
            decided["flags"],
            flag(disagree, "status_not_implied_by_items"),
            flag(frame["left_out"] == "Y", "domains_not_assessed"),
            flag(frame["explained"] == "Y", "domains_explained_otherwise"),
            frame["ecog"].map(lambda score: f"ecog_{score}" if score else ""),
        ]
    )
    frame["reason"] = _reason(frame, inputs)
    frame["disputed"] = ""
    frame["date"] = frame["exam_date"].where(frame["exam_date"] != "", frame["date"])
    problems += [
        queries.make(
            "DV021", subject_id=row.subject_id, visit=row.visit, value=row.examiner, implied=implied[str(row.items)]
        )
        for row in frame[["subject_id", "visit"]].join(inputs[["examiner", "items"]])[disagree].itertuples()
    ]
    return frame[list(COLUMNS)].astype(object), problems


def _rows(neuro: pd.DataFrame, grid: pd.DataFrame, charter: Charter) -> pd.DataFrame:
    rows = text_frame(neuro, _READ)
    for name in ("instrument", "status", "score"):
        rows[name] = rows[name].str.upper()
    rows["item"] = rows["item"].str.lower().str.replace(r"[\s-]+", "_", regex=True)
    rows = rows[rows["subject_id"].isin(grid["subject_id"])].reset_index(drop=True)
    rows["day"] = days(rows["exam_dtc"])
    rows = join_visits(rows, grid, charter)
    named = rows["item"] == "status"
    rows["status"] = rows["score"].where(named & (rows["status"] == ""), rows["status"])
    excluded = {word.upper() for word in charter.texts("no_other_cause")}
    rows["cause"] = rows["alternative_cause"].where(~rows["alternative_cause"].str.upper().isin(excluded), "")
    return rows[rows["number"].notna()].drop(columns="visit_num")


def _visit_facts(rows: pd.DataFrame, charter: Charter) -> pd.DataFrame:
    """Return what stands for the visit as a whole; of several conclusions the worst counts."""
    order = {word: place for place, word in enumerate(charter.texts("conclusions_worst_first"))}
    concluded = rows[rows["status"].isin(order)].copy()
    concluded["rank"] = concluded["status"].map(order)
    concluded = concluded.sort_values([*_KEYS, "rank", "row_id"], kind="stable")
    first = concluded.groupby(_KEYS, sort=True).agg(examiner=("status", "first"), examiner_cause=("cause", "max"))
    number = pd.to_numeric(rows["score"], errors="coerce")
    kps = number.where(rows["instrument"] == "KPS").groupby([rows[key] for key in _KEYS]).min()
    ecog = number.where(rows["instrument"] == "ECOG").groupby([rows[key] for key in _KEYS]).max()
    facts = rows.groupby(_KEYS, sort=True).agg(
        exam_day=("day", "max"),
        row_ids=("row_id", lambda ids: ";".join(sorted(ids))),
        alternative_cause=("alternative_cause", lambda causes: "; ".join(sorted(set(causes) - {""}))),
    )
    facts = facts.join(first)
    for name, scores in (("kps", kps), ("ecog", ecog)):
        facts[name] = scores.map(lambda score: f"{score:g}" if score == score else "").astype(object)
    facts["exam_date"] = day_text(facts["exam_day"])
    return facts.drop(columns="exam_day").reset_index()


def _maxima(scale_id: str) -> dict[str, float]:
    """Top score of each domain of a scale; NaN for a domain whose levels were not read."""
    scale = load_scale(scale_id)
    if "domains" in scale:
        return {domain["id"]: float(domain["max"]) for domain in scale["domains"]}
    read = {domain["id"]: float(max(domain["levels_above_normal"])) for domain in scale["domains_read"]}
    return {**dict.fromkeys(scale["domains_not_read"]["names"], float("nan")), **read}


def _domains(rows: pd.DataFrame, grid: pd.DataFrame, charter: Charter) -> tuple[pd.DataFrame, list[Query]]:
    """Scored domains with reference and best level before; ``score`` is NaN where it cannot be compared."""
    known = pd.DataFrame(
        [
            {"instrument": name, "item": item, "top": top, "preference": place}
            for place, name in enumerate(charter.texts("neuro_instruments"))
            for item, top in _maxima(SCALES[name]).items()
        ]
    )
    domains = rows.merge(known, on=["instrument", "item"], how="inner")
    codes = load_scale("nano_2017")
    domains["score_text"] = domains["score"]
    absent = domains["score"].isin(codes["not_assessed_codes"]) | (domains["score"] == "")
    other = domains["score"].isin(codes["non_evaluable_codes"]) | (domains["cause"] != "")
    domains["score"] = pd.to_numeric(domains["score"], errors="coerce")
    outside = ~absent & ~other & ~((domains["score"] >= 0) & ~(domains["score"] > domains["top"]))
    domains["score"] = domains["score"].mask(absent | other | outside)
    domains["explained"] = other & ~absent
    domains = domains.merge(grid[[*_KEYS, "position", "visit"]], on=_KEYS, how="left")
    problems = [
        queries.make(
            "DV022",
            subject_id=row.subject_id,
            visit=row.visit,
            file="neuro",
            value=row.score_text,
            item=row.item,
            instrument=row.instrument,
            row_id=row.row_id,
        )
        for row in domains[outside.to_numpy()].itertuples()
    ]
    keys = ["subject_id", "instrument", "item"]
    per_visit = [*keys, "number", "position", "top", "preference"]
    domains = domains.groupby(per_visit, dropna=False, sort=True).agg(
        score=("score", "max"), explained=("explained", "any")
    )
    domains = domains.reset_index().sort_values([*keys, "number"], kind="stable").reset_index(drop=True)
    groups = [domains[key] for key in keys]
    at_baseline = domains["score"].where(domains["position"] != "")
    domains["reference"] = at_baseline.groupby(groups, sort=False).transform("last")
    best = domains["score"].groupby(groups, sort=False).cummin().groupby(groups, sort=False).ffill()
    domains["better"] = np.fmin(domains["reference"], best.groupby(groups, sort=False).shift())
    return domains, problems


def _judge(domains: pd.DataFrame) -> pd.DataFrame:
    """Judge each visit by the NANO change rule; one row per visit with scored domains."""
    rule = load_scale("nano_2017")["change_rule"]
    domains = domains.copy()
    score, better, top = domains["score"], domains["better"], domains["top"]
    new_top = (score == top) & (better < top) & bool(rule["new_top_score_is_progression"])
    domains["progression"] = (score - better >= rule["progression_levels"]) | new_top
    domains["response"] = domains["reference"] - score >= rule["response_levels"]
    domains["lesser"] = (score > better) & ~domains["progression"]
    domains["comparable"] = score.notna() & domains["reference"].notna()
    domains["scored"] = score.notna()
    domains["deficit"] = score > 0
    domains["left_out"] = domains["reference"].notna() & score.isna() & ~domains["explained"]
    names = ["progression", "response", "lesser", "comparable", "scored", "deficit", "left_out", "explained"]
    visits = domains.groupby([*_KEYS, "preference", "instrument"], sort=True)[names].any().reset_index()
    visits = visits.sort_values([*_KEYS, "scored", "preference"], ascending=[True, True, False, True], kind="stable")
    visits = visits.drop_duplicates(_KEYS).reset_index(drop=True)
    decided = load_scheme("nano_2017_overall").decide(
        pd.DataFrame(
            {
                "exam": np.where(visits["comparable"] | visits["explained"], "done", "not_done"),
                "explained_otherwise": visits["explained"] & ~visits["comparable"],
                "any_progression": visits["progression"],
                "any_response": visits["response"],
                "any_lesser_worsening": visits["lesser"],
            }
        )
    )
    visits["items"] = decided["call"]
    visits["deficit"] = np.where(visits["scored"], np.where(visits["deficit"], "Y", "N"), "").astype(object)
    for name in ("scored", "left_out", "explained"):
        visits[name] = np.where(visits[name], "Y", "").astype(object)
    return visits[[*_KEYS, "instrument", "items", "deficit", "scored", "left_out", "explained"]]


def _inputs(frame: pd.DataFrame) -> pd.DataFrame:
    """Return the inputs of ``strand_neuro``; up to baseline an examination is compared with itself."""
    early = frame["position"] != ""
    examined = (frame["scored"] == "Y") | frame["examiner"].isin(["IMPROVED", "STABLE", "WORSENED"])
    itself = pd.Series(np.where(examined, "NEUROLOGIC_STABILITY", "NOT_ASSESSED"), index=frame.index, dtype=object)
    return pd.DataFrame(
        {
            "examiner": frame["examiner"].where((frame["examiner"] != "") & ~early, "none"),
            "items": frame["items"].where(frame["items"] != "", "NOT_ASSESSED").where(~early, itself),
            "other_cause": (frame["examiner_cause"] != "") & ~early,
        }
    )


def _reason(frame: pd.DataFrame, inputs: pd.DataFrame) -> pd.Series:
    by_items = frame["instrument"] + ": " + inputs["items"].str.replace("_", " ").str.lower()
    chosen = np.select(
        [
            (frame["position"] != "") & frame["status"].eq("stable"),
            inputs["other_cause"] & frame["rule_id"].eq("NS01"),
            inputs["examiner"] != "none",
            frame["instrument"] != "",
            ~frame["done"],
        ],
        [
            pd.Series("reference visit", index=frame.index),
            "change explained otherwise: " + frame["alternative_cause"],
            "examiner: " + inputs["examiner"].str.lower(),
            by_items,
            not_done_text(frame),
        ],
        default="no neurological examination",
    )
    return pd.Series(chosen, index=frame.index, dtype=object)
