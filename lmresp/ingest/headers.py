"""Walking ``mri/`` and reading headers, with a cache so that unchanged files are never opened again."""

from __future__ import annotations

import dataclasses
import json
import os
import tempfile
from collections import defaultdict
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from lmresp import store
from lmresp.ingest import archives, bids, dicom, nifti, nrrd
from lmresp.ingest.contrast import protocol_text
from lmresp.ingest.header import Header, limit, rules_text
from lmresp.ingest.unreadable import UnreadableSeries
from lmresp.queries import Query, make

FORMAT = "lmresp-headers/1"
READER = "3"  # raise when the reading of headers changes, so that old caches are not used
SKIPPED_FOLDERS = {"derivatives", "__MACOSX"}
BESIDE = (".json", ".tsv", ".bval", ".bvec", ".txt", ".md", ".csv", ".bidsignore")  # files that may lie among images
BESIDE_NAMES = {"README", "CHANGES", "LICENSE"}
OWN = ("sop", "time", "instance", "locations", "shifts")  # what differs between the files of one series


@dataclasses.dataclass(frozen=True, slots=True)
class File:
    """One file under ``mri/``: path relative to the study, kind, digest of its content, and what was read of it.

    ``kind`` is ``dicom``, ``nifti``, ``nrrd``, ``sidecar``, ``scans_tsv``, ``archive`` or ``other``; ``facts`` belongs
    to the last four. A member of an archive is a file below it; ``facts["refused"]`` of an archive lists what is not
    read.
    """

    path: str
    kind: str
    digest: str = ""
    header: Header | None = None
    facts: dict[str, Any] = dataclasses.field(default_factory=dict)


def read_files(mri_folder: Path, cache_file: Path) -> tuple[list[File], list[Query]]:
    """Read the headers of every file under ``mri/``.

    Parameters
    ----------
    mri_folder : Path
        The study's ``mri`` folder; nothing outside it is read.
    cache_file : Path
        Where headers are kept, by path, size and modification time. It holds no clear
        identity (see :mod:`lmresp.ingest.header`) and does not depend on the subjects of the study.

    Returns
    -------
    tuple
        The files in the order of their paths, and queries on what could not be read.
    """
    key = store.sha256_text(json.dumps([READER, rules_text(), protocol_text()]))
    cached = _load_cache(cache_file, key)
    inside = _members_of(cached)
    files: list[File] = []
    stats: dict[str, tuple[int, int]] = {}
    queries: list[Query] = []
    for relative, path, problem in _walk(mri_folder):
        shown = "mri/" + relative
        if problem:
            code = "SC105" if "deep" in problem else "SC002" if "link" in problem else "SC001"
            queries.append(make(code, file=_printable(shown), reason=problem, value=problem))
            continue
        try:
            stat = path.stat()
            stamp = (stat.st_size, stat.st_mtime_ns)
            known = cached.get(shown)
            if known is not None and known[0] == stamp:
                found = [known[1], *inside.get(shown, ())]
            else:
                found = _read_archive(shown, path) if archives.is_archive(shown) else [_read(shown, path)]
        except OSError as error:
            queries.append(make("SC001", file=shown, reason=error.strerror or type(error).__name__))
            continue
        files += found
        stats |= dict.fromkeys((file.path for file in found), stamp)
    _save_cache(cache_file, key, files, stats)
    return files, queries


def _read(shown: str, path: Path) -> File:
    name = path.name
    if nifti.is_nifti(name):
        return File(shown, "nifti", store.sha256_file(path), nifti.read_header(path, shown))
    if nrrd.is_nrrd(name):
        return File(shown, "nrrd", store.sha256_file(path), nrrd.read_header(path, shown))
    if shown.endswith("_scans.tsv"):
        return File(shown, "scans_tsv", facts=bids.read_scans_tsv(path))
    if name.endswith(".json"):
        return File(shown, "sidecar", facts=bids.read_sidecar(path))
    if archives.is_other_archive(shown):
        refusal = archives.Refusal("SC104", "", "an archive of a kind that is not read")
        return File(shown, "archive", facts={"refused": [list(refusal)]})
    if dicom.looks_like_dicom(path):
        return File(shown, "dicom", store.sha256_file(path), dicom.read_header(path))
    beside = shown.endswith(BESIDE) or shown.rsplit("/", 1)[-1] in BESIDE_NAMES
    return File(shown, "other", facts={} if beside else {"unknown": True})


