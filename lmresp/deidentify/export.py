"""Exporting a study's images: every file is either written without identity or quarantined with a reason.

The pixels of a face are another part's business: it comes in as a function, so that this package knows no measurement.
"""

from __future__ import annotations

import dataclasses
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import nibabel as nib
import numpy as np
from numpy.typing import NDArray

from lmresp import RESEARCH_USE, store
from lmresp.deidentify import dates, judge, pixels, volumes
from lmresp.deidentify.attributes import UnfitError, Whose, deidentified
from lmresp.deidentify.keys import Key
from lmresp.deidentify.profile import kept
from lmresp.ingest import archives
from lmresp.ingest.convert import load_series
from lmresp.ingest.dicom import read_dataset, read_header
from lmresp.ingest.header import labels
from lmresp.ingest.unreadable import UnreadableSeries
from lmresp.terms import BodyPart
from lmresp.terms import Sequence as Kind

MANIFEST = (
    *("status", "file", "source", "subject", "session", "series", "sequence", "body_part", "scan_date", "face"),
    *("code", "reason", "emptied", "note"),
)
FACELESS = {BodyPart.THORACIC.value, BodyPart.LUMBAR.value}
"""Regions that show no face or its chin only; every other one, and an unknown one, is treated as a head."""

Row = dict[str, str]


class Face(Protocol):
    """Where the face is in the world of one session."""

    def removed(self, shape: tuple[int, int, int], affine: NDArray[np.float64]) -> NDArray[np.bool_]:
        """Voxels of a grid that show the face."""

    def misfit(self, other: nib.Nifti1Image) -> str:
        """Say why the face of another series cannot be told; empty when it can."""


FaceOf = Callable[[nib.Nifti1Image], "Face | str"]
"""T1-weighted image of a head to its face, or the reason why it cannot be told."""


class QuarantinedError(Exception):
    """A series is not exported.

    Parameters
    ----------
    code : str
        Query code.
    reason : str
        Why, without anything from the file.
    """

    def __init__(self, code: str, reason: str) -> None:
        self.code, self.reason = code, reason
        super().__init__(reason)


@dataclasses.dataclass(frozen=True)
class Session:
    """One scan in the export.

    Parameters
    ----------
    record : mapping
        Scan record.
    number : int
        1 for the subject's first scan, and so on; labels of visits stay here, as they may be dates.
    key : Key
        Secret of the study's exports.
    """

    record: Mapping[str, Any]
    number: int
    key: Key

    @property
    def subject(self) -> str:
        """Identifier of the subject in the study."""
        return str(self.record["subject_id"])

    @property
    def place(self) -> tuple[str, str]:
        """Folders of the export: ``sub-CODE`` and ``ses-NN``."""
        return f"sub-{self.key.code(self.subject)}", f"ses-{self.number:02d}"

    def row(self, entry: Mapping[str, Any], source: str) -> Row:
        """Columns of the manifest that are the same whatever becomes of a file."""
        subject, session = self.place
        date = dates.shifted(str(self.record["scan_date"]).replace("-", ""), self.key.days(self.subject))
        return {
            "source": self.key.trace(source),
            "subject": subject.removeprefix("sub-"),
            "session": session.removeprefix("ses-"),
            "series": str(entry["series"]),
            "sequence": str(entry["sequence"]),
            "body_part": str(entry["body_part"]),
            "scan_date": f"{date[:4]}-{date[4:6]}-{date[6:]}" if date else "",
        }


def sessions(records: Iterable[Mapping[str, Any]], key: Key) -> list[Session]:
    """Number the scans of every subject in the order of their visits."""
    out: list[Session] = []
    count: dict[str, int] = {}
    for record in sorted(records, key=lambda r: (str(r["subject_id"]), float(r["visit_num"]), str(r["scan"]))):
        subject = str(record["subject_id"])
        count[subject] = count.get(subject, 0) + 1
        out.append(Session(record, count[subject], key))
    return out


def export_session(study: Path, session: Session, out: Path, face_of: FaceOf) -> Iterator[tuple[str, Row]]:
    """Export every series of one scan.

    Parameters
    ----------
    study : Path
        Study folder; only read.
    session : Session
        The scan.
    out : Path
        Folder of the export.
    face_of : callable
        Tells the face of the session from its first readable T1.

    Yields
    ------
    tuple of str and dict
        Path of a source file in the study, and its row of the manifest. A series goes as a whole or not at all.
    """
    face = _SessionFace(study, session.record, face_of)
    for entry in session.record["series"]:
        try:
            written = _series(study, session, entry, face)
        except QuarantinedError as why:
            for source in entry["files"]:
                yield source, quarantined(session.row(entry, source), why.code, why.reason)
            continue
        for source, files, row in written:
            for name, content in files.items():
                store.write_bytes(out / name, content)
            yield source, session.row(entry, source) | {"status": "exported", "file": next(iter(files))} | row


def quarantined(row: Row, code: str, reason: str) -> Row:
    """Row of the manifest of a file that is not exported."""
    return row | {"status": "quarantined", "code": code, "reason": reason}


