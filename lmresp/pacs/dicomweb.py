"""A PACS by DICOMweb (PS3.18): QIDO-RS asks, WADO-RS fetches, STOW-RS stores.

Bytes are saved and sent as they are, redirects are not followed, answers have limits, and nothing of a request (its
address holds the PatientID) gets into a message.
"""

from __future__ import annotations

import contextlib
import json
import shutil
import ssl
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urlsplit

import urllib3
from urllib3 import exceptions

from lmresp.pacs.link import (
    MAX_SERIES_BYTES,
    Answer,
    Item,
    PacsError,
    RefusedError,
    Series,
    Study,
    TransportError,
    again,
    iso_date,
)
from lmresp.pacs.multipart import boundary_of, save_parts
from lmresp.pacs.settings import Tries, Web

CHUNK = 2**18
MAX_JSON_BYTES = 2**26
PAGE = 500
CONNECT_S = 10.0
JSON = "application/dicom+json"
IMAGES = 'multipart/related; type="application/dicom"; transfer-syntax=*'  # as stored: nothing is converted there
BUSY = (408, 429, 502, 503, 504)
CLOSED = (401, 403)

STUDY_UID, SERIES_UID, SOP_UID, PATIENT_ID = "0020000D", "0020000E", "00080018", "00100020"
STUDY_DATE, MODALITY, DESCRIPTION, NUMBER, IMAGE_COUNT = "00080020", "00080060", "0008103E", "00200011", "00201209"
STORED, FAILED, OTHER_FAILED = "00081199", "00081198", "0008119A"
REFERENCED_UID, WARNING_REASON, FAILURE_REASON = "00081155", "00081196", "00081197"


