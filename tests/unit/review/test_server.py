"""The room as a real process: requests that no client library would send, sudden death, TLS, the command line."""

from __future__ import annotations

import http.client
import json
import re
import shutil
import signal
import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urlsplit

import pytest

from lmresp.cli import main
from lmresp.errors import StudyError
from lmresp.reads.record import verify
from lmresp.review import server
from lmresp.review.server import Address
from tests.reading_rooms import add_readers, make_study, served

BL = "sub-S01_ses-BL"
ITEMS = ("BRAIN.NODULES", "BRAIN.LINEAR", "BRAIN.HYDROCEPHALUS", "BRAIN.CRANIAL_NERVE", "BRAIN.PARENCHYMAL")
FORM = "application/x-www-form-urlencoded"


@pytest.fixture(scope="module")
def room(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, dict[str, str], str]]:
    """A study, the secrets of its readers and the address of its room."""
    folder = make_study(tmp_path_factory.mktemp("room"))
    secrets = add_readers(folder)
    with served(folder) as (_, url):
        yield folder, secrets, url


def raw(url: str, request: bytes) -> tuple[int, bytes]:
    """Send bytes as they are; returns the status and the whole answer."""
    host, port = urlsplit(url).hostname, urlsplit(url).port
    answer = b""
    with socket.create_connection((host, port), timeout=20) as line:
        line.sendall(request)
        while part := line.recv(65536):
            answer += part
    return int(answer.split(b" ", 2)[1]), answer


def plain(url: str, target: str, method: str = "GET", *headers: str) -> bytes:
    lines = [f"{method} {target} HTTP/1.1", f"Host: {urlsplit(url).netloc}", "Connection: close", *headers, "", ""]
    return "\r\n".join(lines).encode("latin-1")


class Browser:
    """Enough of a browser to sign in and send forms to a real server."""

    def __init__(self, url: str) -> None:
        self.place, self.url = urlsplit(url), url.rstrip("/")
        self.cookies: dict[str, str] = {}

    def ask(self, method: str, path: str, form: dict[str, str] | None = None) -> tuple[int, str, str]:
        """Status, place to go on, text."""
        line = http.client.HTTPConnection(self.place.hostname or "", self.place.port, timeout=20)
        try:
            self.send(line, method, path, form)
            answer = line.getresponse()
            for name, value in answer.getheaders():
                if name == "set-cookie":
                    cookie, kept = value.split(";")[0].split("=", 1)
                    self.cookies[cookie] = kept
            return answer.status, answer.headers.get("location", ""), answer.read().decode("utf-8")
        finally:
            line.close()

    def send(self, line: http.client.HTTPConnection, method: str, path: str, form: dict[str, str] | None) -> None:
        """Send a request and wait for nothing."""
        head = {"Origin": self.url, "Cookie": "; ".join(f"{name}={value}" for name, value in self.cookies.items())}
        if form is not None:
            head["Content-Type"] = FORM
        line.request(method, path, urlencode(form) if form is not None else None, head)

    def hidden(self, path: str) -> dict[str, str]:
        """Hidden fields of the form of a page."""
        text = self.ask("GET", path)[2].split("<main", 1)[1]
        return dict(re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)">', text))

    def sign_in(self, name: str, secret: str) -> Browser:
        """Sign in."""
        assert self.ask("POST", "/login", {**self.hidden("/login"), "name": name, "secret": secret})[:2] == (303, "/")
        return self

    def form(self, scan: str, deed: str, first: str = "PRESENT") -> dict[str, str]:
        """Filled form of a baseline scan."""
        values = dict.fromkeys(ITEMS, "ABSENT") | {"BRAIN.NODULES": first}
        return {**self.hidden(f"/scan/{scan}"), "deed": deed, **values}


def entries(folder: Path) -> list[dict[str, Any]]:
    path = folder / "reads" / "reads.jsonl"
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


