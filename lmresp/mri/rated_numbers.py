"""What readers, the study's own measurements and the draft say in numbers of the same visit (pure)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from lmresp.criteria.charter import Charter
from lmresp.criteria.timeline import days, join_visits, text_frame, visit_grid
from lmresp.mri.items import KEYS
from lmresp.mri.ratings import DRAFT
from lmresp.mri.read_forms import DIAMETER
from lmresp.mri.reads import ADJUDICATED, READ, SITE, locked_rows

COLUMNS = ("rater", "kind", "subject_id", "number", "compartment", "item", "unit", "value", "blinded")
LONGEST, PRODUCTS = "LONGEST_DIAMETER", "SUM_PRODUCTS"
_MEASURED = " (measured)"
"""Ending of a reader's name where the number is from ``mri_measures``, which has neither lock nor blinding."""


def rated_numbers(
    reads: pd.DataFrame,
    measured: pd.DataFrame,
    drafts: Sequence[Mapping[str, Any]],
    subjects: pd.DataFrame,
    visits: pd.DataFrame,
    charter: Charter,
) -> pd.DataFrame:
    """Lay out the diameters of the reads and the measures of the study beside those of the draft.

    Parameters
    ----------
    reads, measured, subjects, visits : pandas.DataFrame
        Checked tables of text; ``reads`` is ``mri_reads``, ``measured`` is ``mri_measures``.
    drafts : sequence of mapping
        Scan results (``*_scan.json``).
    charter : Charter
        What :func:`lmresp.mri.reads.locked_rows` asks of it.

    Returns
    -------
    pandas.DataFrame
        Columns :data:`COLUMNS`, one row per rater, visit, compartment and quantity; ``value`` is a number.

    Notes
    -----
    Every reader numbers the nodules on their own, so single nodules are not paired. Compared is what does not hang on
    the numbers: the longest diameter (mm) and the sum of products (mm2) of up to three measurable nodules. A visit
    where one of two raters measures no nodule is no pair: presence is an item of the card. Rows of ``mri_measures``
    count with ``qc`` PASS or WARN. Where a rater has several values of one quantity, none is taken.
    """
    grid = visit_grid(subjects, visits)
    rows, _ = locked_rows(reads, grid, charter)
    scans = _scans(drafts, grid, charter)
    found = pd.concat(
        [_diameters(rows), _draft_diameters(scans), _draft_measures(scans), _given(measured, grid, charter)]
    )
    quantity = ["rater", "kind", *KEYS, "compartment", "item", "unit"]
    one = found.groupby(quantity)["value"].transform("nunique") == 1
    found = found[one.astype(bool)].drop_duplicates(quantity).sort_values(quantity, kind="stable")
    return found.reindex(columns=list(COLUMNS)).reset_index(drop=True)


def _diameters(rows: pd.DataFrame) -> pd.DataFrame:
    """Longest diameter and sum of products of each reader, from the nodules that have both diameters."""
    place = [*READ, "compartment"]
    given = rows[rows["item"].str.fullmatch(DIAMETER) & (rows["rank"] != ADJUDICATED)]
    parts = given["item"].str.extract(DIAMETER)
    wide = given.assign(nodule=parts["nodule"], axis=parts["axis"], mm=pd.to_numeric(given["value"], errors="coerce"))
    wide = wide.pivot_table(index=[*place, "nodule"], columns="axis", values="mm").reindex(columns=["X", "Y"]).dropna()
    wide = wide.assign(longest=wide.max(axis=1), product=wide["X"] * wide["Y"])
    by_read = wide.groupby(place).agg(longest=("longest", "max"), products=("product", "sum")).reset_index()
    blind = (
        (rows["blinded"].str.upper() == "Y").groupby([rows[key] for key in READ]).all().rename("blind").reset_index()
    )
    by_read = by_read.merge(blind, on=READ, how="left")
    site = by_read["rank"] == SITE
    suffix = (site & (by_read["reader_id"] != "INVESTIGATOR")).map({True: " (investigator)", False: ""})
    by_read = by_read.assign(
        rater=by_read["reader_id"] + suffix,
        kind=site.map({True: "investigator", False: "reader"}),
        blinded=by_read["blind"].map({True: "Y", False: ""}),
    )
    return pd.concat(
        [
            by_read.assign(item=LONGEST, unit="mm", value=by_read["longest"]),
            by_read.assign(item=PRODUCTS, unit="mm2", value=by_read["products"]),
        ]
    )


