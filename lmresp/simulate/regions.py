"""Regions of the leptomeninges in a phantom: the truth about where a film lies."""

from __future__ import annotations

from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from lmresp.simulate.anatomy import Anatomy
from lmresp.simulate.head import NERVE


class Region(StrEnum):
    """Where linear enhancement is reported."""

    CONVEXITY = "cerebral convexity sulci"
    CISTERNS = "basal cisterns"
    CEREBELLUM = "cerebellar folia"
    BRAIN_STEM = "brain stem surface"
    EPENDYMA = "ependyma"
    NERVES = "cranial nerves"


REGIONS = tuple(Region)
NERVE_REACH_MM = 3.5


def label(anatomy: Anatomy, box: tuple[slice, ...]) -> NDArray[np.uint8]:
    """Region of every voxel in a box of a head: its place in ``REGIONS``.

    Parameters
    ----------
    anatomy : Anatomy
        The head.
    box : tuple of slice
        Voxels along x, y, z.

    Returns
    -------
    array, uint8, of the size of the box
        Every voxel has a region, by its MNI coordinates (mm): the cerebellum lies below the tentorium and behind the
        brain stem; the brain stem within 17 mm of the midline; the basal cisterns below MNI zero within 32 mm of the
        midline, in front of the cerebellum; the ependyma is what touches the ventricles; the cranial nerves are the
        seventh and eighth, within 3.5 mm of their course; all the rest belongs to the convexity, with the fissures.
    """
    mni = anatomy.mni[(slice(None), *box)]
    x, y, z = mni
    aside = np.abs(x)
    # In increasing order of precedence.
    out = np.full(x.shape, REGIONS.index(Region.CONVEXITY), dtype=np.uint8)
    out[(z < 0) & (aside < 32) & (y > -44) & (y < 26)] = REGIONS.index(Region.CISTERNS)
    tentorium = 4 + np.minimum(y + 38, 0) * np.float32(0.3) - np.float32(0.36) * aside
    out[(z < tentorium) & ((y < -42) | (y < -30) & (aside > 16) & (z < -18))] = REGIONS.index(Region.CEREBELLUM)
    out[(aside < 17) & (y > -40) & (y < -10) & (z < -6)] = REGIONS.index(Region.BRAIN_STEM)
    for nerve in ([(side * a, b, c) for a, b, c in NERVE] for side in (-1, 1)):
        start, along = np.array(nerve[0], dtype=np.float32), np.subtract(nerve[-1], nerve[0]).astype(np.float32)
        rel = [mni[a] - start[a] for a in range(3)]
        where = np.clip(sum(rel[a] * along[a] for a in range(3)) / float(along @ along), 0, 1)
        away = sum((rel[a] - where * along[a]) ** 2 for a in range(3))
        out[away < NERVE_REACH_MM**2] = REGIONS.index(Region.NERVES)
    out[anatomy.ventricles[box] > 0.5] = REGIONS.index(Region.EPENDYMA)
    return out