def _read_archive(shown: str, path: Path) -> list[File]:
    """Return the archive itself, then its members; only one member is unpacked at a time."""
    members: list[File] = []
    with archives.Archive(path) as archive, tempfile.TemporaryDirectory(prefix="lmresp-") as folder:
        for name in archive.members:
            target = Path(folder) / f"member{archives.ending(name)}"
            try:
                archive.unpack(name, target)
                members.append(_read(f"{shown}/{name}", target))
            except UnreadableSeries as error:
                archive.refused.append(archives.Refusal("SC001", name, str(error)))
            target.unlink(missing_ok=True)
        refused = [list(refusal) for refusal in archive.refused]
    return [File(shown, "archive", facts={"refused": refused}), *members]


def _members_of(cached: Mapping[str, tuple[tuple[int, int], File]]) -> dict[str, list[File]]:
    """Members of every archive in the cache, in order."""
    known = {name for name, (_, file) in cached.items() if file.kind == "archive"}
    out: dict[str, list[File]] = defaultdict(list)
    for name, (_, file) in sorted(cached.items()):
        parts = name.split("/")
        owner = next((o for n in range(2, len(parts)) if (o := "/".join(parts[:n])) in known), None)
        if owner is not None:
            out[owner].append(file)
    return out


def _walk(root: Path) -> Iterator[tuple[str, Path, str]]:
    """Regular files under ``root`` in sorted order: relative path, path, and a problem for those that are refused."""
    if not root.is_dir():
        return
    base, most = root.resolve(), limit("limits", "max_depth")
    stack = [""]
    while stack:
        folder = stack.pop()
        try:
            entries = sorted(os.scandir(base / folder), key=lambda e: e.name)
        except OSError as error:
            yield folder or ".", base / folder, error.strerror or "the folder cannot be read"
            continue
        deeper: list[str] = []
        for entry in entries:
            relative = f"{folder}/{entry.name}" if folder else entry.name
            problem = _refused(entry, relative, base)
            if entry.name.startswith(".") or (entry.name in SKIPPED_FOLDERS and entry.is_dir(follow_symlinks=False)):
                continue
            if problem:
                yield relative, Path(entry.path), problem
            elif entry.is_dir(follow_symlinks=False):
                if relative.count("/") + 1 > most:
                    yield relative, Path(entry.path), f"more than {most} folders deep"
                else:
                    deeper.append(relative)
            elif entry.is_file():
                yield relative, Path(entry.path), ""
        stack.extend(reversed(deeper))


def _refused(entry: os.DirEntry[str], relative: str, base: Path) -> str:
    """Reason why a file or folder is not read; empty when it is."""
    if _printable(relative) != relative:
        return "the file name is not valid text"
    if not entry.is_symlink():
        return ""
    if not Path(entry.path).resolve().is_relative_to(base):
        return "a link that leads out of the folder mri"
    return "a link to a folder" if entry.is_dir() else ""


def _printable(name: str) -> str:
    """Return the name with undecodable bytes escaped."""
    return name.encode("utf-8", "backslashreplace").decode("utf-8")


def _load_cache(path: Path, key: str) -> dict[str, tuple[tuple[int, int], File]]:
    try:
        cache = store.read_json(path)
        if cache["format"] != FORMAT or cache["key"] != key:
            return {}
        out = {}
        for name, (size, mtime, kind, digest, shared, own, facts) in cache["files"].items():
            header = Header.from_json(cache["shared"][shared] | own) if shared else None
            out[name] = ((size, mtime), File(name, kind, digest, header, facts))
    except (OSError, ValueError, KeyError, TypeError):  # a damaged cache is no cache
        return {}
    return out


def _save_cache(path: Path, key: str, files: list[File], stats: Mapping[str, tuple[int, int]]) -> None:
    """Write the cache; what the files of a series have in common is written once."""
    shared: dict[str, dict[str, Any]] = {}
    rows: dict[str, list[Any]] = {}
    for file in files:
        common_key, own = "", {}
        if file.header is not None:
            facts = file.header.as_json()
            own = {name: facts.pop(name) for name in OWN if name in facts}
            common_key = store.sha256_text(json.dumps(facts, sort_keys=True))[:16]
            shared[common_key] = facts
        rows[file.path] = [*stats[file.path], file.kind, file.digest, common_key, own, file.facts]
    store.write_json(path, {"format": FORMAT, "key": key, "shared": shared, "files": rows}, only_if_changed=True)
