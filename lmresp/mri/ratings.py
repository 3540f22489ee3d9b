"""Who said what of which visit: the ratings that readers and draft are compared by (pure).

Which reads count, what each makes of its visit and which one stands is decided where the strand decides it
(:mod:`lmresp.mri.reads`); here their answers are only laid out, one a row.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from lmresp.criteria.charter import Charter
from lmresp.criteria.timeline import day_text, text_frame, visit_grid
from lmresp.mri.items import KEYS, joined_by
from lmresp.mri.reads import ADJUDICATED, READ, SITE, accept_reads, judge_reads, locked_rows, seen_at_baseline
from lmresp.mri.visit_draft import pool_drafts
from lmresp.terms import Item

COLUMNS = (
    *("rater", "kind", "subject_id", "number", "visit_num", "visit", "date", "phase", "compartment", "item", "value"),
    *("against", "blinded", "saw_draft", "read_dtc", "changed", "source"),
)
DRAFT, ACCEPTED = "draft", "accepted read"
_ITEMS = tuple(item.value for item in Item if item is not Item.OVERALL)
_KINDS = {ADJUDICATED: "adjudicator", SITE: "investigator"}


def ratings(
    reads: pd.DataFrame,
    drafts: Sequence[Mapping[str, Any]],
    subjects: pd.DataFrame,
    visits: pd.DataFrame,
    charter: Charter,
) -> pd.DataFrame:
    """Lay out the answers of every locked read, of the read that stands, and of the draft.

    Parameters
    ----------
    reads, subjects, visits : pandas.DataFrame
        Checked tables of text; ``reads`` is ``mri_reads``.
    drafts : sequence of mapping
        Scan results (``*_scan.json``).
    charter : Charter
        What :func:`lmresp.mri.reads.locked_rows` and :func:`lmresp.mri.reads.accept_reads` ask of it.

    Returns
    -------
    pandas.DataFrame
        Columns :data:`COLUMNS`, one row per rater, visit, compartment and item, sorted. ``kind`` is ``reader``
        (independent), ``investigator``, ``adjudicator``, ``accepted`` or ``draft``; ``phase`` ``baseline`` (presence)
        or ``follow-up`` (change, and the overall value with which the read counts). ``against`` is what the change is
        against; ``blinded`` Y, N or "" where it is not said; ``changed`` Y where the read replaces a locked one;
        ``saw_draft`` Y where the reader may have seen the draft before; ``source`` the rows of the read or the scans of
        the draft.

    Notes
    -----
    A row of an adjudicator that names a reader's row in ``supersedes`` does not take the reader's answer away here:
    comparing only what was not disputed would flatter the readers. A draft may have been seen where the charter does
    not hide it, where the read gives a reason to depart from it, and where a locked read was changed: it shows once a
    read is locked. An adjudicated read that stands counts as blinded, because it has to see the other reads and the
    draft is what it is compared with. Hydrocephalus is an item of the brain whatever
    compartment is given. Where one rater gives an item several values (two drafts of a visit), none of them is taken.
    """
    grid = visit_grid(subjects, visits)
    needed = ("role", "supersedes", "read_id", "locked_dtc", "reasons")
    table = text_frame(reads, [*dict.fromkeys([*reads.columns, *needed])])
    other = table["role"].str.upper() == "ADJUDICATION COMMITTEE"
    rows, _ = locked_rows(table.assign(supersedes=table["supersedes"].mask(other, "")), grid, charter)
    read = _by_read(rows, table, draft_hidden=charter.on("draft_hidden"))
    judged, _ = judge_reads(rows, charter)
    accepted, chosen, _ = accept_reads(judged, rows, charter)
    overall = judged[judged["position"] == ""].rename(columns={"read_overall": "value"})
    by_readers = [_items(rows, READ), overall[[*READ, "value"]].assign(item=Item.OVERALL.value, compartment="WHOLE")]
    people = pd.concat(by_readers).merge(read, on=READ, how="left")
    people["kind"] = people["rank"].map(_KINDS).fillna("reader")
    site = (people["kind"] == "investigator") & (people["reader_id"] != "INVESTIGATOR")
    people["rater"] = people["reader_id"] + site.map({True: " (investigator)", False: ""})
    stands = accepted[
        ~accepted["read_flags"].str.split(";").map(lambda names: "readers_disagree" in names).astype(bool)
    ]
    names = stands[[*KEYS, "reader"]].rename(columns={"reader": "reader_id"})
    final = people.merge(names, on=[*KEYS, "reader_id"]).merge(chosen[READ].drop_duplicates(), on=READ)
    final = final.assign(
        kind="accepted", rater=ACCEPTED, blinded=final["blinded"].mask(final["rank"] == ADJUDICATED, "Y")
    )
    drafted = _draft(drafts, rows, grid, charter)
    found = pd.concat([people, final, drafted]).merge(
        grid[[*KEYS, "position", "visit_num", "visit"]], on=KEYS, how="left"
    )
    found["phase"] = found["position"].map(lambda place: "baseline" if place else "follow-up")
    found["against"] = found["against"].where(found["phase"] == "follow-up", "")
    found["date"] = found["date"].fillna("")
    answer = ["rater", "kind", *KEYS, "compartment", "item"]
    one = found.groupby(answer)["value"].transform("nunique") == 1
    found = found[one & (found["value"] != "")].drop_duplicates(answer).sort_values(answer, kind="stable")
    return found.reindex(columns=list(COLUMNS)).fillna("").reset_index(drop=True)


def _items(rows: pd.DataFrame, keys: list[str]) -> pd.DataFrame:
    kept = rows.loc[rows["item"].isin(_ITEMS), [*keys, "compartment", "item", "value"]]
    brain = kept["item"] == Item.HYDROCEPHALUS.value
    return kept.assign(compartment=kept["compartment"].mask(brain, "BRAIN"))


def _by_read(rows: pd.DataFrame, table: pd.DataFrame, *, draft_hidden: bool) -> pd.DataFrame:
    """Return what holds for a read as a whole: day of the scan, comparator, blinding, when read, whether changed."""
    locked = set(table.loc[table["locked_dtc"] != "", "read_id"]) - set(rows["read_id"])
    given = dict(zip(table["read_id"], table["reasons"], strict=True))
    reasons = pd.Series([given[read_id] for read_id in rows["read_id"]], index=rows.index, dtype=object).astype(str)
    changed = rows["supersedes"].isin(locked) | reasons.str.contains(r"(?:^|\| )change ")
    marks = rows[[*READ, "day", "against", "read_dtc"]].assign(
        changed=changed,
        saw=changed | reasons.str.contains(r"(?:^|\| )draft ") | (not draft_hidden),
        yes=rows["blinded"].str.upper() == "Y",
        no=rows["blinded"].str.upper() == "N",
    )
    by_read = marks.groupby(READ, sort=True)
    read = by_read.agg(
        day=("day", "max"),
        against=("against", "first"),
        read_dtc=("read_dtc", "max"),
        changed=("changed", "any"),
        saw=("saw", "any"),
        yes=("yes", "all"),
        no=("no", "any"),
    )
    read["blinded"] = [("Y" if yes else "N" if no else "") for yes, no in zip(read["yes"], read["no"], strict=True)]
    read["changed"] = read["changed"].map({True: "Y", False: ""})
    read["saw_draft"] = read["saw"].map({True: "Y", False: ""})
    read["date"] = day_text(read["day"])
    read["source"] = joined_by(rows, READ, "row_id")
    return read.drop(columns=["day", "saw", "yes", "no"]).reset_index()


def _draft(
    drafts: Sequence[Mapping[str, Any]], rows: pd.DataFrame, grid: pd.DataFrame, charter: Charter
) -> pd.DataFrame:
    """Answers of the draft: presence up to baseline, after it the change against the reference scan."""
    visits, _ = pool_drafts(drafts, seen_at_baseline(rows), grid, charter)
    every = pd.DataFrame(
        [
            item | {"scan": draft["scan"]}
            for draft in drafts
            if draft["status"] == "measured"
            for item in _drafted(draft)
        ],
        columns=["scan", "item", "compartment", "presence", "change"],
    )
    place = visits[[*KEYS, "scans"]].assign(scan=visits["scans"].str.split(";")).explode("scan")
    every = every.merge(place, on="scan").merge(grid[[*KEYS, "position"]], on=KEYS)
    every["value"] = every["presence"].where(every["position"] != "", every["change"]).fillna("")
    overall = visits.loc[visits["draft_overall"] != "", [*KEYS, "draft_overall", "scans"]]
    overall = overall.rename(columns={"draft_overall": "value"}).assign(item=Item.OVERALL.value, compartment="WHOLE")
    both = pd.concat([_items(every, [*KEYS, "scans"]), overall]).merge(visits[[*KEYS, "draft_date"]], on=KEYS)
    both = both.rename(columns={"draft_date": "date", "scans": "source"})
    return both.assign(
        rater=DRAFT, kind="draft", against="BASELINE", blinded="Y", saw_draft="", read_dtc="", changed=""
    )


def _drafted(draft: Mapping[str, Any]) -> list[dict[str, Any]]:
    return list((draft.get("scorecard") or {}).get("items", []))
