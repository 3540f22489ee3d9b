"""NIfTI headers, BIDS names and sidecars: from files to the few facts that lmresp keeps of them.

References: NIfTI-1 standard (nifti1.h); Brain Imaging Data Structure, MRI section (entities ``sub``, ``ses``, ``acq``,
``ce``, suffixes) and ``*_scans.tsv``. Of the sidecar only the fields named here are read; its names, dates of birth and
identifiers never are.
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

import nibabel as nib
import numpy as np
from numpy.typing import NDArray

from lmresp.ingest.header import Header, labels, limit, rules, valid_date

SUFFIXES = (".nii", ".nii.gz")
NO_AGENT_LABELS = {"none", "no", "pre", "without", "nativ", "native"}
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


def is_nifti(path: str) -> bool:
    """Tell a NIfTI file by its ending."""
    return path.lower().endswith(SUFFIXES)


def stem(name: str) -> str:
    """File name without ``.nii`` or ``.nii.gz``."""
    return re.sub(r"\.nii(\.gz)?$", "", name, flags=re.IGNORECASE)


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


def read_header(path: Path, relative: str) -> Header:
    """Read the facts of one NIfTI file from its header and its name.

    Parameters
    ----------
    path : Path
        The file.
    relative : str
        Its path in the study, for the BIDS entities. Words of names outside BIDS are not used.

    Returns
    -------
    Header
        ``kind`` is ``"image"`` or ``"unreadable"`` (then ``problem`` says why). ``spacing``, ``step_mm``, ``rows``,
        ``columns`` and ``frames`` follow the slice axis, which is the axis of the longest voxel edge (the third one
        when the edges are equal); ``orientation`` is in DICOM's LPS.
    """
    # Damaged files raise many kinds of error in the reader; all of them mean "unreadable".
    try:
        image: Any = nib.load(path)
        shape, affine = tuple(int(n) for n in image.shape), np.array(image.affine, dtype=np.float64)
    except Exception as error:
        return Header(source="nifti", kind="unreadable", problem=f"damaged header ({type(error).__name__})")
    problem = header_problem(shape, affine)
    if problem:
        return Header(source="nifti", kind="unreadable", problem=problem)
    edges = np.sqrt((affine[:3, :3] ** 2).sum(axis=0))
    axis = 2 if edges.max() <= 1.2 * edges.min() else int(np.argmax(edges))
    in_plane = [a for a in range(3) if a != axis]
    lps = np.diag([-1.0, -1.0, 1.0]) @ (affine[:3, :3] / edges)
    names = entities(relative)
    label = names.get("ce", "").lower()
    agent = "unknown" if not label else "no" if label in NO_AGENT_LABELS else "yes"
    return Header(
        source="nifti",
        kind="image",
        suffix=names.get("suffix", ""),
        words=labels(" ".join([names.get("acq", ""), names.get("bp", "")])),
        agent=agent,
        orientation=tuple(round(float(v), 5) for a in in_plane for v in lps[:, a]),
        spacing=tuple(round(float(edges[a]), 5) for a in reversed(in_plane)),  # DICOM order: rows, columns
        step_mm=round(float(edges[axis]), 5),
        rows=shape[in_plane[1]],
        columns=shape[in_plane[0]],
        frames=shape[axis],
        volumes=math.prod(shape[3:]),
    )


def header_problem(shape: tuple[int, ...], affine: NDArray[np.float64]) -> str:
    """Reason why an image with this shape and affine cannot be a volume; empty when it can.

    Parameters
    ----------
    shape : tuple of int
        Size of every axis.
    affine : ndarray, shape (4, 4)
        Voxel to world (mm).
    """
    if len(shape) < 3:
        return f"the image has {len(shape)} dimensions, not 3"
    if any(n < 1 for n in shape):
        return "the image has no voxels"
    voxels = math.prod(shape)
    if voxels > limit("limits", "max_voxels"):
        return f"the header claims {voxels} voxels, more than the limit of {limit('limits', 'max_voxels')}"
    if not np.isfinite(affine).all():
        return "the affine holds values that are not numbers"
    edges = np.sqrt((affine[:3, :3] ** 2).sum(axis=0))
    if not 0.05 <= edges.min() <= edges.max() <= 50:
        return f"voxel edges of {', '.join(f'{e:g}' for e in edges)} mm are not possible"
    if abs(np.linalg.det(affine[:3, :3] / edges)) < 0.1:
        return "the axes of the affine are not independent"
    return ""


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


def with_sidecar(header: Header, sidecar: dict[str, Any]) -> Header:
    """Join a NIfTI header with its sidecar; what the name says (``ce-``) goes before the sidecar."""
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
