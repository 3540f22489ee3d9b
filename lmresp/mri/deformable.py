"""Movement between visits that a rigid transform cannot follow: enlarging ventricles push the brain around them.

Driven by the images before contrast only, so that it cannot absorb enhancement.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from lmresp.mri.itk import sitk
from lmresp.mri.methods import number, numbers
from lmresp.mri.volume import _RAS_LPS, Float, Mask, Matrix, Volume, coarse, to_sitk, to_sitk_transform


@dataclasses.dataclass(frozen=True, eq=False)
class Field:
    """Displacement on a coarse grid.

    Parameters
    ----------
    vectors : float32, shape (I, J, K, 3)
        mm, RAS+: a point of the fixed image lies at itself plus this in the moving image.
    affine : float64, shape (4, 4)
        Voxel to world of the grid.
    """

    vectors: npt.NDArray[np.float32]
    affine: Matrix


def needed(before_mm3: float | None, now_mm3: float | None) -> bool:
    """Whether ventricles changed so much that their walls have moved visibly.

    Parameters
    ----------
    before_mm3, now_mm3 : float or None
        Ventricle volumes of the two visits; None if not measured.
    """
    if before_mm3 is None or now_mm3 is None:
        return False
    moved = abs(now_mm3 - before_mm3)
    return moved > number("deformable.least_mm3") and moved > number("deformable.least_part") * before_mm3


def movement(fixed: Volume, moving: Volume, inside: Mask) -> Field:
    """Estimate where every point of the brain has gone.

    Parameters
    ----------
    fixed, moving : Volume
        T1 before contrast of the two visits on one lattice, aligned rigidly, both in units of white-matter signal.
    inside : bool
        Brain; nothing far outside it takes part.

    Returns
    -------
    Field
        Smooth, 0 far from the brain.

    Notes
    -----
    Fast symmetric forces demons (Vercauteren et al., NeuroImage 2009;45:S61) with the displacement smoothed at every
    step, on grids of 4 and 2 mm, one thread: the same bytes every time.
    """
    around = ndimage.binary_dilation(inside, iterations=max(1, round(3.0 / float(fixed.spacing.max()))))
    first, second = fixed.like(fixed.array * around), moving.like(moving.array * around)
    field: Any = None
    for mm, steps in numbers("deformable.levels"):
        target, source = to_sitk(coarse(first, mm)), to_sitk(coarse(second, mm))
        demons = sitk.FastSymmetricForcesDemonsRegistrationFilter()
        demons.SetNumberOfThreads(1)
        demons.SetNumberOfIterations(int(steps))
        demons.SetSmoothDisplacementField(True)
        demons.SetStandardDeviations(number("deformable.smooth_voxels"))
        if field is None:
            field = demons.Execute(target, source)
        else:
            finer = sitk.Resample(field, target, sitk.Transform(), sitk.sitkLinear, 0.0, sitk.sitkVectorFloat64)
            field = demons.Execute(target, source, finer)
    vectors = np.transpose(sitk.GetArrayFromImage(field), (2, 1, 0, 3)) @ _RAS_LPS[:3, :3]
    grid = coarse(first, float(numbers("deformable.levels")[-1][0]))
    return Field(np.round(vectors, 4).astype(np.float32), grid.affine)


def warp(moving: Volume, grid: Volume, field: Field, matrix: Matrix | None = None, *, how: str = "linear") -> Float:
    """Sample an image once through the movement and a rigid transform.

    Parameters
    ----------
    moving : Volume
        Image to sample.
    grid : Volume
        Lattice of the fixed visit; only its shape and affine are used.
    field : Field
        From :func:`movement`.
    matrix : float64, shape (4, 4), optional
        After the movement: world of the lattice to world of ``moving``; identity if not given.
    how : {"linear", "cubic", "nearest"}
        Interpolation.

    Returns
    -------
    float32, shape of ``grid``
        Sampled values, 0 outside ``moving``.
    """
    kinds = {"linear": sitk.sitkLinear, "cubic": sitk.sitkBSpline, "nearest": sitk.sitkNearestNeighbor}
    like = to_sitk(Volume(np.zeros(field.vectors.shape[:3], np.float32), field.affine))
    lps = np.ascontiguousarray(np.transpose(field.vectors @ _RAS_LPS[:3, :3], (2, 1, 0, 3)), dtype=np.float64)
    image = sitk.GetImageFromArray(lps, isVector=True)
    image.CopyInformation(like)
    # A composite applies the transform added last first: movement, then the rigid step.
    both = sitk.CompositeTransform(
        [to_sitk_transform(np.eye(4) if matrix is None else matrix), sitk.DisplacementFieldTransform(image)]
    )
    empty = to_sitk(Volume(np.zeros(grid.shape, np.float32), grid.affine))
    out = sitk.Resample(to_sitk(moving), empty, both, kinds[how], 0.0)
    return np.ascontiguousarray(sitk.GetArrayFromImage(out).T, dtype=np.float32)
