"""Kaplan-Meier estimates of every endpoint: medians with Brookmeyer-Crowley limits, curves with numbers at risk.

Survival, its standard error and the limits of the median come from ``statsmodels``; the median itself is taken as R and
SAS do, the middle of a stretch on which the curve lies at exactly one half.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.stats import norm
from statsmodels.duration.survfunc import SurvfuncRight

from lmresp.criteria.charter import Charter
from lmresp.criteria.timeline import text_frame
from lmresp.statistics.groups import arms, groups

COLUMNS = (
    *("parameter", "policy", "group", "subjects", "events", "censored", "median_days", "low_days", "high_days"),
    *("interval", "provisional", "note"),
)
CURVE_COLUMNS = (*("parameter", "policy", "group", "day", "at_risk", "events", "censored", "survival", "low", "high"),)
_METHODS = {"loglog": "cloglog", "log": "log"}
"""Names of the transformations in the charter and in statsmodels."""
_NUMBERS = {"median_days": "median", "low_days": "lower limit", "high_days": "upper limit"}
_TOLERANCE = 1e-9  # products of survival fractions are not exact
Floats = npt.NDArray[np.float64]


def survival(endpoints: pd.DataFrame, subjects: pd.DataFrame, charter: Charter) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Estimate survival for every parameter, policy and group.

    Parameters
    ----------
    endpoints : pandas.DataFrame
        ``endpoints.csv``.
    subjects : pandas.DataFrame
        ``subject_id, arm, arm_code``.
    charter : Charter
        ``median_interval``: ``loglog`` (default of SAS) or ``log`` (default of R), for the median and the curve.

    Returns
    -------
    medians : pandas.DataFrame
        Columns :data:`COLUMNS`, all text; days. A median or limit that was not reached is empty and ``note`` says so.
    curves : pandas.DataFrame
        Columns :data:`CURVE_COLUMNS`, all text: day 0 and every day with an event or a censoring; ``at_risk`` just
        before that day, ``survival`` from it on, with pointwise 95 % limits (empty where they are not defined).
    """
    by_arm, interval = arms(subjects), charter.text("median_interval")
    rows = text_frame(endpoints, ["subject_id", "parameter", "policy", "days", "censored", "provisional"])
    medians, curves = [], []
    for (parameter, policy), part in rows.groupby(["parameter", "policy"], sort=False):
        for group, mask in groups(part["subject_id"], by_arm).items():
            chosen = part[mask]
            if chosen.empty:
                continue
            times = chosen["days"].to_numpy(dtype=np.float64)
            happened = (chosen["censored"] == "0").to_numpy()
            key = {"parameter": parameter, "policy": policy, "group": group}
            median, low, high = median_with_limits(times, happened, interval)
            numbers = {"median_days": median, "low_days": low, "high_days": high}
            missing = [_NUMBERS[name] for name, number in numbers.items() if np.isnan(number)]
            medians.append(
                {
                    **key,
                    "subjects": str(len(chosen)),
                    "events": str(int(happened.sum())),
                    "censored": str(int((~happened).sum())),
                    **{name: "" if np.isnan(number) else f"{number:g}" for name, number in numbers.items()},
                    "interval": interval,
                    "provisional": "Y" if (chosen["provisional"] == "Y").any() else "N",
                    "note": f"not reached: {', '.join(missing)}" if missing else "",
                }
            )
            curves += [{**key, **row} for row in curve(times, happened, interval)]
    return (
        pd.DataFrame(medians, columns=list(COLUMNS)).astype(object),
        pd.DataFrame(curves, columns=list(CURVE_COLUMNS)).astype(object),
    )


def median_with_limits(times: Floats, happened: npt.NDArray[np.bool_], interval: str) -> tuple[float, float, float]:
    """Return the Kaplan-Meier median and its 95 % Brookmeyer-Crowley limits.

    Parameters
    ----------
    times : numpy.ndarray
        Shape (n,): days to event or censoring.
    happened : numpy.ndarray
        Shape (n,): whether it was an event.
    interval : str
        ``loglog`` or ``log``.

    Returns
    -------
    tuple of float
        Median, lower and upper limit in days; NaN where not reached.

    Notes
    -----
    Where the curve lies at exactly one half from one event to the next the median is their middle, as in R's
    ``survfit`` and SAS; where it ends there, it is the day on which one half was reached.
    """
    if not happened.any():
        return float("nan"), float("nan"), float("nan")
    fitted = SurvfuncRight(times, happened.astype(int))
    at = np.asarray(fitted.surv_times, dtype=float)
    level = np.asarray(fitted.surv_prob, dtype=float)
    half = np.flatnonzero(level <= 0.5 + _TOLERANCE)
    median = float("nan")
    if len(half):
        first = half[0]
        flat = abs(level[first] - 0.5) <= _TOLERANCE and first + 1 < len(at)
        median = (at[first] + at[first + 1]) / 2 if flat else at[first]
    with np.errstate(divide="ignore", invalid="ignore"):  # the curve may end at 0, where the transform is infinite
        low, high = fitted.quantile_ci(0.5, method=_METHODS[interval])
    return float(median), float(low), float("nan") if np.isinf(high) else float(high)


def curve(times: Floats, happened: npt.NDArray[np.bool_], interval: str) -> list[dict[str, str]]:
    """Return the steps of a Kaplan-Meier curve as text, from day 0 on.

    Notes
    -----
    Pointwise limits on the log-log or log scale from the Greenwood standard error. They are not defined where the
    curve is 1 or 0; on the log scale the upper limit is at most 1.
    """
    level, error = np.ones(0), np.ones(0)
    at = np.ones(0)
    if happened.any():
        fitted = SurvfuncRight(times, happened.astype(int))
        found = (fitted.surv_times, fitted.surv_prob, fitted.surv_prob_se)
        at, level, error = (np.asarray(each, dtype=np.float64) for each in found)
    low, high = _pointwise(level, error, interval)
    rows = []
    for day in [0.0, *np.unique(times[times > 0])]:
        place = int(np.searchsorted(at, day, side="right")) - 1
        known = place >= 0 and np.isfinite(low[place])
        rows.append(
            {
                "day": f"{day:g}",
                "at_risk": str(int((times >= day).sum())),
                "events": str(int(happened[times == day].sum())),
                "censored": str(int((~happened[times == day]).sum())),
                "survival": f"{level[place]:.6f}" if place >= 0 else "1.000000",
                "low": f"{low[place]:.6f}" if known else "",
                "high": f"{high[place]:.6f}" if known else "",
            }
        )
    return rows


def _pointwise(level: Floats, error: Floats, interval: str) -> tuple[Floats, Floats]:
    z = norm.ppf(0.975)
    with np.errstate(divide="ignore", invalid="ignore"):
        if interval == "log":
            low, high = level * np.exp(-z * error / level), level * np.exp(z * error / level)
        else:
            spread = z * error / (level * np.log(level))  # negative, since the logarithm is
            low, high = level ** np.exp(-spread), level ** np.exp(spread)
    inside = (level > 0) & (level < 1)
    return np.where(inside, low, np.nan), np.where(inside, np.minimum(high, 1.0), np.nan)
