"""The secret of a study's exports: identifiers and shifts of dates follow from it, and nothing else does.

Whoever has the key can link an export to its subjects; without it the mapping cannot be computed. It lies outside of
every export, in a file that only its owner may read.
"""

from __future__ import annotations

import base64
import dataclasses
import hashlib
import hmac
import os
import secrets
import uuid
from pathlib import Path

from lmresp.errors import StudyError

KEY_BYTES = 32
LEAST_DAYS, MOST_DAYS = 366, 3650


@dataclasses.dataclass(frozen=True)
class Key:
    """Secret key of the exports of one study.

    Parameters
    ----------
    secret : bytes
        32 random bytes.
    """

    secret: bytes = dataclasses.field(repr=False)

    def digest(self, purpose: str, text: str) -> bytes:
        """HMAC-SHA-256 of a text for one purpose (RFC 2104), 32 bytes."""
        return hmac.new(self.secret, f"{purpose}\0{text}".encode("utf-8", "surrogatepass"), hashlib.sha256).digest()

    def uid(self, original: str) -> str:
        """Replace a unique identifier: the same for the same original, so that what belonged together still does.

        Notes
        -----
        A UUID under the root 2.25 (ISO/IEC 9834-8, DICOM PS3.5 B.2), made from the digest as a name-based one is.
        """
        made = uuid.UUID(bytes=self.digest("uid", original.strip(" \0"))[:16], version=5)
        return f"2.25.{made.int}"

    def days(self, subject: str) -> int:
        """Whole days (366 to 3650) by which every date of a subject is moved into the past."""
        return LEAST_DAYS + int.from_bytes(self.digest("days", subject)[:8]) % (MOST_DAYS - LEAST_DAYS + 1)

    def code(self, subject: str) -> str:
        """Code of a subject in the export, 10 letters and digits of base 32."""
        return base64.b32encode(self.digest("subject", subject))[:10].decode("ascii")

    def trace(self, path: str) -> str:
        """Short code that stands for a source file, whose name may hold a name."""
        return self.digest("file", path).hex()[:16]


def load_or_create(path: Path) -> Key:
    """Read the key of a study, or make it on first use.

    Parameters
    ----------
    path : Path
        The key file; made with mode 0600 when it does not exist.

    Raises
    ------
    StudyError
        If the file holds no key, or others than its owner may read it.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return _read(path)
    with os.fdopen(handle, "w", encoding="ascii") as out:
        out.write(secrets.token_hex(KEY_BYTES) + "\n")
        out.flush()
        os.fsync(out.fileno())
    return _read(path)


def _read(path: Path) -> Key:
    allowed = "a key file that lmresp export has made, readable by its owner only (mode 0600)"
    if path.stat().st_mode & 0o077:
        raise StudyError("others may read the key of the exports", where=path.name, allowed=allowed)
    try:
        secret = bytes.fromhex(path.read_text(encoding="ascii"))
    except ValueError:
        secret = b""
    if len(secret) != KEY_BYTES:
        raise StudyError("the file holds no key of exports", where=path.name, allowed=allowed)
    return Key(secret)
