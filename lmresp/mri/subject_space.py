"""One job per subject: align the T1 images of all scans and write the subject's common space."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from lmresp import store
from lmresp.ingest.convert import UnreadableSeries, load_series
from lmresp.ingest.roles import choose_roles
from lmresp.mri import brain, lattice, space
from lmresp.mri.files import space_file
from lmresp.mri.measurement import Pose
from lmresp.mri.prepare import carrier
from lmresp.mri.volume import VolumeError, checked

FORMAT = "lmresp-space/1"


def align_subject(study_folder: Path, records: Sequence[Mapping[str, Any]], results: Path) -> dict[str, Any]:
    """Align a subject's scans and write ``<subject>_space.json``.

    Parameters
    ----------
    study_folder : Path
        The study; ``files`` of the records are relative to it.
    records : sequence of mapping
        Scan records of one subject in order of time.
    results : Path
        ``derivatives/lmresp``.

    Returns
    -------
    dict
        As written: ``to_template``, ``box_mm`` and, by scan, ``to_common``, ``aligned``, ``why``, ``checks``. A scan
        without a readable T1 of a head has ``to_common`` null and says why; nothing in the data raises.
    """
    heads, why = [], {}
    # The reference scan first: what the others are registered to before the mean of all poses is taken.
    for record in sorted(records, key=lambda r: not r["is_reference"]):
        try:
            heads.append(_head(study_folder, record))
        except (UnreadableSeries, VolumeError) as error:
            why[record["scan"]] = str(error)
    common, placed = poses(heads)
    scans: dict[str, Any] = {scan: {"to_common": None, "why": reason, "checks": []} for scan, reason in why.items()}
    for scan, place in common.places.items():
        pose = placed.get(scan)
        entry = {"to_common": None, "why": place.why, "checks": place.checks}
        if pose is not None:
            entry |= {"to_common": pose.to_common.tolist(), "box_mm": pose.box.tolist()}
        scans[scan] = entry
    out = {
        "format": FORMAT,
        "to_template": common.to_template.tolist(),
        "scans": {scan: scans[scan] for scan in sorted(scans)},
    }
    store.write_json(space_file(results, str(records[0]["scan"]).split("_", 1)[0]), out)
    return out


def poses(heads: Sequence[space.Head]) -> tuple[space.Space, dict[str, Pose]]:
    """Align heads and give each that has a place its pose; aligned scans share one box, and so their lattices.

    Parameters
    ----------
    heads : sequence of Head
        The subject's scans, the reference scan first.

    Returns
    -------
    common : Space
    poses : dict of str to Pose
        Without the heads that have no place at all.
    """
    common = space.align(heads)
    boxes = {
        head.scan: lattice.brain_box(head.mask, head.anchor.affine, matrix)
        for head in heads
        if (matrix := common.places[head.scan].to_common) is not None
    }
    shared = [box for scan, box in boxes.items() if not common.places[scan].why]
    if shared:
        whole = np.stack([np.min([b[0] for b in shared], axis=0), np.max([b[1] for b in shared], axis=0)])
        boxes |= {scan: whole for scan in boxes if not common.places[scan].why}
    out = {}
    for scan, place in common.places.items():
        if place.to_common is not None:
            out[scan] = Pose(place.to_common, common.to_template, boxes[scan], place.why, place.checks)
    return common, out


def read_pose(results: Path, scan: str) -> Pose:
    """Read where a scan lies.

    Raises
    ------
    VolumeError
        If it has no place: no readable T1, or no head in it.
    """
    stored = store.read_json(space_file(results, scan.split("_", 1)[0]))
    entry = stored["scans"][scan]
    if entry["to_common"] is None:
        raise VolumeError(entry["why"])
    return Pose(
        to_common=np.array(entry["to_common"]),
        to_template=np.array(stored["to_template"]),
        box=np.array(entry["box_mm"]),
        why=entry["why"],
        checks=entry["checks"],
    )


def _head(study_folder: Path, record: Mapping[str, Any]) -> space.Head:
    roles = choose_roles(record["series"])
    role = roles[carrier(roles)]
    series = next(one for one in record["series"] if one["series"] == role.series)
    image, _ = load_series(study_folder, series)
    volume = checked(np.asanyarray(image.dataobj), np.asarray(image.affine))
    return space.Head(str(record["scan"]), volume, brain.mask(volume).mask)
