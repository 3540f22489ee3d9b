"""What a measurement is: the values that pass from the steps to the scan result."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import numpy.typing as npt

from lmresp.mri.lattice import Box
from lmresp.mri.methods import method_id
from lmresp.mri.volume import Mask, Matrix, Volume

LINEAR, NODULE, VENTRICLE, NORMAL = 1, 2, 3, 4


@dataclasses.dataclass(frozen=True, eq=False)
class Pose:
    """Where a scan lies in the subject's common space.

    Parameters
    ----------
    to_common : float64, shape (4, 4)
        Mm of the scan's T1, as acquired, to mm of the common space.
    to_template : float64, shape (4, 4)
        Mm of the common space to mm of the template (affine).
    box : float64, shape (2, 3)
        Lowest and highest corner of brain and margin in the common space, mm.
    why : str
        Why the scan could not be aligned to the subject's other scans, or "". Its pose is then its own.
    checks : list of dict
        Checks of the alignment (see :func:`lmresp.mri.qc.check`).
    """

    to_common: Matrix
    to_template: Matrix
    box: Box
    why: str = ""
    checks: list[dict[str, Any]] = dataclasses.field(default_factory=list)


@dataclasses.dataclass(frozen=True)
class KnownNodule:
    """A nodule of an earlier scan.

    Parameters
    ----------
    track : int
        Its identity over all visits.
    center_mm : (x, y, z)
        Centre in the common space, mm.
    long_mm, perp_mm, volume_mm3 : float
        Diameters and volume.
    sure : bool
        Leptomeningeal, and the draft counted it.
    """

    track: int
    center_mm: tuple[float, float, float]
    long_mm: float
    perp_mm: float
    volume_mm3: float
    sure: bool


@dataclasses.dataclass(frozen=True, eq=False)
class EarlierScan:
    """A measured earlier scan of the subject, as read back from its stored results.

    Parameters
    ----------
    scan : str
        Its name.
    aligned : bool
        It lies in the common space of the subject.
    anchor : Volume
        T1 that carries its lattice (post-contrast, or pre-contrast if there is no other).
    enhancement, pre : Volume or None
        E, and pre-contrast T1 in white-matter units, on that lattice; None where enhancement could not be judged.
    labels : uint8, shape of ``anchor``
        Segmentation (1 linear, 2 nodule, 3 ventricles, 4 normal).
    brain : bool, shape of ``anchor``
        Brain mask.
    noise, full_signal : float
        Of its enhancement map.
    measures : dict of str to float or None
        Values by measure, those that failed their checks left out.
    nodules : list of KnownNodule
        Its tracked nodules.
    items : dict of str to str
        Drafted presence by item (brain).
    """

    scan: str
    aligned: bool
    anchor: Volume
    enhancement: Volume | None
    pre: Volume | None
    labels: npt.NDArray[np.uint8]
    brain: Mask
    noise: float
    full_signal: float
    measures: dict[str, float | None]
    nodules: list[KnownNodule]
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
    lost : list of dict
        Tracks of nodules that are not there any more: ``track``, ``center_mm``, ``long_mm``, ``perp_mm``, ``fate``,
        ``into``.
    images : dict of str to Volume
        ``anchor``, ``pre``, ``flair``, ``t2``, ``brain``, ``labels``, ``enhancement``, ``reference_anchor``,
        ``reference_labels``: those that exist.
    geometry : dict
        What a later visit and the way back to the scanner's coordinates need: ``to_common``, ``to_template``,
        ``noise``, ``full_signal``, ``pre_scale``, ``aligned``.
    """

    contrast: str
    measures: list[dict[str, Any]]
    findings: list[dict[str, Any]]
    items: list[dict[str, Any]]
    qc: list[dict[str, Any]]
    queries: list[tuple[str, dict[str, str]]]
    lost: list[dict[str, Any]]
    images: dict[str, Volume]
    geometry: dict[str, Any]


def measure_row(
    measure: str,
    value: float | None,
    unit: str,
    method: str,
    *,
    uncertainty: float | None,
    region: str = "",
    before: float | None = None,
    nadir: float | None = None,
    qc: str = "PASS",
    qc_reason: str = "",
) -> dict[str, Any]:
    """One row of ``measures``; ``value`` None needs a ``qc_reason``; ``nadir`` is the lowest earlier value."""
    digits = 4 if unit == "1" and measure != "NODULE_N" else 1

    def percent(earlier: float | None) -> float | None:
        return round(100.0 * (value - earlier) / earlier, 1) if value is not None and earlier else None

    return {
        "measure": measure,
        "compartment": "BRAIN",
        "region": region,
        "value": None if value is None else round(value, digits),
        "unit": unit,
        "method": method_id(method),
        "qc": "FAIL" if value is None else qc,
        "qc_reason": qc_reason,
        "uncertainty": None if uncertainty is None or value is None else round(uncertainty, digits),
        "reference_value": None if before is None else round(before, digits),
        "change_percent": percent(before),
        "nadir_value": None if nadir is None else round(nadir, digits),
        "nadir_change_percent": percent(nadir),
    }
