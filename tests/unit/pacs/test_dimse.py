"""DIMSE with a PACS of a few lines that refuses, breaks off and answers wrongly; a real one is in tests/real."""

from __future__ import annotations

import io
import ssl
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pydicom
import pytest
from pydicom.uid import MRImageStorage, SegmentationStorage
from pynetdicom import AE, evt
from pynetdicom.sop_class import (
    StudyRootQueryRetrieveInformationModelFind,
    StudyRootQueryRetrieveInformationModelGet,
    Verification,
)

from tests.unit.pacs.certificates import Certificates
from tests.unit.pacs.conftest import write_study
from tests.unit.pacs.objects import PATIENT, STUDY, encoded, made, mr

Run = Callable[..., tuple[int, str]]


def _go_on(_: str, __: evt.Event) -> None:
    """Play no trick."""


class Tiny:
    """Holds one study of two series; ``trick`` may answer a request in its place (a status, or None to go on)."""

    def __init__(self, tls: ssl.SSLContext | None = None, contexts: tuple[str, ...] = ()) -> None:
        self.images = [mr(series, n) for series, count in ((1, 3), (2, 2)) for n in range(1, count + 1)]
        self.stored: list[pydicom.Dataset] = []
        self.asked: list[str] = []
        self.trick: Callable[[str, evt.Event], int | None] = _go_on
        entity = AE(ae_title="TINY")
        entity.require_called_aet = True
        entity.require_calling_aet = ["LMRESP"]
        known = (
            *(Verification, StudyRootQueryRetrieveInformationModelFind, StudyRootQueryRetrieveInformationModelGet),
            *(SegmentationStorage,),
        )
        for kind in contexts or known:
            entity.add_supported_context(kind)
        entity.add_supported_context(MRImageStorage, scu_role=True, scp_role=True)
        handlers = [
            (evt.EVT_C_ECHO, self._echo),
            (evt.EVT_C_FIND, self._find),
            (evt.EVT_C_GET, self._get),
            (evt.EVT_C_STORE, self._store),
        ]
        self.server: Any = entity.start_server(("127.0.0.1", 0), block=False, evt_handlers=handlers, ssl_context=tls)
        self.port = self.server.server_address[1]

    def _echo(self, event: evt.Event) -> int:
        self.asked.append("ECHO")
        return self.trick("ECHO", event) or 0

    def _store(self, event: evt.Event) -> int:
        self.asked.append("STORE")
        self.stored.append(event.dataset)
        return self.trick("STORE", event) or 0

    def _find(self, event: evt.Event) -> Iterator[tuple[int, pydicom.Dataset | None]]:
        asked = event.identifier
        level = asked.QueryRetrieveLevel
        self.asked.append(f"FIND {level}")
        status = self.trick("FIND", event)
        if status:
            yield status, None
            return
        keys = {"STUDY": "StudyInstanceUID", "SERIES": "SeriesInstanceUID", "IMAGE": "SOPInstanceUID"}
        found = {getattr(ds, keys[level]): ds for ds in self.images if self._fits(ds, asked)}
        for ds in found.values():
            one = pydicom.Dataset()
            one.QueryRetrieveLevel = level
            for element in asked:
                if element.keyword in ds:
                    one[element.tag] = ds[element.tag]
            yield 0xFF00, one  # no NumberOfSeriesRelatedInstances: it is optional

    def _fits(self, ds: pydicom.Dataset, asked: pydicom.Dataset) -> bool:
        names = ("PatientID", "StudyInstanceUID", "SeriesInstanceUID")
        return all(asked.get(name) in (None, "", ds.get(name)) for name in names)

    def _get(self, event: evt.Event) -> Iterator[Any]:
        self.asked.append(f"GET {event.identifier.SeriesInstanceUID}")
        status = self.trick("GET", event)
        found = [ds for ds in self.images if self._fits(ds, event.identifier)]
        yield len(found)
        if status:
            yield status, None
            return
        for ds in found:
            self.trick("GET one", event)
            yield 0xFF00, ds


@pytest.fixture
def tiny(study: Path) -> Iterator[Tiny]:
    server = Tiny()
    settings(study, server.port)
    yield server
    server.server.shutdown()


def settings(study: Path, port: int, more: str = "") -> None:
    place = f"host: localhost, port: {port}, called_aet: TINY, calling_aet: LMRESP{more}"
    write_study(study, f"dimse: {{{place}}}\nsend: true")


def contents(files: list[bytes] | list[pydicom.Dataset]) -> list[str]:
    read = [pydicom.dcmread(io.BytesIO(one)) if isinstance(one, bytes) else one for one in files]
    return sorted(one.to_json() for one in read)


