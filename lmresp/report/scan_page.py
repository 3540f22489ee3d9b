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
from lmresp.report.slices import Box, Volume, framed, grey, head_box, outline, place, png
from lmresp.report.study_data import scan_folder

Result = Mapping[str, Any]

# Name of an image on the page -> how its file name ends, for the scan itself and for its reference scan.
OWN = {
    "post": "ce-gadolinium_desc-preproc_T1w",
    "labels": "desc-lm_dseg",
    "pre": "space-post_desc-preproc_T1w",
    "enhancement": "desc-enhancement_map",
    "compared": "space-reference_desc-preproc_T1w",
    "compared_labels": "space-reference_desc-lm_dseg",
}
REFERENCE = {"reference": "ce-gadolinium_desc-preproc_T1w", "reference_labels": "desc-lm_dseg"}

OWN_PIXELS = 270  # longest side of a picture on the scan's own grid
PAIR_PIXELS = 270  # and of a picture beside its reference
ENHANCEMENT_WINDOW = (0.0, 1.0)  # of the signal of white matter
FACTOR_APART = 2.0  # signal scales further apart than this cannot share one window


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


def _pane(title: str, volume: Volume, labels: Volume | None, at: Slice, box: Box, window: tuple[float, float]) -> Pane:
    picture = grey(volume, at.plane, at.index, box, window)
    if labels is not None:
        picture = outline(picture, labels, at.plane, at.index, box)
    where = place(at.plane, volume.position(at.plane, at.index))
    content = base64.b64encode(png(framed(picture, at.plane, where))).decode("ascii")
    outlined = ", with outlines" if labels is not None else ""
    return Pane(title, f"{title}{outlined}: {at.plane} slice at {where}, {at.why}", content)


def _panels(
    slices: Sequence[Slice],
    grid: Volume,
    box: Box,
    columns: Sequence[tuple[str, Volume, Volume | None, tuple[float, float]]],
) -> list[Panel]:
    panels = []
    for at in slices:
        where = place(at.plane, grid.position(at.plane, at.index))
        panes = [_pane(title, volume, labels, at, box, window) for title, volume, labels, window in columns]
        panels.append(Panel(f"{at.plane.capitalize()}, {where}", at.why, panes))
    return panels


def signal_window(volume: Volume) -> tuple[float, float]:
    """Display window of a T1 image: 0 to 1.15 times the 99.7th percentile of the head."""
    bright = volume.array[volume.array > 0.1 * float(np.percentile(volume.array, 99))]
    return 0.0, 1.15 * float(np.percentile(bright, 99.7)) if bright.size else 1.0


def _same_grid(volume: Volume | None, other: Volume) -> bool:
    return (
        volume is not None
        and volume.array.shape == other.array.shape
        and np.allclose(volume.affine, other.affine, atol=1e-3)
    )


def _beside(volumes: Mapping[str, Volume], name: str, grid: Volume) -> Volume | None:
    """Return an image that must lie on a grid, ``None`` when it was not made.

    Raises
    ------
    ValueError
        If it lies on another grid: the outlines would stand in the wrong place.
    """
    volume = volumes.get(name)
    if volume is not None and not _same_grid(volume, grid):
        raise ValueError(f"the image {name!r} is not on the grid it is shown on")
    return volume


def scan_page(result: Result, images: Mapping[str, Any], reference: Result | None = None) -> str:
    """Render the picture page of a scan.

    Parameters
    ----------
    result : mapping
        The scan result (``lmresp-scan-result/1``).
    images : mapping of str to nibabel image
        3-D images under the names ``post``, ``pre``, ``enhancement``, ``labels`` (grid of the scan), ``compared``,
        ``compared_labels`` (this scan on the reference grid), ``reference``, ``reference_labels`` (reference grid).
        Each may be absent; what is absent is not shown, and the page says so.
    reference : mapping, optional
        The scan result of the reference scan, for its visit and date.

    Returns
    -------
    str
        One HTML page without scripts; equal input gives equal text.

    Raises
    ------
    ValueError
        If an image is not 3-D or images of one grid differ in it.

    Notes
    -----
    Radiological convention: the subject's right is on the left of the picture. The T1 images of both visits share
    one window, 0 to 1.15 times the 99.7th percentile of the reference head, unless their scales differ by more than
    a factor of two; then each has its own and the page says so.
    """
    volumes = {name: Volume.from_image(images[name]) for name in sorted(images)}
    post, base, compared = volumes.get("post"), volumes.get("reference"), volumes.get("compared")
    notes: list[str] = []
    own: list[Panel] = []
    pairs: list[Panel] = []
    window = signal_window(base) if base is not None else signal_window(post) if post is not None else (0.0, 1.0)
    own_window = window
    if post is not None and base is not None:
        here = signal_window(post)
        if max(here[1], window[1]) > FACTOR_APART * min(here[1], window[1]):
            own_window = here
            notes.append(
                "The signal scales of the two visits differ by more than a factor of two: each visit has its own "
                "window, so their brightness must not be compared."
            )
    if post is not None:
        labels = _beside(volumes, "labels", post)
        box = head_box(post, OWN_PIXELS)
        columns: list[tuple[str, Volume, Volume | None, tuple[float, float]]] = [
            ("T1 after contrast", post, None, own_window)
        ]
        if labels is not None:
            columns.append(("T1 after contrast, outlines", post, labels, own_window))
        for name, title, shown in (
            ("pre", "T1 before contrast", own_window),
            ("enhancement", "Enhancement", ENHANCEMENT_WINDOW),
        ):
            volume = _beside(volumes, name, post)
            if volume is not None:
                columns.append((title, volume, None, shown))
            else:
                notes.append(f"{title}: no image for this scan.")
        own = _panels(choose(post, box, result.get("findings", ()), labels), post, box, columns)
    if base is not None and compared is not None:
        after = _beside(volumes, "compared_labels", base)
        before = _beside(volumes, "reference_labels", base)
        _beside(volumes, "compared", base)
        box = head_box(base, PAIR_PIXELS)
        slices = choose(base, box, (), after)
        titles = ("This scan", "Reference scan")
        pairs = _panels(
            slices, base, box, [(titles[0], compared, after, own_window), (titles[1], base, before, window)]
        )
    elif result.get("reference"):
        notes.append("The reference scan cannot be shown beside this scan: one of the two was not measured.")
    return render(
        "scan.html.j2",
        style="scan.css",
        result=result,
        reference=reference or {},
        own=own,
        pairs=pairs,
        notes=notes,
        window=window,
        own_window=own_window,
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


def _load(folder: Path, scan: str, names: Mapping[str, str]) -> dict[str, Any]:
    paths = {name: folder / "anat" / f"{scan}_{ending}.nii.gz" for name, ending in names.items()}
    return {name: nib.load(path) for name, path in paths.items() if path.is_file()}
