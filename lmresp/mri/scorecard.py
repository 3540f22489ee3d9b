"""The LM scorecard: items to an overall value, and reads and drafts to the imaging status of a visit (pure).

Source: revised MRI scorecard, Neuro-Oncology 2019;21:648, Table 5 (items and values were read, the footnote that
combines them was not): table ``lano_2019_overall_imaging``. Parenchymal and cranial nerve items are recorded and stay
out of the LM value.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from lmresp import queries
from lmresp.criteria import Rule, load_scheme
from lmresp.criteria.charter import Charter
from lmresp.criteria.timeline import (
    STRAND_COLUMNS,
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
from lmresp.terms import Change, Item, Presence

COLUMNS = (
    *STRAND_COLUMNS,
    *("source", "overall", "scans", "draft_status", "draft_overall", "read_id", "hydrocephalus"),
)
LM_ITEMS = (Item.NODULES.value, Item.LINEAR.value, Item.HYDROCEPHALUS.value)
"""Items that count for the LM value, in brain and spine (hydrocephalus in the brain only)."""
WORST_FIRST = ("PD", "NE", "SD", "PR", "CR")
"""Order in which overall values of several compartments combine: a missing part never supports stability."""
_ROLES = {"ADJUDICATION COMMITTEE": 0, "INDEPENDENT ASSESSOR": 1, "INVESTIGATOR": 2}
_KEYS = ["subject_id", "number"]
_READ = (
    *("read_id", "subject_id", "visit_num", "scan_dtc", "reader_id", "role", "read_dtc", "locked_dtc", "compartment"),
    *("item", "value", "reason_ne", "supersedes", "row_id"),
)


def overall_from_items(items: Iterable[Mapping[str, Any]]) -> Rule | None:
    """Combine the items of one scan into the overall value of the scorecard.

    Parameters
    ----------
    items : iterable of mapping
        ``item`` (:class:`lmresp.terms.Item`), ``compartment``, ``presence`` (:class:`lmresp.terms.Presence`) and
        ``change`` (:class:`lmresp.terms.Change`, or None on the reference scan).

    Returns
    -------
    Rule or None
        The rule that answers (``output`` is CR, PR, SD, PD or NE, with ``rule_id`` and ``certainty``); None when no LM
        item carries a change, as on the reference scan.

    Notes
    -----
    Everything is resolved when an item improved and no LM item is left present.
    """
    rows = pd.DataFrame([dict(item) for item in items], columns=["item", "compartment", "presence", "change"])
    rows = _words(rows)
    if not rows["change"].ne("").any():
        return None
    decided = _combine(rows.assign(one=1), ["one"])
    scheme = load_scheme("lano_2019_overall_imaging")
    return next(rule for rule in scheme.rules if rule.rule_id == decided["rule_id"].iloc[0])


def _words(rows: pd.DataFrame) -> pd.DataFrame:
    out = rows.copy()
    for name in out.columns.intersection(["item", "presence", "change", "reason"]):
        out[name] = [("" if pd.isna(cell) else str(cell)) for cell in out[name]]
    return out[out["item"].isin(LM_ITEMS)]


def _combine(items: pd.DataFrame, keys: list[str]) -> pd.DataFrame:
    """Answer ``lano_2019_overall_imaging`` for every group of items that carries a change."""
    marks = items[keys].assign(
        any_worse=items["change"] == Change.WORSE.value,
        any_improved=items["change"] == Change.IMPROVED.value,
        any_ne=(items["change"] == Change.NE.value) | (items["presence"] == Presence.NE.value),
        changed=items["change"] != "",
        present=items["presence"] == Presence.PRESENT.value,
        known=items["presence"] != "",
    )
    by_group = marks.groupby(keys, sort=True)
    groups = by_group[["any_worse", "any_improved", "any_ne", "changed", "present"]].any()
    known = by_group["known"].all()
    nothing_left = known & ~groups["present"] & ~groups["any_ne"]
    groups["all_resolved"] = groups["any_improved"] & ~groups["any_worse"] & nothing_left
    groups["presence_known"] = known
    groups = groups[groups["changed"]].reset_index()
    decided = load_scheme("lano_2019_overall_imaging").decide(groups)
    return pd.concat([groups[[*keys, "presence_known"]], decided[["call", "rule_id", "certainty", "flags"]]], axis=1)


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
        ``draft_may_stand``, ``join_window_days``.

    Returns
    -------
    frame : pandas.DataFrame
        One row per visit of ``visits``, columns :data:`COLUMNS`, all text, sorted by subject and visit number.
        ``status`` is a value of :class:`lmresp.terms.Imaging`; the draft stays in ``draft_status`` and
        ``draft_overall`` beside a read. The baseline visit is graded against itself.
    problems : list of Query
        IN011 (a read that is not locked), IN013 (overall not implied by items), DV009 (readers disagree and nobody
        adjudicated).

    Notes
    -----
    A read is what one reader in one role says of one visit. An adjudicated read stands before an independent one, and
    that before the investigator's. Rows named in ``supersedes`` of a locked row are replaced. Two readers of the same
    role with different overall values and no adjudication leave the visit not evaluable.

    A compartment seen at baseline, in the draft or in a locked read, is expected of every later draft; a draft of the
    brain only that follows one of the brain only is evaluable and flagged ``spine_not_assessed``. ``reason`` names the
    items that were not evaluable, with the reason of each.
    """
    grid = visit_grid(subjects, visits)
    rows, problems = _locked(reads, grid, charter)
    read, more = _accepted(rows, grid)
    problems += more
    drafted = _drafted(drafts, _seen_at_baseline(rows, grid), grid, charter)
    frame = strand_frame(grid, read.merge(drafted, on=_KEYS, how="outer"))
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
            flag(differs, "read_differs_from_draft"),
            flag(no_spine, "spine_not_assessed"),
        ]
    )
    frame["hydrocephalus"] = frame["read_hydro"].where(frame["read_hydro"] != "", frame["draft_hydro"])
    frame["reason"] = _reason(frame)
    frame["disputed"] = ""
    dated = frame["read_date"].where(frame["read_date"] != "", frame["draft_date"])
    frame["date"] = dated.where(dated != "", frame["date"])
    return frame[list(COLUMNS)].astype(object), problems


