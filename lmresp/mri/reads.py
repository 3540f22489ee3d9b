"""Locked reads: which rows count, what each reader says of a visit, and the read that stands (pure).

A read is what one reader in one role says of one visit; it stands as a whole and is never averaged with another.
"""

from __future__ import annotations

import pandas as pd

from lmresp import queries
from lmresp.criteria import load_scheme
from lmresp.criteria.charter import Charter
from lmresp.criteria.timeline import day_text, days, flag, join_visits, joined, text_frame
from lmresp.mri.items import KEYS, LM_ITEMS, combine, contradicts, joined_by, words, worst_word
from lmresp.mri.read_forms import incomplete_forms, shared_sessions
from lmresp.mri.visit_draft import open_items
from lmresp.queries import Query
from lmresp.terms import Item, Presence

ROLES = {"ADJUDICATION COMMITTEE": 0, "INDEPENDENT ASSESSOR": 1, "INVESTIGATOR": 2}
"""Roles of people, the one whose read stands first (setting ``read_model``); software is not among them."""
ADJUDICATED, INDEPENDENT, SITE = range(3)
READ = [*KEYS, "rank", "reader_id"]
"""What names a read."""
_COLUMNS = (
    *("read_id", "subject_id", "visit_num", "scan_dtc", "reader_id", "role", "read_dtc", "locked_dtc", "compartment"),
    *("item", "value", "reason_ne", "comparator", "supersedes", "session_id", "blinded", "row_id"),
)


