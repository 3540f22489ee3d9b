"""Reports of drafts and reads: their states, their chain, and the way back into answers."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

from lmresp.dicom import scorecard_sr
from lmresp.dicom.instance import encoded
from lmresp.dicom.scan import LockedRead, objects
from lmresp.dicom.sr import draft_answers, side_of
from lmresp.ingest.spec import table_spec
from tests.unit.dicom.made import LEFT, RIGHT, Made, answer, entry, faults, made, nodule, save, tool

UTC = "2026-11-21T20:01:02.000003Z"


@pytest.fixture(scope="module")
def one(tmp_path_factory: pytest.TempPathFactory) -> Made:
    return made(tmp_path_factory.mktemp("reports"))


def _read_back(one: Made, folder: Path, given: dict[str, Any], locked_utc: str = UTC) -> dict[str, Any]:
    ds = scorecard_sr.write(given, one.source, study_id="LM-TEST", locked_utc=locked_utc)
    (folder / "sr.dcm").write_bytes(encoded(ds))
    return scorecard_sr.read(folder / "sr.dcm")


def test_a_read_comes_back_as_it_was(one: Made, tmp_path: Path) -> None:
    given = entry()
    back = _read_back(one, tmp_path, given)
    for key in (
        *("answers", "read", "scan", "subject_id", "visit", "visit_num", "scan_date", "utc", "reader", "role"),
        *("session", "blinded_to", "comparator", "departs", "implied", "reasons", "over", "chosen", "supersedes"),
        *("draft", "charter", "digest", "software"),
    ):
        assert back[key] == given[key], key
    assert (back["state"], back["locked"], back["locked_utc"], back["verified_by"]) == (
        "read",
        True,
        UTC,
        "RADIOLOGIST 1",
    )
    assert back["unknown"] == back["problems"] == back["measurements"] == []


def test_the_account_behind_a_pseudonym_stays_in_the_record(one: Made) -> None:
    ds = scorecard_sr.write(entry(account="anna-secret"), one.source, study_id="LM-TEST", locked_utc=UTC)
    assert b"anna-secret" not in encoded(ds)


def test_a_report_that_is_not_locked_says_so(one: Made, tmp_path: Path) -> None:
    back = _read_back(one, tmp_path, entry(), locked_utc="")
    assert (back["complete"], back["verified"], back["locked"], back["final"]) == (False, False, False, False)
    assert len(back["problems"]) == 1
    assert "not locked" in back["problems"][0]


@pytest.mark.parametrize("element", ["CompletionFlag", "VerificationFlag", "VerifyingObserverSequence"])
def test_complete_verified_and_a_name_are_all_needed(one: Made, tmp_path: Path, element: str) -> None:
    ds = scorecard_sr.write(entry(), one.source, study_id="LM-TEST", locked_utc=UTC)
    delattr(ds, element)
    (tmp_path / "sr.dcm").write_bytes(encoded(ds))
    back = scorecard_sr.read(tmp_path / "sr.dcm")
    assert not back["locked"]
    assert back["answers"] == entry()["answers"]


def test_the_chain_from_draft_to_adjudication(one: Made, tmp_path: Path) -> None:
    second = entry("R000002", reader="RADIOLOGIST 2")
    changed = entry("R000003", supersedes="R000001")
    judged = entry(
        "R000004", reader="ADJUDICATOR", role="ADJUDICATION COMMITTEE", over=["R000003", "R000002"], chosen="R000002"
    )
    reads = [
        LockedRead(entry("R000001"), "2026-11-21T20:00:00.000000Z"),
        LockedRead(second, "2026-11-22T20:00:00.000000Z"),
        LockedRead(changed, "2026-11-23T20:00:00.000000Z", ("R000001",)),
        LockedRead(judged, "2026-11-24T20:00:00.000000Z", ("R000003", "R000002")),
    ]
    files, _ = objects(one.scan(reads=reads))
    built = {}
    for name, content in files.items():
        (tmp_path / name).write_bytes(content)
        built[name.removesuffix(".dcm")] = pydicom.dcmread(tmp_path / name)
    flags = {
        n: (d.CompletionFlag, d.PreliminaryFlag, d.VerificationFlag) for n, d in built.items() if n.startswith("sr")
    }
    read = ("COMPLETE", "PRELIMINARY", "VERIFIED")
    assert flags == {
        "sr-draft": ("PARTIAL", "PRELIMINARY", "UNVERIFIED"),
        **{f"sr-read-R00000{n}": read for n in (1, 2, 3)},
        "sr-read-R000004": ("COMPLETE", "FINAL", "VERIFIED"),
    }
    ids = {name: ds.SOPInstanceUID for name, ds in built.items()}
    back = {n: scorecard_sr.read(tmp_path / f"sr-read-R00000{n}.dcm") for n in (1, 2, 3, 4)}
    assert scorecard_sr.read(tmp_path / "sr-draft.dcm")["predecessors"] == []
    assert back[1]["predecessors"] == back[2]["predecessors"] == [ids["sr-draft"]]
    assert back[3]["predecessors"] == [ids["sr-read-R000001"]]
    assert set(back[4]["predecessors"]) == {ids["sr-read-R000003"], ids["sr-read-R000002"]}
    assert back[4]["state"] == "adjudicated"
    verified = built["sr-read-R000004"].VerifyingObserverSequence[0]
    assert verified.VerificationDateTime == "20261124200000.000000+0000"
    assert (str(verified.VerifyingObserverName), verified.VerifyingOrganization) == ("ADJUDICATOR^", "study LM-TEST")
    assert (built["sr-read-R000004"].ContentDate, built["seg"].ContentDate) == ("20261124", "20240503")
    for name in files:
        assert faults(tmp_path / name) == [], name


def test_a_scan_that_was_not_measured_can_be_read(one: Made, tmp_path: Path) -> None:
    none = {**one.result, "status": "not_measured", "reason": "no head in it"}
    files, _ = objects(one.scan(result=none, labels=None, reads=[LockedRead(entry(), UTC)]))
    assert sorted(files) == ["report-R000001.dcm", "report.dcm", "sr-read-R000001.dcm"]
    for name, content in files.items():
        (tmp_path / name).write_bytes(content)
        assert faults(tmp_path / name) == []
    back = scorecard_sr.read(tmp_path / "sr-read-R000001.dcm")
    assert (back["locked"], back["predecessors"]) == (True, [])


def test_dsrdump_reads_a_read(one: Made, tmp_path: Path) -> None:
    _read_back(one, tmp_path, entry())
    done = subprocess.run([tool("dsrdump"), "+Pl", str(tmp_path / "sr.dcm")], capture_output=True, check=True)
    words = done.stdout.decode("utf-8")
    assert 'CODE:(,,"Linear leptomeningeal enhancement")=(260388006,SCT,"No change")' in words
    assert 'NUM:(,,"Long axis")="18.5" (mm,UCUM,"mm")' in words
    assert "Größe 日本 <script>alert(1)</script> & more" in words
    assert "VERIFIED" in words


def test_a_draft_comes_back_as_answers(one: Made, tmp_path: Path) -> None:
    files, _ = objects(one.scan())
    (tmp_path / "sr.dcm").write_bytes(files["sr-draft.dcm"])
    back = scorecard_sr.read(tmp_path / "sr.dcm")
    assert (back["state"], back["locked"], back["scan"], back["charter"]) == (
        "draft",
        False,
        "sub-LM05_ses-WK06",
        "c" * 64,
    )
    said = {f"{row['compartment']} {row['item']}": row["value"] for row in back["answers"]}
    assert said == {
        "BRAIN NODULES": "WORSE",
        "BRAIN LINEAR": "NO CHANGE",
        "BRAIN HYDROCEPHALUS": "NE",
        "SPINE NODULES": "NE",
        "BRAIN NODULE_1_X": "18",
        "BRAIN NODULE_1_Y": "17",
        "BRAIN NODULE_2_X": "14",
        "BRAIN NODULE_2_Y": "13",
        "WHOLE OVERALL": "PD",
    }
    assert back["unknown"] == []
    found = {(m["of"], m["name"]): float(m["value"]) for m in back["measurements"]}
    assert found["linear enhancement", "Volume"] == 2500.5
    assert found["nodule 11", "Long axis"] == 18.0
    assert found["ventricles", "Evans index"] == 0.31
    assert found["all counted nodules", "Number of nodules counted"] == 2.0


def test_uncertainty_stands_below_its_number_in_the_same_unit(one: Made) -> None:
    files, _ = objects(one.scan())
    with_spread = 0
    ds = pydicom.dcmread(pydicom.filebase.DicomBytesIO(files["sr-draft.dcm"]))
    for group in ds.ContentSequence[-1].ContentSequence:
        for item in group.ContentSequence:
            if item.ValueType == "NUM" and "ContentSequence" in item:
                below = item.ContentSequence[0]
                assert below.ConceptNameCodeSequence[0].CodeMeaning == "+/-, range of measurement uncertainty"
                unit, own = (i.MeasuredValueSequence[0].MeasurementUnitsCodeSequence[0] for i in (below, item))
                assert unit.CodeValue == own.CodeValue
                with_spread += 1
    assert with_spread == 6 + 4  # six measures of the brain, two diameters of two nodules


def test_at_baseline_the_draft_says_what_is_there(one: Made) -> None:
    card = one.result["scorecard"]
    items = [{**item, "change": None} for item in card["items"]]
    baseline = {**one.result, "scorecard": {**card, "reference": None, "overall": None, "items": items, "nodules": []}}
    assert [row["value"] for row in draft_answers(baseline)] == ["PRESENT", "PRESENT", "NE", "NE"]
    assert all(row["presence"] is None for row in draft_answers(baseline))


def test_a_nodule_at_the_midline_has_no_side(one: Made) -> None:
    # RIGHT and LEFT lie 36 and 30 mm from the midline; x of the template is that of the scanner here.
    assert [side_of(nodule(n, c), one.result) for n, c in ((1, RIGHT), (2, LEFT))] == ["right", "left"]
    assert side_of(nodule(1, np.array([5.0, 0, 0]), long_mm=18.0), one.result) is None
    assert side_of(nodule(1, np.array([9.5, 0, 0]), long_mm=18.0), one.result) == "right"
    assert side_of({**nodule(3, LEFT), "kind": "linear"}, one.result) is None


# --- what others write ------------------------------------------------------------------------------------------------
def _container(*items: Dataset) -> Dataset:
    return _item("CONTAINER", ("125007", "DCM", "Measurement Group"), ContentSequence=Sequence(items))


def _item(kind: str, name: tuple[str, str, str], **values: Any) -> Dataset:
    ds = Dataset()
    ds.RelationshipType, ds.ValueType = "CONTAINS", kind
    ds.ConceptNameCodeSequence = Sequence([_coded(*name)])
    for keyword, value in values.items():
        setattr(ds, keyword, value)
    return ds


def _coded(value: str, scheme: str, meaning: str) -> Dataset:
    ds = Dataset()
    ds.CodeValue, ds.CodingSchemeDesignator, ds.CodeMeaning = value, scheme, meaning
    return ds


def _foreign(folder: Path, *items: Dataset) -> Path:
    ds = Dataset()
    ds.SOPClassUID, ds.SOPInstanceUID, ds.Modality = "1.2.840.10008.5.1.4.1.1.88.33", "1.2.3", "SR"
    ds.CompletionFlag, ds.VerificationFlag = "COMPLETE", "VERIFIED"
    ds.ContentSequence = Sequence(items)
    return save(ds, folder / "foreign.dcm")


def test_what_is_not_known_is_listed(tmp_path: Path) -> None:
    name = _item("TEXT", ("112039", "DCM", "Tracking Identifier"), TextValue="BRAIN")
    known = ("NODULES", "99LMRESP", "Leptomeningeal nodules")
    path = _foreign(
        tmp_path,
        _container(
            name,
            _item("CODE", known, ConceptCodeSequence=Sequence([_coded("52101004", "SCT", "Present")])),
            _item("CODE", known, ConceptCodeSequence=Sequence([_coded("X1", "99OTHER", "Rather present")])),
            _item("CODE", ("C1", "99OTHER", "Mood"), ConceptCodeSequence=Sequence([_coded("1", "99OTHER", "Good")])),
            _item("SCOORD", ("111030", "DCM", "Image Region")),
            Dataset(),
        ),
    )
    back = scorecard_sr.read(path)
    assert back["answers"] == [answer("BRAIN", "NODULES", "PRESENT")]
    assert back["unknown"] == [
        "CODE Leptomeningeal nodules: Rather present",
        "CODE Mood: Good",
        "SCOORD Image Region: ",
        "item without a name: ",
    ]
    assert not back["locked"]  # COMPLETE and VERIFIED, but by nobody


def test_an_answer_outside_of_a_compartment_is_no_answer(tmp_path: Path) -> None:
    item = _item(
        "CODE", ("NODULES", "99LMRESP", "n"), ConceptCodeSequence=Sequence([_coded("52101004", "SCT", "Present")])
    )
    back = scorecard_sr.read(_foreign(tmp_path, item))
    assert back["answers"] == []
    assert "it holds no answer of a scorecard" in back["problems"]


def test_two_answers_to_one_item_are_a_problem(one: Made, tmp_path: Path) -> None:
    back = _read_back(one, tmp_path, entry(answers=[answer("BRAIN", "LINEAR", v) for v in ("WORSE", "IMPROVED")]))
    assert back["problems"] == ["BRAIN LINEAR is answered more than once"]


def test_deep_nesting_is_survived(tmp_path: Path) -> None:
    item = _container()
    for _ in range(60):
        item = _container(item)
    assert "items nested more than 20 deep" in scorecard_sr.read(_foreign(tmp_path, item))["unknown"]


def test_files_that_are_no_report(one: Made, tmp_path: Path) -> None:
    assert scorecard_sr.read(one.files[0])["problems"] == ["it is not a structured report"]
    (tmp_path / "junk").write_bytes(b"\0" * 300)
    (tmp_path / "none").write_bytes(b"")
    for path in (tmp_path / "junk", tmp_path / "none", tmp_path / "missing", tmp_path):
        back = scorecard_sr.read(path)
        assert back["answers"] == []
        assert len(back["problems"]) == 1


def test_damaged_reports_never_raise(one: Made, tmp_path: Path) -> None:
    whole = encoded(scorecard_sr.write(entry(), one.source, study_id="LM-TEST", locked_utc=UTC))
    rng = np.random.default_rng(5)
    path = tmp_path / "sr.dcm"
    for cut in (*rng.integers(0, len(whole), 20), *[None] * 60):
        content = bytearray(whole[:cut])
        for place in rng.integers(132, len(content), size=6) if cut is None else ():
            content[place] = rng.integers(256)
        path.write_bytes(bytes(content))
        assert scorecard_sr.read(path)["format"] == scorecard_sr.FORMAT


_ITEMS = table_spec("mri_reads").columns["item"].codes
_RULES = (table_spec("mri_reads").columns["value"].by or {})["rules"]
_TEXT = st.text(st.characters(exclude_categories=["C", "Zl", "Zp"]), max_size=60).map(str.strip)


@st.composite
def _answers(draw: st.DrawFn) -> list[dict[str, str]]:
    keys = st.tuples(st.sampled_from(["BRAIN", "SPINE"]), st.sampled_from(_ITEMS))
    out = []
    for compartment, item in draw(st.lists(keys, unique=True, min_size=1, max_size=8)):
        codes = _RULES[item].get("codes")
        value = draw(st.sampled_from(codes)) if codes else f"{draw(st.integers(1, 600)) / 2:g}"
        reason = draw(st.sampled_from(table_spec("mri_reads").columns["reason_ne"].codes)) if value == "NE" else ""
        out.append(answer(compartment, item, value, reason, draw(_TEXT)))
    return out


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(answers=_answers())
def test_every_answer_survives_the_way_there_and_back(
    one: Made, tmp_path_factory: pytest.TempPathFactory, answers: list[dict[str, str]]
) -> None:
    back = _read_back(one, tmp_path_factory.mktemp("way"), entry(answers=answers))

    def key(row: dict[str, str]) -> tuple[str, str]:
        return row["compartment"], row["item"]

    assert sorted(back["answers"], key=key) == sorted(answers, key=key)
    assert back["unknown"] == []