def _locked(reads: pd.DataFrame, grid: pd.DataFrame, charter: Charter) -> tuple[pd.DataFrame, list[Query]]:
    rows = text_frame(reads, _READ)
    rows = rows[rows["subject_id"].isin(grid["subject_id"]) & rows["role"].str.upper().isin(_ROLES)]
    unlocked = rows["locked_dtc"] == ""
    problems = [
        queries.make(
            "IN011",
            subject_id=row.subject_id,
            column="locked_dtc",
            value=row.read_id,
            place=row.row_id,
            allowed="a date and time, UTC",
        )
        for row in rows[unlocked].itertuples()
    ]
    rows = rows[~unlocked]
    rows = rows[~rows["read_id"].isin(set(rows["supersedes"]) - {""})].reset_index(drop=True)
    rows["day"] = days(rows["scan_dtc"])
    rows = join_visits(rows, grid, charter)
    rows["rank"] = rows["role"].str.upper().map(_ROLES)
    rows["item"], rows["value"] = rows["item"].str.upper(), rows["value"].str.upper()
    return rows[rows["number"].notna()].drop(columns="visit_num"), problems


def _seen_at_baseline(rows: pd.DataFrame, grid: pd.DataFrame) -> pd.DataFrame:
    """Subject and compartment of the LM items that a locked read found present or absent up to baseline."""
    early = rows.merge(grid.loc[grid["position"] != "", _KEYS], on=_KEYS)
    early = early[early["item"].isin(LM_ITEMS) & early["value"].isin([Presence.PRESENT.value, Presence.ABSENT.value])]
    whole = early[early["compartment"] == "WHOLE"]
    parts = pd.concat([early, whole.assign(compartment="BRAIN"), whole.assign(compartment="SPINE")])
    parts = parts[parts["compartment"].isin(["BRAIN", "SPINE"])]
    return parts[["subject_id", "compartment"]].drop_duplicates()


def _open_items(items: pd.DataFrame, keys: list[str]) -> pd.Series:
    """List the items that are not evaluable, each as ``ITEM COMPARTMENT: reason``, by ``keys``."""
    words = items["item"] + " " + items["compartment"] + items["reason"].map(lambda text: f": {text}" if text else "")
    texts: pd.Series = words.groupby([items[key] for key in keys]).agg(lambda each: "; ".join(sorted(set(each))))
    return texts.astype(object)


