"""Diameters of nodules in the reads that stand: the measurable ones, their sum and its change (pure).

Source: revised MRI scorecard, Neuro-Oncology 2019;21:648, Table 5: the three largest measurable nodules of a region,
both orthogonal diameters more than 5 mm (scale ``imaging_scorecard_2019``). No threshold for the change of the sum was
read; none is applied.
"""

from __future__ import annotations

import operator

import numpy as np
import pandas as pd

from lmresp import queries
from lmresp.criteria import load_scale
from lmresp.criteria.charter import Charter
from lmresp.criteria.timeline import flag
from lmresp.mri.items import KEYS, joined_by
from lmresp.mri.read_forms import DIAMETER
from lmresp.queries import Query
from lmresp.terms import Change, Item, Presence

_LIMITS = {">": operator.gt, ">=": operator.ge}


def compare_nodules(rows: pd.DataFrame, charter: Charter) -> tuple[pd.DataFrame, list[Query]]:
    """Sum up the nodules of every accepted read and compare them with the reference.

    Parameters
    ----------
    rows : pandas.DataFrame
        Item rows of one read per visit, with ``presence`` from :func:`lmresp.mri.items.presence_now`.
    charter : Charter
        ``reference_imaging``: baseline, previous or nadir (the smallest sum before this visit, from baseline on).

    Returns
    -------
    frame : pandas.DataFrame
        One row per visit: ``subject_id, number, nodules`` (``13x11;9x9``, mm, largest first; those of the spine end in
        ``(SPINE)``)``, sum_products`` (mm2)``, sum_products_change`` (percent, with sign)``, nodules_new`` (Y when
        more measurable nodules are recorded than at the reference; empty where this cannot be told)
        ``, nodule_flags``; all text.
    problems : list of Query
        DV040, DV043.

    Notes
    -----
    A compartment without diameters adds nothing where its nodules are absent or the same read gives diameters
    elsewhere; otherwise, and where nodules or a diameter of one that may be measurable are not evaluable, the sum is
    not known. Sums are compared only where the
    same compartments were read; from zero no percentage is formed.
    """
    frame = _sums(rows)
    rows_of = _references(frame)
    reference = rows_of[charter.text("reference_imaging").upper()]
    own = pd.Series(np.select([frame["against"] == word for word in rows_of], list(rows_of.values()), np.nan))
    follow_up = frame["position"] == ""
    before, many_before, reader = (_at(frame[name], reference) for name in ("total", "many", "reader_id"))
    frame["compared"] = _at(frame["total"], own)
    change = (100 * (frame["total"] - before) / before.where(before > 0)).where(follow_up)
    known = frame["total"].notna() & before.notna() & follow_up
    more = known & (frame["many"] > many_before)
    fewer_than_fit = known & ~more & ~frame["full"]  # beside three nodules a fourth has no place on the form
    out = frame[[*KEYS, "nodules"]].copy()
    change = change.round(1) + 0.0  # no negative zero
    for name, values, style in (("sum_products", frame["total"], "{:g}"), ("sum_products_change", change, "{:+.1f}")):
        out[name] = values.map(style.format).where(values.notna(), "").astype(object)
    out["nodules_new"] = np.select([more, fewer_than_fit], ["Y", "N"], default="").astype(object)
    out["nodule_flags"] = flag(known & (reader != frame["reader_id"]), "reference_by_other_reader")
    frame["many_before"] = many_before
    rises = follow_up & (frame["total"] > frame["compared"]) & frame["improved"] & ~frame["worse"]
    problems = [
        queries.make(
            "DV040", subject_id=row.subject_id, visit=row.visit, value=f"{row.total:g}", other=f"{row.compared:g}"
        )
        for row in frame[rises].itertuples()
    ]
    problems += [
        queries.make(
            "DV043", subject_id=row.subject_id, visit=row.visit, value=f"{row.many:g}", other=f"{row.many_before:g}"
        )
        for row in frame[more & frame["rated"] & ~frame["worse"]].itertuples()
    ]
    return out, problems


def _at(values: pd.Series, rows: pd.Series) -> pd.Series:
    """Values of the rows that each row is compared with; missing where there is none."""
    return values.reindex(pd.Index(rows)).set_axis(rows.index)


def _measurable(rows: pd.DataFrame) -> pd.DataFrame:
    """Pairs of diameters that make a measurable nodule, the largest of each region."""
    given = rows[rows["item"].str.fullmatch(DIAMETER)].reset_index(drop=True)
    parts = given["item"].str.extract(DIAMETER)
    given = given[[*KEYS, "compartment"]].join(parts).assign(mm=pd.to_numeric(given["value"], errors="coerce"))
    pairs = given.pivot_table(index=[*KEYS, "compartment", "nodule"], columns="axis", values="mm", aggfunc="last")
    pairs = pairs.reindex(columns=["X", "Y"]).dropna().reset_index()
    rule = load_scale("imaging_scorecard_2019")["measurable_nodule"]
    beyond = _LIMITS[rule["operator"]]
    high, low = max(rule["mm"]), min(rule["mm"])
    pairs = pairs[beyond(pairs[["X", "Y"]].max(axis=1), high) & beyond(pairs[["X", "Y"]].min(axis=1), low)].copy()
    pairs["product"] = pairs["X"] * pairs["Y"]
    pairs = pairs.sort_values([*KEYS, "compartment", "product", "nodule"], ascending=[True] * 3 + [False, True])
    rank = pairs.groupby([*KEYS, "compartment"]).cumcount()
    largest: pd.DataFrame = pairs[rank < rule["max_recorded_per_region"]]
    return largest


