"""Agreement of readers with one another and with the draft: the tables (pure).

Coefficients are in :mod:`lmresp.statistics.kappa` and :mod:`lmresp.statistics.reliability`, their limits in
:mod:`lmresp.statistics.estimates`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from itertools import combinations

import numpy as np
import pandas as pd

from lmresp.statistics.estimates import Estimate, estimate, estimate_differences, estimate_icc, estimate_share
from lmresp.statistics.kappa import Codes, Coefficient, ac1, alpha, kappa, pair_table, percent, share
from lmresp.statistics.published import Conventions, load_conventions, published_for
from lmresp.terms import Item

COLUMNS = (
    *("comparison", "item", "compartment", "phase", "statistic", "value", "low", "high", "n", "subjects", "method"),
    *("note", "published", "published_note"),
)
COUNT_COLUMNS = ("comparison", "item", "compartment", "phase", "first", "second", "count")
NE = "NE"
ALL_READERS = "independent readers"
PEOPLE = ("reader", "investigator")
_DRAFT = "draft"
_PLACE = ["phase", "item", "compartment"]
_UNIT = ["subject_id", "number", "against"]
_ALL_VISITS = "all visits"
_PERCENT = {
    *("percent_agreement", "one_step", "two_steps", "draft_better", "draft_worse", "not_evaluable"),
    *("disagreed", "adjudicated", "accepted_by_adjudicator", "locked_reads_changed"),
}
_METHODS = {
    "percent_agreement": "agreeing pairs among pairs",
    "cohen_kappa": "Cohen 1960",
    "cohen_kappa_linear": "Cohen 1968, linear weights",
    "cohen_kappa_with_ne": "Cohen 1960, NE as a category",
    "cohen_kappa_median": "median of the pairwise kappas (Cohen 1960)",
    "krippendorff_alpha": "Krippendorff 2011, nominal",
    "krippendorff_alpha_ordinal": "Krippendorff 2011, ordinal",
    "gwet_ac1": "Gwet 2008",
    "first_pd_days": "median over subjects, days, second less first",
    "icc": "ICC(2,1), Shrout and Fleiss 1979",
}
"""Source of each statistic; one that is not here is a plain share or difference."""


@dataclasses.dataclass(frozen=True, slots=True)
class Comparison:
    """Raters that are set against one another, in the order of the columns of their ratings."""

    label: str
    raters: tuple[str, ...]
    with_draft: bool


def comparisons(rated: pd.DataFrame) -> list[Comparison]:
    """List what is compared: every two readers, all independent readers where there are more, each against the draft.

    Parameters
    ----------
    rated : pandas.DataFrame
        ``rater, kind``: of people, of the read that stands (``accepted``) and of the ``draft``. Adjudicators see the
        reads they decide on and only the disputed ones, so they are compared with nobody.
    """
    names = {kind: sorted(set(rated.loc[rated["kind"] == kind, "rater"])) for kind in (*PEOPLE, "accepted", _DRAFT)}
    people = [*names["reader"], *names["investigator"]]
    found = [Comparison(f"{a} v {b}", (a, b), with_draft=False) for a, b in combinations(people, 2)]
    if len(names["reader"]) > 2:
        found.append(Comparison(ALL_READERS, tuple(names["reader"]), with_draft=False))
    # With one reader the read that stands is that reader's.
    against = [*people, *(names["accepted"] if len(people) > 1 else [])]
    drafts = [(name, draft) for name in against for draft in names[_DRAFT]]
    return found + [Comparison(f"{a} v {b}", (a, b), with_draft=True) for a, b in drafts]


def agreement(
    ratings: pd.DataFrame, numbers: pd.DataFrame, more: Sequence[dict[str, str]]
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Estimate the agreement of readers with one another and with the draft.

    Parameters
    ----------
    ratings : pandas.DataFrame
        Answers: ``rater, kind, subject_id, number, phase, compartment, item, value, against, blinded, saw_draft``.
    numbers : pandas.DataFrame
        Numbers: ``rater, kind, subject_id, number, compartment, item, unit, value, blinded``.
    more : sequence of dict
        Further rows for the end of the table, made by :func:`row`.

    Returns
    -------
    table : pandas.DataFrame
        Columns :data:`COLUMNS`, text. Shares are in percent; an empty value has its reason in ``note``.
    counts : pandas.DataFrame
        Columns :data:`COUNT_COLUMNS`: the cells of every table of two raters, zeros left out, NE among the words.

    Notes
    -----
    Only answers of blinded reads count, and against the draft only those that had not seen it. Answers that compare
    with different scans are no pair. NE is on no scale: pairs with an NE are left out and counted (``not_evaluable``),
    and kappa is given once more with NE as a category.
    """
    conventions = load_conventions()
    blind = ratings[ratings["blinded"] == "Y"]
    rows: list[dict[str, str]] = []
    counts: list[dict[str, str]] = []
    for comparison in comparisons(blind):
        for place, words, codes, subject in strata(blind, comparison, conventions):
            rows += _stratum(comparison, place, words, codes, subject, conventions)
            counts += _counts(comparison, place, words, codes)
    for comparison in comparisons(numbers.replace({"kind": {"study": "reader"}})):
        rows += _numbers(comparison, numbers[numbers["blinded"] == "Y"], conventions)
    return frame([*rows, *more], COLUMNS), frame(counts, COUNT_COLUMNS)


