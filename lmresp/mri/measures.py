"""The table of all measurements of a study: the automated ones of every scan, and those the study brought along."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import pandas as pd

COLUMNS = (
    "subject_id",
    "visit",
    "visit_num",
    "scan_date",
    "scan",
    "source",
    "compartment",
    "measure",
    "region",
    "value",
    "unit",
    "uncertainty",
    "reference_value",
    "change_percent",
    "nadir_value",
    "nadir_change_percent",
    "qc",
    "qc_reason",
    "method",
    "row_id",
)
AUTOMATED, GIVEN = "lmresp", "study"
_MEASURED = (
    *("compartment", "measure", "region", "value", "unit", "uncertainty"),
    *("reference_value", "change_percent", "nadir_value", "nadir_change_percent"),
)
_QUALITY = ("qc", "qc_reason", "method")


def measures_table(scans: Iterable[Mapping[str, Any]], given: pd.DataFrame) -> pd.DataFrame:
    """Join the measures of all scan results with the study's own table ``mri_measures``.

    Parameters
    ----------
    scans : iterable of mapping
        Scan results, see ``docs/architecture.md``.
    given : DataFrame
        Checked rows of ``mri_measures`` (text).

    Returns
    -------
    DataFrame
        Columns :data:`COLUMNS`, all text, one row per measure; empty cells where a number could not be had, with the
        reason in ``qc_reason``. Sorted by subject, visit, scan and measure.
    """
    rows = [
        {**_place(scan), "source": AUTOMATED, **{name: _text(measure.get(name)) for name in (*_MEASURED, *_QUALITY)}}
        for scan in scans
        for measure in scan["measures"]
    ]
    kept = [column for column in COLUMNS if column in given.columns]
    table = pd.DataFrame(rows, columns=list(COLUMNS), dtype=str)
    if len(given):
        own = given[kept].assign(source=GIVEN)
        if "scan_dtc" in given.columns:
            own = own.assign(scan_date=given["scan_dtc"])
        table = pd.concat([table, own])
    order = ["subject_id", "visit_num", "scan_date", "source", "compartment", "measure", "region"]
    return table.reindex(columns=list(COLUMNS)).fillna("").sort_values(order, kind="stable").reset_index(drop=True)


def _place(scan: Mapping[str, Any]) -> dict[str, str]:
    return {name: _text(scan[name]) for name in ("subject_id", "visit", "visit_num", "scan_date", "scan")}


def _text(value: Any) -> str:
    return "" if value is None else str(value)
