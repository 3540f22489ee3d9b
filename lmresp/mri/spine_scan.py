"""The spine of one scan: which series of each region, and the reading aid made of them. No draft item rests on it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from lmresp.ingest.convert import UnreadableSeries, load_series
from lmresp.mri import images, spine
from lmresp.mri.canal import upright
from lmresp.mri.spine_regions import REGIONS
from lmresp.mri.volume import Volume, VolumeError, checked

_ROLES = {"T1_POST": "post", "T1_PRE": "pre", "T2": "t2"}
_LABELS = ("canal", "candidates")
_SUFFIX = {"post": "T1w", "pre": "T1w", "t2": "T2w"}
_MARGIN_MM = 15.0  # of the stored images about the box of the aid: the reader sees the vertebrae


def write_aids(
    study_folder: Path, record: Mapping[str, Any], reference: Mapping[str, Any] | None, folder: Path
) -> tuple[list[dict[str, Any]], dict[str, str]]:
    """Make the reading aid of every region of the spine that a scan holds.

    Parameters
    ----------
    study_folder : Path
        The study; ``files`` of the records are relative to it.
    record, reference : mapping
        Records of the scan and of its reference scan.
    folder : Path
        Folder of the scan's results; images go to ``anat``.

    Returns
    -------
    rows : list of dict
        One for each region, see :func:`lmresp.mri.spine.rows`; series that could not be read stand in ``why``.
    files : dict of str to str
        Images written, with their SHA-256.
    """
    rows: list[dict[str, Any]] = []
    files: dict[str, str] = {}
    for region in REGIONS:
        now, lost = _load(study_folder, record, region)
        if not now and not lost:
            continue
        before, lost_before = _load(study_folder, reference, region) if reference else ({}, [])
        found = spine.aid(now, before or None)
        row = spine.rows(region, found)
        row["why"] = [*lost, *(f"reference scan: {why}" for why in lost_before), *row["why"]]
        rows.append(row)
        for name, volume in sorted(found.images.items()):
            kind = "dseg" if name in _LABELS else "map"
            file = image_file(str(record["scan"]), region, name, kind)
            files[file] = images.write(folder / file, volume, labels=name in _LABELS)
        for name, volume in sorted(now.items()):
            file = image_file(str(record["scan"]), region, name, _SUFFIX[name])
            files[file] = images.write(folder / file, _about_the_canal(volume, found, name))
    return rows, files


def image_file(scan: str, region: str, name: str, kind: str) -> str:
    """File of one image of a region, relative to the scan's folder."""
    return f"anat/{scan}_acq-{region.lower()}_space-spine_desc-{name}_{kind}.nii.gz"


def _about_the_canal(volume: Volume, found: spine.RegionAid, name: str) -> Volume:
    """Return a series as acquired (axes in order), cut to the surroundings of the canal; all of it without a canal.

    Nothing is interpolated: where the canal lies in this series, ``found.matrices`` says.
    """
    whole = upright(volume)
    box = found.images.get("canal")
    if box is None:
        return whole
    ends = [(-0.5, n - 0.5) for n in box.shape]
    corners = np.stack(np.meshgrid(*ends, [1.0], indexing="ij")).reshape(4, -1)
    to_voxel = np.linalg.inv(whole.affine) @ found.matrices.get(name, np.eye(4)) @ box.affine
    voxel = (to_voxel @ corners)[:3]
    pad = _MARGIN_MM / whole.spacing
    low = np.clip(np.floor(voxel.min(axis=1) - pad), 0, None).astype(int)
    high = np.minimum(np.ceil(voxel.max(axis=1) + pad).astype(int) + 1, whole.shape)
    if (high <= low).any():
        return whole
    affine = whole.affine.copy()
    affine[:3, 3] = (whole.affine @ [*low, 1.0])[:3]
    part = tuple(slice(a, b) for a, b in zip(low, high, strict=True))
    return Volume(np.ascontiguousarray(whole.array[part]), affine)


def _load(study_folder: Path, record: Mapping[str, Any], region: str) -> tuple[dict[str, Volume], list[str]]:
    """Images of one region by role: of several the one with the finest voxels, the first of equals."""
    volumes: dict[str, Volume] = {}
    lost: list[str] = []
    for one in record["series"]:
        role = _ROLES.get(one["sequence"])
        if role is None or one["body_part"] != region or not one.get("use", True):
            continue
        try:
            image, _ = load_series(study_folder, one)
            volume = checked(np.asanyarray(image.dataobj), np.asarray(image.affine))
        except (UnreadableSeries, VolumeError) as error:
            lost.append(f"{one['series']}: {error}")
            continue
        if role not in volumes or volume.voxel_mm3 < volumes[role].voxel_mm3 * 0.99:
            volumes[role] = volume
    return volumes, lost
