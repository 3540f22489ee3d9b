"""Whether a reader reads otherwise as the trial goes on: agreement in consecutive batches of reads (pure)."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy import stats

from lmresp.statistics.agreement import NE, PEOPLE, frame
from lmresp.statistics.kappa import Numbers
from lmresp.statistics.published import Conventions, load_conventions
from lmresp.terms import Item

COLUMNS = (
    *("reader", "against", "batch", "first_read", "last_read", "n", "subjects", "agreed", "percent", "centre", "low"),
    *("high", "outside", "trend_z", "trend_p", "note"),
)
AGAINST = {"draft": "draft", "accepted": "accepted read"}
_KEY = ["subject_id", "number", "against"]


def drift(ratings: pd.DataFrame) -> pd.DataFrame:
    """Follow over calendar time how often each reader's overall value is that of the draft or of the read that stands.

    Parameters
    ----------
    ratings : pandas.DataFrame
        Answers: ``rater, kind, subject_id, number, item, value, against, blinded, saw_draft, read_dtc``.

    Returns
    -------
    pandas.DataFrame
        Columns :data:`COLUMNS`, text, one row per reader, what is compared with, and batch.

    Notes
    -----
    Blinded reads in the order of ``read_dtc``, against the draft those that had not seen it; pairs with an NE are left
    out. The read that stands says something of a reader only where another read the visit too, so only those visits
    count. Limits are those of a p-chart, the centre plus and minus three standard errors (Shewhart); the trend is
    tested as in :func:`cochran_armitage`. Both take visits of one subject for independent: a signal asks for a look, it
    is no proof.
    """
    conventions = load_conventions()
    mine = ratings[(ratings["item"] == Item.OVERALL.value) & (ratings["value"] != NE)]
    readers = mine[mine["kind"].isin(PEOPLE) & (mine["blinded"] == "Y") & (mine["read_dtc"] != "")]
    several = readers.groupby(["subject_id", "number"])["rater"].transform("nunique") > 1
    rows: list[dict[str, str]] = []
    for kind in AGAINST:
        other = mine.loc[mine["kind"] == kind, [*_KEY, "value"]]
        chosen = readers[several] if kind == "accepted" else readers[readers["saw_draft"] != "Y"]
        pairs = chosen.merge(other, on=_KEY, suffixes=("", "_other"))
        for rater, part in pairs.groupby("rater", sort=True):
            rows += _chart(str(rater), AGAINST[kind], part, conventions)
    return frame(rows, COLUMNS)


def cochran_armitage(agreed: npt.NDArray[np.int64], n: npt.NDArray[np.int64], scores: Numbers) -> tuple[float, float]:
    """Test a trend of a share over ordered groups.

    Parameters
    ----------
    agreed, n : ndarray (groups,)
        Counts and totals.
    scores : ndarray (groups,)
        Place of each group.

    Returns
    -------
    z, p : float
        Normal deviate and two-sided p value; NaN where nothing varies.

    Notes
    -----
    Cochran WG, Biometrics 1954;10:417-451; Armitage P, Biometrics 1955;11:375-386.
    """
    total = n.sum()
    mean = agreed.sum() / total
    spread = mean * (1 - mean) * ((n * scores**2).sum() - (n * scores).sum() ** 2 / total)
    if not spread > 0:
        return float("nan"), float("nan")
    z = float((scores * (agreed - n * mean)).sum() / np.sqrt(spread))
    return z, float(2 * stats.norm.sf(abs(z)))


def p_limits(centre: float, n: npt.NDArray[np.int64]) -> tuple[Numbers, Numbers]:
    """Limits of a p-chart for batches of ``n``: three standard errors about the centre, within 0 and 1."""
    reach = 3 * np.sqrt(centre * (1 - centre) / n)
    return np.maximum(centre - reach, 0.0), np.minimum(centre + reach, 1.0)


def _chart(rater: str, against: str, part: pd.DataFrame, conventions: Conventions) -> list[dict[str, str]]:
    ordered = part.sort_values(["read_dtc", "subject_id", "number"], kind="stable")
    size = max(conventions.batch, -(-len(ordered) // conventions.most_batches))
    batches = max(len(ordered) // size, 1)
    batch = np.minimum(np.arange(len(ordered)) // size, batches - 1)
    same = (ordered["value"] == ordered["value_other"]).to_numpy(dtype=np.int64)
    n, agreed = np.bincount(batch), np.bincount(batch, weights=same).astype(np.int64)
    centre = float(same.mean())
    low, high = p_limits(centre, n)
    z, p = cochran_armitage(agreed, n, np.arange(batches, dtype=np.float64))
    few = batches < 2
    note = f"fewer than {2 * size} reads: no limits, no trend" if few else ""
    rows = []
    for place in range(batches):
        reads = ordered[batch == place]
        share = agreed[place] / n[place]
        outside = "above" if share > high[place] else "below" if share < low[place] else ""
        rows.append(
            {
                "reader": rater,
                "against": against,
                "batch": str(place + 1),
                "first_read": str(reads["read_dtc"].iloc[0])[:10],
                "last_read": str(reads["read_dtc"].iloc[-1])[:10],
                "n": str(n[place]),
                "subjects": str(reads["subject_id"].nunique()),
                "agreed": str(agreed[place]),
                "percent": f"{100 * share:.1f}",
                "centre": f"{100 * centre:.1f}",
                "low": "" if few else f"{100 * low[place]:.1f}",
                "high": "" if few else f"{100 * high[place]:.1f}",
                "outside": "" if few else outside,
                "trend_z": "" if few or np.isnan(z) else f"{z:.2f}",
                "trend_p": "" if few or np.isnan(p) else f"{p:.3f}",
                "note": note or ("all agree or none: no trend to test" if np.isnan(z) else ""),
            }
        )
    return rows
