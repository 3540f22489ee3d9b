"""The scans that readers are asked about: from the index of a study, with what the form needs to know of each."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from lmresp import store
from lmresp.criteria.timeline import visit_grid
from lmresp.mri.spine_regions import has_spine

Place = tuple[str, float]
"""Subject and number of the visit: what names a scan everywhere, with images or without."""
IMAGED, EXPECTED, NONE = "imaged", "expected", "none"


@dataclasses.dataclass(frozen=True, slots=True)
class Scan:
    """One visit's MRI.

    Attributes
    ----------
    scan : str
        Name of the scan (``sub-01_ses-wk06``); "" where the study holds no images of the visit.
    subject_id, visit, visit_num, scan_date : str
        As in the index; the date is "" where it is not known.
    is_baseline : bool
        The visit lies at or before the baseline visit: readers say what is there, not what changed.
    spine : str
        ``imaged``; ``expected``: imaged up to the baseline visit and missing now; or ``none``.
    """

    scan: str
    subject_id: str
    visit: str
    visit_num: str
    scan_date: str
    is_baseline: bool
    spine: str = NONE

    @property
    def place(self) -> Place:
        """Subject and number of the visit."""
        return place(self.subject_id, self.visit_num)

    @property
    def label(self) -> str:
        """Subject and visit in words."""
        return f"{self.subject_id} {self.visit or self.visit_num}"


def place(subject_id: str, visit_num: str) -> Place:
    """Name a scan, however the number of its visit is written (``2`` or ``2.0``)."""
    return subject_id, float(visit_num or 0)


def scans_of(
    index: Iterable[Mapping[str, Any]],
    series: Mapping[str, list[Mapping[str, Any]]],
    subjects: pd.DataFrame,
    visits: pd.DataFrame,
    *,
    without_images: bool = False,
) -> list[Scan]:
    """Combine the index with the visits (pure).

    Parameters
    ----------
    index : iterable of mapping
        Entries ``scans`` of ``work/index.json``.
    series : mapping
        Scan to the series of its record.
    subjects, visits : pandas.DataFrame
        Tables of text; they say which visit is the baseline.
    without_images : bool, optional
        List the visits that were done and have no images too; the date of such a scan is not known.

    Returns
    -------
    list of Scan
        By subject and number of the visit.
    """
    grid = visit_grid(subjects, visits)
    at: dict[Place, dict[str, Any]] = {}
    for row in grid.to_dict("records"):
        at[(row["subject_id"], row["number"])] = {str(name): value for name, value in row.items()}
    early = {where for where, row in at.items() if row["position"] != ""}
    imaged = {str(one["scan"]) for one in index if has_spine(series.get(str(one["scan"]), []))}
    listed = list(index)
    seen = {str(one["subject_id"]) for one in listed if str(one["scan"]) in imaged and _where(one) in early}
    found = [
        Scan(
            scan=str(one["scan"]),
            subject_id=str(one["subject_id"]),
            visit=str(one["visit"] or ""),
            visit_num=str(one["visit_num"] or ""),
            scan_date=str(one["scan_date"] or ""),
            is_baseline=_where(one) in early or (_where(one) not in at and one["reference"] is None),
            spine=IMAGED if str(one["scan"]) in imaged else EXPECTED if str(one["subject_id"]) in seen else NONE,
        )
        for one in listed
    ]
    if without_images:
        given = {scan.place for scan in found}
        found += [
            Scan("", row["subject_id"], row["visit"], row["visit_num"], "", where in early)
            for where, row in at.items()
            if where not in given and row["done"]
        ]
    return sorted(found, key=lambda scan: scan.place)


def _where(one: Mapping[str, Any]) -> Place:
    return place(str(one["subject_id"]), str(one["visit_num"] or ""))


def study_scans(results: Path, *, without_images: bool = False) -> list[Scan]:
    """Read the scans of a study that was planned or run.

    Parameters
    ----------
    results : Path
        ``STUDY/derivatives/lmresp``.
    without_images : bool, optional
        See :func:`scans_of`.

    Raises
    ------
    OSError
        If the study was never planned.
    """
    work = results / "work"
    index = store.read_json(work / "index.json")["scans"]
    series = {one["scan"]: store.read_json(work / "scans" / f"{one['scan']}.json")["series"] for one in index}
    subjects, visits = (_checked(work, table) for table in ("subjects", "visits"))
    return scans_of(index, series, subjects, visits, without_images=without_images)


def _checked(work: Path, table: str) -> pd.DataFrame:
    from lmresp.ingest.tables import check_table

    return pd.DataFrame(check_table(table, store.read_csv(work / "raw" / f"{table}.csv"))[0])
