"""Accounts of readers: who may sign in, in which role, with which secret (edge).

A secret is made by lmresp, shown once, and kept only as a salted scrypt hash. An account is never deleted and its name
never given to another person, because the record of reads names it; it can be disabled, which keeps the time.
"""

from __future__ import annotations

import base64
import contextlib
import dataclasses
import fcntl
import hashlib
import hmac
import json
import os
import re
import secrets
import stat
import uuid
from collections.abc import Iterator
from enum import StrEnum
from pathlib import Path
from typing import Any

from lmresp.errors import StudyError

FORMAT = "lmresp-readers/1"
NAME = re.compile(r"[A-Za-z0-9_-]{1,20}")
NAME_ALLOWED = "1 to 20 letters, digits, _ and -, other than import"
SECRET_BYTES = 16  # 128 random bits cannot be guessed, with or without a limit on attempts
# 32 MB and about 0.1 s for each attempt; the secret is random, so the hash protects a stolen file, not a weak word.
SCRYPT = {"n": 2**15, "r": 8, "p": 1}
_SCRYPT_MEMORY = 64 * 2**20
HASH_BYTES = 32
RESERVED = ("import",)  # the account under which the record keeps reads that were taken from a file


class Role(StrEnum):
    """What an account is for."""

    READER_1 = "reader 1"  # first independent reader
    READER_2 = "reader 2"  # second independent reader
    ADJUDICATOR = "adjudicator"  # decides between two reads that differ
    COORDINATOR = "coordinator"  # sees progress, never what was read


@dataclasses.dataclass(frozen=True, slots=True)
class Account:
    """One person's account.

    Attributes
    ----------
    name : str
        Pseudonym, as it stands in the record of reads.
    role : Role
        What the account is for; it never changes.
    added, disabled : str
        When, UTC; ``disabled`` is empty while the account can be used.
    scrypt : mapping
        Parameters, salt and hash of the secret.
    """

    name: str
    role: Role
    added: str
    disabled: str
    scrypt: dict[str, Any]

    @property
    def active(self) -> bool:
        """Whether this account may sign in."""
        return not self.disabled


def readers_file(study: Path) -> Path:
    """Path of the accounts of a study folder."""
    return study / "reads" / "readers.json"


def load(study: Path) -> dict[str, Account]:
    """Read the accounts of a study by name, in the order of their making; empty where there are none.

    Raises
    ------
    StudyError
        If the file is not what :func:`add` writes.
    """
    path = readers_file(study)
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise StudyError(f"cannot be read ({type(error).__name__})", where="reads/readers.json") from None
    try:
        if content["format"] != FORMAT:
            raise ValueError(content["format"])
        accounts = {one["name"]: _account(one) for one in content["readers"]}
        if len({name.lower() for name in accounts}) != len(content["readers"]):
            raise ValueError("a name is given twice")
    except (KeyError, TypeError, ValueError, AttributeError):
        # What stands there is not repeated: the room says this to visitors too.
        raise StudyError(
            "is not a list of readers", where="reads/readers.json", allowed=f"the format {FORMAT}, as lmresp writes it"
        ) from None
    return accounts


def _account(one: dict[str, Any]) -> Account:
    kept = one["scrypt"]
    texts = [one["name"], one["added"], one["disabled"], kept["salt"], kept["hash"]]
    if not all(isinstance(text, str) for text in texts) or not NAME.fullmatch(one["name"]):
        raise ValueError(one["name"])
    cheap = all(type(kept[name]) is int and 0 < kept[name] <= SCRYPT[name] for name in SCRYPT)
    power = cheap and kept["n"] > 1 and not kept["n"] & (kept["n"] - 1)
    if not power or not bytes.fromhex(kept["salt"]) or len(bytes.fromhex(kept["hash"])) != HASH_BYTES:
        raise ValueError("scrypt")  # found out here, not by whoever signs in
    return Account(one["name"], Role(one["role"]), one["added"], one["disabled"], dict(kept))


def exposed(study: Path) -> bool:
    """Whether other users of this machine may read or change the accounts."""
    path = readers_file(study)
    return path.is_file() and bool(stat.S_IMODE(path.stat().st_mode) & 0o077)


