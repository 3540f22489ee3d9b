"""All scans of one subject in memory: align, measure in order of time, compare. What the workflow does job by job."""

from __future__ import annotations

from collections.abc import Mapping

from lmresp.mri import brain, space
from lmresp.mri.earlier import from_measurements
from lmresp.mri.measure import measure
from lmresp.mri.measurement import ScanMeasurement
from lmresp.mri.prepare import carrier
from lmresp.mri.subject_space import poses
from lmresp.mri.volume import Mask, Volume, VolumeError


def measure_subject(
    scans: Mapping[str, Mapping[str, Volume]], reference: str | None = None
) -> dict[str, ScanMeasurement]:
    """Measure the scans of a subject.

    Parameters
    ----------
    scans : mapping of str to mapping of str to Volume
        By name, in order of time: images by role (``post``, ``pre``, ``flair``, ``t2``) as acquired.
    reference : str, optional
        The reference scan; the first if not given.

    Returns
    -------
    dict of str to ScanMeasurement

    Raises
    ------
    VolumeError
        If a scan has no T1 or no head in it.
    """
    first = next(iter(scans)) if reference is None else reference
    heads = [space.Head(name, images[carrier(images)], _mask(images)) for name, images in scans.items()]
    heads.sort(key=lambda head: head.scan != first)
    common, placed = poses(heads)
    done: dict[str, ScanMeasurement] = {}
    for name, images in scans.items():
        if name not in placed:
            raise VolumeError(common.places[name].why)
        before = list(done.items())[list(done).index(first) :] if first in done else []
        done[name] = measure(images, placed[name], from_measurements(before, first) if before else None)
    return done


def _mask(images: Mapping[str, Volume]) -> Mask:
    return brain.mask(images[carrier(images)]).mask
