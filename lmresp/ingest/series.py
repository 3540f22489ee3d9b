"""What a series shows: sequence, contrast state, body part, plane and acquisition, each with its reason.

The evidence, strongest first: coded header fields and timing (DICOM PS3.3 C.8.3 and C.8.13), the words of
``series_rules.yaml`` found in descriptions, the session's order. File names count only for BIDS. What the evidence does
not settle stays unknown.
"""

from __future__ import annotations

import dataclasses
from typing import NamedTuple

import numpy as np

from lmresp.ingest.header import Header, limit, minutes_between, rules
from lmresp.terms import BodyPart, Plane, Sequence


@dataclasses.dataclass(frozen=True, slots=True)
class Class:
    """Class of one series. ``contrast`` is the evidence of contrast in this series: yes, no or unknown.

    ``options`` are the weightings (T1, T2, FLAIR) between which headers that contradict each other leave the choice.
    """

    sequence: Sequence
    body_part: BodyPart
    plane: Plane
    acquisition: str
    reason: str
    confidence: float
    contrast: str
    options: tuple[str, ...] = ()


class _Weighting(NamedTuple):
    kind: str
    reason: str
    confidence: float
    options: tuple[str, ...] = ()


def classify(header: Header, extents: tuple[float, float, float] | None = None, chosen: str = "") -> Class:
    """Class one series by the facts of its headers.

    Parameters
    ----------
    header : Header
        Facts of the series (of its first file).
    extents : tuple of float, optional
        Size of the imaged volume along right-left, front-back and up-down, mm.
    chosen : str, optional
        The weighting (T1, T2 or FLAIR) that the voxels show, where headers contradict each other.

    Returns
    -------
    Class
        ``T1_UNKNOWN`` when a T1 has no evidence of contrast in its own header; see
        :func:`lmresp.ingest.session.settle_contrast` for what
        the rest of the session adds.
    """
    kind, reason, confidence, options = _weighting(header)
    if chosen in options:
        kind, reason = chosen, f"{reason}; the voxels look like {chosen}"
        confidence, options = rules()["confidence"]["pixels"], ()
    contrast, why, sure = _contrast(header)
    if kind == "T1":
        sequence = {"yes": Sequence.T1_POST, "no": Sequence.T1_PRE}.get(contrast, Sequence.T1_UNKNOWN)
        reason, confidence = f"{reason}; {why}", min(confidence, sure)
    elif kind == "FLAIR":
        sequence = Sequence.FLAIR_POST if contrast == "yes" else Sequence.FLAIR
        reason = f"{reason}; {why}"
    else:
        sequence = Sequence(kind)
    acquisition = header.acquisition or _acquisition(header)
    part = _body_part(header, extents)
    return Class(sequence, part, plane_of(header), acquisition, reason, confidence, contrast, options)


def _weighting(header: Header) -> _Weighting:
    """T1, T2, FLAIR, DWI or OTHER, with reason and confidence."""
    sure = rules()["confidence"]
    excluded = _excluded(header)
    if excluded:
        return _Weighting(*excluded)
    by_words, (by_timing, timing) = _by_words(set(header.words)), _by_timing(header)
    by_name = str(rules()["bids_suffix"].get(header.suffix, ""))
    if by_name:
        if by_timing and by_timing != by_name:
            why = f"BIDS suffix {header.suffix} but {timing}: they contradict each other"
            return _Weighting("OTHER", why, sure["conflict"], _open(by_name, by_timing))
        return _Weighting(by_name, f"BIDS suffix {header.suffix}", sure["bids"])
    if by_timing and by_words:
        if by_timing == by_words or (by_words, by_timing) == ("FLAIR", "T2"):
            return _Weighting(by_words, f"{timing}; the description says {by_words}", sure["physics_and_words"])
        if (by_words, by_timing) == ("T2", "FLAIR"):
            return _Weighting("FLAIR", f"{timing}, although the description says only T2", sure["physics"])
        if by_words == "OTHER":
            return _Weighting("OTHER", "the description names another contrast", sure["words"])
        why = f"{timing}, but the description says {by_words}: they contradict each other"
        return _Weighting("OTHER", why, sure["conflict"], _open(by_words, by_timing))
    if by_timing:
        return _Weighting(by_timing, timing, sure["physics"])
    if by_words:
        return _Weighting(by_words, f"the description says {by_words}; the timing does not tell", sure["words"])
    return _Weighting("OTHER", "neither timing nor description tells the weighting", sure["conflict"])


def _open(one: str, other: str) -> tuple[str, ...]:
    """Weightings between which the voxels may choose: none when one of the two is no anatomy."""
    return () if "OTHER" in (one, other) or "DWI" in (one, other) else (one, other)


def _excluded(header: Header) -> tuple[str, str, float] | None:
    """Localizers, computed images, diffusion and the like, which no timing makes T1, T2 or FLAIR."""
    sure = rules()["confidence"]
    image_type, table = set(header.image_type), rules()["image_type"]
    for name, what in (("localizer", "a localizer"), ("computed", "computed from other images")):
        if image_type & set(table[name]):
            return "OTHER", f"ImageType says {what}", sure["physics"]
    if image_type & set(table["not_magnitude"]) and "M" not in image_type:
        return "OTHER", "ImageType says phase, real or imaginary part", sure["physics"]
    if header.diffusion:
        return "DWI", "the header gives a diffusion weighting", sure["physics_and_words"]
    for label in ("localizer", "derived", "perfusion", "vessels", "diffusion"):
        if label in header.words:
            kind = "DWI" if label == "diffusion" else "OTHER"
            return kind, f"the description says {label} ({rules()['words'][label]['reason']})", sure["words"]
    if image_type & set(table["mosaic"]):
        return "OTHER", "ImageType says a mosaic", sure["physics"]
    return None


