"""Whether a read form is complete (pure).

Source: the items of the 2019 card (Neuro-Oncology 2019;21:648, Table 5). In the 35-rater test of the card 44% of the
ratings were incomplete, and the authors ask for forms that block (PMC9527515).
"""

from __future__ import annotations

import pandas as pd

from lmresp import queries
from lmresp.criteria import load_scale
from lmresp.mri.items import LM_ITEMS, joined_by
from lmresp.queries import Query
from lmresp.terms import Item, Presence

_CARD = {
    "brain_nodules": ("BRAIN", Item.NODULES.value),
    "brain_linear_enhancement": ("BRAIN", Item.LINEAR.value),
    "hydrocephalus": ("BRAIN", Item.HYDROCEPHALUS.value),
    "spine_nodules": ("SPINE", Item.NODULES.value),
    "spine_linear_enhancement": ("SPINE", Item.LINEAR.value),
}
"""Items of the card in the words of the table ``mri_reads``."""
DIAMETER = r"NODULE_(?P<nodule>[1-3])_(?P<axis>[XY])"


def shared_sessions(rows: pd.DataFrame) -> list[Query]:
    """Find blinded sessions in which two readers read the same visit: each could see the other's read (IN016)."""
    blinded = rows[(rows["blinded"].str.upper() == "Y") & (rows["session_id"] != "")]
    sessions = blinded.groupby(["subject_id", "visit", "session_id"], sort=True)["reader_id"].agg(
        lambda readers: ", ".join(sorted(set(readers)))
    )
    several = sessions[sessions.str.contains(", ", regex=False)] if len(sessions) else sessions
    return [
        queries.make(
            "IN016",
            subject_id=row.subject_id,
            visit=row.visit,
            column="session_id",
            value=row.session_id,
            readers=row.reader_id,
        )
        for row in several.reset_index().itertuples()
    ]


def incomplete_forms(rows: pd.DataFrame, read: list[str]) -> tuple[pd.Series, list[Query]]:
    """Find the reads whose form is not complete.

    Parameters
    ----------
    rows : pandas.DataFrame
        Item rows of locked reads: ``read`` and ``position, visit, compartment, item, value``.
    read : list of str
        Columns that name a read, ``subject_id`` and ``reader_id`` among them.

    Returns
    -------
    flags : pandas.Series of str
        ``read_incomplete``, indexed by ``read``, for the reads that are not.
    problems : list of Query
        IN012, one for each of them, with all that is missing.

    Notes
    -----
    A form holds every LM item of the compartments that it reads (WHOLE is brain and spine) and, after baseline, an
    overall value; each nodule has both diameters, and a nodule that is absent has none. Without any LM item the
    compartments of the overall value count as read.
    """
    rows = rows.reset_index(drop=True)
    parts = pd.concat([_missing_items(rows, read), _missing_overall(rows, read), _diameters(rows, read)])
    if parts.empty:
        return pd.Series(dtype=object), []
    texts = joined_by(parts, read, "text", "; ")
    found = texts.to_frame("text").join(rows.groupby(read)["visit"].first()).reset_index()
    problems = [
        queries.make("IN012", subject_id=row.subject_id, visit=row.visit, value=row.text, reader=row.reader_id)
        for row in found.itertuples()
    ]
    return pd.Series("read_incomplete", index=texts.index, dtype=object), problems


def _brain_and_spine(rows: pd.DataFrame) -> pd.DataFrame:
    whole = rows[rows["compartment"] == "WHOLE"]
    return pd.concat(
        [rows[rows["compartment"] != "WHOLE"], whole.assign(compartment="BRAIN"), whole.assign(compartment="SPINE")]
    )


def _missing_items(rows: pd.DataFrame, read: list[str]) -> pd.DataFrame:
    card = pd.DataFrame([_CARD[name] for name in load_scale("imaging_scorecard_2019")["lm_items"]])
    card.columns = pd.Index(["compartment", "item"])
    items = rows[rows["item"].isin(LM_ITEMS)]
    without = rows[~pd.MultiIndex.from_frame(rows[read]).isin(pd.MultiIndex.from_frame(items[read]))]
    regions = _brain_and_spine(pd.concat([items, without]))[[*read, "compartment"]].drop_duplicates()
    held = _brain_and_spine(items)[[*read, "compartment", "item"]].drop_duplicates()
    expected = regions.merge(card, on="compartment").merge(held, how="left", indicator=True)
    missing = expected[expected["_merge"] == "left_only"]
    return missing[read].assign(text="no " + missing["item"] + " " + missing["compartment"])


def _missing_overall(rows: pd.DataFrame, read: list[str]) -> pd.DataFrame:
    marks = rows.assign(overall=rows["item"] == Item.OVERALL.value, late=rows["position"] == "")
    found = marks.groupby(read)[["overall", "late"]].any().reset_index()
    return found.loc[found["late"] & ~found["overall"], read].assign(text="no OVERALL")


def _diameters(rows: pd.DataFrame, read: list[str]) -> pd.DataFrame:
    given = rows[rows["item"].str.fullmatch(DIAMETER)]
    nodule = given["item"].str.extract(DIAMETER)["nodule"]
    place = [*read, "compartment", "nodule"]
    count = given.assign(nodule=nodule).groupby(place)["item"].nunique().reset_index()
    half = count[count["item"] == 1]
    single = half[read].assign(text="one diameter only of NODULE_" + half["nodule"] + " " + half["compartment"])
    absent = rows[(rows["item"] == Item.NODULES.value) & (rows["value"] == Presence.ABSENT.value)]
    both = absent[[*read, "compartment"]].merge(given[[*read, "compartment"]].drop_duplicates())
    return pd.concat([single, both[read].assign(text="diameters although NODULES ABSENT " + both["compartment"])])
