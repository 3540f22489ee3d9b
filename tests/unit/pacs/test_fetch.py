"""Fetching by DICOMweb from a server that misbehaves."""

from __future__ import annotations

import base64
import io
import json
import time
from collections.abc import Callable
from pathlib import Path

import pydicom
import pytest

from lmresp.cli.pacs import _alone
from lmresp.ingest.inventory import build_index
from lmresp.ingest.study import open_study
from lmresp.pacs import dicomweb
from tests.unit.pacs.certificates import Certificates
from tests.unit.pacs.conftest import write_study
from tests.unit.pacs.fake_pacs import CUT, JSON, FakePacs, Reply, multipart, only
from tests.unit.pacs.objects import PASSWORD, SECRETS, STUDY, encoded, mr

Run = Callable[..., tuple[int, str]]
Files = Callable[[], list[bytes]]


def images(series: int, count: int) -> list[bytes]:
    return [encoded(mr(series, number)) for number in range(1, count + 1)]


def test_every_byte_comes_and_nothing_comes_twice(study: Path, pacs: FakePacs, lmresp: Run, fetched: Files) -> None:
    code, text = lmresp("fetch")
    assert (code, fetched()) == (0, sorted(pacs.store.values()))
    assert "2 series fetched" in text
    folders = sorted(path.relative_to(study / "mri") for path in (study / "mri").rglob("series-*"))
    assert [f.parts[0] for f in folders] == ["LM-01", "LM-01"]  # a folder named so tells the subject
    assert not any((study / "pacs" / "incoming").rglob("*.dcm"))
    asked = len(pacs.wado())
    code, text = lmresp("fetch")
    assert (code, len(pacs.wado())) == (0, asked)
    assert "0 series fetched, 2 there before" in text


def test_images_are_asked_for_as_they_are_stored(pacs: FakePacs, lmresp: Run) -> None:
    lmresp("fetch")
    accepted = [headers["accept"] for headers in pacs.headers if "related" in headers["accept"]]
    assert len(accepted) == 2
    assert all("transfer-syntax=*" in text for text in accepted)


def test_a_dry_run_writes_nothing(study: Path, pacs: FakePacs, lmresp: Run) -> None:
    before = sorted(study.rglob("*"))
    code, text = lmresp("fetch", "--dry-run")
    assert (code, pacs.wado(), sorted(study.rglob("*"))) == (0, [], before)
    assert "Series 1 of the study of 2024-02-12: 3 images would be fetched" in text


def test_one_subject_or_an_unknown_one(pacs: FakePacs, lmresp: Run) -> None:
    assert lmresp("fetch", "--subject", "LM-01", "--dry-run")[0] == 0
    code, text = lmresp("fetch", "--subject", "LM-99")
    assert code == 2
    assert "LM-99" in text


@pytest.mark.parametrize(
    ("settings", "series"),
    [("only: ['*SERIES 1*']", {1}), ("never: ['t1 series 1*']", {2}), ("only: ['t1*'], never: ['*2 of*']", {1})],
)
def test_patterns_choose_series(study: Path, lmresp: Run, fetched: Files, settings: str, series: set[int]) -> None:
    with open(study / "pacs.yaml", "a") as out:
        out.write(f"series: {{{settings}}}\n")
    assert lmresp("fetch")[0] == 0
    assert {pydicom.dcmread(io.BytesIO(file)).SeriesNumber for file in fetched()} == series


def test_only_mr_series_of_the_trials_days_come(study: Path, pacs: FakePacs, lmresp: Run, fetched: Files) -> None:
    pacs.add(encoded(mr(3, 1, Modality="CT")))
    pacs.add(encoded(mr(4, 1, StudyInstanceUID=f"{STUDY}.9", StudyDate="20220101")))
    table = study / "pacs_subjects.csv"
    header, row = table.read_text().splitlines()
    table.write_text(f"{header},from,to\n{row},2024-02-12,\n")
    assert lmresp("fetch")[0] == 0
    assert len(fetched()) == 5


def test_a_study_without_mr_and_a_subject_without_study_are_named(pacs: FakePacs, lmresp: Run) -> None:
    pacs.store = {}
    assert "PA001" in lmresp("fetch")[1]
    pacs.add(encoded(mr(3, 1, Modality="CT")))
    assert "PA010" in lmresp("fetch")[1]