def frame(rows: Sequence[dict[str, str]], columns: Sequence[str]) -> pd.DataFrame:
    """Rows of text as a frame with exactly these columns."""
    return pd.DataFrame(rows, columns=list(columns), dtype=object)


def words_of(phase: str, item: str, conventions: Conventions) -> tuple[str, ...]:
    """Scale of an item, the best word first."""
    if item == Item.OVERALL.value:
        return conventions.scales["overall"]
    return conventions.scales["presence" if phase == "baseline" else "change"]


def compared(ratings: pd.DataFrame, comparison: Comparison) -> pd.DataFrame:
    """Answers of the raters of a comparison; against the draft only of reads that had not seen it."""
    mine = ratings[ratings["rater"].isin(comparison.raters)]
    return mine[mine["saw_draft"] != "Y"] if comparison.with_draft else mine


def strata(
    ratings: pd.DataFrame, comparison: Comparison, conventions: Conventions
) -> Iterator[tuple[tuple[str, str, str], tuple[str, ...], Codes, Codes]]:
    """Yield phase, item and compartment with the scale, the codes (units, raters) and the subject of each unit.

    A code is the place on the scale, one more than the last for NE, -1 for a gap or a word of another scale. Only units
    that two raters rated, and only strata with such a unit.
    """
    mine = compared(ratings, comparison)
    for key, part in mine.groupby(_PLACE, sort=True):
        phase, item, compartment = (str(word) for word in key)
        words = words_of(phase, item, conventions)
        place = {word: code for code, word in enumerate((*words, NE))}
        wide = part.assign(code=part["value"].map(place)).dropna(subset=["code"])
        wide = wide.pivot_table(index=_UNIT, columns="rater", values="code", aggfunc="first")
        wide = wide.reindex(columns=list(comparison.raters))
        codes = wide.fillna(-1).to_numpy(dtype=np.int64)
        rated = (codes >= 0).sum(axis=1) >= 2
        if rated.any():
            subject = pd.factorize(wide.index.get_level_values("subject_id"))[0].astype(np.int64)
            yield (phase, item, compartment), words, codes[rated], subject[rated]


def row(place: tuple[str, str, str, str], statistic: str, found: Estimate, note: str = "") -> dict[str, str]:
    """One row of the table: comparison, item, compartment and phase, and an estimate beside what is published."""
    comparison, item, compartment, phase = place
    method = _METHODS.get(statistic, "")
    parts = [method, f"limits: {found.interval}" if found.interval else ""]
    published = published_for(statistic, item, compartment, phase)
    value, low, high = (
        "" if number is None else f"{100 * number:.1f}" if statistic in _PERCENT else f"{number:.3f}"
        for number in (found.value, found.low, found.high)
    )
    return {
        "comparison": comparison,
        "item": item,
        "compartment": compartment,
        "phase": phase,
        "statistic": statistic,
        "value": value,
        "low": low,
        "high": high,
        "n": str(found.n),
        "subjects": str(found.subjects),
        "method": "; ".join(part for part in parts if part),
        "note": "; ".join(part for part in (found.note, note) if part),
        "published": published.value,
        "published_note": published.note,
    }


