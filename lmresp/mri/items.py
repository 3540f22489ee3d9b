"""Items of the LM scorecard: which of them count, how they combine, and what is there now (pure).

Source: revised MRI scorecard, Neuro-Oncology 2019;21:648, Table 5 (items and values were read, the footnote that
combines them was not): table ``lano_2019_overall_imaging``. Parenchymal and cranial nerve items are recorded and stay
out of the LM value.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd

from lmresp.criteria import Rule, load_scheme
from lmresp.terms import Change, Item, Presence

LM_ITEMS = (Item.NODULES.value, Item.LINEAR.value, Item.HYDROCEPHALUS.value)
"""Items that count for the LM value, in brain and spine (hydrocephalus in the brain only)."""
KEYS = ["subject_id", "number"]
"""What names a visit inside this part."""


def overall_from_items(items: Iterable[Mapping[str, Any]]) -> Rule | None:
    """Combine the items of one scan into the overall value of the scorecard.

    Parameters
    ----------
    items : iterable of mapping
        ``item`` (:class:`lmresp.terms.Item`), ``compartment``, ``presence`` (:class:`lmresp.terms.Presence`) and
        ``change`` (:class:`lmresp.terms.Change`, or None on the reference scan).

    Returns
    -------
    Rule or None
        The rule that answers (``output`` is CR, PR, SD, PD or NE, with ``rule_id`` and ``certainty``); None when no LM
        item carries a change, as on the reference scan.

    Notes
    -----
    Everything is resolved when an item improved and no LM item is left present.
    """
    rows = pd.DataFrame([dict(item) for item in items], columns=["item", "compartment", "presence", "change"])
    rows = lm_items(rows)
    if not rows["change"].ne("").any():
        return None
    decided = combine(rows.assign(one=1), ["one"])
    scheme = load_scheme("lano_2019_overall_imaging")
    return next(rule for rule in scheme.rules if rule.rule_id == decided["rule_id"].iloc[0])


def lm_items(rows: pd.DataFrame) -> pd.DataFrame:
    """Keep the rows of LM items; their words as text, ``""`` where there is none."""
    out = rows.copy()
    for name in out.columns.intersection(["item", "presence", "change", "reason"]):
        out[name] = [("" if pd.isna(cell) else str(cell)) for cell in out[name]]
    return out[out["item"].isin(LM_ITEMS)]


def combine(items: pd.DataFrame, keys: list[str]) -> pd.DataFrame:
    """Answer ``lano_2019_overall_imaging`` for every group of items that carries a change.

    Parameters
    ----------
    items : pandas.DataFrame
        ``item, presence, change`` (text, ``""`` where not given) and the columns ``keys``.
    keys : list of str
        What names one scan.

    Returns
    -------
    pandas.DataFrame
        One row per group: ``keys``, ``call, rule_id, certainty, flags``.
    """
    marks = items[keys].assign(
        any_worse=items["change"] == Change.WORSE.value,
        any_improved=items["change"] == Change.IMPROVED.value,
        any_ne=(items["change"] == Change.NE.value) | (items["presence"] == Presence.NE.value),
        changed=items["change"] != "",
        present=items["presence"] == Presence.PRESENT.value,
        known=items["presence"] != "",
    )
    by_group = marks.groupby(keys, sort=True)
    groups = by_group[["any_worse", "any_improved", "any_ne", "changed", "present"]].any()
    nothing_left = by_group["known"].all() & ~groups["present"] & ~groups["any_ne"]
    groups["all_resolved"] = groups["any_improved"] & ~groups["any_worse"] & nothing_left
    groups = groups[groups["changed"]].reset_index()
    decided = load_scheme("lano_2019_overall_imaging").decide(groups)
    return pd.concat([groups[keys], decided[["call", "rule_id", "certainty", "flags"]]], axis=1)


def words(values: pd.Series) -> pd.DataFrame:
    """Sort the words of a read's items into ``presence`` and ``change`` ("" where a word is none); NE is both."""
    lists: dict[str, type[Presence] | type[Change]] = {"presence": Presence, "change": Change}
    return pd.DataFrame({name: values.where(values.isin([w.value for w in each]), "") for name, each in lists.items()})


