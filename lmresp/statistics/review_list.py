"""Cases to look at again, and what the comparison itself has to be doubted for (pure)."""

from __future__ import annotations

import pandas as pd

from lmresp import queries
from lmresp.criteria.timeline import flag, joined
from lmresp.queries import Query
from lmresp.statistics.agreement import NE, PEOPLE, compared, comparisons, frame, words_of
from lmresp.statistics.published import Conventions, load_conventions
from lmresp.terms import Item

COLUMNS = (
    *("subject_id", "visit", "visit_num", "date", "comparison", "item", "compartment", "phase", "first", "second"),
    *("steps", "reason", "scans", "first_source", "second_source"),
)
TWO_STEPS = "two steps or more apart"
MISSED = "draft PD, not read as PD"
UNREAD = "draft PD, read not evaluable"
_PLACE = ["subject_id", "number", "phase", "item", "compartment", "against"]


def review_list(ratings: pd.DataFrame) -> pd.DataFrame:
    """List the answers that are two steps or more apart, and drafts of PD that the reader does not share.

    Parameters
    ----------
    ratings : pandas.DataFrame
        Answers: ``rater, kind, subject_id, number, visit_num, visit, date, phase, compartment, item, value, against,
        blinded, source``.

    Returns
    -------
    pandas.DataFrame
        Columns :data:`COLUMNS`, text, sorted by subject and visit; ``first`` and ``second`` are what the raters of
        ``comparison`` say, in that order; ``scans`` are those that the draft of the visit was made from.
    """
    conventions = load_conventions()
    drafted = ratings[ratings["kind"] == "draft"]
    scans = dict(zip(zip(drafted["subject_id"], drafted["number"], strict=True), drafted["source"], strict=True))
    blind = ratings[ratings["blinded"] == "Y"]
    found: list[dict[str, str]] = []
    for comparison in comparisons(blind):
        if len(comparison.raters) != 2:
            continue
        first, second = (blind[blind["rater"] == rater] for rater in comparison.raters)
        pairs = first.merge(second[[*_PLACE, "value", "source"]], on=_PLACE, suffixes=("", "_second"))
        ends = [_ranks(pairs, column, conventions) for column in ("value", "value_second")]
        pairs = pairs.assign(steps=(ends[0] - ends[1]).abs(), reason="")
        whole = pairs["item"] == Item.OVERALL.value
        progression = whole & (pairs["value_second"] == "PD") & comparison.with_draft
        pairs["reason"] = joined(
            [
                flag(pairs["steps"] >= 2, TWO_STEPS),
                flag(progression & (pairs["steps"] > 0), MISSED),
                flag(progression & (pairs["value"] == NE), UNREAD),
            ],
            "; ",
        )
        found += [
            {
                **{name: str(pair[name]) for name in ("subject_id", "visit", "visit_num", "date")},
                "comparison": comparison.label,
                **{name: str(pair[name]) for name in ("item", "compartment", "phase")},
                "first": str(pair["value"]),
                "second": str(pair["value_second"]),
                "steps": "" if pd.isna(pair["steps"]) else str(int(pair["steps"])),
                "reason": str(pair["reason"]),
                "scans": str(scans.get((pair["subject_id"], pair["number"]), "")),
                "first_source": str(pair["source"]),
                "second_source": str(pair["source_second"]),
            }
            for pair in pairs[pairs["reason"] != ""].to_dict("records")
        ]
    found.sort(key=lambda case: (case["subject_id"], float(case["visit_num"] or 0), case["item"] != "OVERALL"))
    return frame(found, COLUMNS)


def _ranks(pairs: pd.DataFrame, column: str, conventions: Conventions) -> pd.Series:
    """Place of each word on its scale, NaN where it is on none."""
    ranks = {
        (phase, item, word): place
        for phase, item in pairs[["phase", "item"]].drop_duplicates().itertuples(index=False)
        for place, word in enumerate(words_of(str(phase), str(item), conventions))
    }
    keys = zip(pairs["phase"], pairs["item"], pairs[column], strict=True)
    return pd.Series([ranks.get(key) for key in keys], index=pairs.index, dtype=float)


def doubts(ratings: pd.DataFrame) -> list[Query]:
    """Name readers who agree with the draft always (DV070) and reads that are left out (DV071, DV072).

    Parameters
    ----------
    ratings : pandas.DataFrame
        Answers: ``rater, kind, subject_id, number, item, value, against, blinded, saw_draft``.
    """
    least = load_conventions().least_pairs
    overall = ratings[(ratings["item"] == Item.OVERALL.value) & (ratings["value"] != NE) & (ratings["blinded"] == "Y")]
    found = []
    for comparison in comparisons(overall[overall["kind"].isin([*PEOPLE, "draft"])]):
        if comparison.with_draft:
            mine = compared(overall, comparison)
            first, second = (mine[mine["rater"] == rater] for rater in comparison.raters)
            pairs = first.merge(second, on=["subject_id", "number", "against"], suffixes=("", "_draft"))
            if len(pairs) >= least and (pairs["value"] == pairs["value_draft"]).all():
                found.append(queries.make("DV070", value=comparison.raters[0], pairs=len(pairs)))
    reads = ratings[ratings["kind"].isin(PEOPLE)].drop_duplicates(["rater", "subject_id", "number"])
    for rater, part in reads[reads["blinded"] != "Y"].groupby("rater", sort=True):
        found.append(queries.make("DV071", value=rater, reads=len(part), column="blinded", allowed="Y"))
    saw = reads[(reads["blinded"] == "Y") & (reads["saw_draft"] == "Y")]
    for rater, part in saw.groupby("rater", sort=True):
        found.append(queries.make("DV072", value=rater, reads=len(part)))
    return found
