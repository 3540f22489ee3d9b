"""Pictures of findings for the archive: three planes through each, with what it is burned in."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from typing import Any

import nibabel as nib
import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFont

from lmresp import __version__
from lmresp.dicom.labels import enhancement_judged
from lmresp.dicom.secondary_capture import Picture
from lmresp.report import slices
from lmresp.report.scan_view import signal_window

LARGEST = 320  # pixels along the longest edge of the head
STATE = "DRAFT - not for diagnosis"
PLANES: tuple[slices.PlaneName, ...] = ("axial", "coronal", "sagittal")
_LINE = 18  # pixels of a line of text
_FONT = ImageFont.load_default(14)
_RED, _WHITE = (255, 120, 120), (235, 235, 235)


def finding_pictures(
    result: Mapping[str, Any],
    anchor: nib.Nifti1Image,
    labels: nib.Nifti1Image,
    brain: nib.Nifti1Image | None = None,
) -> list[Picture]:
    """Draw one picture for each finding; one through the middle of the head where there is none.

    Parameters
    ----------
    result : mapping
        Scan result.
    anchor, labels : Nifti1Image
        The T1 that carries the scan and its labels, in the common space.
    brain : Nifti1Image, optional
        Mask of the brain, on the grid of both; the window is that of its signal, as on the scan page.

    Returns
    -------
    list of Picture
        Axial, coronal and sagittal side by side in radiological convention, outlined, each with its letters and its
        place; above them state, study of the subject, visit and software.
    """
    grey, drawn = slices.Volume.from_image(anchor), slices.Volume.from_image(labels)
    box = slices.head_box(grey, LARGEST)
    window = signal_window(grey, None if brain is None else slices.Volume.from_image(brain))
    findings = result["findings"]
    if not findings:
        middle = (np.array(box.low) + np.array(box.high)) // 2
        center = (grey.affine @ [*middle, 1.0])[:3]
        name, title = ("no-finding", "no finding")
        if not enhancement_judged(result):
            name, title = ("not-judged", "enhancement could not be judged: nothing marked does not mean absent")
        return [_picture(name, title, center, result, grey, drawn, box, window)]
    return [
        _picture(
            f"finding-{one['id']:02d}", words(one), one["center_mm"], result, grey, drawn, box, window, str(one["id"])
        )
        for one in findings
    ]


def words(finding: Mapping[str, Any]) -> str:
    """Say in one line what a finding is."""
    if finding["kind"] == "linear":
        size = f"{finding['volume_mm3'] / 1000:.2f} mL"
        kind = f"linear enhancement {finding['region']}".strip()
    else:
        size = f"{finding['long_mm']} x {finding['perp_mm']} mm"
        kind = "nodule" if finding["track"] is None else f"nodule {finding['track']}"
        kind += "" if finding["lm_related"] else " (not leptomeningeal)"
    told = f"finding {finding['id']}: {kind}, {size}, confidence {finding['confidence']:.2f}"
    return f"{told}, {finding['status']}" if finding["status"] else told


def _picture(
    name: str,
    title: str,
    center: Sequence[float],
    result: Mapping[str, Any],
    grey: slices.Volume,
    labels: slices.Volume,
    box: slices.Box,
    window: tuple[float, float],
    mark: str = "",
) -> Picture:
    voxel = grey.voxel(center)
    panes = []
    for plane in PLANES:
        index = voxel[slices.NORMAL[plane]]
        pane = slices.outline(slices.grey(grey, plane, index, box, window), labels, plane, index, box)
        pane = slices.tagged(pane, [(*slices.pixel(voxel, plane, grey, box), mark)])
        caption = f"{plane}, {slices.place(plane, grey.position(plane, index))}"
        panes.append(_coloured(slices.framed(pane, plane, caption)))
    height = max(pane.shape[0] for pane in panes)
    filled = [np.pad(pane, ((0, height - pane.shape[0]), (0, 0), (0, 0))) for pane in panes]
    row = np.concatenate(filled, axis=1)
    where = f"{result['subject_id']}  visit {result['visit']} ({result['visit_num']})  scan {result['scan_date']}"
    told = [(STATE, _RED), (where, _WHITE), (title, _WHITE), (f"lmresp {__version__}, research use", _WHITE)]
    lines = [(line, colour) for words, colour in told for line in _wrapped(words, row.shape[1])]
    return Picture(name, np.concatenate([_strip(lines, row.shape[1]), row], axis=0), f"{STATE}; {title}")


def _wrapped(words: str, width: int) -> list[str]:
    """Break a line where it would leave the picture; in the middle of a word where that is longer than a line."""
    known = words.encode("latin-1", "backslashreplace").decode("latin-1")  # what the font has
    fits = max(int((width - 8) / _FONT.getlength("W")), 1)  # of the widest letter
    if _FONT.getlength(known) <= width - 8:
        return [known]
    return textwrap.wrap(known, fits) or [""]


def _coloured(picture: slices.Picture) -> npt.NDArray[np.uint8]:
    """Palette indices to red, green and blue."""
    shades = np.rint(np.arange(slices.GREYS) * 255 / (slices.GREYS - 1)).astype(np.uint8)
    palette = np.concatenate([np.repeat(shades[:, None], 3, axis=1), np.array(list(slices.INK.values()), np.uint8)])
    return np.asarray(palette[picture], dtype=np.uint8)


def _strip(lines: Sequence[tuple[str, tuple[int, int, int]]], width: int) -> npt.NDArray[np.uint8]:
    image = Image.new("RGB", (width, _LINE * len(lines) + 4))
    draw = ImageDraw.Draw(image)
    for row, (text, colour) in enumerate(lines):
        draw.text((4, 2 + row * _LINE), text, fill=colour, font=_FONT)
    return np.asarray(image)
