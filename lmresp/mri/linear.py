"""Linear enhancement: thin films on the pia, told from vessels by shape."""

from __future__ import annotations

import dataclasses

import numpy as np
from scipy import ndimage

from lmresp.mri.enhancement import Enhancement, smooth
from lmresp.mri.methods import number
from lmresp.mri.normal_structures import plate_and_tube
from lmresp.mri.volume import Float, Mask


@dataclasses.dataclass(frozen=True, eq=False)
class Found:
    """Film of a scan.

    Parameters
    ----------
    mask : bool
        Voxels of film.
    vessels : bool
        Enhancing voxels set aside because they are shaped like tubes, or too few.
    volume_mm3 : float
        Sum over ``mask`` of the part of each voxel that enhances fully.
    components : list of (slice box, label volume index, volume_mm3, confidence)
        The largest pieces, for the list of findings.
    """

    mask: Mask
    vessels: Mask
    volume_mm3: float
    components: list[Component]


@dataclasses.dataclass(frozen=True, eq=False)
class Component:
    """One connected piece of film: its centre (voxel indices), volume and confidence."""

    voxel: tuple[float, float, float]
    volume_mm3: float
    confidence: float


def find(enhancement: Enhancement, search: Mask, depth: Float, full_signal: float, quality: float) -> Found:
    """Find film.

    Parameters
    ----------
    enhancement : Enhancement
        Map in white-matter units, and its noise.
    search : bool, shape of the map
        Brain with its sulcal CSF, without normal structures and nodules.
    depth : float32, shape of the map
        Depth below the brain surface in mm; shallow film is a weak finding (dura and bridging veins).
    full_signal : float
        Enhancement of a voxel filled with enhancing tissue (a part of the dural sinuses' enhancement).
    quality : float
        0 to 1, multiplies every confidence.

    Notes
    -----
    Candidates above ``max(0.12, 2.4 noise)`` grow from voxels above ``max(0.35, 6 noise)``; a 26-connected component is
    kept if it is large enough and its mean plate measure exceeds its mean tube measure. On phantoms this leaves a tenth
    of the false volume of a plain threshold: presence and change are the products, the single-visit volume is not.
    """
    e = enhancement.map
    values = smooth(e, number("enhancement.smooth_mm"))
    weak = max(number("linear.threshold"), number("linear.threshold_noise") * enhancement.noise)
    strong = max(number("linear.seed"), number("linear.seed_noise") * enhancement.noise)
    candidate = (values > weak) & search
    labels, count = ndimage.label(candidate, np.ones((3, 3, 3)))
    mask = np.zeros_like(search)
    components: list[Component] = []
    if count:
        plate, tube = plate_and_tube(e, candidate)
        flat = labels[candidate]
        size = np.bincount(flat, minlength=count + 1).astype(float)
        mean_plate = np.bincount(flat, plate, count + 1) / np.maximum(size, 1)
        mean_tube = np.bincount(flat, tube, count + 1) / np.maximum(size, 1)
        brightest = ndimage.maximum(values, labels, np.arange(count + 1))
        share = np.clip(e.array[candidate] / full_signal, 0, 1)
        volume = np.bincount(flat, share, count + 1) * e.voxel_mm3
        deep = np.bincount(flat, depth[candidate] > number("linear.convexity_mm"), count + 1) / np.maximum(size, 1)
        smallest = max(number("linear.smallest_mm3") / e.voxel_mm3, number("linear.smallest_voxels"))
        keep = (size >= smallest) & (mean_plate > mean_tube) & (np.asarray(brightest) > strong)
        keep[0] = False
        mask = keep[labels]
        centres = ndimage.center_of_mass(candidate, labels, np.flatnonzero(keep))
        for n, centre in zip(np.flatnonzero(keep), centres, strict=True):
            zone = 0.4 + 0.5 * float(deep[n])
            shape = min(1.0, 0.5 + 2 * float(mean_plate[n] - mean_tube[n]))
            signal = 1 - float(np.exp(-max(float(brightest[n]) / max(enhancement.noise, 1e-6) - 3, 0) / 3))
            confidence = round(quality * min(zone, shape, signal), 3)
            i, j, k = (float(c) for c in centre)
            components.append(Component((i, j, k), float(volume[n]), confidence))
    components.sort(key=lambda part: (-part.volume_mm3, part.voxel))
    total = float(np.clip(e.array[mask] / full_signal, 0, 1).sum()) * e.voxel_mm3
    return Found(mask, candidate & ~mask & (values > strong), total, components)
