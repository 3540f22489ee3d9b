"""Sending by DICOMweb: what may go, what came of it, and what is kept of it."""

from __future__ import annotations

import hashlib
import json
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.unit.pacs.fake_pacs import CUT, JSON, FakePacs, Reply, only, sequence
from tests.unit.pacs.objects import STUDY, encoded, made, mr

Run = Callable[..., tuple[int, str]]
POST = f"/studies/{STUDY}"
SEG = "2.25.771"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """What lmresp dicom may have written: a segmentation."""
    target = tmp_path / "out" / "sub-LM01_ses-BL"
    target.mkdir(parents=True)
    (target / "seg.dcm").write_bytes(encoded(made("seg")))
    return tmp_path / "out"


def receipts(study: Path) -> list[dict[str, Any]]:
    path = study / "pacs" / "receipts.jsonl"
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def answer(status: int, told: object) -> Reply:
    return status, JSON, json.dumps(told).encode()


def test_nothing_is_sent_unless_asked(study: Path, folder: Path, pacs: FakePacs, lmresp: Run) -> None:
    before = sorted(study.rglob("*"))
    code, text = lmresp("send", folder)
    assert (code, pacs.asked, sorted(study.rglob("*"))) == (0, [], before)
    assert "SEG sub-LM01_ses-BL/seg.dcm of LM-01" in text
    assert "Nothing was sent. With --send, 1 objects" in text


@pytest.mark.parametrize("setting", ["", "send: false"])
def test_nothing_is_sent_unless_allowed(study: Path, folder: Path, pacs: FakePacs, lmresp: Run, setting: str) -> None:
    text = (study / "pacs.yaml").read_text()
    (study / "pacs.yaml").write_text(text.replace("send: true", setting))
    code, said = lmresp("send", folder, "--send")
    assert (code, pacs.asked) == (2, [])
    assert "sending is off" in said


def test_every_byte_goes_once_and_gets_a_receipt(study: Path, folder: Path, pacs: FakePacs, lmresp: Run) -> None:
    content = (folder / "sub-LM01_ses-BL" / "seg.dcm").read_bytes()
    code, text = lmresp("send", folder, "--send")
    assert (code, pacs.posted) == (0, [content])
    (receipt,) = receipts(study)
    utc = receipt.pop("utc")
    assert utc.endswith("Z")
    assert receipt == {
        "format": "lmresp-receipt/1",
        "to": f"dicomweb {pacs.url}",
        "file": "sub-LM01_ses-BL/seg.dcm",
        "subject_id": "LM-01",
        "kind": "SEG",
        "digest": hashlib.sha256(content).hexdigest(),
        "object": hashlib.sha256(SEG.encode()).hexdigest()[:32],
        "outcome": "stored",
        "code": "0000",
    }
    assert stat.S_IMODE((study / "pacs" / "receipts.jsonl").stat().st_mode) == 0o600
    code, text = lmresp("send", folder, "--send")
    assert (code, len(pacs.posted)) == (0, 1)
    assert "sent before, not sent again" in text
    assert lmresp("send", folder, "--send", "--again")[0] == 0
    assert (len(pacs.posted), len(receipts(study))) == (2, 2)


def test_a_receipt_holds_for_its_pacs_only(study: Path, folder: Path, pacs: FakePacs, lmresp: Run) -> None:
    lmresp("send", folder, "--send")
    other = FakePacs(*pacs.store.values())
    try:
        text = (study / "pacs.yaml").read_text()
        (study / "pacs.yaml").write_text(text.replace(pacs.url, other.url))
        assert lmresp("send", folder, "--send")[0] == 0
        assert len(other.posted) == 1
    finally:
        other.stop()


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (encoded(mr(1, 1)), "PA020"),
        (encoded(mr(1, 1, Manufacturer="lmresp")), "PA020"),  # of our making, yet an image
        (encoded(made("seg", Manufacturer="Siemens")), "PA020"),
        (encoded(made("sc", Manufacturer="lmresp phantom")), "PA020"),
        (encoded(made("seg", Manufacturer="")), "PA020"),
        (encoded(made("seg", PatientID="ANOTHER-9")), "PA021"),
        (encoded(made("seg", PatientID="")), "PA021"),
        (encoded(made("seg", StudyInstanceUID="../../1")), "PA020"),
        (encoded(made("seg"))[:300], "PA020"),
        (b"", "PA020"),
        (b"IDENTITY^ANNA\n" * 40, "PA020"),
    ],
)
def test_what_may_not_go_is_refused(folder: Path, pacs: FakePacs, lmresp: Run, content: bytes, code: str) -> None:
    (folder / "IDENTITY Anna.dcm").write_bytes(content)  # its name is not printed either
    exit_code, text = lmresp("send", folder, "--send")
    assert exit_code == 1
    assert code in text
    assert "ANOTHER" not in text
    assert len(pacs.posted) == 1  # the segmentation beside it


def test_links_are_passed_over(folder: Path, pacs: FakePacs, lmresp: Run, tmp_path: Path) -> None:
    (tmp_path / "elsewhere.dcm").write_bytes(encoded(made("pdf", 5)))
    (folder / "link.dcm").symlink_to(tmp_path / "elsewhere.dcm")
    assert lmresp("send", folder, "--send")[0] == 0
    assert len(pacs.posted) == 1


def test_pictures_and_pdf_go_too(folder: Path, pacs: FakePacs, lmresp: Run) -> None:
    (folder / "sc-1.dcm").write_bytes(encoded(made("sc", 2)))
    (folder / "report.dcm").write_bytes(encoded(made("pdf", 3)))
    assert lmresp("send", folder, "--send")[0] == 0
    assert len(pacs.posted) == 3


