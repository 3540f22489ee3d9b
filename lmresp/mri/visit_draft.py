"""The automated drafts of a visit as one assessment (pure)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from lmresp.criteria.charter import Charter
from lmresp.criteria.timeline import days, join_visits, joined, text_frame
from lmresp.mri.items import KEYS, combine, joined_by, lm_items
from lmresp.terms import Change, Item, Presence


def open_items(items: pd.DataFrame, keys: list[str]) -> pd.Series:
    """List the items that are not evaluable, each as ``ITEM COMPARTMENT: reason``, by ``keys``."""
    words = items["item"] + " " + items["compartment"] + items["reason"].map(lambda text: f": {text}" if text else "")
    return joined_by(items[keys].assign(words=words), keys, "words", "; ")


def pool_drafts(
    drafts: Sequence[Mapping[str, Any]], seen: pd.DataFrame, grid: pd.DataFrame, charter: Charter
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Pool the drafts of a visit's scans; a compartment of the baseline that is missing now is not evaluable.

    Parameters
    ----------
    drafts : sequence of mapping
        Scan results (``*_scan.json``).
    seen : pandas.DataFrame
        ``subject_id, compartment`` that a locked read judged up to baseline.
    grid : pandas.DataFrame
        From :func:`lmresp.criteria.timeline.visit_grid`.
    charter : Charter
        ``join_window_days``.

    Returns
    -------
    found : pandas.DataFrame
        One row per visit with a scan: ``subject_id, number, scans, measured`` (Y/N)``, draft_reason, draft_date,
        draft_overall, draft_flags, draft_open, draft_hydro, draft_spine``.
    items : pandas.DataFrame
        The LM items of the measured scans: ``subject_id, number, position, item, compartment, presence, change``.
    """
    fields = ("scan", "subject_id", "visit_num", "scan_date", "status", "reason")
    scans = text_frame(
        pd.DataFrame([{name: draft.get(name) for name in fields} for draft in drafts], dtype=object), fields
    )
    scans = join_visits(scans.assign(day=days(scans["scan_date"])), grid, charter)
    scans = scans[scans["number"].notna()].sort_values([*KEYS, "scan"], kind="stable")
    place = scans.set_index("scan")[KEYS]
    items = pd.DataFrame(
        [
            {**dict(zip(KEYS, place.loc[draft["scan"]], strict=True)), **item}
            for draft in drafts
            if draft["scan"] in place.index and draft["status"] == "measured"
            for item in (draft.get("scorecard") or {}).get("items", [])
        ],
        columns=[*KEYS, "item", "compartment", "presence", "change", "reason"],
    )
    items = lm_items(items).merge(grid[[*KEYS, "position"]], on=KEYS, how="left")
    at_baseline = pd.concat([items.loc[items["position"] != "", ["subject_id", "compartment"]], seen])
    followed = items[items["position"] == ""]
    expected = followed[KEYS].drop_duplicates().merge(at_baseline.drop_duplicates(), on="subject_id")
    missing = expected.merge(followed[[*KEYS, "compartment"]].drop_duplicates(), how="left", indicator=True)
    missing = missing[missing["_merge"] == "left_only"].drop(columns="_merge")
    gaps = missing.assign(item=Item.LINEAR.value, presence=Presence.NE.value, change=Change.NE.value, position="")
    followed = pd.concat([followed, gaps.assign(reason="seen at baseline, not part of this draft")])
    decided = combine(followed, KEYS).set_index(KEYS)
    not_evaluable = (followed["change"] == Change.NE.value) | (followed["presence"] == Presence.NE.value)
    found = scans.groupby(KEYS, sort=True).agg(
        scans=("scan", lambda names: ";".join(sorted(names))),
        measured=("status", lambda states: "Y" if "measured" in set(states) else "N"),
        draft_reason=("reason", lambda reasons: "; ".join(sorted(set(reasons) - {""}))),
        draft_date=("scan_date", "max"),
    )
    found["draft_overall"] = decided["call"].replace({"INVALID_INPUT": "NE"})
    found["draft_flags"] = decided["flags"]
    gap_flag = missing[KEYS].drop_duplicates().assign(gap="compartment_missing").set_index(KEYS)["gap"]
    found["gap"] = gap_flag
    found["draft_open"] = open_items(followed[not_evaluable], KEYS)
    text = ["draft_overall", "draft_flags", "gap", "draft_open"]
    found[text] = found[text].astype(object).fillna("")
    found["draft_flags"] = joined([found["draft_flags"], found["gap"]])
    hydro = items[items["item"] == Item.HYDROCEPHALUS.value].drop_duplicates(KEYS, keep="last").set_index(KEYS)
    found["draft_hydro"] = hydro["presence"]
    spine = items[items["compartment"].isin(["SPINE", "WHOLE"]) & (items["presence"] != Presence.NE.value)]
    spine = spine[KEYS].drop_duplicates()
    found["draft_spine"] = spine.assign(spine="Y").set_index(KEYS)["spine"]
    return found.drop(columns="gap").reset_index(), items
