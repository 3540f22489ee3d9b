"""Checks of a measurement: each with its value, its limit and what a failure means."""

from __future__ import annotations

from typing import Any

from lmresp.mri.methods import table


def check(name: str, value: float | None) -> dict[str, Any]:
    """Grade one check against ``parameters/qc.yaml``.

    Parameters
    ----------
    name : str
        Key under ``qc``: has ``check``, ``unit``, ``better`` (``high`` or ``low``), ``warn``, ``fail`` and ``meaning``.
    value : float or None
        Measured value; None fails.

    Returns
    -------
    dict
        ``check``, ``value``, ``unit``, ``limit``, ``result`` (PASS, WARN or FAIL) and ``meaning``.
    """
    rule = table()["qc"][name]
    warn, fail, high = float(rule["warn"]), float(rule["fail"]), rule["better"] == "high"
    if value is None:
        result = "FAIL"
    elif high:
        result = "FAIL" if value < fail else "WARN" if value < warn else "PASS"
    else:
        result = "FAIL" if value > fail else "WARN" if value > warn else "PASS"
    return {
        "check": str(rule["check"]),
        "value": None if value is None else round(float(value), 4),
        "unit": str(rule["unit"]),
        "limit": f"{'>=' if high else '<='} {rule['warn']} (fails {'<' if high else '>'} {rule['fail']})",
        "result": result,
        "meaning": str(rule["meaning"]),
    }


def worst(results: list[str]) -> str:
    """Worst of PASS, WARN and FAIL (PASS for none)."""
    return max(results, key=["PASS", "WARN", "FAIL"].index, default="PASS")
