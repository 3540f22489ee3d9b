"""Grades the neurological examination: the examiner's conclusion and the scored domains to a status per visit.

Source: NANO 2017 (Neuro-Oncology 2017;19:625-635, read in a transcription) for the change of scored domains; the
change rule of the RANO-LM examination was not read, so NANO's is applied to it by convention (table ``strand_neuro``).
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from lmresp import queries
from lmresp.criteria import load_scale, load_scheme
from lmresp.criteria.charter import Charter
from lmresp.criteria.timeline import (
    BEFORE_BASELINE,
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
from lmresp.errors import CriteriaError
from lmresp.neuro.domains import KEYS, judge, scored_domains
from lmresp.neuro.instruments import NANO, items_of, judged
from lmresp.neuro.item_checks import unknown_items
from lmresp.neuro.nano_lm import nano_lm
from lmresp.queries import Query

COLUMNS = (
    *STRAND_COLUMNS,
    *("instrument", "symptomatic", "alternative_cause", "kps"),
    *("nano", "nano_rule_id", "nano_certainty", "nano_lm", "fixed"),
)
_READ = (
    *("subject_id", "visit_num", "exam_dtc", "instrument", "item", "score", "not_assessed_reason", "status"),
    *("alternative_cause", "row_id"),
)


def grade_neuro(
    neuro: pd.DataFrame, subjects: pd.DataFrame, visits: pd.DataFrame, charter: Charter
) -> tuple[pd.DataFrame, list[Query]]:
    """Grade the neurological examination of every visit.

    Parameters
    ----------
    neuro, subjects, visits : pandas.DataFrame
        Checked tables of text (``work/tables/*.csv``).
    charter : Charter
        ``neuro_instruments``, ``reference_neuro``, ``conclusions_worst_first``, ``no_other_cause``,
        ``join_window_days``.

    Returns
    -------
    frame : pandas.DataFrame
        One row per visit of ``visits``, columns :data:`COLUMNS`, all text, sorted by subject and visit number.
        ``status`` is a value of :class:`lmresp.terms.Neuro`; ``symptomatic`` is Y when a deficit attributed to LM is
        present, N when every assessed domain is normal, empty when not known; an ECOG score is in ``flags`` as
        ``ecog_2``. The baseline visit is graded against itself. ``nano`` is NANO's own answer after baseline where
        NANO was used; ``nano_lm`` says in words what was scored by NANO-LM; ``fixed`` names the domains at their top
        level at baseline. ``disputed`` is what another examiner, or the scored domains against the examiner, would
        give.
    problems : list of Query
        DV021: the examiner's conclusion does not follow from the scored domains (it stands); DV022: a score outside
        the levels of its domain (not used); DV030: an item that the scale does not name (not used);
        DV036: examinations of one visit that score a domain differently (the worst counts).

    Raises
    ------
    lmresp.errors.CriteriaError
        If ``neuro_instruments`` names an instrument whose domains cannot be judged.
    """
    wrong = [name for name in charter.texts("neuro_instruments") if name not in judged()]
    if wrong:
        raise CriteriaError(f"neuro_instruments: {wrong[0]!r} has no change rule", allowed=", ".join(judged()))
    grid = visit_grid(subjects, visits)
    rows = _rows(neuro, grid, charter)
    domains, problems = scored_domains(rows, grid, charter)
    facts, explained_visits = _visit_facts(rows, charter)
    answers = judge(domains, explained_visits)
    stored, wrong_levels = nano_lm(rows)
    found = facts.merge(_chosen(answers, charter), on=KEYS, how="left", validate="one_to_one")
    found = found.merge(_nano(answers), on=KEYS, how="left").merge(stored, on=KEYS, how="left")
    frame = strand_frame(grid, found)
    problems += [*wrong_levels, *unknown_items(rows)]
    early = frame["position"] != ""
    for name in ("nano", "nano_rule_id", "nano_certainty"):
        frame[name] = frame[name].mask(early, "")
    frame["fixed"], frame["aside"] = _fixed(frame, domains)
    inputs = _inputs(frame)
    scheme = load_scheme("strand_neuro")
    decided = scheme.decide(inputs)
    frame["status"], frame["rule_id"], frame["certainty"] = decided["call"], decided["rule_id"], decided["certainty"]
    implied: dict[str, str] = load_scale("nano_2017")["conclusions"]
    disagree = (inputs["examiner"] != inputs["items"].map(implied)) & inputs["items"].isin(implied)
    disagree &= inputs["examiner"].isin(implied.values()) & ~early
    frame["symptomatic"] = np.where(
        (frame["deficit"] == "") & (frame["status"] == "worse"), "Y", frame["deficit"]
    ).astype(object)
    frame["flags"] = joined(
        [
            frame["position"],
            decided["flags"],
            flag(disagree, "status_not_implied_by_items"),
            flag((frame["left_out"] == "Y") & ~early, "domains_not_assessed"),
            flag(frame["explained"] == "Y", "domains_explained_otherwise"),
            flag((frame["scored"] == "Y") & (frame["aside"] == "Y") & ~early, "domains_set_aside"),
            frame["ecog"].map(lambda score: f"ecog_{score}" if score else ""),
        ]
    )
    frame["reason"] = _reason(frame, inputs)
    frame["disputed"] = _disputed(frame, inputs, disagree)
    frame["date"] = frame["exam_date"].where(frame["exam_date"] != "", frame["date"])
    problems += [
        queries.make(
            "DV021",
            subject_id=row["subject_id"],
            visit=row["visit"],
            value=row["examiner"],
            implied=implied[str(row["items"])],
        )
        for row in frame[["subject_id", "visit"]].join(inputs[["examiner", "items"]])[disagree].to_dict("records")
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
    rows = rows[rows["number"].notna()].drop(columns="visit_num")
    return rows.merge(grid[[*KEYS, "visit"]], on=KEYS, how="left")


def _visit_facts(rows: pd.DataFrame, charter: Charter) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return what stands for the visit as a whole, and the visits whose change as a whole has another cause.

    Of several conclusions the worst counts.
    """
    order = {word: place for place, word in enumerate(charter.texts("conclusions_worst_first"))}
    concluded = rows[rows["status"].isin(order)].copy()
    concluded["rank"] = concluded["status"].map(order)
    concluded = concluded.sort_values([*KEYS, "rank", "row_id"], kind="stable")
    first = concluded.groupby(KEYS, sort=True).agg(
        examiner=("status", "first"),
        examiner_cause=("cause", "max"),
        conclusions=("status", lambda words: ";".join(sorted(set(words)))),
    )
    number = pd.to_numeric(rows["score"], errors="coerce")
    kps = number.where(rows["instrument"] == "KPS").groupby([rows[key] for key in KEYS]).min()
    ecog = number.where(rows["instrument"] == "ECOG").groupby([rows[key] for key in KEYS]).max()
    facts = rows.groupby(KEYS, sort=True).agg(
        exam_day=("day", "max"),
        row_ids=("row_id", lambda ids: ";".join(sorted(ids))),
        alternative_cause=("alternative_cause", lambda causes: "; ".join(sorted(set(causes) - {""}))),
    )
    facts = facts.join(first)
    for name, scores in (("kps", kps), ("ecog", ecog)):
        facts[name] = scores.map(lambda score: f"{score:g}" if score == score else "").astype(object)
    facts["exam_date"] = day_text(facts["exam_day"])
    of_a_domain = concluded["item"].isin({item for name in judged() for item in items_of(name)})
    whole = concluded.loc[(concluded["cause"] != "") & ~of_a_domain, KEYS].drop_duplicates()
    return facts.drop(columns="exam_day").reset_index(), whole


def _chosen(answers: pd.DataFrame, charter: Charter) -> pd.DataFrame:
    """Return one row per visit: that of the first instrument of the charter with a score, or failing that the first."""
    preference = {name: place for place, name in enumerate(charter.texts("neuro_instruments"))}
    mine = answers[answers["instrument"].isin(preference)].copy()
    mine["preference"] = mine["instrument"].map(preference)
    mine = mine.sort_values([*KEYS, "scored", "preference"], ascending=[True, True, False, True], kind="stable")
    mine = mine.drop_duplicates(KEYS)
    mine["deficit"] = np.where(mine["scored"], np.where(mine["deficit"], "Y", "N"), "").astype(object)
    for name in ("scored", "left_out", "explained"):
        mine[name] = np.where(mine[name], "Y", "").astype(object)
    return mine[[*KEYS, "instrument", "items", "scored", "deficit", "left_out", "explained"]]


def _nano(answers: pd.DataFrame) -> pd.DataFrame:
    mine = answers[answers["instrument"] == NANO].rename(columns={"items": "nano"})
    return mine[[*KEYS, "nano", "nano_rule_id", "nano_certainty"]]


def _fixed(frame: pd.DataFrame, domains: pd.DataFrame) -> tuple[pd.Series, pd.Series]:
    """Name the domains at the top level at baseline, from baseline on, and say whether any of them is set aside."""
    top = domains[domains["fixed"]]
    names = top.groupby("subject_id")["item"].agg(lambda items: ";".join(sorted(set(items))))
    late = frame["position"] != BEFORE_BASELINE
    fixed = frame["subject_id"].map(names).astype(object)
    aside = frame["subject_id"].isin(top.loc[top["aside"], "subject_id"])
    return fixed.where(fixed.notna() & late, ""), flag(aside, "Y")


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


def _disputed(frame: pd.DataFrame, inputs: pd.DataFrame, disagree: pd.Series) -> pd.Series:
    """Return the statuses that another examiner's conclusion, or the scored domains, would give."""
    scheme = load_scheme("strand_neuro")
    others = {"none": disagree}
    for word in ("IMPROVED", "NE", "STABLE", "WORSENED"):
        given = frame["conclusions"].str.split(";").map(lambda words, word=word: word in words).astype(bool)
        others[word] = given & (frame["examiner"] != word) & (frame["position"] == "")
    found = [
        scheme.decide(inputs.assign(examiner=word))["call"].where(where, "")
        for word, where in others.items()
        if where.any()
    ]
    rows = zip(*found, frame["status"], strict=True)
    words = [";".join(sorted(set(row[:-1]) - {"", row[-1]})) for row in rows]
    return pd.Series(words, index=frame.index, dtype=object)


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
