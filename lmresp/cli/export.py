"""``lmresp export``: the images of a study without identity, and the list of what stays behind."""

from __future__ import annotations

import argparse
import os
import shutil
import tempfile
from collections.abc import Collection, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np

from lmresp import RESEARCH_USE, queries, store
from lmresp.deidentify import export, judge
from lmresp.deidentify.keys import Key, load_or_create
from lmresp.errors import EXIT_DONE, StudyError
from lmresp.ingest import archives
from lmresp.ingest.dicom import read_dataset
from lmresp.ingest.headers import File, read_files
from lmresp.ingest.identifiers import plain_cell
from lmresp.ingest.study import Study, open_study
from lmresp.mri import deface
from lmresp.mri.volume import Volume, VolumeError, checked

MANIFEST = "manifest.csv"
KEY = "private/export.key"
CROSSWALK = "private/export_crosswalk.csv"
QUERIES = "private/export.queries.csv"
"""Beside the other results: what links an export to its subjects never lies in the export."""


def run_export(options: argparse.Namespace) -> int:
    """Export a study's images.

    Raises
    ------
    StudyError
        If the folder is not empty or touches the study, the key is unusable, or a subject is unknown.
    """
    from lmresp.cli.plan import plan_study

    study = open_study(options.study)
    key_file = options.key or study.results / KEY
    _check_folder(options.to, study.folder, key_file)
    plan_study(study.folder)
    records = [store.read_json(path) for path in sorted((study.results / "work" / "scans").glob("*.json"))]
    wanted = {plain_cell(name) for name in options.subject or ()}
    unknown = sorted(wanted - {str(record["subject_id"]) for record in records})
    if unknown:
        raise StudyError(
            f"there is no scan of subject {unknown[0]!r}", where="--subject", allowed="a subject with scans"
        )
    key = load_or_create(key_file)
    options.to.parent.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(prefix=f".{options.to.name}.", dir=options.to.parent))
    try:
        found = list(_all(study, records, wanted, key, temporary))
        rows = [row for _, row in found]
        store.write_text(temporary / MANIFEST, export.manifest_text(rows))
        temporary.chmod(0o755)
        if options.to.exists():
            options.to.rmdir()
        temporary.rename(options.to)  # nobody sees half an export
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        raise
    _write_private(study, records, key, found)
    done = sum(row["status"] == "exported" for row in rows)
    print(f"{done} files exported, {len(rows) - done} quarantined: see {MANIFEST} there and {QUERIES} in the results.")
    print(RESEARCH_USE)
    return EXIT_DONE


def _check_folder(to: Path, study: Path, key_file: Path) -> None:
    """Refuse a folder that is not empty, lies in the study or around it, or would hold the key."""
    target = to.resolve()
    allowed = "a new or empty folder outside of the study, without the key"
    if to.exists() and (not to.is_dir() or any(os.scandir(to))):
        raise StudyError(f"{to.name!r} is not empty", where="--to", allowed=allowed)
    inside = target.is_relative_to(study.resolve()) or study.resolve().is_relative_to(target)
    if inside or key_file.resolve().is_relative_to(target):
        raise StudyError(f"{to.name!r} holds the study or the key, or lies in the study", where="--to", allowed=allowed)


def _all(
    study: Study, records: Iterable[Mapping[str, Any]], wanted: Collection[str], key: Key, out: Path
) -> Iterator[tuple[str, export.Row]]:
    """Every file of the study with its row of the manifest."""
    placed: set[str] = set()
    for session in export.sessions(records, key):
        placed.update(name for entry in session.record["series"] for name in entry["files"])
        if not wanted or session.subject in wanted:
            yield from export.export_session(study.folder, session, out, face_of)
    if wanted:
        return
    files, _ = read_files(study.mri_folder, study.results / "work" / "cache" / "headers.json")
    for file in files:
        if file.path not in placed:
            row = {"source": key.trace(file.path)}
            yield file.path, export.quarantined(row, "DE001", _left_over(study, file))


def _left_over(study: Study, file: File) -> str:
    """Why a file that belongs to no scan is not exported."""
    nowhere = "it belongs to no scan of the study"
    if file.kind != "dicom":
        return nowhere if file.kind in ("nifti", "nrrd") else "not an image"
    with tempfile.TemporaryDirectory(prefix="lmresp-") as folder:
        try:
            path = archives.on_disk(study.folder, [file.path], Path(folder))[0]
            return judge.reason(read_dataset(path, pixels=True)) or nowhere
        except Exception:  # whatever a damaged file raises
            return "it cannot be read as DICOM"


def face_of(image: nib.Nifti1Image) -> export.Face | str:
    """Face of the head that an image shows, or the reason why it cannot be told."""
    try:
        return _FoundFace(deface.find(_volume(image)))
    except (VolumeError, deface.FaceError) as why:
        return str(why)


class _FoundFace:
    """A face in the terms of the export."""

    def __init__(self, face: deface.Face) -> None:
        self.removed = face.removed
        self._face = face

    def misfit(self, other: nib.Nifti1Image) -> str:
        """Say why the face of another series cannot be told; empty when it can."""
        try:
            return self._face.misfit(_volume(other))
        except VolumeError as why:
            return str(why)


def _volume(image: nib.Nifti1Image) -> Volume:
    return checked(np.asarray(image.dataobj), np.asarray(image.affine))


def _write_private(
    study: Study, records: Iterable[Mapping[str, Any]], key: Key, found: Iterable[tuple[str, export.Row]]
) -> None:
    """Write what only the study's owner may see: who is who, and which file stayed behind why."""
    rows = [
        {
            "subject_id": session.subject,
            "visit": str(session.record["visit"]),
            "subject": session.place[0],
            "session": session.place[1],
            "days_earlier": str(key.days(session.subject)),
        }
        for session in export.sessions(records, key)
    ]
    crosswalk = study.results / CROSSWALK
    crosswalk.parent.mkdir(parents=True, exist_ok=True)
    crosswalk.parent.chmod(0o700)
    store.write_csv(crosswalk, rows, ["subject_id", "visit", "subject", "session", "days_earlier"])
    crosswalk.chmod(0o600)
    asked = [
        queries.make(row["code"], file=source, reason=row["reason"])
        for source, row in found
        if row["status"] == "quarantined"
    ]
    store.write_csv(study.results / QUERIES, queries.numbered(asked), queries.COLUMNS)
    (study.results / QUERIES).chmod(0o600)