@pytest.mark.parametrize(
    "target",
    [
        *("/..%2f..%2fetc/passwd", "/%2e%2e/%2e%2e/etc/passwd", "/scan/..%2f..%2freads%2freads.jsonl", "//etc/passwd"),
        *(
            "/../../etc/passwd",
            "/scan/../reads/reads.jsonl",
            "/scan/%00",
            "/%00",
            "/scan/a%00b/pictures",
            "/scan/..\\x",
        ),
        *("/scan/%2fetc%2fpasswd", "/scan//", "/review.css/", "/./login", "/scan/.hidden", "/%ff", "/scan/\xe4", "/;x"),
        *(
            "/reads/readers.json",
            "/readers.json",
            "http://evil.example/",
            "/scan/sub-S01_ses-BL%20",
            "/SCAN/x",
            "/~root",
        ),
    ],
)
def test_paths_that_lead_out_are_not_found(room: Any, target: str) -> None:
    status, answer = raw(room[2], plain(room[2], target))
    assert status in (404, 400)
    assert b"root:" not in answer
    assert b"scrypt" not in answer


@pytest.mark.parametrize("hosts", [(), ("Host: a.example",), ("Host: 127.0.0.1", "Host: 127.0.0.1")])
def test_a_host_that_is_missing_foreign_or_double_is_refused(room: Any, hosts: tuple[str, ...]) -> None:
    request = "\r\n".join(["GET /login HTTP/1.1", *hosts, "Connection: close", "", ""]).encode()
    assert raw(room[2], request)[0] == 400


def origin(url: str) -> str:
    return f"Origin: {url.rstrip('/')}"


def test_fifty_megabytes_are_refused_by_their_length(room: Any) -> None:
    head = plain(room[2], "/login", "POST", origin(room[2]), f"Content-Type: {FORM}", f"Content-Length: {50 * 2**20}")
    began = time.monotonic()
    status, answer = raw(room[2], head)  # refused before a byte of the body was asked for
    assert (status, time.monotonic() - began < 15) == (413, True)
    assert b"connection: close" in answer.lower()


def test_fifty_megabytes_without_a_length_are_refused_while_they_come(room: Any) -> None:
    host, port = urlsplit(room[2]).hostname, urlsplit(room[2]).port
    head = plain(room[2], "/login", "POST", origin(room[2]), f"Content-Type: {FORM}", "Transfer-Encoding: chunked")
    chunk, sent = b"%x\r\n" % 2**16 + b"a" * 2**16 + b"\r\n", 0
    with socket.create_connection((host, port), timeout=20) as line:
        line.sendall(head)
        try:
            while sent < 50 * 2**20:
                line.sendall(chunk)
                sent += 2**16
        except OSError:
            pass  # the server has hung up
    assert sent < 50 * 2**20
    status, _ = raw(room[2], head + chunk + b"1\r\na\r\n")  # one byte more than the limit
    assert status == 413


def test_a_length_that_is_no_number_is_refused(room: Any) -> None:
    assert raw(room[2], plain(room[2], "/login", "POST", origin(room[2]), "Content-Length: -5"))[0] in (400, 413)


def test_two_readers_who_save_at_once_lose_nothing(room: Any) -> None:
    folder, secrets, url = room
    people = [Browser(url).sign_in(name, secrets[name]) for name in ("anna", "bert")]
    scans = ("sub-S01_ses-BL", "sub-S02_ses-BL")
    forms = [(person, scan, person.form(scan, "save")) for person in people for scan in scans]
    found: list[int] = []
    start = threading.Barrier(len(forms))

    def post(person: Browser, scan: str, form: dict[str, str]) -> None:
        start.wait()
        found.append(person.ask("POST", f"/scan/{scan}", form)[0])

    threads = [threading.Thread(target=post, args=each) for each in forms]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [303] * 4
    assert verify(folder / "reads" / "reads.jsonl") == []
    kept = {(entry["reader"], entry["scan"]) for entry in entries(folder)}
    assert kept == {(f"RADIOLOGIST {n}", scan) for n in (1, 2) for scan in scans}