def locked_rows(reads: pd.DataFrame, grid: pd.DataFrame, charter: Charter) -> tuple[pd.DataFrame, list[Query]]:
    """Return the item rows of locked reads that count, joined to their visits.

    Parameters
    ----------
    reads : pandas.DataFrame
        Checked table ``mri_reads`` (text).
    grid : pandas.DataFrame
        From :func:`lmresp.criteria.timeline.visit_grid`.
    charter : Charter
        ``reference_imaging``, ``join_window_days``.

    Returns
    -------
    rows : pandas.DataFrame
        One row per read, compartment and item, sorted; with ``number``, ``rank``, ``position``, ``visit`` and
        ``against``, what the read compares with (its own comparator, else the charter's).
    problems : list of Query
        IN011, IN016, DV044, DV045, DV047, DV048.

    Notes
    -----
    Software never counts as a reader: rows of the role ALGORITHM are left aside, and so are rows of the reader
    ALGORITHM under a role of a person. A row named in ``supersedes`` of a locked row of the same reader, or of an
    adjudicator, is replaced; rows that replace each other in a circle all stand.
    """
    rows = text_frame(reads, _COLUMNS)
    for name in ("reader_id", "role", "compartment", "item", "value", "comparator"):
        rows[name] = rows[name].str.upper()
    rows = rows[rows["subject_id"].isin(grid["subject_id"]) & rows["role"].isin(ROLES)].reset_index(drop=True)
    machine = rows["reader_id"] == "ALGORITHM"
    unlocked = (rows["locked_dtc"] == "") & ~machine
    problems = [
        queries.make("DV047", subject_id=row.subject_id, column="reader_id", value=row.read_id, row_id=row.row_id)
        for row in rows[machine].itertuples()
    ]
    problems += [
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
    every_read = set(text_frame(reads, ["read_id"])["read_id"])
    rows, foreign = _without_replaced(rows[~unlocked & ~machine].reset_index(drop=True), every_read)
    rows["day"] = days(rows["scan_dtc"])
    rows = join_visits(rows, grid, charter)
    rows = rows[rows["number"].notna()].drop(columns="visit_num")
    rows["rank"] = rows["role"].map(ROLES)
    rows = rows.merge(grid[[*KEYS, "position", "visit"]], on=KEYS, how="left")
    rows["against"] = rows["comparator"].where(rows["comparator"] != "", charter.text("reference_imaging").upper())
    rows = rows.sort_values([*READ, "compartment", "item", "read_dtc", "read_id"], kind="stable")
    last = rows.drop_duplicates([*READ, "compartment", "item"], keep="last").reset_index(drop=True)
    return last, [*problems, *foreign, *_repeated(rows), *shared_sessions(rows), *_too_early(rows)]


def _without_replaced(rows: pd.DataFrame, every_read: set[str]) -> tuple[pd.DataFrame, list[Query]]:
    """Take out superseded rows; only the same reader or an adjudicator may, the same item, and no row in a circle."""
    place = ["subject_id", "visit_num", "compartment", "item"]  # a row replaces what was said of the same
    whose = ["reader_id", "role"]
    newer = rows.loc[rows["supersedes"] != "", [*place, *whose, "supersedes", "read_id", "row_id"]]
    older = rows[[*place, *whose, "read_id"]].rename(columns={"read_id": "supersedes"})
    pairs = newer.merge(older, on="supersedes", suffixes=("", "_old"))
    own = pd.concat([pairs[name] == pairs[f"{name}_old"] for name in whose], axis=1).all(axis=1)
    same = pd.concat([pairs[name] == pairs[f"{name}_old"] for name in place], axis=1).all(axis=1)
    right = (own | (pairs["role"] == "ADJUDICATION COMMITTEE")) & same
    problems = [
        queries.make("DV044", subject_id=row.subject_id, value=row.read_id, other=row.supersedes, row_id=row.row_id)
        for row in pairs[~right].itertuples()
    ]
    circular = _circular(pairs)
    nothing = pd.concat([newer[~newer["supersedes"].isin(every_read)], pairs[right & circular]])
    problems += [
        queries.make("DV048", subject_id=row.subject_id, value=row.read_id, other=row.supersedes, row_id=row.row_id)
        for row in nothing.itertuples()
    ]
    replaced = set(pairs.loc[right & ~circular, "supersedes"])
    return rows[~rows["read_id"].isin(replaced)].reset_index(drop=True), problems


def _circular(pairs: pd.DataFrame) -> pd.Series:
    """Whether a row replaces itself, directly or over others; all rows of such a circle would vanish."""
    older = dict(zip(pairs["read_id"], pairs["supersedes"], strict=True))

    def returns(start: str) -> bool:
        passed: set[str] = set()
        at = older.get(start)
        while at not in (None, start) and at not in passed:
            passed.add(str(at))
            at = older.get(str(at))
        return at == start

    return pairs["read_id"].map(returns).astype(bool)


def _too_early(rows: pd.DataFrame) -> list[Query]:
    early = rows[days(rows["read_dtc"]) < days(rows["scan_dtc"])].drop_duplicates([*READ, "read_dtc"])
    return [
        queries.make(
            "DV049",
            subject_id=row.subject_id,
            visit=row.visit,
            column="read_dtc",
            value=row.read_dtc,
            scanned=row.scan_dtc,
            row_id=row.row_id,
        )
        for row in early.itertuples()
    ]


def _repeated(rows: pd.DataFrame) -> list[Query]:
    each = rows.groupby([*READ, "compartment", "item"], sort=True)
    several = each.agg(values=("value", "nunique"), value=("value", "last"), visit=("visit", "first")).reset_index()
    return [
        queries.make(
            "DV045",
            subject_id=row.subject_id,
            visit=row.visit,
            value=row.value,
            item=f"{row.item} {row.compartment}",
            reader=row.reader_id,
        )
        for row in several[several["values"] > 1].itertuples()
    ]


def seen_at_baseline(rows: pd.DataFrame) -> pd.DataFrame:
    """Subject and compartment of the LM items that a locked read found present or absent up to baseline."""
    early = rows[(rows["position"] != "") & rows["item"].isin(LM_ITEMS)]
    early = early[early["value"].isin([Presence.PRESENT.value, Presence.ABSENT.value])]
    whole = early[early["compartment"] == "WHOLE"]
    parts = pd.concat([early, whole.assign(compartment="BRAIN"), whole.assign(compartment="SPINE")])
    parts = parts[parts["compartment"].isin(["BRAIN", "SPINE"])]
    return parts[["subject_id", "compartment"]].drop_duplicates()


def judge_reads(rows: pd.DataFrame, charter: Charter) -> tuple[pd.DataFrame, list[Query]]:
    """Say what each read makes of its visit.

    Parameters
    ----------
    rows : pandas.DataFrame
        From :func:`locked_rows`.
    charter : Charter
        ``overall_worst_first``.

    Returns
    -------
    reads : pandas.DataFrame
        One row per read: :data:`READ`, ``position, visit, row_ids, read_id, read_date, read_spine, stated, implied,
        read_overall, read_open, read_flags``. ``read_overall`` is the reader's own overall value, else what the items
        give.
    problems : list of Query
        IN012, IN013.
    """
    reads = rows.groupby(READ, sort=True).agg({"day": "max", "position": "first", "visit": "first"})
    reads["read_date"] = day_text(reads["day"])
    reads["row_ids"], reads["read_id"] = joined_by(rows, READ, "row_id"), joined_by(rows, READ, "read_id")
    spine = rows.loc[rows["compartment"].isin(["SPINE", "WHOLE"]), READ].drop_duplicates()
    reads["read_spine"] = spine.assign(spine="Y").set_index(READ)["spine"]
    worst_first = charter.texts("overall_worst_first")
    total = rows[(rows["item"] == Item.OVERALL.value) & rows["value"].isin(worst_first)]
    whole = total[total["compartment"] == "WHOLE"].set_index(READ)["value"]
    parts = worst_word(total["value"], [total[key] for key in READ], worst_first)
    items = rows.join(words(rows["value"]))
    items = items[items["item"].isin(LM_ITEMS) & (items["position"] == "")]
    unread = rows[(rows["value"] == "NE") & (rows["position"] == "")]
    reads["read_open"] = open_items(unread.rename(columns={"reason_ne": "reason"}), READ)
    reads["stated"] = whole.reindex(reads.index).fillna(parts.reindex(reads.index))
    reads["implied"] = combine(items, READ).set_index(READ)["call"].reindex(reads.index)
    forms, problems = incomplete_forms(rows, READ)
    reads["form"] = forms
    text = ["stated", "implied", "read_open", "form", "row_ids", "read_id", "read_spine"]
    reads[text] = reads[text].astype(object).fillna("")
    reads["read_overall"] = reads["stated"].where(reads["stated"] != "", reads["implied"])
    reads["read_overall"] = reads["read_overall"].replace({"": "NE", "INVALID_INPUT": "NE"})
    reads["contradicts"] = contradicts(reads["stated"], reads["implied"]) & (reads["position"] == "")
    reads = reads.reset_index()
    reads["read_flags"] = joined(
        [
            flag(reads["contradicts"], "overall_not_implied_by_items"),
            flag((reads["stated"] == "") & (reads["position"] == ""), "overall_from_items"),
            reads["form"],
        ]
    )
    problems += [
        queries.make("IN013", subject_id=row.subject_id, visit=row.visit, value=row.stated, implied=row.implied)
        for row in reads[reads["contradicts"].to_numpy(dtype=bool)].itertuples()
    ]
    return reads, problems


def accept_reads(
    reads: pd.DataFrame, rows: pd.DataFrame, charter: Charter
) -> tuple[pd.DataFrame, pd.DataFrame, list[Query]]:
    """Choose the read that stands at each visit.

    Parameters
    ----------
    reads : pandas.DataFrame
        From :func:`judge_reads`.
    rows : pandas.DataFrame
        From :func:`locked_rows`.
    charter : Charter
        ``read_model``, ``adjudicate_on``.

    Returns
    -------
    accepted : pandas.DataFrame
        One row per visit with a read: ``subject_id, number, row_ids, read_id, read_date, read_spine, read_overall,
        read_flags, read_open, read_disputed, reader, readers``.
    chosen : pandas.DataFrame
        The item rows of the reads that stand.
    problems : list of Query
        DV008, DV009, DV046.

    Notes
    -----
    An adjudicated read stands before an independent one, and that before the investigator's. Readers of the same rank
    who differ on an item of ``adjudicate_on`` leave the visit not evaluable until an adjudicated read is locked.
    """
    by_visit = reads.groupby(KEYS, sort=True)
    top = reads[reads["rank"] == by_visit["rank"].transform("min")].copy()
    table = load_scheme("strand_imaging").combinations()
    status = dict(zip(table["overall"], table["call"], strict=True))
    follow_up = top["position"] == ""
    top["open_case"] = _differ(top, rows, charter.texts("adjudicate_on")) & follow_up
    top["says"], top["would"] = top["reader_id"] + ": " + top["read_overall"], top["read_overall"].map(status)
    disputed = top[top["open_case"]]
    all_rows = rows.merge(disputed[READ], on=READ)
    chosen = top.drop_duplicates(KEYS).set_index(KEYS)
    chosen["readers"] = joined_by(reads, KEYS, "reader_id")
    chosen["independent"] = (reads["rank"] == INDEPENDENT).groupby([reads[key] for key in KEYS]).sum()
    chosen["all_rows"] = joined_by(all_rows, KEYS, "row_id")
    chosen["all_says"], chosen["all_status"] = (
        joined_by(disputed, KEYS, "says", ", "),
        joined_by(disputed, KEYS, "would"),
    )
    chosen = chosen.reset_index()
    site = reads[(reads["rank"] == SITE) & (reads["position"] == "")].drop_duplicates(KEYS)
    chosen = chosen.merge(site[[*KEYS, "read_overall"]], on=KEYS, how="left", suffixes=("", "_site"))
    compared = (chosen["rank"] < SITE) & chosen["read_overall_site"].notna() & ~chosen["open_case"]
    site_differs = compared & ((chosen["read_overall"] == "PD") != (chosen["read_overall_site"] == "PD"))
    double = charter.text("read_model") == "double"
    alone = double & (chosen["rank"] != ADJUDICATED) & (chosen["independent"] < 2)
    chosen["read_flags"] = joined(
        [
            flag(chosen["open_case"], "readers_disagree"),
            chosen["read_flags"].where(~chosen["open_case"], ""),
            flag(chosen["rank"] == SITE, "investigator_read"),
            flag(alone, "second_read_missing"),
            flag(site_differs, "investigator_differs"),
        ]
    )
    implied = chosen["implied"].map(status).where(chosen["contradicts"], "").fillna("")
    implied = implied.where(implied != chosen["read_overall"].map(status), "")
    chosen["read_disputed"] = chosen["all_status"].where(chosen["open_case"], implied)
    chosen["row_ids"] = chosen["all_rows"].where(chosen["open_case"], chosen["row_ids"])
    chosen["read_overall"] = chosen["read_overall"].mask(chosen["open_case"], "NE")
    chosen_rows = rows.merge(chosen[READ], on=READ, how="inner")
    problems = [
        queries.make("DV009", subject_id=row.subject_id, visit=row.visit, value=row.all_says)
        for row in chosen[chosen["open_case"].to_numpy(dtype=bool)].itertuples()
    ]
    problems += [
        queries.make("DV046", subject_id=row.subject_id, visit=row.visit, value=row.readers)
        for row in chosen[alone.to_numpy(dtype=bool)].itertuples()
    ]
    problems += [
        queries.make(
            "DV008", subject_id=row.subject_id, visit=row.visit, value=row.read_overall_site, other=row.read_overall
        )
        for row in chosen[site_differs.to_numpy(dtype=bool)].itertuples()
    ]
    chosen = chosen.rename(columns={"reader_id": "reader"})
    kept = ["row_ids", "read_id", "read_date", "read_spine", "read_overall", "read_flags", "read_open"]
    return chosen[[*KEYS, *kept, "read_disputed", "reader", "readers"]], chosen_rows, problems


def _differ(top: pd.DataFrame, rows: pd.DataFrame, items: tuple[str, ...]) -> pd.Series:
    """Whether the readers of the highest rank of a visit differ on one of the items."""
    differs = pd.Series(data=False, index=top.index)
    if Item.OVERALL.value in items:
        differs |= top.groupby(KEYS)["read_overall"].transform("nunique") > 1
    said = rows[rows["item"].isin(set(items) - {Item.OVERALL.value})].merge(top[READ], on=READ)
    several = said.groupby([*KEYS, "compartment", "item"])["value"].nunique()
    visits = several[several > 1].reset_index()[KEYS]
    return differs | pd.MultiIndex.from_frame(top[KEYS]).isin(pd.MultiIndex.from_frame(visits))
