"""The items of NANO-LM, which are stored and never called.

Source: NANO-LM, Neuro-Oncology 2024, doi:10.1093/neuonc/noae171 (abstract). Fourteen domains are stated and thirteen
named, levels run from 0 to 2; what they mean, and any rule of response, were not seen. Nothing is summed.
"""

from __future__ import annotations

import pandas as pd

from lmresp.criteria import load_scale
from lmresp.neuro.instruments import NANO_LM, NANO_LM_SCALE, items_of
from lmresp.neuro.item_checks import unusable_levels
from lmresp.queries import Query

_KEYS = ["subject_id", "number"]


def nano_lm(rows: pd.DataFrame) -> tuple[pd.DataFrame, list[Query]]:
    """Say in words what was scored by NANO-LM at each visit.

    Parameters
    ----------
    rows : pandas.DataFrame
        As for :func:`lmresp.neuro.item_checks.unknown_items`, with ``number`` and ``cause``.

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
    problems = unusable_levels(mine[wrong])
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
