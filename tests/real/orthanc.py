"""A real Orthanc, by DICOMweb and by DIMSE: tests that test_orthanc.py starts in a network namespace of their own."""

from __future__ import annotations

import contextlib
import io
import json
import shutil
import socket
import subprocess
import threading
import time
import urllib.request
from base64 import b64encode
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from dicomweb_client.api import DICOMwebClient
from dicomweb_client.session_utils import create_session_from_user_pass

from lmresp.cli import main
from lmresp.dicom.scan import LockedRead, objects
from tests.unit.dicom import made as drawn
from tests.unit.pacs.conftest import SUBJECT, write_study
from tests.unit.pacs.objects import PASSWORD, SECRETS, STUDY, encoded, made, mr, pixels

PLUGIN = "/usr/share/orthanc/plugins/libOrthancDicomWeb.so"
HTTP, DICOM, PROXY = 8042, 4242, 8043
WEB = f"http://127.0.0.1:{HTTP}/dicom-web"
COUNTS = {1: 12, 2: 5}
Run = Callable[..., tuple[int, str]]


class Orthanc:
    """One Orthanc with a folder of its own; the log of its HTTP requests is kept."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.process: subprocess.Popen[bytes] | None = None
        settings: dict[str, Any] = {
            "Name": "TEST",
            "StorageDirectory": str(folder / "store"),
            "IndexDirectory": str(folder / "store"),
            "HttpPort": HTTP,
            "DicomPort": DICOM,
            "DicomAet": "ORTHANC",
            "DicomCheckCalledAet": True,
            "DicomAlwaysAllowEcho": False,
            "DicomAlwaysAllowStore": False,
            "DicomModalities": {"us": {"AET": "LMRESP", "Host": "127.0.0.1", "Port": 104, "AllowGet": True}},
            "AuthenticationEnabled": True,
            "RegisteredUsers": {"anna": PASSWORD},
            "RemoteAccessAllowed": False,
            "OverwriteInstances": False,
            "StableAge": 2,
            "Plugins": [PLUGIN],
            "DicomWeb": {"Enable": True, "Root": "/dicom-web/", "StudiesMetadata": "Full", "SeriesMetadata": "Full"},
        }
        (folder / "orthanc.json").write_text(json.dumps(settings))

    def start(self) -> None:
        """Start it and wait until it listens."""
        with open(self.folder / "log", "ab") as log:
            command = ["Orthanc", "--verbose", str(self.folder / "orthanc.json")]
            self.process = subprocess.Popen(command, stdout=log, stderr=log)
        for _ in range(200):
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", DICOM), 1):
                return
            time.sleep(0.05)
        raise AssertionError((self.folder / "log").read_text())

    def kill(self) -> None:
        """End it without warning."""
        assert self.process is not None
        self.process.kill()
        self.process.wait()

    def log(self) -> str:
        """Everything that it said so far."""
        return (self.folder / "log").read_text(errors="replace")

    def get(self, path: str) -> Any:
        """Answer of Orthanc's own interface."""
        request = urllib.request.Request(f"http://127.0.0.1:{HTTP}{path}")
        request.add_header("Authorization", "Basic " + b64encode(f"anna:{PASSWORD}".encode()).decode())
        with urllib.request.urlopen(request, timeout=10) as answer:  # noqa: S310  # http, see above
            return json.load(answer)


def client() -> DICOMwebClient:
    """Build a client that is not ours."""
    return DICOMwebClient(WEB, session=create_session_from_user_pass("anna", PASSWORD))


@pytest.fixture(scope="module")
def originals() -> list[bytes]:
    """Two MR series of one study."""
    return [encoded(mr(series, n)) for series, count in COUNTS.items() for n in range(1, count + 1)]


@pytest.fixture(scope="module")
def full(tmp_path_factory: pytest.TempPathFactory, originals: list[bytes]) -> Path:
    """Folder of an Orthanc that holds the study; it is stopped, so that each test can have a copy."""
    folder = tmp_path_factory.mktemp("orthanc")
    orthanc = Orthanc(folder)
    orthanc.start()
    try:
        client().store_instances([pydicom.dcmread(io.BytesIO(file)) for file in originals])
    finally:
        assert orthanc.process is not None
        orthanc.process.terminate()  # in order, so that the index is on the disk
        orthanc.process.wait()
    return folder


