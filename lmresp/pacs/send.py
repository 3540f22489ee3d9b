"""Sending what ``lmresp dicom`` wrote: every object is looked at, then sent once, and gets a receipt.

Source images never go back: only kinds of objects that lmresp makes, of lmresp's own making, of patients of the study,
and for studies that the PACS has. Nothing is ever deleted or replaced there.
"""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Callable, Iterable, Mapping
from io import BytesIO
from pathlib import Path
from typing import Any

from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.uid import (
    Comprehensive3DSRStorage,
    ComprehensiveSRStorage,
    EncapsulatedPDFStorage,
    EnhancedSRStorage,
    MultiFrameTrueColorSecondaryCaptureImageStorage,
    SecondaryCaptureImageStorage,
    SegmentationStorage,
)

from lmresp.pacs import receipts
from lmresp.pacs.link import Item, Link, RefusedError, TransportError, is_uid, label
from lmresp.pacs.subjects import Subject
from lmresp.queries import Query, make

MAKER = "lmresp"
"""Manufacturer of every object that lmresp makes for a PACS; its phantom images bear another one."""
KINDS = {
    SegmentationStorage: "SEG",
    EnhancedSRStorage: "SR",
    ComprehensiveSRStorage: "SR",
    Comprehensive3DSRStorage: "SR",
    SecondaryCaptureImageStorage: "picture",
    MultiFrameTrueColorSecondaryCaptureImageStorage: "picture",
    EncapsulatedPDFStorage: "PDF",
}
MAX_BYTES = 2**31
"""Limit of one object; the largest segmentation of a head is a hundredth of it."""
CODES = {"warning": "PA026", "refused": "PA024", "unconfirmed": "PA025"}

Tell = Callable[[str], None]


@dataclasses.dataclass(slots=True)
class Sent:
    """What came of sending: objects stored (or, in a dry run, that would be sent), those sent before, queries."""

    stored: int = 0
    before: int = 0
    queries: list[Query] = dataclasses.field(default_factory=list)


@dataclasses.dataclass(frozen=True, slots=True)
class Parcel:
    """One object that may go: its file, whose it is, and what its header says."""

    file: str
    subject: Subject
    kind: str
    digest: str
    item: Item

    @property
    def words(self) -> str:
        """Name for messages."""
        return f"{self.kind} {self.file} of {self.subject.subject_id}"

    def query(self, code: str, **fields: Any) -> Query:
        """Query about this object."""
        return make(code, subject_id=self.subject.subject_id, file=self.file, what=f"{self.kind} {self.file}", **fields)


class _UnfitError(Exception):
    """A file is not to be sent."""

    def __init__(self, code: str, value: str = "") -> None:
        self.code, self.value = code, value
        super().__init__(code)


def send(
    folder: Path,
    link: Link,
    subjects: Iterable[Subject],
    ledger: Path,
    tell: Tell,
    clock: Callable[[], str],
    *,
    really: bool,
    repeat: bool = False,
) -> Sent:
    """Send the objects of a folder, or list what would be sent.

    Parameters
    ----------
    folder : Path
        What ``lmresp dicom`` wrote; every ``*.dcm`` in it, links are passed over.
    link : Link
        The PACS; not used unless ``really``.
    subjects : iterable of Subject
        Patients whose objects may go.
    ledger : Path
        ``receipts.jsonl``; one line is appended for each answer, before the next object is sent.
    tell : callable
        Takes one line for each object: kind, file, ``subject_id``, never the header's identity.
    clock : callable
        Gives the time of sending, UTC, ISO 8601.
    really : bool
        Send. Otherwise nothing leaves and nothing is written.
    repeat : bool
        Also send what has a receipt from this PACS.

    Returns
    -------
    Sent
        Counts and queries; a connection that fails for good ends it with query PA027.
    """
    done = Sent()
    patients = {subject.patient_id: subject for subject in subjects}
    earlier = list(receipts.load(ledger))
    present: dict[tuple[str, str], bool] = {}
    paths = sorted(path for path in folder.rglob("*.dcm") if path.is_file() and not path.is_symlink())
    for number, path in enumerate(paths, start=1):
        try:
            parcel = _parcel(path, path.relative_to(folder).as_posix(), patients)
        except _UnfitError as why:
            # A file that is not ours may have a person's name for its own.
            what = f"File {number} of {len(paths)} in the order of their names"
            done.queries.append(make(why.code, what=what, value=why.value))
            continue
        if not repeat and receipts.is_sent(earlier, parcel.digest, link.name):
            done.before += 1
            tell(f"{parcel.words}: sent before, not sent again")
            continue
        if receipts.is_taken(earlier, label(parcel.item.sop_instance), parcel.digest, link.name):
            done.queries.append(parcel.query("PA022"))
            continue
        if not really:
            done.stored += 1
            tell(f"{parcel.words}: {len(parcel.item.content)} bytes would be sent")
            continue
        try:
            receipt = _send(parcel, link, present, clock, tell, done)
        except TransportError as why:
            done.queries.append(parcel.query("PA027", value=why.what))
            return done
        except RefusedError as why:
            done.queries.append(parcel.query("PA027", value=why.what))
            continue
        if receipt:
            receipts.append(ledger, receipt)
            earlier.append(receipt)
    return done