def test_one_form_sent_twice_at_once_counts_once(room: Any) -> None:
    folder, secrets, url = room
    anna = Browser(url).sign_in("anna", secrets["anna"])
    form, before = anna.form(BL, "save", "ABSENT"), len(entries(folder))
    threads = [threading.Thread(target=anna.ask, args=("POST", f"/scan/{BL}", form)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(entries(folder)) == before + 1


def test_a_second_room_of_the_same_study_does_not_open(room: Any, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["review", str(room[0]), "--port", "0"]) == 2
    assert "the reading room of this study is open already" in capsys.readouterr().err


@pytest.mark.slow
def test_a_server_killed_during_a_save_loses_nothing_that_it_confirmed(tmp_path: Path) -> None:
    folder = make_study(tmp_path / "study")
    secret = add_readers(folder)["anna"]
    confirmed: list[str] = []
    for delay in (0.0, 0.004):
        with served(folder) as (process, url):
            anna = Browser(url).sign_in("anna", secret)
            for value in ("PRESENT", "ABSENT"):
                status, _, _ = anna.ask("POST", f"/scan/{BL}", anna.form(BL, "save", value))
                assert status == 303
                confirmed.append(str(entries(folder)[-1]["digest"]))
            form = anna.form(BL, "lock" if delay else "save")
            line = http.client.HTTPConnection(anna.place.hostname or "", anna.place.port, timeout=20)
            anna.send(line, "POST", f"/scan/{BL}", form)
            time.sleep(delay)
            process.send_signal(signal.SIGKILL)
            process.wait()
            line.close()
    assert not [problem for problem in verify(folder / "reads" / "reads.jsonl") if problem.breaks]
    with served(folder) as (_, url):  # and the room opens again on what is there
        anna = Browser(url).sign_in("anna", secret)
        assert anna.ask("GET", "/")[0] == 200
        kept = {entry["digest"] for entry in entries(folder)}
    assert set(confirmed) <= kept


def test_no_secret_and_no_request_is_written_to_the_terminal(tmp_path: Path) -> None:
    folder = make_study(tmp_path / "study")
    secret = add_readers(folder)["anna"]
    with served(folder) as (process, url):
        anna = Browser(url).sign_in("anna", secret)
        anna.ask("GET", "/login?secret=PLANTED")
        raw(url, plain(url, "/%00"))
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=20)
    assert process.returncode == 0
    written = out + err
    assert not any(word in written for word in (secret, "PLANTED", *anna.cookies.values(), "GET", "POST", "anna"))


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A certificate for localhost and its key, made with openssl."""
    if shutil.which("openssl") is None:
        pytest.skip("no openssl to make a certificate")
    folder = tmp_path_factory.mktemp("tls")
    cert, key = folder / "cert.pem", folder / "key.pem"
    command = [
        "openssl",
        "req",
        "-x509",
        "-newkey",
        "ec",
        "-pkeyopt",
        "ec_paramgen_curve:prime256v1",
        "-nodes",
        "-days",
        "2",
    ]
    command += [
        "-subj",
        "/CN=localhost",
        "-addext",
        "subjectAltName=DNS:localhost",
        "-keyout",
        str(key),
        "-out",
        str(cert),
    ]
    subprocess.run(command, check=True, capture_output=True)
    return cert, key


def test_under_tls_cookies_are_for_tls_only(tmp_path: Path, certificate: tuple[Path, Path]) -> None:
    folder, (cert, key) = make_study(tmp_path / "study"), certificate
    options = ("--host", "localhost", "--tls-cert", str(cert), "--tls-key", str(key))
    with served(folder, *options) as (_, url):
        assert url.startswith("https://localhost:")
        context = ssl.create_default_context(cafile=str(cert))
        line = http.client.HTTPSConnection("localhost", urlsplit(url).port, context=context, timeout=20)
        line.request("GET", "/login")
        answer = line.getresponse()
        cookie = answer.headers["set-cookie"]
        assert cookie.startswith("__Host-lmresp-visitor=")
        assert "Secure" in cookie
        assert "max-age=" in answer.headers["strict-transport-security"]
        line.close()


@pytest.mark.parametrize("host", ["0.0.0.0", "::", ""])  # noqa: S104
def test_every_address_at_once_is_refused(host: str) -> None:
    with pytest.raises(StudyError, match="stands for every address"):
        server.check_address(Address(host=host), plain_beyond=True)


@pytest.mark.parametrize("host", ["192.0.2.1", "reading.example.org", "2001:db8::1"])
def test_beyond_this_machine_needs_tls_or_the_flag_that_says_what_it_means(host: str) -> None:
    with pytest.raises(StudyError, match="beyond this machine and there is no TLS"):
        server.check_address(Address(host=host), plain_beyond=False)
    server.check_address(Address(host=host), plain_beyond=True)
    assert "can read secrets and reads" in server.PLAIN_MEANS


def test_the_room_is_this_machines_unless_said_otherwise_and_says_what_plain_http_means(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = make_study(tmp_path / "study")
    asked: list[str] = []

    def listen(address: Address) -> socket.socket:
        asked.append(address.host)
        return socket.create_server(("127.0.0.1", 0))  # the name of the test leads nowhere

    monkeypatch.setattr(server, "listen", listen)
    monkeypatch.setattr(server, "serve", lambda *_: None)
    assert main(["review", str(folder), "--port", "0"]) == 0
    assert server.PLAIN_MEANS not in capsys.readouterr().out
    beyond = ["review", str(folder), "--host", "reading.example.org", "--port", "0"]
    assert main(beyond) == 2
    assert main([*beyond, "--plain-http-beyond-this-machine"]) == 0
    assert server.PLAIN_MEANS in capsys.readouterr().out
    assert asked == ["127.0.0.1", "reading.example.org"]


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "::1", "127.0.0.5"])
def test_this_machine_needs_nothing(host: str) -> None:
    server.check_address(Address(host=host), plain_beyond=False)


def test_tls_files_that_cannot_be_used_are_one_line(tmp_path: Path) -> None:
    with pytest.raises(StudyError, match="needs both files"):
        server.check_address(Address(certificate=tmp_path / "c"), plain_beyond=False)
    with pytest.raises(StudyError, match="cannot be used"):
        server.check_address(Address(certificate=tmp_path / "c", key=tmp_path / "k"), plain_beyond=False)


def test_a_port_that_is_taken_is_one_line() -> None:
    with server.listen(Address(port=0)) as taken, pytest.raises(StudyError, match="another port"):
        server.listen(Address(port=taken.getsockname()[1]))


def test_the_usual_port_is_left_out_by_browsers() -> None:
    assert "reading.example.org" in Address(host="reading.example.org", port=443, certificate=Path("c")).hosts
    assert Address(host="reading.example.org", port=8443).hosts == ["reading.example.org:8443"]
    assert Address(host="::1", port=80).hosts[:1] == ["[::1]:80"]


def test_readers_are_added_listed_and_disabled(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = str(make_study(tmp_path))
    assert main(["review", "add-reader", folder, "anna", "--role", "reader 1"]) == 0
    secret = re.findall(r"^    ([a-z2-7-]{31})$", capsys.readouterr().out, re.M)[0]
    assert main(["review", "add-reader", folder, "bert", "--role", "reader 1"]) == 0
    assert "anna also can sign in as reader 1" in capsys.readouterr().out
    assert main(["review", "disable-reader", folder, "anna"]) == 0
    assert main(["review", "list-readers", folder]) == 0
    listed = capsys.readouterr().out
    assert re.search(r"^anna\treader 1\tadded .*\tdisabled ", listed, re.M)
    assert re.search(r"^bert\treader 1\tadded .*\tactive$", listed, re.M)
    assert secret not in listed


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["add-reader", "STUDY"], "takes STUDY and NAME"),
        (["add-reader", "STUDY", "anna"], "--role: is missing"),
        (["add-reader", "STUDY", "a b", "--role", "reader 1"], "cannot be the name"),
        (["disable-reader", "STUDY", "nobody"], "no reader 'nobody'"),
        (["list-readers", "STUDY", "x"], "takes STUDY"),
        (["STUDY", "more"], "unknown words"),
        (["STUDY", "--role", "reader 1"], "belongs to add-reader"),
        (["STUDY", "--host", "192.0.2.1"], "there is no TLS"),
        (["nowhere"], "there is no study folder"),
        (["add-reader", "nowhere", "anna", "--role", "reader 1"], "there is no study folder"),
    ],
)
def test_wrong_use_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str], words: list[str], said: str) -> None:
    folder = str(make_study(tmp_path))
    assert main(["review", *[folder if word == "STUDY" else word for word in words]]) == 2
    error = capsys.readouterr().err
    assert said in error
    assert error.count("\n") == 1
