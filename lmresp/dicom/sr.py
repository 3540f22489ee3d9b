"""The draft as a structured report (TID 1500): measurements of each segment, the draft scorecard, its origin."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from highdicom.sr import (
    AlgorithmIdentification,
    Comprehensive3DSR,
    DeviceObserverIdentifyingAttributes,
    FindingSite,
    Measurement,
    MeasurementsAndQualitativeEvaluations,
    ObserverContext,
    ReferencedSegment,
    SourceSeriesForSegmentation,
    TrackingIdentifier,
    VolumetricROIMeasurementsAndQualitativeEvaluations,
)
from pydicom.dataset import Dataset

from lmresp import RESEARCH_USE, __version__
from lmresp.dicom.codes import code
from lmresp.dicom.instance import MAKER, When, made_by, sealed
from lmresp.dicom.labels import Segment, Segmented
from lmresp.dicom.source import Source
from lmresp.dicom.sr_items import children, fact, facts, measurement, report, scorecard, time_point
from lmresp.dicom.uids import derived

_TYPES = {"linear": "type.linear", "nodule": "finding.nodule", "ventricles": "type.ventricles"}
_NOTES = {
    "linear": "Film is thinner than a voxel: the volume counts the share of each voxel, the segment shows every voxel "
    "that holds film."
}
# Measures of the whole brain: name in the scan result, term, unit; by the segment they describe.
_MEASURES = {
    "linear": [("LINEAR_VOL", "measure.volume", "unit.mm3"), ("LINEAR_AREA", "measure.area", "unit.mm2")],
    "ventricles": [("VENT_VOL", "measure.volume", "unit.mm3"), ("EVANS_INDEX", "measure.evans", "unit.1")],
    "": [("SUM_PRODUCTS", "measure.products", "unit.mm2"), ("NODULE_N", "measure.count", "unit.1")],
}


def draft_report(
    result: Mapping[str, Any],
    study_id: str,
    charter: str,
    source: Source,
    segmented: Segmented,
    segmentation: Dataset,
    when: When,
) -> Dataset:
    """Build the report of a draft: PARTIAL, PRELIMINARY, UNVERIFIED.

    Parameters
    ----------
    result : mapping
        Scan result, ``status`` ``measured``.
    study_id, charter : str
        The study, and the digest of the charter in force.
    source : Source
        The series that was measured.
    segmented, segmentation : Segmented, Dataset
        What :func:`lmresp.dicom.labels.segment` and :func:`lmresp.dicom.seg.segmentation` gave for it.
    when : When
        Day and time of the content.

    Returns
    -------
    Dataset
        A complete Comprehensive 3D SR. Volumes and diameters are those of the measurement, not counted again on the
        slices of the source.
    """
    gone = {one.number for one in segmented.vanished}
    groups: list[Any] = [
        _segment_group(one, result, source, None if one.number in gone else segmentation) for one in segmented.segments
    ]
    totals = _measurements(result, "")
    if totals:
        groups.append(_totals(totals, result, study_id))
    groups += scorecard(draft_answers(result), result, study_id, baseline=_is_baseline(result))
    card = result["scorecard"]
    groups.append(
        facts(
            "DRAFT",
            [
                *((f"fact.{name}", result[name]) for name in ("scan", "subject_id", "visit", "visit_num", "scan_date")),
                ("fact.software", result["software"]),
                ("fact.charter", charter),
                ("fact.note", f"rule {card['rule_id']}" if card["rule_id"] else ""),
                ("fact.note", card["coverage"]),
                ("fact.note", "Draft of an algorithm; not confirmed by a reader."),
                ("fact.note", RESEARCH_USE),
            ],
            result,
            study_id,
        )
    )
    ds = Comprehensive3DSR(
        evidence=[*source.images, segmentation],
        content=report(groups, _device()),
        is_complete=False,
        is_final=False,
        is_verified=False,
        **made_by("sr-draft"),
    )
    return sealed([ds], source, "sr-draft", when)[0]


def draft_answers(result: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the draft scorecard as answers: presence at baseline, change later, NE with the reason as comment.

    Parameters
    ----------
    result : mapping
        Scan result.

    Returns
    -------
    list of dict
        ``compartment, item, value, reason_ne, comment, confidence, presence``; items and values of the table
        mri_reads. An item whose change is not given (it cannot change any more, or was not compared) keeps its
        presence.
    """
    card = result["scorecard"]
    rows: list[dict[str, Any]] = []
    for item in card["items"]:
        presence, change = item["presence"], item["change"]
        rows.append(
            {
                "compartment": item["compartment"],
                "item": item["item"],
                "value": change or presence,
                "presence": presence if change and presence != "NE" else None,
                "reason_ne": "",
                "comment": item["reason"],
                "confidence": item["confidence"],
            }
        )
    for number, nodule in enumerate(card["nodules"], start=1):
        for axis, name in (("X", "long_mm"), ("Y", "perp_mm")):
            rows.append({"compartment": "BRAIN", "item": f"NODULE_{number}_{axis}", "value": str(nodule[name])})
    if card["overall"]:
        rows.append({"compartment": "WHOLE", "item": "OVERALL", "value": card["overall"]})
    return rows