class DicomWeb:
    """A DICOMweb service; see :class:`lmresp.pacs.link.Link` for the methods.

    Parameters
    ----------
    web : Web
        Address, user and password.
    tries : Tries
        Patience; a STOW is repeated only where the transport failed.

    Raises
    ------
    PacsError
        If the file of certificates cannot be used.
    """

    def __init__(self, web: Web, tries: Tries) -> None:
        self._web, self._tries = web, tries
        trust = None
        if web.url.startswith("https"):
            try:
                trust = ssl.create_default_context(cafile=web.ca_file)
            except OSError:  # an SSLError is one
                raise PacsError("ca_file holds no certificates") from None
        self._pool = urllib3.PoolManager(
            maxsize=2, ssl_context=trust, timeout=urllib3.Timeout(connect=CONNECT_S, read=tries.timeout_s)
        )
        # No proxy, no .netrc: the password goes where pacs.yaml says, and nowhere else.
        self._headers = urllib3.make_headers(basic_auth=f"{web.user}:{web.password}") if web.user else {}

    @property
    def name(self) -> str:
        """Protocol and address."""
        return f"dicomweb {self._web.url}"

    def echo(self) -> None:
        """Ask for one study, whichever; its answer is not looked at."""
        self._found("/studies", {"limit": "1"})

    def studies(self, *, patient_id: str = "", uid: str = "") -> Sequence[Study]:
        """Find the studies of a patient, or the one with a UID."""
        asked = {"PatientID": patient_id, "StudyInstanceUID": uid}
        found = self._search("/studies", {key: value for key, value in asked.items() if value}, STUDY_UID)
        return [Study(_text(one, STUDY_UID), _text(one, PATIENT_ID), iso_date(_text(one, STUDY_DATE))) for one in found]

    def series(self, study: str) -> Sequence[Series]:
        """Find the series of a study."""
        asked = {"includefield": f"{MODALITY},{DESCRIPTION},{NUMBER},{IMAGE_COUNT}"}
        return [
            Series(
                _text(one, SERIES_UID), _text(one, MODALITY), _number(one, NUMBER), _text(one, DESCRIPTION), _count(one)
            )
            for one in self._search(f"/studies/{study}/series", asked, SERIES_UID)
        ]

    def count(self, study: str, series: str) -> int:
        """Count the images of a series."""
        return len(self._search(f"/studies/{study}/series/{series}/instances", {}, SOP_UID))

    def fetch(self, study: str, series: str, folder: Path) -> None:
        """Save every image of a series; a failed try leaves nothing behind."""

        def once() -> None:
            for old in folder.iterdir():
                old.unlink()
            with self._ask("GET", f"/studies/{study}/series/{series}", {"Accept": IMAGES}) as answer:
                _check_size(answer, folder)
                save_parts(
                    answer.stream(CHUNK), boundary_of(answer.headers.get("Content-Type", "")), folder, MAX_SERIES_BYTES
                )

        again(once, self._tries)

    def store(self, item: Item) -> Answer:
        """Send one object and read what became of it."""
        boundary = _boundary(item.content)
        head = b"--" + boundary + b"\r\nContent-Type: application/dicom\r\n\r\n"
        body = head + item.content + b"\r\n--" + boundary + b"--\r\n"
        kind = f'multipart/related; type="application/dicom"; boundary={boundary.decode()}'

        def once() -> Answer:
            headers = {"Accept": JSON, "Content-Type": kind}
            with self._ask("POST", f"/studies/{item.study}", headers, body, answered=(202, 400, 409)) as answer:
                try:
                    told = _json(_read(answer))
                except RefusedError:
                    return Answer("unconfirmed" if answer.status < 300 else "refused", f"HTTP {answer.status}")
            return _became_of(told, item.sop_instance, answer.status)

        try:
            return again(once, self._tries)
        except RefusedError as error:
            return Answer("refused", error.what)

    def _search(self, path: str, asked: Mapping[str, str], key: str) -> list[Mapping[str, Any]]:
        """Find all pages of an answer; a server that ignores ``offset`` repeats itself, and ends the search so."""
        found: dict[str, Mapping[str, Any]] = {}
        while True:
            page = self._found(path, {**asked, "limit": str(PAGE), "offset": str(len(found))})
            fresh = {uid: one for one in page if (uid := _text(one, key)) not in found}
            found |= fresh
            if not fresh or len(page) < PAGE:
                return [found[uid] for uid in sorted(found)]

    def _found(self, path: str, asked: Mapping[str, str]) -> list[Mapping[str, Any]]:
        def once() -> list[Mapping[str, Any]]:
            with self._ask("GET", f"{path}?{urlencode(asked)}", {"Accept": JSON}) as answer:
                content = _read(answer)
                told = _json(content) if content else []
            if not isinstance(told, list) or not all(isinstance(one, dict) for one in told):
                raise PacsError("the answer of the PACS is not DICOM JSON", allowed="the address of a DICOMweb service")
            return told

        return again(once, self._tries)

    @contextlib.contextmanager
    def _ask(
        self,
        method: str,
        path: str,
        headers: Mapping[str, str],
        body: bytes | None = None,
        answered: Sequence[int] = (),
    ) -> Iterator[urllib3.BaseHTTPResponse]:
        """Send one request and give its answer; every failure becomes one of lmresp's errors, without the address."""
        try:
            answer = self._pool.request(
                method,
                self._web.url + path,
                headers={**self._headers, **headers},
                body=body,
                redirect=False,
                retries=False,
                preload_content=False,
            )
            try:
                if answer.status not in (200, 204, *answered):
                    _raise(answer, urlsplit(self._web.url).hostname or "")
                yield answer
            finally:
                answer.close()  # what was not read is not waited for
        except exceptions.HTTPError as error:
            raise _transport(error) from None


def _raise(answer: urllib3.BaseHTTPResponse, host: str) -> None:
    """Turn a status into an error."""
    if answer.status in CLOSED:
        raise PacsError(f"{host} does not accept user and password (HTTP {answer.status})")
    if 300 <= answer.status < 400:
        raise PacsError(
            f"{host} sends the request elsewhere (HTTP {answer.status}); this is not followed",
            allowed="the final address as dicomweb.url",
        )
    if answer.status in BUSY:
        wait = answer.headers.get("Retry-After", "")
        raise TransportError(
            f"the PACS is busy (HTTP {answer.status})", after_s=float(wait) if wait.isdecimal() else 0.0
        )
    raise RefusedError(f"HTTP {answer.status}")


