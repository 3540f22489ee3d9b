"""Queries on the items of every instrument: names that its scale does not know, and levels that it does not have."""

from __future__ import annotations

import pandas as pd

from lmresp import queries
from lmresp.neuro.instruments import NANO_LM, items_of, judged
from lmresp.queries import Query


def unknown_items(rows: pd.DataFrame) -> list[Query]:
    """Ask for items that are not named in the scale of their instrument.

    Parameters
    ----------
    rows : pandas.DataFrame
        Rows of the table ``neuro`` joined to visits: ``subject_id, visit, instrument, item, score, status, row_id``.

    Returns
    -------
    list of Query
        DV030. A row that gives only the examiner's conclusion needs no item.
    """
    problems = []
    for instrument in (*judged(), NANO_LM):
        known = items_of(instrument)
        found = rows[(rows["instrument"] == instrument) & ~rows["item"].isin([*known, "status"])]
        problems += [
            queries.make(
                "DV030",
                subject_id=row["subject_id"],
                visit=row["visit"],
                file="neuro",
                column="item",
                value=row["item"],
                allowed=", ".join(known),
                instrument=instrument,
                row_id=row["row_id"],
            )
            for row in found[(found["score"] != "") | (found["status"] == "")].to_dict("records")
        ]
    return problems


def unusable_levels(rows: pd.DataFrame) -> list[Query]:
    """Ask for scores that are no level of their item (DV022).

    Parameters
    ----------
    rows : pandas.DataFrame
        The rows with such a score: ``subject_id, visit, instrument, item, score, row_id``.
    """
    return [
        queries.make(
            "DV022",
            subject_id=row["subject_id"],
            visit=row["visit"],
            file="neuro",
            value=row["score"],
            item=row["item"],
            instrument=row["instrument"],
            row_id=row["row_id"],
        )
        for row in rows.to_dict("records")
    ]
