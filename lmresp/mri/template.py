"""The ICBM152 2009a template (1 mm; stripped T1, grey and white matter maps), read from the installed nilearn package.

The files stay in that package: they are neither copied nor redistributed, and nilearn itself is not imported.
Fonov et al., NeuroImage 2011;54:313.
"""

from __future__ import annotations

import dataclasses
import gzip
from collections.abc import Sequence
from functools import cache, cached_property
from importlib.util import find_spec
from pathlib import Path

import nibabel as nib
import numpy as np
from scipy import ndimage

from lmresp.mri.methods import number, numbers
from lmresp.mri.volume import Float, Mask, Volume, world_axes


@dataclasses.dataclass(frozen=True, eq=False)
class Template:
    """Template images on one grid of about 2 mm.

    Parameters
    ----------
    brain : Volume
        Stripped T1.
    mask : bool
        Brain with all its CSF.
    grey, white, csf : float32
        Probabilities, 0 to 1; CSF is what is left inside the mask.
    ventricles : bool
        Core of the lateral ventricles and of the third: connected deep CSF without the cisterns.
    """

    brain: Volume
    mask: Mask
    grey: Float
    white: Float
    csf: Float
    ventricles: Mask

    @cached_property
    def head(self) -> Volume:
        """The brain with a dark skull and a bright scalp drawn around it, so that it looks like a whole head."""
        return self.brain.like(_with_head(self.brain, self.mask))


def _read(name: str) -> Volume:
    spec = find_spec("nilearn")
    if spec is None or not spec.submodule_search_locations:
        raise ModuleNotFoundError("nilearn is needed for its ICBM152 template files")
    path = (
        Path(spec.submodule_search_locations[0])
        / "datasets"
        / "data"
        / f"mni_icbm152_{name}_tal_nlin_sym_09a_converted.nii.gz"
    )
    image = nib.Nifti1Image.from_bytes(gzip.decompress(path.read_bytes()))
    fine = np.asarray(image.dataobj)
    i, j, k = (n // 2 for n in fine.shape)
    halved = fine[: 2 * i, : 2 * j, : 2 * k].reshape(i, 2, j, 2, k, 2).mean(axis=(1, 3, 5), dtype=np.float32)
    affine = np.asarray(image.affine, dtype=float) @ np.array(
        [[2, 0, 0, 0.5], [0, 2, 0, 0.5], [0, 0, 2, 0.5], [0, 0, 0, 1.0]]
    )
    return Volume(np.ascontiguousarray(halved), affine)


@cache
def load() -> Template:
    """Read the template once per process.

    Raises
    ------
    ModuleNotFoundError
        If nilearn is not installed: a broken installation, not a fault of the data.
    """
    t1, grey, white = (_read(name) for name in ("t1", "gm", "wm"))
    grey_p, white_p = grey.array / 255.0, white.array / 255.0
    mask = ndimage.binary_fill_holes(ndimage.binary_opening(t1.array > 20, iterations=1))
    csf = np.clip(1.0 - grey_p - white_p, 0, 1) * mask
    return Template(t1, mask, grey_p, white_p, csf.astype(np.float32), _ventricles(t1, mask, csf))


def within(axes: Sequence[Float], name: str) -> Mask:
    """Voxels whose template coordinates lie in any box of a parameter.

    Parameters
    ----------
    axes : three float32 arrays of one shape
        x, y and z in template mm.
    name : str
        Parameter: rows of name, |x| from, to, y from, to, z from, to.
    """
    aside, y, z = np.abs(axes[0]), axes[1], axes[2]
    out = np.zeros(aside.shape, dtype=bool)
    for _, left, right, back, front, low, high in numbers(name):
        out |= (aside >= left) & (aside < right) & (y >= back) & (y < front) & (z >= low) & (z < high)
    return out


def _ventricles(t1: Volume, mask: Mask, csf: Float) -> Mask:
    """Fluid of the lateral and third ventricles: connected, deep, and inside their anatomical limits."""
    axes = world_axes(t1)
    deep = ndimage.distance_transform_edt(mask, sampling=t1.spacing) > number("ventricles.depth_mm")
    lateral = deep & within(axes, "ventricles.lateral_mm") & ~within(axes, "ventricles.cisterns_mm")
    labels, _ = ndimage.label((csf > 0.4) & (lateral | within(axes, "ventricles.third_mm")))
    sizes = np.bincount(labels.ravel()) * t1.voxel_mm3
    sizes[0] = 0
    return np.asarray(np.isin(labels, np.flatnonzero(sizes > number("ventricles.least_mm3"))), dtype=bool)


def _with_head(t1: Volume, mask: Mask) -> Float:
    """Draw a scalp: without it a stripped template pulls towards the scalp of a whole head."""
    outside = ndimage.distance_transform_edt(~mask, sampling=t1.spacing)
    inner, outer = number("brain.scalp_inner_mm"), number("brain.scalp_outer_mm")
    _, _, z = world_axes(t1)
    scalp = (outside > inner) & (outside <= outer) & (z > -45)
    bright = float(np.percentile(t1.array[mask], 95))
    return np.where(scalp, bright, t1.array * mask).astype(np.float32)