@pytest.fixture
def orthanc(full: Path, tmp_path: Path) -> Iterator[Orthanc]:
    folder = tmp_path / "orthanc"
    shutil.copytree(full / "store", folder / "store")
    server = Orthanc(folder)
    server.start()
    yield server
    server.kill()
    log = server.log()
    assert " GET /" in log or "Association Received" in log  # it tells of every request
    assert " DELETE /" not in log
    assert " PUT /" not in log


@pytest.fixture
def study(tmp_path: Path) -> Path:
    return write_study(tmp_path / "study", f"dicomweb: {{url: '{WEB}', user: anna}}\nsend: true")


@pytest.fixture
def lmresp(study: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Run:
    """Run ``lmresp pacs ACTION STUDY ...``; give exit code and all text, in which no identity may stand."""

    def run(action: str, *options: object, password: str = PASSWORD) -> tuple[int, str]:
        monkeypatch.setenv("LMRESP_PACS_PASSWORD", password)
        code = main(["pacs", action, str(study), *map(str, options)])
        text = "".join(capfd.readouterr())
        assert [secret for secret in SECRETS if secret in text] == []
        return code, text

    return run


def use(study: Path, **changes: str) -> None:
    """Speak DIMSE instead of DICOMweb, with changed settings."""
    settings = {"host": "127.0.0.1", "port": str(DICOM), "called_aet": "ORTHANC", "calling_aet": "LMRESP"} | changes
    write_study(study, f"dimse: {{{', '.join(f'{key}: {value}' for key, value in settings.items())}}}\nsend: true")


def images(study: Path) -> list[Path]:
    return sorted((study / "mri").rglob("*.dcm"))


def test_dicomweb_brings_the_same_bytes(orthanc: Orthanc, study: Path, lmresp: Run, originals: list[bytes]) -> None:
    code, text = lmresp("check")
    assert code == 0, text
    assert "answers" in text
    code, text = lmresp("fetch", "--subject", SUBJECT)
    assert code == 0, text
    assert sorted(path.read_bytes() for path in images(study)) == stored(orthanc)
    # What is stored is what was given: Orthanc keeps files as they come, and dicomweb-client sends its own meta header.
    assert datasets(images(study)) == datasets([io.BytesIO(file) for file in originals])
    assert "2 there before" in lmresp("fetch")[1]
    assert orthanc.log().count("/series/") >= 2


def test_dimse_brings_the_same_datasets(orthanc: Orthanc, study: Path, lmresp: Run, originals: list[bytes]) -> None:
    use(study)
    code, text = lmresp("check")
    assert code == 0, text
    code, text = lmresp("fetch")
    assert code == 0, text
    assert datasets(images(study)) == datasets([io.BytesIO(file) for file in originals])
    assert "2 there before" in lmresp("fetch")[1]


def test_compressed_images_come_as_they_are_stored(orthanc: Orthanc, study: Path, lmresp: Run) -> None:
    image = mr(3, 1)
    pixels(image, np.arange(64 * 64, dtype="<u2").reshape(64, 64))
    image.compress(pydicom.uid.JPEG2000Lossless, generate_instance_uid=False)  # Orthanc cannot decode this by itself
    client().store_instances([image])
    assert lmresp("fetch")[0] == 0
    shutil.rmtree(study / "mri" / SUBJECT)
    web = stored(orthanc)
    assert lmresp("fetch")[0] == 0
    assert sorted(path.read_bytes() for path in images(study)) == web
    shutil.rmtree(study / "mri" / SUBJECT)
    use(study)
    code, text = lmresp("fetch")
    assert code == 0, text
    syntaxes = {pydicom.dcmread(path).file_meta.TransferSyntaxUID for path in images(study)}
    assert syntaxes == {pydicom.uid.JPEG2000Lossless, pydicom.uid.ExplicitVRLittleEndian}


def stored(orthanc: Orthanc) -> list[bytes]:
    """Files of an Orthanc's storage (the index is a database beside them)."""
    files = (
        p.read_bytes() for p in (orthanc.folder / "store").rglob("*") if p.is_file() and not p.name.startswith("index")
    )
    return sorted(file for file in files if file[128:132] == b"DICM")


def datasets(files: list[Any]) -> list[str]:
    """Contents without meta header, in the order of the instances."""
    found = [pydicom.dcmread(file) for file in files]
    return [one.to_json() for one in sorted(found, key=lambda ds: ds.SOPInstanceUID)]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    target = tmp_path / "out" / "sub-LM01_ses-BL"
    target.mkdir(parents=True)
    for number, kind in enumerate(("seg", "sc", "pdf"), start=1):
        (target / f"{kind}.dcm").write_bytes(encoded(made(kind, number)))
    (target / "source.dcm").write_bytes(encoded(mr(1, 1)))
    return tmp_path / "out"


@pytest.mark.parametrize("protocol", ["dicomweb", "dimse"])
def test_results_go_once_and_source_images_never(
    orthanc: Orthanc, study: Path, lmresp: Run, folder: Path, protocol: str
) -> None:
    if protocol == "dimse":
        use(study)
    before = orthanc.get("/statistics")["CountInstances"]
    code, text = lmresp("send", folder)
    assert "3 objects would go" in text
    assert orthanc.get("/statistics")["CountInstances"] == before
    code, text = lmresp("send", folder, "--send")
    assert code == 1  # the source image is refused by us
    assert "PA020" in text
    assert "3 objects stored" in text
    assert orthanc.get("/statistics")["CountInstances"] == before + 3
    sent = [pydicom.dcmread(path) for path in sorted(folder.rglob("*.dcm")) if path.name != "source.dcm"]
    for ds in sent:
        back = client().retrieve_instance(STUDY, ds.SeriesInstanceUID, ds.SOPInstanceUID)
        assert back.to_json() == ds.to_json()
    lines = (study / "pacs" / "receipts.jsonl").read_text().splitlines()
    assert [json.loads(line)["outcome"] for line in lines] == ["stored"] * 3
    assert not [secret for secret in (*SECRETS, "2.25.") if secret in "".join(lines)]
    log = len(orthanc.log())
    (folder / "sub-LM01_ses-BL" / "source.dcm").unlink()
    code, text = lmresp("send", folder, "--send")
    assert code == 0
    assert "0 objects stored" in text
    assert "3 sent before" in text
    assert "POST" not in orthanc.log()[log:]
    assert "Association Received" not in orthanc.log()[log:]
    assert lmresp("send", folder, "--send", "--again")[0] == 0  # Orthanc keeps the first and says nothing
    assert orthanc.get("/statistics")["CountInstances"] == before + 3


def test_a_study_that_is_not_there(orthanc: Orthanc, study: Path, lmresp: Run, folder: Path) -> None:
    for path in folder.rglob("*.dcm"):
        path.unlink()
    (folder / "seg.dcm").write_bytes(encoded(made("seg", StudyInstanceUID=f"{STUDY}.5")))
    for dimse in (False, True):
        if dimse:
            use(study)
        code, text = lmresp("send", folder, "--send")
        assert code == 1
        assert "PA023" in text
    assert orthanc.get("/statistics")["CountInstances"] == sum(COUNTS.values())


def test_strangers_are_turned_away_in_clear_words(orthanc: Orthanc, study: Path, lmresp: Run) -> None:
    code, text = lmresp("check", password="wrong")  # noqa: S106
    assert code == 1
    assert "does not accept user and password (HTTP 401)" in text
    use(study, calling_aet="STRANGER")
    for action in ("check", "fetch"):
        code, text = lmresp(action)
        assert code == 1
        assert "PACS" in text
        assert "calling_aet" in text or "does not accept" in text
    use(study, called_aet="WRONG")
    code, text = lmresp("check")
    assert code == 1
    assert "dimse.called_aet" in text
    use(study, port="4249")
    code, text = lmresp("check")
    assert code == 1
    assert "cannot be reached" in text
    assert not (study / "mri").exists()


def test_an_image_that_is_gone_is_named(orthanc: Orthanc, study: Path, lmresp: Run) -> None:
    lost = as_stored(orthanc, f"{STUDY}.2.3")
    (path,) = (p for p in (orthanc.folder / "store").rglob("*") if p.is_file() and p.read_bytes() == lost)
    path.unlink()
    code, text = lmresp("fetch")
    assert code == 1
    assert "error: Series 2 of the study of 2024-02-12 of LM-01" in text
    assert len(images(study)) == COUNTS[1]
    use(study)
    code, text = lmresp("fetch")
    assert code == 1
    assert "error: Series 2 of the study of 2024-02-12 of LM-01" in text
    assert len(images(study)) == COUNTS[1]


def as_stored(orthanc: Orthanc, uid: str) -> bytes:
    """File of one image in the storage."""
    return next(f for f in stored(orthanc) if pydicom.dcmread(io.BytesIO(f)).SOPInstanceUID == uid)


class Proxy:
    """A relay to Orthanc that counts requests by method and can cut a connection after some bytes of an answer."""

    def __init__(self, at: Callable[[bytes], None]) -> None:
        self.methods: list[bytes] = []
        self._at = at
        self._server = socket.create_server(("127.0.0.1", PROXY))
        threading.Thread(target=self._serve, daemon=True).start()

    def stop(self) -> None:
        """Close the port."""
        self._server.shutdown(socket.SHUT_RDWR)  # wakes the thread, which holds the port while it waits
        self._server.close()

    def _serve(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._server.accept()
                threading.Thread(target=self._relay, args=(client,), daemon=True).start()

    def _relay(self, client: socket.socket) -> None:
        """One request, one answer: the connection is closed after it."""
        with contextlib.suppress(OSError, ConnectionError), client:
            request = b""
            while b"\r\n\r\n" not in request:
                piece = client.recv(65536)
                if not piece:
                    return
                request += piece
            line, _, rest = request.partition(b"\r\n")
            self.methods.append(line.split(b" ")[0])
            with socket.create_connection(("127.0.0.1", HTTP)) as server:
                server.sendall(line + b"\r\nConnection: close\r\n" + rest)
                first = True
                while piece := server.recv(2000):
                    if first and b"/series/" in line:
                        client.sendall(piece[: len(piece) // 2])
                        self._at(line)  # may raise
                        piece = piece[len(piece) // 2 :]
                    first = False
                    client.sendall(piece)


@pytest.mark.parametrize("what", ["connection cut", "server killed"])
def test_the_end_in_the_middle_leaves_nothing_half(
    orthanc: Orthanc, study: Path, lmresp: Run, originals: list[bytes], what: str
) -> None:
    healthy: list[bool] = []

    def at(line: bytes) -> None:
        if healthy or b"/instances" in line or not line.split(b" ")[1].endswith(f"{STUDY}.2".encode()):
            return
        if what == "server killed":
            orthanc.kill()
        raise ConnectionError

    proxy = Proxy(at)
    try:
        write_study(study, f"dicomweb: {{url: 'http://127.0.0.1:{PROXY}/dicom-web', user: anna}}")
        code, text = lmresp("fetch")
        assert code == 1
        if what == "server killed":
            assert "PA008" in text
            assert not (study / "mri").exists()
        else:  # the PACS lives, and only this series cannot be had
            assert "PA007 error: Series 2" in text
            assert len(images(study)) == COUNTS[1]
        healthy.append(True)
        if what == "server killed":
            orthanc.start()
        code, text = lmresp("fetch")
        assert code == 0, text
        assert datasets(images(study)) == datasets([io.BytesIO(file) for file in originals])
        assert not list((study / "pacs" / "incoming").rglob("*.dcm"))
        assert set(proxy.methods) == {b"GET"}
    finally:
        proxy.stop()


@pytest.mark.parametrize("protocol", ["dicomweb", "dimse"])
def test_what_lmresp_makes_of_a_scan_joins_it(
    orthanc: Orthanc, study: Path, lmresp: Run, tmp_path: Path, protocol: str
) -> None:
    scan = drawn.made(tmp_path / "source", rows=16, columns=16)
    client().store_instances([pydicom.dcmread(path) for path in scan.files])
    files, _ = objects(scan.scan(reads=[LockedRead(drawn.entry(), "2026-11-21T20:05:00.000000Z")]))
    assert {name.split(".")[0] for name in files} >= {"seg", "sr-draft", "sr-read-R000001", "report"}
    out = tmp_path / "dicom" / "sub-LM05_ses-WK06"
    out.mkdir(parents=True)
    for name, content in files.items():
        (out / name).write_bytes(content)
    if protocol == "dimse":
        use(study)
    header = drawn.header(0)
    table = study / "pacs_subjects.csv"
    table.write_text(f"subject_id,patient_id\nLM-05,{header.PatientID}\n")
    code, text = lmresp("send", out.parent, "--send")
    assert code == 0, text
    assert f"{len(files)} objects stored" in text
    receipts = (study / "pacs" / "receipts.jsonl").read_text()
    for secret in (header.PatientID, "DOE", header.StudyInstanceUID, "2.25."):
        assert secret not in text + receipts
    for content in files.values():
        ds = pydicom.dcmread(io.BytesIO(content))
        back = client().retrieve_instance(header.StudyInstanceUID, ds.SeriesInstanceUID, ds.SOPInstanceUID)
        assert back.to_json() == ds.to_json()
    code, text = lmresp("fetch")  # what was sent does not come back as an image
    assert code == 0, text
    assert "1 series fetched" in text
    assert datasets(images(study)) == datasets(scan.files)


def test_no_other_network_is_there() -> None:
    with pytest.raises(OSError, match="unreachable"):
        socket.create_connection(("192.0.2.1", 80), 1)
