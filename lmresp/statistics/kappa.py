"""Agreement on categories: percent, Cohen's kappa, Gwet's AC1 and Krippendorff's alpha (pure).

Every coefficient is a function of sums over the units rated, so that the same code gives the estimate and, from sums
over resampled subjects, its bootstrap distribution. Ratings are whole numbers of a closed scale, one row a unit, one
column a rater; -1 is a missing rating.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import stats
from statsmodels.stats.inter_rater import cohens_kappa
from statsmodels.stats.proportion import proportion_confint

Numbers = npt.NDArray[np.float64]
Codes = npt.NDArray[np.int64]
Limits = tuple[float, float]
WILSON = "Wilson"


@dataclasses.dataclass(frozen=True, slots=True)
class Coefficient:
    """A coefficient as a function of sums over units.

    Attributes
    ----------
    features : callable
        Ratings (units, raters) and number of categories to numbers (units, f) that add up over units.
    value : callable
        Sums (..., f) to the coefficient (...), NaN where it is not defined.
    limits : callable or None
        Ratings and number of categories to the published 95 % limits for independent units, None where there are none.
    interval : str
        Name of those limits.
    """

    features: Callable[[Codes, int], Numbers]
    value: Callable[[Numbers], Numbers]
    limits: Callable[[Codes, int], Limits] | None = None
    interval: str = ""


def percent() -> Coefficient:
    """Share of pairs of raters that agree, averaged over units with two ratings or more.

    Notes
    -----
    Limits for independent units by Wilson; they hold for two raters.
    """

    def features(ratings: Codes, categories: int) -> Numbers:
        return np.column_stack(_pairwise(_counts(ratings, categories)))

    return Coefficient(features, _share, partial(_wilson, features), WILSON)


def share(holds: Callable[[Codes, Codes], npt.NDArray[np.bool_]]) -> Coefficient:
    """Share of the units rated by both of two raters in which something holds of their ratings."""

    def features(ratings: Codes, _categories: int) -> Numbers:
        both = (ratings >= 0).all(axis=1)
        return np.column_stack([both & holds(ratings[:, 0], ratings[:, 1]), both]).astype(float)

    return Coefficient(features, _share, partial(_wilson, features), WILSON)


def kappa(weights: str = "") -> Coefficient:
    """Cohen's kappa of two raters.

    Parameters
    ----------
    weights : str
        "" for equal weights (Cohen 1960); "linear" for disagreement in proportion to the steps on an ordered scale
        (Cohen 1968).

    Notes
    -----
    Not defined where both raters use one and the same category throughout. Limits for independent units from the large
    sample variance of Fleiss, Cohen and Everitt (1969), by statsmodels.
    """

    def limits(ratings: Codes, categories: int) -> Limits:
        table = pair_table(ratings, categories)
        found = cohens_kappa(table, wt=weights or None)
        return float(found.kappa_low), min(float(found.kappa_upp), 1.0)

    def features(ratings: Codes, categories: int) -> Numbers:
        both = (ratings >= 0).all(axis=1)
        cells = np.zeros((len(ratings), categories**2))
        cells[both, ratings[both, 0] * categories + ratings[both, 1]] = 1.0
        return cells

    return Coefficient(features, partial(_kappa, weights=weights), limits, "Fleiss, Cohen and Everitt 1969")


def ac1() -> Coefficient:
    """Gwet's AC1 of two raters or more, missing ratings allowed.

    Notes
    -----
    Chance agreement rests on the number of categories of the scale, used or not, so it is defined where kappa is not.
    Gwet KL, Br J Math Stat Psychol 2008;61:29-48, with the variance of that paper and Student's t (Gwet, Handbook of
    Inter-Rater Reliability, 4th ed. 2014, also for missing ratings).
    """

    def features(ratings: Codes, categories: int) -> Numbers:
        counts = _counts(ratings, categories)
        agreed, rated = _pairwise(counts)
        given = counts.sum(axis=1)
        return np.column_stack([agreed, rated, given > 0, counts / np.maximum(given, 1)[:, None]])

    return Coefficient(features, lambda sums: _chance_corrected(sums)[0], _ac1_limits, "Gwet 2008")


def alpha(*, ordinal: bool = False) -> Coefficient:
    """Krippendorff's alpha of two raters or more, missing ratings allowed, nominal or ordinal.

    Notes
    -----
    Krippendorff K, Computing Krippendorff's alpha-reliability, 2011. Not defined where all ratings are the same. There
    is no published closed form of its limits.
    """

    def features(ratings: Codes, categories: int) -> Numbers:
        counts = _counts(ratings, categories)
        given = counts.sum(axis=1)
        pairs = counts[:, :, None] * counts[:, None, :] - np.eye(categories) * counts[:, :, None]
        pairs /= np.maximum(given - 1, 1)[:, None, None]
        pairs[given < 2] = 0.0
        return pairs.reshape(len(ratings), -1)

    return Coefficient(features, partial(_alpha, ordinal=ordinal))


def pair_table(ratings: Codes, categories: int) -> Codes:
    """Count the pairs of ratings of two raters, the first in rows, the second in columns, without units with a gap."""
    both = ratings[(ratings >= 0).all(axis=1)]
    table = np.zeros((categories, categories), dtype=np.int64)
    np.add.at(table, (both[:, 0], both[:, 1]), 1)
    return table


def _counts(ratings: Codes, categories: int) -> Numbers:
    """How many raters gave each category, (units, categories)."""
    return np.stack([(ratings == category).sum(axis=1) for category in range(categories)], axis=1).astype(float)


def _pairwise(counts: Numbers) -> tuple[Numbers, Numbers]:
    """Share of agreeing pairs of each unit (0 where there is no pair) and whether there is a pair."""
    given = counts.sum(axis=1)
    agreed = (counts * (counts - 1)).sum(axis=1) / np.maximum(given * (given - 1), 1)
    return agreed, (given >= 2).astype(float)


def _divided(above: Numbers, below: Numbers) -> Numbers:
    found: Numbers = np.divide(above, below, out=np.full(np.shape(above), np.nan), where=below > 0)
    return found


def _wilson(features: Callable[[Codes, int], Numbers], ratings: Codes, categories: int) -> Limits:
    count, units = features(ratings, categories).sum(axis=0)
    low, high = proportion_confint(count, units, alpha=0.05, method="wilson")
    return float(low), float(high)


def _share(sums: Numbers) -> Numbers:
    return _divided(sums[..., 0], sums[..., 1])


def _kappa(sums: Numbers, weights: str) -> Numbers:
    categories = round(sums.shape[-1] ** 0.5)
    table = sums.reshape(*sums.shape[:-1], categories, categories)
    place = np.arange(categories)
    steps = np.abs(place[:, None] - place[None, :]).astype(float)
    apart = steps if weights == "linear" else (steps > 0).astype(float)
    total = table.sum(axis=(-2, -1))
    by_chance = table.sum(axis=-1)[..., :, None] * table.sum(axis=-2)[..., None, :]
    return 1.0 - _divided((table * apart).sum(axis=(-2, -1)) * total, (by_chance * apart).sum(axis=(-2, -1)))


def _chance_corrected(sums: Numbers) -> tuple[Numbers, Numbers, Numbers]:
    """AC1, chance agreement and the prevalence of each category."""
    share = _divided(sums[..., 3:], np.broadcast_to(sums[..., 2:3], sums[..., 3:].shape))
    by_chance = (share * (1 - share)).sum(axis=-1) / (share.shape[-1] - 1)
    return (_share(sums) - by_chance) / (1 - by_chance), by_chance, share


def _ac1_limits(ratings: Codes, categories: int) -> Limits:
    counts = _counts(ratings, categories)
    counts = counts[counts.sum(axis=1) > 0]
    units, given = len(counts), counts.sum(axis=1)
    agreed, rated = _pairwise(counts)
    found, by_chance, share = _chance_corrected(ac1().features(ratings, categories).sum(axis=0))
    own = units / rated.sum() * (agreed - by_chance * rated) / (1 - by_chance)
    chance = (counts / given[:, None] * (1 - share)).sum(axis=1) / (categories - 1)
    own = own - 2 * (1 - found) * (chance - by_chance) / (1 - by_chance)
    error = float(np.sqrt(((own - found) ** 2).sum() / (units * (units - 1))))
    reach = float(stats.t.ppf(0.975, units - 1)) * error
    return max(float(found) - reach, -1.0), min(float(found) + reach, 1.0)


def _alpha(sums: Numbers, *, ordinal: bool) -> Numbers:
    categories = round(sums.shape[-1] ** 0.5)
    together: Numbers = sums.reshape(*sums.shape[:-1], categories, categories)
    given = together.sum(axis=-1)
    total = given.sum(axis=-1)
    if ordinal:
        # The distance of two ranks is the number of ratings between them, half of each end.
        middle = np.cumsum(given, axis=-1) - given / 2
        apart: Any = (middle[..., :, None] - middle[..., None, :]) ** 2
    else:
        apart = 1.0 - np.eye(categories)
    seen = (together * apart).sum(axis=(-2, -1))
    expected = (given[..., :, None] * given[..., None, :] * apart).sum(axis=(-2, -1))
    return 1.0 - _divided(seen * (total - 1), expected)
