"""Parts of a TID 1500 measurement report that the draft and the reads share."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from highdicom.sr import (
    CodeContentItem,
    ContentSequence,
    FindingSite,
    Measurement,
    MeasurementReport,
    MeasurementsAndQualitativeEvaluations,
    NumContentItem,
    ObservationContext,
    ObserverContext,
    QualitativeEvaluation,
    RelationshipTypeValues,
    TextContentItem,
    TimePointContext,
    TrackingIdentifier,
)

from lmresp.dicom.codes import code
from lmresp.dicom.uids import tracking

SITES = {"BRAIN": "site.brain", "SPINE": "site.spine"}
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0e-\x1f\x7f]")  # what a TEXT value may not hold (DICOM PS3.5 6.1.3)


def plain(text: object) -> str:
    """Return text without the control characters that DICOM does not allow."""
    return _CONTROL.sub("", str(text)).strip()


def fact(key: str, value: object, relation: str = "CONTAINS") -> list[TextContentItem]:
    """Return a text item, or nothing where there is no text.

    Parameters
    ----------
    key : str
        Key of its name in the table of codes.
    value : object
        What it says.
    relation : {"CONTAINS", "HAS PROPERTIES"}
        Of a group, or of an answer.
    """
    text = plain(value)
    return [TextContentItem(code(key), text, RelationshipTypeValues(relation))] if text else []


def measurement(key: str, value: float, unit: str, uncertainty: float | None = None) -> Measurement:
    """Return a number with its uncertainty in the same unit."""
    out = Measurement(name=code(key), value=_rounded(value), unit=code(unit))
    if uncertainty is not None:
        item = NumContentItem(
            code("measure.uncertainty"), _rounded(uncertainty), code(unit), None, RelationshipTypeValues.HAS_PROPERTIES
        )
        children(out[0]).append(item)
    return out


def _rounded(value: float) -> float:
    return float(f"{value:.6g}")


def answer(row: Mapping[str, Any]) -> QualitativeEvaluation:
    """Return one answer of a scorecard; why it was not evaluable and the comment stand below it.

    Parameters
    ----------
    row : mapping
        ``item`` and ``value`` as in the table mri_reads; ``reason_ne`` and ``comment``; of a draft also ``presence``
        (where the value is a change) and ``confidence``.
    """
    out = QualitativeEvaluation(code(f"item.{row['item']}"), code(f"value.{row['value']}"))
    below = children(out[0])
    if row.get("reason_ne"):
        below.append(_property("reason_ne", f"reason_ne.{row['reason_ne']}"))
    if row.get("presence"):
        below.append(_property(f"item.{row['item']}", f"value.{row['presence']}"))
    for item in fact("comment", row.get("comment") or "", "HAS PROPERTIES"):
        below.append(item)
    if row.get("confidence") is not None:
        below.append(
            NumContentItem(
                code("measure.confidence"),
                _rounded(row["confidence"]),
                code("unit.1"),
                None,
                RelationshipTypeValues.HAS_PROPERTIES,
            )
        )
    if not len(below):
        del out[0].ContentSequence
    return out


def _property(name: str, value: str) -> CodeContentItem:
    return CodeContentItem(code(name), code(value), RelationshipTypeValues.HAS_PROPERTIES)


def children(item: Any) -> ContentSequence:
    """Return the items below an item, making room for them."""
    if "ContentSequence" not in item:
        item.ContentSequence = ContentSequence()
    found: ContentSequence = item.ContentSequence
    return found


def time_point(entry: Mapping[str, Any], *, baseline: bool | None) -> TimePointContext:
    """Return the visit; ``baseline`` None where it is not known whether this is the reference scan."""
    kind = None if baseline is None else code("time.baseline" if baseline else "time.later")
    return TimePointContext(
        time_point=plain(entry["visit"]) or plain(entry["scan"]),
        time_point_type=kind,
        protocol_time_point_identifier=plain(entry["visit_num"]) or None,
    )


def scorecard(
    answers: Sequence[Mapping[str, Any]], entry: Mapping[str, Any], study_id: str, *, baseline: bool | None = None
) -> list[MeasurementsAndQualitativeEvaluations]:
    """Return the answers as groups: one for each compartment, one for each nodule with its two diameters.

    Parameters
    ----------
    answers : sequence of mapping
        ``compartment``, ``item``, ``value``, ``reason_ne``, ``comment``; items and values of the table mri_reads.
    entry : mapping
        ``scan``, ``subject_id``, ``visit`` and ``visit_num`` of the read or scan result.
    study_id : str
        For the tracking identifiers.
    baseline : bool, optional
        Whether the scan is the reference scan.

    Notes
    -----
    The criteria stand as a qualitative evaluation beside the overall answer: RANO is the nearest that DICOM has a code
    for (CID 6147); that the leptomeningeal criteria are meant is in the name of the items.
    """
    groups: list[MeasurementsAndQualitativeEvaluations] = []
    for compartment in ("BRAIN", "SPINE", "WHOLE"):
        rows = [row for row in answers if row["compartment"] == compartment]
        diameters = [
            (place, row) for row in rows if (place := diameter(row["item"])) is not None and _is_number(row["value"])
        ]
        others = [row for row in rows if not any(row is found for _, found in diameters)]
        evaluations = [answer(row) for row in others]
        if any(row["item"] == "OVERALL" for row in others):
            evaluations.append(QualitativeEvaluation(code("criteria"), code("criteria.rano")))
        if others:
            groups.append(_group(compartment, entry, study_id, baseline, evaluations=evaluations))
        for number in sorted({place[0] for place, _ in diameters}):
            numbers = [_diameter(place[1], row) for place, row in diameters if place[0] == number]
            groups.append(_group(f"{compartment} NODULE {number}", entry, study_id, baseline, measurements=numbers))
    return groups


def _diameter(key: str, row: Mapping[str, Any]) -> Measurement:
    out = measurement(key, float(row["value"]), "unit.mm")
    for item in fact("comment", row.get("comment") or "", "HAS PROPERTIES"):
        children(out[0]).append(item)
    return out


def diameter(item: str) -> tuple[int, str] | None:
    """Number of the nodule and key of the measure of ``NODULE_1_X``; None for another item."""
    match = re.fullmatch(r"NODULE_([1-3])_([XY])", item)
    return (int(match[1]), "measure.long" if match[2] == "X" else "measure.perpendicular") if match else None


def _is_number(value: Any) -> bool:
    return re.fullmatch(r"\d+(\.\d+)?", str(value)) is not None


def _group(
    name: str,
    entry: Mapping[str, Any],
    study_id: str,
    baseline: bool | None,
    *,
    evaluations: Sequence[QualitativeEvaluation] = (),
    measurements: Sequence[Measurement] = (),
) -> MeasurementsAndQualitativeEvaluations:
    site = SITES.get(name.split(" ")[0])
    return MeasurementsAndQualitativeEvaluations(
        tracking_identifier=TrackingIdentifier(
            uid=tracking(study_id, str(entry["subject_id"]), f"scorecard {name}"), identifier=name
        ),
        time_point_context=time_point(entry, baseline=baseline),
        finding_type=code("finding.nodule") if measurements else None,
        finding_sites=[FindingSite(code(site))] if site else None,
        measurements=list(measurements) or None,
        qualitative_evaluations=list(evaluations) or None,
    )


def facts(
    name: str, rows: Sequence[tuple[str, object]], entry: Mapping[str, Any], study_id: str
) -> MeasurementsAndQualitativeEvaluations:
    """Return a group of text items that says where a report comes from."""
    group = _group(name, entry, study_id, None)
    for key, value in rows:
        for item in fact(key, value):
            children(group[0]).append(item)
    return group


def report(groups: Sequence[Any], observer: ObserverContext) -> MeasurementReport:
    """Return the whole content of a report: title, language, who observed, the procedure, the groups."""
    person = observer[0].value == code("observer.person")
    return MeasurementReport(
        observation_context=ObservationContext(
            observer_person_context=observer if person else None,
            observer_device_context=None if person else observer,
        ),
        procedure_reported=code("procedure"),
        imaging_measurements=list(groups),
        title=code("title.report"),
    )