def test_html_instead_of_json_is_no_pacs(study: Path, pacs: FakePacs, lmresp: Run) -> None:
    pacs.tricks = [only("/studies", (200, {"Content-Type": "text/html"}, b"<html>Sign in, IDENTITY</html>"))]
    code, text = lmresp("fetch")
    assert code == 1
    assert "not DICOM JSON" in text
    assert not (study / "mri").exists()


@pytest.mark.parametrize("content", [b'{"a": 1}', b"[1]", b"[" * 100_000, b"\xff\xfe"])
def test_other_nonsense_instead_of_json_is_survived(pacs: FakePacs, lmresp: Run, content: bytes) -> None:
    pacs.tricks = [only("/studies", (200, JSON, content))]
    code, text = lmresp("fetch")
    assert code == 1
    assert "not DICOM JSON" in text
    assert "Traceback" not in text


def test_json_of_wrong_types_is_survived(pacs: FakePacs, lmresp: Run) -> None:
    odd = [{"0020000D": {"Value": {"a": 1}}}, {"0020000D": 5, "00100020": None}, {"0020000D": {"Value": [[1]]}}]
    pacs.tricks = [only("/studies", (200, JSON, json.dumps(odd).encode()))]
    code, text = lmresp("fetch")
    assert code == 1
    assert "PA002" in text  # without a PatientID it is not this patient's


def test_busy_then_well(pacs: FakePacs, lmresp: Run, fetched: Files) -> None:
    busy: Reply = (503, {"Retry-After": "0"}, b"later")
    pacs.tricks = [only("/studies", busy, 2), only(f"/series/{STUDY}.1", busy, 2)]
    assert lmresp("fetch")[0] == 0
    assert len(fetched()) == 5


def test_busy_for_ever_ends_after_the_attempts(pacs: FakePacs, lmresp: Run) -> None:
    pacs.tricks = [only("/studies", (503, {}, b""))]
    code, text = lmresp("fetch")
    assert (code, len(pacs.asked)) == (1, 3)  # attempts: 3
    assert "PA008" in text


def test_a_wrong_password_is_said_once_and_not_tried_again(pacs: FakePacs, lmresp: Run) -> None:
    pacs.tricks = [only("/studies", (401, {}, b""))]
    code, text = lmresp("check")
    assert (code, len(pacs.asked)) == (1, 1)
    assert "does not accept user and password" in text


def test_a_redirect_is_not_followed(pacs: FakePacs, lmresp: Run) -> None:
    other = FakePacs()
    try:
        pacs.tricks = [only("/studies", (302, {"Location": f"{other.url}/studies"}, b""))]
        code, text = lmresp("fetch")
        assert (code, other.asked) == (1, [])  # so the password did not go there either
        assert "elsewhere" in text
    finally:
        other.stop()


@pytest.mark.parametrize("uid", ["../../../etc", "1.2/../../x", "", "1." * 40 + "1", "1.2\n3", "1.2?PatientID=*"])
def test_a_uid_that_is_a_path_is_refused(study: Path, pacs: FakePacs, lmresp: Run, uid: str) -> None:
    def change(_: str, path: str, honest: Reply) -> Reply:
        return honest[0], honest[1], honest[2].replace(f'"{STUDY}.1"'.encode(), json.dumps(uid).encode())

    pacs.tricks = [change]
    code, text = lmresp("fetch")
    assert code == 1
    assert "PA003" in text
    assert all(path.endswith(f"{STUDY}.2") for path in pacs.wado())
    assert {p.name for p in study.iterdir()} == {"study.yaml", "pacs.yaml", "pacs_subjects.csv", "mri", "pacs"}


@pytest.mark.filterwarnings("ignore:Invalid value for VR UI")
def test_a_uid_in_an_image_never_becomes_a_path(study: Path, pacs: FakePacs, lmresp: Run) -> None:
    evil = mr(1, 1, SOPInstanceUID="../../../../evil")
    pacs.tricks = [only(f"/series/{STUDY}.1", multipart([encoded(evil), *images(1, 3)[1:]]))]
    code, text = lmresp("fetch")
    assert code == 1
    assert "PA006" in text
    assert not list(study.parent.rglob("*evil*"))


@pytest.mark.parametrize("length", [str(10**15), "9" * 4000, "-5", "1e3"])
def test_an_absurd_length_is_not_believed(pacs: FakePacs, lmresp: Run, fetched: Files, length: str) -> None:
    def change(_: str, path: str, honest: Reply) -> Reply:
        return (
            (honest[0], {**honest[1], "Content-Length": length}, honest[2]) if path.endswith(f"{STUDY}.1") else honest
        )

    pacs.tricks = [change]
    code, text = lmresp("fetch")
    assert code == 1
    assert "PA007" in text
    assert len(fetched()) == 2  # the other series