def test_what_comes_is_what_is_there(tiny: Tiny, lmresp: Run, fetched: Callable[[], list[bytes]]) -> None:
    assert lmresp("check")[0] == 0
    code, text = lmresp("fetch")
    assert code == 0, text
    assert contents(fetched()) == contents(tiny.images)
    assert "FIND IMAGE" in tiny.asked  # the number of images had to be counted
    assert "2 there before" in lmresp("fetch")[1]
    assert sum(asked.startswith("GET") for asked in tiny.asked) == 2


def test_an_association_that_breaks_leaves_nothing_half(
    study: Path, tiny: Tiny, lmresp: Run, fetched: Callable[[], list[bytes]]
) -> None:
    dead: list[bool] = []

    def die(what: str, event: evt.Event) -> int | None:
        if dead or (what == "GET one" and event.identifier.SeriesInstanceUID.endswith(".2")):
            dead.append(True)
            event.assoc.abort()
        return None

    tiny.trick = die
    code, text = lmresp("fetch")
    assert code == 1
    assert "PA008" in text
    assert not (study / "mri").exists()
    tiny.trick = _go_on
    assert lmresp("fetch")[0] == 0
    assert contents(fetched()) == contents(tiny.images)


@pytest.mark.parametrize("status", [0xA702, 0xC000])
def test_a_failed_status_is_named_and_not_repeated(tiny: Tiny, lmresp: Run, status: int) -> None:
    tiny.trick = lambda what, event: (
        status if what == "GET" and event.identifier.SeriesInstanceUID.endswith(".1") else None
    )
    code, text = lmresp("fetch")
    assert code == 1
    assert (
        f"PA007 error: Series 1 of the study of 2024-02-12 of LM-01 could not be fetched: C-GET status {status:04X}"
        in text
    )
    assert sum(asked.endswith(f"{STUDY}.1") for asked in tiny.asked) == 1
    tiny.trick = lambda what, _: status if what == "FIND" else None
    assert f"C-FIND status {status:04X}" in lmresp("fetch")[1]


def test_an_image_of_another_patient(tiny: Tiny, lmresp: Run, fetched: Callable[[], list[bytes]]) -> None:
    tiny.images[1].PatientID = "SOMEONE-ELSE"
    code, text = lmresp("fetch")
    assert code == 1
    assert "SOMEONE" not in text
    assert len(fetched()) == 2


@pytest.mark.parametrize(
    ("status", "code", "outcome"),
    [(0x0000, "", "stored"), (0xB000, "PA026", "warning"), (0xA700, "PA024", "refused"), (0x0122, "PA024", "refused")],
)
def test_the_status_of_c_store(
    study: Path, tiny: Tiny, lmresp: Run, tmp_path: Path, status: int, code: str, outcome: str
) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "seg.dcm").write_bytes(encoded(made("seg")))
    tiny.trick = lambda what, _: status if what == "STORE" else None
    exit_code, text = lmresp("send", tmp_path / "out", "--send")
    assert exit_code == (1 if outcome == "refused" else 0)
    assert code in text
    assert contents(tiny.stored) == contents([encoded(made("seg"))])
    receipt = (study / "pacs" / "receipts.jsonl").read_text()
    assert f'"outcome":"{outcome}"' in receipt
    assert f"{status:04X}" in receipt
    lmresp("send", tmp_path / "out", "--send")
    assert len(tiny.stored) == (2 if outcome == "refused" else 1)


def test_a_kind_of_object_that_the_pacs_does_not_take(tiny: Tiny, lmresp: Run, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "a.dcm").write_bytes(encoded(made("pdf")))
    (tmp_path / "out" / "b.dcm").write_bytes(encoded(made("seg", 2)))
    code, text = lmresp("send", tmp_path / "out", "--send")
    assert code == 1
    assert "does not accept this kind" in text
    assert len(tiny.stored) == 1


def test_tls_trusts_the_named_authority_only(
    study: Path, lmresp: Run, certificates: Certificates, fetched: Callable[[], list[bytes]]
) -> None:
    server = Tiny(tls=certificates.server())
    try:
        settings(study, server.port, ", tls: true")  # the authorities of this machine do not know the certificate
        code, text = lmresp("fetch")
        assert (code, server.asked) == (1, [])
        settings(study, server.port, f", tls: true, ca_file: '{certificates.authority}'")
        code, text = lmresp("fetch")
        assert code == 0, text
        assert len(fetched()) == 5
        assert PATIENT not in text
    finally:
        server.server.shutdown()
