"""Change of enhancement between two visits on one lattice: what exceeds a rescan, by voxel and summed over a region.

What a rescan would show is measured in the two images themselves: noise and residual bias in tissue that does not
enhance, dose, timing and residual misregistration in vessels and other structures that enhance normally.
"""

from __future__ import annotations

import dataclasses

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from lmresp.mri.methods import number
from lmresp.mri.volume import Float, Mask, Volume


@dataclasses.dataclass(frozen=True, eq=False)
class State:
    """One visit on the common lattice; all arrays of one shape.

    Parameters
    ----------
    map : Volume
        E, enhancement in units of white-matter signal.
    pre : float32
        T1 before contrast in units of white-matter signal.
    noise : float
        Noise of E.
    full_signal : float
        E of a voxel full of enhancing tissue, from the large veins of this visit.
    film : bool
        Film found at this visit.
    nodules : bool
        Nodules found at this visit.
    """

    map: Volume
    pre: Float
    noise: float
    full_signal: float
    film: Mask
    nodules: Mask


@dataclasses.dataclass(frozen=True)
class Net:
    """Enhancement-equivalent volume of a region: voxels weighted by their part of full enhancement.

    Parameters
    ----------
    before_mm3 : float
        At the earlier visit.
    change_mm3 : float
        Now less before, after scaling to the dose of the earlier visit.
    sd_mm3 : float
        Standard deviation of ``change_mm3`` between two scans of an unchanged head.
    """

    before_mm3: float
    change_mm3: float
    sd_mm3: float


@dataclasses.dataclass(frozen=True, eq=False)
class Changed:
    """Enhancement that came or went.

    Parameters
    ----------
    up_mm3, down_mm3 : float
        Volume above the noise floor outside nodules, weighted by the size of the change.
    floor_mm3 : float
        Volume that a rescan without change may show.
    up, down : bool
        Voxels.
    hidden_up_mm3, hidden_down_mm3 : float
        The same where nothing is drafted: zones of normal enhancement and the outermost rim of the brain.
    gone : bool
        Voxels that lost enhancement, drafted or not.
    film : Net
        Film of either visit together.
    gain, gain_sd : float
        Factor that brings the current visit to the dose of the earlier one, and its relative standard deviation.
    tissue_sd : float
        Standard deviation of the difference, averaged over a block of tissue that enhances at neither visit (part of
        full enhancement).
    vessel_sd : float
        Relative standard deviation between blocks of vessels.
    difference, before : float32
        Now less before, and before, as parts of full enhancement.
    grid : Volume
        Their lattice.
    """

    up_mm3: float
    down_mm3: float
    floor_mm3: float
    up: Mask
    down: Mask
    hidden_up_mm3: float
    hidden_down_mm3: float
    gone: Mask
    film: Net
    gain: float
    gain_sd: float
    tissue_sd: float
    vessel_sd: float
    difference: Float
    before: Float
    grid: Volume

    def net(self, inside: Mask) -> Net:
        """Sum over a region, with the uncertainty of that sum.

        Notes
        -----
        Blocks of ``change.block_mm`` are independent, voxels within one are not. Three errors add in squares: what a
        block of tissue shows, what a block of vessel shows as part of its enhancement, and the error of the gain,
        which all blocks share.
        """
        voxel = self.grid.voxel_mm3
        blocks, _ = _blocks(self.grid, inside)
        count = np.bincount(blocks).astype(float)
        strength = np.bincount(blocks, np.maximum(self.before[inside] + 0.5 * self.difference[inside], 0))
        variance = (self.tissue_sd * count) ** 2 + (self.vessel_sd * strength) ** 2
        spread = float(variance.sum()) + (self.gain_sd * float(strength.sum())) ** 2
        return Net(
            float(self.before[inside].sum(dtype=np.float64)) * voxel,
            float(self.difference[inside].sum(dtype=np.float64)) * voxel,
            float(np.sqrt(spread)) * voxel,
        )