def test_more_than_a_series_can_hold_is_cut_off(
    pacs: FakePacs, lmresp: Run, fetched: Files, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dicomweb, "MAX_SERIES_BYTES", 4500)  # series 1 has three images of about 2 kB, series 2 two
    assert sum(map(len, images(2, 2))) < 4000
    code, text = lmresp("fetch")
    assert code == 0
    monkeypatch.setattr(dicomweb, "MAX_SERIES_BYTES", 100)
    pacs.add(encoded(mr(5, 1)))
    code, text = lmresp("fetch")
    assert "larger than a series can be" in text
    assert len(fetched()) == 5


def test_two_studies_of_one_day_both_come_and_are_named(pacs: FakePacs, lmresp: Run, fetched: Files) -> None:
    pacs.add(encoded(mr(7, 1, StudyInstanceUID=f"{STUDY}.7")))
    code, text = lmresp("fetch")
    assert (code, len(fetched())) == (0, 6)
    assert "PA004 info: LM-01 has 2 studies on 2024-02-12" in text


def test_a_study_of_another_patient_is_not_even_asked_for(pacs: FakePacs, lmresp: Run) -> None:
    def change(_: str, path: str, honest: Reply) -> Reply:  # a server that does not filter
        return honest[0], honest[1], honest[2].replace(b"HOSP-4711-XY", b"HOSP-4711-XZ")

    pacs.tricks = [change]
    code, text = lmresp("fetch")
    assert (code, pacs.wado()) == (1, [])
    assert "PA002" in text
    assert "HOSP" not in text


def test_an_image_of_another_patient_keeps_its_series_out(pacs: FakePacs, lmresp: Run, fetched: Files) -> None:
    other = encoded(mr(1, 2, PatientID="SOMEONE-ELSE"))
    pacs.tricks = [only(f"/series/{STUDY}.1", multipart([images(1, 3)[0], other, images(1, 3)[2]]))]
    code, text = lmresp("fetch")
    assert code == 1
    assert "PA002" in text
    assert "SOMEONE" not in text
    assert fetched() == sorted(images(2, 2))


@pytest.mark.parametrize(
    ("sent", "code", "why"),
    [
        (images(1, 3)[:2], "PA005", "2 of 3 images came"),
        ([images(1, 3)[0]] * 3, "PA005", "1 of 3 images came"),  # thrice the same
        (images(1, 4), "PA005", "4 of 3 images came"),
        ([], "PA005", "0 of 3 images came"),
        ([*images(1, 2), images(1, 3)[2][:-100]], "PA006", "cut short"),
        ([*images(1, 2), b"no DICOM at all"], "PA006", "cannot be read"),
        ([*images(1, 2), encoded(mr(9, 3))], "PA006", "another series"),
        ([*images(1, 2), encoded(mr(1, 3, SOPClassUID="1.2.840.10008.5.1.4.1.1.2"))], "PA006", "no MR image"),
    ],
)
def test_what_does_not_fit_is_named_and_the_rest_comes(
    pacs: FakePacs, lmresp: Run, fetched: Files, sent: list[bytes], code: str, why: str
) -> None:
    pacs.tricks = [only(f"/series/{STUDY}.1", multipart(sent), 1)]
    exit_code, text = lmresp("fetch")
    assert exit_code == 1
    assert f"{code} error: Series 1 of the study of 2024-02-12 of LM-01" in text
    assert why in text
    assert fetched() == sorted(images(2, 2))
    assert lmresp("fetch")[0] == 0  # the PACS was mended
    assert fetched() == sorted(images(1, 3) + images(2, 2))
    assert len(pacs.wado()) == 3


def test_a_compressed_image_cut_short_is_noticed(pacs: FakePacs, lmresp: Run) -> None:
    image = mr(6, 1)
    image.compress(pydicom.uid.RLELossless)
    whole = encoded(image)
    pacs.add(whole)
    pacs.tricks = [only(f"/series/{STUDY}.6", multipart([whole[:-60]]), 1)]
    assert "cut short" in lmresp("fetch")[1]
    assert lmresp("fetch")[0] == 0


