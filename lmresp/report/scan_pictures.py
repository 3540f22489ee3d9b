"""Pictures of a scan page for print and for browsers without scripts: a few slices, made beforehand."""

from __future__ import annotations

import base64
import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

from lmresp.report.choice import Slice, choose
from lmresp.report.scan_view import Window, on_grid
from lmresp.report.slices import NORMAL, Box, Volume, framed, grey, head_box, outline, pixel, place, png, tagged

Result = Mapping[str, Any]
Findings = Sequence[Mapping[str, Any]]

PIXELS = 230  # longest side of a head in a picture
AXIAL_SLICES = (3, 2, 1)  # tried in turn until the pictures are small enough
LARGEST = 600_000  # bytes of pictures


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


def _own(volumes: Mapping[str, Volume], result: Result, title: str, window: Window, axial: int) -> list[Panel]:
    """Draw the scan on its own grid: T1, and the same with outlines."""
    t1, findings = volumes.get("t1"), result["findings"]
    if t1 is None:
        return []
    labels = on_grid(volumes, "labels", t1)
    columns = [Column(title, t1, window)]
    if labels is not None:
        columns.append(Column(f"{title}, outlines", t1, window, labels, findings))
    box = head_box(t1, PIXELS)
    return _panels(choose(t1, box, findings, labels, axial), box, columns)


def _pairs(
    volumes: Mapping[str, Volume], titles: tuple[str, str], window: Window, base_window: Window, axial: int
) -> list[Panel]:
    """Draw the scan beside its reference scan, on the reference grid, both with outlines."""
    base = volumes.get("reference")
    compared = on_grid(volumes, "compared", base) if base is not None else None
    if base is None or compared is None:
        return []
    labels = on_grid(volumes, "compared_labels", base)
    columns = [
        Column(titles[0], compared, window, labels),
        Column(titles[1], base, base_window, on_grid(volumes, "reference_labels", base)),
    ]
    box = head_box(base, PIXELS)
    return _panels(choose(base, box, (), labels, axial), box, columns)


def _weight(panels: Sequence[Panel]) -> int:
    return sum(len(pane.data) for panel in panels for pane in panel.panes)


def sagittal_pictures(
    title: str, volume: Volume, window: Window, labels: Volume | None, findings: Findings, most: int = 3
) -> list[Panel]:
    """Draw the middle sagittal slice and those through the first findings.

    Parameters
    ----------
    title : str
        Of the image.
    volume, labels : Volume
        Image and, where there are any, labels on its lattice.
    window : tuple of float
        Signal that becomes black and white.
    findings : sequence of mapping
        With ``id``, ``center_mm`` and ``long_mm``.
    most : int
        Pictures at most.
    """
    box = head_box(volume, PIXELS)
    wanted = [Slice("sagittal", volume.voxel(f["center_mm"])[0], f"candidate {f['id']}") for f in findings]
    wanted.append(Slice("sagittal", (box.low[0] + box.high[0]) // 2, "middle"))
    chosen = list({at.index: at for at in reversed(wanted)}.values())[::-1][:most]
    column = Column(title, volume, window, labels, findings)
    return _panels(sorted(chosen, key=lambda at: at.index), box, [column])


def pictures(
    volumes: Mapping[str, Volume],
    result: Result,
    titles: tuple[str, str],
    window: Window,
    base_window: Window,
) -> tuple[list[Panel], list[Panel]]:
    """Draw the pictures of a page.

    Parameters
    ----------
    volumes : mapping of str to Volume
        Images by the names of :func:`lmresp.report.scan_page.scan_page`; without label images nothing of the
        measurement is drawn.
    result : mapping
        The scan result, for its findings.
    titles : tuple of str
        Titles of the T1 of this scan and of the reference scan.
    window, base_window : tuple of float
        Signal that becomes black and white, of this scan and of the reference scan.

    Returns
    -------
    own, pairs : list of Panel
        The scan alone, and the scan beside its reference scan.

    Raises
    ------
    ValueError
        If images of one grid differ in it.
    """
    own: list[Panel] = []
    pairs: list[Panel] = []
    names = (f"This scan, {titles[0]}", f"Reference scan, {titles[1]}")
    for axial in AXIAL_SLICES:
        own = _own(volumes, result, titles[0], window, axial)
        pairs = _pairs(volumes, names, window, base_window, axial)
        if _weight(own) + _weight(pairs) < LARGEST:
            break
    return own, pairs
