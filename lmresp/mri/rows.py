"""From what was found to the rows of the scan result: findings with their status, measures, the facts of the draft."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from lmresp.mri import change, draft, nodules, qc, ventricles
from lmresp.mri.measurement import ReferenceScan, measure_row
from lmresp.mri.methods import number
from lmresp.mri.steps import Enhancing, Prepared, inverse
from lmresp.mri.volume import Mask, Volume


def scan_facts(
    scan: Prepared,
    found: Enhancing,
    spaces: ventricles.Ventricles,
    changed: change.Changed | None,
    reference: ReferenceScan | None,
) -> tuple[list[dict[str, Any]], draft.Facts]:
    """Findings with their status, and what the draft rests on (see :class:`lmresp.mri.draft.Facts`)."""
    uncertain = _diameter_uncertainty(scan)
    related = [n for n in found.nodules if n.lm_related and n.confidence >= number("draft.confident")]
    before = reference.nodules if reference is not None else []
    pairs: list[int | None] = [None] * len(related)
    lost: list[int] = []
    compared = changed is not None and reference is not None and scan.from_reference is not None
    status = {id(n): "baseline" for n in found.nodules}
    new = unseen = 0
    if compared and reference is not None and scan.from_reference is not None and changed is not None:
        pairs, lost = nodules.match(related, before, inverse(scan.from_reference))
        for nodule, partner in zip(related, pairs, strict=True):
            if partner is None:
                status[id(nodule)] = "new"
                place = (inverse(scan.from_reference) @ [*nodule.center_mm, 1.0])[:3]
                new += int(_seen(place, nodule.long_mm, changed.up, reference.anchor))
                continue
            _, long_mm, perp_mm = before[partner]
            gone = nodule.long_mm * nodule.perp_mm - long_mm * perp_mm
            noise = uncertain * np.sqrt(2 * (long_mm**2 + perp_mm**2))
            grew = gone > max(noise, 0.01 * number("draft.worse_percent") * long_mm * perp_mm)
            shrank = -gone > max(noise, 0.01 * number("draft.improved_percent") * long_mm * perp_mm)
            status[id(nodule)] = "grown" if grew else "shrunk" if shrank else "unchanged"
    if changed is not None and reference is not None:
        unseen = sum(not _seen(before[m][0], before[m][1], changed.gone, reference.anchor) for m in lost)
    findings = _finding_rows(scan, found, status, compared)
    largest = sorted((n.long_mm * n.perp_mm for n in related if n.measurable), reverse=True)[:3]
    limit = number("nodules.measurable_mm")
    earlier = sorted((a * b for _, a, b in before if a > limit and b > limit), reverse=True)[:3]
    spread = uncertain * float(np.sqrt(2 * sum(n.long_mm**2 + n.perp_mm**2 for n in related[:3]) + 2 * sum(earlier)))
    film = found.film
    why = scan.no_change or (
        f"the enhancement of {'this' if found.why_not else 'the reference'} scan could not be judged"
        if reference is not None and not compared
        else ""
    )
    facts = draft.Facts(
        no_enhancement=found.why_not,
        no_change=why,
        is_reference=reference is None,
        nodules=[(n.long_mm, n.perp_mm, n.lm_related, n.confidence) for n in found.nodules],
        new=new,
        lost=len(lost),
        lost_unseen=unseen,
        sum_products=float(sum(largest)),
        reference_products=float(sum(earlier)),
        products_uncertainty=spread,
        reference_items={} if reference is None else reference.items,
        linear_mm3=film.volume_mm3 if film else 0.0,
        linear_sure_mm3=sum(c.volume_mm3 for c in film.components if c.confidence >= number("draft.linear_sure"))
        if film
        else 0.0,
        crowded=found.crowded,
        linear_confidence=max((c.confidence for c in film.components), default=0.0) if film else 0.0,
        up_mm3=changed.up_mm3 if changed else 0.0,
        down_mm3=changed.down_mm3 if changed else 0.0,
        floor_mm3=changed.floor_mm3 if changed else 0.0,
        hidden_up_mm3=changed.hidden_up_mm3 if changed else 0.0,
        hidden_down_mm3=changed.hidden_down_mm3 if changed else 0.0,
        reference_linear_mm3=float((reference.measures.get("LINEAR_VOL") or 0.0) if reference else 0.0),
        evans=spaces.evans,
        ventricles_mm3=spaces.volume_mm3,
        reference_ventricles_mm3=reference.measures.get("VENT_VOL") if reference else None,
        quality=scan.quality,
    )
    return findings, facts


def _seen(center_mm: npt.NDArray[np.float64], long_mm: float, changed: Mask, grid: Volume) -> bool:
    """Whether the change map, too, shows something at the place of a nodule (world of the reference scan)."""
    place = np.linalg.inv(grid.affine) @ [*center_mm, 1.0]
    reach = np.ceil(0.5 * long_mm / grid.spacing).astype(int)
    low = [max(0, round(c) - r) for c, r in zip(place[:3], reach, strict=True)]
    high = [round(c) + r + 1 for c, r in zip(place[:3], reach, strict=True)]
    return bool(changed[low[0] : high[0], low[1] : high[1], low[2] : high[2]].any())


def _finding_rows(scan: Prepared, found: Enhancing, status: dict[int, str], compared: bool) -> list[dict[str, Any]]:
    to_voxel = np.linalg.inv(scan.anchor.affine)
    rows: list[dict[str, Any]] = []
    for nodule in found.nodules:
        voxel = (to_voxel @ [*nodule.center_mm, 1.0])[:3]
        rows.append(
            {
                "id": len(rows) + 1,
                "kind": "nodule",
                "long_mm": round(nodule.long_mm, 1),
                "perp_mm": round(nodule.perp_mm, 1),
                "volume_mm3": round(nodule.volume_mm3, 1),
                "center_mm": [round(float(c), 1) for c in nodule.center_mm],
                "voxel": [round(float(c)) for c in voxel],
                "measurable": nodule.measurable,
                "lm_related": nodule.lm_related,
                "confidence": nodule.confidence,
                "status": status[id(nodule)],
                "note": nodule.note,
            }
        )
    pieces = found.film.components[: int(number("linear.listed"))] if found.film else []
    for piece in pieces:
        rows.append(
            {
                "id": len(rows) + 1,
                "kind": "linear",
                "long_mm": None,
                "perp_mm": None,
                "volume_mm3": round(piece.volume_mm3, 1),
                "center_mm": [round(float(c), 1) for c in (scan.anchor.affine @ [*piece.voxel, 1.0])[:3]],
                "voxel": [round(c) for c in piece.voxel],
                "measurable": False,
                "lm_related": True,
                "confidence": piece.confidence,
                "status": "" if compared else "baseline",
                "note": "; ".join(
                    ["may be vessel: a reader must look"] * (piece.confidence < number("draft.confident"))
                    + ["change of a single piece is not worked out: see the item"] * compared
                ),
            }
        )
    return rows


def _diameter_uncertainty(scan: Prepared) -> float:
    """Uncertainty of one diameter, mm: half a voxel diagonal in the plane, at least 0.5."""
    return max(0.5, 0.5 * float(np.hypot(*scan.anchor.spacing[:2])))


def measure_rows(
    scan: Prepared,
    found: Enhancing,
    spaces: ventricles.Ventricles,
    facts: draft.Facts,
    reference: ReferenceScan | None,
) -> list[dict[str, Any]]:
    """Rows of ``measures``, each with method, quality and uncertainty; a number that could not be had says why."""
    before = reference.measures if reference is not None and not scan.no_change else {}
    overall = qc.worst([c["result"] for c in scan.checks])
    reason = "; ".join(c["check"] for c in scan.checks if c["result"] != "PASS")
    common: dict[str, Any] = {"qc": overall, "qc_reason": reason}
    volume = float(scan.mask.sum()) * scan.anchor.voxel_mm3
    rows = [
        measure_row(
            "BRAIN_VOL", volume, "mm3", "brain", uncertainty=0.05 * volume, before=before.get("BRAIN_VOL"), **common
        ),
        measure_row(
            "VENT_VOL",
            spaces.volume_mm3,
            "mm3",
            "ventricles",
            uncertainty=number("ventricles.uncertainty") * spaces.volume_mm3,
            before=before.get("VENT_VOL"),
            **common,
        ),
        measure_row(
            "EVANS_INDEX",
            spaces.evans,
            "1",
            "ventricles",
            uncertainty=number("ventricles.evans_uncertainty"),
            before=before.get("EVANS_INDEX"),
            **(common if spaces.evans is not None else {"qc_reason": "frontal horns not found"}),
        ),
    ]
    related = [n for n in found.nodules if n.lm_related and n.confidence >= number("draft.confident")]
    nodular = float(sum(n.volume_mm3 for n in related))
    skin = _diameter_uncertainty(scan)
    spread = float(sum(n.volume_mm3 * 3 * skin / max(n.perp_mm, skin) for n in related))
    film, film_spread = facts.linear_mm3, max(number("linear.uncertainty_mm3"), 0.5 * facts.linear_mm3)
    values: list[tuple[str, float, str, str, float]] = [
        ("LINEAR_VOL", film, "mm3", "linear", film_spread),
        ("NODULE_VOL", nodular, "mm3", "nodules", spread),
        ("NODULE_N", float(len(related)), "1", "nodules", 1.0),
        ("SUM_PRODUCTS", facts.sum_products, "mm2", "nodules", facts.products_uncertainty),
        ("ENH_VOL", film + nodular, "mm3", "enhancement", film_spread + spread),
    ]
    for name, value, unit, method, uncertainty in values:
        if found.why_not:
            rows.append(measure_row(name, None, unit, method, uncertainty=None, qc_reason=found.why_not))
        else:
            rows.append(
                measure_row(name, value, unit, method, uncertainty=uncertainty, before=before.get(name), **common)
            )
    return rows
