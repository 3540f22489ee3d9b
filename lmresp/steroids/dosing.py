"""Grades corticosteroids: dosing intervals to the daily dose of each visit, and the dose against baseline's to a word.

Source: the four words are those of CDISC's codelist ONCRSR for RANO's steroid status. Doses are compared as
dexamethasone equivalents, by the table of the charter. Physiologic replacement is kept apart and never counted.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from lmresp import queries
from lmresp.criteria.charter import Charter
from lmresp.criteria.timeline import BASELINE, flag, joined, not_done_text, text_frame, visit_grid
from lmresp.errors import CriteriaError
from lmresp.queries import Query
from lmresp.steroids.lists import generic_name, intakes_per_day, routes, single_day
from lmresp.steroids.spans import possible_days
from lmresp.terms import Steroids

COLUMNS = (
    *("subject_id", "visit_num", "visit", "date", "status", "reason", "row_ids", "flags"),
    *("dex_eq_mg_day", "reference_mg_day"),
)
NO_TABLE = "no table steroids"
"""Reason of every visit of a study that does not keep the table."""
_READ = (
    *("subject_id", "drug", "dose", "unit", "freq", "start_dtc", "end_dtc", "ongoing", "route", "physiologic"),
    "row_id",
)
_KEYS = ["subject_id", "number"]
_REFERENCE = "dexamethasone"


def grade_steroids(
    steroids: pd.DataFrame | None, subjects: pd.DataFrame, visits: pd.DataFrame, charter: Charter
) -> tuple[pd.DataFrame, list[Query]]:
    """Grade the steroid dose of every visit.

    Parameters
    ----------
    steroids : pandas.DataFrame or None
        Checked table of text, one row per dosing interval. ``None``, or a table without any row, is a study that does
        not keep the table; a subject without rows in a table that has some took no steroids.
    subjects, visits : pandas.DataFrame
        Checked tables of text (``work/tables/*.csv``).
    charter : Charter
        ``steroid_equivalents_mg``, ``steroid_days_before``.

    Returns
    -------
    frame : pandas.DataFrame
        One row per visit of ``visits``, columns :data:`COLUMNS`, all text, sorted by subject and visit number.
        ``status`` is a value of :class:`lmresp.terms.Steroids`; ``dex_eq_mg_day`` and ``reference_mg_day`` are mg of
        dexamethasone equivalent a day at the visit and at baseline, empty when not known.
    problems : list of Query
        DV031 (frequency), DV032 (drug), DV033 (dates), DV034 (dose), DV035 (route): the visits that such an interval
        touches are UNKNOWN.

    Raises
    ------
    lmresp.errors.CriteriaError
        If the charter's equivalents lack dexamethasone.

    Notes
    -----
    The dose of a visit is the mean of the ``steroid_days_before`` days up to and including the day of the visit;
    intervals that overlap add up. Where an interval ends on the day on which the next of the same drug and route
    starts, that day belongs to the next. An end without a day is the last day of its month, one without a month
    31 December; a start is never completed: a visit whose dose depends on it is UNKNOWN. Up to baseline a visit is
    graded against itself; later ones against the baseline visit, so that nothing looks ahead.
    """
    grid = visit_grid(subjects, visits)
    if steroids is None or steroids.empty:
        frame = grid.assign(status=Steroids.UNKNOWN.value, reason=NO_TABLE, row_ids="", flags=grid["position"])
        return frame.assign(dex_eq_mg_day="", reference_mg_day="")[list(COLUMNS)].astype(object), []
    intervals, problems = _intervals(steroids, grid, charter)
    pairs = _pairs(grid, intervals, charter.number("steroid_days_before"))
    problems += _unplaced(pairs)
    frame = grid.merge(_per_visit(pairs), on=_KEYS, how="left", validate="one_to_one")
    for name in ("row_ids", "unknown", "apart"):
        frame[name] = frame[name].astype(object).where(frame[name].notna(), "")
    dose = frame["dose"].fillna(0.0).round(3).mask((frame["unknown"] != "") | frame["day"].isna())
    early = frame["position"] != ""
    at_baseline = dose.where(frame["position"] == BASELINE).groupby(frame["subject_id"], sort=False).transform("max")
    reference = dose.where(early, at_baseline)
    frame["status"] = np.select(
        [dose.isna(), dose == 0, reference.isna(), dose > reference, dose < reference],
        [Steroids.UNKNOWN, Steroids.NONE, Steroids.UNKNOWN, Steroids.INCREASED, Steroids.DECREASED],
        default=Steroids.STABLE,
    ).astype(object)
    frame["status"] = frame["status"].map(str)
    frame["dex_eq_mg_day"], frame["reference_mg_day"] = _amount(dose), _amount(reference)
    frame["flags"] = joined([frame["position"], flag(frame["apart"] != "", "physiologic_replacement")])
    frame["reason"] = _reason(frame)
    return frame[list(COLUMNS)].astype(object), problems


def _intervals(steroids: pd.DataFrame, grid: pd.DataFrame, charter: Charter) -> tuple[pd.DataFrame, list[Query]]:
    """Read the intervals: mg a day of each (NaN when not known), whether it counts, and the days it may cover."""
    equivalents = charter.amounts("steroid_equivalents_mg")
    if _REFERENCE not in equivalents:
        raise CriteriaError(f"steroid_equivalents_mg must name {_REFERENCE}")
    rows = text_frame(steroids, _READ)
    rows = rows[rows["subject_id"].isin(grid["subject_id"])].reset_index(drop=True)
    for name in ("freq", "route", "unit", "physiologic", "ongoing"):
        rows[name] = rows[name].str.upper().str.replace(r"\s+", " ", regex=True)
    generic = rows["drug"].map(lambda drug: generic_name(drug, equivalents)).astype(object)
    per_day = rows["freq"].map(intakes_per_day()).astype(float)
    mg = pd.to_numeric(rows["dose"], errors="coerce").astype(float)
    mg = mg.where((rows["unit"] == "MG") & (mg >= 0) & np.isfinite(mg))
    systemic = (rows["route"] == "") | rows["route"].isin(routes("systemic"))
    rows["apart"] = rows["physiologic"] == "Y"
    rows["counted"] = ~rows["apart"] & ~rows["route"].isin(routes("local"))
    equivalent = generic.map({name: equivalents[_REFERENCE] / dose for name, dose in equivalents.items()})
    rows["rate"] = (mg * per_day * equivalent.astype(float)).where(systemic).mask(mg == 0, 0.0)
    rows["drug_key"] = generic.where(generic != "", rows["drug"].str.lower())
    open_rows = rows["counted"] & rows["rate"].isna()
    faults = (
        ("DV031", "freq", per_day.isna(), ", ".join(intakes_per_day())),
        ("DV032", "drug", generic == "", ", ".join(equivalents)),
        ("DV034", "dose", mg.isna(), ""),
        ("DV035", "route", ~systemic, ", ".join(sorted(routes("systemic") | routes("local")))),
    )
    rows["fault"] = joined(
        [(column + " " + rows[column]).where(open_rows & wrong, "") for _, column, wrong, _ in faults], ", "
    )
    problems = [
        queries.make(
            code,
            subject_id=row["subject_id"],
            file="steroids",
            column=column,
            value=row[column],
            allowed=allowed,
            drug=row["drug"],
            row_id=row["row_id"],
        )
        for code, column, wrong, allowed in faults
        for row in rows[open_rows & wrong].to_dict("records")
    ]
    once = rows["freq"].isin(single_day())
    spans = possible_days(rows["start_dtc"], rows["end_dtc"], rows["ongoing"], once)
    return _one_after_another(rows.join(spans)), problems


def _one_after_another(rows: pd.DataFrame) -> pd.DataFrame:
    """End an interval a day earlier where the next of the same drug and route starts on its last day."""
    keys = ["subject_id", "drug_key", "route"]
    sure = rows["start_low"] == rows["start_high"]
    starts = pd.MultiIndex.from_frame(rows.loc[sure, [*keys, "start_low"]])
    ends = pd.MultiIndex.from_frame(rows[[*keys, "end_high"]])
    shared = ends.isin(starts) & (rows["end_low"] == rows["end_high"]) & (rows["start_high"] < rows["end_low"])
    for name in ("end_low", "end_high"):
        rows[name] = rows[name] - shared.astype(float)
    return rows


def _pairs(grid: pd.DataFrame, intervals: pd.DataFrame, days_before: int) -> pd.DataFrame:
    """Pair every dated visit with the intervals of its subject that may touch the days before it."""
    dated = grid.loc[grid["day"].notna(), [*_KEYS, "visit", "day"]]
    pairs = dated.merge(intervals, on="subject_id", how="inner")
    first, last = pairs["day"] - (days_before - 1), pairs["day"]
    pairs["least"] = _common(pairs["start_high"], pairs["end_low"], first, last)
    pairs["most"] = _common(pairs["start_low"], pairs["end_high"], first, last)
    pairs = pairs[pairs["most"] > 0].copy()
    pairs["mean"] = (pairs["rate"] * pairs["least"] / days_before).where(pairs["counted"], 0.0)
    pairs["unplaced"] = pairs["counted"] & (pairs["rate"] > 0) & (pairs["least"] < pairs["most"])
    return pairs


def _common(start: pd.Series, end: pd.Series, first: pd.Series, last: pd.Series) -> pd.Series:
    """Count the days that two spans share."""
    until, since = end.where(end < last, last), start.where(start > first, first)
    return (until - since + 1).clip(lower=0.0)


def _per_visit(pairs: pd.DataFrame) -> pd.DataFrame:
    """Sum the intervals of each visit; ``unknown`` says in words why a dose cannot be told."""
    dates = pairs["drug"] + " from " + pairs["start_dtc"].where(pairs["start_dtc"] != "", "?") + " to "
    dates += pairs["end_dtc"].where(pairs["end_dtc"] != "", "?")
    pairs = pairs.assign(
        unknown=pairs["fault"].where(pairs["fault"] != "", dates.where(pairs["unplaced"], "")),
        apart=pairs["row_id"].where(pairs["apart"], ""),
    )

    def words(cells: pd.Series) -> str:
        return "; ".join(sorted(set(cells) - {""}))

    grouped = pairs.groupby(_KEYS, sort=True)
    return pd.DataFrame(
        {
            "dose": grouped["mean"].sum(),
            "unknown": grouped["unknown"].agg(words),
            "apart": grouped["apart"].agg(words),
            "row_ids": grouped["row_id"].agg(lambda ids: ";".join(sorted(ids))),
        }
    ).reset_index()


def _unplaced(pairs: pd.DataFrame) -> list[Query]:
    """Ask once for every interval whose dates leave the dose of some visit open."""
    problems = []
    for _, rows in pairs[pairs["unplaced"]].groupby(["subject_id", "row_id", "drug", "start_dtc"], sort=True):
        row = rows.iloc[0]
        # An end before the start is shown with both of its dates possible, so the end is what is asked for.
        column = "start_dtc" if row["start_low"] < row["start_high"] and not row["reversed"] else "end_dtc"
        problems.append(
            queries.make(
                "DV033",
                subject_id=row["subject_id"],
                visit=row["visit"],
                visits=", ".join(rows["visit"]),
                file="steroids",
                column=column,
                value=row[column],
                allowed="YYYY-MM-DD; ongoing Y without an end, or an end on or after the start without ongoing",
                row_id=row["row_id"],
            )
        )
    return problems


def _amount(mg: pd.Series) -> pd.Series:
    return mg.map(lambda value: f"{value:.10g}" if value == value else "").astype(object)


def _reason(frame: pd.DataFrame) -> pd.Series:
    now = "dexamethasone equivalent " + frame["dex_eq_mg_day"] + " mg a day"
    known = frame["reference_mg_day"].map(lambda mg: f", {mg} at baseline" if mg else ", not known at baseline")
    nothing = np.where(frame["apart"] != "", "only physiologic replacement", "no steroid").astype(object)
    chosen = np.select(
        [
            ~frame["done"] & frame["day"].isna(),
            frame["day"].isna(),
            frame["unknown"] != "",
            frame["dex_eq_mg_day"] == "0",
            frame["position"] != "",
        ],
        [
            not_done_text(frame),
            pd.Series("the visit has no date", index=frame.index),
            "dose not known: " + frame["unknown"],
            nothing + known.where((frame["position"] == "") & (frame["reference_mg_day"] != "0"), ""),
            now,
        ],
        default=now + known,
    )
    return pd.Series(chosen, index=frame.index, dtype=object)
