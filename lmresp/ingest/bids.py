"""BIDS names, sidecars and ``*_scans.tsv``: from files to the few facts that lmresp keeps of them.

References: Brain Imaging Data Structure, MRI section (entities ``sub``, ``ses``, ``acq``, ``ce``, suffixes), the
inheritance principle and ``*_scans.tsv``. Of a sidecar only the fields named here are read; its names, dates of birth
and identifiers never are.
"""

from __future__ import annotations

import csv
import io
import json
import math
import re
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import Any

from lmresp.ingest.header import Header, labels, rules, valid_date

VOLUME_SUFFIXES = (".nii", ".nii.gz", ".nrrd")  # BIDS itself knows the first two
SIDECAR_NUMBERS = {  # BIDS field: our field, factor (BIDS gives times in seconds)
    "EchoTime": ("echo_time_ms", 1000.0),
    "RepetitionTime": ("repetition_time_ms", 1000.0),
    "InversionTime": ("inversion_time_ms", 1000.0),
    "FlipAngle": ("flip_angle_deg", 1.0),
    "MagneticFieldStrength": ("field_strength_t", 1.0),
    "SliceThickness": ("slice_thickness_mm", 1.0),
}
SIDECAR_TEXTS = ("SeriesDescription", "ProtocolName", "SequenceName", "PulseSequenceName")
MAX_SIDECAR_BYTES = 4_000_000  # a sidecar of more than 4 MB is no sidecar


def stem(name: str) -> str:
    """File name without the ending of a volume or a sidecar."""
    return re.sub(r"\.(nii|nii\.gz|nrrd|json)$", "", name, flags=re.IGNORECASE)


def entities(path: str) -> dict[str, str]:
    """BIDS entities of a path, with ``suffix``; empty when the name is not a BIDS name.

    Parameters
    ----------
    path : str
        For example ``sub-01/ses-wk06/anat/sub-01_ses-wk06_ce-gadolinium_T1w.nii.gz``.
    """
    parts = stem(PurePosixPath(path).name).split("_")
    pairs = [part.split("-", 1) for part in parts[:-1]]
    if not pairs or pairs[0][0] != "sub" or any(len(pair) != 2 for pair in pairs) or "-" in parts[-1]:
        return {}
    return {pair[0]: pair[1] for pair in pairs} | {"suffix": parts[-1]}


def read_sidecar(path: Path) -> dict[str, Any]:
    """Read the allowed facts of a BIDS JSON sidecar.

    Returns
    -------
    dict
        Fields of :class:`~lmresp.ingest.header.Header`; times are turned from seconds into ms. An unreadable sidecar
        gives ``{"problem": ...}``.
    """
    try:
        if path.stat().st_size > MAX_SIDECAR_BYTES:
            return {"problem": "the sidecar is too large"}
        given = json.loads(path.read_text(encoding="utf-8-sig"))
    except (OSError, ValueError, RecursionError) as error:
        return {"problem": f"the sidecar cannot be read ({type(error).__name__})"}
    if not isinstance(given, dict):
        return {"problem": "the sidecar is not a mapping"}
    date, time = _sidecar_moment(given)
    numbers = {
        field: round(value * factor, 6)
        for name, (field, factor) in SIDECAR_NUMBERS.items()
        if isinstance(value := given.get(name), int | float) and math.isfinite(value) and value > 0
    }
    codes = set(re.split(r"[_\\\\, ]+", str(given.get("ScanningSequence", ""))))
    agent = given.get("ContrastBolusIngredient", given.get("ContrastBolusAgent"))
    denied = isinstance(agent, str) and re.search(rules()["no_agent"]["pattern"], agent.lower())
    examined = re.sub(r"[^A-Z]", "", str(given.get("BodyPartExamined", given.get("BodyPart", ""))).upper())
    text = " / ".join(str(given.get(name, "")) for name in SIDECAR_TEXTS)
    found = {
        **numbers,
        "acquisition": given.get("MRAcquisitionType") if given.get("MRAcquisitionType") in ("2D", "3D") else "",
        "scanning": sorted(codes & {"SE", "IR", "GR", "EP", "RM"}),
        "agent": "" if not isinstance(agent, str) or not agent.strip() else "no" if denied else "yes",
        "body_part": rules()["body_part_examined"].get(examined, ""),
        "words": list(labels(text)),
        "date": date,
        "time": time,
    }
    return {name: value for name, value in found.items() if value}


