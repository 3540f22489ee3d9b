"""Slices of a volume as pictures: radiological orientation, one window, outlines, letters; as PNG bytes.

A picture is an array of palette indices: 0 to ``GREYS - 1`` are greys, the rest the colours of ``INK``. One byte
per pixel keeps the pages small, and the same input gives the same bytes.
"""

from __future__ import annotations

import dataclasses
import io
from collections.abc import Sequence
from typing import Any, Literal

import nibabel as nib
import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFont
from scipy import ndimage

Array = npt.NDArray[Any]
Picture = npt.NDArray[np.uint8]
PlaneName = Literal["axial", "coronal", "sagittal"]

GREYS = 240
INK: dict[str, tuple[int, int, int]] = {  # Okabe-Ito; dseg label order of the scan result
    "linear": (0xE6, 0x9F, 0x00),
    "nodule": (0xCC, 0x79, 0xA7),
    "ventricles": (0x56, 0xB4, 0xE9),
    "excluded": (0xC8, 0xC8, 0xC8),
}
LABELS = {1: "linear", 2: "nodule", 3: "ventricles", 4: "excluded"}
BORDER = 2  # pixels of an outline
MARGIN = 18  # room for the letters, outside the anatomy

NORMAL: dict[PlaneName, int] = {"sagittal": 0, "coronal": 1, "axial": 2}
# left, right, top, bottom of the picture
_LETTERS: dict[PlaneName, tuple[str, str, str, str]] = {
    "axial": ("R", "L", "A", "P"),
    "coronal": ("R", "L", "S", "I"),
    "sagittal": ("A", "P", "S", "I"),
}
_POSITION: dict[PlaneName, tuple[str, str]] = {"sagittal": ("R", "L"), "coronal": ("A", "P"), "axial": ("S", "I")}


@dataclasses.dataclass(frozen=True, eq=False)
class Volume:
    """A 3-D image with its axes turned to run to the right, to the front and up (nearest to RAS+).

    Parameters
    ----------
    array : shape (I, J, K)
        Values; NaN and infinity are 0.
    affine : float64, shape (4, 4)
        Voxel index to world position in mm, RAS+.
    """

    array: Array
    affine: npt.NDArray[np.float64]

    @classmethod
    def from_image(cls, image: Any) -> Volume:
        """Take a nibabel image; only axes are flipped and swapped, nothing is interpolated.

        Raises
        ------
        ValueError
            If the image is not three-dimensional.
        """
        if len(image.shape) != 3:
            raise ValueError(f"expected a 3-D image, got shape {image.shape}")
        turned: Any = nib.as_closest_canonical(image)  # type: ignore[no-untyped-call]
        array = np.asanyarray(turned.dataobj)
        if array.dtype.kind == "f":
            array = np.nan_to_num(array.astype(np.float32), nan=0.0, posinf=0.0, neginf=0.0)
        return cls(array, np.asarray(turned.affine, dtype=float))

    @property
    def spacing(self) -> npt.NDArray[np.float64]:
        """Voxel size in mm along the three axes."""
        return np.asarray(np.linalg.norm(self.affine[:3, :3], axis=0), dtype=float)

    def voxel(self, world: Sequence[float]) -> tuple[int, int, int]:
        """Nearest voxel of a world position in mm, clipped to the image."""
        place = np.linalg.solve(self.affine, [*map(float, world), 1.0])[:3]
        i, j, k = (int(n) for n in np.clip(np.rint(place), 0, np.array(self.array.shape) - 1))
        return i, j, k

    def position(self, plane: PlaneName, index: int) -> float:
        """World coordinate in mm, along the plane's normal, of the middle of a slice."""
        axis = NORMAL[plane]
        middle = (np.array(self.array.shape, dtype=float) - 1) / 2
        middle[axis] = index
        return float((self.affine @ [*middle, 1.0])[axis])


@dataclasses.dataclass(frozen=True, slots=True)
class Box:
    """Voxel bounds shared by every picture of a grid, and the scale of the pictures."""

    low: tuple[int, int, int]
    high: tuple[int, int, int]  # exclusive
    pixels_per_mm: float


def head_box(volume: Volume, largest: int) -> Box:
    """Bounds of the head (brighter than a tenth of the 99th percentile) and the scale that fits ``largest`` pixels."""
    array = volume.array
    bright = array > 0.1 * float(np.percentile(array[::2, ::2, ::2], 99))
    low, high = [], []
    for axis in range(3):
        others = tuple(a for a in range(3) if a != axis)
        hit = np.flatnonzero(bright.any(axis=others))
        size = array.shape[axis]
        low.append(max(int(hit[0]) - 2, 0) if hit.size else 0)
        high.append(min(int(hit[-1]) + 3, size) if hit.size else size)
    extent = float(max((b - a) * mm for a, b, mm in zip(low, high, volume.spacing, strict=True)))
    return Box((low[0], low[1], low[2]), (high[0], high[1], high[2]), largest / extent)


