"""The facts that lmresp keeps of one image file, and the word and number rules they are read with."""

from __future__ import annotations

import dataclasses
import re
from functools import cache
from importlib.resources import files
from typing import Any

import yaml

from lmresp.store import sha256_text


@dataclasses.dataclass(frozen=True, slots=True)
class Header:
    """Facts of one DICOM or NIfTI file; no name, identifier, free text or clear UID.

    Lengths are mm, times ms. ``locations`` holds one distance along the slice normal per frame,
    ``shifts`` two along rows and columns; ``injection`` is the time of day (HHMMSS) of the contrast agent;
    ``announced`` is how many images the header says the series has (0: not said). ``words`` holds labels
    of ``series_rules.yaml``, never text. ``identifier`` is :func:`identifier_hash` of the PatientID, or empty.
    """

    source: str
    kind: str
    problem: str = ""
    series: str = ""
    study: str = ""
    sop: str = ""
    identifier: str = ""
    date: str = ""
    time: str = ""
    words: tuple[str, ...] = ()
    suffix: str = ""
    image_type: tuple[str, ...] = ()
    scanning: tuple[str, ...] = ()
    variant: tuple[str, ...] = ()
    echo_time_ms: float | None = None
    repetition_time_ms: float | None = None
    inversion_time_ms: float | None = None
    flip_angle_deg: float | None = None
    field_strength_t: float | None = None
    acquisition: str = ""
    agent: str = "unknown"
    substance: str = ""
    dose_mmol_kg: float | None = None
    injection: str = ""
    body_part: str = ""
    orientation: tuple[float, ...] = ()
    spacing: tuple[float, ...] = ()
    slice_thickness_mm: float | None = None
    diffusion: bool = False
    echo_number: int = 0
    instance: int = 0
    rows: int = 0
    columns: int = 0
    frames: int = 1
    announced: int = 0
    step_mm: float | None = None
    volumes: int = 1
    locations: tuple[float, ...] = ()
    shifts: tuple[float, ...] = ()

    def as_json(self) -> dict[str, Any]:
        """Return the fields that differ from their defaults, ready for JSON."""
        out: dict[str, Any] = {}
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            if field.default is dataclasses.MISSING or value != field.default:
                out[field.name] = list(value) if isinstance(value, tuple) else value
        return out

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> Header:
        """Rebuild a header from :meth:`as_json`."""
        fields: dict[str, Any] = {name: tuple(v) if isinstance(v, list) else v for name, v in value.items()}
        return cls(**fields)


@cache
def rules_text() -> str:
    """Text of ``series_rules.yaml``."""
    return files("lmresp.ingest").joinpath("series_rules.yaml").read_text(encoding="utf-8")


@cache
def rules() -> dict[str, Any]:
    """Load ``series_rules.yaml``."""
    loaded: dict[str, Any] = yaml.safe_load(rules_text())
    return loaded


def limit(group: str, name: str) -> Any:
    """Return the value of one limit of ``series_rules.yaml``."""
    return rules()[group][name]["value"]


@cache
def _patterns() -> dict[str, re.Pattern[str]]:
    return {label: re.compile(entry["pattern"]) for label, entry in rules()["words"].items()}


def labels(text: str) -> tuple[str, ...]:
    """Labels of the words found in a free text, sorted.

    Parameters
    ----------
    text : str
        A series description, protocol or sequence name, or a BIDS label.

    Returns
    -------
    tuple of str
        Keys of ``words`` in ``series_rules.yaml``. The words of "before or without contrast" are taken out before
        those of "after contrast" are looked for.
    """
    clean = re.sub(r"[^a-z0-9+/*]+", " ", text.lower()).strip()
    found = {label for label, pattern in _patterns().items() if label != "post" and pattern.search(clean)}
    if _patterns()["post"].search(_patterns()["pre"].sub(" ", clean)):
        found.add("post")
    return tuple(sorted(found))


def short_hash(text: str) -> str:
    """First 16 hexadecimal digits of the SHA-256 of a text; empty for an empty text."""
    return sha256_text(text)[:16] if text else ""


def identifier_hash(identifier: str) -> str:
    """Hash of a PatientID or ``subject_id``, the same for any case; empty for an empty one.

    Notes
    -----
    The hash is not keyed: it lets the cache tell a subject that was added later, but someone who holds the list of
    the numbers can find the match.
    """
    return short_hash(identifier.casefold())


def valid_date(text: str) -> str:
    """ISO date of an 8-digit DICOM date; empty when it is not one or stands for "not known" (00000000, 19000101)."""
    match = re.fullmatch(r"(\d{4})-?(\d{2})-?(\d{2})", text.strip())
    if not match:
        return ""
    year, month, day = (int(part) for part in match.groups())
    days = (
        31,
        29 if year % 4 == 0 and (year % 100 != 0 or year % 400 == 0) else 28,
        31,
        30,
        31,
        30,
        31,
        31,
        30,
        31,
        30,
        31,
    )
    if year < limit("limits", "earliest_year") or not 1 <= month <= 12 or not 1 <= day <= days[month - 1]:
        return ""
    return f"{year:04d}-{month:02d}-{day:02d}"


def minutes_between(start: str, end: str) -> float | None:
    """Minutes from one time of day (HHMMSS) to another, over midnight when that is the shorter way; None if unknown."""
    if not start or not end:
        return None
    first, last = (int(t[:2]) * 60 + int(t[2:4]) + int(t[4:6]) / 60 for t in (start, end))
    return round((last - first + 720) % 1440 - 720, 1)