def contradicts(stated: pd.Series, implied: pd.Series) -> pd.Series:
    """Whether a reader's overall value does not follow from the items; never where one of the two is "".

    Without the presence of each item CR and PR cannot be told apart from the changes alone.
    """
    same = (stated == implied) | (stated.isin(["CR", "PR"]) & implied.isin(["CR", "PR"]))
    return (stated != "") & (implied != "") & ~same


def presence_now(rows: pd.DataFrame) -> pd.Series:
    """Say what is there on each scan, as far as the words of the read tell.

    Parameters
    ----------
    rows : pandas.DataFrame
        Item rows of one read per visit: ``subject_id, number, position, compartment, item, value, against``
        (BASELINE, PREVIOUS or NADIR: what the read compares with).

    Returns
    -------
    pandas.Series of str
        PRESENT, ABSENT or NE, on the index of ``rows``.

    Notes
    -----
    Worse means present. No change keeps the state of the scan that was compared with, of baseline or of the visit
    before; an improved finding may be gone or be smaller, and of the nadir nobody says what was there: both are NE.
    """
    ordered = rows.sort_values("number", kind="stable")
    words = ordered["value"].map({"PRESENT": "PRESENT", "ABSENT": "ABSENT", Change.WORSE.value: "PRESENT"})
    words = words.astype(object)
    same = ordered["value"] == Change.NO_CHANGE.value
    place = ordered["compartment"].mask(ordered["item"] == Item.HYDROCEPHALUS.value, "BRAIN")
    keys = [ordered["subject_id"], ordered["item"], place]
    at_baseline = words.where(ordered["position"] != "").groupby(keys, sort=False).transform("last")
    against_baseline = words.mask(same & (ordered["against"] == "BASELINE"), at_baseline)
    unchanged = same & (ordered["against"] == "PREVIOUS")
    carried = against_baseline.fillna(Presence.NE.value).mask(unchanged)  # a gap takes the state of the visit before
    return carried.groupby(keys, sort=False).ffill().fillna(Presence.NE.value).reindex(rows.index)


def worst_word(values: pd.Series, keys: list[pd.Series], worst_first: tuple[str, ...]) -> pd.Series:
    """Take, of several values of one scan, the first in the given order; values outside it do not count."""
    rank = values.map({word: place for place, word in enumerate(worst_first)}).dropna()
    worst = rank.groupby([key.loc[rank.index] for key in keys]).min()
    return worst.map(dict(enumerate(worst_first))).astype(object)


def joined_by(
    rows: pd.DataFrame, keys: list[str], column: str, separator: str = ";", *, ordered: bool = False
) -> pd.Series:
    """Join the texts of each group into one; empty texts and repeats are left out.

    Parameters
    ----------
    rows : pandas.DataFrame
        Columns ``keys`` and ``column`` (text).
    keys : list of str
        What names a group.
    column, separator : str
        What is joined, and with what between.
    ordered : bool, optional
        Keep the order and the repeats of the rows of a group; without it the texts are sorted.

    Returns
    -------
    pandas.Series of str
        Indexed by ``keys``; groups without any text are not in it.

    Notes
    -----
    One pass over sorted rows: a call of Python for every group of a cohort would take most of the time of this part.
    """
    given = rows.loc[rows[column] != "", [*keys, column]]
    given = given.sort_values(keys, kind="stable") if ordered else given.drop_duplicates().sort_values([*keys, column])
    group = given.groupby(keys, sort=True).ngroup().to_numpy()
    starts = np.flatnonzero(np.diff(group, prepend=-1))
    words = given[column].tolist()
    texts = [separator.join(words[a:b]) for a, b in pairwise([*starts.tolist(), len(words)])]
    return pd.Series(texts, index=pd.MultiIndex.from_frame(given.iloc[starts][keys]), dtype=object)
