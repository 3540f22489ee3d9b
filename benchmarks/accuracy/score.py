"""From what was measured to figures of accuracy: pure functions on the rows that ``measure_heads`` keeps."""

from __future__ import annotations

import dataclasses
import itertools
import math
import re
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from lmresp.mri.methods import number

Row = dict[str, Any]
SIZE_GROUPS = ((4.0, 6.0), (6.0, 8.0), (8.0, 20.0))
ITEMS = ("NODULES", "LINEAR", "HYDROCEPHALUS")
FINE_MM = 1.2
REAL = ("ms-1mm", "glioma-thick")  # scans of real people, without truth
MEASURES = ("VENT_VOL", "EVANS_INDEX", "FOHR", "BRAIN_VOL", "LINEAR_VOL", "SUM_PRODUCTS")


@dataclasses.dataclass(frozen=True)
class Pair:
    """A true nodule and the finding at its place, if there is one."""

    row: Row
    true_mm: tuple[float, float]
    found: Row | None


def phantoms(rows: Iterable[Row]) -> list[Row]:
    """Rows of phantom scans that were measured."""
    return [row for row in rows if row["seed"] is not None]


def axial_diameters(true: Row) -> tuple[float, float]:
    """Longest and perpendicular diameter of an ellipsoid in the axial plane through its centre, mm."""
    across = sorted(true["diameters_mm"][:2], reverse=True)
    return float(across[0]), float(across[1])


def in_common(row: Row, point: Sequence[float]) -> np.ndarray:
    """A place in the scanner's mm of the T1 after contrast, in the common space."""
    return (np.array(row["found"]["to_common"]) @ [*point, 1.0])[:3]


def nodule_pairs(row: Row) -> tuple[list[Pair], list[Row]]:
    """True leptomeningeal nodules with what was found at their place, and the findings without any true lesion."""
    found = [f for f in row["found"]["findings"] if f["kind"] == "nodule"]
    left = list(range(len(found)))
    pairs = []
    lesions = [(n, True) for n in row["truth"].get("nodules", [])]
    lesions += [(n, False) for n in row["truth"].get("metastases", [])]
    for true, leptomeningeal in sorted(lesions, key=lambda item: -max(item[0]["diameters_mm"])):
        at = in_common(row, true["center_series_mm"]["T1_POST"])
        reach = max(3.0, 0.5 * max(true["diameters_mm"]))
        near = [(float(np.linalg.norm(np.array(found[k]["center_mm"]) - at)), k) for k in left]
        best = min(near, default=(math.inf, -1))
        hit = best[0] <= reach
        if hit:
            left.remove(best[1])
        if leptomeningeal:
            pairs.append(Pair(row, axial_diameters(true), found[best[1]] if hit else None))
    return pairs, [found[k] for k in left]


def is_sure(finding: Row) -> bool:
    """Whether the draft counts a finding."""
    bar = "draft.confident" if finding["kind"] == "nodule" else "draft.linear_sure"
    return bool(finding["lm_related"]) and finding["confidence"] >= number(bar)


def is_fine(row: Row) -> bool:
    """Whether a phantom scan has voxels of about 1 mm (thick slices are reported apart)."""
    return max(row["voxel_mm"]) <= FINE_MM


def sensitivity(rows: list[Row]) -> list[Row]:
    """By size of the true nodule: how many there were, were found at all, and were found with confidence."""
    pairs = [pair for row in phantoms(rows) for pair in nodule_pairs(row)[0]]
    out = []
    for low, high in SIZE_GROUPS:
        group = [p for p in pairs if low <= p.true_mm[0] < high]
        listed = [p for p in group if p.found is not None]
        sure = [p for p in listed if p.found is not None and is_sure(p.found)]
        out.append({"size": f"{low:g}-{high:g} mm", "true": len(group), "listed": len(listed), "sure": len(sure)})
    return out


def diameter_errors(rows: list[Row]) -> list[tuple[float, float, float, float]]:
    """Of every nodule found: true long and perpendicular diameter, and both errors, mm."""
    return [
        (*p.true_mm, p.found["long_mm"] - p.true_mm[0], p.found["perp_mm"] - p.true_mm[1])
        for row in phantoms(rows)
        for p in nodule_pairs(row)[0]
        if p.found is not None
    ]


def false_findings(rows: list[Row]) -> list[Row]:
    """Of every scan without disease: sure and listed false findings, and false film."""
    out = []
    for row in rows:
        if row["kind"] == "real" or row["scan"].startswith("healthy"):
            findings = row["found"]["findings"]
            related = [f for f in findings if f["lm_related"]]
            out.append(
                {
                    "scan": row["scan"] if row["seed"] is None else f"{row['seed']} {row['scan']}",
                    "voxel_mm": row.get("voxel_mm"),
                    "sure nodules": sum(f["kind"] == "nodule" and is_sure(f) for f in related),
                    "sure film": sum(f["kind"] == "linear" and is_sure(f) for f in related),
                    "listed": len(related),
                    "film_ml": (row["found"]["measures"].get("LINEAR_VOL") or 0.0) / 1000,
                    "items": {i["item"]: i["presence"] for i in row["found"]["items"]},
                }
            )
    return out


def true_value(row: Row, measure: str) -> float | None:
    """True value of a measure, where the phantom states it."""
    truth = row["truth"]
    keys = {
        "VENT_VOL": "ventricles_mm3",
        "EVANS_INDEX": "evans_index",
        "FOHR": "frontal_occipital_horn_ratio",
        "LINEAR_VOL": "film_mm3",
    }
    return truth.get(keys[measure]) if measure in keys else None


