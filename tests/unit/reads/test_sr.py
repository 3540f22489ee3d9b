"""A read that left as a DICOM structured report and comes back from the PACS."""

from __future__ import annotations

from pathlib import Path

from lmresp.dicom import scorecard_sr
from lmresp.dicom.instance import encoded
from lmresp.reads import state
from lmresp.reads.files import read_file
from lmresp.reads.intake import Against, groups, judge
from tests.unit.dicom.made import made
from tests.unit.reads.helpers import BASELINE, SCANS, Study, complete


def test_a_report_written_by_lmresp_comes_back_as_the_same_read(tmp_path: Path) -> None:
    study = Study(tmp_path / "source")
    answers = complete(
        BASELINE, BRAIN_NODULES="PRESENT", BRAIN_NODULE_1_X="12.5", BRAIN_NODULE_1_Y="9", SPINE_LINEAR="NE"
    )
    study.read(BASELINE, "reader 2", [row | {"comment": "=seen before"} for row in answers], session="evening")
    [read, lock] = study.record.entries()
    report = scorecard_sr.write(read, made(tmp_path / "images").source, study_id="S", locked_utc=lock["utc"])
    path = tmp_path / "IM0001"
    path.write_bytes(encoded(report))

    given = read_file(path, "S")
    assert (given.source, given.refused) == ("sr", ())
    [group] = groups(given.rows)[0]
    target = Study(tmp_path / "target")
    against = Against(SCANS, target.charter, given.source, given.sha256)
    verdict = judge(group, against, [])
    assert verdict.refused == ()
    assert verdict.entry is not None
    for name in ("reader", "role", "scan", "visit_num", "scan_date", "answers", "comparator", "session", "implied"):
        assert verdict.entry[name] == read[name], name
    target.lock(target.record.append(verdict.entry, utc="2026-12-01T00:00:00.000000Z"))
    assert [one.reader for one in state.standing(target.record.entries())] == ["RADIOLOGIST 2"]
    for record in (study.record, target.record):  # where it came from, and where it went
        known = judge(group, against, record.entries()).known
        assert known is not None
        assert known.locked