def _unsized(sized: pd.DataFrame, place: list[str]) -> pd.MultiIndex:
    """Regions with a nodule of which a diameter is missing or not evaluable, so that it may be a measurable one."""
    mm = pd.to_numeric(sized["value"], errors="coerce").rename("mm")
    nodule = sized["item"].str.extract(DIAMETER)["nodule"]
    sizes = mm.groupby([*(sized[name] for name in place), nodule]).agg(["count", "min"])
    rule = load_scale("imaging_scorecard_2019")["measurable_nodule"]
    small = sizes["min"].notna() & ~_LIMITS[rule["operator"]](sizes["min"], min(rule["mm"]))
    unsized: pd.MultiIndex = sizes.index[(sizes["count"] < len("XY")) & ~small].droplevel("nodule")
    return unsized


def _sums(rows: pd.DataFrame) -> pd.DataFrame:
    """One row per visit: what the read records of nodules, with the sum as a number (NaN when not known)."""
    nodules = rows[rows["item"] == Item.NODULES.value]
    sized = rows[rows["item"].str.fullmatch(DIAMETER)]
    place = [*KEYS, "compartment"]
    regions = pd.concat([nodules[place], sized[place]]).drop_duplicates().sort_values(place).reset_index(drop=True)
    pairs = _measurable(rows)
    found = pairs.groupby(place)["product"].agg(["sum", "size"])
    state = nodules.drop_duplicates(place, keep="last").set_index(place)
    where = pd.MultiIndex.from_frame(regions[place])
    recorded = where.isin(pd.MultiIndex.from_frame(sized[place]))
    elsewhere = pd.MultiIndex.from_frame(regions[KEYS]).isin(pd.MultiIndex.from_frame(sized[KEYS]))
    absent = (state["presence"].reindex(where) == Presence.ABSENT.value).to_numpy()
    unread = (state["value"].reindex(where) == Presence.NE.value).to_numpy()
    unread = unread | (where.isin(_unsized(sized, place)) & ~absent)
    total = found["sum"].reindex(where).fillna(0.0).to_numpy()
    regions["total"] = np.where((recorded | elsewhere | absent) & ~unread, total, np.nan)
    regions["many"] = found["size"].reindex(where).fillna(0).to_numpy()
    most = load_scale("imaging_scorecard_2019")["measurable_nodule"]["max_recorded_per_region"]
    regions["full"] = regions["many"] >= most
    regions["unknown"] = regions["total"].isna()
    visits = regions.groupby(KEYS).agg({"total": "sum", "many": "sum", "full": "any", "unknown": "any"})
    visits["total"] = visits["total"].mask(visits["unknown"].eq(True))
    visits["regions"] = joined_by(regions, KEYS, "compartment")
    words = nodules.assign(
        worse=nodules["value"] == Change.WORSE.value, improved=nodules["value"] == Change.IMPROVED.value, rated=True
    )
    visits = visits.join(words.groupby(KEYS)[["worse", "improved", "rated"]].any())
    texts = [f"{row.X:g}x{row.Y:g}" + (" (SPINE)" if row.compartment == "SPINE" else "") for row in pairs.itertuples()]
    named = pairs[KEYS].assign(text=pd.Series(texts, index=pairs.index, dtype=object))
    visits["nodules"] = joined_by(named, KEYS, "text", ordered=True)
    visits = visits.join(rows.groupby(KEYS)[["position", "visit", "reader_id", "against"]].first())
    visits["nodules"] = visits["nodules"].astype(object).fillna("")
    for name in ("worse", "improved", "rated"):
        visits[name] = visits[name].eq(True)
    return visits.reset_index().astype({"total": float, "many": float})


def _references(frame: pd.DataFrame) -> dict[str, pd.Series]:
    """Row with which each row is compared, by kind of reference; NaN where there is none.

    Only rows of the same subject and the same compartments are compared.
    """
    keys = [frame["subject_id"], frame["regions"]]
    early = frame["position"] != ""
    here = pd.Series(frame.index, index=frame.index, dtype=float).where(frame["total"].notna())
    baseline = here.where(early).groupby(keys).transform("last")
    previous = here.groupby(keys).ffill().groupby(keys).shift()
    # The nadir is searched from the reference on: an earlier screening scan is no nadir.
    eligible = frame["total"].where(~early | (here == baseline))
    best = eligible.groupby(keys).cummin()
    lower = eligible.notna() & ~(eligible >= best.groupby(keys).ffill().groupby(keys).shift())
    nadir = here.where(lower).groupby(keys).ffill().groupby(keys).shift()
    return {"BASELINE": baseline.mask(early), "PREVIOUS": previous, "NADIR": nadir}
