"""What the steps of a measurement hand to each other: the prepared scan, and what enhances in it."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np

from lmresp.mri import brain, enhancement, linear, nodules
from lmresp.mri.volume import Mask, Matrix, Volume


@dataclasses.dataclass(eq=False)
class Prepared:
    """The scan while it is measured: images on one grid, the frame, checks so far."""

    contrast: str
    anchor: Volume
    frame: brain.Frame
    from_reference: Matrix | None
    mask: Mask
    images: dict[str, Volume]
    checks: list[dict[str, Any]]
    no_change: str
    quality: float


@dataclasses.dataclass(eq=False)
class Enhancing:
    """What enhances, and why it could not be judged if so."""

    why_not: str
    map: enhancement.Enhancement | None
    full_signal: float
    nodules: list[nodules.Nodule]
    nodule_mask: Mask
    film: linear.Found | None
    normal: Mask
    crowded: bool = False


def inverse(matrix: Matrix) -> Matrix:
    """Inverse of a world-to-world matrix."""
    return np.asarray(np.linalg.inv(matrix), dtype=float)