def _accepted(rows: pd.DataFrame, grid: pd.DataFrame) -> tuple[pd.DataFrame, list[Query]]:
    """Return the read that stands for each visit, and what is wrong with it."""
    one = [*_KEYS, "rank", "reader_id"]
    rows = rows.merge(grid[[*_KEYS, "position", "visit"]], on=_KEYS, how="left")
    rows = rows.sort_values([*one, "read_dtc", "read_id"], kind="stable")
    rows = rows.drop_duplicates([*one, "compartment", "item"], keep="last")
    readers = rows.groupby(one, sort=True).agg(
        row_ids=("row_id", lambda ids: ";".join(sorted(ids))),
        read_id=("read_id", lambda ids: ";".join(sorted(ids))),
        read_date=("scan_dtc", "max"),
        read_spine=("compartment", lambda names: "Y" if set(names) & {"SPINE", "WHOLE"} else ""),
        position=("position", "first"),
        visit=("visit", "first"),
    )
    readers["read_date"] = readers["read_date"].str[:10]
    total = rows[rows["item"] == Item.OVERALL.value].copy()
    total["severity"] = total["value"].map({word: place for place, word in enumerate(WORST_FIRST)})
    total["part"] = total["compartment"] != "WHOLE"
    total = total.sort_values([*one, "part", "severity"], kind="stable").drop_duplicates(one).set_index(one)
    items = rows.assign(
        presence=rows["value"].where(rows["value"].isin([word.value for word in Presence]), ""),
        change=rows["value"].where(rows["value"].isin([word.value for word in Change]), ""),
    )
    items = items[items["item"].isin(LM_ITEMS) & (items["position"] == "")]
    unread = rows[(rows["value"] == "NE") & (rows["position"] == "")]
    readers["read_open"] = _open_items(unread.rename(columns={"reason_ne": "reason"}), one)
    implied = _combine(items, one).set_index(one)
    readers["stated"] = total["value"]
    readers["implied"] = implied["call"]
    readers[["stated", "implied"]] = readers[["stated", "implied"]].astype(object).fillna("")
    readers["read_overall"] = readers["stated"].where(readers["stated"] != "", readers["implied"])
    readers["read_overall"] = readers["read_overall"].replace({"": "NE", "INVALID_INPUT": "NE"})
    # Without the presence of each item CR and PR cannot be told apart from the changes alone.
    same = (readers["stated"] == readers["implied"]) | (readers[["stated", "implied"]].isin(["CR", "PR"]).all(axis=1))
    not_implied = (readers["stated"] != "") & (readers["implied"] != "") & ~same & (readers["position"] == "")
    readers["read_flags"] = joined(
        [
            flag(not_implied, "overall_not_implied_by_items"),
            flag((readers["stated"] == "") & (readers["position"] == ""), "overall_from_items"),
        ]
    )
    readers = readers.join(_read_hydrocephalus(rows, one)).reset_index()
    readers[["read_hydro", "read_open"]] = readers[["read_hydro", "read_open"]].astype(object).fillna("")
    problems = [
        queries.make("IN013", subject_id=row.subject_id, visit=row.visit, value=row.stated, implied=row.implied)
        for row in readers[not_implied.to_numpy()].itertuples()
    ]
    best_rank = readers.groupby(_KEYS)["rank"].transform("min")
    readers = readers[readers["rank"] == best_rank]
    opinions = readers.groupby(_KEYS)["read_overall"].transform("nunique")
    open_case = (opinions > 1) & (readers["position"] == "")
    readers.loc[open_case, "read_overall"] = "NE"
    readers.loc[open_case, "read_flags"] = "readers_disagree"
    readers = readers.rename(columns={"reader_id": "reader"})
    chosen = readers.drop_duplicates(_KEYS)
    problems += [
        queries.make("DV009", subject_id=row.subject_id, visit=row.visit, value=row.row_ids)
        for row in chosen[chosen["read_flags"] == "readers_disagree"].itertuples()
    ]
    kept = ["row_ids", "read_id", "read_date", "read_spine", "read_overall", "read_flags", "reader"]
    return chosen[[*_KEYS, *kept, "read_hydro", "read_open"]], problems


def _read_hydrocephalus(rows: pd.DataFrame, one: list[str]) -> pd.Series:
    """Presence of hydrocephalus by reader and visit: worse means present, no change keeps the baseline's."""
    hydro = rows[rows["item"] == Item.HYDROCEPHALUS.value]
    at_baseline = hydro[hydro["position"] != ""].drop_duplicates("subject_id", keep="last")
    before = at_baseline.set_index("subject_id")["value"]
    same = hydro["subject_id"].map(before.to_dict()).fillna(Presence.NE.value)
    value = hydro["value"].map({"PRESENT": "PRESENT", "ABSENT": "ABSENT", "WORSE": "PRESENT"}).astype(object)
    value = value.mask(hydro["value"] == Change.NO_CHANGE.value, same).fillna(Presence.NE.value)
    return hydro.assign(read_hydro=value).drop_duplicates(one, keep="last").set_index(one)["read_hydro"]


