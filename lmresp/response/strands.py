"""Lays the strands of a cohort side by side, visit by visit, with what a CSF sample could have shown."""

from __future__ import annotations

import numpy as np
import pandas as pd

from lmresp.criteria import load_scheme
from lmresp.criteria.charter import STRANDS, Charter
from lmresp.criteria.timeline import BASELINE, BEFORE_BASELINE, position_of
from lmresp.terms import Csf

_KEYS = ["subject_id", "visit_num"]
_COMMON = ("reason", "row_ids", "flags", "date", "disputed")
_EARLY = frozenset({BASELINE, BEFORE_BASELINE})
_POSITIVE = (Csf.POSITIVE_PERSISTENT, Csf.POSITIVE_NEW)
_NEGATIVE = (Csf.CLEARED, Csf.NEGATIVE)


def align_strands(
    csf: pd.DataFrame, neuro: pd.DataFrame, mri: pd.DataFrame, steroids: pd.DataFrame | None
) -> pd.DataFrame:
    """Put the strands of each visit into one row.

    Parameters
    ----------
    csf, neuro, mri, steroids : pandas.DataFrame
        See :func:`lmresp.response.call.call_visits`.

    Returns
    -------
    pandas.DataFrame
        One row per visit, sorted by subject and visit number: ``subject_id, visit_num, visit``; the statuses ``csf,
        neuro, imaging, steroids``; ``reason, row_ids, flags, date, disputed`` of each strand as ``reason_csf`` and
        so on; ``scans, mri_source, confirmed``; ``after_baseline`` (bool).

    Raises
    ------
    ValueError
        If the frames do not list the same visits, or one lists a visit twice.
    """
    frames = dict(zip(STRANDS, (_sorted(csf), _sorted(neuro), _sorted(mri)), strict=True))
    keys = frames["csf"][_KEYS]
    if keys.duplicated().any():
        raise ValueError("a visit is listed twice")
    columns = {name: frames["csf"][name] for name in (*_KEYS, "visit", "confirmed")}
    for strand, frame in frames.items():
        columns[strand] = _same_visits(frame, keys)["status"]
        columns.update({f"{name}_{strand}": frame[name] for name in _COMMON})
    columns["scans"], columns["mri_source"] = frames["imaging"]["scans"], frames["imaging"]["source"]
    none = pd.Series("", index=keys.index, dtype=object)
    columns["steroids"] = none if steroids is None else _same_visits(_sorted(steroids), keys)["status"]
    columns["after_baseline"] = position_of(columns["flags_csf"]) == ""
    return pd.DataFrame(columns)


def _sorted(frame: pd.DataFrame) -> pd.DataFrame:
    subject, _ = pd.factorize(frame["subject_id"], sort=True)
    visit, numbers = pd.factorize(frame["visit_num"])
    order = np.lexsort((pd.to_numeric(pd.Series(numbers)).to_numpy()[visit], subject))
    return frame.take(order).reset_index(drop=True)


def _same_visits(frame: pd.DataFrame, keys: pd.DataFrame) -> pd.DataFrame:
    if len(frame) != len(keys) or any((frame[name] != keys[name]).any() for name in _KEYS):
        raise ValueError("the strands must list the same visits")
    return frame


def possible_csf(rows: pd.DataFrame, charter: Charter) -> pd.DataFrame:
    """Tell what a negative and a positive sample would mean at each visit, given what was known before it.

    Parameters
    ----------
    rows : pandas.DataFrame
        From :func:`align_strands`.
    charter : Charter
        ``positive_new_after``.

    Returns
    -------
    pandas.DataFrame
        ``if_negative, if_positive``: values of :class:`lmresp.terms.Csf` by the scheme ``strand_csf``.

    Notes
    -----
    The history is read off the statuses, so that it is that of the strand whatever its samples were.
    """
    subject = pd.Series(pd.factorize(rows["subject_id"])[0], index=rows.index)
    positive = rows["csf"].isin(_POSITIVE)
    kind = pd.Series(np.select([positive, rows["csf"].isin(_NEGATIVE)], [1.0, 0.0], np.nan), index=rows.index)
    before = kind.groupby(subject).ffill().groupby(subject).shift()
    at_baseline = kind.mask(rows["after_baseline"]).groupby(subject).transform("last")
    first = kind.groupby(subject).transform("first").where(before.notna())
    reference = at_baseline.fillna(first)
    if charter.text("positive_new_after") == "confirmed_clearance":
        era = [subject, positive.groupby(subject).cumsum()]
        confirmed = (rows["confirmed"] == "Y").astype(float).groupby(era).cummax().groupby(subject).shift() == 1.0
        before = before.mask((reference == 1.0) & ~confirmed & before.notna(), 1.0)
    words = np.array(["negative", "positive", "none"], dtype=object)
    history = {"reference": words[_position(reference)], "before": words[_position(before)]}
    scheme = load_scheme("strand_csf")
    return pd.DataFrame(
        {
            f"if_{now}": scheme.decide(pd.DataFrame({**history, "now": now}, index=rows.index))["call"]
            for now in ("negative", "positive")
        },
        index=rows.index,
    )


def _position(kind: pd.Series) -> np.ndarray:
    found: np.ndarray = kind.fillna(2.0).to_numpy(dtype=np.intp)
    return found


def own_flags(*flags: str) -> str:
    """Join flags, each once, in order, without those that place a visit against the baseline."""
    names = dict.fromkeys(name for each in flags for name in each.split(";") if name)
    return ";".join(name for name in names if name not in _EARLY)
