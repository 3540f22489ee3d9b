"""``pacs.yaml``: which PACS, which series, and whether anything may be sent. Identity and passwords lie elsewhere."""

from __future__ import annotations

import dataclasses
import ipaddress
import json
import os
import stat
from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from jsonschema import Draft202012Validator

from lmresp.errors import StudyError
from lmresp.plain_yaml import read_plain_yaml

SETTINGS_FILE = "pacs.yaml"
PASSWORD_VARIABLE = "LMRESP_PACS_PASSWORD"  # noqa: S105  # a name, no password
MAX_PASSWORD_BYTES = 1024


@dataclasses.dataclass(frozen=True, slots=True)
class Web:
    """A DICOMweb service; the password never shows in a representation of this object."""

    url: str
    user: str = ""
    password: str = dataclasses.field(default="", repr=False)
    ca_file: Path | None = None


@dataclasses.dataclass(frozen=True, slots=True)
class Dimse:
    """A PACS that is spoken to by DIMSE (C-ECHO, C-FIND, C-GET, C-STORE)."""

    host: str
    port: int
    called_aet: str
    calling_aet: str
    tls: bool = False
    ca_file: Path | None = None


@dataclasses.dataclass(frozen=True, slots=True)
class Tries:
    """How often a failed transport is tried, with which pause (doubled each time) and time limit, in seconds."""

    attempts: int = 4
    pause_s: float = 2.0
    timeout_s: float = 60.0


@dataclasses.dataclass(frozen=True, slots=True)
class Settings:
    """What ``pacs.yaml`` says.

    Attributes
    ----------
    place : Web or Dimse
        The PACS.
    only, never : tuple of str
        Patterns (``*``, ``?``) for the description of a series, any case: fetch only those, never those.
    tries : Tries
        Patience.
    send : bool
        Whether results may be sent at all.
    """

    place: Web | Dimse
    only: tuple[str, ...] = ()
    never: tuple[str, ...] = ()
    tries: Tries = Tries()
    send: bool = False


def load_settings(study: Path, environment: Mapping[str, str]) -> Settings:
    """Read ``pacs.yaml`` of a study and find the password.

    Parameters
    ----------
    study : Path
        The study folder. Relative paths in ``pacs.yaml`` start here.
    environment : mapping
        Environment variables; ``LMRESP_PACS_PASSWORD`` goes before a password file.

    Returns
    -------
    Settings
        Checked settings.

    Raises
    ------
    StudyError
        If the file is missing or says something that is not allowed. The message names the key, never its value: it
        might be a password at a wrong place.
    """
    path = study / SETTINGS_FILE
    if not path.exists():
        raise StudyError(f"there is no {SETTINGS_FILE}", where=study.name, allowed="see docs/pacs.md")
    value = read_plain_yaml(path)
    if not isinstance(value, dict):
        raise StudyError(
            "not a list of keys and values", where=SETTINGS_FILE, allowed=", ".join(_schema()["properties"])
        )
    _check(value)
    if ("dicomweb" in value) == ("dimse" in value):
        raise StudyError("it must name one PACS", where=SETTINGS_FILE, allowed="one of dicomweb and dimse")
    series = value.get("series", {})
    default = Tries()
    return Settings(
        place=_web(study, value["dicomweb"], environment) if "dicomweb" in value else _dimse(study, value["dimse"]),
        only=tuple(series.get("only", ())),
        never=tuple(series.get("never", ())),
        tries=Tries(
            attempts=value.get("attempts", default.attempts),
            pause_s=float(value.get("pause_seconds", default.pause_s)),
            timeout_s=float(value.get("timeout_seconds", default.timeout_s)),
        ),
        send=value.get("send", False),
    )


def _schema() -> dict[str, Any]:
    text = files("lmresp.pacs").joinpath("pacs.schema.json").read_text(encoding="utf-8")
    loaded: dict[str, Any] = json.loads(text)
    return loaded


