"""A DICOMweb server on the loopback interface that can be told to misbehave."""

from __future__ import annotations

import io
import json
import re
import socket
import ssl
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pydicom

Reply = tuple[int, dict[str, str], bytes]
JSON = {"Content-Type": "application/dicom+json"}
CUT = (0, {}, b"")
"""Reply that breaks the connection instead."""


class FakePacs:
    """The server: ``store`` holds files by SOP Instance UID; ``tricks`` change replies; ``asked`` lists requests.

    A trick takes method and path (with query) and the honest reply, and gives the reply to make.
    """

    def __init__(self, *files: bytes, port: int = 0, tls: ssl.SSLContext | None = None) -> None:
        self.store: dict[str, bytes] = {}
        self.asked: list[tuple[str, str]] = []
        self.headers: list[dict[str, str]] = []
        self.posted: list[bytes] = []
        self.tricks: list[Callable[[str, str, Reply], Reply]] = []
        for file in files:
            self.add(file)
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True  # header and body are two packets; the second would wait 40 ms

            def _serve(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                outer.asked.append((self.command, self.path))
                outer.headers.append({name.lower(): value for name, value in self.headers.items()})
                reply = outer._honest(self.command, self.path, body)
                for trick in outer.tricks:
                    reply = trick(self.command, self.path, reply)
                status, headers, content = reply
                if reply == CUT:
                    self.connection.shutdown(socket.SHUT_RDWR)
                    self.close_connection = True
                    return
                self.send_response(status)
                for name, value in ({"Content-Length": str(len(content))} | headers).items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(content)
                if int(headers.get("Content-Length", len(content))) != len(content):
                    self.close_connection = True

            do_GET = do_POST = do_DELETE = do_PUT = _serve  # noqa: N815

            def log_message(self, *_: Any) -> None:
                pass

        class Server(ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, *_: Any) -> None:  # a client that hangs up is no event
                pass

        self._server = Server(("127.0.0.1", port), Handler)
        if tls:
            self._server.socket = tls.wrap_socket(self._server.socket, server_side=True)
        self.port = self._server.server_address[1]
        self.url = f"http{'s' if tls else ''}://127.0.0.1:{self.port}/dicom-web"
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()

    def stop(self) -> None:
        """Close the port."""
        self._server.shutdown()
        self._server.server_close()

    def add(self, file: bytes) -> None:
        """Keep a file."""
        self.store[str(pydicom.dcmread(io.BytesIO(file), stop_before_pixels=True).SOPInstanceUID)] = file

    def wado(self) -> list[str]:
        """Paths of the series that were asked for."""
        return [path for method, path in self.asked if method == "GET" and re.search(r"/series/[^/?]+$", path)]

    def _headers_of(self) -> list[pydicom.Dataset]:
        return [pydicom.dcmread(io.BytesIO(f), stop_before_pixels=True) for _, f in sorted(self.store.items())]

    def _honest(self, method: str, path: str, body: bytes) -> Reply:
        parts = [p for p in urlsplit(path).path.removeprefix("/dicom-web").split("/") if p]
        query = {key: values[0] for key, values in parse_qs(urlsplit(path).query).items()}
        if method == "POST":
            return self._stow(body)
        if parts == ["studies"]:
            found = {
                str(ds.StudyInstanceUID): ds
                for ds in self._headers_of()
                if query.get("PatientID", ds.PatientID) == ds.PatientID
                and query.get("StudyInstanceUID", ds.StudyInstanceUID) == ds.StudyInstanceUID
            }
            keys = ("StudyInstanceUID", "PatientID", "PatientName", "StudyDate")
        elif parts[-1] == "series":
            found = {str(ds.SeriesInstanceUID): ds for ds in self._headers_of() if ds.StudyInstanceUID == parts[1]}
            keys = (
                "SeriesInstanceUID",
                "Modality",
                "SeriesNumber",
                "SeriesDescription",
                "NumberOfSeriesRelatedInstances",
            )
            for uid, ds in found.items():
                ds.NumberOfSeriesRelatedInstances = sum(one.SeriesInstanceUID == uid for one in self._headers_of())
        elif parts[-1] == "instances":
            found = {str(ds.SOPInstanceUID): ds for ds in self._headers_of() if ds.SeriesInstanceUID == parts[3]}
            keys = ("SOPInstanceUID",)
        else:
            files = [
                self.store[str(ds.SOPInstanceUID)] for ds in self._headers_of() if ds.SeriesInstanceUID == parts[3]
            ]
            return multipart(files)
        page = list(found.values())[int(query.get("offset", 0)) :][: int(query.get("limit", 10**6))]
        rows = []
        for ds in page:
            one = pydicom.Dataset()
            for key in keys:
                if key in ds:
                    one[key] = ds[key]
            rows.append(one.to_json_dict())
        return 200, JSON, json.dumps(rows).encode()

    def _stow(self, body: bytes) -> Reply:
        """Take one object between its boundaries."""
        boundary = body.split(b"\r\n", 1)[0]
        content = body.split(b"\r\n\r\n", 1)[1].removesuffix(b"\r\n" + boundary + b"--\r\n")
        self.posted.append(content)
        self.add(content)
        ds = pydicom.dcmread(io.BytesIO(content), stop_before_pixels=True)
        return 200, JSON, json.dumps({"00081199": sequence(str(ds.SOPInstanceUID))}).encode()


def sequence(uid: str, **more: int) -> dict[str, Any]:
    """One item of a Store Instances Response; ``more`` are unsigned shorts by tag (``t00081197=...``)."""
    item: dict[str, Any] = {"00081155": {"vr": "UI", "Value": [uid]}}
    item |= {tag.removeprefix("t"): {"vr": "US", "Value": [value]} for tag, value in more.items()}
    return {"vr": "SQ", "Value": [item]}


def multipart(files: list[bytes], boundary: str = "b0undary") -> Reply:
    parts = [f"--{boundary}\r\nContent-Type: application/dicom\r\n\r\n".encode() + file + b"\r\n" for file in files]
    kind = f'multipart/related; type="application/dicom"; boundary={boundary}'
    return 200, {"Content-Type": kind}, b"".join(parts) + f"--{boundary}--\r\n".encode()


def only(path_end: str, reply: Reply, times: int = 10**6, method: str = "GET") -> Callable[[str, str, Reply], Reply]:
    """Trick: the first ``times`` requests whose path (without query) ends so get this reply."""
    left = [times]

    def trick(asked: str, path: str, honest: Reply) -> Reply:
        if asked == method and urlsplit(path).path.endswith(path_end) and left[0] > 0:
            left[0] -= 1
            return reply
        return honest

    return trick
