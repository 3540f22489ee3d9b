"""The measurement of one scan, step by step: images in, numbers and label maps out."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from lmresp.mri import brain, compare, draft, ventricles
from lmresp.mri.earlier import Earlier
from lmresp.mri.enhancing import Enhancing, find_enhancing, labelled
from lmresp.mri.measurement import LINEAR, NODULE, NORMAL, VENTRICLE, Pose, ScanMeasurement
from lmresp.mri.prepare import Prepared, prepare
from lmresp.mri.rows import finding_rows, measure_rows, scan_facts
from lmresp.mri.volume import Volume


def measure(images: Mapping[str, Volume], pose: Pose, earlier: Earlier | None = None) -> ScanMeasurement:
    """Measure one scan.

    Parameters
    ----------
    images : mapping of str to Volume
        By role: ``post`` and ``pre`` (T1 after and before contrast), ``flair``, ``t2``; at least one T1, as acquired.
    pose : Pose
        Where the scan lies in the subject's common space.
    earlier : Earlier, optional
        What the scan is compared with; None for the reference scan.

    Returns
    -------
    ScanMeasurement

    Raises
    ------
    VolumeError
        If there is no T1, or no brain is found in it.
    RegistrationError
        If the two T1 cannot be aligned at all.
    """
    is_reference = earlier is None
    earlier = earlier or Earlier()
    scan = prepare(images, pose)
    # Tissues before contrast if possible: afterwards enhancing film would not look like fluid.
    first = scan.images.get("pre", scan.anchor)
    signals = brain.tissue_signals(brain.Frame(scan.to_template, stripped=False), first, scan.mask)
    csf = brain.csf_fraction(first, signals)
    spaces = ventricles.measure(csf, scan.mask, scan.anchor, scan.to_template, first)
    found = find_enhancing(scan, csf, signals, spaces.mask)
    labels = labelled(scan, found, spaces.mask, (LINEAR, NODULE, VENTRICLE, NORMAL))
    scan.images["labels"] = scan.anchor.like(labels)
    white = signals.white if found.map is None else found.map.white / found.map.slope
    scale = 1.0 / max(white, 1e-9)
    now = compare.Current(scan, found, spaces, scan.images["labels"], first.like(first.array * np.float32(scale)))
    against, tracked = compare.with_earlier(now, earlier)
    scan.images |= compare.pictures(now, earlier, against)
    no_change = "" if is_reference else pose.why or earlier.why
    findings = finding_rows(scan, found, tracked)
    facts = scan_facts(scan, found, spaces, findings, against, no_change, is_reference=is_reference)
    return ScanMeasurement(
        contrast=scan.contrast,
        measures=measure_rows(scan, found, spaces, facts, earlier),
        findings=findings,
        items=draft.items(facts),
        qc=scan.checks,
        queries=_queries(scan, found),
        lost=tracked.lost,
        images=scan.images,
        geometry=_geometry(scan, found, scale) | {"deformable": [one.earlier.scan for one in against if one.moved]},
    )


def _geometry(scan: Prepared, found: Enhancing, scale: float) -> dict[str, object]:
    return {
        "to_common": np.round(scan.pose.to_common, 6).tolist(),
        "to_template": np.round(scan.pose.to_template, 6).tolist(),
        "aligned": not scan.pose.why,
        "noise": round(found.map.noise, 6) if found.map else 0.0,
        "full_signal": round(found.full_signal, 6),
        "pre_scale": round(scale, 9),
    }


def _queries(scan: Prepared, found: Enhancing) -> list[tuple[str, dict[str, str]]]:
    """What a person should look into: the code and the fields of each query."""
    out = [("SC050", {"value": scan.pose.why})] if scan.pose.why else []
    # A contrast state that is missing altogether is a query of the index already.
    if found.why_not and scan.contrast == "prepost":
        out.append(("SC051", {"value": found.why_not}))
    out += [
        ("SC052", {"column": check["check"], "value": f"{check['check']}: {check['meaning']}"})
        for check in scan.checks
        if check["result"] == "FAIL" and check not in scan.pose.checks
    ]
    return out
