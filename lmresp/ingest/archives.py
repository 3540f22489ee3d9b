"""Zip files under ``mri/``: their members are read as if the archive were a folder, and nothing is unpacked for good.

A member is named by the path of its archive and its own (``mri/S-01/visit.zip/IM0001``). Its name is never used as a
file name: each is unpacked, when it is needed, to a temporary file with a name of our own. What an archive claims is
checked against the limits before anything is unpacked (PKWARE, APPNOTE.TXT 6.3, sections 4.3.16 and 4.4).
"""

from __future__ import annotations

import re
import shutil
import stat
import struct
import zipfile
import zlib
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import NamedTuple

from lmresp.ingest.header import limit
from lmresp.ingest.unreadable import UnreadableSeries

OTHERS = (
    ".tar",
    ".tar.gz",
    ".tgz",
    ".tar.bz2",
    ".tbz2",
    ".tar.xz",
    ".txz",
    ".7z",
    ".rar",
    ".gz",
    ".bz2",
    ".xz",
    ".zst",
)
_ENCRYPTED = 0x1
_DAMAGED = (zipfile.BadZipFile, zlib.error, EOFError, OSError, ValueError, NotImplementedError, RuntimeError)


class Refusal(NamedTuple):
    """A query about an archive: its code, the member it is about (empty: the whole archive) and the reason."""

    code: str
    member: str
    reason: str


def is_archive(path: str) -> bool:
    """Tell a zip file by its ending."""
    return path.lower().endswith(".zip")


def is_other_archive(path: str) -> bool:
    """Tell an archive of a kind that is not read (a ``.nii.gz`` is an image)."""
    return path.lower().endswith(OTHERS) and not path.lower().endswith(".nii.gz")


class Archive:
    """One zip file, opened for reading.

    Parameters
    ----------
    path : Path
        The archive.

    Attributes
    ----------
    members : dict of str to zipfile.ZipInfo
        Members that may be read, by name (with ``/``), sorted. Empty when the archive as a whole is refused.
    refused : list of Refusal
        What is not read, and why.
    """

    def __init__(self, path: Path) -> None:
        self.members: dict[str, zipfile.ZipInfo] = {}
        self.refused: list[Refusal] = []
        self._zip: zipfile.ZipFile | None = None
        try:
            problem = _directory_problem(path)
            if not problem:
                self._zip = zipfile.ZipFile(path)
        except _DAMAGED as error:
            self.refused.append(Refusal("SC100", "", f"damaged or cut short ({type(error).__name__})"))
            return
        problem = problem or self._bomb(path.stat().st_size)
        if problem:
            self.refused.append(Refusal("SC101", "", problem))
            return
        for info in self._zip.infolist() if self._zip else ():
            name = info.filename.replace("\\", "/")
            if info.is_dir() or name.startswith("__MACOSX/") or name.rsplit("/", 1)[-1].startswith("."):
                continue
            refusal = _refused(name, info) or (
                Refusal("SC102", name, "it stands twice in the archive") if name in self.members else None
            )
            if refusal:
                self.refused.append(refusal)
            else:
                self.members[name] = info
        self.members = dict(sorted(self.members.items()))

    def __enter__(self) -> Archive:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._zip is not None:
            self._zip.close()

    def _bomb(self, packed: int) -> str:
        """Reason why the archive would unpack to too much; empty when it would not."""
        sizes = [info.file_size for info in self._zip.infolist()] if self._zip else []
        total, ratio = sum(sizes), limit("archives", "max_ratio")
        if max(sizes, default=0) > limit("archives", "max_member_bytes"):
            return f"a member claims {max(sizes)} bytes, more than the limit of {limit('archives', 'max_member_bytes')}"
        if total > limit("archives", "max_total_bytes"):
            return f"it claims {total} bytes, more than the limit of {limit('archives', 'max_total_bytes')}"
        if total > limit("archives", "free_bytes") and total > ratio * packed:
            return f"it would unpack to {total / packed:.0f} times its size, more than the limit of {ratio} times"
        return ""

    def unpack(self, name: str, target: Path) -> None:
        """Write one member to a file.

        Raises
        ------
        UnreadableSeries
            If the member is not there, is damaged or does not keep to the size that the archive claims for it.
        """
        if self._zip is None or name not in self.members:
            raise UnreadableSeries("it is no longer in the archive, or no longer readable")
        try:
            with self._zip.open(self.members[name]) as source, open(target, "wb") as out:
                shutil.copyfileobj(source, out, 1 << 20)  # never gives more than the size that was checked
        except _DAMAGED as error:
            raise UnreadableSeries(f"damaged or cut short in its archive ({type(error).__name__})") from None


