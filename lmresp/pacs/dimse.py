"""A PACS by DIMSE: C-ECHO, C-FIND, C-GET and C-STORE (PS3.4, PS3.7), each request on an association of its own."""

from __future__ import annotations

import ssl
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path

from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.uid import (
    JPEG2000,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGLossless,
    JPEGLosslessSV1,
    JPEGLSLossless,
    JPEGLSNearLossless,
    RLELossless,
)
from pynetdicom import AE, build_context, build_role, evt
from pynetdicom.association import Association
from pynetdicom.presentation import PresentationContext
from pynetdicom.sop_class import (  # type: ignore[attr-defined]  # made at run time
    StudyRootQueryRetrieveInformationModelFind,
    StudyRootQueryRetrieveInformationModelGet,
    Verification,
)

from lmresp.pacs.images import MR_CLASSES
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
from lmresp.pacs.settings import Dimse, Tries

PENDING = (0xFF00, 0xFF01)
SUCCESS = 0x0000
GET_WITH_FAILURES = 0xB000  # some images could not be sent; the count tells
STORE_WARNINGS = (0xB000, 0xB006, 0xB007)
CONNECT_S = 10
SYNTAXES = (
    *(ExplicitVRLittleEndian, ImplicitVRLittleEndian, DeflatedExplicitVRLittleEndian, ExplicitVRBigEndian),
    *(JPEGBaseline8Bit, JPEGLossless, JPEGLosslessSV1, JPEGLSLossless, JPEGLSNearLossless),
    *(JPEG2000Lossless, JPEG2000, RLELossless),
)
"""Offered one by one, so that an image can come in the syntax in which it is stored."""
REASONS = {3: "it does not know our AE title (dimse.calling_aet)", 7: "its AE title is another one (dimse.called_aet)"}


