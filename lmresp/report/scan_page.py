"""The picture page of one scan: what was measured, on which slices, against which reference."""

from __future__ import annotations

import base64
import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np

from lmresp import store
from lmresp.report.choice import Slice, choose
from lmresp.report.pages import render
from lmresp.report.slices import NORMAL, Box, Volume, framed, grey, head_box, outline, pixel, place, png, tagged
from lmresp.report.study_data import scan_folder

Result = Mapping[str, Any]
Findings = Sequence[Mapping[str, Any]]
Window = tuple[float, float]

# Name of an image on the page -> how its file name may end, for the scan itself and for its reference scan.
# The T1 that carries the grid is the one after contrast, or the plain one of a scan without contrast.
_IN_SPACE = "space-subject_"
T1 = (f"ce-gadolinium_{_IN_SPACE}desc-preproc_T1w", f"{_IN_SPACE}desc-preproc_T1w")
OWN = {
    "t1": T1,
    "labels": (f"{_IN_SPACE}desc-lm_dseg",),
    "brain": (f"{_IN_SPACE}desc-brain_mask",),
    "pre": (f"{_IN_SPACE}desc-preproc_T1w",),
    "enhancement": (f"{_IN_SPACE}desc-enhancement_map",),
    "compared": (f"{_IN_SPACE}res-reference_desc-preproc_T1w",),
    "compared_labels": (f"{_IN_SPACE}res-reference_desc-lm_dseg",),
}
REFERENCE = {
    "reference": T1,
    "reference_labels": (f"{_IN_SPACE}desc-lm_dseg",),
    "reference_brain": (f"{_IN_SPACE}desc-brain_mask",),
}

FURTHER = {"pre": "T1 before contrast", "enhancement": "Enhancement"}  # pictures beside the T1, where they exist
PIXELS = 290  # longest side of a head in a picture
AXIAL_SLICES = (5, 4, 3, 2)  # tried in turn until the page is small enough
LARGEST = 2_800_000  # bytes of pictures; the page stays below 3 MB
ENHANCEMENT_WINDOW = (0.0, 1.0)  # of the signal of white matter
FACTOR_APART = 2.0  # signal scales further apart than this cannot share one window
APART_NOTE = (
    "The signal scales of the two visits differ by more than a factor of two: each visit has its own window, "
    "so their brightness must not be compared."
)


@dataclasses.dataclass(frozen=True, slots=True)
class Pane:
    """One picture: its title, text for those who cannot see it, and the PNG."""

    title: str
    alt: str
    data: str


@dataclasses.dataclass(frozen=True, slots=True)
class Panel:
    """The same slice in several pictures."""

    heading: str
    why: str
    panes: Sequence[Pane]


@dataclasses.dataclass(frozen=True, slots=True)
class Column:
    """One image of the panels: its window, and the outlines and findings drawn on it."""

    title: str
    volume: Volume
    window: Window
    labels: Volume | None = None
    findings: Findings = ()


def _tags(column: Column, at: Slice, box: Box) -> list[tuple[float, float, str]]:
    """Numbers of the findings that the slice passes through (within half their long diameter of the centre)."""
    tags = []
    middle = column.volume.position(at.plane, at.index)
    for finding in column.findings:
        voxel = column.volume.voxel(finding["center_mm"])
        away = abs(column.volume.position(at.plane, voxel[NORMAL[at.plane]]) - middle)
        if away <= max(float(finding["long_mm"] or 0) / 2, 1.0):
            tags.append((*pixel(voxel, at.plane, column.volume, box), str(finding["id"])))
    return tags


def _panels(slices: Sequence[Slice], box: Box, columns: Sequence[Column]) -> list[Panel]:
    """Draw each slice in every column; all columns lie on one grid."""
    panels = []
    for at in slices:
        where = place(at.plane, columns[0].volume.position(at.plane, at.index))
        panes = []
        for column in columns:
            picture = grey(column.volume, at.plane, at.index, box, column.window)
            if column.labels is not None:
                picture = tagged(outline(picture, column.labels, at.plane, at.index, box), _tags(column, at, box))
            content = base64.b64encode(png(framed(picture, at.plane, where))).decode("ascii")
            panes.append(Pane(column.title, f"{column.title}: {at.plane} slice at {where}, {at.why}", content))
        panels.append(Panel(f"{at.plane.capitalize()}, {where}", at.why, panes))
    return panels


