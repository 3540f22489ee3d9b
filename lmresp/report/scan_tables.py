"""Tables and panels of a scan page: what was found, how it changed, what speaks against it, what it was made from."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from lmresp import store
from lmresp.report.scan_view import nodules_judged

Result = Mapping[str, Any]

# Checks that tell of the images only; a blinded page shows no others.
IMAGE_CHECKS = (
    "agreement of the last two levels",
    "coverage of the brain",
    "largest voxel edge",
    "motion artefact",
    "mutual information with the reference",
    "overlap of the brain masks",
    "registration pre to post",
    "registration to reference",
    "same head",
    "template fit",
    "template fit of the subject",
)
WANTED = (("post", "T1 after contrast"), ("pre", "T1 before contrast"), ("flair", "FLAIR"), ("t2", "T2"))
SPINE_PARTS = ("CERVICAL", "THORACIC", "LUMBAR", "SPINE")
MAIN = ("LINEAR_VOL", "NODULE_VOL", "NODULE_N", "SUM_PRODUCTS", "VENT_VOL", "EVANS_INDEX")


def context(result: Result, reference: Result | None, *, blinded: bool) -> dict[str, Any]:
    """Values of the page's tables.

    Parameters
    ----------
    result, reference : mapping
        Scan results of the scan and of its reference scan.
    blinded : bool
        Leave out everything the measurement found, so that the template has nothing to show.

    Returns
    -------
    dict
        For the template.
    """
    checks = [q for q in result["qc"] if not blinded or q["check"] in IMAGE_CHECKS]
    common = {
        "result": _images_only(result) if blinded else result,
        "reference": (_images_only(reference) if blinded and reference else reference) or {},
        "checks": checks,
        "doubts": [q for q in checks if q["result"] != "PASS"],
        "absent": {"this scan": absent(result)} | ({"the reference scan": absent(reference)} if reference else {}),
        "inputs": _inputs(result, reference),
        "not_measured": [],
        "nodules": [],
        "main_measures": [],
        "draft_digest": "",
    }
    if blinded:
        return common
    main = [m for name in MAIN for m in result["measures"] if m["measure"] == name and not m.get("region")]
    return common | {
        "not_measured": _not_measured(result),
        "nothing": _nothing(result),
        "nodules": _nodules(result, reference),
        "main_measures": [m for m in main if (m["value"], m["reference_value"]) != (None, None)],
        "main_missing": [m["measure"] for m in main if (m["value"], m["reference_value"]) == (None, None)],
        "judged": nodules_judged(result),
        "draft_digest": store.sha256_text(_canonical(result["scorecard"])),
    }


def _images_only(result: Result) -> dict[str, Any]:
    """Return the parts of a result that say what was imaged, and nothing of what was found."""
    kept = (
        "scan",
        "subject_id",
        "visit",
        "visit_num",
        "scan_date",
        "reference",
        "software",
        "contrast",
        "status",
        "reason",
    )
    return {key: result[key] for key in kept} | {"series": result["series"]}


def absent(result: Result) -> list[str]:
    """Sequences that a full examination has and this scan has not."""
    roles = {one.get("role") for one in result["series"]}
    missing = [title for role, title in WANTED if role not in roles]
    spine = any(one.get("body_part") in SPINE_PARTS and one.get("use", True) for one in result["series"])
    return missing if spine else [*missing, "spine"]


def _inputs(result: Result, reference: Result | None) -> list[dict[str, str]]:
    """Digests of the series that the page rests on."""
    made = []
    for one in filter(None, (result, reference)):
        made += [
            {
                "scan": str(one["scan"]),
                "series": str(s["series"]),
                "role": str(s.get("role") or ""),
                "digest": str(s["digest"]),
            }
            for s in one["series"]
            if s.get("role") or s.get("body_part") in SPINE_PARTS
        ]
    return made


def _canonical(value: Any) -> str:
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def _not_measured(result: Result) -> list[tuple[str, str]]:
    """What has no usable value, and why: the scan, measures without a value or failed, items that are NE."""
    measures = [m for m in result["measures"] if m["value"] is None or m["qc"] == "FAIL"]
    items = [i for i in (result["scorecard"] or {"items": ()})["items"] if i["presence"] == "NE"]
    missing = [] if result["status"] == "measured" else [("The scan", result["reason"])]
    missing += [(f"{m['measure']} ({m['compartment']})", m["qc_reason"]) for m in measures]
    missing += [(f"{i['item']} ({i['compartment']})", i["reason"]) for i in items]
    return [(what, str(why or "no reason given")) for what, why in missing]


def _nothing(result: Result) -> str:
    """Say what it means that there is no finding: absent only where nodules and film could be judged."""
    if result["status"] != "measured":
        return "Not looked for: the scan was not measured."
    if result["contrast"] == "none":
        return "None can be stated: no image after contrast could be used."
    items = (result["scorecard"] or {"items": ()})["items"]
    doubts = [i["reason"] for i in items if i["item"] in ("NODULES", "LINEAR") and i["presence"] == "NE"]
    why = "; ".join(str(reason) for reason in dict.fromkeys(doubts) if reason)
    return f"None marked, which does not mean absent: {why or 'not judged'}." if doubts else "Looked, nothing found."


def _nodules(result: Result, reference: Result | None) -> list[dict[str, Any]]:
    """One row for each nodule of this scan or gone since: diameters at both visits and the change of their product."""
    then = {
        f["track"]: f
        for f in (reference or {"findings": ()})["findings"]
        if f["kind"] == "nodule" and f.get("track") is not None
    }
    rows = []
    for finding in result["findings"]:
        if finding["kind"] != "nodule":
            continue
        before = then.get(finding.get("track"))
        rows.append({"finding": finding, "before": before, "change": _percent(_product(finding), _product(before))})
    return rows


def _product(finding: Mapping[str, Any] | None) -> float | None:
    if finding is None or finding["long_mm"] is None or finding["perp_mm"] is None:
        return None
    return float(finding["long_mm"]) * float(finding["perp_mm"])


def _percent(now: float | None, before: float | None) -> float | None:
    return None if now is None or not before else 100 * (now - before) / before
