"""Coefficients of agreement against published worked examples, calculations by hand, and what must hold of all."""

from __future__ import annotations

import itertools

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lmresp.statistics.kappa import Coefficient, ac1, alpha, kappa, pair_table, percent, share

Table = list[list[int]]

# Cohen's 2 x 2 of the textbooks; 100 abstracts by two abstractors (Gwet, Handbook of Inter-Rater Reliability, 2014;
# data set cont3x3abstractors of the R package irrCAC).
COHEN: Table = [[20, 5], [10, 15]]
ABSTRACTORS: Table = [[13, 0, 0], [0, 20, 7], [0, 4, 56]]
# Krippendorff, Computing Krippendorff's alpha-reliability, 2011, example C: 4 observers, 12 units, gaps (0). The same
# ratings are the data set cac.raw4raters of irrCAC.
FOUR = [
    *([1, 1, 0, 1], [2, 2, 3, 2], [3, 3, 3, 3], [3, 3, 3, 3], [2, 2, 2, 2], [1, 2, 3, 4]),
    *([4, 4, 4, 4], [1, 1, 2, 1], [2, 2, 2, 2], [0, 5, 5, 5], [0, 0, 1, 1], [0, 0, 3, 0]),
]
# The textbook example of 3 coders and 15 units.
THREE = [
    [0, 0, 0, 0, 0, 3, 4, 1, 2, 1, 1, 3, 3, 0, 3],
    [1, 0, 2, 1, 3, 3, 4, 3, 0, 0, 0, 0, 0, 0, 0],
    [0, 0, 2, 1, 3, 4, 4, 0, 2, 1, 1, 3, 3, 0, 4],
]
# Fleiss 1971: 30 psychiatric patients; the 15 of distrib.6raters of irrCAC, raters by category.
SIX = [
    *([0, 0, 0, 6, 0], [0, 3, 0, 0, 3], [0, 1, 4, 0, 1], [0, 0, 0, 0, 6], [0, 3, 0, 3, 0]),
    *([2, 0, 4, 0, 0], [0, 0, 4, 0, 2], [2, 0, 3, 1, 0], [2, 0, 0, 4, 0], [0, 0, 0, 0, 6]),
    *([1, 0, 0, 5, 0], [1, 1, 0, 4, 0], [0, 3, 3, 0, 0], [1, 0, 0, 5, 0], [0, 2, 0, 3, 1]),
]


def pairs(table: Table) -> npt.NDArray[np.int64]:
    return np.array([(i, j) for i, row in enumerate(table) for j, count in enumerate(row) for _ in range(count)])


def of(coefficient: Coefficient, ratings: npt.NDArray[np.int64], categories: int) -> float:
    return float(coefficient.value(coefficient.features(ratings, categories).sum(axis=0)))


def test_cohen() -> None:
    assert of(kappa(), pairs(COHEN), 2) == pytest.approx(0.40)
    limits = kappa().limits
    assert limits is not None
    assert limits(pairs(COHEN), 2) == pytest.approx((0.151, 0.649), abs=5e-4)
    assert of(kappa(), pairs(ABSTRACTORS), 3) == pytest.approx(0.7964094, abs=5e-8)


def test_linear_weights_by_hand() -> None:
    # Observed 7 + 4 steps in 100 pairs; expected (13*24 + 2*13*63 + 27*13 + 27*63 + 2*60*13 + 60*24) / 100 = 70.02.
    assert of(kappa("linear"), pairs(ABSTRACTORS), 3) == pytest.approx(1 - 11 / 70.02)


def test_linear_limits_hold_the_weighted_kappa() -> None:
    limits = kappa("linear").limits
    assert limits is not None
    low, high = limits(pairs(ABSTRACTORS), 3)
    assert (low + high) / 2 == pytest.approx(1 - 11 / 70.02)


def test_gwet_two_raters() -> None:
    assert of(ac1(), pairs(ABSTRACTORS), 3) == pytest.approx(0.8493305, abs=5e-8)
    limits = ac1().limits
    assert limits is not None
    assert limits(pairs(ABSTRACTORS), 3) == pytest.approx((0.764, 0.935), abs=1e-3)


def test_gwet_four_raters_with_gaps() -> None:
    ratings = np.array(FOUR) - 1
    assert of(ac1(), ratings, 5) == pytest.approx(0.77544, abs=5e-6)
    assert of(percent(), ratings, 5) == pytest.approx(0.8181818, abs=5e-8)
    limits = ac1().limits
    assert limits is not None
    low, high = limits(ratings, 5)
    assert low == pytest.approx(0.461, abs=5e-4)
    assert high == 1.0


