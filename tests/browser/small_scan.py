"""A small scan for the tests of its page in browsers: an ellipsoid head on a lattice of 4 mm, blocks as nodules."""

from __future__ import annotations

from typing import Any

import numpy as np

SHAPE = (40, 48, 36)
AFFINE = np.diag([4.0, 4.0, 4.0, 1.0])
AFFINE[:3, 3] = [-78, -94, -70]


def result(scan: str, visit: str, findings: list[dict[str, Any]], reference: str | None) -> dict[str, Any]:
    item = {"item": "NODULES", "compartment": "BRAIN", "presence": "PRESENT", "change": "WORSE", "confidence": 0.8}
    measure = {
        "measure": "NODULE_VOL",
        "compartment": "BRAIN",
        "value": 729.0,
        "unit": "mm3",
        "method": "lmresp nodules",
    }
    measure |= {"qc": "PASS", "qc_reason": "", "uncertainty": 30.0, "reference_value": 600.0, "change_percent": 21.5}
    check = {
        "check": "motion artefact",
        "value": 0.2,
        "unit": "part",
        "limit": "<= 0.06",
        "result": "WARN",
        "meaning": "m",
    }
    series = {"series": "T1-1", "sequence": "T1_POST", "role": "post", "body_part": "BRAIN", "plane": "AXIAL"}
    series |= {"acquisition": "3D", "reason": "header", "confidence": 1.0, "overruled": False, "use": True}
    series |= {"shape": [40, 48, 36], "note": "", "digest": "a" * 64}
    return {
        "scan": scan,
        "subject_id": "S-01",
        "visit": visit,
        "visit_num": "2",
        "scan_date": "2024-02-12",
        "reference": reference,
        "status": "measured",
        "reason": "",
        "software": "lmresp 0.1.0",
        "contrast": "prepost",
        "geometry": {"aligned": True},
        "series": [series],
        "measures": [measure],
        "findings": findings,
        "lost": [
            {"track": 9, "center_mm": [-30, -40, -18], "long_mm": 7, "perp_mm": 5, "fate": "vanished", "into": None}
        ],
        "scorecard": {
            "coverage": "brain only",
            "reference": reference,
            "overall": "PD",
            "rule_id": "SC1",
            "certainty": "seen",
            "items": [item | {"reason": "new", "evidence": {"label": 2, "findings": [1]}}],
        },
        "qc": [check],
        "queries": [],
        "files": {},
    }


def finding(number: int, center_mm: tuple[float, float, float], **changed: Any) -> dict[str, Any]:
    return {
        "id": number,
        "kind": "nodule",
        "track": number,
        "long_mm": 12.0,
        "perp_mm": 12.0,
        "volume_mm3": 1728.0,
        "center_mm": list(center_mm),
        "measurable": True,
        "lm_related": True,
        "confidence": 0.9,
        "status": "new",
        "note": "",
        "region": "",
        "uncertainty_mm": 0.7,
    } | changed


def head() -> Any:
    axes = np.meshgrid(*(np.linspace(-1, 1, n) for n in SHAPE), indexing="ij")
    return np.where(sum((axis / 0.8) ** 2 for axis in axes) < 1, 500.0, 0.0).astype(np.float32)


def block(array: Any, center_mm: tuple[float, float, float], value: float) -> None:
    i, j, k = np.rint(np.linalg.solve(AFFINE, [*center_mm, 1])[:3]).astype(int)
    array[i - 1 : i + 2, j - 1 : j + 2, k - 1 : k + 2] = value
