"""Removing the face from images of the head, so that a rendering of the skin shows nobody.

Everything in front of and below planes that run from the brow to the angle of the jaw is set to 0, and so are the
auricles; the brain mask with a margin is never touched. Shearing by a plane is the method of Schimke, Kuehler and Hale
("Preserving privacy in structural neuroimages", DBSec 2011, LNCS 6818:301); here the planes lie in template space, so
that it takes eyes, nose and mouth whatever the pose. The region is a function of world position, so one fit serves
every series of a session.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from functools import cache

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from lmresp.mri import brain, template
from lmresp.mri.methods import number, numbers
from lmresp.mri.registration import RegistrationError
from lmresp.mri.volume import Float, Mask, Matrix, Volume, coarse, resample, world_axes


class FaceError(ValueError):
    """Where the face is cannot be told with confidence; the image must not be exported."""


@dataclasses.dataclass(frozen=True, eq=False)
class Face:
    """Region of the face of one session, for any grid in the same world.

    Parameters
    ----------
    to_template : float64, shape (4, 4)
        World position of the session to template position (mm, RAS+).
    depth : Volume
        Distance to the brain mask on the grid of the head (mm, negative inside).
    head : Volume
        The head that was fitted, at about 4 mm.
    """

    to_template: Matrix
    depth: Volume
    head: Volume

    def removed(self, shape: tuple[int, int, int], affine: npt.NDArray[np.float64]) -> Mask:
        """Voxels of a grid that lie in the face.

        Parameters
        ----------
        shape : tuple of int
            Shape of the grid.
        affine : float64, shape (4, 4)
            Voxel index to world position of the session (mm, RAS+).

        Returns
        -------
        bool, shape ``shape``
            True where the voxel is to be set to 0: in the region, and at least ``deface.margin_mm``, plus half the
            longest voxel edge, from the brain mask and from the template's brain.
        """
        grid = Volume(np.broadcast_to(np.float32(0), shape), affine)
        region = _region(*world_axes(grid, self.to_template))
        at = np.argwhere(region)
        if not len(at):
            return region
        world = at @ affine[:3, :3].T + affine[:3, 3]
        margin = number("deface.margin_mm") + 0.5 * float(grid.spacing.max())
        region[tuple(at.T)] = self._distance(world) >= margin
        return region

    def _distance(self, world: npt.NDArray[np.float64]) -> Float:
        """Distance (mm) to the brain mask or the template's brain, whichever is nearer, at world positions (N, 3)."""
        in_template = world @ self.to_template[:3, :3].T + self.to_template[:3, 3]
        return np.minimum(_sampled(self.depth, world), _sampled(_template_distance(), in_template))

    def misfit(self, other: Volume) -> str:
        """Say why the region does not hold for another image of the session; empty when it does.

        Parameters
        ----------
        other : Volume
            Another series in the same world.

        Notes
        -----
        The outlines of the two heads (what is brighter than Otsu's background, filled) must agree where both look:
        Dice of at least ``deface.least_outline_dice``. A slice stack that moved against the head fails.
        """
        first, both = _outline(self.head), coarse(other, number("deface.outline_mm"))
        second = _outline(both)
        moved = resample(self.head.like(first), both) > 0.5
        seen = resample(self.head.like(np.ones(self.head.shape)), both) > 0.5
        ours, theirs = moved & seen, second & seen
        total = int(ours.sum() + theirs.sum())
        if total * both.voxel_mm3 / 1000 < number("deface.least_common_ml"):
            return "it shows too little of the head that was fitted"
        dice = 2.0 * float((ours & theirs).sum()) / total
        return (
            ""
            if dice >= number("deface.least_outline_dice")
            else "its head lies elsewhere than the one that was fitted"
        )


def find(volume: Volume) -> Face:
    """Find the face in a T1-weighted image of a head.

    Parameters
    ----------
    volume : Volume
        Whole head, or skull-stripped brain.

    Returns
    -------
    Face

    Raises
    ------
    FaceError
        If the template does not fit, its fit is implausible, or the brain is not found or not where the fit says.
    """
    volume = coarse(volume, number("deface.grid_mm"))
    try:
        frame = brain.locate(volume)
    except RegistrationError:
        raise FaceError("the template does not fit the head") from None
    low, high = numbers("deface.scale_range")
    stretch = np.linalg.svd(np.linalg.inv(frame.to_template)[:3, :3], compute_uv=False)
    if stretch.min() < low or stretch.max() > high or np.linalg.det(frame.to_template[:3, :3]) <= 0:
        raise FaceError("the fit of the template is implausible (its size)")
    expected = brain.first_mask(frame, volume)
    fitted = brain.prior(frame, volume, template.load().brain.array)[expected]
    if (
        expected.sum() < 2
        or float(fitted.std()) == 0
        or float(volume.array[expected].std()) == 0
        or np.corrcoef(fitted, volume.array[expected])[0, 1] < number("deface.least_correlation")
    ):
        raise FaceError("the fit of the template is implausible (what is inside is no brain)")
    found = brain.mask(volume)
    if found.method in ("template", "none"):  # an outline from the template alone can miss the temporal poles by 7 mm
        raise FaceError("the brain cannot be outlined well enough to be spared")
    mask = found.mask
    least, most = numbers("deface.brain_ml")
    if not least <= float(mask.sum()) * volume.voxel_mm3 / 1000 <= most:
        raise FaceError("the volume of the brain is implausible")
    dice = 2.0 * float((expected & mask).sum()) / max(1, int(expected.sum() + mask.sum()))
    if dice < number("deface.least_brain_dice"):
        raise FaceError("the fit of the template is implausible (the brain lies elsewhere)")
    depth = volume.like(brain.signed_distance(mask, volume))
    return Face(frame.to_template, depth, coarse(volume, number("deface.outline_mm")))


def _region(x: Float, y: Float, z: Float) -> Mask:
    """Where the face and the auricles are in the template, mm."""
    face = np.zeros(np.broadcast_shapes(x.shape, y.shape, z.shape), dtype=bool)
    for planes in numbers("deface.regions"):
        inside = [along_y * y + along_z * z + offset > 0 for along_y, along_z, offset in planes]
        face |= np.logical_and.reduce(inside)
    side, behind, before, below, above = numbers("deface.ear_box_mm")
    ears = (np.abs(x) > side) & (y > behind) & (y < before) & (z > below) & (z < above)
    return np.asarray(face | ears, dtype=bool)


@cache
def _template_distance() -> Volume:
    base = template.load()
    return base.brain.like(brain.signed_distance(base.mask, base.brain))


def _sampled(volume: Volume, world: npt.NDArray[np.float64]) -> Float:
    """Linear samples at world positions, shape (N, 3); infinite outside the grid."""
    inverse = np.linalg.inv(volume.affine)
    index = world @ inverse[:3, :3].T + inverse[:3, 3]
    inside = ((index >= -0.5) & (index <= np.array(volume.shape) - 0.5)).all(axis=1)
    values = ndimage.map_coordinates(volume.array, index.T, order=1, mode="nearest")
    return np.where(inside, values, np.inf).astype(np.float32)


def _outline(volume: Volume) -> Mask:
    """Head against background: above Otsu's threshold of the lower signal, closed and filled (Otsu 1979)."""
    from skimage import filters

    otsu: Callable[[Float], float] = filters.threshold_otsu  # which has no types
    values = np.minimum(volume.array, np.percentile(volume.array, 99))
    mask = values > 0.5 * float(otsu(values))
    return np.asarray(ndimage.binary_fill_holes(ndimage.binary_closing(mask, iterations=2)), dtype=bool)