def measure_errors(rows: list[Row], measure: str) -> list[tuple[Row, float, float]]:
    """Row, true and measured value of every phantom scan that has both."""
    out = []
    for row in phantoms(rows):
        true, found = true_value(row, measure), row["found"]["measures"].get(measure)
        if true is not None and found is not None:
            out.append((row, float(true), float(found)))
    return out


def with_reference(rows: list[Row]) -> list[tuple[Row, Row]]:
    """Every follow-up scan of a phantom with its reference scan."""
    by_name = {(row["seed"], row["scan"]): row for row in phantoms(rows)}
    return [(row, by_name[row["seed"], row["reference"]]) for row in phantoms(rows) if row["reference"]]


def ventricle_change_errors(rows: list[Row], least_mm3: float = 1000.0) -> list[float]:
    """Relative errors of the change of ventricle volume, of follow-ups whose ventricles truly changed."""
    out = []
    for row, base in with_reference(rows):
        true = row["truth"]["ventricles_mm3"] - base["truth"]["ventricles_mm3"]
        now, before = (r["found"]["measures"].get("VENT_VOL") for r in (row, base))
        if abs(true) > least_mm3 and now is not None and before is not None:
            out.append(abs((now - before) / true - 1))
    return out


def repeatability(rows: list[Row], measure: str) -> tuple[int, float, float]:
    """Pairs, repeatability coefficient (1.96 x sqrt 2 x within-subject SD) and mean of a measure over rescans."""
    pairs = [
        (row["found"]["measures"].get(measure), base["found"]["measures"].get(measure))
        for row, base in with_reference(rows)
        if row["kind"] == "rescan"
    ]
    both = np.array([(a, b) for a, b in pairs if a is not None and b is not None], float)
    if not len(both):
        return 0, math.nan, math.nan
    within = np.sqrt(np.mean((both[:, 0] - both[:, 1]) ** 2) / 2)
    return len(both), float(1.96 * math.sqrt(2) * within), float(both.mean())


def change_agreement(rows: list[Row]) -> list[Row]:
    """Of every follow-up and item: the true change, the drafted one and the true film change in percent."""
    out = []
    for row, base in with_reference(rows):
        drafted = {i["item"]: i for i in row["found"]["items"] if i["compartment"] == "BRAIN"}
        before, now = base["truth"]["film_mm3"], row["truth"]["film_mm3"]
        percent = 100 * (now - before) / before if before else 0.0
        out += [
            {
                "seed": row["seed"],
                "scan": row["scan"],
                "kind": row["kind"],
                "item": item,
                "truth": _true_change(row, base, item),
                "drafted": drafted[item]["change"],
                "confidence": drafted[item]["confidence"],
                "film_percent": percent,
                "film_mmol": row["film_mmol"],
                "reason": drafted[item]["reason"],
                "sign_right": _sign_right(drafted[item]["reason"], percent) if item == "LINEAR" else None,
            }
            for item in ITEMS
        ]
    return out


def _sign_right(reason: str, percent: float) -> bool:
    """Whether the net change that the draft states has the sign of the true one."""
    stated = re.search(r"net change ([+-][0-9.]+) ml", reason)
    return bool(stated) and (float(stated[1]) > 0) == (percent > 0)  # type: ignore[index]


def _true_change(row: Row, base: Row, item: str) -> str:
    """Change that a perfect reader would score, by the limits that the draft itself uses."""
    if row["kind"] == "rescan":
        return "NO CHANGE"
    if item == "HYDROCEPHALUS":
        percent = 100 * (row["truth"]["ventricles_mm3"] / base["truth"]["ventricles_mm3"] - 1)
        return "WORSE" if percent > number("draft.ventricle_percent") else "NO CHANGE"
    return {"worse": "WORSE", "better": "IMPROVED"}[row["kind"]]


def calibration(rows: list[Row], edges: Sequence[float] = (0, 0.2, 0.4, 0.6, 0.8, 1.01)) -> list[Row]:
    """By band of stated confidence: nodule findings, and how many of them stand where a true lesion is."""
    seen: list[tuple[float, bool]] = []
    for row in rows:
        if row["kind"] == "real":
            continue
        pairs, spare = nodule_pairs(row)
        seen += [(p.found["confidence"], True) for p in pairs if p.found is not None and p.found["lm_related"]]
        seen += [(f["confidence"], False) for f in spare if f["lm_related"]]
    out = []
    for low, high in itertools.pairwise(edges):
        band = [true for confidence, true in seen if low <= confidence < high]
        out.append({"from": low, "to": min(high, 1.0), "findings": len(band), "true": sum(band)})
    return out


def registration_errors(rows: list[Row]) -> list[tuple[Row, float]]:
    """Of every follow-up: mean distance (mm) over the brain between found and true alignment to the reference."""
    corners = np.stack(np.meshgrid([-60, 60], [-90, 60], [-40, 70], [1.0], indexing="ij")).reshape(4, -1)
    out = []
    for row, base in with_reference(rows):
        truth = np.array(row["truth"]["poses"]["T1_POST"]) @ np.linalg.inv(base["truth"]["poses"]["T1_POST"])
        found = np.linalg.inv(row["found"]["to_common"]) @ np.array(base["found"]["to_common"])
        out.append((row, float(np.linalg.norm(((found - truth) @ corners)[:3], axis=0).mean())))
    return out


def abstention(rows: list[Row]) -> dict[str, tuple[int, int]]:
    """By item: presences and changes that the draft left NE, of all it was asked for."""
    out: dict[str, tuple[int, int]] = {}
    for item in ITEMS:
        asked = left = 0
        for row in phantoms(rows):
            one = next(i for i in row["found"]["items"] if i["item"] == item and i["compartment"] == "BRAIN")
            values = [one["presence"], *([one["change"]] if row["reference"] else [])]
            asked += len(values)
            left += sum(v == "NE" for v in values)
        out[item] = (left, asked)
    return out
