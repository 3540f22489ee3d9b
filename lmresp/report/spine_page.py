"""The page of the spine of one scan: sagittal first, both visits, candidates as a reading aid. No draft rests on it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import nibabel as nib

from lmresp import RESEARCH_USE, store
from lmresp.report.pages import json_text, render
from lmresp.report.scan_page import UNLINKED_NOTE, WITHOUT_SCRIPT, scripts_of
from lmresp.report.scan_pictures import Panel, sagittal_pictures
from lmresp.report.slices import Volume
from lmresp.report.spine_view import SERIES, Images, images_of, labels_on, spine_viewer, target, top_of
from lmresp.report.study_data import scan_folder

Result = Mapping[str, Any]

_SUFFIX = {"post": "T1w", "pre": "T1w", "t2": "T2w"}
_BEFORE = _SUFFIX | {"enhancement": "map"}
_FOUND = {"enhancement": "map", "difference": "map", "canal": "dseg", "candidates": "dseg"}


def spine_page(
    result: Result, regions: Mapping[str, Images], reference: Result | None = None, *, blinded: bool = False
) -> str:
    """Render the page of the spine.

    Parameters
    ----------
    result, reference : mapping
        Scan results of the scan and of its reference scan.
    regions : mapping of str to Images
        Images by region, see :func:`lmresp.report.spine_view.images_of`.
    blinded : bool
        Leave out what the reading aid found.

    Returns
    -------
    str
        One HTML page, below 12 MB; equal input gives equal text.
    """
    shown = spine_viewer(result, reference, regions, blinded=blinded)
    notes = [*(shown.notes if shown else ())]
    if shown and not all(part["linked"] for part in shown.data["parts"]):
        apart = [part["title"].lower() for part in shown.data["parts"] if not part["linked"]]
        notes.append(f"{', '.join(apart).capitalize()}: {UNLINKED_NOTE}")
    rows = [_blinded(row) if blinded else row for row in result["spine"]]
    checks = [check for row in rows for check in row["checks"]]
    return render(
        "spine.html.j2",
        style="scan.css",
        script=scripts_of(shown, blinded=blinded),
        running=f"{result['scan']}, spine. {RESEARCH_USE}",
        without_script=WITHOUT_SCRIPT,
        blinded=blinded,
        side="spine_side.html.j2",
        viewer=shown,
        page_data=json_text(shown.data) if shown else "",
        result=result,
        reference=reference or {},
        regions=rows,
        target=target,
        pictures=_pictures(rows, regions, blinded=blinded),
        notes=notes,
        checks=checks,
        doubts=[check for check in checks if check["result"] != "PASS"],
        absent=_absent(rows, regions),
    )


def _blinded(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return a region without what was found: only what tells of the images stays."""
    told = ("noise of the enhancement in the canal", "enhancement of the veins about the canal")
    return {
        "region": row["region"],
        "why": [],
        "checks": [check for check in row["checks"] if check["check"] not in told],
        "candidates": None,
    }


def _absent(rows: Sequence[Mapping[str, Any]], regions: Mapping[str, Images]) -> dict[str, list[str]]:
    """Series that a region has not."""
    missing = {}
    for row in rows:
        images = regions.get(row["region"])
        now = images.now if images else {}
        missing[f"the {str(row['region']).lower()} part"] = [title for name, title in SERIES if name not in now]
    return missing


def _pictures(
    rows: Sequence[Mapping[str, Any]], regions: Mapping[str, Images], *, blinded: bool
) -> list[tuple[str, list[Panel]]]:
    made = []
    for row in rows:
        images = regions.get(row["region"])
        name = next((name for name, _ in SERIES if images and name in images.now), None)
        if images is None or name is None:
            continue
        anchor = images.now[name]
        candidates = [
            {"id": c["number"], "center_mm": c["world_mm"], "long_mm": c["long_mm"]} for c in row["candidates"] or ()
        ]
        labels = None if blinded else labels_on(anchor, images.found)
        panels = sagittal_pictures(dict(SERIES)[name], anchor, (0.0, top_of(anchor)), labels, candidates)
        made.append((str(row["region"]).capitalize(), panels))
    return made


def spine_page_of(results: Path, scan: str, *, blinded: bool = False) -> str | None:
    """Render the spine page of a stored scan (edge).

    Parameters
    ----------
    results : Path
        ``derivatives/lmresp`` of a study.
    scan : str
        Name of the scan.
    blinded : bool
        As in :func:`spine_page`.

    Returns
    -------
    str or None
        ``None`` for a scan without a series of the spine.

    Raises
    ------
    ValueError
        If the name is not that of a scan.
    FileNotFoundError
        If there is no result of the scan or of its reference scan.
    """
    result = _result(results, scan)
    if not result.get("spine"):
        return None
    reference = _result(results, str(result["reference"])) if result["reference"] else None
    regions = {}
    for row in result["spine"]:
        region = str(row["region"])
        then = next((one for one in (reference or {}).get("spine", ()) if one["region"] == region), None)
        before = {} if then is None else _load(results, str(result["reference"]), region, _BEFORE)
        now, found = (_load(results, scan, region, names) for names in (_SUFFIX, _FOUND))
        regions[region] = images_of(row, now, found, then, before)
    return spine_page(result, regions, reference, blinded=blinded)


def _result(results: Path, scan: str) -> dict[str, Any]:
    if not scan_folder(scan):
        raise ValueError(f"not the name of a scan: {scan!r}")
    record: dict[str, Any] = store.read_json(results / scan_folder(scan) / f"{scan}_scan.json")
    return record


def _load(results: Path, scan: str, region: str, names: Mapping[str, str]) -> dict[str, Volume]:
    folder = results / scan_folder(scan) / "anat"
    paths = {n: folder / f"{scan}_acq-{region.lower()}_space-spine_desc-{n}_{kind}.nii.gz" for n, kind in names.items()}
    return {name: Volume.from_image(nib.load(path)) for name, path in paths.items() if path.is_file()}


def write_spine_page(results: Path, scan: str) -> Path | None:
    """Write ``<scan>_spine.html`` beside the scan result, or remove one that is there no longer (edge).

    The page is no declared output of the workflow: whether a scan has a spine series is not known to the job graph.

    Returns
    -------
    Path or None
        The page; ``None`` for a scan without a series of the spine.
    """
    text = spine_page_of(results, scan)
    page = results / scan_folder(scan) / f"{scan}_spine.html"
    if text is None:
        page.unlink(missing_ok=True)
        return None
    store.write_text(page, text)
    return page
