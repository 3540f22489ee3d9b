"""When a call was established: the first day on which the strands assessed so far settle it.

Source: a progression is dated at the earliest component that by itself establishes it, a response at the latest date
among the components that the call needs. Both follow from one rule, read off the decision table and not written down
per criteria: a set of strands settles a call when the table gives that call whatever the other strands say.
"""

from __future__ import annotations

from itertools import combinations

import numpy as np
import numpy.typing as npt

from lmresp.criteria.table import Scheme


def settling(scheme: Scheme) -> dict[tuple[int, ...], npt.NDArray[np.bool_]]:
    """Tell for every set of inputs where their values alone settle the answer.

    Parameters
    ----------
    scheme : Scheme
        Decision table.

    Returns
    -------
    dict of tuple of int to numpy.ndarray of bool
        Numbers of the inputs, to an array with one axis per input: true where the answer is the same whatever the
        inputs outside the set say. The set of all inputs settles everything.
    """
    _, codes = np.unique(scheme.answers.astype(str), return_inverse=True)
    codes = codes.reshape(scheme.answers.shape)
    axes = range(codes.ndim)
    found = {}
    for size in range(1, codes.ndim + 1):
        for names in combinations(axes, size):
            others = tuple(axis for axis in axes if axis not in names)
            same = codes.min(axis=others, keepdims=True) == codes.max(axis=others, keepdims=True)
            found[names] = np.broadcast_to(same, codes.shape)
    return found


def established_on(
    scheme: Scheme, place: tuple[npt.NDArray[np.intp], ...], days: npt.NDArray[np.float64]
) -> npt.NDArray[np.float64]:
    """Return the day on which each call was established.

    Parameters
    ----------
    scheme : Scheme
        Decision table of the visit call.
    place : tuple of numpy.ndarray of int, each of shape (n,)
        Combination of each call, one array per input (:meth:`lmresp.criteria.table.Scheme.locate`).
    days : numpy.ndarray, shape (n, inputs)
        Day of each input, days since 1970-01-01; NaN where it was not assessed or not dated.

    Returns
    -------
    numpy.ndarray, shape (n,)
        The earliest day on which the inputs assessed up to then settle the call; NaN where no input has a day.

    Notes
    -----
    An input without a day holds up nothing: that it is missing is known on any day. When the call is settled by
    inputs without a day alone, the latest day counts.
    """
    known = np.where(np.isnan(days), -np.inf, days)
    earliest = np.full(len(days), np.inf)
    for inputs, settled in settling(scheme).items():
        latest = known[:, inputs].max(axis=1)
        earliest = np.where(settled[place], np.minimum(earliest, latest), earliest)
    day = np.where(np.isfinite(earliest), earliest, known.max(axis=1, initial=-np.inf))
    return np.where(np.isfinite(day), day, np.nan)