def _sidecar_moment(given: Mapping[str, Any]) -> tuple[str, str]:
    """Date and time of acquisition; each empty when not given."""
    texts = [str(given.get(name, "")) for name in ("AcquisitionDateTime", "AcquisitionDate", "StudyDate")]
    date = next((d for d in (valid_date(text[:10].split("T")[0]) for text in texts) if d), "")
    clock = re.match(
        r"(?:.*T)?(\d{2}):?(\d{2}):?(\d{2})", str(given.get("AcquisitionTime") or texts[0].partition("T")[2])
    )
    return date, "".join(clock.groups()) if clock else ""


def applicable(path: str, sidecars: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """Facts of all sidecars that apply to an image, by the inheritance principle of BIDS.

    Parameters
    ----------
    path : str
        The image, relative to the study.
    sidecars : mapping
        Path of every sidecar under ``mri/`` to its facts (:func:`read_sidecar`).

    Returns
    -------
    dict
        A sidecar applies when it lies in the folder of the image or above it, has its suffix and no entity that the
        image has not; that of a deeper folder, or with more entities, goes before the others. An image without a BIDS
        name has only the sidecar of its own name.
    """
    own = f"{path.rpartition('/')[0]}/{stem(PurePosixPath(path).name)}.json"
    names = entities(path)
    if not names:
        return dict(sidecars.get(own, {}))
    found = []
    for candidate, facts in sidecars.items():
        folder, _, name = candidate.rpartition("/")
        if not path.startswith(folder + "/") or facts.get("problem"):
            continue
        suffix, given = _sidecar_entities(name)
        if suffix == names["suffix"] and given.items() <= names.items():
            found.append((folder.count("/"), len(given), candidate))
    merged: dict[str, Any] = {}
    for _, _, candidate in sorted(found):
        merged |= sidecars[candidate]
    return merged


def _sidecar_entities(name: str) -> tuple[str, dict[str, str]]:
    """Suffix and entities of a sidecar's name; one above the subjects has no ``sub`` (``T1w.json``)."""
    *parts, suffix = stem(name).split("_")
    pairs = [part.split("-", 1) for part in parts]
    return (suffix, dict(pairs)) if all(len(p) == 2 for p in pairs) and "-" not in suffix else ("", {})


def with_sidecar(header: Header, sidecar: Mapping[str, Any]) -> Header:
    """Join a header with its sidecar; what the name says (``ce-``) goes before the sidecar."""
    merged = header.as_json() | {
        k: v
        for k, v in sidecar.items()
        if k not in ("words", "problem") and not (k == "agent" and header.agent != "unknown")
    }
    merged["words"] = sorted(set(header.words) | set(sidecar.get("words", ())))
    return Header.from_json(merged)


def read_scans_tsv(path: Path) -> dict[str, str]:
    """Dates of a BIDS ``*_scans.tsv``: file name as given to ISO date; rows without a date are left out."""
    try:
        if path.stat().st_size > MAX_SIDECAR_BYTES:
            return {}
        rows = list(csv.DictReader(io.StringIO(path.read_text(encoding="utf-8-sig")), delimiter="\t"))
    except (OSError, ValueError, csv.Error):
        return {}
    found = {str(r.get("filename") or ""): valid_date(str(r.get("acq_time") or "")[:10]) for r in rows}
    return {name: date for name, date in found.items() if name and date}