def signal_window(volume: Volume, brain: Volume | None) -> Window:
    """Display window of a T1 image: 0 to 1.15 times the 99.7th percentile of the brain.

    Without a brain mask the whole head counts; its fat is brighter than any brain, so that the brain looks dark.
    """
    inside = volume.array > 0.1 * float(np.percentile(volume.array, 99)) if brain is None else brain.array > 0
    signal = volume.array[inside]
    return 0.0, 1.15 * float(np.percentile(signal, 99.7)) if signal.size else 1.0


def _on_grid(volumes: Mapping[str, Volume], name: str, grid: Volume) -> Volume | None:
    """Return an image that must lie on a grid, ``None`` when it was not made.

    Raises
    ------
    ValueError
        If it lies on another grid: the outlines would stand in the wrong place.
    """
    volume = volumes.get(name)
    if volume is None:
        return None
    if not _same_grid(volume, grid):
        raise ValueError(f"the image {name!r} is not on the grid it is shown on")
    return volume


def _same_grid(first: Volume | None, second: Volume | None) -> bool:
    if first is None or second is None:
        return False
    return first.array.shape == second.array.shape and bool(np.allclose(first.affine, second.affine, atol=1e-3))


def _t1_title(result: Result) -> str:
    return "T1 without contrast" if result["contrast"] == "none" else "T1 after contrast"


def _own(volumes: Mapping[str, Volume], result: Result, window: Window, axial: int) -> list[Panel]:
    """Draw the scan on its own grid: T1, the same with outlines, before contrast, enhancement."""
    t1, findings = volumes.get("t1"), result["findings"]
    if t1 is None:
        return []
    labels = _on_grid(volumes, "labels", t1)
    columns = [Column(_t1_title(result), t1, window)]
    if labels is not None:
        columns.append(Column(f"{_t1_title(result)}, outlines", t1, window, labels, findings))
    for name, shown in (("pre", window), ("enhancement", ENHANCEMENT_WINDOW)):
        volume = _on_grid(volumes, name, t1)
        if volume is not None:
            columns.append(Column(FURTHER[name], volume, shown))
    box = head_box(t1, PIXELS)
    return _panels(choose(t1, box, findings, labels, axial), box, columns)


def _pairs(
    volumes: Mapping[str, Volume], titles: tuple[str, str], window: Window, base_window: Window, axial: int
) -> list[Panel]:
    """Draw the scan beside its reference scan, on the reference grid, both with outlines."""
    base = volumes.get("reference")
    compared = _on_grid(volumes, "compared", base) if base is not None else None
    if base is None or compared is None:
        return []
    labels = _on_grid(volumes, "compared_labels", base)
    columns = [
        Column(titles[0], compared, window, labels),
        Column(titles[1], base, base_window, _on_grid(volumes, "reference_labels", base)),
    ]
    box = head_box(base, PIXELS)
    return _panels(choose(base, box, (), labels, axial), box, columns)


def _weight(panels: Sequence[Panel]) -> int:
    return sum(len(pane.data) for panel in panels for pane in panel.panes)