def on_disk(study_folder: Path, names: Sequence[str], folder: Path) -> list[Path]:
    """Files of a scan record as files that can be opened.

    Parameters
    ----------
    study_folder : Path
        The study.
    names : sequence of str
        ``files`` of a series, relative to the study; members of archives are named below their archive.
    folder : Path
        An empty temporary folder; members of archives are unpacked to it.

    Returns
    -------
    list of Path
        One for every name, in the same order.

    Raises
    ------
    UnreadableSeries
        If a file or a member is gone or damaged; its text is the reason.
    """
    paths: list[Path] = []
    opened: dict[str, Archive] = {}
    try:
        for number, name in enumerate(names):
            inside = re.match(r"(.*?\.zip)/(.+)", name, re.IGNORECASE)
            if inside is None or not (study_folder / inside[1]).is_file():
                paths.append(study_folder / name)
                if not paths[-1].is_file():
                    raise UnreadableSeries(f"the file {paths[-1].name} is gone")
                continue
            archive = opened.get(inside[1]) or opened.setdefault(inside[1], Archive(study_folder / inside[1]))
            paths.append(folder / f"{number:06d}{ending(name)}")
            archive.unpack(inside[2], paths[-1])
    finally:
        for archive in opened.values():
            archive.__exit__(None, None, None)
    return paths


def ending(name: str) -> str:
    """Ending that tells the format of a volume; empty for DICOM, which is told by content."""
    return next((e for e in (".nii.gz", ".nii", ".nrrd", ".nhdr", ".json", ".tsv") if name.lower().endswith(e)), "")


def _directory_problem(path: Path) -> str:
    """Reason why the list of members is too long to be read into memory; empty when it is not."""
    with open(path, "rb") as handle:
        size = handle.seek(0, 2)
        handle.seek(max(0, size - 65557))
        tail = handle.read()
    place = tail.rfind(b"PK\x05\x06")
    if place < 0 or len(tail) < place + 22:
        raise zipfile.BadZipFile("no end of the central directory")
    claimed = struct.unpack_from("<I", tail, place + 12)[0]
    most = limit("archives", "max_directory_bytes")
    return f"its list of members takes {claimed} bytes, more than the limit of {most}" if claimed > most else ""


def _refused(name: str, info: zipfile.ZipInfo) -> Refusal | None:
    parts = name.split("/")
    if name.startswith("/") or ".." in parts or "" in parts or re.match(r"[A-Za-z]:", name):
        return Refusal("SC102", _shown(name), "its name leads out of the archive")
    if not name.isprintable():
        return Refusal("SC102", _shown(name), "its name is not valid text")
    if stat.S_ISLNK(info.external_attr >> 16):
        return Refusal("SC102", name, "it is a link")
    if len(parts) > limit("limits", "max_depth"):
        return Refusal("SC105", _shown(name), f"more than {limit('limits', 'max_depth')} folders deep")
    if info.flag_bits & _ENCRYPTED:
        return Refusal("SC103", name, "it is encrypted")
    if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        return Refusal("SC103", name, f"compression method {info.compress_type} is not read")
    if is_archive(name) or is_other_archive(name):
        return Refusal("SC104", name, "an archive within an archive")
    return None


def _shown(name: str) -> str:
    """Return the name as it can stand in a table: short, and with what is not printable escaped."""
    return "".join(c if c.isprintable() else f"\\x{ord(c):02x}" for c in name)[:100]