def _drafted(
    drafts: Sequence[Mapping[str, Any]], seen: pd.DataFrame, grid: pd.DataFrame, charter: Charter
) -> pd.DataFrame:
    """Pool the drafts of a visit's scans; a compartment of the baseline that is missing now is not evaluable."""
    fields = ("scan", "subject_id", "visit_num", "scan_date", "status", "reason")
    scans = text_frame(
        pd.DataFrame([{name: draft.get(name) for name in fields} for draft in drafts], dtype=object), fields
    )
    scans = join_visits(scans.assign(day=days(scans["scan_date"])), grid, charter)
    scans = scans[scans["number"].notna()].sort_values([*_KEYS, "scan"], kind="stable")
    place = scans.set_index("scan")[_KEYS]
    items = pd.DataFrame(
        [
            {**dict(zip(_KEYS, place.loc[draft["scan"]], strict=True)), **item}
            for draft in drafts
            if draft["scan"] in place.index and draft["status"] == "measured"
            for item in (draft.get("scorecard") or {}).get("items", [])
        ],
        columns=[*_KEYS, "item", "compartment", "presence", "change", "reason"],
    )
    items = _words(items).merge(grid[[*_KEYS, "position"]], on=_KEYS, how="left")
    at_baseline = pd.concat([items.loc[items["position"] != "", ["subject_id", "compartment"]], seen])
    followed = items[items["position"] == ""]
    expected = followed[_KEYS].drop_duplicates().merge(at_baseline.drop_duplicates(), on="subject_id")
    missing = expected.merge(followed[[*_KEYS, "compartment"]].drop_duplicates(), how="left", indicator=True)
    missing = missing[missing["_merge"] == "left_only"].drop(columns="_merge")
    gaps = missing.assign(item=Item.LINEAR.value, presence=Presence.NE.value, change=Change.NE.value, position="")
    followed = pd.concat([followed, gaps.assign(reason="seen at baseline, not part of this draft")])
    decided = _combine(followed, _KEYS).set_index(_KEYS)
    not_evaluable = (followed["change"] == Change.NE.value) | (followed["presence"] == Presence.NE.value)
    found = scans.groupby(_KEYS, sort=True).agg(
        scans=("scan", lambda names: ";".join(sorted(names))),
        measured=("status", lambda states: "Y" if "measured" in set(states) else "N"),
        draft_reason=("reason", lambda reasons: "; ".join(sorted(set(reasons) - {""}))),
        draft_date=("scan_date", "max"),
    )
    found["draft_overall"] = decided["call"].replace({"INVALID_INPUT": "NE"})
    found["draft_flags"] = decided["flags"]
    gap_flag = missing[_KEYS].drop_duplicates().assign(gap="compartment_missing").set_index(_KEYS)["gap"]
    found["gap"] = gap_flag
    found["draft_open"] = _open_items(followed[not_evaluable], _KEYS)
    text = ["draft_overall", "draft_flags", "gap", "draft_open"]
    found[text] = found[text].astype(object).fillna("")
    found["draft_flags"] = joined([found["draft_flags"], found["gap"]])
    hydro = items[items["item"] == Item.HYDROCEPHALUS.value].drop_duplicates(_KEYS, keep="last").set_index(_KEYS)
    found["draft_hydro"] = hydro["presence"]
    spine = items[items["compartment"].isin(["SPINE", "WHOLE"]) & (items["presence"] != Presence.NE.value)]
    spine = spine[_KEYS].drop_duplicates()
    found["draft_spine"] = spine.assign(spine="Y").set_index(_KEYS)["spine"]
    return found.drop(columns="gap").reset_index()


def _reason(frame: pd.DataFrame) -> pd.Series:
    early = frame["position"] != ""
    value = frame["overall"].where(~early, "reference visit").where(lambda text: text != "", "no overall value")
    open_items = frame["read_open"].where(frame["source"] == "read", frame["draft_open"])
    value += open_items.where(frame["overall"] == "NE", "").map(lambda text: f" ({text})" if text else "")
    draft_reason = frame["draft_reason"].map(lambda text: f": {text}" if text else "")
    chosen = np.select(
        [
            frame["read_flags"].eq("readers_disagree"),
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
