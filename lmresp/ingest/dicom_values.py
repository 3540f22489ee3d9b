"""Values of DICOM elements, whatever a file holds in their place."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import pydicom
from pydicom.dataset import Dataset


def walk(place: Dataset, steps: Sequence[str]) -> Any:
    """Value at the end of a path of nested sequences, the first item of each; None when a step is missing."""
    value: Any = place
    for step in steps:
        if isinstance(value, pydicom.Sequence):
            value = value[0] if len(value) else None
        if not isinstance(value, Dataset):
            return None
        value = value.get(step)
    return value


def values(ds: Dataset, name: str) -> list[str]:
    """All values of an element as stripped texts."""
    value = ds.get(name)
    if value is None:
        return []
    return (
        [str(v).strip() for v in value]
        if isinstance(value, (list, pydicom.multival.MultiValue))
        else [str(value).strip()]
    )


def text(ds: Dataset, name: str) -> str:
    """Values of an element joined to one text; empty when it is not there."""
    return " ".join(values(ds, name)).strip()


def number(value: Any) -> float | None:
    """A finite number, or None."""
    try:
        found = float(value)
    except (TypeError, ValueError):
        return None
    return found if math.isfinite(found) else None


def integer(ds: Dataset, name: str) -> int:
    """First value of an element as a whole number; 0 when it is none."""
    value = ds.get(name)
    if isinstance(value, (list, pydicom.multival.MultiValue)):
        value = value[0] if value else None
    found = number(value)
    return int(found) if found is not None else 0
