"""DICOM dates and times (DICOM PS3.5 section 6.2), moved by whole days or emptied where they are not complete."""

from __future__ import annotations

import datetime
import re

from lmresp.ingest.header import valid_date

_TIME = re.compile(r"([01]\d|2[0-3])([0-5]\d([0-5]\d(\.\d{1,6})?)?)?")
_ZONE = re.compile(r"[+-](0\d|1[0-4])[0-5]\d")


def shifted(value: str, days: int) -> str:
    """Move a date or date-time into the past.

    Parameters
    ----------
    value : str
        DICOM DA (``YYYYMMDD``) or DT (``YYYYMMDDHHMMSS.FFFFFF&ZZXX``).
    days : int
        Whole days.

    Returns
    -------
    str
        The moved date with the time and the time zone as they were; empty when the date is partial, not in the
        calendar or stands for "not known", or when what follows it is not a time.
    """
    text = value.strip(" \0")
    day = valid_date(text[:8]) if re.fullmatch(r"\d{8}", text[:8]) else ""
    sign = re.search(r"[+-]", text[8:])
    rest, zone = (text[8:][: sign.start()], text[8:][sign.start() :]) if sign else (text[8:], "")
    if not day or (rest and not _TIME.fullmatch(rest)) or (zone and not _ZONE.fullmatch(zone)):
        return ""
    moved = datetime.date.fromisoformat(day) - datetime.timedelta(days=days)
    return moved.strftime("%Y%m%d") + rest + zone


def plain_time(value: str) -> str:
    """Return a DICOM time (TM) as it is, or nothing when it is not one."""
    text = value.strip(" \0")
    return text if _TIME.fullmatch(text) else ""
