"""What fetching and sending need of a PACS, whichever protocol it speaks."""

from __future__ import annotations

import dataclasses
import hashlib
import re
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol, TypeVar

from lmresp.errors import EXIT_FAILED, LmrespError
from lmresp.pacs.settings import Tries

MAX_SERIES_BYTES = 16 * 2**30  # no MR series comes near; an answer that does is not believed
MAX_PAUSE_S = 300.0
_UID = re.compile(r"(?=.{1,64}\Z)[0-9]+(?:\.[0-9]+)*")

T = TypeVar("T")


class PacsError(LmrespError):
    """The PACS cannot be used: wrong password, unknown AE title, no PACS at the address. The command ends."""

    exit_code = EXIT_FAILED


class RefusedError(PacsError):
    """One request was answered with a refusal or with nonsense; another try would change nothing."""


class TransportError(PacsError):
    """The connection failed or broke, or the PACS is busy; another try may do.

    Parameters
    ----------
    what : str
        What happened.
    after_s : float
        Seconds that the PACS asks to wait; 0 when it did not say.
    """

    def __init__(self, what: str, *, after_s: float = 0.0) -> None:
        super().__init__(what)
        self.after_s = after_s


@dataclasses.dataclass(frozen=True, slots=True)
class Study:
    """A DICOM study as the PACS describes it; ``date`` is an ISO date or empty."""

    uid: str
    patient_id: str = dataclasses.field(repr=False)
    date: str = ""


@dataclasses.dataclass(frozen=True, slots=True)
class Series:
    """A series as the PACS describes it; ``images`` is None where it does not say how many there are."""

    uid: str
    modality: str = ""
    number: str = ""
    description: str = dataclasses.field(default="", repr=False)
    images: int | None = None


@dataclasses.dataclass(frozen=True, slots=True)
class Item:
    """One object to send: the file's bytes and what its header says."""

    content: bytes = dataclasses.field(repr=False)
    sop_class: str
    sop_instance: str
    study: str
    transfer_syntax: str


@dataclasses.dataclass(frozen=True, slots=True)
class Answer:
    """What the PACS said of one object: ``stored``, ``warning``, ``refused`` or ``unconfirmed``, and its code."""

    outcome: str
    code: str


class Link(Protocol):
    """A way to a PACS. It has no method that deletes or replaces."""

    @property
    def name(self) -> str:
        """Protocol and address, as receipts give it; without user and password."""

    def echo(self) -> None:
        """Ask for a sign of life, once."""

    def studies(self, *, patient_id: str = "", uid: str = "") -> Sequence[Study]:
        """Find the studies of a patient, or the one with a UID."""

    def series(self, study: str) -> Sequence[Series]:
        """Find the series of a study."""

    def count(self, study: str, series: str) -> int:
        """Count the images of a series."""

    def fetch(self, study: str, series: str, folder: Path) -> None:
        """Save every image of a series, as it comes, as a file ``*.dcm`` of an empty folder."""

    def store(self, item: Item) -> Answer:
        """Send one object and say what became of it."""


def again(call: Callable[[], T], tries: Tries, sleep: Callable[[float], None] = time.sleep) -> T:
    """Call until it does not fail on the way; refusals are not repeated.

    Parameters
    ----------
    call : callable
        What to do; it must be able to start over.
    tries : Tries
        How often, and with which first pause; every pause is twice as long as the one before, at least as long as the
        PACS asks for, and at most five minutes.

    Raises
    ------
    TransportError
        The last one.
    """
    for attempt in range(1, tries.attempts + 1):
        try:
            return call()
        except TransportError as error:
            if attempt == tries.attempts:
                raise
            sleep(min(max(tries.pause_s * 2 ** (attempt - 1), error.after_s), MAX_PAUSE_S))
    raise AssertionError("there is at least one attempt")


def is_uid(text: str) -> bool:
    """Whether a text is a DICOM UID: digits and dots, at most 64 (leading zeros, though wrong, are met)."""
    return bool(_UID.fullmatch(text))


def label(uid: str) -> str:
    """Name for a UID that may stand in a path: half of its SHA-256.

    Notes
    -----
    The hash is not keyed: whoever knows the UID can find the label, but nobody reads the UID from it.
    """
    return hashlib.sha256(uid.encode()).hexdigest()[:32]


def iso_date(text: str) -> str:
    """ISO date of a DICOM date; empty when it is not one."""
    match = re.fullmatch(r"([0-9]{4})([0-9]{2})([0-9]{2})", text.strip())
    return "-".join(match.groups()) if match else ""