def test_six_psychiatrists() -> None:
    ratings = np.array([list(itertools.chain(*([k] * n for k, n in enumerate(row)))) for row in SIX])
    assert of(ac1(), ratings, 5) == pytest.approx(0.4448007, abs=5e-8)
    assert of(alpha(), ratings, 5) == pytest.approx(0.4204384, abs=5e-8)
    limits = ac1().limits
    assert limits is not None
    assert limits(ratings, 5) == pytest.approx((0.264, 0.625), abs=5e-4)


def test_krippendorff_four_observers() -> None:
    assert of(alpha(), np.array(FOUR) - 1, 5) == pytest.approx(0.743, abs=5e-4)
    assert of(alpha(ordinal=True), np.array(FOUR) - 1, 5) == pytest.approx(0.815, abs=5e-4)


def test_krippendorff_three_coders() -> None:
    ratings = np.array(THREE).T - 1
    assert of(alpha(), ratings, 4) == pytest.approx(0.691, abs=5e-4)
    assert of(alpha(ordinal=True), ratings, 4) == pytest.approx(0.807, abs=5e-4)
    assert of(alpha(), pairs(ABSTRACTORS), 3) == pytest.approx(0.7972585, abs=5e-8)


def test_one_category_throughout() -> None:
    same = np.ones((9, 2), dtype=np.int64)
    assert np.isnan(of(kappa(), same, 3))
    assert np.isnan(of(alpha(), same, 3))
    assert of(ac1(), same, 3) == 1.0  # chance agreement rests on the scale, not on what was used
    assert of(percent(), same, 3) == 1.0


def test_the_paradox_of_kappa() -> None:
    # 118 + 2 agreements of 125 and yet kappa is low: Gwet's reason for AC1. pe = 2 * 0.968 * 0.032 with q = 2.
    ratings = pairs([[118, 5], [0, 2]])
    share_of_first = (123 + 118) / 250
    chance = 2 * share_of_first * (1 - share_of_first)
    assert of(ac1(), ratings, 2) == pytest.approx((120 / 125 - chance) / (1 - chance))
    expected = (123 * 118 + 2 * 7) / 125**2
    assert of(kappa(), ratings, 2) == pytest.approx((120 / 125 - expected) / (1 - expected))


def test_shares_of_steps() -> None:
    ratings = np.array([[0, 0], [0, 1], [0, 2], [2, 0], [1, -1]])
    assert of(share(lambda a, b: np.abs(a - b) >= 2), ratings, 3) == 0.5  # the gap is no pair
    assert of(share(lambda a, b: b < a), ratings, 3) == 0.25
    assert pair_table(ratings, 3).tolist() == [[1, 1, 1], [0, 0, 0], [1, 0, 0]]


CODES = st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), min_size=3, max_size=30)
NOMINAL = [percent(), kappa(), ac1(), alpha()]
ORDERED = [kappa("linear"), alpha(ordinal=True)]


def close(first: float, second: float) -> bool:
    return (np.isnan(first) and np.isnan(second)) or first == pytest.approx(second, abs=1e-9)


@settings(max_examples=60, deadline=None)
@given(CODES, st.permutations(range(4)))
def test_what_holds_of_all(codes: list[tuple[int, int]], names: list[int]) -> None:
    ratings = np.array(codes)
    for coefficient in (*NOMINAL, *ORDERED):
        found = of(coefficient, ratings, 4)
        assert np.isnan(found) or -1 - 1e-9 <= found <= 1 + 1e-9
        assert close(found, of(coefficient, ratings[:, ::-1], 4))  # who is first does not matter
        assert close(found, of(coefficient, ratings[::-1], 4))
        unrated = np.vstack([ratings, np.full((5, 2), -1)])
        assert close(found, of(coefficient, unrated, 4))  # what nobody rated does not count
        twin = np.column_stack([ratings[:, 0], ratings[:, 0]])
        assert close(of(coefficient, twin, 4), 1.0) or np.isnan(of(coefficient, twin, 4))
    for coefficient in NOMINAL:
        assert close(of(coefficient, ratings, 4), of(coefficient, np.array(names)[ratings], 4))
    for coefficient in ORDERED:
        assert close(of(coefficient, ratings, 4), of(coefficient, 3 - ratings, 4))  # the scale read backwards
    for coefficient in (percent(), ac1(), alpha(), alpha(ordinal=True)):
        absent = np.column_stack([ratings, np.full(len(ratings), -1)])
        assert close(of(coefficient, ratings, 4), of(coefficient, absent, 4))


@settings(max_examples=60, deadline=None)
@given(CODES)
def test_linear_weights_are_plain_kappa_on_two_categories(codes: list[tuple[int, int]]) -> None:
    two = np.array(codes) % 2
    assert close(of(kappa(), two, 2), of(kappa("linear"), two, 2))
    assert close(of(alpha(), two, 2), of(alpha(ordinal=True), two, 2))
