"""The measurement of one scan, step by step: images in, numbers and label maps out."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np
from scipy import ndimage

from lmresp.mri import (
    bias,
    brain,
    change,
    draft,
    enhancement,
    linear,
    nodules,
    normal_structures,
    qc,
    registration,
    template,
    ventricles,
)
from lmresp.mri.measurement import (
    LINEAR,
    NODULE,
    NORMAL,
    VENTRICLE,
    ReferenceScan,
    ScanMeasurement,
)
from lmresp.mri.methods import number, table
from lmresp.mri.rows import measure_rows, scan_facts
from lmresp.mri.steps import Enhancing, Prepared, inverse
from lmresp.mri.volume import Float, Mask, Matrix, Volume, VolumeError, resample, working_grid


def measure(images: Mapping[str, Volume], reference: ReferenceScan | None = None) -> ScanMeasurement:
    """Measure one scan.

    Parameters
    ----------
    images : mapping of str to Volume
        By role: ``post`` and ``pre`` (T1 after and before contrast), ``flair``, ``t2``; at least one T1.
    reference : ReferenceScan, optional
        The subject's measured reference scan; None when this is it, or when it could not be measured.

    Returns
    -------
    ScanMeasurement

    Raises
    ------
    VolumeError
        If there is no T1, or no brain is found in it.
    RegistrationError
        If the T1 cannot be aligned to the template.
    """
    scan = _prepare(images, reference)
    csf, signals = _tissues(scan)
    spaces = ventricles.measure(csf, scan.mask, scan.anchor, scan.frame.to_template)
    found = _enhancing(scan, csf, 0.5 * (signals.grey + signals.white), spaces.mask)
    labels = np.zeros(scan.anchor.shape, np.uint8)
    labels[found.normal] = NORMAL
    labels[spaces.mask] = VENTRICLE
    if found.film is not None:
        labels[found.film.mask] = LINEAR
    labels[found.nodule_mask] = NODULE
    scan.images["labels"] = scan.anchor.like(labels)
    changed, on_reference = _change(scan, found, reference)
    scan.images.update(on_reference)
    findings, facts = scan_facts(scan, found, spaces, changed, reference)
    white = signals.white if found.map is None else found.map.white / found.map.slope
    return ScanMeasurement(
        contrast=scan.contrast,
        measures=measure_rows(scan, found, spaces, facts, reference),
        findings=findings,
        items=draft.items(facts),
        qc=scan.checks,
        queries=[],
        images=scan.images,
        geometry={
            "to_template": np.round(scan.frame.to_template, 6).tolist(),
            "from_reference": None if scan.from_reference is None else scan.from_reference.tolist(),
            "stripped": scan.frame.stripped,
            "noise": round(found.map.noise, 6) if found.map else 0.0,
            "full_signal": round(found.full_signal, 6),
            "hidden_change_mm3": [round(facts.hidden_up_mm3, 1), round(facts.hidden_down_mm3, 1)],
            "pre_scale": round(1.0 / max(white, 1e-9), 9),
        },
    )


def _prepare(images: Mapping[str, Volume], reference: ReferenceScan | None) -> Prepared:
    """Bring every image onto one grid around the brain, corrected for bias, with the brain mask."""
    role = "post" if "post" in images else "pre"
    if role not in images:
        raise VolumeError("no T1-weighted image of the head")
    contrast = "prepost" if {"post", "pre"} <= set(images) else "post_only" if role == "post" else "none"
    anchor = working_grid(images[role], number("volume.finest_mm"))
    frame, from_reference, checks, no_change = _locate(anchor, reference)
    anchor = _around(anchor, brain.first_mask(frame, anchor), number("volume.margin_mm"))
    mask = brain.first_mask(frame, anchor)
    if int(mask.sum()) * anchor.voxel_mm3 < 1e5:
        raise VolumeError("no brain found in the T1-weighted image")
    around = ndimage.binary_dilation(mask, iterations=2)
    prepared = {"anchor": bias.correct(anchor, around)}
    if contrast == "prepost":
        fit = registration.within_session(anchor, images["pre"])
        pre = anchor.like(resample(images["pre"], anchor, fit.matrix, how="cubic"))
        if registration.correlation(anchor, pre, mask) < float(table()["qc"]["pre_to_post"]["warn"]):
            other_fit = registration.rigid(anchor, images["pre"])  # the header's pose misled: every start
            if other_fit.metric < fit.metric:
                pre = anchor.like(resample(images["pre"], anchor, other_fit.matrix, how="cubic"))
        prepared["pre"] = bias.correct(pre, around)
    first = prepared.get("pre", prepared["anchor"])
    mask = brain.refine(frame, first, mask, brain.tissue_signals(frame, first, mask))
    for other in ("flair", "t2"):
        if other in images:
            try:
                fit = registration.within_session(anchor, images[other], finest_mm=number("registration.picture_mm"))
            except registration.RegistrationError:
                continue  # shown on the page only; its absence changes no number
            prepared[other] = anchor.like(np.maximum(resample(images[other], anchor, fit.matrix), 0))
    millilitres = float(mask.sum()) * anchor.voxel_mm3 / 1000
    low, high = (qc.check(f"brain_volume_{side}", millilitres) for side in ("low", "high"))
    checks.append(high if low["result"] == "PASS" else low)
    on_grid = brain.prior(frame, anchor, template.load().brain.array)
    fit_quality = registration.correlation(first, anchor.like(on_grid), mask)
    checks.append(qc.check("template", fit_quality))
    coarsest = max(float(volume.spacing.max()) for name, volume in images.items() if name in ("post", "pre"))
    checks.append(qc.check("slices", coarsest))
    prepared["brain"] = anchor.like(mask)
    sizes = np.array([[1.2, 1.0], [2.1, 0.85], [3.1, 0.65], [5.1, 0.45], [1e9, 0.3]])
    quality = float(sizes[np.searchsorted(sizes[:, 0], coarsest), 1])
    return Prepared(contrast, prepared["anchor"], frame, from_reference, mask, prepared, checks, no_change, quality)


def _locate(
    anchor: Volume, reference: ReferenceScan | None
) -> tuple[brain.Frame, Matrix | None, list[dict[str, Any]], str]:
    """Template frame: through the reference scan where it can be aligned, so that both visits share zones."""
    if reference is None:
        return brain.locate(anchor), None, [], ""
    why = "this scan could not be aligned to the reference scan"
    stripped = brain.is_stripped(anchor)
    try:
        target = reference.anchor
        if stripped and not reference.stripped:
            target = reference.anchor.like(reference.anchor.array * reference.brain)
        fit = registration.rigid(target, anchor)
        moved = reference.anchor.like(resample(anchor, reference.anchor, fit.matrix))
        inner = ndimage.binary_erosion(reference.brain, iterations=2)
        check = qc.check("to_reference", registration.correlation(reference.anchor, moved, inner))
        if check["result"] != "PASS":
            fit = registration.rigid_multistart(target, anchor)
            moved = reference.anchor.like(resample(anchor, reference.anchor, fit.matrix))
            check = qc.check("to_reference", registration.correlation(reference.anchor, moved, inner))
    except registration.RegistrationError:
        return brain.locate(anchor), None, [qc.check("to_reference", None)], why
    if check["result"] == "FAIL":
        return brain.locate(anchor), None, [check], why
    frame = brain.Frame(reference.to_template @ inverse(fit.matrix), stripped)
    return frame, fit.matrix, [check], ""


def _around(volume: Volume, mask: Mask, margin_mm: float) -> Volume:
    """Cut a volume to the box of a mask and a margin: whole brain and scalp, no neck and little of the face."""
    box = ndimage.find_objects(mask.astype(np.int8))
    if not box:
        raise VolumeError("no brain found in the T1-weighted image")
    steps = np.ceil(margin_mm / volume.spacing).astype(int)
    low = [max(0, s.start - n) for s, n in zip(box[0], steps, strict=True)]
    high = [min(size, s.stop + n) for s, n, size in zip(box[0], steps, volume.shape, strict=True)]
    affine = volume.affine.copy()
    affine[:3, 3] = (volume.affine @ [*low, 1.0])[:3]
    cut = volume.array[low[0] : high[0], low[1] : high[1], low[2] : high[2]]
    return Volume(np.ascontiguousarray(cut), affine)


def _tissues(scan: Prepared) -> tuple[Float, brain.TissueSignals]:
    """CSF fraction, before contrast if possible: afterwards enhancing film would not look like fluid."""
    image = scan.images.get("pre", scan.images["anchor"])
    signals = brain.tissue_signals(scan.frame, image, scan.mask)
    return brain.csf_fraction(image, signals), signals


def _enhancing(scan: Prepared, csf: Float, white_from: float, ventricle: Mask) -> Enhancing:
    """Find what enhances: normal structures, nodules, film."""
    nothing = np.zeros(scan.anchor.shape, bool)
    out = Enhancing("", None, 0.0, [], nothing, None, nothing)
    if scan.contrast != "prepost":
        out.why_not = (
            "no scan before contrast: enhancement cannot be told from what was bright before"
            if scan.contrast == "post_only"
            else "no scan after contrast"
        )
        return out
    depth = normal_structures.surface_depth(scan.mask, scan.anchor)
    inner = depth > number("enhancement.erode_mm")
    check = qc.check("pre_to_post", registration.correlation(scan.anchor, scan.images["pre"], inner))
    scan.checks.append(check)
    if check["result"] == "FAIL":
        out.why_not = "the images before and after contrast could not be aligned"
        return out
    if check["result"] == "WARN":
        scan.quality *= 0.7
    try:
        out.map = enhancement.measure(scan.anchor, scan.images["pre"], inner)
    except enhancement.EnhancementError as error:
        out.why_not = str(error)
        return out
    scan.images["enhancement"] = out.map.map
    check = qc.check("noise", out.map.noise)
    scan.checks.append(check)
    zones = normal_structures.zones(scan.anchor, scan.frame.to_template, depth)
    e = enhancement.smooth(out.map.map, number("enhancement.smooth_mm"))
    veins = normal_structures.sinus_signal(e, zones.sinuses, depth > -number("enhancement.near_mm"))
    if veins is None:
        veins = normal_structures.sinus_signal(e, zones.vessels, depth > -number("enhancement.near_mm"))
    if veins is None:
        out.why_not = "no vessel enhances: contrast was not given, or did not arrive"
        return out
    if check["result"] == "FAIL":
        out.why_not = "the enhancement map is too noisy"
        return out
    out.full_signal = number("linear.full_signal") * veins
    # A sinus is a tube and fails the shape test of a nodule: a compact lump beside it is reported, with low confidence.
    excluded = (zones.vessels & ~zones.sinuses) | ndimage.binary_erosion(ventricle)
    edge = max(float(c["value"]) for c in scan.checks if c["check"] == "largest voxel edge")
    tissue = nodules.Tissue(scan.mask & (depth > 0), excluded, csf, scan.images["pre"].array > white_from, depth)
    found = nodules.find(out.map, tissue, scan.quality, edge)
    out.nodules = [_beside_sinus(n, zones.sinuses, scan.anchor) for n in found.nodules]
    out.nodule_mask = found.mask
    fluid_near = ndimage.binary_dilation(csf > number("linear.csf_fraction")) | (depth < number("linear.cortex_mm"))
    away = ndimage.binary_dilation(found.mask, iterations=2)
    search = scan.mask & fluid_near & (depth > number("linear.least_depth_mm")) & ~ventricle
    search &= ~(zones.vessels | zones.sheets)
    out.film = linear.find(out.map, search & ~away, depth, out.full_signal, scan.quality)
    out.crowded = out.film.volume_mm3 + float(out.film.vessels.sum()) * scan.anchor.voxel_mm3 > number(
        "draft.crowded_mm3"
    )
    if out.crowded:
        factor = number("draft.crowded_confidence")
        out.nodules = [dataclasses.replace(n, confidence=round(factor * n.confidence, 3)) for n in out.nodules]
        pieces = [dataclasses.replace(c, confidence=round(factor * c.confidence, 3)) for c in out.film.components]
        out.film = dataclasses.replace(out.film, components=pieces)
    strong = e > number("linear.seed")
    out.normal = (
        strong & (zones.vessels | zones.sheets) & ~found.mask & (depth > -number("enhancement.near_mm"))
    ) | out.film.vessels
    return out


def _beside_sinus(nodule: nodules.Nodule, sinuses: Mask, grid: Volume) -> nodules.Nodule:
    """Lower the confidence of a nodule whose centre lies in the zone of a dural sinus."""
    i, j, k = (round(c) for c in (np.linalg.inv(grid.affine) @ [*nodule.center_mm, 1.0])[:3])
    if not sinuses[i, j, k]:
        return nodule
    note = "; ".join(filter(None, [nodule.note, "in the zone of a dural sinus: a reader must look"]))
    confidence = round(number("nodules.sinus_confidence") * nodule.confidence, 3)
    return dataclasses.replace(nodule, confidence=confidence, note=note)


def _change(
    scan: Prepared, found: Enhancing, reference: ReferenceScan | None
) -> tuple[change.Changed | None, dict[str, Volume]]:
    """Change of enhancement on the reference grid, and this visit's pictures there."""
    if reference is None or scan.from_reference is None:
        return None, {}
    grid = reference.anchor
    pictures = {
        "reference_anchor": grid.like(resample(scan.anchor, grid, scan.from_reference)),
        "reference_labels": grid.like(resample(scan.images["labels"], grid, scan.from_reference, how="nearest")),
    }
    if found.why_not or found.map is None or reference.enhancement is None or reference.pre is None:
        return None, pictures
    gain = float(np.clip(reference.full_signal / max(found.full_signal, 1e-6), 0.6, 1.6))
    current = gain * resample(found.map.map, grid, scan.from_reference, how="cubic")
    depth = normal_structures.surface_depth(reference.brain, grid)
    zones = normal_structures.zones(grid, reference.to_template, depth)
    nodule_now = resample(scan.anchor.like(found.nodule_mask), grid, scan.from_reference) > 0.2
    spaces = (reference.labels == VENTRICLE) | (pictures["reference_labels"].array == VENTRICLE)
    inside = (depth > -number("change.rim_mm")) & ~ndimage.binary_dilation(spaces)
    open_ = reference.brain & (depth > number("linear.least_depth_mm")) & ~(zones.vessels | zones.sheets)
    open_ &= resample(scan.anchor.like(scan.mask), grid, scan.from_reference) > 0.5
    noises = (reference.noise, found.map.noise)
    changed = change.enhancement_change(
        reference.enhancement,
        current,
        reference.pre,
        noises,
        inside & open_,
        inside & ~open_,
        reference.full_signal,
    )
    lumps = ndimage.binary_dilation((reference.labels == NODULE) | nodule_now, iterations=2)
    voxel = grid.voxel_mm3
    weight = np.clip(np.abs(current - reference.enhancement.array) / reference.full_signal, 0, 1)
    changed = dataclasses.replace(
        changed,
        up_mm3=float(weight[changed.up & ~lumps].sum()) * voxel,
        down_mm3=float(weight[changed.down & ~lumps].sum()) * voxel,
    )
    return changed, pictures
