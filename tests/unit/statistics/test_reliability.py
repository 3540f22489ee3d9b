"""Intraclass correlation, limits of agreement and limits from leaving out subjects, against published numbers."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from scipy import stats

from lmresp.statistics.jackknife import jackknife_limits
from lmresp.statistics.kappa import kappa
from lmresp.statistics.reliability import (
    bland_altman,
    bland_altman_limits,
    difference_features,
    icc,
    icc_features,
    icc_limits,
)

# Shrout and Fleiss 1979, table 2: six targets, four judges.
JUDGES = np.array([[9, 2, 5, 8], [6, 1, 3, 2], [8, 4, 6, 8], [7, 1, 2, 6], [10, 5, 6, 9], [6, 2, 4, 7]], dtype=float)
# Bland and Altman 1986, table: peak expiratory flow, first reading of the large and of the mini meter, l/min.
LARGE = [494, 395, 516, 434, 476, 557, 413, 442, 650, 433, 417, 656, 267, 478, 178, 423, 427]
MINI = [512, 430, 520, 428, 500, 600, 364, 380, 658, 445, 432, 626, 260, 477, 259, 350, 451]


def test_shrout_and_fleiss() -> None:
    assert float(icc(icc_features(JUDGES).sum(axis=0))) == pytest.approx(0.29, abs=5e-3)
    assert icc_limits(JUDGES) == pytest.approx((0.019, 0.761), abs=5e-4)  # as printed for ICC2 by the R package psych


def test_icc_sees_a_constant_difference() -> None:
    x = np.array([1.0, 2, 3, 4, 5])
    assert float(icc(icc_features(np.column_stack([x, x])).sum(axis=0))) == pytest.approx(1.0)
    # Mean squares by hand: rows 2 * 2.5 = 5, raters 2.5 * 2^2 = 10, rest 0; ICC = 5 / (5 + 2 * 10 / 5).
    assert float(icc(icc_features(np.column_stack([x, x + 2])).sum(axis=0))) == pytest.approx(5 / 9)


def test_icc_without_variance_or_error() -> None:
    assert np.isnan(icc(icc_features(np.full((5, 2), 3.0)).sum(axis=0)))
    assert np.isnan(icc_limits(np.array([[1.0, 1], [2, 2], [3, 3]]))).all()


def test_bland_and_altman_1986() -> None:
    differences = np.array(LARGE, dtype=float) - np.array(MINI)
    bias, low, high = bland_altman(difference_features(differences, np.arange(17)).sum(axis=0))
    assert bias == pytest.approx(-2.1, abs=0.05)
    assert (high - low) / (2 * 1.96) == pytest.approx(38.8, abs=0.05)  # the paper's standard deviation
    limits = bland_altman_limits(differences)
    assert limits[0] == pytest.approx((-22.0, 17.8), abs=0.1)
    # The paper gives the standard error of the limits as 16.3 and t = 2.12.
    assert limits[1] == pytest.approx((low - 2.12 * 16.3, low + 2.12 * 16.3), abs=0.1)
    assert limits[2] == pytest.approx((high - 2.12 * 16.3, high + 2.12 * 16.3), abs=0.1)


def test_repeated_measurements_by_hand() -> None:
    # Two subjects with two differences each. Within: 2. Between: 16. Variance 2 + (16 - 2) / 2 = 9.
    sums = difference_features(np.array([1.0, 3, 5, 7]), np.array([0, 0, 1, 1])).sum(axis=0)
    assert bland_altman(sums) == pytest.approx((4, 4 - 1.96 * 3, 4 + 1.96 * 3))


def test_one_subject_has_no_limits_of_agreement() -> None:
    sums = difference_features(np.array([1.0, 3]), np.array([0, 0])).sum(axis=0)
    bias, low, high = bland_altman(sums)
    assert bias == 2
    assert np.isnan([low, high]).all()


def test_jackknife_of_a_mean_is_students_interval() -> None:
    x = np.array([3.0, 4, 8, 1, 5, 9])
    low, high = jackknife_limits(np.column_stack([x, np.ones(6)]), lambda sums: sums[..., 0] / sums[..., 1])
    expected = stats.t.interval(0.95, 5, loc=x.mean(), scale=stats.sem(x))
    assert (low, high) == pytest.approx(expected)


def test_jackknife_without_spread_or_subjects() -> None:
    features = np.column_stack([np.ones(6), np.ones(6)])
    assert np.isnan(jackknife_limits(features, lambda sums: sums[..., 0] / sums[..., 1])).all()
    assert np.isnan(jackknife_limits(features[:1], lambda sums: sums[..., 0] / sums[..., 1])).all()


def visits_of(subjects: int, rng: np.random.Generator) -> npt.NDArray[np.int64]:
    """Ratings in three categories of two readers at four visits of each subject, alike within a subject."""
    truth = rng.normal(size=(subjects, 1)) + 0.7 * rng.normal(size=(subjects, 4))
    reader = 0.5 * rng.normal(size=(subjects, 1, 2)) + 0.5 * rng.normal(size=(subjects, 4, 2))
    return np.digitize(truth[:, :, None] + reader, [-0.7, 0.7]).reshape(subjects * 4, 2)


def test_limits_of_few_subjects_hold_their_level() -> None:
    coefficient = kappa()
    rng = np.random.default_rng(5)
    truth = float(coefficient.value(coefficient.features(visits_of(100_000, rng), 3).sum(axis=0)))
    held, trials = 0, 400
    for _ in range(trials):
        sums = coefficient.features(visits_of(9, rng), 3).reshape(9, 4, -1).sum(axis=1)
        low, high = jackknife_limits(sums, coefficient.value)
        held += bool(low <= truth <= high)
    assert 0.92 <= held / trials <= 0.98  # 95 % of 400 has a standard error of 1.1 %
