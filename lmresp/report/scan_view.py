"""What the viewer of a scan page is told: lattices, series and windows, visits, findings to jump to, the volumes."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from lmresp.report.scan_volumes import Job, Mask, distance, grey_job, head_mask, near, pack
from lmresp.report.slices import INK, LABELS, Volume

Result = Mapping[str, Any]
Window = tuple[float, float]

PLANES = ("axial", "coronal", "sagittal")
FACTOR_APART = 2.0  # signal scales further apart than this cannot share one window
# Change in parts of full enhancement: below the first value nothing is drawn, at the second the colour is full.
CHANGE_HIDDEN, CHANGE_FULL = 0.15, 1.0
CHANGE_ABOUT = 10.0  # mm about the brain: beyond, a change or a subtraction shows scalp and neck that moved
SUBTRACTION_WINDOW = (0.0, 1.0)  # parts of the median signal of the brain after contrast
SUBTRACTION_COARSE = 4  # codes of 0.01: noise of a subtraction is above 0.02, and costs bytes
# Series to switch to: name, title, images of this scan and of the reference scan.
SERIES = (
    ("t1", "T1 after contrast", "t1", "reference"),
    ("pre", "T1 before contrast", "pre", "reference_pre"),
    ("flair", "FLAIR", "flair", "reference_flair"),
    ("t2", "T2", "t2", "reference_t2"),
)
SUBTRACTION = ("subtraction", "Subtraction", "subtraction", "reference_subtraction")
COLOURS = {str(value): INK[name] for value, name in LABELS.items()}
BRAIN_OF = ("brain", "reference_brain")


@dataclasses.dataclass(frozen=True)
class Viewer:
    """The data of the viewer.

    Parameters
    ----------
    data : mapping
        Goes into the page as JSON.
    texts : mapping of str to str
        The volumes, as base64.
    shared : bool
        Both visits have one window.
    notes : sequence of str
        What had to be given up to keep the page small.
    """

    data: Mapping[str, Any]
    texts: Mapping[str, str]
    shared: bool
    notes: Sequence[str] = ()

    @property
    def visits(self) -> Sequence[Mapping[str, Any]]:
        """Rows of panes: those of the part that has most."""
        rows: list[Sequence[Mapping[str, Any]]] = [part["rows"] for part in self.data["parts"]]
        return max(rows, key=len)


def signal_window(volume: Volume, brain: Volume | None) -> Window:
    """Display window of an image: 0 to 1.15 times the 99.7th percentile of the brain.

    Without a brain mask the whole head counts; its fat is brighter than any brain, so that the brain looks dark.
    """
    inside = volume.array > 0.1 * float(np.percentile(volume.array, 99)) if brain is None else brain.array > 0
    signal = volume.array[inside]
    high = 1.15 * float(np.percentile(signal, 99.7)) if signal.size else 1.0
    return 0.0, high if high > 0 else 1.0


def windows(
    own: tuple[Volume, Volume | None], base: tuple[Volume, Volume | None] | None
) -> tuple[Window, Window, bool]:
    """Windows of an image and of the same of the reference scan, and whether they are one.

    One window for both visits, that of the reference scan, unless the scales differ by more than a factor of two.
    """
    mine = signal_window(*own)
    if base is None:
        return mine, mine, False
    theirs = signal_window(*base)
    shared = 1 / FACTOR_APART <= mine[1] / theirs[1] <= FACTOR_APART
    return (theirs if shared else mine), theirs, shared


def same_grid(first: Volume | None, second: Volume | None) -> bool:
    """Whether two images lie on one lattice."""
    if first is None or second is None:
        return False
    return first.array.shape == second.array.shape and bool(np.allclose(first.affine, second.affine, atol=1e-3))


def on_grid(volumes: Mapping[str, Volume], name: str, grid: Volume) -> Volume | None:
    """Return an image that must lie on a grid, ``None`` when it was not made.

    Raises
    ------
    ValueError
        If it lies on another grid: the outlines would stand in the wrong place.
    """
    volume = volumes.get(name)
    if volume is None:
        return None
    if not same_grid(volume, grid):
        raise ValueError(f"the image {name!r} is not on the grid it is shown on")
    return volume


def subtraction(post: Volume, pre: Volume, brain: Volume | None) -> Volume | None:
    """Post minus pre, matched by the median ratio inside the brain, in parts of the median signal after contrast.

    Most of the brain does not enhance, so the median ratio is that of the two scales. ``None`` without signal.
    """
    inside = (post.array > 0) & (pre.array > 0) if brain is None else (brain.array > 0) & (pre.array > 0)
    if not inside.any():
        return None
    ratio = float(np.median(post.array[inside] / pre.array[inside]))
    unit = float(np.median(post.array[inside]))
    if not (ratio > 0 and unit > 0):
        return None
    return Volume((post.array - ratio * pre.array) / unit, post.affine)


def view_of(volume: Mapping[str, Any]) -> dict[str, Any]:
    """Lattice of a packed volume, as a view."""
    return {"shape": volume["shape"], "affine": volume["affine"]}


class _Images:
    """The images of both visits with what is known of them: head, brain, windows."""

    def __init__(self, volumes: Mapping[str, Volume], result: Result) -> None:
        self.volumes = dict(volumes)
        self.anchors = [volumes[name] for name in ("t1", "reference") if name in volumes]
        if result["contrast"] == "none":
            self.volumes.pop("pre", None)  # the T1 itself
        for anchor, (pre, brain, name) in (
            ("t1", ("pre", "brain", SUBTRACTION[2])),
            ("reference", ("reference_pre", "reference_brain", SUBTRACTION[3])),
        ):
            if anchor in self.volumes and pre in self.volumes:
                grid = self.volumes[anchor]
                made = subtraction(grid, self.volumes[pre], on_grid(self.volumes, brain, grid))
                if made is not None:
                    self.volumes[name] = made

    def brain(self, visit: int) -> Volume | None:
        return on_grid(self.volumes, BRAIN_OF[visit], self.anchors[visit])

    def image(self, name: str, visit: int) -> Volume | None:
        return on_grid(self.volumes, name, self.anchors[visit])


def _series(
    images: _Images, heads: Sequence[Mask], titles: Mapping[str, str]
) -> tuple[list[dict[str, Any]], list[Job]]:
    """Series to switch to and the volumes that they need."""
    rows, jobs = [], []
    brains = [images.brain(visit) for visit in range(len(heads))]
    away = [None if brain is None or not brain.array.any() else distance(brain) for brain in brains]
    for number, (name, title, *names) in enumerate((*SERIES, SUBTRACTION), start=1):
        found = [images.image(names[visit], visit) for visit in range(len(heads))]
        if not any(found):
            continue
        if name == SUBTRACTION[0]:
            own, base, shared = SUBTRACTION_WINDOW, SUBTRACTION_WINDOW, len(heads) > 1
        else:
            pairs = [(v, b) for v, b in zip(found, brains, strict=True) if v is not None]
            own, base, shared = windows(pairs[0], pairs[1] if len(pairs) > 1 else None)
        for visit, volume in enumerate(found):
            if volume is None:
                continue
            if name == SUBTRACTION[0]:
                far = away[visit]
                inside = heads[visit] if far is None else heads[visit] & near(far, CHANGE_ABOUT, volume.array.shape)
                jobs.append(Job(names[visit], title, volume, "signed", inside, far, coarse=SUBTRACTION_COARSE))
            else:
                jobs.append(grey_job(names[visit], title, volume, (own, base)[visit][1], heads[visit], away[visit]))
        rows.append(
            {
                "key": str(number),
                "name": name,
                "title": titles.get(name, title),
                "volumes": [n if v is not None else None for n, v in zip(names, found, strict=False)],
                "low": own[0],
                "high": own[1],
                "factor": [1.0, base[1] / own[1]][: len(heads)],
                "shared": shared,
            }
        )
    return rows, jobs


def _label_job(name: str, volume: Volume | None) -> list[Job]:
    return [] if volume is None else [Job(name, "the segmentation", volume, "label", volume.array > 0)]


def viewer(
    result: Result,
    volumes: Mapping[str, Volume],
    reference: Result | None,
    titles: Mapping[str, str],
    *,
    blinded: bool,
) -> Viewer | None:
    """Prepare the viewer of a scan page.

    Parameters
    ----------
    result, reference : mapping
        Scan results of the scan and of its reference scan.
    volumes : mapping of str to Volume
        Images by the names of :func:`lmresp.report.scan_page.scan_page`.
    titles : mapping
        Titles of series that differ from the usual.
    blinded : bool
        Leave out everything that the measurement found.

    Returns
    -------
    Viewer or None
        ``None`` where there is no T1 image of the scan.

    Raises
    ------
    ValueError
        If images of one visit lie on different grids.
    """
    if "t1" not in volumes:
        return None
    images = _Images(volumes, result)
    heads = [head_mask(anchor) for anchor in images.anchors]
    series, jobs = _series(images, heads, titles)
    first = [name for name in series[0]["volumes"] if name]
    primary = [job for job in jobs if job.name in first]
    signed = [job for job in jobs if job.kind == "signed"]
    rest = [job for job in jobs if job not in primary and job not in signed]
    labels: list[str | None] = [None, None]
    change = None
    if not blinded:
        for visit, name in enumerate(("labels", "reference_labels")[: len(heads)]):
            found = _label_job(name, images.image(name, visit))
            primary += found
            labels[visit] = name if found else None
        change = volumes.get("change")
        if change is not None:
            shown = np.abs(change.array) >= CHANGE_HIDDEN
            brain = images.brain(0)
            if brain is not None and same_grid(change, brain):
                shown &= near(distance(brain), CHANGE_ABOUT, shown.shape)
            primary.append(Job("change", "the change map", change, "signed", shown))
    packed = pack(primary, [signed, rest])
    if not all(name in packed.about for name in first):
        return None
    linked = _linked(result, reference, len(heads))
    part: dict[str, Any] = {
        "title": "Brain",
        "planes": PLANES,
        "views": [view_of(packed.about[name]) for name in (first[:1] if linked else first)],
        "series": [s for s in series if all(n in packed.about for n in s["volumes"] if n)],
        "linked": linked,
        "first": [*first, *(name for name in labels if name)],
        "rows": [
            {"view": 0 if linked else visit, "title": title, "short": short, "labels": labels[visit], "tags": []}
            for visit, (title, short) in enumerate(visits_of(result, reference)[: len(heads)])
        ],
    }
    data: dict[str, Any] = {"volumes": packed.about, "parts": [part]}
    if not blinded:
        data["colours"] = COLOURS
        part["draft"] = _draft(result, images, change)
        for row, tags in zip(part["rows"], _tags(result, reference), strict=False):
            row["tags"] = tags
    return Viewer(data, packed.texts, bool(series[0]["shared"]), packed.notes)


def _linked(result: Result, reference: Result | None, visits: int) -> bool:
    """Whether one place in mm is one place of the head in both visits."""
    both = [result] if reference is None else [result, reference]
    return visits < 2 or all(bool(one["geometry"].get("aligned")) for one in both)


def visits_of(result: Result, reference: Result | None) -> list[tuple[str, str]]:
    """Title and short name of each row."""
    made = [(f"Current · {_of(result)}", f"current visit, {result['visit']}")]
    known = reference or {"visit": "", "scan_date": ""}
    named = " · ".join(filter(None, ["Reference", _of(known)]))
    return [*made, (named, ", ".join(filter(None, ["reference visit", str(known["visit"])])))]


def _of(result: Result) -> str:
    return " · ".join(str(result[key]) for key in ("visit", "scan_date") if result[key])


def _draft(result: Result, images: _Images, change: Volume | None) -> dict[str, Any]:
    labels = images.image("labels", 0)
    targets = [
        {
            "id": f"finding-{finding['id']}",
            "mm": _target(finding, labels),
            "words": f"finding {finding['id']}, {finding['kind']}",
        }
        for finding in result["findings"]
        if finding.get("center_mm")
    ]
    targets += [
        {
            "id": f"lost-{one['track']}",
            "mm": one["center_mm"],
            "words": f"the place where the nodule of track {one['track']} was",
        }
        for one in result.get("lost", ())
    ]
    shown = {"volume": "change", "hidden": CHANGE_HIDDEN, "full": CHANGE_FULL}
    return {
        "targets": targets,
        "start": _start(result, [str(one["id"]) for one in targets]),
        "change": shown if change is not None else None,
    }


def _start(result: Result, places: Sequence[str]) -> str | None:
    """Place of the first view: the first finding that an item rests on, an item that is worse before all others."""

    def rank(item: Mapping[str, Any]) -> int:
        return 0 if item["change"] == "WORSE" else 1 if item["presence"] == "PRESENT" else 2

    items = sorted((result["scorecard"] or {"items": ()})["items"], key=rank)
    wanted = [f"finding-{n}" for item in items for n in (item.get("evidence") or {}).get("findings", ())]
    return next((place for place in [*wanted, *places] if place in places), None)


def _target(finding: Mapping[str, Any], labels: Volume | None) -> list[float]:
    """Centre of a finding, or the nearest voxel that carries its label: the centre of a film may lie beside it."""
    centre = [float(c) for c in finding["center_mm"]]
    value = {"linear": 1, "nodule": 2}.get(str(finding["kind"]))
    if labels is None or value is None or labels.array[labels.voxel(centre)] == value:
        return centre
    voxels = np.argwhere(labels.array == value)
    if not len(voxels):
        return centre
    world = voxels @ labels.affine[:3, :3].T + labels.affine[:3, 3]
    nearest = world[int(((world - centre) ** 2).sum(axis=1).argmin())]
    return [round(float(c), 1) for c in nearest]


def nodules_judged(result: Result) -> bool:
    """Whether nodules of the brain could be judged: else one that is not there any more was only not looked for."""
    items = (result["scorecard"] or {"items": ()})["items"]
    return all(one["presence"] != "NE" for one in items if one["item"] == "NODULES" and one["compartment"] == "BRAIN")


def _tags(result: Result, reference: Result | None) -> list[list[dict[str, Any]]]:
    """Numbers beside findings: one nodule has the same number in both visits, that of its finding at this one."""

    def tag(text: str, one: Mapping[str, Any]) -> dict[str, Any]:
        return {"text": text, "mm": one["center_mm"], "radius": max(float(one.get("long_mm") or 0) / 2, 1.0)}

    nodules = [f for f in result["findings"] if f.get("center_mm") and f["kind"] == "nodule"]
    number = {f["track"]: str(f["id"]) for f in nodules if f.get("track") is not None}
    gone = "gone" if nodules_judged(result) else "not judged"
    lost = {one["track"]: f"{gone} ({one['track']})" for one in result.get("lost", ())}
    then = [
        tag((number | lost)[f["track"]], f)
        for f in (reference or {"findings": ()})["findings"]
        if f.get("center_mm") and f.get("track") in number | lost
    ]
    return [[tag(str(f["id"]), f) for f in nodules], then]
