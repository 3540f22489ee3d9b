"""The page of one scan: a viewer of both visits, what was measured, pictures for print. One file, no network."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import nibabel as nib

from lmresp import RESEARCH_USE, store
from lmresp.report.pages import json_text, render
from lmresp.report.scan_pictures import pictures
from lmresp.report.scan_tables import context
from lmresp.report.scan_view import Viewer, same_grid, signal_window, viewer, windows
from lmresp.report.slices import Volume
from lmresp.report.study_data import scan_folder

Result = Mapping[str, Any]

# Name of an image on the page -> how its file name may end, for the scan itself and for its reference scan.
# The T1 that carries the grid is the one after contrast, or the plain one of a scan without contrast.
_IN_SPACE = "space-subject_"
T1 = (f"ce-gadolinium_{_IN_SPACE}desc-preproc_T1w", f"{_IN_SPACE}desc-preproc_T1w")
_PRE = (f"{_IN_SPACE}desc-preproc_T1w",)
_FLAIR = (f"{_IN_SPACE}desc-preproc_FLAIR",)
_T2 = (f"{_IN_SPACE}desc-preproc_T2w",)
_BRAIN = (f"{_IN_SPACE}desc-brain_mask",)
OWN = {
    "t1": T1,
    "labels": (f"{_IN_SPACE}desc-lm_dseg",),
    "brain": _BRAIN,
    "pre": _PRE,
    "flair": _FLAIR,
    "t2": _T2,
    "change": (f"{_IN_SPACE}desc-change_map",),
    "compared": (f"{_IN_SPACE}res-reference_desc-preproc_T1w",),
    "compared_labels": (f"{_IN_SPACE}res-reference_desc-lm_dseg",),
}
REFERENCE = {
    "reference": T1,
    "reference_labels": (f"{_IN_SPACE}desc-lm_dseg",),
    "reference_brain": _BRAIN,
    "reference_pre": _PRE,
    "reference_flair": _FLAIR,
    "reference_t2": _T2,
}
# What only the measurement can tell; a blinded page is made without these.
MEASURED = ("labels", "compared_labels", "reference_labels", "change")

FRAME = "scan_frame.js"
SCRIPTS = ("scan_volumes.js", "scan_view.js", "scan_controls.js", "scan_ruler.js")
WITHOUT_SCRIPT = ".viewer { display: none; } .pictures { display: block; } .screen { min-height: 0; }"
APART_NOTE = (
    "The signal scales of the two visits differ by more than a factor of two: each visit has its own window, "
    "so their brightness must not be compared."
)
UNLINKED_NOTE = (
    "The two visits could not be aligned: each has its own crosshair, and the same place in millimetres is not the "
    "same place of the head."
)
NO_PAIR_NOTE = "The reference scan cannot be shown beside this scan: one of the two has no prepared image."


def scan_page(
    result: Result,
    images: Mapping[str, Any],
    reference: Result | None = None,
    *,
    blinded: bool = False,
    charter: Mapping[str, Any] | None = None,
) -> str:
    """Render the page of a scan.

    Parameters
    ----------
    result : mapping
        The scan result (``lmresp-scan-result/2``).
    images : mapping of str to nibabel image
        3-D images under the names ``t1``, ``pre``, ``flair``, ``t2``, ``labels``, ``brain`` (grid of the scan),
        ``change`` (a grid of its own), ``compared``, ``compared_labels`` (this scan on the reference grid, where it is
        another one, for the pictures), and ``reference``, ``reference_pre``, ``reference_flair``, ``reference_t2``,
        ``reference_labels``, ``reference_brain`` (reference grid).
        Each may be absent; what is absent is not shown, and the page says so.
    reference : mapping, optional
        The scan result of the reference scan.
    blinded : bool
        Leave out everything the measurement found: findings, labels, change map, measures, scorecard, queries, links.
    charter : mapping, optional
        The charter in force (``work/charter.json``), which the page names.

    Returns
    -------
    str
        One HTML page, below 12 MB; equal input gives equal text.

    Raises
    ------
    ValueError
        If an image is not 3-D or images of one grid differ in it.

    Notes
    -----
    Radiological convention: the subject's right is on the left of the picture. The images of both visits share
    one window, 0 to 1.15 times the 99.7th percentile of the reference brain, unless their scales differ by more than
    a factor of two; then each has its own and the page says so.
    """
    given = {name: Volume.from_image(images[name]) for name in sorted(images) if not (blinded and name in MEASURED)}
    volumes = dict(given)
    if result["geometry"].get("aligned") and same_grid(volumes.get("t1"), volumes.get("reference")):
        # One lattice for both visits: the scan's own images lie on the reference scan as they are.
        volumes["compared"] = volumes["t1"]
        if "labels" in volumes:
            volumes["compared_labels"] = volumes["labels"]
    titles = (_t1_title(result), _t1_title(reference or result))
    if blinded:
        result = result | {"findings": [], "lost": []} if isinstance(result, dict) else result
    shown = viewer(result, given, reference, {"t1": titles[0]}, blinded=blinded)
    window, base_window, shared = _windows(volumes)
    own, pairs = pictures(volumes, result, titles, window, base_window)
    notes = [*(shown.notes if shown else ())]
    both = "t1" in given and "reference" in given
    if both and not shared:
        notes.append(APART_NOTE)
    if both and shown and not shown.data["parts"][0]["linked"]:
        notes.append(UNLINKED_NOTE)
    if result["reference"] and not both:
        notes.append(NO_PAIR_NOTE)
    return render(
        "scan.html.j2",
        style="scan.css",
        script=scripts_of(shown, blinded=blinded),
        running=f"{result['scan']}. {RESEARCH_USE}",
        without_script=WITHOUT_SCRIPT,
        blinded=blinded,
        side="scan_side.html.j2",
        viewer=shown,
        page_data=json_text(shown.data) if shown else "",
        own=own,
        pairs=pairs,
        notes=notes,
        window=window,
        shared=shared,
        charter=charter,
        **context(result, reference, blinded=blinded),
    )


def scripts_of(shown: Viewer | None, *, blinded: bool) -> list[str]:
    """Names of the scripts of a page with or without a viewer."""
    viewing = [*SCRIPTS, *([] if blinded else ["scan_draft.js"]), "scan_start.js"]
    return [FRAME, *(viewing if shown else [])]


def _t1_title(result: Result) -> str:
    return "T1 without contrast" if result["contrast"] == "none" else "T1 after contrast"


def _windows(volumes: Mapping[str, Volume]) -> tuple[tuple[float, float], tuple[float, float], bool]:
    """Windows of the T1 of both visits, and whether they are one."""
    t1, base = volumes.get("t1"), volumes.get("reference")
    if t1 is None:
        alone = signal_window(base, volumes.get("reference_brain")) if base is not None else (0.0, 1.0)
        return alone, alone, False
    before = None if base is None else (base, volumes.get("reference_brain"))
    return windows((t1, volumes.get("brain")), before)


def page_of(results: Path, scan: str, *, blinded: bool = False) -> str:
    """Render the page of a stored scan (edge).

    Parameters
    ----------
    results : Path
        ``derivatives/lmresp`` of a study.
    scan : str
        Name of the scan, such as ``sub-01_ses-wk06``.
    blinded : bool
        As in :func:`scan_page`.

    Raises
    ------
    ValueError
        If the name is not that of a scan.
    FileNotFoundError
        If there is no result of the scan or of its reference scan.
    """
    if not scan_folder(scan):
        raise ValueError(f"not the name of a scan: {scan!r}")
    folder = results / scan_folder(scan)
    result = store.read_json(folder / f"{scan}_scan.json")
    images = _load(folder, scan, OWN)
    reference = None
    if result["reference"]:
        place_of = results / scan_folder(str(result["reference"]))
        reference = store.read_json(place_of / f"{result['reference']}_scan.json")
        images |= _load(place_of, str(result["reference"]), REFERENCE)
    charter = results / "work" / "charter.json"
    in_force = store.read_json(charter) if charter.is_file() else None
    return scan_page(result, images, reference, blinded=blinded, charter=in_force)


def write_scan_page(results: Path, scan: str) -> Path:
    """Write ``<scan>_page.html`` beside the scan result (edge); parameters and errors as in :func:`page_of`.

    Returns
    -------
    Path
        The page.
    """
    text = page_of(results, scan)
    page = results / scan_folder(scan) / f"{scan}_page.html"
    store.write_text(page, text)
    return page


def _load(folder: Path, scan: str, names: Mapping[str, Sequence[str]]) -> dict[str, Any]:
    images = {}
    for name, endings in names.items():
        paths = [folder / "anat" / f"{scan}_{ending}.nii.gz" for ending in endings]
        found = next((path for path in paths if path.is_file()), None)
        if found is not None:
            images[name] = nib.load(found)
    return images
