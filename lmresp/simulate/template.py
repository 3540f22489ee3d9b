"""The average brain under every phantom: the ICBM 152 2009a maps found inside the installed nilearn package.

The files are read where nilearn keeps them; nilearn itself is not imported (it is slow to import) and the files are
not copied. nilearn is under the 3-clause BSD licence. Of the template its own description
(``nilearn/datasets/description/icbm152_2009.rst``) says only::

    License
    -------
    unknown

and names as references Collins 1999, Fonov 2009 and Fonov 2011. That is why a phantom is made on the user's machine
and no phantom is shipped with this package.
"""

from __future__ import annotations

import dataclasses
from functools import cache
from importlib.metadata import distribution
from typing import Any

import nibabel as nib
import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

Volume = NDArray[np.float32]

_FILE = "nilearn/datasets/data/mni_icbm152_{}_tal_nlin_sym_09a_converted.nii.gz"
# The average maps fade out above z = -72 mm; below this height one slice is repeated, which gives a spinal canal.
LOWEST_Z_MM = -66.0


@dataclasses.dataclass(frozen=True)
class Template:
    """Average maps on one 1 mm grid (``brain``) and hull distance on a wider 2 mm grid.

    Attributes
    ----------
    gm, wm : array (197, 233, 189), float32
        Grey and white matter probability, 0 to 1.
    ventricles : array like ``gm``
        Membership, 0 to 1, of the lateral and third ventricles among the deep fluid.
    affine : array (4, 4)
        Voxel to MNI RAS mm of these maps.
    hull_distance : array, float32
        Signed distance in mm from the closed surface of the brain, negative inside.
    hull_affine : array (4, 4)
        Voxel to MNI RAS mm of ``hull_distance``.
    """

    gm: Volume
    wm: Volume
    ventricles: Volume
    affine: NDArray[np.float64]
    hull_distance: Volume
    hull_affine: NDArray[np.float64]


def _read(name: str) -> tuple[Volume, NDArray[np.float64]]:
    path = distribution("nilearn").locate_file(_FILE.format(name))
    image: Any = nib.load(str(path))
    values: Volume = (np.asarray(image.dataobj) / np.float32(255)).astype(np.float32)
    return values, np.asarray(image.affine, dtype=np.float64)


def _ball_close(mask: NDArray[np.bool_], radius: float) -> NDArray[np.bool_]:
    """Close a mask with a ball of ``radius`` voxels, by two distance maps."""
    grown = ndimage.distance_transform_edt(~mask) <= radius
    closed: NDArray[np.bool_] = ndimage.distance_transform_edt(grown) > radius
    return closed


def mni_grid(shape: tuple[int, ...], affine: NDArray[np.float64]) -> list[NDArray[np.float32]]:
    """Axis coordinates in mm, each broadcastable to ``shape``, of a grid without rotation."""
    lines = [affine[a, a] * np.arange(shape[a]) + affine[a, 3] for a in range(3)]
    return [line.astype(np.float32).reshape([-1 if b == a else 1 for b in range(3)]) for a, line in enumerate(lines)]


def _ventricles(fluid: Volume, hull: Volume, affine: NDArray[np.float64]) -> Volume:
    """Lateral and third ventricles: the connected deep fluid inside boxes (MNI mm) that leave the cisterns out.

    Out are the interhemispheric fissure, the space above the corpus callosum, the cistern of the velum interpositum
    (a triangle under the fornix that narrows upwards), the quadrigeminal and ambient cisterns, the choroidal
    fissures, the insula, the aqueduct and the suprasellar cistern. The third ventricle ends at the foramina of Monro
    in front, at the pineal recess behind, and at the height of its roof.
    """
    x, y, z = mni_grid(fluid.shape, affine)
    fissure = ((np.abs(x) < 7) & (y > 26)) | ((np.abs(x) < 9) & (y < -36)) | ((np.abs(x) < 6) & (z > 24))
    velum = (y < -5) & (np.abs(x) < np.interp(z, (2, 4, 8, 12, 16, 18), (28, 24, 20, 11, 6, 0)))
    below = (z < 2) & ((np.abs(x) < 28) & (y < 0) | (z < -4) & ((np.abs(x) < 33) | (y < -45)))
    insula = (np.abs(x) > 29) & (y > np.where(z < -4, -20, -34))
    lateral = (np.abs(x) < 44) & (y > -66) & (y < 40) & (z > -22) & (z < 36) & ~(fissure | velum | below | insula)
    third = (np.abs(x) <= 6) & (y >= -28) & (y <= 3) & (z >= -11) & (z <= 9) & ~((y < -22) & (z < -3))
    room = (lateral & (hull < -18)) | third
    labels, _ = ndimage.label((fluid > 0.4) & room)
    sizes = np.bincount(labels.ravel())
    sizes[0] = 0
    kept = np.isin(labels, np.flatnonzero(sizes >= 300))
    # Two voxels of margin keep the partial-volume rim of the wall.
    member: Volume = (ndimage.binary_dilation(kept, iterations=2) & room).astype(np.float32)
    return member


@cache
def load() -> Template:
    """Read the maps and derive hull and ventricles; once in a process (about 2 CPU-seconds).

    Returns
    -------
    Template

    Raises
    ------
    importlib.metadata.PackageNotFoundError
        If nilearn is not installed.
    """
    t1, affine = _read("t1")
    gm, _ = _read("gm")
    wm, _ = _read("wm")
    step = 2
    hull_affine = np.diag([step, step, step, 1.0])
    hull_affine[:3, 3] = (-104, -146, -124)
    shape = (105, 129, 121)
    coords = list(np.meshgrid(*[c.ravel() for c in mni_grid(shape, hull_affine)], indexing="ij"))
    coords[2] = np.maximum(coords[2], LOWEST_Z_MM)
    voxels = [c - affine[a, 3] for a, c in enumerate(coords)]
    brain = ndimage.map_coordinates(np.maximum(t1, gm + wm), voxels, order=1, mode="constant") > 0.15
    closed = ndimage.binary_fill_holes(_ball_close(brain, 5.0))
    outside, inside = ndimage.distance_transform_edt(~closed), ndimage.distance_transform_edt(closed)
    signed = ndimage.gaussian_filter((step * (outside - inside)).astype(np.float32), 1.5)

    one_mm = np.meshgrid(*[np.arange(n, dtype=np.float32) for n in t1.shape], indexing="ij")
    placed = [(one_mm[a] + affine[a, 3] - hull_affine[a, 3]) / step for a in range(3)]
    hull = ndimage.map_coordinates(signed, placed, order=1)
    fluid = np.clip(1 - gm - wm, 0, 1)
    return Template(gm, wm, _ventricles(fluid, hull, affine), affine, signed, hull_affine)