class _SessionFace:
    """Face of one session, found when the first series of a head is reached."""

    def __init__(self, study: Path, record: Mapping[str, Any], face_of: FaceOf) -> None:
        self._study, self._record, self._face_of = study, record, face_of
        self._found: Face | str | None = None

    def of(self, image: nib.Nifti1Image, entry: Mapping[str, Any]) -> Face | None:
        """Face for one series.

        Returns
        -------
        Face or None
            None for a region that shows no face, where the session has none either. Where it has one, it is removed
            from such a series, too: its field of view may begin at the chin.

        Raises
        ------
        QuarantinedError
            If a face may be shown, and the session has none or the series lies elsewhere.
        """
        if self._found is None:
            self._found = self._find()
        if entry["body_part"] in FACELESS:
            return None if isinstance(self._found, str) else self._found
        if isinstance(self._found, str):
            raise QuarantinedError("DE004", self._found)
        misfit = self._found.misfit(image)
        if misfit:
            raise QuarantinedError("DE004", misfit)
        return self._found

    def _find(self) -> Face | str:
        wanted = (Kind.T1_PRE.value, Kind.T1_POST.value, Kind.T1_UNKNOWN.value)
        brain = [
            s for s in self._record["series"] if s["sequence"] in wanted and s["body_part"] == BodyPart.BRAIN.value
        ]
        brain.sort(key=lambda s: (not s["use"], s["acquisition"] != "3D", wanted.index(s["sequence"]), s["series"]))
        why = "the session has no T1 of the head that tells where the face is"
        for entry in brain:
            found = self._face_of(_image(self._study, entry)) if _readable(self._study, entry) else why
            if not isinstance(found, str):
                return found
            why = found
        return why


def _image(study: Path, entry: Mapping[str, Any]) -> nib.Nifti1Image:
    try:
        return load_series(study, entry)[0]
    except UnreadableSeries:
        raise QuarantinedError("DE003", "the series cannot be read as one volume") from None


def _readable(study: Path, entry: Mapping[str, Any]) -> bool:
    try:
        _image(study, entry)
    except QuarantinedError:
        return False
    return True


Written = tuple[str, dict[str, bytes], Row]
"""Source file, its files in the export with their content, and what the manifest says of it."""


def _series(study: Path, session: Session, entry: Mapping[str, Any], face: _SessionFace) -> list[Written]:
    """Content of every file of a series in the export.

    Raises
    ------
    QuarantinedError
        If one of them cannot go, or its face cannot be removed.
    """
    if entry["source"] != "dicom":
        return [_volume(study, session, entry, face)]
    with tempfile.TemporaryDirectory(prefix="lmresp-") as folder:
        try:
            paths = archives.on_disk(study, entry["files"], Path(folder))
        except UnreadableSeries:
            raise QuarantinedError("DE003", "a file of the series is gone") from None
        for path in paths:
            _check_object(path)
        region = face.of(_image(study, entry), entry)
        out: list[Written] = []
        for number, (source, path) in enumerate(zip(entry["files"], paths, strict=True), start=1):
            name = "/".join([*session.place, str(entry["series"]), f"{number:04d}.dcm"])
            try:
                content, emptied = dicom_bytes(path, session.key, session.subject, entry, region)
            except UnfitError as why:
                raise QuarantinedError("DE003", str(why)) from None
            out.append((source, {name: content}, {"face": _said(region), "emptied": ";".join(emptied)}))
        return out


def _volume(study: Path, session: Session, entry: Mapping[str, Any], face: _SessionFace) -> Written:
    image = _image(study, entry)
    region = face.of(image, entry)
    stem = "/".join([*session.place, "anat", volumes.stem(session.place, entry)])
    content = volumes.content(image, region.removed if region else None)
    files = {stem + ".nii.gz": content, stem + ".json": volumes.sidecar(entry)}
    return str(entry["files"][0]), files, {"face": _said(region)}


def _said(face: Face | None) -> str:
    return "none shown" if face is None else "removed"


def _check_object(path: Path) -> None:
    try:
        why = judge.reason(read_dataset(path, pixels=True))
    except Exception:  # whatever a damaged file raises
        raise QuarantinedError("DE003", "it cannot be read as DICOM") from None
    if why:
        raise QuarantinedError("DE002", why)


def dicom_bytes(
    path: Path, key: Key, subject: str, entry: Mapping[str, Any], face: Face | None
) -> tuple[bytes, list[str]]:
    """De-identify one DICOM file.

    Parameters
    ----------
    path : Path
        The file; only read.
    key : Key
        Secret of the study's exports.
    subject : str
        ``subject_id``.
    entry : mapping
        Entry of the scan record; its class replaces the free text of the series.
    face : Face or None
        What to remove; None where no face is shown.

    Returns
    -------
    bytes
        The new file: the same for the same file, key and subject.
    list of str
        Keywords of dates and times that were emptied.

    Raises
    ------
    UnfitError
        If the object cannot be judged.
    """
    ds = read_dataset(path, pixels=True)
    why = judge.reason(ds)
    if why:
        raise UnfitError(why)
    agent = read_header(path).agent
    words = {"SeriesDescription": _words(ds, entry), "ContrastBolusAgent": kept().agent_words.get(agent, "")}
    attributes, emptied = deidentified(ds, Whose(key, subject, words), faceless=face is not None)
    values = pixels.decoded(ds)
    if face is not None:
        values = pixels.without_face(ds, values, face.removed)
    return pixels.file_bytes(attributes, values), emptied


def _words(ds: Any, entry: Mapping[str, Any]) -> str:
    """Series description of our own making: the labels that lmresp's rules find in the old one, and its class."""
    text = " / ".join(str(ds.get(name) or "") for name in ("SeriesDescription", "ProtocolName", "SequenceName"))
    spelt = kept().series_words
    found = [spelt[label] for label in labels(text) if label in spelt]
    return " / ".join(found)[:64] or str(entry["series"])


def manifest_text(rows: Sequence[Row]) -> str:
    """Table of every file of an export as CSV, with the wording of research use in its last row."""
    ordered = sorted(rows, key=lambda r: (r["status"], r.get("file", ""), r["source"]))
    return store.csv_text([*ordered, {"status": "note", "note": RESEARCH_USE}], MANIFEST)
