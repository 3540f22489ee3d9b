"""Files to series: which files form one stack of slices, and whether the stack is a whole volume."""

from __future__ import annotations

import dataclasses
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from pathlib import PurePosixPath
from statistics import median
from typing import Any

import numpy as np

from lmresp import store
from lmresp.ingest.header import Header, limit
from lmresp.ingest.headers import File


@dataclasses.dataclass(frozen=True, slots=True)
class Stack:
    """One series as it is used: its files, the facts they share and the geometry of the whole.

    ``problem`` says why the stack cannot be measured (empty when it can); ``missing`` counts missing slices;
    ``extents`` are mm along right-left, front-back and up-down.
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
            "echo_time_ms": h.echo_time_ms,
            "repetition_time_ms": h.repetition_time_ms,
            "inversion_time_ms": h.inversion_time_ms,
            "flip_angle_deg": h.flip_angle_deg,
            "scanning_sequence": "/".join(h.scanning),
            "derived": bool({"DERIVED", "MPR", "REFORMATTED"} & set(h.image_type)),
            "series_uid_hash": h.series,
            "study_uid_hash": h.study,
        }


def build_stacks(files: Sequence[File]) -> list[Stack]:
    """Group image files into stacks.

    Parameters
    ----------
    files : sequence of File
        Image files of one scan with a header.

    Returns
    -------
    list of Stack
        In the order of acquisition (date, time, first path). DICOM files are grouped by SeriesInstanceUID, and within
        it by orientation, matrix, pixel size, echo and kind of image; a NIfTI file is a stack of its own. A file whose
        SOPInstanceUID was seen before is a copy and is left out.
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
    stacks = [_nifti(g[0]) if g[0].kind == "nifti" else _dicom(g, totals) for a in groups.values() for g in a]
    return sorted(stacks, key=lambda s: (s.header.date, s.header.time, s.files[0]))


def _key(file: File) -> tuple[Any, ...]:
    h = file.header
    if h is None or file.kind == "nifti":
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


def _nifti(file: File) -> Stack:
    h = file.header
    if h is None or h.kind != "image":
        problem = h.problem if h is not None else "no header"
        return Stack((file.path,), file.digest, h or Header("nifti", "unreadable"), 0, None, 0, 0, problem, None)
    problem = f"{h.volumes} volumes in one file" if h.volumes > 1 else ""
    return _checked(Stack((file.path,), file.digest, h, h.frames, h.step_mm, h.volumes, 0, problem, None))


def _dicom(group: list[File], totals: Mapping[str, int]) -> Stack:
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
    missing = sum(round(s / step) - 1 for s in steps if s > limit("geometry", "gap_factor") * step) if step else 0
    uneven = bool(step) and any(abs(s - step) > limit("geometry", "step_tolerance") * step for s in steps)  # type: ignore[operator]
    volumes = max(counts)
    absent = header.announced - totals[header.series] if header.series else 0
    if missing:
        problem = f"{missing} of {len(places) + missing} slices are missing"
    elif absent > 0:
        missing = absent
        problem = f"{absent} of the {header.announced} images that the header announces are missing"
    elif len(set(counts)) > 1:
        problem = "some slice positions are there more often than others"
    elif volumes > 1:
        problem = f"{volumes} images at every slice position"
    else:
        problem = "slices are not evenly spaced" if uneven else ""
    if {"MOSAIC", "VFRAME"} & set(header.image_type):
        problem = "many slices in one picture (mosaic)"
    stack = Stack(paths, digest, header, len(places), step, volumes, missing, problem, None, repeated)
    return _checked(stack)


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
