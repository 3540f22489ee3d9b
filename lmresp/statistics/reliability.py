"""Agreement on numbers: intraclass correlation and limits of agreement (pure).

As in :mod:`lmresp.statistics.kappa` everything is a function of sums, here over subjects, so that subjects can be
resampled.
"""

from __future__ import annotations

import numpy as np
from scipy import stats

from lmresp.statistics.kappa import Codes, Limits, Numbers


def icc_features(ratings: Numbers) -> Numbers:
    """Sums of each unit for :func:`icc`, (units, raters + 3).

    Parameters
    ----------
    ratings : ndarray (units, raters)
        No gaps. They are centred, which changes no variance and keeps the sums exact.
    """
    centred = ratings - ratings.mean()
    return np.column_stack([np.ones(len(ratings)), centred, centred.sum(axis=1) ** 2, (centred**2).sum(axis=1)])


def icc(sums: Numbers) -> Numbers:
    """Intraclass correlation ICC(2,1): two-way random effects, absolute agreement, single rating.

    Parameters
    ----------
    sums : ndarray (..., raters + 3)
        Sums of :func:`icc_features`.

    Returns
    -------
    ndarray (...)
        NaN where it is not defined: fewer than two units, or no variance at all.

    Notes
    -----
    Shrout PE, Fleiss JL, Psychol Bull 1979;86:420-428.
    """
    rows, columns, rest = _mean_squares(sums)
    units, raters = sums[..., 0], sums.shape[-1] - 3
    below = rows + (raters - 1) * rest + raters * (columns - rest) / np.maximum(units, 1)
    defined = (units > 1) & (below > 0)
    found: Numbers = np.divide(rows - rest, below, out=np.full(np.shape(below), np.nan), where=defined)
    return found


def icc_limits(ratings: Numbers) -> Limits:
    """95 % limits of :func:`icc` for independent units, from the F distribution; NaN where all agree perfectly.

    Notes
    -----
    McGraw KO, Wong SP, Psychol Methods 1996;1:30-46, ICC(A,1).
    """
    units, raters = ratings.shape
    sums = icc_features(ratings).sum(axis=0)
    rows, columns, rest = (float(part) for part in _mean_squares(sums))
    found = float(icc(sums))
    if not found < 1:  # no error is seen that the limits could rest on
        return float("nan"), float("nan")
    a = raters * found / (units * (1 - found))
    b = 1 + raters * found * (units - 1) / (units * (1 - found))
    parts = (a * columns) ** 2 / (raters - 1) + (b * rest) ** 2 / ((units - 1) * (raters - 1))
    freedom = (a * columns + b * rest) ** 2 / parts
    below, above = stats.f.ppf(0.975, units - 1, freedom), stats.f.ppf(0.975, freedom, units - 1)
    other = raters * columns + (raters * units - raters - units) * rest
    low = units * (rows - below * rest) / (below * other + units * rows)
    high = units * (above * rows - rest) / (other + units * above * rows)
    return float(low), float(high)


def _mean_squares(sums: Numbers) -> tuple[Numbers, Numbers, Numbers]:
    """Mean squares of units, of raters and of the rest in the two-way layout."""
    units, by_rater, row_squares, squares = sums[..., 0], sums[..., 1:-2], sums[..., -2], sums[..., -1]
    raters = by_rater.shape[-1]
    many, freedom = np.maximum(units, 1), np.maximum(units - 1, 1)
    correction = by_rater.sum(axis=-1) ** 2 / (many * raters)
    rows = np.maximum(row_squares / raters - correction, 0.0)
    columns = np.maximum((by_rater**2).sum(axis=-1) / many - correction, 0.0)
    rest = np.maximum(squares - correction - rows - columns, 0.0)
    return rows / freedom, columns / (raters - 1), rest / (freedom * (raters - 1))


def difference_features(differences: Numbers, subject: Codes) -> Numbers:
    """Sums of each subject for :func:`bland_altman`, (subjects, 6).

    Parameters
    ----------
    differences : ndarray (pairs,)
        Second rater less first.
    subject : ndarray (pairs,)
        Number of the subject of each pair, 0 up to the number of subjects less one, each there at least once.
    """
    pairs = np.bincount(subject).astype(float)
    total = np.bincount(subject, weights=differences)
    squares = np.bincount(subject, weights=differences**2)
    return np.column_stack([np.ones(len(pairs)), pairs, pairs**2, total, total**2 / pairs, squares])


def bland_altman(sums: Numbers) -> Numbers:
    """Bias and 95 % limits of agreement where a subject may be measured several times.

    Parameters
    ----------
    sums : ndarray (..., 6)
        Sums of :func:`difference_features` over subjects.

    Returns
    -------
    ndarray (..., 3)
        Mean difference, and this less and plus 1.96 standard deviations; the limits are NaN for one subject or pair.

    Notes
    -----
    The variance of a single difference is that between subjects plus that within (Bland JM, Altman DG, J Biopharm Stat
    2007;17:571-582, where the true value varies). With one pair a subject it is the plain standard deviation (Bland JM,
    Altman DG, Lancet 1986;1:307-310).
    """
    subjects, pairs, square, total, by_subject, squares = (sums[..., place] for place in range(6))
    bias = np.divide(total, pairs, out=np.full(np.shape(total), np.nan), where=pairs > 0)
    within_freedom, between_freedom = pairs - subjects, subjects - 1
    within = np.maximum(squares - by_subject, 0.0) / np.maximum(within_freedom, 1)
    between = np.maximum(by_subject - bias * total, 0.0) / np.maximum(between_freedom, 1)
    repeats = (pairs - square / np.maximum(pairs, 1)) / np.maximum(between_freedom, 1)
    spread = within + np.maximum(between - within, 0.0) / np.where(repeats > 0, repeats, np.inf)
    deviation = np.where(between_freedom > 0, np.sqrt(spread), np.nan)
    return np.stack([bias, bias - 1.96 * deviation, bias + 1.96 * deviation], axis=-1)


def bland_altman_limits(differences: Numbers) -> Numbers:
    """95 % limits, (3, 2), of bias and both limits of agreement, for one pair a subject.

    Notes
    -----
    Bland JM, Altman DG, Lancet 1986;1:307-310: standard errors s / sqrt(n) and sqrt(3 s^2 / n), Student's t.
    """
    pairs = len(differences)
    sums = difference_features(differences, np.arange(pairs)).sum(axis=0)
    error = float(np.std(differences, ddof=1)) / np.sqrt(pairs)
    reach = float(stats.t.ppf(0.975, pairs - 1)) * error * np.array([1.0, np.sqrt(3.0), np.sqrt(3.0)])
    return np.column_stack([bland_altman(sums) - reach, bland_altman(sums) + reach])
