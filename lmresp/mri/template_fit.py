"""Where a deep point of the brain lies in the template: the subject's affine fit, refined by a deformation."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from lmresp.mri import template
from lmresp.mri.itk import sitk
from lmresp.mri.methods import number, numbers
from lmresp.mri.volume import Float, Mask, Matrix, Volume, resample, to_sitk, world_axes

Axes = tuple[Float, Float, Float]


@dataclasses.dataclass(frozen=True)
class Signals:
    """Typical T1 signal of CSF, grey and white matter."""

    csf: float
    grey: float
    white: float


def deep_box(grid: Volume, to_template: Matrix) -> tuple[slice, slice, slice]:
    """Return the part of a grid that holds the ventricles, with room for large ones (may be empty)."""
    low, high = np.array(numbers("template_fit.box_mm"), dtype=float)
    corners = np.stack(np.meshgrid(*np.stack([low, high], axis=1), [1.0], indexing="ij")).reshape(4, -1)
    voxel = (np.linalg.inv(to_template @ grid.affine) @ corners)[:3]
    first = np.clip(np.floor(voxel.min(axis=1)).astype(int), 0, grid.shape)
    last = np.clip(np.ceil(voxel.max(axis=1)).astype(int) + 1, first, grid.shape)
    i, j, k = (slice(int(a), int(b)) for a, b in zip(first, last, strict=True))
    return i, j, k


def cut(volume: Volume, box: tuple[slice, slice, slice]) -> Volume:
    """Return a box of a volume, at its place."""
    affine = volume.affine.copy()
    affine[:3, 3] = (volume.affine @ [*(s.start for s in box), 1.0])[:3]
    return Volume(np.ascontiguousarray(volume.array[box]), affine)


def signals(t1: Volume, mask: Mask, to_template: Matrix) -> Signals | None:
    """Read the signals of the three tissues where the template is sure of them; None if that makes no sense.

    Notes
    -----
    CSF is the lower quartile in the template's ventricles, grey and white matter the median where their probability
    exceeds 0.75 and 0.85.
    """
    base = template.load()
    inner = ndimage.binary_erosion(mask)
    found = []
    for values, least, percentile in ((base.ventricles, 0.9, 25), (base.grey, 0.75, 50), (base.white, 0.85, 50)):
        sure = inner & (resample(base.brain.like(values), t1, to_template) > least)
        if int(sure.sum()) < 20:
            return None
        found.append(float(np.percentile(t1.array[sure], percentile)))
    return Signals(*found) if found[0] < found[1] <= found[2] else None


def coordinates(t1: Volume, mask: Mask, to_template: Matrix, tissue: Signals) -> Axes:
    """Template coordinates of every voxel of the deep brain.

    Parameters
    ----------
    t1 : Volume
        T1-weighted signal before contrast, bias-corrected, cut to :func:`deep_box`.
    mask : bool, shape of ``t1``
        Brain.
    to_template : float64, shape (4, 4)
        World of the scan to world of the template (affine).
    tissue : Signals
        From :func:`signals`.

    Returns
    -------
    three float32 arrays, each of the shape of ``t1``
        x, y and z in template mm.

    Notes
    -----
    Diffeomorphic demons (Vercauteren et al., NeuroImage 2009;45:S61) on 4 and 2 mm voxels between the scan and a
    picture made of the template's tissue maps with this scan's own signals, so that the contrast is the same in both.
    """
    base = template.load()
    span = tissue.white - tissue.csf
    drawn = base.brain.like(base.grey * ((tissue.grey - tissue.csf) / span) + base.white)
    drawn = cut(drawn, deep_box(drawn, np.eye(4)))
    seen = np.clip((t1.array - tissue.csf) / span, 0, 1.1) * mask
    seen = ndimage.gaussian_filter(seen, number("template_fit.blur_mm") / t1.spacing)
    fixed = to_sitk(drawn.like(resample(t1.like(seen), drawn, np.asarray(np.linalg.inv(to_template), dtype=float))))
    field = _demons(fixed, to_sitk(drawn))
    shift = sitk.GetArrayFromImage(field).transpose(2, 1, 0, 3) * np.array([-1.0, -1.0, 1.0])  # LPS+ to RAS+
    x, y, z = (
        place + resample(drawn.like(shift[..., axis]), t1, to_template)
        for axis, place in enumerate(world_axes(t1, to_template))
    )
    return x, y, z


def carry(values: npt.NDArray[np.generic], axes: Axes) -> Float:
    """Sample a map of the template (on its grid) at template coordinates, linearly."""
    back = np.linalg.inv(template.load().brain.affine)
    voxel = [back[a, a] * axes[a] + back[a, 3] for a in range(3)]
    return np.asarray(ndimage.map_coordinates(np.asarray(values, np.float32), voxel, order=1), dtype=np.float32)


def _demons(fixed: Any, moving: Any) -> Any:
    """Displacement field from ``fixed`` to ``moving``, coarse to fine."""
    field = None
    for factor, steps in numbers("template_fit.levels"):
        pair = [
            sitk.Shrink(sitk.SmoothingRecursiveGaussian(p, 2.0), [factor] * 3) if factor > 1 else p
            for p in (fixed, moving)
        ]
        demons = sitk.DiffeomorphicDemonsRegistrationFilter()
        demons.SetNumberOfIterations(int(steps))
        demons.SetSmoothDisplacementField(True)
        demons.SetStandardDeviations(number("template_fit.elastic_voxels"))
        if field is None:
            field = demons.Execute(*pair)
        else:
            field = demons.Execute(*pair, sitk.Resample(field, pair[0], sitk.Transform(), sitk.sitkLinear))
    return field