def test_a_connection_that_always_breaks_at_one_series(pacs: FakePacs, lmresp: Run, fetched: Files) -> None:
    kind, content = multipart(images(1, 3))[1], multipart(images(1, 3))[2]
    broken: Reply = (200, {**kind, "Content-Length": str(len(content))}, content[:3000])
    pacs.tricks = [only(f"/series/{STUDY}.1", broken)]
    code, text = lmresp("fetch")
    assert code == 1
    assert "PA007" in text
    assert sum(path.endswith(f"{STUDY}.1") for path in pacs.wado()) == 3  # attempts
    assert fetched() == sorted(images(2, 2))
    pacs.tricks = [only(f"/series/{STUDY}.1", (200, kind, content[:3000]), 2)]  # ends early, and says so as if whole
    assert lmresp("fetch")[0] == 0
    assert len(fetched()) == 5


def test_a_dead_server_leaves_nothing_half_and_the_fetch_goes_on_later(
    study: Path, pacs: FakePacs, lmresp: Run, fetched: Files
) -> None:
    dead: list[bool] = []

    def die(_: str, path: str, honest: Reply) -> Reply:
        if path.endswith(f"{STUDY}.2"):  # the second series
            dead.append(True)
        return CUT if dead else honest

    pacs.tricks = [die]
    code, text = lmresp("fetch")
    assert code == 1
    assert "PA008" in text
    assert fetched() == []
    assert not (study / "mri").exists()
    first = sum(path.endswith(f"{STUDY}.1") for path in pacs.wado())
    waits = (study / "pacs" / "incoming").rglob("series-*")
    complete = [path for path in waits if path.suffix != ".part"]
    pacs.tricks = []
    assert lmresp("fetch")[0] == 0
    assert fetched() == sorted(pacs.store.values())
    again = sum(path.endswith(f"{STUDY}.1") for path in pacs.wado()) - first
    assert again == (0 if complete else 1)  # both are asked for at once: whether 1 was through depends on the moment


