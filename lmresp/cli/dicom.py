"""``lmresp dicom``: results as DICOM objects, in a folder that the user names."""

from __future__ import annotations

import argparse
import gzip
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np

from lmresp import RESEARCH_USE, queries, store
from lmresp.dicom.scan import LockedRead, Scan, objects
from lmresp.dicom.source import load_source
from lmresp.errors import EXIT_DONE, StudyError
from lmresp.ingest.roles import choose_roles
from lmresp.ingest.study import Study, open_study
from lmresp.ingest.unreadable import UnreadableSeries
from lmresp.mri.files import image_file, scan_folder
from lmresp.mri.volume import Volume

QUERIES = "private/dicom.queries.csv"
RECORD = "reads/reads.jsonl"
IDENTITY = (
    "These objects carry name, identifier and birth date from the headers of the source images, so that an archive "
    "files them with the images. Treat the folder as identified data."
)


class _NotWrittenError(Exception):
    """Why a scan has no objects: the code of the query and its words."""

    def __init__(self, code: str, why: str) -> None:
        super().__init__(why)
        self.code, self.why = code, why


def run_dicom(options: argparse.Namespace) -> int:
    """Write the objects of a study's scans.

    Raises
    ------
    StudyError
        If the folder lies in the study or holds other files, there is nothing to write from, or a scan is unknown.
    """
    study = open_study(options.study)
    names = sorted(path.stem for path in (study.results / "work" / "scans").glob("*.json"))
    if not names:
        raise StudyError("the study has no scans yet", where=study.folder.name, allowed="a study after lmresp run")
    unknown = sorted(set(options.scan or ()) - set(names))
    if unknown:
        raise StudyError(f"there is no scan {unknown[0]!r}", where="--scan", allowed=", ".join(names))
    _check_folder(options.to, study.folder, names)
    charter = str(store.read_json(study.results / "work" / "charter.json")["digest"])
    reads = locked_reads(study.folder / RECORD)
    found: list[queries.Query] = []
    written = 0
    for name in sorted(options.scan or names):
        record = store.read_json(study.results / "work" / "scans" / f"{name}.json")
        try:
            files, remarks = objects(_scan(study, charter, record, reads.get(name, ())))
        except _NotWrittenError as why:
            found.append(_query(why.code, record, why.why))
            continue
        _write(options.to / name, files)
        found += remarks
        written += len(files)
    _report(study, found, written)
    return EXIT_DONE


def _check_folder(to: Path, study: Path, names: Sequence[str]) -> None:
    """Refuse a folder in or around the study, or one that holds anything but the folders of its scans."""
    target, inside = to.resolve(), study.resolve()
    if target.is_relative_to(inside) or inside.is_relative_to(target):
        raise StudyError(
            f"{to.name!r} lies in the study or around it", where="--to", allowed="a folder outside of the study"
        )
    if to.exists():
        others = sorted(name for name in _seen(to) if name not in names) if to.is_dir() else [to.name]
        if others:
            raise StudyError(
                f"{to.name!r} holds {others[0]!r}", where="--to", allowed="a folder that is new, empty or of this study"
            )


def _seen(folder: Path) -> list[str]:
    """Names in a folder; hidden ones, such as the rest of a file whose writing was cut short, do not count."""
    return sorted(path.name for path in folder.iterdir() if path.name[0] != ".") if folder.is_dir() else []


def _write(folder: Path, files: Mapping[str, bytes]) -> None:
    """Write the files of a scan; what is there already must be the same, or nothing is written."""
    there = {name: folder / name for name in _seen(folder)}
    for name, path in there.items():
        if not path.is_file() or files.get(name) != path.read_bytes():
            raise StudyError(
                f"{folder.name}/{name} is there with other content; an object is never overwritten",
                where="--to",
                allowed="a new folder, or the same results",
            )
    for name, content in files.items():
        if name not in there:
            store.write_bytes(folder / name, content)