def add(study: Path, name: str, role: Role, *, utc: str) -> str:
    """Add an account and return its secret, which is kept nowhere.

    Parameters
    ----------
    study : Path
        The study folder.
    name : str
        Pseudonym of one person: letters, digits, ``_`` and ``-``, at most 20.
    role : Role
        What the account is for. Several persons may hold one role one after the other (a reader hands over); every
        read names the account.
    utc : str
        The time now.

    Returns
    -------
    str
        The secret: 26 letters and digits in groups.

    Raises
    ------
    StudyError
        If the name is not allowed or was given before.
    """
    if not NAME.fullmatch(name) or name.lower() in RESERVED:
        raise StudyError(f"{name[:50]!r} cannot be the name of a reader", allowed=NAME_ALLOWED)
    secret = new_secret()
    account = Account(name, role, utc, "", hashed(secret))
    with _alone(study):
        accounts = load(study)
        if name.lower() in {taken.lower() for taken in accounts}:
            raise StudyError(f"the name {name!r} was given before", allowed="a name of its own for every account")
        _write(study, [*accounts.values(), account])
    return secret


def disable(study: Path, name: str, *, utc: str) -> Account:
    """Disable an account for good; it stays in the file, with the time.

    Raises
    ------
    StudyError
        If there is no such account or it is disabled already.
    """
    with _alone(study):
        accounts = load(study)
        if name not in accounts:
            raise StudyError(f"there is no reader {name[:50]!r}", allowed=", ".join(accounts) or "none was added yet")
        if not accounts[name].active:
            raise StudyError(f"the reader {name!r} is disabled since {accounts[name].disabled}")
        accounts[name] = dataclasses.replace(accounts[name], disabled=utc)
        _write(study, list(accounts.values()))
    return accounts[name]


def new_secret() -> str:
    """Make a random secret in groups that are easy to copy (letters a to z, digits 2 to 7)."""
    text = base64.b32encode(secrets.token_bytes(SECRET_BYTES)).decode("ascii").rstrip("=").lower()
    return "-".join(text[start : start + 5] for start in range(0, len(text), 5))


def hashed(secret: str) -> dict[str, Any]:
    """Hash a secret with a new salt."""
    salt = secrets.token_bytes(16)
    return {**SCRYPT, "salt": salt.hex(), "hash": _scrypt(secret, salt, **SCRYPT).hex()}


def is_secret(given: str, kept: dict[str, Any] | None) -> bool:
    """Whether a secret is the one whose hash is kept; takes equally long where there is no account (``None``)."""
    against: dict[str, Any] = kept if kept is not None else {**SCRYPT, "salt": "00" * 16, "hash": "00" * 32}
    found = _scrypt(given, bytes.fromhex(against["salt"]), n=against["n"], r=against["r"], p=against["p"])
    return hmac.compare_digest(found, bytes.fromhex(against["hash"])) and kept is not None


def _scrypt(secret: str, salt: bytes, *, n: int, r: int, p: int) -> bytes:
    plain = "".join(secret.lower().split()).replace("-", "").encode("utf-8")  # as read from paper
    return hashlib.scrypt(plain, salt=salt, n=n, r=r, p=p, maxmem=_SCRYPT_MEMORY, dklen=HASH_BYTES)


@contextlib.contextmanager
def _alone(study: Path) -> Iterator[None]:
    """Keep two commands from changing the accounts at once."""
    folder = readers_file(study).parent
    folder.mkdir(parents=True, exist_ok=True)
    with open(folder / ".readers.lock", "ab") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def _write(study: Path, accounts: list[Account]) -> None:
    """Write the file so that it is never half written, and never readable by others, not even for a moment."""
    path = readers_file(study)
    content = {"format": FORMAT, "readers": [dataclasses.asdict(account) for account in accounts]}
    temp = path.with_name(f".readers.{uuid.uuid4().hex}.part")
    try:
        with open(os.open(temp, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as handle:
            json.dump(content, handle, indent=1, sort_keys=True)
            handle.write("\n")
            handle.flush()
            os.fsync(handle.fileno())
        temp.replace(path)
    finally:
        temp.unlink(missing_ok=True)