def _check(value: dict[Any, Any]) -> None:
    """Hold the file against its schema; the first problem becomes one line without the value."""
    for error in sorted(Draft202012Validator(_schema()).iter_errors(value), key=lambda e: list(map(str, e.path))):
        key = ".".join(str(part) for part in error.path if isinstance(part, str))
        if error.validator == "additionalProperties":
            known = error.schema["properties"]
            unknown = sorted(str(name) for name in error.instance if name not in known)[0][:40]
            if "password" in unknown and unknown != "password_file":
                raise StudyError(
                    "a password never stands in this file",
                    where=SETTINGS_FILE,
                    allowed=f"the environment variable {PASSWORD_VARIABLE}, or password_file with mode 0600",
                )
            place = f"{SETTINGS_FILE}: {key}" if key else SETTINGS_FILE
            raise StudyError(f"unknown key {unknown!r}", where=place, allowed=", ".join(known))
        if error.validator == "required":
            missing = next(name for name in error.validator_value if name not in error.instance)
            raise StudyError(f"the key {key}.{missing} is missing", where=SETTINGS_FILE, allowed=_words(error))
        raise StudyError(f"{key} cannot be used", where=SETTINGS_FILE, allowed=_words(error))


def _words(error: Any) -> str:
    """What is allowed at the place of an error."""
    return str(error.schema.get("description", "keys and values"))


def _web(study: Path, value: Mapping[str, Any], environment: Mapping[str, str]) -> Web:
    url = str(value["url"]).rstrip("/")
    if (
        url.startswith("http://")
        and not value.get("plain_http", False)
        and not _is_loopback(urlsplit(url).hostname or "")
    ):
        raise StudyError(
            "dicomweb.url is not encrypted: anyone on the way could read images and password",
            where=SETTINGS_FILE,
            allowed="https://, or plain_http: true where the network itself is trusted",
        )
    user = value.get("user", "")
    password = environment.get(PASSWORD_VARIABLE, "")
    if user and not password and "password_file" in value:
        password = _password_of(study / value["password_file"])
    if user and not password:
        raise StudyError(
            "there is a user but no password",
            where=SETTINGS_FILE,
            allowed=f"the environment variable {PASSWORD_VARIABLE}, or password_file with mode 0600",
        )
    return Web(url, user, password if user else "", _certificates(study, value))


def _dimse(study: Path, value: Mapping[str, Any]) -> Dimse:
    tls = value.get("tls", False)
    if "ca_file" in value and not tls:
        raise StudyError("dimse.ca_file is given without tls", where=SETTINGS_FILE, allowed="tls: true")
    certificates = _certificates(study, value)
    return Dimse(value["host"], value["port"], value["called_aet"], value["calling_aet"], tls, certificates)


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _certificates(study: Path, value: Mapping[str, Any]) -> Path | None:
    if "ca_file" not in value:
        return None
    path = study / str(value["ca_file"])
    if not path.is_file():
        raise StudyError("ca_file does not exist", where=SETTINGS_FILE, allowed="a file with certificates (PEM)")
    return path


def _password_of(path: Path) -> str:
    text = read_private(path).strip("\r\n")
    if not text or len(text) > MAX_PASSWORD_BYTES or "\n" in text:
        raise StudyError("password_file does not hold a password", where=SETTINGS_FILE, allowed="one line of text")
    return text


def read_private(path: Path) -> str:
    """Read a small text file that only its owner may open.

    Raises
    ------
    StudyError
        If it is missing, no plain file, open to others (mode other than 0600 or 0400), or no UTF-8.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)  # a pipe would wait for ever
    except OSError as error:
        raise StudyError(
            f"it cannot be opened ({error.strerror})", where=path.name, allowed="a file with mode 0600"
        ) from None
    with open(descriptor, "rb") as handle:
        mode = os.fstat(handle.fileno()).st_mode  # of what was opened, not of what stands there now
        if not stat.S_ISREG(mode):
            raise StudyError("it is not a file", where=path.name, allowed="a file with mode 0600")
        if stat.S_IMODE(mode) & 0o077:
            raise StudyError(
                f"others may open it (mode {stat.S_IMODE(mode):04o})", where=path.name, allowed=f"chmod 600 {path.name}"
            )
        content = handle.read()
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise StudyError("the file is not UTF-8 text", where=path.name, allowed="UTF-8") from None
