"""Unique identifiers that follow from what they name: the same content has the same one, new content a new one."""

from __future__ import annotations

import hashlib

from pydicom.uid import UID


def derived(*parts: object) -> UID:
    """Return an identifier from a hash of its parts.

    Parameters
    ----------
    *parts : object
        What the identifier stands for; texts, numbers, other identifiers.

    Returns
    -------
    UID
        ``2.25.`` and the first 128 bits of the SHA-256 as a whole number (DICOM PS3.5 B.2, UUID derived), marked as a
        UUID of version 8 (RFC 9562 section 5.8: bits of one's own choice).
    """
    text = "\x1f".join(f"{len(str(part))}:{part}" for part in ("lmresp", *parts))
    bits = int.from_bytes(hashlib.sha256(text.encode()).digest()[:16], "big")
    bits = bits & ~(0xF << 76) | 8 << 76
    bits = bits & ~(0x3 << 62) | 2 << 62
    return UID(f"2.25.{bits}")


def tracking(study_id: str, subject_id: str, track: object) -> UID:
    """Return the identifier of a lesion of a subject, the same at all visits.

    Parameters
    ----------
    study_id, subject_id : str
        The study and the subject, as the study names them.
    track : object
        Number of the lesion within the subject (``track`` of a finding), or any text that names what is followed.
    """
    return derived("track", study_id, subject_id, track)