def side_of(finding: Mapping[str, Any], result: Mapping[str, Any]) -> str | None:
    """Tell the side of a nodule.

    Returns
    -------
    str or None
        ``left`` or ``right`` of the midline of the head (x = 0 of the template); None for a nodule that reaches the
        midline, or film, which may lie on both sides.
    """
    if finding["kind"] != "nodule":
        return None
    x = float((np.array(result["geometry"]["to_template"]) @ [*finding["center_mm"], 1.0])[0])
    return None if abs(x) <= float(finding["long_mm"]) / 2 else "right" if x > 0 else "left"


def _is_baseline(result: Mapping[str, Any]) -> bool:
    return result["scorecard"]["reference"] is None


def _segment_group(one: Segment, result: Mapping[str, Any], source: Source, segmentation: Dataset | None) -> Any:
    finding = next((f for f in result["findings"] if one.finding is not None and f["id"] == one.finding), None)
    side = side_of(finding, result) if finding else None
    common: dict[str, Any] = {
        "tracking_identifier": TrackingIdentifier(uid=one.tracking_uid, identifier=one.tracking_id),
        "time_point_context": time_point(result, baseline=_is_baseline(result)),
        "finding_type": code(_TYPES[one.kind]),
        "finding_category": code("category.anatomy" if one.kind == "ventricles" else "category.abnormal"),
        "finding_sites": [FindingSite(code(one.site), laterality=code(f"side.{side}") if side else None)],
        "algorithm_id": AlgorithmIdentification(name=MAKER, version=__version__),
        "measurements": (_of_nodule(finding) if finding else _measurements(result, one.kind)) or None,
    }
    notes = [_NOTES.get(one.kind, "")]
    if finding:
        notes = [finding["note"], f"{finding['status']} against the reference scan" if finding["status"] else ""]
    if segmentation is None:
        notes = [*notes, "too small to be shown on the slices of the source series"]
        group: Any = MeasurementsAndQualitativeEvaluations(**common)
    else:
        group = VolumetricROIMeasurementsAndQualitativeEvaluations(
            referenced_segment=ReferencedSegment(
                sop_class_uid=segmentation.SOPClassUID,
                sop_instance_uid=segmentation.SOPInstanceUID,
                segment_number=one.number,
                source_series=SourceSeriesForSegmentation(source.series_uid),
            ),
            **common,
        )
    for note in notes:
        for item in fact("fact.note", note):
            children(group[0]).append(item)
    return group


def _of_nodule(finding: Mapping[str, Any]) -> list[Measurement]:
    spread = finding["uncertainty_mm"]
    return [
        measurement("measure.long", finding["long_mm"], "unit.mm", spread),
        measurement("measure.perpendicular", finding["perp_mm"], "unit.mm", spread),
        measurement("measure.volume", finding["volume_mm3"], "unit.mm3"),
        measurement("measure.confidence", finding["confidence"], "unit.1"),
    ]


def _measurements(result: Mapping[str, Any], kind: str) -> list[Measurement]:
    """Measures of the whole brain that have a value."""
    rows = {row["measure"]: row for row in result["measures"] if row["region"] == ""}
    return [
        measurement(term, rows[name]["value"], unit, rows[name]["uncertainty"])
        for name, term, unit in _MEASURES.get(kind, ())
        if name in rows and rows[name]["value"] is not None
    ]


def _totals(
    totals: Sequence[Measurement], result: Mapping[str, Any], study_id: str
) -> MeasurementsAndQualitativeEvaluations:
    name = "all counted nodules"
    return MeasurementsAndQualitativeEvaluations(
        tracking_identifier=TrackingIdentifier(
            uid=derived("track", study_id, str(result["subject_id"]), name), identifier=name
        ),
        time_point_context=time_point(result, baseline=_is_baseline(result)),
        finding_type=code("finding.nodule"),
        finding_sites=[FindingSite(code("site.meninges"))],
        measurements=list(totals),
    )


def _device() -> ObserverContext:
    return ObserverContext(
        code("observer.device"),
        DeviceObserverIdentifyingAttributes(
            uid=derived("device", MAKER, __version__), name=MAKER, model_name=MAKER, serial_number=__version__
        ),
    )
