"""An estimate with its 95 % limits, or the reason why there is none (pure).

Where every unit is of another subject, the published limits of a coefficient are given; where a subject has several,
:mod:`lmresp.statistics.jackknife`.
"""

from __future__ import annotations

import dataclasses

import numpy as np
from statsmodels.stats.proportion import proportion_confint

from lmresp.statistics.jackknife import JACKKNIFE, jackknife_limits
from lmresp.statistics.kappa import WILSON, Codes, Coefficient, Numbers
from lmresp.statistics.published import Conventions
from lmresp.statistics.reliability import (
    bland_altman,
    bland_altman_limits,
    difference_features,
    icc,
    icc_features,
    icc_limits,
)

NO_PAIR = "no pair that both could judge"
SAME = "all ratings are the same: not defined"
NO_SPREAD = "no limits: the data do not vary enough"


@dataclasses.dataclass(frozen=True, slots=True)
class Estimate:
    """A number with its limits; ``None`` where there is none, with the reason in ``note``."""

    value: float | None
    low: float | None
    high: float | None
    n: int
    subjects: int
    interval: str = ""
    note: str = ""


def estimate(
    coefficient: Coefficient, ratings: Codes, categories: int, subject: Codes, conventions: Conventions, *, least: int
) -> Estimate:
    """Estimate a coefficient of agreement.

    Parameters
    ----------
    coefficient : Coefficient
        From :mod:`lmresp.statistics.kappa`.
    ratings : ndarray (units, raters)
        Places on the scale, -1 where missing; units with fewer than two ratings are left out.
    categories : int
        Words on the scale.
    subject : ndarray (units,)
        Number of the subject of each unit.
    conventions : Conventions
        ``least_subjects``.
    least : int
        Units below which no estimate is given.
    """
    used = (ratings >= 0).sum(axis=1) >= 2
    ratings, subject = ratings[used], _numbered(subject[used])
    units, subjects = len(ratings), _distinct(subject)
    if units == 0:
        return Estimate(None, None, None, 0, 0, note=NO_PAIR)
    if units < least:
        return Estimate(None, None, None, units, subjects, note=f"fewer than {least} pairs")
    features = coefficient.features(ratings, categories)
    value = float(coefficient.value(features.sum(axis=0)))
    if np.isnan(value):
        return Estimate(None, None, None, units, subjects, note=SAME)
    if subjects < conventions.least_subjects:
        return _without_limits(value, units, subjects, conventions)
    if units == subjects and coefficient.limits is not None and ratings.shape[1] == 2:
        limits, interval = coefficient.limits(ratings, categories), coefficient.interval
    else:
        low, high = jackknife_limits(_summed(features, subject), coefficient.value)
        limits, interval = (float(low), float(high)), JACKKNIFE
        if coefficient.interval == WILSON:
            limits, interval = _share_limits(value, limits, subjects)
    return _with_limits(value, limits, units, subjects, interval, least=0.0 if coefficient.interval == WILSON else -1.0)


def estimate_share(holds: Codes, subject: Codes, conventions: Conventions) -> Estimate:
    """Estimate the share of units in which something holds (1) or does not (0)."""
    units, subject = len(holds), _numbered(subject)
    subjects = _distinct(subject)
    if units == 0:
        return Estimate(None, None, None, 0, 0, note=NO_PAIR)
    features = np.column_stack([holds, np.ones(units)]).astype(float)
    value = float(holds.mean())
    if subjects < conventions.least_subjects:
        return _without_limits(value, units, subjects, conventions)
    if units == subjects:
        low, high = proportion_confint(holds.sum(), units, alpha=0.05, method="wilson")
        return _with_limits(value, (float(low), float(high)), units, subjects, WILSON, least=0.0)
    low, high = jackknife_limits(_summed(features, subject), lambda sums: sums[..., 0] / sums[..., 1])
    limits, interval = _share_limits(value, (float(low), float(high)), subjects)
    return _with_limits(value, limits, units, subjects, interval, least=0.0)


def estimate_icc(pairs: Numbers, subject: Codes, conventions: Conventions) -> Estimate:
    """Estimate ICC(2,1) of pairs of numbers, (pairs, 2)."""
    subject = _numbered(subject)
    units, subjects = len(pairs), _distinct(subject)
    if units < conventions.least_pairs:
        return Estimate(None, None, None, units, subjects, note=f"fewer than {conventions.least_pairs} pairs")
    features = icc_features(pairs)
    value = float(icc(features.sum(axis=0)))
    if np.isnan(value):
        return Estimate(None, None, None, units, subjects, note=SAME)
    if subjects < conventions.least_subjects:
        return _without_limits(value, units, subjects, conventions)
    if units == subjects:
        return _with_limits(value, icc_limits(pairs), units, subjects, "F, McGraw and Wong 1996", least=-1.0)
    low, high = jackknife_limits(_summed(features, subject), icc)
    return _with_limits(value, (float(low), float(high)), units, subjects, JACKKNIFE, least=-1.0)


def estimate_differences(pairs: Numbers, subject: Codes, conventions: Conventions) -> list[Estimate]:
    """Estimate bias, lower and upper limit of agreement (second less first) of pairs of numbers, (pairs, 2)."""
    subject, differences = _numbered(subject), pairs[:, 1] - pairs[:, 0]
    units, subjects = len(pairs), _distinct(subject)
    if units < conventions.least_pairs:
        return [Estimate(None, None, None, units, subjects, note=f"fewer than {conventions.least_pairs} pairs")] * 3
    features = difference_features(differences, subject)
    values = bland_altman(features.sum(axis=0))
    if subjects < conventions.least_subjects:
        return [_without_limits(float(value), units, subjects, conventions) for value in values]
    if units == subjects:
        limits, interval = bland_altman_limits(differences), "t, Bland and Altman 1986"
    else:
        limits, interval = jackknife_limits(features, bland_altman), JACKKNIFE
    return [
        _with_limits(float(value), (float(low), float(high)), units, subjects, interval)
        for value, (low, high) in zip(values, limits, strict=True)
    ]


def _numbered(subject: Codes) -> Codes:
    return np.unique(subject, return_inverse=True)[1]


def _distinct(subject: Codes) -> int:
    return int(subject.max()) + 1 if len(subject) else 0


def _summed(features: Numbers, subject: Codes) -> Numbers:
    sums = np.zeros((_distinct(subject), features.shape[1]))
    np.add.at(sums, subject, features)
    return sums


def _share_limits(value: float, limits: tuple[float, float], subjects: int) -> tuple[tuple[float, float], str]:
    """Where all or none agree nothing varies; then Wilson, as if each subject were one observation."""
    if not np.isnan(limits[0]):
        return limits, JACKKNIFE
    low, high = proportion_confint(value * subjects, subjects, alpha=0.05, method="wilson")
    return (float(low), float(high)), "Wilson over subjects"


def _without_limits(value: float, units: int, subjects: int, conventions: Conventions) -> Estimate:
    note = f"fewer than {conventions.least_subjects} subjects: no limits"
    return Estimate(value, None, None, units, subjects, note=note)


def _with_limits(
    value: float, limits: tuple[float, float], units: int, subjects: int, interval: str, *, least: float | None = None
) -> Estimate:
    """Cut limits at the ends of the scale (``least`` to 1, None: no ends); limits of no width are none."""
    low, high = limits
    if np.isnan(low) or np.isnan(high) or not high > low:
        return Estimate(value, None, None, units, subjects, note=NO_SPREAD)
    if least is not None:
        low, high = max(low, least), min(high, 1.0)
    return Estimate(value, low, high, units, subjects, interval)
