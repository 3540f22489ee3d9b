"""Limits of an estimate whose units are not independent, because a subject has several of them (pure).

Visits of one subject are alike: the disease, the anatomy and the scanner are the same. Limits that count every visit as
independent are too narrow. Here one subject after the other is left out with all its visits (delete-one-group
jackknife), and Student's t with one degree of freedom less than there are subjects is used.

Why not a bootstrap over subjects: with the few subjects of a trial of this disease its percentile limits are too
narrow as well, while these hold their level (``docs/agreement.md`` has the numbers); and nothing is random here.
Method: Efron B, Tibshirani RJ, An Introduction to the Bootstrap, 1993, chapter 11; Cameron AC, Miller DL, J Hum Resour
2015;50:317-372 (few clusters).
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from scipy import stats

from lmresp.statistics.kappa import Numbers

JACKKNIFE = "jackknife over subjects"


def jackknife_limits(by_subject: Numbers, value: Callable[[Numbers], Numbers]) -> Numbers:
    """95 % limits of a function of sums over subjects.

    Parameters
    ----------
    by_subject : ndarray (subjects, f)
        Sums of each subject.
    value : callable
        Sums (..., f) to the estimate (...) or estimates (..., e).

    Returns
    -------
    ndarray (2,) or (e, 2)
        NaN where an estimate is not defined once some subject is left out, and where leaving out changes nothing: then
        the data hold no sign of how far it may be off.
    """
    subjects = len(by_subject)
    if subjects < 2:
        return np.full((*np.shape(value(by_subject.sum(axis=0))), 2), np.nan)
    found = value(by_subject.sum(axis=0))
    without = value(by_subject.sum(axis=0) - by_subject)
    error = np.sqrt((subjects - 1) / subjects * ((without - without.mean(axis=0)) ** 2).sum(axis=0))
    error = np.where(error > 1e-12, error, np.nan)
    reach = stats.t.ppf(0.975, subjects - 1) * error
    limits: Numbers = np.stack([found - reach, found + reach], axis=-1)
    return limits