def test_a_study_that_the_pacs_does_not_have_gets_nothing(
    study: Path, folder: Path, pacs: FakePacs, lmresp: Run
) -> None:
    pacs.store = {}
    code, text = lmresp("send", folder, "--send")
    assert (code, pacs.posted, receipts(study)) == (1, [], [])
    assert "PA023" in text


@pytest.mark.parametrize(
    ("reply", "code", "outcome", "word"),
    [
        (answer(200, {"00081198": sequence(SEG, t00081197=0x0110)}), "PA024", "refused", "FailureReason 0110"),
        (answer(409, {"00081198": sequence(SEG, t00081197=0xA900)}), "PA024", "refused", "FailureReason A900"),
        (
            answer(202, {"00081199": sequence(SEG), "00081198": sequence(SEG, t00081197=0x0122)}),
            *("PA024", "refused", "FailureReason 0122"),
        ),
        (answer(409, {"0008119A": {"vr": "SQ", "Value": [{}]}}), "PA024", "refused", "FailureReason unknown"),
        (answer(413, {}), "PA024", "refused", "HTTP 413"),
        ((400, {"Content-Type": "text/html"}, b"<html>"), "PA024", "refused", "HTTP 400"),
        ((500, {}, b"IDENTITY^ANNA"), "PA024", "refused", "HTTP 500"),
        (answer(202, {"00081199": sequence(SEG, t00081196=0xB000)}), "PA026", "warning", "WarningReason B000"),
        (answer(200, {"00081199": sequence("1.2.3")}), "PA025", "unconfirmed", "HTTP 200"),
        (answer(200, {}), "PA025", "unconfirmed", "HTTP 200"),
        (answer(200, []), "PA025", "unconfirmed", "HTTP 200"),
        ((200, {"Content-Type": "text/html"}, b"<html>ok</html>"), "PA025", "unconfirmed", "HTTP 200"),
        ((204, {}, b""), "PA025", "unconfirmed", "HTTP 204"),
    ],
)
def test_the_answer_to_each_object_counts_not_the_status(
    study: Path, folder: Path, pacs: FakePacs, lmresp: Run, reply: Reply, code: str, outcome: str, word: str
) -> None:
    pacs.tricks = [only(POST, reply, 1, method="POST")]
    exit_code, text = lmresp("send", folder, "--send")
    assert exit_code == (0 if outcome == "warning" else 1)
    assert code in text
    assert word in text
    assert [r["outcome"] for r in receipts(study)] == [outcome]
    assert len(pacs.posted) == 1  # a refusal is not repeated by itself
    assert lmresp("send", folder, "--send")[0] == 0  # but when the user asks again, unless it is there
    assert len(pacs.posted) == (1 if outcome == "warning" else 2)


def test_a_busy_pacs_and_a_broken_connection_are_tried_again(
    study: Path, folder: Path, pacs: FakePacs, lmresp: Run
) -> None:
    bad = [CUT, (503, {}, b"")]
    pacs.tricks = [lambda method, _, honest: bad.pop() if method == "POST" and bad else honest]
    assert lmresp("send", folder, "--send")[0] == 0
    assert [method for method, _ in pacs.asked] == ["GET", "POST", "POST", "POST"]
    assert [r["outcome"] for r in receipts(study)] == ["stored"]


def test_a_pacs_that_goes_away_ends_it_and_the_rest_goes_later(
    study: Path, folder: Path, pacs: FakePacs, lmresp: Run
) -> None:
    (folder / "b.dcm").write_bytes(encoded(made("pdf", 3)))
    (folder / "c.dcm").write_bytes(encoded(made("sc", 4)))
    count = [0]

    def die(method: str, _: str, honest: Reply) -> Reply:
        count[0] += method == "POST"
        return honest if count[0] < 2 else CUT

    pacs.tricks = [die]
    code, text = lmresp("send", folder, "--send")
    assert code == 1
    assert "PA027" in text
    assert len(receipts(study)) == 1
    pacs.tricks = []
    assert lmresp("send", folder, "--send")[0] == 0
    assert len(receipts(study)) == 3
    assert len({r["digest"] for r in receipts(study)}) == 3


def test_a_uid_with_other_content_is_never_sent(folder: Path, pacs: FakePacs, lmresp: Run) -> None:
    lmresp("send", folder, "--send")
    (folder / "sub-LM01_ses-BL" / "seg.dcm").write_bytes(encoded(made("seg", SeriesDescription="changed")))
    for more in ((), ("--again",)):
        code, text = lmresp("send", folder, "--send", *more)
        assert (code, len(pacs.posted)) == (1, 1)
        assert "PA022" in text


def test_a_receipt_torn_by_a_kill_is_passed_over_and_kept(
    study: Path, folder: Path, pacs: FakePacs, lmresp: Run
) -> None:
    (study / "pacs").mkdir()
    (study / "pacs" / "receipts.jsonl").write_text('{"format":"lmresp-receipt/1","dig')
    assert lmresp("send", folder, "--send")[0] == 0
    assert "sent before" in lmresp("send", folder, "--send")[1]
    lines = (study / "pacs" / "receipts.jsonl").read_text().splitlines()
    assert lines[0] == '{"format":"lmresp-receipt/1","dig'
    assert json.loads(lines[1])["outcome"] == "stored"


def test_no_folder(lmresp: Run, tmp_path: Path) -> None:
    assert lmresp("send", tmp_path / "nowhere")[0] == 2