def _scan(study: Study, charter: str, record: Mapping[str, Any], reads: Sequence[LockedRead]) -> Scan:
    """Gather what the objects of a scan are made from."""
    folder = scan_folder(study.results, record["scan"])
    path = folder / f"{record['scan']}_scan.json"
    if not path.is_file():
        raise _NotWrittenError("DI006", "it has no scan result")
    result = store.read_json(path)
    series = _series(record, result)
    try:
        source = load_source(study.folder, series)
    except UnreadableSeries as why:
        raise _NotWrittenError("DI001", f"series {series['series']}: {why}") from None
    if result["status"] != "measured":
        return Scan(study.study_id, study.data_cut, charter, result, source, None, (), reads)
    anchor, labels = (_image(folder, result, role) for role in ("anchor", "labels"))
    masked = image_file(result["scan"], "brain", result["contrast"]) in result["files"]
    brain = _image(folder, result, "brain") if masked else None
    from lmresp.cli.dicom_pictures import finding_pictures

    return Scan(
        study_id=study.study_id,
        data_cut=study.data_cut,
        charter=charter,
        result=result,
        source=source,
        labels=Volume(np.asarray(labels.dataobj, dtype=np.float32), np.asarray(labels.affine, dtype=float)),
        pictures=finding_pictures(result, anchor, labels, brain),
        reads=reads,
    )


def _series(record: Mapping[str, Any], result: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the series that the objects join: the T1 that was measured, else what comes nearest to it."""
    by_name = {one["series"]: one for one in record["series"]}
    roles = {row["role"]: row for row in result["series"] if row["role"]}
    if result["status"] == "measured":
        row = roles.get("post") or roles["pre"]
        now = by_name.get(row["series"])
        if now is None or now["digest"] != row["digest"]:
            raise _NotWrittenError("DI006", f"series {row['series']} is not the one that was measured")
        return dict(now)
    chosen = choose_roles(record["series"])
    able = [by_name[chosen[role].series] for role in ("post", "pre", "flair", "t2") if role in chosen]
    able += [one for one in record["series"] if one["source"] == "dicom" and one["sequence"] != "NON_IMAGE"]
    if not able:
        raise _NotWrittenError("DI001", "no series was delivered as DICOM")
    return dict(next((one for one in able if one["source"] == "dicom"), able[0]))


def _image(folder: Path, result: Mapping[str, Any], role: str) -> nib.Nifti1Image:
    """Read an image of the scan, which must be the one that its result names."""
    name = image_file(result["scan"], role, result["contrast"])
    path = folder / name
    if not path.is_file() or result["files"].get(name) != store.sha256_file(path):
        raise _NotWrittenError("DI006", f"the image {path.name} is not the one of its result")
    nibabel: Any = nib  # which has no types
    image: nib.Nifti1Image = nibabel.Nifti1Image.from_bytes(gzip.decompress(path.read_bytes()))
    return image


def locked_reads(path: Path) -> dict[str, list[LockedRead]]:
    """Read the locked reads of the record, by scan, in the order of their locks.

    Raises
    ------
    StudyError
        If the record does not hold: nothing of it is passed on then.
    """
    if not path.is_file():
        return {}
    from lmresp.reads.record import Record
    from lmresp.reads.state import history

    reads = [read for read in history(Record(path).entries()) if read.locked]
    replaced: dict[str, list[str]] = {}
    for read in reads:
        replaced.setdefault(read.superseded_by, []).append(read.read)
    out: dict[str, list[LockedRead]] = {}
    for read in sorted(reads, key=lambda one: int((one.lock or {})["seq"])):
        after = (*replaced.get(read.read, ()), *read.entry["over"])
        locked = LockedRead({**read.entry, "utc": read.read_utc}, read.locked_utc, tuple(after))
        out.setdefault(str(read.entry["scan"]), []).append(locked)
    return out


def _query(code: str, record: Mapping[str, Any], value: str) -> queries.Query:
    return queries.make(code, subject_id=record["subject_id"], visit=record["visit"], value=value)


def _report(study: Study, found: Iterable[queries.Query], written: int) -> None:
    """Print what was not written and why, and what the objects carry."""
    rows = queries.numbered(found)
    store.write_csv(study.results / QUERIES, rows, queries.COLUMNS)
    (study.results / QUERIES).chmod(0o600)
    for row in rows:
        print(f"{row['code']} {row['message']} {row['action']}")
    print(f"{written} DICOM objects. Nothing was sent.")
    if written:
        print(IDENTITY)
        print("The draft and the reads unblind whoever opens them: send them when the reading of a scan is done.")
    print(RESEARCH_USE)