def _send(
    parcel: Parcel,
    link: Link,
    present: dict[tuple[str, str], bool],
    clock: Callable[[], str],
    tell: Tell,
    done: Sent,
) -> Mapping[str, str] | None:
    """Send one object and return its receipt; None when its study is not there."""
    where = (parcel.item.study, parcel.subject.patient_id)
    if where not in present:
        found = link.studies(patient_id=where[1], uid=where[0])
        present[where] = any((study.uid, study.patient_id) == where for study in found)
    if not present[where]:
        done.queries.append(parcel.query("PA023"))
        return None
    utc = clock()
    answer = link.store(parcel.item)
    if answer.outcome in receipts.DONE:
        done.stored += 1
    if answer.outcome in CODES:
        done.queries.append(parcel.query(CODES[answer.outcome], value=answer.code))
    tell(f"{parcel.words}: {answer.outcome} ({answer.code})")
    return {
        "utc": utc,
        "to": link.name,
        "file": parcel.file,
        "subject_id": parcel.subject.subject_id,
        "kind": parcel.kind,
        "digest": parcel.digest,
        "object": label(parcel.item.sop_instance),
        "outcome": answer.outcome,
        "code": answer.code,
    }


def _parcel(path: Path, name: str, patients: Mapping[str, Subject]) -> Parcel:
    """Read one file and see whether it may go.

    Raises
    ------
    _UnfitError
        If lmresp did not make it, or it is of no patient of the study.
    """
    if path.stat().st_size > MAX_BYTES:
        raise _UnfitError("PA020", "it is too large")
    content = path.read_bytes()
    try:
        ds = dcmread(BytesIO(content), stop_before_pixels=True)
        kind, item = _read(ds, content)
        maker, patient = str(ds.get("Manufacturer", "")).strip(), str(ds.get("PatientID", "")).strip()
    except _UnfitError:
        raise
    except Exception:  # whatever a damaged file raises
        raise _UnfitError("PA020", "it cannot be read as DICOM") from None
    if maker != MAKER:
        raise _UnfitError("PA020", "another manufacturer")
    if patient not in patients:
        raise _UnfitError("PA021")
    return Parcel(name, patients[patient], kind, hashlib.sha256(content).hexdigest(), item)


def _read(ds: Dataset, content: bytes) -> tuple[str, Item]:
    kind = KINDS.get(ds.SOPClassUID)
    if kind is None:
        raise _UnfitError("PA020", "another kind of object")
    uids = [str(ds.SOPInstanceUID), str(ds.StudyInstanceUID), str(ds.file_meta.TransferSyntaxUID)]
    if not all(map(is_uid, uids)):
        raise _UnfitError("PA020", "an identifier that is no UID")
    return kind, Item(content, str(ds.SOPClassUID), *uids)
