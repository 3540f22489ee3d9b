"""The items of NANO-LM, which are stored and never called, and the names of the items of every instrument.

Source: NANO-LM, Neuro-Oncology 2024, doi:10.1093/neuonc/noae171 (abstract). Fourteen domains are stated and thirteen
named, levels run from 0 to 2; what they mean, and any rule of response, were not seen. Nothing is summed.
"""

from __future__ import annotations

import pandas as pd

from lmresp import queries
from lmresp.criteria import load_scale
from lmresp.neuro.instruments import NANO_LM, NANO_LM_SCALE, items_of, judged
from lmresp.queries import Query

_KEYS = ["subject_id", "number"]


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


def nano_lm(rows: pd.DataFrame) -> tuple[pd.DataFrame, list[Query]]:
    """Say in words what was scored by NANO-LM at each visit.

    Parameters
    ----------
    rows : pandas.DataFrame
        As for :func:`unknown_items`, with ``number`` and ``cause``.

    Returns
    -------
    texts : pandas.DataFrame
        ``subject_id, number, nano_lm``: ``2 items scored, 1 not assessed, none explained otherwise: hearing not
        assessed, vision 0, walking 2``. A level is never compared or summed.
    problems : list of Query
        DV022: a level outside the scale (listed as not usable).
    """
    low, high = load_scale(NANO_LM_SCALE)["item_range"]
    mine = rows[(rows["instrument"] == NANO_LM) & rows["item"].isin(items_of(NANO_LM))].copy()
    usable = mine["score"].isin([str(level) for level in range(low, high + 1)])
    mine["scored"], mine["left_out"] = usable, mine["score"] == ""
    wrong = ~usable & ~mine["left_out"]
    mine["word"] = mine["score"].mask(mine["left_out"], "not assessed").mask(wrong, "not usable")
    explained = (mine["cause"] != "") & usable
    mine["explained"] = explained
    mine["word"] += explained.map({True: " (explained otherwise)", False: ""})
    problems = [
        queries.make(
            "DV022",
            subject_id=row["subject_id"],
            visit=row["visit"],
            file="neuro",
            value=row["score"],
            item=row["item"],
            instrument=NANO_LM,
            row_id=row["row_id"],
        )
        for row in mine[wrong].to_dict("records")
    ]
    by_item = mine.groupby([*_KEYS, "item"], sort=True).agg(
        scored=("scored", "any"),
        left_out=("left_out", "all"),
        explained=("explained", "any"),
        word=("word", lambda words: "/".join(sorted(set(words)))),  # two examiners may differ
    )
    texts = [
        {"subject_id": subject, "number": number, "nano_lm": _text(items.reset_index())}
        for (subject, number), items in by_item.groupby(level=[0, 1], sort=True)
    ]
    return pd.DataFrame(texts, columns=[*_KEYS, "nano_lm"]), problems


def _text(items: pd.DataFrame) -> str:
    scored, left_out, explained = (int(items[name].sum()) for name in ("scored", "left_out", "explained"))
    counts = f"{scored or 'no'} item{'' if scored == 1 else 's'} scored, {left_out or 'none'} not assessed"
    listed = ", ".join(items["item"].str.replace("_", " ") + " " + items["word"])
    return f"{counts}, {explained or 'none'} explained otherwise: {listed}"