def _stratum(
    comparison: Comparison,
    place: tuple[str, str, str],
    words: tuple[str, ...],
    codes: Codes,
    subject: Codes,
    conventions: Conventions,
) -> list[dict[str, str]]:
    phase, item, compartment = place
    where = (comparison.label, item, compartment, phase)
    size, two, ordered = len(words), len(comparison.raters) == 2, len(words) > 2
    known = np.where(codes == size, -1, codes)
    open_ = (codes == size).any(axis=1)

    def of(coefficient: Coefficient, least: int = conventions.least_pairs) -> Estimate:
        return estimate(coefficient, known, size, subject, conventions, least=least)

    rows = [row(where, "percent_agreement", of(percent(), 1))]
    if two:
        rows.append(row(where, "cohen_kappa", of(kappa())))
        rows += [row(where, "cohen_kappa_linear", of(kappa("linear")))] if ordered else []
    else:
        rows.append(row(where, "cohen_kappa_median", _median_kappa(known, size, subject, conventions)))
    rows.append(row(where, "krippendorff_alpha", of(alpha())))
    rows += [row(where, "krippendorff_alpha_ordinal", of(alpha(ordinal=True)))] if ordered else []
    rows.append(row(where, "gwet_ac1", of(ac1())))
    if two and (known >= 0).all(axis=1).any():
        shares = {
            **({"one_step": share(lambda a, b: np.abs(a - b) == 1)} if ordered else {}),
            **({"two_steps": share(lambda a, b: np.abs(a - b) >= 2)} if ordered else {}),
            **({"draft_better": share(lambda a, b: b < a)} if comparison.with_draft else {}),
            **({"draft_worse": share(lambda a, b: b > a)} if comparison.with_draft else {}),
        }
        rows += [row(where, name, of(coefficient, 1)) for name, coefficient in shares.items()]
    if two and open_.any():
        with_ne = estimate(kappa(), codes, size + 1, subject, conventions, least=conventions.least_pairs)
        rows.append(row(where, "cohen_kappa_with_ne", with_ne))
    rows.append(row(where, "not_evaluable", estimate_share(open_.astype(np.int64), subject, conventions)))
    return rows


def _median_kappa(codes: Codes, categories: int, subject: Codes, conventions: Conventions) -> Estimate:
    """Median of the pairwise kappas that are defined, the way in which the test of the card was reported."""
    every = [
        estimate(kappa(), codes[:, pair], categories, subject, conventions, least=conventions.least_pairs)
        for pair in (list(two) for two in combinations(range(codes.shape[1]), 2))
    ]
    found = [one.value for one in every if one.value is not None]
    units, subjects = len(codes), len(set(subject.tolist()))
    if not found:
        return Estimate(None, None, None, units, subjects, note="no pair of readers has a kappa")
    note = f"of {len(found)} pairs of readers, {min(found):.3f} to {max(found):.3f}; no limits"
    return Estimate(float(np.median(found)), None, None, units, subjects, note=note)


def _counts(
    comparison: Comparison, place: tuple[str, str, str], words: tuple[str, ...], codes: Codes
) -> list[dict[str, str]]:
    if len(comparison.raters) != 2:
        return []
    phase, item, compartment = place
    names = (*words, NE)
    table = pair_table(codes, len(names))
    where = {"comparison": comparison.label, "item": item, "compartment": compartment, "phase": phase}
    return [
        {**where, "first": names[i], "second": names[j], "count": str(table[i, j])}
        for i, j in np.argwhere(table > 0).tolist()
    ]


def _numbers(comparison: Comparison, numbers: pd.DataFrame, conventions: Conventions) -> list[dict[str, str]]:
    """ICC and limits of agreement of two raters for every quantity that both give."""
    if len(comparison.raters) != 2:
        return []
    rows = []
    mine = numbers[numbers["rater"].isin(comparison.raters)]
    for key, part in mine.groupby(["item", "compartment", "unit"], sort=True):
        item, compartment, unit = (str(word) for word in key)
        wide = part.pivot_table(index=["subject_id", "number"], columns="rater", values="value", aggfunc="first")
        wide = wide.reindex(columns=list(comparison.raters)).dropna()
        if wide.empty:
            continue
        pairs = wide.to_numpy(dtype=np.float64)
        subject = pd.factorize(wide.index.get_level_values("subject_id"))[0].astype(np.int64)
        where = (comparison.label, item, compartment, _ALL_VISITS)
        rows.append(row(where, "icc", estimate_icc(pairs, subject, conventions)))
        note = f"{unit}; {comparison.raters[1]} less {comparison.raters[0]}"
        found = estimate_differences(pairs, subject, conventions)
        names = ("bias", "limit_of_agreement_low", "limit_of_agreement_high")
        rows += [row(where, name, one, note) for name, one in zip(names, found, strict=True)]
    return rows
