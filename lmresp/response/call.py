"""Calls every visit: the three strands through the decision table of the charter, in one gather for the whole cohort.

Source: the scheme that the charter names (default ``rano_lm_2017_overall``; Neuro-Oncology 2017;19:484-492).
"""

from __future__ import annotations

from collections.abc import Collection
from itertools import combinations, product

import numpy as np
import pandas as pd

from lmresp.criteria.charter import STRANDS, Charter
from lmresp.criteria.table import Scheme
from lmresp.criteria.timeline import BASELINE, BEFORE_BASELINE, day_text, days, flag, joined
from lmresp.terms import Call, Csf, Imaging, Neuro

COLUMNS = (
    *("subject_id", "visit", "visit_num", "date", "call", "rule_id", "certainty", "provisional"),
    *("provisional_reason", "csf", "neuro", "mri", "mri_source", "criteria", "charter", "missing", "would_change"),
    *("row_ids", "scans", "flags", "citation", "note"),
)
_KEYS = ["subject_id", "visit_num"]
_UNKNOWN: dict[str, frozenset[str]] = {
    "neuro": frozenset({Neuro.NOT_EVALUABLE}),
    "csf": frozenset({Csf.MISSING, Csf.EQUIVOCAL}),
    "imaging": frozenset({Imaging.NOT_EVALUABLE}),
}
"""Strand values that are no evidence either way: what they could have been is worth saying."""
SPINE_NOT_ASSESSED = "spine_not_assessed"
"""Flag of the imaging strand that a call repeats in its reason for being provisional."""
_POSITIVE = frozenset({Csf.POSITIVE_PERSISTENT, Csf.POSITIVE_NEW})
_NEGATIVE = frozenset({Csf.CLEARED, Csf.NEGATIVE})


def call_visits(
    csf: pd.DataFrame, neuro: pd.DataFrame, mri: pd.DataFrame, charter: Charter, set_aside: Collection[str] = ()
) -> pd.DataFrame:
    """Call every visit after baseline.

    Parameters
    ----------
    csf, neuro, mri : pandas.DataFrame
        The strands, one row per subject and visit, as :func:`lmresp.csf.cytology.grade_csf`,
        :func:`lmresp.neuro.examination.grade_neuro` and :func:`lmresp.mri.scorecard.grade_mri` return them.
    charter : Charter
        The scheme, whether the charter is signed, and ``strands_apart_days``.
    set_aside : collection of str
        Subjects with an open blocking query: they get no call until it is solved.

    Returns
    -------
    pandas.DataFrame
        Columns :data:`COLUMNS`, all text, one row per visit after baseline, sorted by subject and visit number.
        ``provisional`` is Y with its reasons when the rule was not read in a publication, the charter is not signed
        or the imaging is an automated draft. ``would_change`` names the smallest set of missing, equivocal or drafted
        strands whose other values would give another call, with those calls.

    Notes
    -----
    The call's date is the latest date of the strands that were assessed; a progression that imaging alone
    establishes is dated at the scan. The baseline visit and visits before it are no calls.
    """
    rows = _visits(csf, neuro, mri)
    rows = rows[~rows["subject_id"].isin(set(set_aside)) & rows["after_baseline"]].reset_index(drop=True)
    scheme = charter.scheme
    decided = scheme.decide(rows)
    rows = pd.concat([rows, decided.drop(columns="flags")], axis=1)
    drafted = rows["mri_source"] == "draft"
    no_spine = rows["flags_imaging"].str.split(";").map(lambda names: SPINE_NOT_ASSESSED in names).astype(bool)
    reasons = [
        ("rule " + rows["rule_id"] + " is " + rows["certainty"]).where(decided["provisional"] == "Y", ""),
        flag(pd.Series(not charter.is_signed, index=rows.index), "charter is not signed"),
        flag(drafted & ~no_spine, "imaging is an automated draft"),
        flag(drafted & no_spine, "imaging is an automated draft of the brain only"),
    ]
    rows["provisional_reason"] = joined(reasons, "; ")
    rows["provisional"] = np.where(rows["provisional_reason"] == "", "N", "Y").astype(object)
    rows["date"] = _date(rows)
    rows["missing"] = joined([_missing(rows, strand) for strand in STRANDS], "; ")
    rows["would_change"] = _would_change(rows, scheme)
    rows["note"] = _note(rows)
    apart = _apart(rows) > charter.number("strands_apart_days")
    own = [rows[f"flags_{strand}"].map(_own_flags) for strand in STRANDS]
    rows["flags"] = joined([decided["flags"], *own, flag(apart, "strands_far_apart")]).map(_unique)
    rows["row_ids"] = joined([rows[f"row_ids_{strand}"] for strand in STRANDS])
    rows["criteria"], rows["charter"], rows["mri"] = scheme.scheme_id, charter.label, rows["imaging"]
    return rows[list(COLUMNS)].astype(object)


def _visits(csf: pd.DataFrame, neuro: pd.DataFrame, mri: pd.DataFrame) -> pd.DataFrame:
    common = ["status", "reason", "row_ids", "flags", "date"]
    merged = csf[[*_KEYS, "visit"]]
    for strand, frame, extra in (("csf", csf, ()), ("neuro", neuro, ()), ("imaging", mri, ("scans", "source"))):
        part = frame[[*_KEYS, *common, *extra]]
        part = part.rename(columns={name: f"{name}_{strand}" for name in common})
        merged = merged.merge(part, on=_KEYS, how="left", validate="one_to_one")
    if merged["status_neuro"].isna().any() or merged["status_imaging"].isna().any():
        raise ValueError("the three strands must list the same visits")
    merged = merged.rename(columns={**{f"status_{strand}": strand for strand in STRANDS}, "source": "mri_source"})
    early = merged["flags_csf"].str.split(";").map(lambda names: bool({BASELINE, BEFORE_BASELINE} & set(names)))
    merged["after_baseline"] = ~early.astype(bool)
    merged["number"] = pd.to_numeric(merged["visit_num"])
    merged = merged.sort_values(["subject_id", "number"], kind="stable").reset_index(drop=True)
    return _csf_possible(merged)


