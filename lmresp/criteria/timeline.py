"""The visits that every strand is graded on, and how an assessment joins a visit.

Baseline, windows and join rules are terms of the charter, so they live beside it. All functions are pure and
vectorised: frames of text in, frames out.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import pandas as pd

from lmresp.criteria.charter import Charter

BASELINE = "baseline"
"""Flag of the visit that later visits are compared with."""
BEFORE_BASELINE = "before_baseline"
"""Flag of visits before the baseline visit."""


STRAND_COLUMNS = (
    "subject_id",
    "visit_num",
    "visit",
    "date",
    "status",
    "reason",
    "row_ids",
    "flags",
    "rule_id",
    "certainty",
    "disputed",
)
"""What every strand says of a visit; each adds columns of its own.

``disputed`` holds other values that ``status`` might as well have, joined with ``;``: what the other reader, the other
sample or the scored domains say.
"""


def text_frame(frame: pd.DataFrame, columns: Iterable[str]) -> pd.DataFrame:
    """Return the wanted columns as stripped text; a column that is not there, or a missing cell, is ``""``."""
    wanted = {
        name: frame[name].astype(object).where(frame[name].notna(), "").astype(str).str.strip().to_numpy(dtype=object)
        if name in frame.columns
        else np.full(len(frame), "", dtype=object)
        for name in columns
    }
    return pd.DataFrame(wanted, dtype=object)


def days(texts: pd.Series) -> pd.Series:
    """Turn ISO 8601 text with a complete date into days since 1970-01-01; anything else is NaN.

    Times of day are left aside: dates without a zone are compared by date only.
    """
    complete = texts.astype(str).where(texts.astype(str).str.match(r"^\d{4}-\d{2}-\d{2}(T|$)"), "")
    dates = pd.to_datetime(complete.str[:10], format="%Y-%m-%d", errors="coerce")
    return (dates - pd.Timestamp("1970-01-01")) / pd.Timedelta(days=1)


def day_text(numbers: pd.Series) -> pd.Series:
    """Turn days since 1970-01-01 into ISO 8601 dates; NaN becomes ``""``."""
    dates = pd.Timestamp("1970-01-01") + pd.to_timedelta(numbers, unit="D")
    return dates.dt.strftime("%Y-%m-%d").astype(object).where(numbers.notna(), "")


def joined(parts: Iterable[pd.Series], separator: str = ";") -> pd.Series:
    """Join columns of text row by row, leaving empty cells out."""
    columns = list(parts)
    rows = zip(*(column.to_numpy(dtype=object) for column in columns), strict=True)
    return pd.Series(
        [separator.join(cell for cell in row if cell) for row in rows], index=columns[0].index, dtype=object
    )


def flag(where: pd.Series, name: str) -> pd.Series:
    """Return ``name`` where the condition holds, else ``""``."""
    return pd.Series(np.where(where, name, ""), index=where.index, dtype=object)


def not_done_text(frame: pd.DataFrame) -> pd.Series:
    """Say in words that a visit was not done, with the reason that was given."""
    return "visit not done" + frame["reason_not_done"].map(lambda text: f": {text}" if text else "")


def visit_grid(subjects: pd.DataFrame, visits: pd.DataFrame) -> pd.DataFrame:
    """List the visits of the known subjects in order, with the baseline marked.

    Parameters
    ----------
    subjects, visits : pandas.DataFrame
        Checked tables of text.

    Returns
    -------
    pandas.DataFrame
        One row per subject and visit, sorted: ``subject_id, visit_num, visit, date, done`` (bool),
        ``reason_not_done, number`` (float), ``day`` (days since 1970, NaN when not dated), ``position``
        (``before_baseline``, ``baseline`` or ``""`` for visits after it), ``late_baseline`` (bool: the subject's
        baseline visit lies after the first dose).

    Notes
    -----
    The baseline visit is the last visit done on or before the first dose (``ref_start_dtc``); a subject without such
    a visit has the visit done with the lowest number, or failing that the lowest number, as baseline. A row whose
    number cannot be read is left out: the input checks have named it.
    """
    known = text_frame(subjects, ["subject_id", "ref_start_dtc"]).drop_duplicates("subject_id")
    grid = text_frame(visits, ["subject_id", "visit_num", "visit", "start_dtc", "status", "reason_not_done"])
    grid["number"] = pd.to_numeric(grid["visit_num"], errors="coerce")
    grid = grid[grid["number"].notna() & grid["subject_id"].isin(known["subject_id"])]
    grid = grid.sort_values(["subject_id", "number"], kind="stable").drop_duplicates(["subject_id", "number"])
    grid = grid.reset_index(drop=True)
    grid["day"] = days(grid["start_dtc"])
    grid["date"] = day_text(grid["day"])
    grid["done"] = grid["status"].str.upper() != "NOT DONE"
    first_dose = grid["subject_id"].map(known.set_index("subject_id")["ref_start_dtc"])
    eligible = grid["done"] & (grid["day"] <= days(first_dose))
    by_subject = grid.groupby("subject_id", sort=False)["number"]
    last_eligible = grid["number"].where(eligible).groupby(grid["subject_id"], sort=False).transform("max")
    first_done = grid["number"].where(grid["done"]).groupby(grid["subject_id"], sort=False).transform("min")
    baseline = last_eligible.fillna(first_done).fillna(by_subject.transform("min"))
    grid["position"] = np.select(
        [grid["number"] == baseline, grid["number"] < baseline], [BASELINE, BEFORE_BASELINE], default=""
    ).astype(object)
    late = (grid["position"] == BASELINE) & (grid["day"] > days(first_dose))
    grid["late_baseline"] = late.groupby(grid["subject_id"], sort=False).transform("any")
    columns = ["subject_id", "visit_num", "visit", "date", "done", "reason_not_done", "number", "day", "position"]
    return grid[[*columns, "late_baseline"]]


def position_of(flags: pd.Series) -> pd.Series:
    """Read from the flags of a strand where each visit lies: ``baseline``, ``before_baseline``, or ``""`` after it.

    Every distinct text is split once, however many visits have it.
    """
    code, texts = pd.factorize(flags)
    places = [({BASELINE, BEFORE_BASELINE} & set(text.split(";"))) or {""} for text in texts]
    words = np.array([place.pop() for place in places], dtype=object)
    return pd.Series(words[code], index=flags.index, dtype=object)


def join_visits(rows: pd.DataFrame, grid: pd.DataFrame, charter: Charter) -> pd.DataFrame:
    """Join assessments to visits by number, or by date where the number is not given.

    Parameters
    ----------
    rows : pandas.DataFrame
        Columns ``subject_id, visit_num`` (text, may be empty) and ``day`` (days since 1970, NaN when not dated).
    grid : pandas.DataFrame
        From :func:`visit_grid`.
    charter : Charter
        ``join_window_days``.

    Returns
    -------
    pandas.DataFrame
        ``rows`` with ``number``: that of the visit, NaN where none fits (no such visit, or no visit done within the
        window). Ties go to the earlier visit.
    """
    out = rows.copy()
    number = pd.to_numeric(out["visit_num"], errors="coerce")
    known = pd.MultiIndex.from_frame(grid[["subject_id", "number"]])
    listed = pd.MultiIndex.from_arrays([out["subject_id"], number]).isin(known)
    out["number"] = number.where(listed)
    loose = out.index[(out["visit_num"] == "") & out["day"].notna()]
    dated = grid.loc[grid["done"] & grid["day"].notna(), ["subject_id", "number", "day"]]
    if len(loose) and len(dated):
        near = pd.merge_asof(
            out.loc[loose, ["subject_id", "day"]].reset_index().sort_values("day", kind="stable"),
            dated.sort_values(["day", "number"], kind="stable"),
            on="day",
            by="subject_id",
            direction="nearest",
            tolerance=charter.number("join_window_days"),
        ).set_index("index")
        out.loc[near.index, "number"] = near["number"]
    return out


def strand_frame(grid: pd.DataFrame, found: pd.DataFrame) -> pd.DataFrame:
    """Lay graded assessments on the visit grid: every visit has a row, also when nothing was found.

    Parameters
    ----------
    grid : pandas.DataFrame
        From :func:`visit_grid`.
    found : pandas.DataFrame
        One row per subject and visit ``number`` with an assessment.

    Returns
    -------
    pandas.DataFrame
        The grid's columns with those of ``found``; text that is not there is ``""``.
    """
    merged = grid.merge(found, on=["subject_id", "number"], how="left", validate="one_to_one")
    for name in merged.columns:
        if not pd.api.types.is_numeric_dtype(merged[name]) and merged[name].dtype != bool:
            merged[name] = merged[name].astype(object).where(merged[name].notna(), "")
    return merged
