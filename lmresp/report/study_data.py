"""What the study report is made from: the stored results of one study."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from lmresp import store

Row = Mapping[str, str]
Rows = Sequence[Row]

_SCAN = re.compile(r"(sub-[A-Za-z0-9]+)_(ses-[A-Za-z0-9]+)")


@dataclasses.dataclass(frozen=True)
class StudyData:
    """Stored results of one study; every table is a list of rows of text, with the columns of the architecture page.

    ``provenance`` is the record of ``provenance.json``; ``scans`` maps a scan's name to its scan result.
    """

    study_id: str
    title: str = ""
    data_cut: str = ""
    provenance: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    calls: Rows = ()
    components: Rows = ()
    best_response: Rows = ()
    endpoints: Rows = ()
    rates: Rows = ()
    survival: Rows = ()
    survival_curve: Rows = ()
    agreement: Rows = ()
    agreement_counts: Rows = ()
    agreement_cases: Rows = ()
    drift: Rows = ()
    pathway: Rows = ()
    measures: Rows = ()
    queries: Rows = ()
    csf: Rows = ()
    neuro: Rows = ()
    mri: Rows = ()
    steroids: Rows = ()
    subjects: Rows = ()
    visits: Rows = ()
    treatments: Rows = ()
    procedures: Rows = ()
    disposition: Rows = ()
    scans: Mapping[str, Mapping[str, Any]] = dataclasses.field(default_factory=dict)


def scan_folder(scan: str) -> str:
    """Folder of a scan relative to the results, ``sub-01/ses-wk06`` for ``sub-01_ses-wk06``; "" for any other text.

    Text from a table reaches a link only through this function, so no name can lead out of the results.
    """
    match = _SCAN.fullmatch(scan)
    return f"{match[1]}/{match[2]}" if match else ""


def load_study(
    results: Path, study_id: str, title: str, data_cut: str, provenance: Mapping[str, Any] | None = None
) -> StudyData:
    """Load the results of a study from ``derivatives/lmresp``.

    Parameters
    ----------
    results : Path
        The results folder.
    study_id, title, data_cut : str
        From ``study.yaml``; the data cut is the only "today".
    provenance : mapping, optional
        The record of ``provenance.json``.

    Raises
    ------
    FileNotFoundError
        If ``calls.csv``, ``best_response.csv``, ``pathway.csv`` or ``queries.csv`` is not there: the stages before
        the report always write them; or if the result of a scan of the index is not there. Any other table may be
        absent (a study without MRI, or without any response) and counts as empty.
    """

    def rows(name: str) -> Rows:
        path = results / name
        return store.read_csv(path) if path.is_file() else []

    tables: dict[str, Rows] = {
        name: store.read_csv(results / f"{name}.csv") for name in ("calls", "best_response", "pathway", "queries")
    }
    derived = (
        *("components", "endpoints", "rates", "survival", "survival_curve", "measures"),
        *("agreement", "agreement_counts", "agreement_cases", "drift"),
    )
    tables |= {name: rows(f"{name}.csv") for name in derived}
    strands = {name: rows(f"work/{name}.csv") for name in ("csf", "neuro", "mri", "steroids")}
    names = ("subjects", "visits", "treatments", "procedures", "disposition")
    inputs = {name: rows(f"work/tables/{name}.csv") for name in names}
    index = results / "work" / "index.json"
    listed = sorted(str(entry["scan"]) for entry in store.read_json(index)["scans"]) if index.is_file() else []
    # Only scans of the index: a folder of a scan that has left the study may still be there.
    scans = {scan: store.read_json(results / scan_folder(scan) / f"{scan}_scan.json") for scan in listed}
    return StudyData(
        study_id=study_id,
        title=title,
        data_cut=data_cut,
        provenance=provenance or {},
        scans=scans,
        **tables,
        **strands,
        **inputs,
    )