def _scans(drafts: Sequence[Mapping[str, Any]], grid: pd.DataFrame, charter: Charter) -> list[dict[str, Any]]:
    """Measured scans with the number of the visit that each belongs to."""
    measured = [draft for draft in drafts if draft["status"] == "measured"]
    fields = ("subject_id", "visit_num", "scan_date")
    frame = text_frame(pd.DataFrame([{name: draft.get(name) for name in fields} for draft in measured]), fields)
    placed = join_visits(frame.assign(day=days(frame["scan_date"])), grid, charter)
    return [
        {"subject_id": subject, "number": number, "scan": draft}
        for subject, number, draft in zip(placed["subject_id"], placed["number"], measured, strict=True)
        if pd.notna(number)
    ]


def _draft_diameters(scans: Sequence[Mapping[str, Any]]) -> pd.DataFrame:
    found = []
    for entry in scans:
        nodules = (entry["scan"].get("scorecard") or {}).get("nodules") or []
        if nodules:
            place = {"subject_id": entry["subject_id"], "number": entry["number"], "compartment": "BRAIN"}
            longest = max(float(nodule["long_mm"]) for nodule in nodules)
            products = sum(float(nodule["product_mm2"]) for nodule in nodules)
            found.append(place | {"item": LONGEST, "unit": "mm", "value": longest})
            found.append(place | {"item": PRODUCTS, "unit": "mm2", "value": products})
    return _of_draft(found)


def _draft_measures(scans: Sequence[Mapping[str, Any]]) -> pd.DataFrame:
    return _of_draft(
        [
            {
                "subject_id": entry["subject_id"],
                "number": entry["number"],
                "compartment": measure["compartment"],
                "item": measure["measure"],
                "unit": measure["unit"],
                "value": float(measure["value"]),
            }
            for entry in scans
            for measure in entry["scan"]["measures"]
            # The sum of products of the draft is that of its scorecard, which holds the same three nodules as a read.
            if measure["region"] == "" and measure["value"] is not None and measure["qc"] != "FAIL"
            if measure["measure"] != PRODUCTS
        ]
    )


def _of_draft(found: list[dict[str, Any]]) -> pd.DataFrame:
    columns = ["subject_id", "number", "compartment", "item", "unit", "value"]
    return pd.DataFrame(found, columns=columns).assign(rater=DRAFT, kind="draft", blinded="Y")


def _given(measured: pd.DataFrame, grid: pd.DataFrame, charter: Charter) -> pd.DataFrame:
    names = (
        "subject_id",
        "visit_num",
        "scan_dtc",
        "compartment",
        "measure",
        "value",
        "unit",
        "method",
        "version",
        "qc",
    )
    rows = text_frame(measured, [*names, "reader_id"])
    rows = rows[rows["qc"].str.upper() != "FAIL"]
    rows = join_visits(rows.assign(day=days(rows["scan_dtc"])), grid, charter)
    rows = rows[rows["number"].notna()]
    person = ~rows["reader_id"].str.upper().isin(["", "ALGORITHM"])
    software = rows["method"] + " " + rows["version"]
    return pd.DataFrame(
        {
            "rater": (rows["reader_id"].str.upper() + _MEASURED).where(person, software),
            "kind": person.map({True: "reader", False: "study"}),
            **{name: rows[name] for name in ("subject_id", "number", "unit")},
            "compartment": rows["compartment"].str.upper(),
            "item": rows["measure"].str.upper(),
            "value": pd.to_numeric(rows["value"], errors="coerce"),
            "blinded": "Y",
        }
    ).dropna(subset=["value"])
