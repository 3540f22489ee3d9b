"""Files to series: which files form one stack of slices, and whether the stack is a whole volume."""

from __future__ import annotations

import dataclasses
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from pathlib import PurePosixPath
from statistics import median
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lmresp import store
from lmresp.ingest.header import Header, limit, minutes_between
from lmresp.ingest.headers import File


@dataclasses.dataclass(frozen=True, slots=True)
class Stack:
    """One series as it is used: its files, the facts they share and the geometry of the whole.

    ``problem`` says why the stack cannot be measured (empty when it can); ``missing`` counts missing slices;
    ``extents`` are mm along right-left, front-back and up-down; ``tilt_deg`` is how far the stack leans (gantry tilt).
    """

    files: tuple[str, ...]
    digest: str
    header: Header
    slices: int
    step_mm: float | None
    volumes: int
    missing: int
    problem: str
    extents: tuple[float, float, float] | None
    repeated: int = 0
    tilt_deg: float = 0.0

    @property
    def facts(self) -> dict[str, Any]:
        """Facts for the scan record; allow-listed, no text of the header."""
        h = self.header
        in_plane = [h.spacing[1], h.spacing[0]] if len(h.spacing) == 2 else []
        return {
            "field_strength_t": h.field_strength_t,
            "slice_thickness_mm": h.slice_thickness_mm if h.slice_thickness_mm is not None else self.step_mm,
            "spacing_mm": [*in_plane, self.step_mm] if in_plane and self.step_mm else [],
            "rows": h.rows,
            "columns": h.columns,
            "slices": self.slices,
            "contrast_agent": h.agent,
            "contrast_substance": h.substance,
            "contrast_dose_mmol_kg": h.dose_mmol_kg,
            "contrast_delay_min": minutes_between(h.injection, h.time),
            "echo_time_ms": h.echo_time_ms,
            "repetition_time_ms": h.repetition_time_ms,
            "inversion_time_ms": h.inversion_time_ms,
            "flip_angle_deg": h.flip_angle_deg,
            "scanning_sequence": "/".join(h.scanning),
            "black_blood": "black_blood" in h.words or (h.acquisition == "3D" and {"SE"} <= set(h.scanning)),
            "gantry_tilt_deg": self.tilt_deg,
            "derived": bool({"DERIVED", "MPR", "REFORMATTED"} & set(h.image_type)),
            "series_uid_hash": h.series,
            "study_uid_hash": h.study,
        }


def build_stacks(files: Sequence[File], damaged: Mapping[str, int] | None = None) -> list[Stack]:
    """Group image files into stacks.

    Parameters
    ----------
    files : sequence of File
        Image files of one scan with a header.
    damaged : mapping of str to int, optional
        How many files of a series (by its hash) cannot be read.

    Returns
    -------
    list of Stack
        In the order of acquisition (date, time, first path). DICOM files are grouped by SeriesInstanceUID, and within
        it by orientation, matrix, pixel size, echo and kind of image; a NIfTI or NRRD file is a stack of its own. A
        file whose SOPInstanceUID was seen before is a copy and is left out.
    """
    groups: dict[tuple[Any, ...], list[list[File]]] = defaultdict(list)
    for file in sorted(files, key=lambda f: f.path):
        alike = groups[_key(file)]
        group = next((g for g in alike if _same_grid(g[0], file)), None)
        if group is None:
            alike.append([file])
        else:
            group.append(file)
    totals: Counter[str] = Counter()
    for (series, _), frames in {(h.series, h.sop or f.path): h.frames for f in files if (h := f.header)}.items():
        totals[series] += frames
    stacks = [
        _dicom(g, totals, damaged or {}) if g[0].kind == "dicom" else _volume(g[0]) for a in groups.values() for g in a
    ]
    return sorted(stacks, key=lambda s: (s.header.date, s.header.time, s.files[0]))


def _key(file: File) -> tuple[Any, ...]:
    h = file.header
    if h is None or file.kind != "dicom":
        return (file.path,)
    series = h.series or str(PurePosixPath(file.path).parent)
    return (series, h.study, h.rows, h.columns, h.echo_number, h.image_type)


def _same_grid(one: File, other: File) -> bool:
    """Tell whether two files have the same orientation and pixel size, but for rounding."""
    if one.header is None or other.header is None:
        return False
    first, second = ((*f.header.orientation, *f.header.spacing) for f in (one, other) if f.header)
    near = limit("geometry", "same_grid_tolerance")
    return len(first) == len(second) and all(abs(a - b) <= near for a, b in zip(first, second, strict=True))


def _volume(file: File) -> Stack:
    h = file.header
    if h is None or h.kind != "image":
        problem = h.problem if h is not None else "no header"
        return Stack((file.path,), file.digest, h or Header(file.kind, "unreadable"), 0, None, 0, 0, problem, None)
    problem = f"{h.volumes} volumes in one file" if h.volumes > 1 else ""
    return _checked(Stack((file.path,), file.digest, h, h.frames, h.step_mm, h.volumes, 0, problem, None))


