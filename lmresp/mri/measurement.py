"""What a measurement is: the values that pass from the steps to the scan result."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import numpy.typing as npt

from lmresp.mri.methods import method_id
from lmresp.mri.volume import Mask, Matrix, Volume

LINEAR, NODULE, VENTRICLE, NORMAL = 1, 2, 3, 4


@dataclasses.dataclass(frozen=True, eq=False)
class ReferenceScan:
    """The measured reference scan of a subject, as read back from its stored results.

    Parameters
    ----------
    scan : str
        Its name.
    contrast : {"prepost", "post_only", "none"}
        What its enhancement rests on.
    anchor : Volume
        T1 that carries its grid (post-contrast, or pre-contrast if there is no other).
    enhancement, pre : Volume or None
        E, and pre-contrast T1 in white-matter units, on that grid; None unless ``contrast`` is ``prepost``.
    labels : uint8, shape of ``anchor``
        Segmentation (1 linear, 2 nodule, 3 ventricles, 4 normal).
    brain : bool, shape of ``anchor``
        Brain mask.
    to_template : float64, shape (4, 4)
        Its world to the template's.
    stripped : bool
        It was skull-stripped before.
    noise, full_signal : float
        Of its enhancement map.
    measures : dict of str to float or None
        Values by measure.
    nodules : list of (center_mm, long_mm, perp_mm)
        Leptomeningeal nodules, in its world.
    items : dict of str to str
        Drafted presence by item (brain).
    """

    scan: str
    contrast: str
    anchor: Volume
    enhancement: Volume | None
    pre: Volume | None
    labels: npt.NDArray[np.uint8]
    brain: Mask
    to_template: Matrix
    stripped: bool
    noise: float
    full_signal: float
    measures: dict[str, float | None]
    nodules: list[tuple[npt.NDArray[np.float64], float, float]]
    items: dict[str, str]


@dataclasses.dataclass(frozen=True, eq=False)
class ScanMeasurement:
    """Everything measured on one scan; the tables are as in the scan result.

    Parameters
    ----------
    contrast : {"prepost", "post_only", "none"}
        What enhancement rests on.
    measures, findings, items, qc : list of dict
        Rows of the scan result.
    queries : list of (code, fields)
        Queries to raise, without the scan's own fields.
    images : dict of str to Volume
        ``anchor``, ``pre``, ``flair``, ``t2``, ``brain``, ``labels``, ``enhancement``, ``reference_anchor``,
        ``reference_labels``: those that exist.
    geometry : dict
        What a later visit needs of this one: ``to_template``, ``stripped``, ``noise``, ``full_signal``, ``pre_scale``,
        ``from_reference``.
    """

    contrast: str
    measures: list[dict[str, Any]]
    findings: list[dict[str, Any]]
    items: list[dict[str, Any]]
    qc: list[dict[str, Any]]
    queries: list[tuple[str, dict[str, str]]]
    images: dict[str, Volume]
    geometry: dict[str, Any]


def measure_row(
    measure: str,
    value: float | None,
    unit: str,
    method: str,
    *,
    uncertainty: float | None,
    before: float | None = None,
    qc: str = "PASS",
    qc_reason: str = "",
) -> dict[str, Any]:
    """One row of ``measures``; ``value`` None needs a ``qc_reason``."""
    digits = 4 if measure == "EVANS_INDEX" else 1
    change = None
    if value is not None and before:
        change = round(100.0 * (value - before) / before, 1)
    return {
        "measure": measure,
        "compartment": "BRAIN",
        "value": None if value is None else round(value, digits),
        "unit": unit,
        "method": method_id(method),
        "qc": "FAIL" if value is None else qc,
        "qc_reason": qc_reason,
        "uncertainty": None if uncertainty is None or value is None else round(uncertainty, digits),
        "reference_value": None if before is None else round(before, digits),
        "change_percent": change,
    }