def compare(now: State, before: State, *, search: Mask, hidden: Mask, normal: Mask) -> Changed:
    """Compare two visits; the earlier one may be the reference or the nadir.

    Parameters
    ----------
    now, before : State
        On one lattice.
    search : bool
        Where change counts: brain, without normal structures.
    hidden : bool
        Where nothing is drafted, so that change there must make the draft abstain.
    normal : bool
        What enhances normally and has not changed: sinuses, veins, other vessels. Gain and noise floor come from here.

    Returns
    -------
    Changed

    Notes
    -----
    ``z = D / sqrt(noise^2 + (slip |grad pre|)^2 + (slip |grad E|)^2 + (timing max(|Ea|, |Eb|))^2)`` with D the
    smoothed difference (imaging reference, 4.3). z is then divided by what its tails are in unaffected tissue, apart
    for tissue that enhances (``normal``) and tissue that does not, so that the limit of 4 means the same in every
    pair of scans. Film is compared as a sum over the film of both visits: selecting by both favours neither.
    """
    grid = before.map
    lumps = ndimage.binary_dilation(now.nodules | before.nodules, iterations=2)
    film = now.film | before.film
    gain, gain_sd, vessel_sd = _gain(now, before, normal & ~lumps & ~film)
    current = gain * now.map.array
    raw = current - before.map.array
    largest = ndimage.maximum_filter(np.maximum(np.abs(current), np.abs(before.map.array)), size=3)
    quiet = search & ~ndimage.binary_dilation(film, iterations=2) & ~lumps
    quiet &= largest < number("change.quiet") * before.full_signal
    smoothed = _smooth(raw, grid)
    z = smoothed / np.sqrt(_variance(now, before, current, largest))
    bright = normal & ~lumps & ~film & (largest >= number("change.quiet") * before.full_signal)
    z /= np.where(largest < number("change.quiet") * before.full_signal, _tail(z[quiet]), _tail(z[bright]))
    clear = (np.abs(smoothed) > number("change.least")) & (np.abs(z) > number("change.z"))
    up, down = (_solid((sign * z > 0) & clear & search, grid) for sign in (1, -1))
    hidden_up, hidden_down = (_solid((sign * z > 0) & clear & hidden, grid) for sign in (1, -1))
    weight = np.clip(np.abs(smoothed) / before.full_signal, 0, 1) * grid.voxel_mm3
    scale = np.float32(1.0 / before.full_signal)
    changed = Changed(
        up_mm3=float(weight[up & ~lumps].sum()),
        down_mm3=float(weight[down & ~lumps].sum()),
        floor_mm3=number("change.floor_mm3") * max(1.0, float(np.cbrt(grid.voxel_mm3))),
        up=up,
        down=down,
        hidden_up_mm3=float(weight[hidden_up].sum()),
        hidden_down_mm3=float(weight[hidden_down].sum()),
        gone=down | hidden_down,
        film=Net(0.0, 0.0, 0.0),
        gain=gain,
        gain_sd=gain_sd,
        tissue_sd=_block_sd(raw * scale, quiet, grid),
        vessel_sd=vessel_sd,
        difference=raw * scale,
        before=before.map.array * scale,
        grid=grid,
    )
    around = ndimage.binary_dilation(film) & ~lumps & (search | film)
    return dataclasses.replace(changed, film=changed.net(around))


def _variance(now: State, before: State, current: Float, largest: Float) -> Float:
    """Expected variance of the smoothed difference in an unchanged head."""
    grid = before.map
    slip = max(number("change.slip_mm"), number("change.slip_voxels") * float(grid.spacing.max()))
    # Enhancement has edges of its own, and they slip too.
    edges = _steepness(0.5 * (now.pre + before.pre), grid)
    own = _steepness(0.5 * (current + before.map.array), grid)
    out = (slip**2) * (edges + number("change.own_edges") ** 2 * own) + (number("change.timing") * largest) ** 2
    return np.asarray(out + np.float32((0.5 * np.hypot(now.noise, before.noise)) ** 2), dtype=np.float32)