def _csf_possible(rows: pd.DataFrame) -> pd.DataFrame:
    """Add what a missing or equivocal sample could have been, given what was known before the visit."""
    subject = rows["subject_id"]
    positive, negative = rows["csf"].isin(_POSITIVE), rows["csf"].isin(_NEGATIVE)
    # `cleared` says that the subject was positive once, also where that result came before the first visit listed.
    ever = (positive | (rows["csf"] == Csf.CLEARED)).astype(int).groupby(subject, sort=False).cummax()
    ever = ever.groupby(subject, sort=False).shift(fill_value=0)
    kind = pd.Series(np.select([positive, negative], [1.0, 0.0], default=np.nan), index=rows.index)
    last = kind.groupby(subject, sort=False).ffill().groupby(subject, sort=False).shift()
    rows["if_negative"] = np.where(ever == 1, Csf.CLEARED.value, Csf.NEGATIVE.value).astype(object)
    rows["if_positive"] = np.where(last == 0, Csf.POSITIVE_NEW.value, Csf.POSITIVE_PERSISTENT.value).astype(object)
    return rows


def _date(rows: pd.DataFrame) -> pd.Series:
    numbers = {strand: days(rows[f"date_{strand}"]) for strand in STRANDS}
    assessed = pd.DataFrame({s: n.where(~rows[s].isin(_UNKNOWN[s] - {Csf.EQUIVOCAL})) for s, n in numbers.items()})
    latest = assessed.max(axis=1).fillna(pd.DataFrame(numbers).max(axis=1))
    by_imaging = (rows["call"] == Call.PROGRESSION) & (rows["imaging"] == Imaging.PROGRESSIVE)
    return day_text(latest.mask(by_imaging & numbers["imaging"].notna(), numbers["imaging"]))


def _apart(rows: pd.DataFrame) -> pd.Series:
    """Days between the first and the last strand of a visit."""
    numbers = pd.DataFrame({strand: days(rows[f"date_{strand}"]) for strand in STRANDS})
    return (numbers.max(axis=1) - numbers.min(axis=1)).fillna(0.0)


def _missing(rows: pd.DataFrame, strand: str) -> pd.Series:
    return (f"{strand}: " + rows[f"reason_{strand}"]).where(rows[strand].isin(_UNKNOWN[strand] - {Csf.EQUIVOCAL}), "")


def _note(rows: pd.DataFrame) -> pd.Series:
    """Quote the rule's note as the rule's; a scheme speaks of a missing MRI also where one was done."""
    note = ("Rule's own note: " + rows["note"]).where(rows["note"] != "", "")
    there = (rows["scans"] != "") | (rows["mri_source"] != "")
    blocked = (rows["call"] == Call.NOT_EVALUABLE) & rows["imaging"].isin(_UNKNOWN["imaging"]) & there
    return joined([note, flag(blocked, "At this visit the MRI was done; it is not evaluable.")], " ")


def _own_flags(flags: str) -> str:
    return ";".join(name for name in flags.split(";") if name and name not in (BASELINE, BEFORE_BASELINE))


def _unique(flags: str) -> str:
    return ";".join(dict.fromkeys(name for name in flags.split(";") if name))


def _would_change(rows: pd.DataFrame, scheme: Scheme) -> pd.Series:
    """Say for each row what open strands could do to its call; each distinct situation is worked out once."""
    draft = rows["mri_source"] == "draft"
    situation = ["neuro", "csf", "imaging", "if_negative", "if_positive"]
    cases = rows[situation].assign(draft=draft)
    texts = {
        key: _alternatives(scheme, dict(zip(situation, key[:-1], strict=True)), draft=bool(key[-1]))
        for key in sorted(set(cases.itertuples(index=False, name=None)))
    }
    return pd.Series([texts[key] for key in cases.itertuples(index=False, name=None)], index=rows.index, dtype=object)


def _alternatives(scheme: Scheme, case: dict[str, str], *, draft: bool) -> str:
    now = {name: case[name] for name in ("neuro", "csf", "imaging")}
    other: dict[str, list[str]] = {}
    for each in scheme.inputs:
        if now[each.name] in _UNKNOWN[each.name] or (each.name == "imaging" and draft):
            possible = [word for word in each.words if word not in _UNKNOWN[each.name] and word != now[each.name]]
            if each.name == "csf":
                possible = [word for word in possible if word in (case["if_negative"], case["if_positive"])]
            other[each.name] = possible
    call = scheme.decide_one(now).output
    for size in range(1, len(other) + 1):
        found = []
        for names in combinations(sorted(other), size):
            for values in product(*(other[name] for name in names)):
                changed = scheme.decide_one({**now, **dict(zip(names, values, strict=True))}).output
                if changed != call:
                    what = " and ".join(f"{name} {value}" for name, value in zip(names, values, strict=True))
                    found.append(f"{what} would give {changed}")
        if found:
            return "; ".join(found)
    return ""