def _transport(error: exceptions.HTTPError) -> PacsError:
    """Words for an error on the way; its own text may hold the address with the PatientID."""
    if isinstance(error, exceptions.SSLError):
        return PacsError(
            "the certificate of the PACS is not trusted",
            allowed="ca_file: the certificate of the authority that signed it",
        )
    if isinstance(error, exceptions.NameResolutionError):
        return TransportError("the host of the PACS is not known")
    if isinstance(error, exceptions.NewConnectionError | exceptions.ConnectTimeoutError):
        return TransportError("the PACS cannot be reached")
    if isinstance(error, exceptions.TimeoutError):
        return TransportError("the PACS did not answer in time")
    return TransportError("the connection to the PACS broke")


def _check_size(answer: urllib3.BaseHTTPResponse, folder: Path) -> None:
    """Refuse what announces more than a series can hold or the disk can take, before the first byte."""
    announced = answer.headers.get("Content-Length", "0")
    size = int(announced) if announced.isdecimal() and len(announced) < 20 else MAX_SERIES_BYTES + 1
    if size > MAX_SERIES_BYTES:
        raise RefusedError("the answer is larger than a series can be")
    if size > shutil.disk_usage(folder).free:
        raise PacsError("there is not enough space for the next series")


def _read(answer: urllib3.BaseHTTPResponse) -> bytes:
    content = bytearray()
    for chunk in answer.stream(CHUNK):
        content += chunk
        if len(content) > MAX_JSON_BYTES:
            raise RefusedError("the answer is too large")
    return bytes(content)


def _json(content: bytes) -> Any:
    try:
        return json.loads(content)
    except (ValueError, RecursionError):
        raise RefusedError("the answer of the PACS is not DICOM JSON") from None


def _value(item: Mapping[str, Any], tag: str) -> Any:
    """First value of an attribute in DICOM JSON (PS3.18 F.2), or None."""
    attribute = item.get(tag)
    values = attribute.get("Value") if isinstance(attribute, dict) else None
    return values[0] if isinstance(values, list) and values else None


def _text(item: Mapping[str, Any], tag: str) -> str:
    value = _value(item, tag)
    return str(value).strip() if isinstance(value, str | int) else ""


def _number(item: Mapping[str, Any], tag: str) -> str:
    """Text of a whole number (some servers write it as text); empty for anything else, which might be identity."""
    text = _text(item, tag)
    return text if text.isdecimal() and len(text) <= 12 else ""


def _count(item: Mapping[str, Any]) -> int | None:
    text = _number(item, IMAGE_COUNT)
    return int(text) if text else None


def _items(told: Any, tag: str) -> list[Mapping[str, Any]]:
    attribute = told.get(tag) if isinstance(told, dict) else None
    values = attribute.get("Value") if isinstance(attribute, dict) else None
    return [one for one in values if isinstance(one, dict)] if isinstance(values, list) else []


def _became_of(told: Any, uid: str, status: int) -> Answer:
    """Read the Store Instances Response Module (PS3.18 I.2) for one object; the status alone proves nothing."""
    for failed in [one for one in _items(told, FAILED) if _text(one, REFERENCED_UID) == uid] + _items(
        told, OTHER_FAILED
    ):
        return Answer("refused", f"FailureReason {_hexadecimal(failed, FAILURE_REASON)}")
    for stored in _items(told, STORED):
        if _text(stored, REFERENCED_UID) == uid:
            warned = _value(stored, WARNING_REASON) is not None
            return (
                Answer("warning", f"WarningReason {_hexadecimal(stored, WARNING_REASON)}")
                if warned
                else Answer("stored", "0000")
            )
    return Answer("unconfirmed" if status < 300 else "refused", f"HTTP {status}")


def _hexadecimal(item: Mapping[str, Any], tag: str) -> str:
    number = _number(item, tag)
    return f"{int(number):04X}" if number else "unknown"


def _boundary(content: bytes) -> bytes:
    """Find a boundary that does not occur in the content."""
    number = 0
    while (boundary := f"lmresp-{number:08d}".encode()) in content:
        number += 1
    return boundary