class DimsePacs:
    """A PACS by DIMSE; see :class:`lmresp.pacs.link.Link` for the methods.

    Parameters
    ----------
    place : Dimse
        Address and AE titles.
    tries : Tries
        Patience.

    Raises
    ------
    PacsError
        If the file of certificates cannot be used.
    """

    def __init__(self, place: Dimse, tries: Tries) -> None:
        self._place, self._tries = place, tries
        self._trust: ssl.SSLContext | None = None
        if place.tls:
            try:
                self._trust = ssl.create_default_context(cafile=place.ca_file)
            except OSError:
                raise PacsError("ca_file holds no certificates") from None

    @property
    def name(self) -> str:
        """Protocol and address."""
        return f"dimse {self._place.called_aet}@{self._place.host}:{self._place.port}"

    def echo(self) -> None:
        """C-ECHO."""

        def once() -> None:
            with self._associated([build_context(Verification)]) as association:
                _check(association.send_c_echo(), (SUCCESS,), "C-ECHO")

        again(once, self._tries)

    def studies(self, *, patient_id: str = "", uid: str = "") -> Sequence[Study]:
        """Find the studies of a patient, or the one with a UID."""
        found = self._find("STUDY", {"PatientID": patient_id, "StudyInstanceUID": uid, "StudyDate": ""})
        return sorted(
            (
                Study(_text(one, "StudyInstanceUID"), _text(one, "PatientID"), iso_date(_text(one, "StudyDate")))
                for one in found
            ),
            key=lambda study: study.uid,
        )

    def series(self, study: str) -> Sequence[Series]:
        """Find the series of a study."""
        wanted = (
            "SeriesInstanceUID",
            "Modality",
            "SeriesNumber",
            "SeriesDescription",
            "NumberOfSeriesRelatedInstances",
        )
        found = self._find("SERIES", {"StudyInstanceUID": study} | dict.fromkeys(wanted, ""))
        listed = []
        for one in found:
            uid, modality, number, description, images = (_text(one, name) for name in wanted)
            number, images = (text if text.isdecimal() and len(text) <= 12 else "" for text in (number, images))
            listed.append(Series(uid, modality, number, description, int(images) if images else None))
        return sorted(listed, key=lambda series: series.uid)

    def count(self, study: str, series: str) -> int:
        """Count the images of a series."""
        keys = {"StudyInstanceUID": study, "SeriesInstanceUID": series, "SOPInstanceUID": ""}
        return len({_text(one, "SOPInstanceUID") for one in self._find("IMAGE", keys)})

    def fetch(self, study: str, series: str, folder: Path) -> None:
        """Save every image of a series (C-GET); a failed try leaves nothing behind."""
        query = _query("SERIES", {"StudyInstanceUID": study, "SeriesInstanceUID": series})

        def once() -> None:
            for old in folder.iterdir():
                old.unlink()
            left = MAX_SERIES_BYTES
            number = 0

            def take(event: evt.Event) -> int:
                nonlocal left, number
                content = event.encoded_dataset()
                left -= len(content)
                if left < 0:
                    return 0xA700  # out of resources
                number += 1
                (folder / f"{number:05d}.dcm").write_bytes(content)
                return SUCCESS

            contexts = [build_context(StudyRootQueryRetrieveInformationModelGet)]
            contexts += [build_context(kind, syntax) for kind in MR_CLASSES for syntax in SYNTAXES]
            with self._associated(contexts, take) as association:
                for status, _ in association.send_c_get(query, StudyRootQueryRetrieveInformationModelGet):
                    _check(status, (SUCCESS, GET_WITH_FAILURES, *PENDING), "C-GET")

        again(once, self._tries)

    def store(self, item: Item) -> Answer:
        """Send one object (C-STORE) in its own transfer syntax."""

        def once() -> Answer:
            with self._associated([build_context(item.sop_class, item.transfer_syntax)]) as association:
                status = association.send_c_store(dcmread(BytesIO(item.content)))
            if "Status" not in status:
                raise TransportError("the connection to the PACS broke")
            code = int(status.Status)
            outcome = "stored" if code == SUCCESS else "warning" if code in STORE_WARNINGS else "refused"
            return Answer(outcome, f"{code:04X}")

        try:
            return again(once, self._tries)
        except RefusedError as error:
            return Answer("refused", error.what)

    def _find(self, level: str, keys: dict[str, str]) -> list[Dataset]:
        def once() -> list[Dataset]:
            found = []
            with self._associated([build_context(StudyRootQueryRetrieveInformationModelFind)]) as association:
                for status, item in association.send_c_find(
                    _query(level, keys), StudyRootQueryRetrieveInformationModelFind
                ):
                    _check(status, (SUCCESS, *PENDING), "C-FIND")
                    if item is not None:
                        found.append(item)
            return found

        return again(once, self._tries)

    @contextmanager
    def _associated(
        self, contexts: list[PresentationContext], take: Callable[[evt.Event], int] | None = None
    ) -> Iterator[Association]:
        """Open an association; ``take`` handles what C-GET brings."""
        place = self._place
        entity = AE(ae_title=place.calling_aet)
        entity.connection_timeout = CONNECT_S
        entity.acse_timeout = entity.dimse_timeout = entity.network_timeout = self._tries.timeout_s
        association = entity.associate(
            place.host,
            place.port,
            contexts=contexts,
            ae_title=place.called_aet,
            ext_neg=[build_role(kind, scp_role=True) for kind in MR_CLASSES] if take else [],
            evt_handlers=[(evt.EVT_C_STORE, take)] if take else [],
            tls_args=(self._trust, place.host) if self._trust else None,
        )
        if association.is_rejected:
            raise _rejected(association)
        if not association.is_established and not association.rejected_contexts:
            # pynetdicom does not tell a closed port and a refused certificate apart.
            raise TransportError("the PACS cannot be reached" + ", or its certificate is not trusted" * place.tls)
        try:
            if contexts[0].abstract_syntax not in [one.abstract_syntax for one in association.accepted_contexts]:
                raise RefusedError("the PACS does not accept this kind of request or object from us")
            yield association
        finally:
            association.release() if association.is_established else association.abort()


def _rejected(association: Association) -> PacsError:
    """Say why an association was rejected (PS3.8 table 9-21)."""
    primitive = association.acceptor.primitive
    if primitive is not None and primitive.result == 2:  # rejected-transient
        return TransportError("the PACS is busy (association rejected)")
    reason = REASONS.get(primitive.diagnostic or 0) if primitive is not None and primitive.result_source == 1 else None
    return PacsError(f"the PACS rejects us: {reason or 'it does not say why'}")


def _query(level: str, keys: dict[str, str]) -> Dataset:
    query = Dataset()
    query.QueryRetrieveLevel = level
    for name, value in keys.items():
        setattr(query, name, value)
    return query


def _check(status: Dataset, good: Sequence[int], what: str) -> None:
    if "Status" not in status:
        raise TransportError("the connection to the PACS broke")
    if int(status.Status) not in good:
        raise RefusedError(f"{what} status {int(status.Status):04X}")


def _text(item: Dataset, name: str) -> str:
    return str(item.get(name) or "").strip()
