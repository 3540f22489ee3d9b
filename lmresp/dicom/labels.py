"""Segments of a scan: from the labels in the common space to the slices of the source series."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from pydicom.uid import UID
from scipy import ndimage

from lmresp.dicom.source import Source
from lmresp.dicom.uids import tracking
from lmresp.mri.volume import Volume

Labels = npt.NDArray[np.uint8]
LINEAR, NODULE, VENTRICLES = 1, 2, 3  # values of the label image in the common space


@dataclasses.dataclass(frozen=True)
class Segment:
    """One segment.

    Attributes
    ----------
    number : int
        Its value on the slices, 1 for the first.
    kind : str
        ``linear``, ``nodule`` or ``ventricles``.
    label : str
        What a viewer shows.
    finding : int or None
        The finding of the scan result that it shows; None for film and ventricles as a whole.
    tracking_id, tracking_uid : str
        What follows it over the visits.
    site : str
        Key of the coded anatomic region.
    """

    number: int
    kind: str
    label: str
    finding: int | None
    tracking_id: str
    tracking_uid: UID
    site: str


@dataclasses.dataclass(frozen=True, eq=False)
class Segmented:
    """Segments on the slices of the source.

    Attributes
    ----------
    array : uint8, shape (slices, rows, columns)
        Number of the segment, 0 for none; in the order of ``Source.planes``.
    segments : list of Segment
    vanished : list of Segment
        Those with voxels in the common space but none on the slices.
    orphans : int
        Voxels of nodules that no finding accounts for; they are not written.
    """

    array: Labels
    segments: list[Segment]
    vanished: list[Segment]
    orphans: int

    def voxels(self, segment: Segment) -> int:
        """Number of voxels of a segment on the slices."""
        return int(np.count_nonzero(self.array == segment.number))


def segment(labels: Volume, result: Mapping[str, Any], study_id: str, source: Source) -> Segmented:
    """Bring the labels of a measured scan onto the slices of its T1.

    Parameters
    ----------
    labels : Volume
        ``desc-lm_dseg`` in the common space.
    result : mapping
        The scan result.
    study_id : str
        The study, for the identifiers that follow a lesion.
    source : Source
        The series that was measured.

    Returns
    -------
    Segmented
        Linear enhancement as a whole (there also when it is empty: it was looked for), each nodule by itself, the
        ventricles. Film and nodules are missing where enhancement could not be judged.

    Notes
    -----
    Every voxel of the source takes the label of the nearest voxel of the measurement. Volumes keep their expectation
    however thin a film is, and no voxel is called enhancing that was not; interpolating each label and cutting at one
    half erodes what is one voxel thick.
    """
    looked = enhancement_judged(result)
    findings = [f for f in result["findings"] if f["kind"] == "nodule"] if looked else []
    segments = _segments(result, findings, study_id, looked=looked)
    numbers = {s.finding: s.number for s in segments if s.kind == "nodule"}
    common = np.zeros(labels.shape, np.uint8)
    for one in segments:
        if one.kind != "nodule":
            common[labels.array == (LINEAR if one.kind == "linear" else VENTRICLES)] = one.number
    owner = owners(labels.array == NODULE, labels.affine, findings)
    for finding, number in numbers.items():
        common[owner == finding] = number
    to_common = np.array(result["geometry"]["to_common"], dtype=float)
    array = on_planes(common, np.linalg.inv(labels.affine) @ to_common, source)
    there, here = (np.bincount(a.ravel(), minlength=len(segments) + 1) for a in (common, array))
    vanished = [s for s in segments if here[s.number] == 0 and (s.kind == "nodule" or there[s.number] > 0)]
    orphans = int(np.count_nonzero((labels.array == NODULE) & (owner == 0))) if looked else 0
    return Segmented(array, segments, vanished, orphans)


def enhancement_judged(result: Mapping[str, Any]) -> bool:
    """Whether the measurement looked for enhancement: its measures have values then, 0 among them."""
    return any(
        m["measure"] == "LINEAR_VOL" and m["region"] == "" and m["value"] is not None for m in result["measures"]
    )


def _segments(
    result: Mapping[str, Any], findings: Sequence[Mapping[str, Any]], study_id: str, *, looked: bool
) -> list[Segment]:
    subject = str(result["subject_id"])
    rows: list[tuple[str, str, int | None, str, str]] = []
    if looked:
        label = "Linear leptomeningeal enhancement (draft)"
        rows.append(("linear", label, None, "linear enhancement", "site.meninges"))
    for finding in findings:
        where = "" if finding["lm_related"] else ", not leptomeningeal"
        followed = finding["track"] is not None
        name = f"nodule {finding['track']}" if followed else f"nodule of {result['scan']}, finding {finding['id']}"
        label = f"Nodule {finding['track']}" if followed else f"Nodule, finding {finding['id']}"
        site = "site.meninges" if finding["lm_related"] else "site.brain"
        rows.append(("nodule", f"{label}{where} (draft)", int(finding["id"]), name, site))
    rows.append(("ventricles", "Ventricles (draft)", None, "ventricles", "site.ventricles"))
    return [
        Segment(number, kind, label, finding, name, tracking(study_id, subject, name), site)
        for number, (kind, label, finding, name, site) in enumerate(rows, start=1)
    ]


def owners(
    mask: npt.NDArray[np.bool_], affine: npt.NDArray[np.float64], findings: Sequence[Mapping[str, Any]]
) -> npt.NDArray[np.int32]:
    """Tell which nodule every voxel of the label of nodules belongs to.

    Parameters
    ----------
    mask : bool, shape (I, J, K)
        All nodules.
    affine : float64, shape (4, 4)
        Voxel to mm of the common space.
    findings : sequence of mapping
        Nodules of the scan result.

    Returns
    -------
    int32, shape of ``mask``
        ``id`` of the finding, 0 for none. A piece (26 neighbours) belongs to the nodule whose centre lies in it or
        nearest to it; where several claim a piece, each voxel goes to the one whose centre is nearest in units of its
        diameter.
    """
    pieces, _ = ndimage.label(mask, np.ones((3, 3, 3)))
    out = np.zeros(mask.shape, np.int32)
    places = np.argwhere(mask)
    if not len(places) or not findings:
        return out
    world = places @ affine[:3, :3].T + affine[:3, 3]
    piece = pieces[tuple(places.T)]
    distance = np.full((len(findings), len(places)), np.inf)
    for row, finding in enumerate(findings):
        far = np.linalg.norm(world - np.array(finding["center_mm"], dtype=float), axis=1)
        # A centre lies in its nodule, or beside it by less than its diameter where the nodule is curved.
        own = piece == piece[int(far.argmin())]
        if far.min() <= float(finding["long_mm"]) + float(np.linalg.norm(affine[:3, :3], axis=0).max()):
            distance[row, own] = far[own] / max(float(finding["long_mm"]), 1.0)
    nearest = distance.argmin(axis=0)
    ids = np.array([int(f["id"]) for f in findings])
    out[tuple(places.T)] = np.where(np.isfinite(distance.min(axis=0)), ids[nearest], 0)
    return out


def on_planes(array: Labels, to_voxel: npt.NDArray[np.float64], source: Source) -> Labels:
    """Sample labels on the slices of a series, nearest neighbour.

    Parameters
    ----------
    array : uint8, shape (I, J, K)
        Labels.
    to_voxel : float64, shape (4, 4)
        Mm of the source (RAS+) to voxels of ``array``.
    source : Source
        The slices.

    Returns
    -------
    uint8, shape (slices, rows, columns)
        0 outside ``array``.
    """
    out = np.zeros((len(source.planes), source.rows, source.columns), np.uint8)
    column, row = np.meshgrid(np.arange(source.columns), np.arange(source.rows))
    size = np.array(array.shape)[:, None, None]
    for number, plane in enumerate(source.planes):
        step = to_voxel @ plane
        place = step[:3, 0, None, None] * column + step[:3, 1, None, None] * row + step[:3, 3, None, None]
        index = np.rint(place).astype(np.int64)
        inside = ((index >= 0) & (index < size)).all(axis=0)
        out[number][inside] = array[tuple(index[:, inside])]
    return out
