"""From what was found to the rows of the scan result: findings with their tracks, measures, the facts of the draft."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from lmresp.mri import draft, qc, ventricles
from lmresp.mri.compare import Against, Tracked
from lmresp.mri.earlier import Earlier
from lmresp.mri.enhancing import Enhancing
from lmresp.mri.measurement import KnownNodule, measure_row
from lmresp.mri.methods import number
from lmresp.mri.nodules import Nodule
from lmresp.mri.prepare import Prepared


def finding_rows(scan: Prepared, found: Enhancing, tracked: Tracked) -> list[dict[str, Any]]:
    """Rows of ``findings``: nodules first, largest first, then the largest pieces of film."""
    to_voxel = np.linalg.inv(scan.anchor.affine)
    rows: list[dict[str, Any]] = []
    for nodule, state in zip(found.nodules.nodules if found.nodules else (), tracked.states, strict=True):
        voxel = (to_voxel @ [*nodule.center_mm, 1.0])[:3]
        rows.append(
            {
                "id": len(rows) + 1,
                "kind": "nodule",
                "track": state.track,
                "region": "",
                "long_mm": round(nodule.long_mm, 1),
                "perp_mm": round(nodule.perp_mm, 1),
                "other_planes_mm2": [round(product, 1) for product in nodule.other_planes_mm2],
                "feret_mm": round(nodule.feret_mm, 1),
                "uncertainty_mm": round(diameter_uncertainty(scan), 2),
                "volume_mm3": round(nodule.volume_mm3, 1),
                "area_mm2": None,
                "center_mm": [round(float(c), 1) for c in nodule.center_mm],
                "voxel": [round(float(c)) for c in voxel],
                "measurable": nodule.measurable,
                "lm_related": nodule.lm_related,
                "confidence": round(nodule.confidence, 3),
                "status": state.status,
                "note": "; ".join(filter(None, [nodule.note, state.note])),
            }
        )
    pieces = found.film.components[: int(number("linear.listed"))] if found.film else []
    for piece in pieces:
        doubtful = piece.confidence < number("draft.linear_sure")
        rows.append(
            {
                "id": len(rows) + 1,
                "kind": "linear",
                "track": None,
                "region": piece.region,
                "long_mm": None,
                "perp_mm": None,
                "other_planes_mm2": None,
                "feret_mm": None,
                "uncertainty_mm": None,
                "volume_mm3": round(piece.volume_mm3, 1),
                "area_mm2": round(piece.area_mm2, 1),
                "center_mm": [round(float(c), 1) for c in (scan.anchor.affine @ [*piece.voxel, 1.0])[:3]],
                "voxel": [round(float(c)) for c in piece.voxel],
                "measurable": False,
                "lm_related": True,
                "confidence": round(piece.confidence, 3),
                "status": tracked.film_status(piece.label),
                "note": "may be vessel: a reader must look" if doubtful else "",
            }
        )
    return rows


def diameter_uncertainty(scan: Prepared) -> float:
    """Uncertainty of one diameter, mm: half a voxel diagonal in the plane, at least 0.5."""
    return max(0.5, 0.5 * float(np.hypot(*np.sort(scan.anchor.spacing)[:2])))


def sure(nodules: Sequence[Nodule]) -> list[Nodule]:
    """Leptomeningeal nodules that the draft counts."""
    return [n for n in nodules if n.lm_related and n.confidence >= number("draft.confident")]


def sum_of_products(diameters: Sequence[tuple[float, float]]) -> tuple[float, list[tuple[float, float]]]:
    """Sum of the products of the up to three largest measurable nodules, mm2, and which they are."""
    limit = number("nodules.measurable_mm")
    able = sorted((d for d in diameters if d[0] > limit and d[1] > limit), key=lambda d: -d[0] * d[1])[:3]
    return float(sum(a * b for a, b in able)), able


def largest_nodules(findings: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """The up to three largest measurable leptomeningeal nodules of the scorecard, by finding."""
    bar, limit, spread = number("draft.confident"), number("nodules.measurable_mm"), number("nodules.borderline_mm")
    able = [
        {
            "finding": row["id"],
            "track": row["track"],
            "long_mm": row["long_mm"],
            "perp_mm": row["perp_mm"],
            "product_mm2": round(row["long_mm"] * row["perp_mm"], 1),
            "borderline": row["perp_mm"] < limit + spread,
        }
        for row in findings
        if row["kind"] == "nodule" and row["lm_related"] and row["measurable"] and row["confidence"] >= bar
    ]
    return sorted(able, key=lambda row: -row["product_mm2"])[:3]


def known_products(nodules: Sequence[KnownNodule]) -> tuple[float, list[tuple[float, float]]]:
    """As :func:`sum_of_products`, of an earlier scan."""
    return sum_of_products([(n.long_mm, n.perp_mm) for n in nodules if n.sure])


def scan_facts(
    scan: Prepared,
    found: Enhancing,
    spaces: ventricles.Ventricles,
    findings: Sequence[dict[str, Any]],
    compared: Sequence[Against],
    no_change: str,
    *,
    is_reference: bool,
) -> draft.Facts:
    """What the draft rests on (see :class:`lmresp.mri.draft.Facts`); ``compared``: reference scan, then nadir."""
    lumps = found.nodules.nodules if found.nodules else []
    products, counted = sum_of_products([(n.long_mm, n.perp_mm) for n in sure(lumps)])
    uncertain = diameter_uncertainty(scan)

    def facts_against(one: Against) -> draft.Compared:
        before, earlier = known_products(one.earlier.nodules)
        spread = uncertain * float(np.sqrt(sum(a * a + b * b for a, b in (*counted, *earlier))))
        return draft.Compared(
            scan=one.earlier.scan,
            no_enhancement=one.why_not,
            **one.film,
            new=one.new,
            lost=one.lost,
            lost_unseen=one.lost_unseen,
            products_mm2=before if one.earlier.enhancement is not None else None,
            products_sd_mm2=spread,
            ventricles_mm3=one.earlier.measures.get("VENT_VOL"),
            hydrocephalus=one.earlier.items.get("HYDROCEPHALUS", ""),
        )

    against = [facts_against(one) for one in compared]
    return draft.Facts(
        is_reference=is_reference,
        no_enhancement=found.why_not,
        no_change=no_change,
        quality=scan.quality,
        nodules=tuple(
            draft.Lump(row["id"], n.long_mm, n.perp_mm, n.lm_related, n.measurable, n.confidence)
            for n, row in zip(lumps, findings, strict=False)
        ),
        film=_film_facts(found, findings),
        products_mm2=products,
        evans=spaces.evans,
        evans_sd=spaces.ratio_uncertainty,
        ventricles_mm3=spaces.volume_mm3,
        reference=against[0] if against else None,
        nadir=against[1] if len(against) > 1 else None,
    )


def _film_facts(found: Enhancing, findings: Sequence[dict[str, Any]]) -> draft.Film:
    film = found.film
    if film is None:
        return draft.Film()
    bar = number("draft.linear_sure")
    certain = sum(c.volume_mm3 for c in film.components if c.confidence >= bar)
    crowd = film.volume_mm3 > number("draft.crowded_mm3") and certain < number("draft.crowded_sure") * film.volume_mm3
    doubt = "so much enhances that film cannot be told from vessels without a reader" * crowd
    return draft.Film(
        volume_mm3=film.volume_mm3,
        sure_mm3=certain,
        confidence=max((c.confidence for c in film.components), default=0.0),
        doubt=doubt,
        findings=tuple(row["id"] for row in findings if row["kind"] == "linear" and row["confidence"] >= bar),
    )


def measure_rows(
    scan: Prepared, found: Enhancing, spaces: ventricles.Ventricles, facts: draft.Facts, earlier: Earlier
) -> list[dict[str, Any]]:
    """Rows of ``measures``, each with method, quality and uncertainty; a number that could not be had says why."""
    before = earlier.reference.measures if earlier.reference is not None and not facts.no_change else {}
    lowest = earlier.values if before else {}
    reason = "; ".join(c["check"] for c in scan.checks if c["result"] != "PASS")
    common: dict[str, Any] = {"qc": qc.worst([c["result"] for c in scan.checks]), "qc_reason": reason}

    def row(
        name: str, value: float | None, unit: str, method: str, spread: float | None, **more: Any
    ) -> dict[str, Any]:
        whole = not more.get("region")  # only the whole brain is followed
        more["before"], more["nadir"] = (before.get(name), lowest.get(name)) if whole else (None, None)
        return measure_row(name, value, unit, method, uncertainty=spread, **(common | more))

    volume = float(scan.mask.sum()) * scan.anchor.voxel_mm3
    lost = {} if spaces.evans is not None else {"qc_reason": "frontal horns not found"}
    ratio_sd = spaces.ratio_uncertainty
    rows = [
        row("BRAIN_VOL", volume, "mm3", "brain", 0.05 * volume),
        row("VENT_VOL", spaces.volume_mm3, "mm3", "ventricles", spaces.uncertainty_mm3),
        row("EVANS_INDEX", spaces.evans, "1", "ventricles", ratio_sd, **lost),
        row("FOHR", spaces.frontal_occipital, "1", "ventricles", ratio_sd, **lost),
    ]
    lumps = sure(found.nodules.nodules) if found.nodules else []
    skin = diameter_uncertainty(scan)
    nodular = float(sum(n.volume_mm3 for n in lumps))
    spread = float(sum(n.volume_mm3 * 3 * skin / max(n.perp_mm, skin) for n in lumps))
    counted = sum_of_products([(n.long_mm, n.perp_mm) for n in lumps])[1]
    products_sd = skin * float(np.sqrt(sum(a * a + b * b for a, b in counted)))
    film = found.film
    film_mm3, film_sd, area = (film.volume_mm3, film.uncertainty_mm3, film.area_mm2) if film else (0.0, 0.0, 0.0)
    values: list[tuple[str, float, str, str, float]] = [
        ("LINEAR_VOL", film_mm3, "mm3", "linear", film_sd),
        ("LINEAR_AREA", area, "mm2", "linear", area * film_sd / film_mm3 if film_mm3 else 0.0),
        ("NODULE_VOL", nodular, "mm3", "nodules", spread),
        ("NODULE_N", float(len(lumps)), "1", "nodules", 1.0),
        ("SUM_PRODUCTS", facts.products_mm2, "mm2", "nodules", products_sd),
        ("ENH_VOL", film_mm3 + nodular, "mm3", "enhancement", float(np.hypot(film_sd, spread))),
    ]
    for name, value, unit, method, uncertainty in values:
        if found.why_not:
            rows.append(row(name, None, unit, method, None, qc_reason=found.why_not))
        else:
            rows.append(row(name, value, unit, method, uncertainty))
    for part in film.regions if film else ():
        sd = film_sd * part.volume_mm3 / film_mm3 if film_mm3 else 0.0
        notes = "; ".join(filter(None, [reason, part.note]))
        rows.append(row("LINEAR_VOL", part.volume_mm3, "mm3", "linear", sd, region=part.region, qc_reason=notes))
        rows.append(row("LINEAR_AREA", part.area_mm2, "mm2", "linear", None, region=part.region, qc_reason=notes))
    return rows
