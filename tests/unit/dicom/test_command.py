"""``lmresp dicom``: what lands in the folder, what does not and why, and where it refuses to write."""

from __future__ import annotations

import copy
import json
import os
import shutil
from pathlib import Path
from typing import Any

import pydicom
import pytest

from lmresp import store
from lmresp.cli import main
from lmresp.dicom import scorecard_sr
from lmresp.ingest.templates import write_templates
from lmresp.mri import images
from lmresp.mri.files import image_file, scan_folder
from lmresp.reads.entry import BLANK
from lmresp.reads.record import Record
from tests.unit.dicom.made import STUDY, Made, entry, made

SCAN = "sub-LM05_ses-WK06"
FIRST = {"report.dcm", "sc-finding-01.dcm", "sc-finding-02.dcm", "sc-finding-03.dcm", "seg.dcm", "sr-draft.dcm"}


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A study with one measured DICOM scan, one of NIfTI, and one that could not be measured; as after a run."""
    study = tmp_path_factory.mktemp("command") / "study"
    write_templates(study)
    (study / "study.yaml").write_text(f'study_id: {STUDY}\ndata_cut: "2025-06-30"\n', encoding="utf-8")
    results = study / "derivatives" / "lmresp"
    store.write_json(results / "work" / "charter.json", {"digest": "c" * 64})
    one = made(study / "mri" / "wk06")
    _stored(study, one, SCAN, "dicom", one.result)
    _stored(study, one, "sub-LM05_ses-WK12", "nifti", {**one.result, "visit": "WK12", "visit_num": "3"})
    none = {**one.result, "visit": "WK18", "visit_num": "4", "status": "not_measured", "reason": "no head in it"}
    _stored(study, one, "sub-LM05_ses-WK18", "dicom", none)
    return study


def _stored(study: Path, one: Made, scan: str, source: str, result: dict[str, Any]) -> None:
    """Write scan record, scan result and images as the workflow leaves them."""
    results = study / "derivatives" / "lmresp"
    result = {**copy.deepcopy(result), "scan": scan}
    series = {
        "series": "T1-post-1",
        "source": source,
        "digest": "d" * 64,
        "sequence": "T1_POST",
        "use": True,
        "files": sorted(str(path.relative_to(study)) for path in one.files),
        "body_part": "BRAIN",
        "acquisition": "3D",
        "facts": {"spacing_mm": [3.2, 3.0, 5.0]},
    }
    named = {key: result[key] for key in ("scan", "subject_id", "visit", "visit_num", "scan_date", "reference")}
    store.write_json(results / "work" / "scans" / f"{scan}.json", {**named, "series": [series]})
    folder = scan_folder(results, scan)
    if result["status"] == "measured":
        for role, volume in (("anchor", one.anchor), ("labels", one.labels)):
            name = image_file(scan, role, result["contrast"])
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            result["files"][name] = images.write(folder / name, volume, labels=role == "labels")
    store.write_json(folder / f"{scan}_scan.json", result)


@pytest.fixture
def study(finished: Path, tmp_path: Path) -> Path:
    """A copy that a test may change."""
    return Path(shutil.copytree(finished, tmp_path / "study"))


def _written(folder: Path) -> dict[str, set[str]]:
    return {one.name: {path.name for path in one.iterdir()} for one in sorted(folder.iterdir())}


def _contents(folder: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def test_what_lands_in_the_folder(finished: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["dicom", str(finished), "--to", str(tmp_path / "out")]) == 0
    assert _written(tmp_path / "out") == {SCAN: FIRST, "sub-LM05_ses-WK18": {"report.dcm"}}
    said = capsys.readouterr().out
    assert "DI001 No DICOM objects are written for scan WK12 of LM-05: series T1-post-1: it was not delivered" in said
    assert (
        "DI002 Scan WK18 of LM-05 has no segmentation and no draft report: it was not measured (no head in it)" in said
    )
    assert "carry name, identifier and birth date" in said
    assert "Nothing was sent" in said
    assert "Research use only" in said
    assert "DOE" not in said
    assert "HOSPITAL" not in said
    rows = store.read_csv(finished / "derivatives" / "lmresp" / "private" / "dicom.queries.csv")
    assert [row["code"] for row in rows] == ["DI001", "DI002"]


def test_again_writes_nothing_new(finished: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert main(["dicom", str(finished), "--to", str(out)]) == 0
    before, times = _contents(out), {p: p.stat().st_mtime_ns for p in out.rglob("*")}
    assert main(["dicom", str(finished), "--to", str(out)]) == 0
    (out / SCAN / ".seg.dcm.host-1-2.part").write_bytes(b"the rest of a file that was never finished")
    assert main(["dicom", str(finished), "--to", str(out)]) == 0
    (out / SCAN / ".seg.dcm.host-1-2.part").unlink()
    os.utime(out / SCAN, ns=(times[out / SCAN], times[out / SCAN]))
    assert _contents(out) == before
    assert {p: p.stat().st_mtime_ns for p in out.rglob("*")} == times


def test_only_one_scan(finished: Path, tmp_path: Path) -> None:
    assert main(["dicom", str(finished), "--to", str(tmp_path / "out"), "--scan", SCAN]) == 0
    assert _written(tmp_path / "out") == {SCAN: FIRST}
    assert main(["dicom", str(finished), "--to", str(tmp_path / "out")]) == 0
    assert set(_written(tmp_path / "out")) == {SCAN, "sub-LM05_ses-WK18"}


@pytest.mark.parametrize("inside", ["derivatives/lmresp/dicom", "mri/out", "out", "."])
def test_never_inside_the_study(study: Path, inside: str, capsys: pytest.CaptureFixture[str]) -> None:
    before = _contents(study)
    assert main(["dicom", str(study), "--to", str(study / inside)]) == 2
    assert "in the study or around it" in capsys.readouterr().err
    assert _contents(study) == before


def test_never_around_the_study_nor_beside_other_files(
    study: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["dicom", str(study), "--to", str(tmp_path)]) == 2
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "letter.txt").write_text("mine")
    assert main(["dicom", str(study), "--to", str(tmp_path / "full")]) == 2
    assert "letter.txt" in capsys.readouterr().err
    (tmp_path / "file").write_text("mine")
    assert main(["dicom", str(study), "--to", str(tmp_path / "file")]) == 2
    (tmp_path / "link").symlink_to(study / "mri")
    assert main(["dicom", str(study), "--to", str(tmp_path / "link")]) == 2


def test_an_object_is_never_overwritten(study: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "out"
    assert main(["dicom", str(study), "--to", str(out), "--scan", SCAN]) == 0
    before = _contents(out)
    path = scan_folder(study / "derivatives" / "lmresp", SCAN) / f"{SCAN}_scan.json"
    result = json.loads(path.read_text())
    result["measures"][0]["value"] += 1
    store.write_json(path, result)
    assert main(["dicom", str(study), "--to", str(out), "--scan", SCAN]) == 2
    assert "is there with other content" in capsys.readouterr().err
    assert _contents(out) == before


def test_an_unknown_scan_and_a_study_that_was_not_run(
    study: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["dicom", str(study), "--to", str(tmp_path / "out"), "--scan", "sub-X"]) == 2
    assert "there is no scan 'sub-X'" in capsys.readouterr().err
    shutil.rmtree(study / "derivatives")
    assert main(["dicom", str(study), "--to", str(tmp_path / "out")]) == 2
    assert "no scans yet" in capsys.readouterr().err


@pytest.mark.parametrize("what", ["series", "labels", "result", "dicom"])
def test_what_does_not_belong_together_is_not_written(
    study: Path, tmp_path: Path, what: str, capsys: pytest.CaptureFixture[str]
) -> None:
    results = study / "derivatives" / "lmresp"
    folder = scan_folder(results, SCAN)
    if what == "series":
        path = results / "work" / "scans" / f"{SCAN}.json"
        path.write_text(path.read_text().replace("d" * 64, "e" * 64))
    elif what == "labels":
        path = folder / image_file(SCAN, "labels", "prepost")
        path.write_bytes(path.read_bytes() + b"\0")
    elif what == "result":
        (folder / f"{SCAN}_scan.json").unlink()
    else:
        next((study / "mri" / "wk06").iterdir()).write_bytes(b"nothing")
    assert main(["dicom", str(study), "--to", str(tmp_path / "out"), "--scan", SCAN]) == 0
    assert not (tmp_path / "out").exists()
    said = capsys.readouterr().out
    assert ("DI001" if what == "dicom" else "DI006") in said
    assert "0 DICOM objects" in said


def _record(study: Path) -> Record:
    return Record(study / "reads" / "reads.jsonl")


def _saved(record: Record, day: int, **changes: Any) -> dict[str, Any]:
    fields = {key: value for key, value in entry(**changes).items() if key in BLANK}
    return record.append({**copy.deepcopy(BLANK), **fields, "read": ""}, utc=f"2026-11-{day:02d}T20:00:00.000000Z")


def _lock(record: Record, read: dict[str, Any], day: int) -> None:
    kept = ("scan", "subject_id", "visit", "visit_num", "scan_date", "reader", "role", "account", "over", "source")
    lock = {**copy.deepcopy(BLANK), **{key: read[key] for key in kept}, "kind": "lock", "read": read["read"]}
    record.append(lock, utc=f"2026-11-{day:02d}T21:00:00.000000Z")


def test_locked_reads_are_written_and_saved_ones_are_not(study: Path, tmp_path: Path) -> None:
    out, record = tmp_path / "out", _record(study)
    first = _saved(record, 1)
    second = _saved(record, 2, reader="RADIOLOGIST 2", account="berta")
    command = ["dicom", str(study), "--to", str(out), "--scan", SCAN]
    assert main(command) == 0
    assert _written(out) == {SCAN: FIRST}
    _lock(record, first, 3)
    assert main(command) == 0
    added = {f"sr-read-{first['read']}.dcm", f"report-{first['read']}.dcm"}
    assert _written(out) == {SCAN: FIRST | added}
    _lock(record, second, 4)
    over = [first["read"], second["read"]]
    judged = _saved(
        record, 5, reader="ADJUDICATOR", role="ADJUDICATION COMMITTEE", account="clara", over=over, chosen=over[1]
    )
    _lock(record, judged, 6)
    assert main(command) == 0
    back = {name: scorecard_sr.read(out / SCAN / f"sr-read-{name}.dcm") for name in (*over, judged["read"])}
    assert [back[name]["state"] for name in (*over, judged["read"])] == ["read", "read", "adjudicated"]
    assert all(back[name]["locked"] for name in back)
    assert set(back[judged["read"]]["predecessors"]) == {back[name]["sop_instance_uid"] for name in over}
    assert back[first["read"]]["locked_utc"] == "2026-11-03T21:00:00.000000Z"
    assert back[first["read"]]["answers"] == first["answers"]
    draft = pydicom.dcmread(out / SCAN / "sr-draft.dcm")
    assert back[first["read"]]["predecessors"] == [draft.SOPInstanceUID]


def test_an_imported_read_carries_the_times_of_its_source(study: Path, tmp_path: Path) -> None:
    record, origin = _record(study), {"read_utc": "2024-03-14T10:00:00Z", "locked_utc": "2024-03-14T10:05:00Z"}
    read = _saved(record, 1, source="csv", origin={"sha256": "0" * 64, **origin})
    _lock(record, read, 2)
    assert main(["dicom", str(study), "--to", str(tmp_path / "out"), "--scan", SCAN]) == 0
    back = scorecard_sr.read(tmp_path / "out" / SCAN / f"sr-read-{read['read']}.dcm")
    assert {"read_utc": back["utc"], "locked_utc": back["locked_utc"]} == origin


def test_a_changed_read_comes_after_the_locked_one_it_replaces(study: Path, tmp_path: Path) -> None:
    record = _record(study)
    first = _saved(record, 1)
    _lock(record, first, 2)
    reason = [{"about": "change", "code": "DATA_CORRECTION", "text": "wrong nodule"}]
    draft = _saved(record, 3, supersedes=first["read"], reasons=reason)
    last = _saved(record, 4, supersedes=draft["read"], reasons=reason)  # saved twice before it was locked
    _lock(record, last, 5)
    assert main(["dicom", str(study), "--to", str(tmp_path / "out"), "--scan", SCAN]) == 0
    back = {
        name: scorecard_sr.read(tmp_path / "out" / SCAN / f"sr-read-{name}.dcm")
        for name in (first["read"], last["read"])
    }
    assert back[last["read"]]["predecessors"] == [back[first["read"]]["sop_instance_uid"]]
    assert not (tmp_path / "out" / SCAN / f"sr-read-{draft['read']}.dcm").exists()


def test_a_broken_record_stops_everything(study: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    record = _record(study)
    _lock(record, _saved(record, 1), 2)
    path = study / "reads" / "reads.jsonl"
    path.write_text(path.read_text().replace("NO CHANGE", "IMPROVED", 1))
    assert main(["dicom", str(study), "--to", str(tmp_path / "out")]) == 2
    assert not (tmp_path / "out").exists()
    assert "reads" in capsys.readouterr().err
