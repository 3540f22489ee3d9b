"""Calls every visit: the three strands through the decision table of the charter, in one gather for the whole cohort.

Source: the scheme that the charter names (default ``rano_lm_2017_overall``; Neuro-Oncology 2017;19:484-492).
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence

import numpy as np
import pandas as pd

from lmresp.criteria.charter import STRANDS, Charter
from lmresp.criteria.table import Scheme
from lmresp.criteria.timeline import day_text, days, joined
from lmresp.notation import flips_text
from lmresp.response.call_date import established_on
from lmresp.response.flips import smallest_flips
from lmresp.response.strands import align_strands, own_flags, possible_csf
from lmresp.terms import Call, Csf, Imaging, Neuro

COLUMNS = (
    *("subject_id", "visit", "visit_num", "date", "call", "rule_id", "certainty", "authority", "provisional"),
    *("provisional_reason", "csf", "neuro", "mri", "mri_source", "steroids", "criteria", "charter", "missing"),
    *("would_change", "row_ids", "dates", "scans", "flags", "citation", "note"),
)
_UNKNOWN: Mapping[str, frozenset[str]] = {
    "neuro": frozenset({Neuro.NOT_EVALUABLE}),
    "csf": frozenset({Csf.MISSING, Csf.EQUIVOCAL}),
    "imaging": frozenset({Imaging.NOT_EVALUABLE}),
}
"""Strand values that are no evidence either way: what they could have been is worth saying."""
_NOT_ASSESSED: Mapping[str, frozenset[str]] = {name: words - {Csf.EQUIVOCAL} for name, words in _UNKNOWN.items()}
SPINE_NOT_ASSESSED = "spine_not_assessed"
SECOND_READ_MISSING = "second_read_missing"
"""Flags of the imaging strand that a call repeats in its reasons for being provisional."""


def call_visits(
    csf: pd.DataFrame,
    neuro: pd.DataFrame,
    mri: pd.DataFrame,
    charter: Charter,
    set_aside: Collection[str] = (),
    steroids: pd.DataFrame | None = None,
) -> pd.DataFrame:
    """Call every visit after baseline.

    Parameters
    ----------
    csf, neuro, mri : pandas.DataFrame
        The strands, one row per subject and visit, as :func:`lmresp.csf.cytology.grade_csf`,
        :func:`lmresp.neuro.examination.grade_neuro` and :func:`lmresp.mri.scorecard.grade_mri` return them.
    charter : Charter
        The scheme, who answers for it, ``strands_apart_days`` and ``positive_new_after``.
    set_aside : collection of str
        Subjects with an open blocking query: they get no call until it is solved.
    steroids : pandas.DataFrame, optional
        Dose status per visit, as :func:`lmresp.steroids.dosing.grade_steroids` returns it; reported, no part of the
        call.

    Returns
    -------
    pandas.DataFrame
        Columns :data:`COLUMNS`, all text, one row per visit after baseline, sorted by subject and visit number.
        ``provisional`` is Y, with its reasons, when nobody answers for the rule, the charter is not signed, or the
        imaging is an automated draft, a lone read of two, or disputed. ``would_change`` names the smallest sets of
        open strands (unknown, drafted or disputed) whose other values give another call
        (:func:`lmresp.notation.flips_text`). ``dates`` holds the day of each strand that was assessed
        (``csf=2024-02-12;neuro=2024-02-11``).

    Raises
    ------
    ValueError
        If the strands do not list the same visits, or a visit twice.

    Notes
    -----
    A call is dated on the day on which it was established: the first day on which the strands assessed so far settle
    it (:mod:`lmresp.response.call_date`). The baseline visit and visits before it are no calls.
    """
    rows = align_strands(csf, neuro, mri, steroids)
    rows = pd.concat([rows, possible_csf(rows, charter)], axis=1)
    rows = rows[rows["after_baseline"] & ~rows["subject_id"].isin(set(set_aside))].reset_index(drop=True)
    scheme = charter.scheme
    decided = scheme.decide(rows).rename(columns={"flags": "flags_rule", "note": "note_rule"})
    rows = pd.concat([rows, decided.drop(columns="provisional")], axis=1)
    rows["authority"] = per_case(rows, ["certainty"], charter.authority)
    signed = charter.is_signed
    reasons = ["rule_id", "certainty", "authority", "mri_source", "flags_imaging", "disputed_imaging"]
    rows["provisional_reason"] = per_case(rows, reasons, lambda *case: _provisional(*case, signed=signed))
    rows["provisional"] = np.where(rows["provisional_reason"] == "", "N", "Y").astype(object)
    visit_days = np.column_stack([_days(rows[f"date_{strand}"]) for strand in STRANDS])
    rows["date"] = _dates(rows, scheme, visit_days)
    far = np.nan_to_num(np.ptp(_filled(visit_days), axis=1)) > charter.number("strands_apart_days")
    rows["far_apart"] = np.where(far, "strands_far_apart", "").astype(object)
    rows["flags"] = per_case(rows, ["flags_rule", *(f"flags_{strand}" for strand in STRANDS), "far_apart"], own_flags)
    rows["missing"] = per_case(rows, [*STRANDS, *(f"reason_{strand}" for strand in STRANDS)], _missing)
    open_to = [*STRANDS, *(f"disputed_{strand}" for strand in STRANDS), "mri_source", "if_negative", "if_positive"]
    rows["would_change"] = per_case(rows, open_to, lambda *case: _would_change(scheme, *case))
    rows["done"] = ((rows["scans"] != "") | (rows["mri_source"] != "")).astype(object)
    rows["note"] = per_case(rows, ["note_rule", "call", "imaging", "done"], _note)
    rows["row_ids"] = joined([rows[f"row_ids_{strand}"] for strand in STRANDS])
    rows["dates"] = joined([_used_date(rows, strand) for strand in STRANDS])
    rows["criteria"], rows["charter"], rows["mri"] = scheme.scheme_id, charter.label, rows["imaging"]
    return rows[list(COLUMNS)].astype(object)


def per_case(rows: pd.DataFrame, names: Sequence[str], say: Callable[..., str]) -> pd.Series:
    """Apply a function of some columns to every row, working each distinct case out once.

    Parameters
    ----------
    rows : pandas.DataFrame
        Columns of text, among them ``names``.
    names : sequence of str
        Columns that the function takes, in its order.
    say : callable
        From the cells of a row to text.

    Returns
    -------
    pandas.Series
        Text, on the index of ``rows``.
    """
    case = np.zeros(len(rows), dtype=np.int64)
    for name in names:
        code, words = pd.factorize(rows[name])
        case = pd.factorize(case * len(words) + code)[0]  # renumbered each time, so that it stays below rows * words
    first = rows.loc[~pd.Series(case, index=rows.index).duplicated(), list(names)]
    texts = np.array([say(*cells) for cells in first.itertuples(index=False, name=None)], dtype=object)
    return pd.Series(texts[case], index=rows.index, dtype=object)


def _days(dates: pd.Series) -> np.ndarray:
    code, texts = pd.factorize(dates)
    found: np.ndarray = days(pd.Series(texts, dtype=object)).to_numpy(dtype=float)[code]
    return found


def _filled(visit_days: np.ndarray) -> np.ndarray:
    """Replace a day that is not known by another of the visit, so that it widens no span."""
    some = visit_days[:, 0]
    for column in visit_days.T[1:]:
        some = np.where(np.isnan(some), column, some)
    return np.where(np.isnan(visit_days), some[:, np.newaxis], visit_days)


def _dates(rows: pd.DataFrame, scheme: Scheme, visit_days: np.ndarray) -> pd.Series:
    assessed = np.column_stack([~rows[strand].isin(_NOT_ASSESSED[strand]) for strand in STRANDS])
    order = [list(STRANDS).index(each.name) for each in scheme.inputs]
    own_days = np.where(assessed, visit_days, np.nan)[:, order]
    day = established_on(scheme, scheme.locate(rows), own_days)
    latest = _filled(visit_days).max(axis=1)  # where no strand was assessed the visit's own date stands
    code, numbers = pd.factorize(np.where(np.isnan(day), latest, day), use_na_sentinel=False)
    return pd.Series(day_text(pd.Series(numbers)).to_numpy(dtype=object)[code], index=rows.index, dtype=object)


def _used_date(rows: pd.DataFrame, strand: str) -> pd.Series:
    """Name the day on which a strand was assessed; empty where it was not assessed or not dated."""
    date = rows[f"date_{strand}"]
    return (f"{strand}=" + date).where(~rows[strand].isin(_NOT_ASSESSED[strand]) & (date != ""), "")


def _provisional(
    rule_id: str, certainty: str, authority: str, source: str, flags: str, disputed: str, *, signed: bool
) -> str:
    imaging = flags.split(";")
    draft = "imaging is an automated draft" + (" of the brain only" if SPINE_NOT_ASSESSED in imaging else "")
    reasons = {
        f"rule {rule_id} is {certainty}": authority == "unverified",
        "charter is not signed": not signed,
        draft: source == "draft",
        "the second read of the MRI is missing": SECOND_READ_MISSING in imaging,
        "the read of the MRI is disputed": source == "read" and disputed != "",
    }
    return "; ".join(reason for reason, holds in reasons.items() if holds)


def _missing(*case: str) -> str:
    strands = zip(STRANDS, case[: len(STRANDS)], case[len(STRANDS) :], strict=True)
    return "; ".join(f"{strand}: {reason}" for strand, status, reason in strands if status in _NOT_ASSESSED[strand])


def _note(note: str, call: str, imaging: str, done: bool) -> str:
    """Quote the rule's note as the rule's; a scheme speaks of a missing MRI also where one was done."""
    parts = [f"Rule's own note: {note}"] if note else []
    if done and call == Call.NOT_EVALUABLE and imaging in _UNKNOWN["imaging"]:
        parts.append("At this visit the MRI was done; it is not evaluable.")
    return " ".join(parts)


def _would_change(scheme: Scheme, *case: str) -> str:
    """Say what the open strands of a case could do to its call.

    A strand that is unknown or drafted may have any value that is evidence; a CSF sample only those that its history
    leaves. A disputed strand may have the values that are disputed.
    """
    statuses, disputed = case[: len(STRANDS)], case[len(STRANDS) : 2 * len(STRANDS)]
    source, *possible_in_csf = case[2 * len(STRANDS) :]
    now = dict(zip(STRANDS, statuses, strict=True))
    possible = {}
    for strand, words, others in zip(STRANDS, STRANDS.values(), disputed, strict=True):
        known = possible_in_csf if strand == "csf" else [word.value for word in words]
        unknown = now[strand] in _UNKNOWN[strand] or (strand == "imaging" and source == "draft")
        evidence = [word for word in known if unknown and word not in _UNKNOWN[strand]]
        possible[strand] = {*evidence, *filter(None, others.split(";"))}
    return flips_text(smallest_flips(scheme, now, possible))
