"""The imaging protocol of EANO-ESMO 2023 (Table 1: 1.5 T, brain 1 mm, spine 3 mm, 0.1 mmol/kg, 10 minutes)."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pydicom
import pytest

from lmresp.ingest import dicom, protocol, scan_checks
from lmresp.ingest.assign import Visit
from lmresp.ingest.header import minutes_between

VISIT = Visit("S-01", "BL", "1", "2024-01-02", 14, 14, False)


def entry(name: str, sequence: str, body_part: str = "BRAIN", **changes: Any) -> dict[str, Any]:
    facts = {
        "slice_thickness_mm": 1.0,
        "spacing_mm": [1.0, 1.0, 1.0],
        "field_strength_t": 3.0,
        "scanning_sequence": "GR",
    }
    base = {"series": name, "sequence": sequence, "body_part": body_part, "acquisition": "3D", "plane": "SAGITTAL"}
    return base | {"use": True, "overruled": False, "files": [f"mri/{name}"], "facts": facts | changes}


def asked(*series: dict[str, Any]) -> dict[str, str]:
    record = {"subject_id": "S-01", "visit": "BL", "scan_date": "2024-01-02", "series": list(series)}
    return {q.code: q.value for q in scan_checks.scan(record, VISIT, "2025-01-01")}


FULL = (
    entry("T1-pre-1", "T1_PRE"),
    entry("T1-post-1", "T1_POST", contrast_dose_mmol_kg=0.1, contrast_delay_min=10.0),
    entry("FLAIR-1", "FLAIR"),
    entry("T1-post-2", "T1_POST", "LUMBAR", slice_thickness_mm=3.0),
)


def test_a_scan_that_keeps_to_the_protocol_raises_no_query() -> None:
    assert asked(*FULL) == {}


def test_what_the_header_does_not_say_is_not_asked() -> None:
    silent = [one | {"facts": {"spacing_mm": [1.0, 1.0, 1.0]}} for one in FULL]
    assert asked(*silent) == {}


@pytest.mark.parametrize(
    ("number", "changes", "code", "value"),
    [
        (0, {"field_strength_t": 1.0}, "SC110", "T1-pre-1 1 T"),
        (1, {"slice_thickness_mm": 1.2}, "SC015", "T1-post-1 1.2 mm"),
        (3, {"slice_thickness_mm": 3.3}, "SC016", "T1-post-2 3.3 mm"),
        (1, {"contrast_dose_mmol_kg": 0.05}, "SC112", "T1-post-1 0.05 mmol/kg"),
        (1, {"contrast_dose_mmol_kg": 0.2}, "SC112", "T1-post-1 0.2 mmol/kg"),
        (1, {"contrast_delay_min": 4.5}, "SC113", "T1-post-1 4.5 min"),
        (1, {"contrast_delay_min": 600.0}, "SC113", "T1-post-1 600 min"),
    ],
)
def test_each_departure_is_a_query_of_its_own(number: int, changes: dict[str, Any], code: str, value: str) -> None:
    series = [one | {"facts": one["facts"] | (changes if i == number else {})} for i, one in enumerate(FULL)]
    assert asked(*series) == {code: value}


@pytest.mark.parametrize("tesla", [1.494, 1.41, 1.5, 7.0])
def test_scanners_called_one_and_a_half_tesla_are_strong_enough(tesla: float) -> None:
    assert asked(*[one | {"facts": one["facts"] | {"field_strength_t": tesla}} for one in FULL]) == {}


def test_an_agent_with_a_labelled_dose_of_its_own_is_held_to_that() -> None:
    """Gadopiclenol is labelled at 0.05 mmol/kg."""
    given = entry("T1-post-1", "T1_POST", contrast_dose_mmol_kg=0.05, contrast_substance="gadopiclenol")
    assert asked(FULL[0], given, *FULL[2:]) == {}
    double = entry("T1-post-1", "T1_POST", contrast_dose_mmol_kg=0.1, contrast_substance="gadopiclenol")
    assert set(asked(FULL[0], double, *FULL[2:])) == {"SC112"}


def test_missing_sequences_are_one_query() -> None:
    assert asked(*FULL[:2])["SC114"] == "FLAIR of the head; T1 of the spine after contrast"
    assert asked(*FULL[:2], entry("FLAIR-post-1", "FLAIR_POST"))["SC114"] == "T1 of the spine after contrast"


def test_no_contrast_and_contrast_in_both_have_names_of_their_own() -> None:
    denied = entry("T1-pre-1", "T1_PRE", contrast_agent="no")
    assert asked(denied, *FULL[2:])["SC111"] == "T1-pre-1"
    assert "SC012" in asked(FULL[0], *FULL[2:])  # nothing says that none was given
    twice = entry("T1-post-3", "T1_POST")
    assert asked(twice, *FULL[1:])["SC115"] == "T1-post-3, T1-post-1"
    other = entry("T1-post-3", "T1_POST") | {"plane": "AXIAL", "acquisition": "2D"}
    assert "SC013" in asked(other, *FULL[1:])


def test_another_part_of_the_body_is_named() -> None:
    assert asked(*FULL, entry("T1-1", "T1_UNKNOWN", "OTHER"))["SC117"] == "T1-1"


@pytest.mark.parametrize(
    ("tags", "dose", "substance"),
    [
        ({"ContrastBolusAgent": "GADOVIST 7.5 ml", "ContrastBolusVolume": 7.5, "PatientWeight": 75}, 0.1, "gadobutrol"),
        ({"ContrastBolusAgent": "Dotarem", "ContrastBolusVolume": 14, "PatientWeight": 70}, 0.1, "gadoterate"),
        ({"ContrastBolusAgent": "Dotarem", "ContrastBolusTotalDose": 7, "PatientWeight": 70}, 0.05, "gadoterate"),
        ({"ContrastBolusAgent": "Gd", "ContrastBolusVolume": 14, "PatientWeight": 70}, None, ""),
        ({"ContrastBolusAgent": "Dotarem", "ContrastBolusVolume": 14}, None, "gadoterate"),
        ({"ContrastBolusAgent": "Dotarem", "ContrastBolusVolume": 14, "PatientWeight": 0}, None, "gadoterate"),
        ({"ContrastBolusAgent": "none", "ContrastBolusVolume": 0, "PatientWeight": 70}, None, ""),
    ],
)
def test_dose_by_hand(
    tmp_path: Path, dicom_series: Callable[..., Any], tags: dict[str, Any], dose: float | None, substance: str
) -> None:
    dicom_series(tmp_path / "in", "a", **tags)
    found = dicom.read_header(next((tmp_path / "in").iterdir()))
    assert (found.dose_mmol_kg, found.substance) == (dose, substance)
    assert "75" not in str(found.as_json().get("dose_mmol_kg", ""))


def test_time_of_injection_in_classic_and_enhanced_headers(tmp_path: Path, dicom_series: Callable[..., Any]) -> None:
    dicom_series(tmp_path / "in", "a", ContrastBolusAgent="Dotarem", ContrastBolusStartTime="094830.25")
    path = next((tmp_path / "in").iterdir())
    assert dicom.read_header(path).injection == "094830"
    ds = pydicom.dcmread(path)
    del ds.ContrastBolusStartTime
    profile, item = pydicom.Dataset(), pydicom.Dataset()
    profile.ContrastBolusStartTime = "095000"
    item.ContrastAdministrationProfileSequence = [profile]
    ds.ContrastBolusAgentSequence = [item]
    ds.save_as(path)
    assert dicom.read_header(path).injection == "095000"


@pytest.mark.parametrize(
    ("start", "end", "minutes"),
    [("094830", "100000", 11.5), ("100000", "094830", -11.5), ("235500", "000500", 10.0), ("", "100000", None)],
)
def test_minutes_between_two_times_of_day(start: str, end: str, minutes: float | None) -> None:
    assert minutes_between(start, end) == minutes


def test_every_limit_has_its_source() -> None:
    limits = protocol.protocol()["limits"]
    assert {one["certainty"] for one in limits.values()} <= {"seen", "seen_secondary", "recalled", "convention"}
    assert all(one["reason"] and one["unit"] for one in limits.values())