def _gain(now: State, before: State, normal: Mask) -> tuple[float, float, float]:
    """Gain to the earlier visit, its relative standard deviation, and that of one block of vessels.

    Notes
    -----
    Log ratio of the sums of E in blocks of normally enhancing voxels; their median and 1.4826 MAD. Voxels are chosen
    by the mean of both visits, so that neither is favoured. Too few blocks: the ratio of the two full signals. Film
    holds less agent than a vein and does not scale with dose quite as a vein does: ``change.dose_sd``.
    """
    first = float(np.clip(before.full_signal / max(now.full_signal, 1e-6), 0.5, 2.0))
    grid = before.map
    mean = 0.5 * (first * now.map.array + before.map.array)
    chosen = normal & (mean > number("change.vessel") * before.full_signal)
    blocks, total = _blocks(grid, chosen)
    count = np.bincount(blocks, minlength=total)
    sums = [np.bincount(blocks, state.map.array[chosen], minlength=total) for state in (now, before)]
    good = (count * grid.voxel_mm3 >= number("change.least_block_mm3")) & (sums[0] > 0) & (sums[1] > 0)
    if int(good.sum()) < 8:
        return first, float(np.hypot(number("change.dose_sd"), number("change.timing"))), number("change.timing")
    ratio = np.log(sums[1][good] / sums[0][good])
    middle = float(np.median(ratio))
    block_sd = 1.4826 * float(np.median(np.abs(ratio - middle)))
    error = 1.2533 * block_sd / np.sqrt(good.sum())
    return float(np.exp(middle)), float(np.hypot(number("change.dose_sd"), error)), block_sd


def _block_sd(difference: Float, quiet: Mask, grid: Volume) -> float:
    """Robust standard deviation of the mean difference of blocks of quiet tissue, bias between the visits included."""
    blocks, total = _blocks(grid, quiet)
    count = np.bincount(blocks, minlength=total)
    good = count * grid.voxel_mm3 >= number("change.least_block_mm3")
    if int(good.sum()) < 8:
        return 0.0
    means = np.bincount(blocks, difference[quiet], minlength=total)[good] / count[good]
    return 1.4826 * float(np.median(np.abs(means)))


def _blocks(grid: Volume, inside: Mask) -> tuple[npt.NDArray[np.int64], int]:
    """Number of the cubic block that each voxel of a mask lies in, and how many numbers there are."""
    steps = np.maximum(1, np.round(number("change.block_mm") / grid.spacing)).astype(int)
    counts = -(-np.array(grid.shape) // steps)
    i, j, k = (index // step for index, step in zip(np.nonzero(inside), steps, strict=True))
    return np.asarray((i * counts[1] + j) * counts[2] + k, dtype=np.int64), int(counts.prod())


def _tail(z: npt.NDArray[np.floating]) -> float:
    """How wide the distribution is against a normal one, at its 99th percentile; at least ``change.least_tail``.

    The percentile of |z|: change of less than one percent of the tissue does not move it.
    """
    if z.size < 500:
        return 1.0
    return max(number("change.least_tail"), float(np.percentile(np.abs(z), 99)) / 2.576)


def _smooth(array: Float, grid: Volume) -> Float:
    sigma = [max(number("change.smooth_mm") / s, 0.4) for s in grid.spacing]
    return np.asarray(ndimage.gaussian_filter(array, sigma), dtype=np.float32)


def _steepness(array: Float, grid: Volume) -> Float:
    """Squared length of the gradient per mm."""
    total = np.zeros(grid.shape, np.float32)
    for axis, s in enumerate(grid.spacing):
        total += np.gradient(array, float(s), axis=axis).astype(np.float32) ** 2
    return total


def _solid(mask: Mask, grid: Volume) -> Mask:
    """Keep 26-connected components of at least ``change.smallest_mm3``."""
    labels, _ = ndimage.label(mask, np.ones((3, 3, 3)))
    sizes = np.bincount(labels.ravel())
    keep = sizes >= max(number("change.smallest_voxels"), number("change.smallest_mm3") / grid.voxel_mm3)
    keep[0] = False
    return np.asarray(keep[labels], dtype=bool)
