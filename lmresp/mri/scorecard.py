"""The imaging strand: reads and drafts to the imaging status of a visit (pure).

How items combine is in :mod:`lmresp.mri.items`; which reads count and which one stands in :mod:`lmresp.mri.reads`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from lmresp import queries
from lmresp.criteria import load_scheme
from lmresp.criteria.charter import Charter
from lmresp.criteria.timeline import (
    STRAND_COLUMNS,
    flag,
    joined,
    not_done_text,
    strand_frame,
    visit_grid,
)
from lmresp.mri.items import KEYS, joined_by, overall_from_items, presence_now, worst_word
from lmresp.mri.read_nodules import compare_nodules
from lmresp.mri.reads import accept_reads, judge_reads, locked_rows, seen_at_baseline
from lmresp.mri.visit_draft import pool_drafts
from lmresp.queries import Query
from lmresp.terms import Change, Item, Presence

__all__ = ["BM_ITEMS", "COLUMNS", "grade_mri", "overall_from_items"]

COLUMNS = (
    *STRAND_COLUMNS,
    *("source", "overall", "scans", "draft_status", "draft_overall", "read_id", "hydrocephalus", "comparator"),
    *("readers", "nodules", "sum_products", "sum_products_change", "nodules_new", "parenchymal"),
    *("bm_target", "bm_nontarget", "bm_new", "mri_pattern"),
)
BM_ITEMS = {
    "BM_TARGET": ("PD", "NE", "SD", "PR", "CR"),
    "BM_NONTARGET": ("UNEQUIVOCAL_PD", "NE", "STABLE_OR_IMPROVED", "NONE"),
    "BM_NEW": ("PRESENT", "NE", "ABSENT"),
}
"""Inputs of RANO-BM for parenchymal lesions, which stay out of the LM value; the worst of several parts first."""
_PARENCHYMAL = (Change.WORSE, Presence.NE, Presence.PRESENT, Change.NO_CHANGE, Change.IMPROVED, Presence.ABSENT)


def grade_mri(
    reads: pd.DataFrame,
    drafts: Sequence[Mapping[str, Any]],
    subjects: pd.DataFrame,
    visits: pd.DataFrame,
    charter: Charter,
) -> tuple[pd.DataFrame, list[Query]]:
    """Grade the MRI of every visit: the accepted read where there is one, else the automated draft, marked.

    Parameters
    ----------
    reads, subjects, visits : pandas.DataFrame
        Checked tables of text (``work/tables/*.csv``); ``reads`` has one row per item.
    drafts : sequence of mapping
        Scan results (``*_scan.json``).
    charter : Charter
        ``draft_may_stand``, ``read_model``, ``adjudicate_on``, ``reference_imaging``, ``join_window_days``.

    Returns
    -------
    frame : pandas.DataFrame
        One row per visit of ``visits``, columns :data:`COLUMNS`, all text, sorted by subject and visit number.
        ``status`` is a value of :class:`lmresp.terms.Imaging`; the draft stays in ``draft_status`` and
        ``draft_overall`` beside a read. The baseline visit is graded against itself. ``disputed`` holds what other
        readers of the same rank make of the visit, or what the items give where the overall value contradicts them.
        ``mri_pattern`` (up to baseline) is A linear, B nodular, C both, D_hydrocephalus or D_normal.
    problems : list of Query
        IN011, IN012, IN013, DV008, DV009, DV040, DV042 to DV047.

    Notes
    -----
    Which read stands: :func:`lmresp.mri.reads.accept_reads`. A read that compares with another scan than
    ``reference_imaging`` stands and is flagged ``comparator_differs``; a draft always compares with the baseline.

    A compartment seen at baseline, in the draft or in a locked read, is expected of every later draft; a draft of the
    brain only that follows one of the brain only is evaluable and flagged ``spine_not_assessed``. ``reason`` names the
    items that were not evaluable, with the reason of each.
    """
    grid = visit_grid(subjects, visits)
    rows, problems = locked_rows(reads, grid, charter)
    judged_reads, more = judge_reads(rows, charter)
    read, chosen, open_cases = accept_reads(judged_reads, rows, charter)
    facts, doubts = _read_facts(chosen, charter)
    problems += [*more, *open_cases, *doubts]
    drafted, items = pool_drafts(drafts, seen_at_baseline(rows), grid, charter)
    drafted = drafted.merge(_pattern(items).rename("draft_pattern").reset_index(), on=KEYS, how="left")
    found = read.merge(facts, on=KEYS, how="left", validate="one_to_one").merge(drafted, on=KEYS, how="outer")
    frame = strand_frame(grid, found)
    early = frame["position"] != ""
    by_read = (frame["reader"] != "").astype(bool)
    by_draft = ~by_read & frame["measured"].eq("Y") & charter.on("draft_may_stand")
    frame["source"] = np.select([by_read, by_draft], ["read", "draft"], default="").astype(object)
    frame["overall"] = np.select([by_read, by_draft], [frame["read_overall"], frame["draft_overall"]], default="")
    frame["overall"] = frame["overall"].astype(object).where(~early, "")
    itself = pd.Series(np.where(frame["source"] != "", "SD", "none"), index=frame.index, dtype=object)
    scheme = load_scheme("strand_imaging")
    judged = frame["overall"].where(frame["overall"] != "", "none").where(~early, itself)
    decided = scheme.decide(pd.DataFrame({"overall": judged}))
    draft_overall = frame["draft_overall"].where(frame["draft_overall"] != "", "none")
    frame["draft_status"] = scheme.decide(pd.DataFrame({"overall": draft_overall}))["call"]
    frame["draft_status"] = frame["draft_status"].where(frame["draft_overall"] != "", "")
    frame["status"], frame["rule_id"], frame["certainty"] = decided["call"], decided["rule_id"], decided["certainty"]
    spine = frame["read_spine"].where(by_read, frame["draft_spine"]) == "Y"
    no_spine = ~spine & (frame["source"] != "")
    evaluable = ~frame["draft_overall"].isin(["", "NE"]) & ~frame["overall"].isin(["", "NE"])
    differs = by_read & evaluable & (frame["draft_overall"] != frame["overall"])
    frame["flags"] = joined(
        [
            frame["position"],
            flag(frame["source"] == "draft", "draft"),
            frame["read_flags"].where(by_read, frame["draft_flags"].where(by_draft, "")),
            frame["fact_flags"],
            flag(by_draft & ~early & (charter.text("reference_imaging") != "baseline"), "comparator_differs"),
            flag(differs, "read_differs_from_draft"),
            flag(no_spine, "spine_not_assessed"),
        ]
    )
    frame["hydrocephalus"] = frame["read_hydro"].where(frame["read_hydro"] != "", frame["draft_hydro"])
    frame["reason"] = _reason(frame)
    frame["disputed"] = frame["read_disputed"]
    frame["comparator"] = frame["comparator"].where(~by_draft, "BASELINE").where(~early, "")
    pattern = np.select([by_read, by_draft], [frame["read_pattern"], frame["draft_pattern"]], default="")
    frame["mri_pattern"] = np.where(early, pattern, "").astype(object)
    dated = frame["read_date"].where(frame["read_date"] != "", frame["draft_date"])
    frame["date"] = dated.where(dated != "", frame["date"])
    return frame[list(COLUMNS)].astype(object), problems


def _read_facts(rows: pd.DataFrame, charter: Charter) -> tuple[pd.DataFrame, list[Query]]:
    """Return what the reads that stand say beside the LM value; one row per visit."""
    rows = rows.assign(presence=presence_now(rows))
    facts = rows.groupby(KEYS, sort=True)[["visit", "position"]].first()
    facts["named"], facts["against"] = joined_by(rows, KEYS, "comparator"), joined_by(rows, KEYS, "against")
    facts["named"] = facts["named"].astype(object).fillna("")
    reference = charter.text("reference_imaging").upper()
    facts["comparator"] = facts["named"].where(facts["named"] != "", f"({reference})")
    differs = (facts["position"] == "") & (facts["against"] != reference)
    facts["read_hydro"] = _item(rows, Item.HYDROCEPHALUS.value, "presence", ("PRESENT", "NE", "ABSENT"))
    facts["parenchymal"] = _item(rows, Item.PARENCHYMAL.value, "value", tuple(word.value for word in _PARENCHYMAL))
    for name, worst_first in BM_ITEMS.items():
        facts[name.lower()] = _item(rows, name, "value", worst_first)
    facts["read_pattern"] = _pattern(rows)
    nodules, problems = compare_nodules(rows, charter)
    facts = facts.join(nodules.set_index(KEYS))
    facts["fact_flags"] = joined([flag(differs, "comparator_differs"), facts["nodule_flags"].astype(object).fillna("")])
    problems += [
        queries.make("DV042", subject_id=row.subject_id, visit=row.visit, value=row.against, other=reference)
        for row in facts[differs].reset_index().itertuples()
    ]
    return facts.drop(columns=["visit", "position", "named", "against", "nodule_flags"]).reset_index(), problems


def _item(rows: pd.DataFrame, item: str, column: str, worst_first: tuple[str, ...]) -> pd.Series:
    """Value of an item by visit; of several compartments the worst."""
    mine = rows[rows["item"] == item]
    return worst_word(mine[column], [mine[key] for key in KEYS], worst_first)


def _pattern(items: pd.DataFrame) -> pd.Series:
    """Type of meningeal enhancement by visit (EANO-ESMO 2023, Table 1), ``""`` where an item that decides is not known.

    Linear enhancement is A, nodules B, both C; neither is D, with hydrocephalus or without.
    """
    order = ("PRESENT", "NE", "ABSENT")
    found = {item.value: _item(items, item.value, "presence", order) for item in (Item.LINEAR, Item.NODULES)}
    found["HYDROCEPHALUS"] = _item(items, Item.HYDROCEPHALUS.value, "presence", order)
    state = pd.DataFrame(found)
    there, gone = state == "PRESENT", state == "ABSENT"
    neither = gone["LINEAR"] & gone["NODULES"]
    letter = np.select(
        [
            there["LINEAR"] & there["NODULES"],
            there["LINEAR"] & gone["NODULES"],
            gone["LINEAR"] & there["NODULES"],
            neither & there["HYDROCEPHALUS"],
            neither & gone["HYDROCEPHALUS"],
        ],
        ["C", "A", "B", "D_hydrocephalus", "D_normal"],
        default="",
    )
    index = state.index.set_names(KEYS) if len(state) else pd.MultiIndex.from_arrays([[], []], names=KEYS)
    return pd.Series(letter, index=index, dtype=object)


def _reason(frame: pd.DataFrame) -> pd.Series:
    early = frame["position"] != ""
    value = frame["overall"].where(~early, "reference visit").where(lambda text: text != "", "no overall value")
    open_items = frame["read_open"].where(frame["source"] == "read", frame["draft_open"])
    value += open_items.where(frame["overall"] == "NE", "").map(lambda text: f" ({text})" if text else "")
    draft_reason = frame["draft_reason"].map(lambda text: f": {text}" if text else "")
    chosen = np.select(
        [
            frame["read_flags"].str.split(";").map(lambda names: "readers_disagree" in names).astype(bool),
            frame["source"] == "read",
            frame["source"] == "draft",
            frame["measured"] == "N",
            frame["measured"] == "Y",
            ~frame["done"],
        ],
        [
            pd.Series("readers disagree and no adjudicated read is locked", index=frame.index),
            "read: " + value,
            "draft: " + value,
            "scan could not be measured" + draft_reason,
            pd.Series("only a draft, which the charter does not let stand", index=frame.index),
            not_done_text(frame),
        ],
        default="no MRI",
    )
    return pd.Series(chosen, index=frame.index, dtype=object)
