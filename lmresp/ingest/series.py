"""What a series shows: sequence, contrast state, body part, plane and acquisition, each with its reason.

The evidence, strongest first: coded header fields and timing (DICOM PS3.3 C.8.3 and C.8.13), the words of
``series_rules.yaml`` found in descriptions, the session's order. File names count only for BIDS. What the evidence does
not settle stays unknown.
"""

from __future__ import annotations

import dataclasses

import numpy as np

from lmresp.ingest.header import Header, limit, rules
from lmresp.terms import BodyPart, Plane, Sequence

T1 = (Sequence.T1_PRE, Sequence.T1_POST, Sequence.T1_UNKNOWN)


@dataclasses.dataclass(frozen=True, slots=True)
class Class:
    """Class of one series. ``contrast`` is the evidence of contrast in this series: yes, no or unknown."""

    sequence: Sequence
    body_part: BodyPart
    plane: Plane
    acquisition: str
    reason: str
    confidence: float
    contrast: str


def classify(header: Header, extents: tuple[float, float, float] | None = None) -> Class:
    """Class one series by the facts of its headers.

    Parameters
    ----------
    header : Header
        Facts of the series (of its first file).
    extents : tuple of float, optional
        Size of the imaged volume along right-left, front-back and up-down, mm.

    Returns
    -------
    Class
        ``T1_UNKNOWN`` when a T1 has no evidence of contrast in its own header; see :func:`settle_contrast` for what
        the rest of the session adds.
    """
    kind, reason, confidence = _weighting(header)
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
    return Class(sequence, _body_part(header, extents), plane_of(header), acquisition, reason, confidence, contrast)


def _weighting(header: Header) -> tuple[str, str, float]:
    """T1, T2, FLAIR, DWI or OTHER, with reason and confidence."""
    sure = rules()["confidence"]
    excluded = _excluded(header)
    if excluded:
        return excluded
    by_words, (by_timing, timing) = _by_words(set(header.words)), _by_timing(header)
    by_name = str(rules()["bids_suffix"].get(header.suffix, ""))
    if by_name:
        if by_timing and by_timing != by_name:
            return "OTHER", f"BIDS suffix {header.suffix} but {timing}: they contradict each other", sure["conflict"]
        return by_name, f"BIDS suffix {header.suffix}", sure["bids"]
    if by_timing and by_words:
        if by_timing == by_words or (by_words, by_timing) == ("FLAIR", "T2"):
            return by_words, f"{timing}; the description says {by_words}", sure["physics_and_words"]
        if (by_words, by_timing) == ("T2", "FLAIR"):
            return "FLAIR", f"{timing}, although the description says only T2", sure["physics"]
        if by_words == "OTHER":
            return "OTHER", "the description names another contrast", sure["words"]
        return "OTHER", f"{timing}, but the description says {by_words}: they contradict each other", sure["conflict"]
    if by_timing:
        return by_timing, timing, sure["physics"]
    if by_words:
        return by_words, f"the description says {by_words}; the timing does not tell", sure["words"]
    return "OTHER", "neither timing nor description tells the weighting", sure["conflict"]


def _excluded(header: Header) -> tuple[str, str, float] | None:
    """Localizers, computed images, diffusion and the like, which no timing makes T1, T2 or FLAIR."""
    sure = rules()["confidence"]
    image_type, table = set(header.image_type), rules()["image_type"]
    for name, what in (
        ("localizer", "a localizer"),
        ("computed", "computed from other images"),
        ("mosaic", "a mosaic"),
    ):
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
    if header.agent != "unknown":
        source = "BIDS ce- entity or sidecar" if header.source == "nifti" else "contrast tag"
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


def settle_contrast(headers: list[Header], classes: list[Class]) -> list[Class]:
    """Tell apart the T1 series of one session that their own headers leave unknown.

    Two T1 series match when they have the same acquisition, plane, scanning sequence and, within a tenth, the same echo
    and repetition times. Order tells only when it leaves one reading and contrast is known to have been given:

    - a matching T1 acquired before a T1 known to be post-contrast is pre-contrast;
    - of exactly two matching T1 series, the first without and the second with contrast, when another series of the
      session shows that contrast was given in it, and a T1 after one known to be pre-contrast likewise;
    - a BIDS T1w without ``ce-`` beside one of the same session with it is pre-contrast.

    Two matching T1 series in a session without any sign of contrast may be a repeat: they stay unknown.

    Parameters
    ----------
    headers, classes : list
        Of the series of one session, in the same order.

    Returns
    -------
    list of Class
        The classes, with the settled ones replaced.
    """
    out = list(classes)
    sure = rules()["confidence"]["contrast_order"]
    given = any(c.contrast == "yes" for c in classes) or any("perfusion" in h.words for h in headers)

    def settled(index: int, sequence: Sequence, why: str) -> None:
        base = classes[index].reason.rsplit("; ", 1)[0]
        out[index] = dataclasses.replace(classes[index], sequence=sequence, reason=f"{base}; {why}", confidence=sure)

    for i, mine in enumerate(classes):
        if mine.sequence is not Sequence.T1_UNKNOWN:
            continue
        said_nothing = not {"pre", "post"} & set(headers[i].words) and headers[i].agent == "unknown"
        if headers[i].suffix and said_nothing:
            if any(c.sequence is Sequence.T1_POST and headers[j].suffix for j, c in enumerate(classes)):
                settled(i, Sequence.T1_PRE, "no ce- entity beside a T1w of the same session that has one")
            continue
        mates = [j for j in range(len(classes)) if j != i and _match(headers[i], mine, headers[j], classes[j])]
        when = headers[i].time
        if not when or any(not headers[j].time or headers[j].time == when for j in mates):
            continue
        if any(classes[j].sequence is Sequence.T1_POST and when < headers[j].time for j in mates):
            settled(i, Sequence.T1_PRE, "order in the session: before the matching T1 known to be after contrast")
        elif len(mates) == 1 and given and classes[mates[0]].sequence is not Sequence.T1_POST:
            first = when < headers[mates[0]].time
            if first and classes[mates[0]].sequence is Sequence.T1_PRE:
                continue  # the known pre-contrast series comes later: this one may be a repeat of it
            sequence = Sequence.T1_PRE if first else Sequence.T1_POST
            word = "first" if first else "second"
            settled(i, sequence, f"order in the session: {word} of two matching T1, contrast known to be given")
    return out


def _match(one: Header, first: Class, other: Header, second: Class) -> bool:
    if second.sequence not in T1 or (first.plane, first.acquisition) != (second.plane, second.acquisition):
        return False
    if one.scanning != other.scanning:
        return False
    ratio = limit("geometry", "same_echo_ratio")
    for a, b in ((one.echo_time_ms, other.echo_time_ms), (one.repetition_time_ms, other.repetition_time_ms)):
        if a is None or b is None or abs(a - b) > ratio * max(a, b):
            return False
    return True


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