def scan_page(result: Result, images: Mapping[str, Any], reference: Result | None = None) -> str:
    """Render the picture page of a scan.

    Parameters
    ----------
    result : mapping
        The scan result (``lmresp-scan-result/1``).
    images : mapping of str to nibabel image
        3-D images under the names ``t1``, ``labels``, ``brain``, ``pre``, ``enhancement`` (grid of the scan),
        ``compared``, ``compared_labels`` (this scan on the reference grid, where it is another one), ``reference``,
        ``reference_labels``,
        ``reference_brain`` (reference grid).
        Each may be absent; what is absent is not shown, and the page says so.
    reference : mapping, optional
        The scan result of the reference scan, for its visit and date.

    Returns
    -------
    str
        One HTML page without scripts, below 3 MB; equal input gives equal text.

    Raises
    ------
    ValueError
        If an image is not 3-D or images of one grid differ in it.

    Notes
    -----
    Radiological convention: the subject's right is on the left of the picture. The T1 images of both visits share
    one window, 0 to 1.15 times the 99.7th percentile of the reference brain, unless their scales differ by more than
    a factor of two; then each has its own and the page says so.
    """
    volumes = {name: Volume.from_image(images[name]) for name in sorted(images)}
    if result["geometry"].get("aligned") and _same_grid(volumes.get("t1"), volumes.get("reference")):
        # One lattice for both visits: the scan's own images lie on the reference scan as they are.
        volumes["compared"] = volumes["t1"]
        if "labels" in volumes:
            volumes["compared_labels"] = volumes["labels"]
    t1, base = volumes.get("t1"), volumes.get("reference")
    base_window = signal_window(base, _on_grid(volumes, "reference_brain", base)) if base else (0.0, 1.0)
    window = signal_window(t1, _on_grid(volumes, "brain", t1)) if t1 else base_window
    shared = base is not None and 1 / FACTOR_APART <= window[1] / base_window[1] <= FACTOR_APART
    if shared:
        window = base_window
    titles = (f"This scan, {_t1_title(result)}", f"Reference scan, {_t1_title(reference or result)}")
    own: list[Panel] = []
    pairs: list[Panel] = []
    for axial in AXIAL_SLICES:
        own = _own(volumes, result, window, axial)
        pairs = _pairs(volumes, titles, window, base_window, axial)
        if _weight(own) + _weight(pairs) < LARGEST:
            break
    notes = [f"{title}: no image of this scan." for name, title in FURTHER.items() if t1 and name not in volumes]
    if pairs and not shared:
        notes.append(APART_NOTE)
    if result["reference"] and not pairs:
        notes.append("The reference scan cannot be shown beside this scan: one of the two has no prepared image.")
    return render(
        "scan.html.j2",
        style="scan.css",
        result=result,
        reference=reference or {},
        own=own,
        pairs=pairs,
        notes=notes,
        window=window,
        shared=shared and bool(pairs),
        not_measured=_not_measured(result),
    )


def _not_measured(result: Result) -> list[tuple[str, str]]:
    """What has no usable value, and why: the scan, measures without a value or failed, items that are NE."""
    measures = [m for m in result["measures"] if m["value"] is None or m["qc"] == "FAIL"]
    items = [i for i in (result["scorecard"] or {"items": ()})["items"] if i["presence"] == "NE"]
    missing = [] if result["status"] == "measured" else [("The scan", result["reason"])]
    missing += [(f"{m['measure']} ({m['compartment']})", m["qc_reason"]) for m in measures]
    missing += [(f"{i['item']} ({i['compartment']})", i["reason"]) for i in items]
    return [(what, str(why or "no reason given")) for what, why in missing]


def write_scan_page(results: Path, scan: str) -> Path:
    """Write ``<scan>_page.html`` beside the scan result (edge).

    Parameters
    ----------
    results : Path
        ``derivatives/lmresp`` of a study.
    scan : str
        Name of the scan, such as ``sub-01_ses-wk06``.

    Returns
    -------
    Path
        The page.

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
    page = folder / f"{scan}_page.html"
    store.write_text(page, scan_page(result, images, reference))
    return page


def _load(folder: Path, scan: str, names: Mapping[str, Sequence[str]]) -> dict[str, Any]:
    images = {}
    for name, endings in names.items():
        paths = [folder / "anat" / f"{scan}_{ending}.nii.gz" for ending in endings]
        found = next((path for path in paths if path.is_file()), None)
        if found is not None:
            images[name] = nib.load(found)
    return images