def cut(array: Array, plane: PlaneName, index: int, box: Box) -> Array:
    """One slice as seen: rows from the top, columns from the left.

    Radiological convention: axial and coronal show the subject's right on the picture's left; sagittal shows the
    front on the left. Axial has the front on top, the others the head.
    """
    window: list[Any] = [slice(a, b) for a, b in zip(box.low, box.high, strict=True)]
    window[NORMAL[plane]] = index
    section: Array = array[tuple(window)]
    return section[::-1, ::-1].T


def _resized(section: Array, plane: PlaneName, volume: Volume, box: Box, resample: Image.Resampling) -> Array:
    across, down = [mm for axis, mm in enumerate(volume.spacing) if axis != NORMAL[plane]]
    width = max(round(section.shape[1] * across * box.pixels_per_mm), 1)
    height = max(round(section.shape[0] * down * box.pixels_per_mm), 1)
    return np.asarray(Image.fromarray(np.ascontiguousarray(section)).resize((width, height), resample))


def grey(volume: Volume, plane: PlaneName, index: int, box: Box, window: tuple[float, float]) -> Picture:
    """Grey picture of a slice: ``window`` (low, high) becomes black to white."""
    section = cut(volume.array, plane, index, box).astype(np.float32)
    low, high = window
    scaled = np.clip((section - low) / max(high - low, 1e-9), 0, 1) * 255
    smooth = _resized(np.rint(scaled).astype(np.uint8), plane, volume, box, Image.Resampling.BILINEAR)
    return np.asarray(np.rint(smooth.astype(np.float32) * (GREYS - 1) / 255), dtype=np.uint8)


def outline(picture: Picture, labels: Volume, plane: PlaneName, index: int, box: Box) -> Picture:
    """Draw the outer border of each label on a copy; the inside stays bare, because the reader has to judge it.

    Excluded normal enhancement is dashed.
    """
    section = cut(labels.array, plane, index, box).astype(np.uint8)
    large = _resized(section, plane, labels, box, Image.Resampling.NEAREST)
    drawn = picture.copy()
    rows, columns = np.indices(drawn.shape)
    for label in sorted(LABELS, reverse=True):  # linear and nodules last, on top
        inside = large == label
        border = ndimage.binary_dilation(inside, iterations=BORDER) & ~inside
        if LABELS[label] == "excluded":
            border &= (rows + columns) % 6 < 3
        drawn[border] = GREYS + list(INK).index(LABELS[label])
    return drawn


def pixel(voxel: Sequence[int], plane: PlaneName, volume: Volume, box: Box) -> tuple[float, float]:
    """Column and row of a voxel's middle on the picture of its slice."""
    across, down = (axis for axis in range(3) if axis != NORMAL[plane])
    column, row = (
        (box.high[axis] - voxel[axis] - 0.5) * float(volume.spacing[axis]) * box.pixels_per_mm
        for axis in (across, down)
    )
    return column, row


def tagged(picture: Picture, tags: Sequence[tuple[float, float, str]]) -> Picture:
    """Write short texts beside places (column, row) of a picture, white with a black rim."""
    image = Image.fromarray(picture.copy())
    draw = ImageDraw.Draw(image)
    draw.fontmode = "1"  # no half-tones: every value is an index into the palette
    for column, row, text in tags:
        where = (min(column + 11, image.width - 9), max(row - 10, 9))
        draw.text(
            where, text, fill=GREYS - 1, font=ImageFont.load_default(16), anchor="mm", stroke_width=1, stroke_fill=0
        )
    return np.array(image)


def framed(picture: Picture, plane: PlaneName, caption: str) -> Picture:
    """Add a black margin with the letters of the four sides and a caption at the lower edge."""
    height, width = picture.shape
    frame = np.zeros((height + 2 * MARGIN, width + 2 * MARGIN), np.uint8)
    image = Image.fromarray(frame)
    draw = ImageDraw.Draw(image)
    font = ImageFont.load_default(13)
    left, right, top, bottom = _LETTERS[plane]
    middle_x, middle_y = MARGIN + width / 2, MARGIN + height / 2
    for letter, x, y in (
        (left, MARGIN / 2, middle_y),
        (right, MARGIN * 1.5 + width, middle_y),
        (top, middle_x, MARGIN / 2),
        (bottom, middle_x, MARGIN * 1.5 + height),
    ):
        draw.text((x, y), letter, fill=GREYS - 1, font=font, anchor="mm")
    draw.text((3, MARGIN / 2), caption, fill=GREYS - 30, font=ImageFont.load_default(11), anchor="lm")
    done = np.array(image)
    done[MARGIN : MARGIN + height, MARGIN : MARGIN + width] = picture
    return done


def place(plane: PlaneName, mm: float) -> str:
    """Words of a slice position, such as ``S 12 mm``."""
    up, down = _POSITION[plane]
    return f"{up if mm >= 0 else down} {abs(mm):.0f} mm"


def png(picture: Picture) -> bytes:
    """Encode palette indices as PNG."""
    image = Image.fromarray(picture)
    image.putpalette(
        [round(g * 255 / (GREYS - 1)) for g in range(GREYS) for _ in range(3)]
        + [c for ink in INK.values() for c in ink]
    )
    out = io.BytesIO()
    image.save(out, format="PNG", optimize=True)
    return out.getvalue()