def _by_words(words: set[str]) -> str:
    if "t1_flair" in words:
        return "T1"
    if "flair" in words:
        return "FLAIR"
    if "other_contrast" in words:
        return "OTHER"
    return {(True, False): "T1", (False, True): "T2"}.get(("t1" in words, "t2" in words), "")


def _by_timing(header: Header) -> tuple[str, str]:
    """Weighting by the rules ``timing``, with the reason; empty when they do not tell.

    Where ScanningSequence is missing, both spin and gradient echo are tried; only what both agree on is told.
    """
    codes = set(header.scanning)
    families = ["EP"] if "EP" in codes else ["SE"] if "SE" in codes else ["GR"] if "GR" in codes else ["SE", "GR"]
    found = [_first_rule(header, family) for family in families]
    if len({kind for kind, _ in found}) > 1:
        return "", ""
    return found[0]


def _first_rule(header: Header, family: str) -> tuple[str, str]:
    times = {"te": header.echo_time_ms, "tr": header.repetition_time_ms, "ti": header.inversion_time_ms}
    for rule in rules()["timing"]:
        ranges = {name: rule[name] for name in times if name in rule}
        fits = all((v := times[n]) is not None and low <= v <= high for n, (low, high) in ranges.items())
        coded = rule.get("variant", "") in ("", *header.variant) and rule.get("without") not in header.scanning
        if family in rule["family"] and fits and coded:
            seen = ", ".join(f"{name.upper()} {value:g} ms" for name, value in times.items() if value is not None)
            return rule["gives"], f"{rule['reason']} [{seen}]" if ranges else rule["reason"]
    return "", ""


def _contrast(header: Header) -> tuple[str, str, float]:
    sure = rules()["confidence"]
    pre, post = "pre" in header.words, "post" in header.words
    said = {(True, False): "no", (False, True): "yes"}.get((pre, post), "unknown")
    if pre and post:
        return "unknown", "the description names both before and after contrast", sure["contrast_unknown"]
    if "unknown" not in (said, header.agent) and said != header.agent:
        return "unknown", "contrast tag and description contradict each other", sure["contrast_unknown"]
    if (minutes_between(header.injection, header.time) or 0) < 0:
        why = "the contrast tag and the clock contradict each other: acquired before the time of injection"
        return "unknown", why, sure["contrast_unknown"]
    if header.agent != "unknown":
        source = "BIDS ce- entity or sidecar" if header.source != "dicom" else "contrast tag"
        return (
            header.agent,
            f"{source}: contrast {'given' if header.agent == 'yes' else 'not given'}",
            sure["contrast_tag"],
        )
    if said != "unknown":
        return (
            said,
            f"the description says {'after' if said == 'yes' else 'before or without'} contrast",
            sure["contrast_words"],
        )
    return "unknown", "contrast state not told by the header", sure["contrast_unknown"]


def plane_of(header: Header) -> Plane:
    """Plane of the slices from their direction cosines (DICOM PS3.3 C.7.6.2)."""
    if len(header.orientation) != 6:
        return Plane.UNKNOWN
    normal = np.abs(np.cross(header.orientation[:3], header.orientation[3:]))
    if normal.max() < limit("geometry", "oblique_cosine"):
        return Plane.OBLIQUE
    return (Plane.SAGITTAL, Plane.CORONAL, Plane.AXIAL)[int(np.argmax(normal))]


def _acquisition(header: Header) -> str:
    if header.step_mm is None or not header.spacing:
        return "2D"
    thin = header.step_mm <= limit("geometry", "three_d_step_mm")
    return "3D" if thin and header.step_mm <= limit("geometry", "three_d_ratio") * min(header.spacing) else "2D"


def _body_part(header: Header, extents: tuple[float, float, float] | None) -> BodyPart:
    if header.body_part and header.body_part != BodyPart.SPINE:
        return BodyPart(header.body_part)
    words = set(header.words)
    levels = [p for p in ("cervical", "thoracic", "lumbar") if p in words]
    if len(levels) == 1:
        return BodyPart(levels[0].upper())
    if levels or "spine" in words or header.body_part:
        return BodyPart.SPINE
    if "brain" in words:
        return BodyPart.BRAIN
    if "other_body" in words:
        return BodyPart.OTHER
    if extents is None:
        return BodyPart.UNKNOWN
    width, depth, height = extents
    least = limit("geometry", "head_extent_mm")
    if all(e >= low for e, low in zip(extents, least, strict=True)) and max(depth, height) <= limit(
        "geometry", "head_height_max_mm"
    ):
        return BodyPart.BRAIN
    if height >= limit("geometry", "spine_height_mm") and width <= limit("geometry", "spine_width_mm"):
        return BodyPart.SPINE
    return BodyPart.UNKNOWN