def test_a_series_that_was_complete_before_the_end_is_not_fetched_again(
    study: Path, pacs: FakePacs, lmresp: Run, fetched: Files, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lmresp.pacs.fetch.AT_ONCE", 1)
    dead: list[bool] = []

    def die(_: str, path: str, honest: Reply) -> Reply:
        if path.endswith(f"{STUDY}.2"):
            dead.append(True)
        return CUT if dead else honest

    pacs.tricks = [die]
    assert lmresp("fetch")[0] == 1
    assert fetched() == []
    pacs.tricks = []
    assert lmresp("fetch")[0] == 0
    assert sum(path.endswith(f"{STUDY}.1") for path in pacs.wado()) == 1
    assert fetched() == sorted(pacs.store.values())


def test_a_server_that_does_not_say_how_many(pacs: FakePacs, lmresp: Run, fetched: Files) -> None:
    def change(_: str, path: str, honest: Reply) -> Reply:
        if not path.split("?")[0].endswith("/series"):
            return honest
        rows = [{k: v for k, v in row.items() if k != "00201209"} for row in json.loads(honest[2])]
        return honest[0], honest[1], json.dumps(rows).encode()

    pacs.tricks = [change]
    assert lmresp("fetch")[0] == 0
    assert len(fetched()) == 5
    pacs.add(encoded(mr(8, 1)))
    pacs.add(encoded(mr(8, 2)))
    pacs.tricks.append(only(f"/series/{STUDY}.8", multipart(images(8, 1))))
    assert "1 of 2 images came" in lmresp("fetch")[1]


def test_a_series_that_grew_is_named_and_left(pacs: FakePacs, lmresp: Run, fetched: Files) -> None:
    assert lmresp("fetch")[0] == 0
    pacs.add(encoded(mr(2, 3)))
    code, text = lmresp("fetch")
    assert code == 0
    assert "PA009 warning" in text
    assert "has 3 images at the PACS and 2 in mri/" in text
    assert len(fetched()) == 5


@pytest.mark.parametrize("deaf", [False, True])
def test_answers_in_pages(
    pacs: FakePacs, lmresp: Run, fetched: Files, monkeypatch: pytest.MonkeyPatch, deaf: bool
) -> None:
    monkeypatch.setattr(dicomweb, "PAGE", 1)
    if deaf:  # a server without paging gives everything each time
        honest = pacs._honest
        monkeypatch.setattr(
            pacs, "_honest", lambda m, p, b: honest(m, p.replace("limit=1&", "&").replace("offset", "of"), b)
        )
    assert lmresp("fetch")[0] == 0
    assert len(fetched()) == 5


def test_a_refused_question_is_named(pacs: FakePacs, lmresp: Run) -> None:
    pacs.tricks = [only("/studies", (500, {}, b"<html>stack trace of IDENTITY^ANNA</html>"))]
    code, text = lmresp("fetch")
    assert (code, len(pacs.asked)) == (1, 1)
    assert "PA007" in text
    assert "HTTP 500" in text


def test_a_study_whose_series_are_not_told_is_named_and_the_next_one_comes(
    study: Path, pacs: FakePacs, lmresp: Run, fetched: Files
) -> None:
    pacs.add(encoded(mr(7, 1, StudyInstanceUID=f"{STUDY}.7", StudyDate="20240601")))
    pacs.tricks = [only(f"{STUDY}/series", (404, {}, b""))]
    code, text = lmresp("fetch")
    assert code == 1
    assert "PA007 error: The list of series of the study of 2024-02-12 of LM-01 could not be fetched: HTTP 404" in text
    assert len(fetched()) == 1


def test_nobody_listens(study: Path, pacs: FakePacs, lmresp: Run) -> None:
    pacs.stop()
    code, text = lmresp("check")
    assert code == 1
    assert "cannot be reached" in text


def test_two_at_a_time_are_refused(study: Path, pacs: FakePacs, lmresp: Run) -> None:
    with _alone(study):
        code, text = lmresp("fetch")
    assert (code, pacs.asked) == (2, [])
    assert "at work" in text


def test_the_password_goes_to_the_pacs_only_when_there_is_a_user(study: Path, pacs: FakePacs, lmresp: Run) -> None:
    lmresp("check")
    assert pacs.headers[-1]["authorization"] == "Basic " + base64.b64encode(f"anna:{PASSWORD}".encode()).decode()
    text = (study / "pacs.yaml").read_text()
    (study / "pacs.yaml").write_text(text.replace(", user: anna", ""))
    lmresp("check")
    assert "authorization" not in pacs.headers[-1]


def test_a_certificate_is_looked_at(study: Path, lmresp: Run, certificates: Certificates, fetched: Files) -> None:
    server = FakePacs(*images(1, 3), tls=certificates.server())
    try:
        write_study(study, f"dicomweb: {{url: '{server.url}', user: anna}}")
        code, text = lmresp("fetch")
        assert (code, server.asked) == (1, [])
        assert "the certificate of the PACS is not trusted" in text
        write_study(study, f"dicomweb: {{url: '{server.url}', user: anna, ca_file: '{certificates.authority}'}}")
        assert lmresp("fetch")[0] == 0
        assert len(fetched()) == 3
        (study / "no.pem").write_text("nothing")
        write_study(study, f"dicomweb: {{url: '{server.url}', ca_file: no.pem}}")  # no certificate in it
        assert "ca_file holds no certificates" in lmresp("check")[1]
    finally:
        server.stop()


def test_never_more_than_two_series_at_once(pacs: FakePacs, lmresp: Run, fetched: Files) -> None:
    for series in range(3, 9):
        pacs.add(encoded(mr(series, 1)))
    at_work: list[int] = []
    most: list[int] = []

    def slow(_: str, path: str, honest: Reply) -> Reply:
        if honest[1].get("Content-Type", "").startswith("multipart"):
            at_work.append(1)
            most.append(len(at_work))
            time.sleep(0.05)
            at_work.pop()
        return honest

    pacs.tricks = [slow]
    assert lmresp("fetch")[0] == 0
    assert len(fetched()) == 11
    assert max(most) == 2


def test_what_was_fetched_is_found_as_a_scan_of_its_subject(study: Path, pacs: FakePacs, lmresp: Run) -> None:
    assert lmresp("fetch")[0] == 0
    tables = {
        "subjects": [{"subject_id": "LM-01"}],
        "visits": [{"subject_id": "LM-01", "visit": "BL", "visit_num": "1", "start_dtc": "2024-02-12"}],
    }
    build_index(open_study(study), tables)
    index = (study / "derivatives" / "lmresp" / "work" / "index.json").read_text()
    assert [scan["scan"] for scan in json.loads(index)["scans"]] == ["sub-LM01_ses-BL"]
    for path in (study / "derivatives").rglob("*.*"):
        assert [s for s in SECRETS if path.is_file() and s in path.read_text()] == []