def _dicom(group: list[File], totals: Mapping[str, int], damaged: Mapping[str, int]) -> Stack:
    seen: dict[str, File] = {}
    for number, file in enumerate(group):
        seen.setdefault(file.header.sop if file.header and file.header.sop else f"#{number}", file)
    kept = list(seen.values())
    headers = [f.header for f in kept if f.header is not None]
    # The earliest acquisition stands for the series; descriptions are the same in all its files.
    header = dataclasses.replace(headers[0], time=min((h.time for h in headers if h.time), default=""))
    paths = tuple(f.path for f in kept)
    digest = store.sha256_text("\n".join(sorted(f.digest for f in kept)))
    locations = sorted(v for h in headers for v in h.locations)
    frames = sum(h.frames for h in headers)
    repeated = len(group) - len(kept)
    if len(locations) != frames:
        problem = "slice positions are not in the header" if locations == [] else "some slices have no position"
        return Stack(paths, digest, header, frames, None, 1, 0, problem, None, repeated)
    places, counts = _places(locations)
    steps = np.diff(places)
    step = round(float(median(steps)), 5) if len(steps) else header.slice_thickness_mm
    volumes = max(counts)
    tilt, sideways = _lean(headers)
    lost = damaged.get(header.series, 0)
    absent = header.announced - totals[header.series] if header.series else 0
    missing, problem = _incomplete(steps, step, lost, absent, header.announced)
    problem = problem or _irregular(steps, step, counts) or _crooked(tilt, sideways)
    if {"MOSAIC", "VFRAME"} & set(header.image_type):
        problem = "many slices in one picture (mosaic)"
    stack = Stack(paths, digest, header, len(places), step, volumes, missing, problem, None, repeated, tilt)
    return _checked(stack)


def _incomplete(
    steps: NDArray[np.float64], step: float | None, lost: int, absent: int, announced: int
) -> tuple[int, str]:
    """How many images are missing, and how that is known: by a gap, a damaged file, or what the header announces."""
    missing = sum(round(s / step) - 1 for s in steps if s > limit("geometry", "gap_factor") * step) if step else 0
    if missing:
        return missing, f"{missing} of {len(steps) + 1 + missing} slices are missing"
    if lost:
        return lost, f"{lost} of its files cannot be read"
    if absent > 0:
        return absent, f"{absent} of the {announced} images that the header announces are missing"
    return 0, ""


def _irregular(steps: NDArray[np.float64], step: float | None, counts: Sequence[int]) -> str:
    """Reason why slice positions are no simple row; empty when they are."""
    if len(set(counts)) > 1:
        return "some slice positions are there more often than others"
    if counts[0] > 1:
        return f"{counts[0]} images at every slice position"
    uneven = bool(step) and any(abs(s - step) > limit("geometry", "step_tolerance") * step for s in steps)
    return "slices are not evenly spaced" if uneven else ""


def _crooked(tilt_deg: float, sideways_mm: float) -> str:
    """Reason why slices do not stand behind each other; empty when they do, or lean as a gantry does."""
    if sideways_mm > limit("geometry", "sideways_mm"):
        return f"slices are shifted sideways against each other by up to {sideways_mm:.1f} mm"
    if tilt_deg > limit("geometry", "max_tilt_deg"):
        return f"slices lean by {tilt_deg:.0f} degrees against their stack"
    return ""


def _lean(headers: Sequence[Header]) -> tuple[float, float]:
    """Angle (degrees) by which the stack leans against the slice normal, and the largest departure (mm) from that line.

    Positions of an upright stack differ along the normal only. A constant shift from slice to slice is a gantry tilt;
    any other is no stack at all.
    """
    along = np.array([v for h in headers for v in h.locations])
    across = np.array([v for h in headers for v in h.shifts]).reshape(-1, 2)
    if len(across) != len(along) or len(along) < 2 or np.ptp(along) < 0.01:
        return 0.0, 0.0
    line = np.stack([along, np.ones_like(along)], axis=1)
    slopes, *_ = np.linalg.lstsq(line, across, rcond=None)
    apart = np.abs(across - line @ slopes).max()
    tilt = np.degrees(np.arctan(np.hypot(*slopes[0])))
    return round(float(tilt), 2), round(float(apart), 3)


def _places(locations: list[float]) -> tuple[list[float], list[int]]:
    """Distinct slice positions (within 0.01 mm) and how often each occurs."""
    places, counts = [locations[0]], [1]
    for value in locations[1:]:
        if value - places[-1] <= 0.01:
            counts[-1] += 1
        else:
            places.append(value)
            counts.append(1)
    return places, counts


def _checked(stack: Stack) -> Stack:
    """Add extents, and the reasons why a complete stack still is no volume to measure."""
    h = stack.header
    problem, extents = stack.problem, None
    if len(h.orientation) == 6 and len(h.spacing) == 2 and stack.step_mm:
        row, column = np.array(h.orientation[:3]), np.array(h.orientation[3:])
        edges = np.stack(
            [
                row * h.columns * h.spacing[1],
                column * h.rows * h.spacing[0],
                np.cross(row, column) * stack.slices * stack.step_mm,
            ]
        )
        size = np.sqrt((edges**2).sum(axis=0))
        extents = (round(float(size[0]), 1), round(float(size[1]), 1), round(float(size[2]), 1))
    elif not problem:
        problem = "orientation or pixel size is not in the header"
    if not problem and min(stack.slices, h.rows, h.columns) < limit("geometry", "min_slices"):
        problem = f"only {min(stack.slices, h.rows, h.columns)} slices"
    if not problem and h.rows * h.columns * stack.slices > limit("limits", "max_voxels"):
        problem = "more voxels than the limit"
    return dataclasses.replace(stack, problem=problem, extents=extents)
