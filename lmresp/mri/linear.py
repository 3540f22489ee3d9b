"""Linear enhancement: film on the pia, told from vessels by how much of the pia around it enhances.

A vein in a sulcus touches the pia along a line, a film covers it. So the question is asked of patches of pia some
9 mm wide: what part of the pial surface enhances? That needs no brightness: faint film is found by patches where
single voxels drown in noise, and a bright vein covers too little to count.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from lmresp.mri import film, pia, regions, vessels
from lmresp.mri.enhancement import Enhancement, smooth
from lmresp.mri.film import Labels
from lmresp.mri.methods import number
from lmresp.mri.normal_structures import Dura, Zones, dura
from lmresp.mri.volume import Float, Mask, Matrix, Volume


@dataclasses.dataclass(frozen=True, eq=False)
class Surroundings:
    """What is known about a head before film is looked for; all arrays on the grid of the enhancement map.

    Parameters
    ----------
    mask : bool
        Brain with its CSF.
    csf : float32
        CSF fraction from the scan before contrast, 0 to 1.
    depth : float32
        Depth below the surface of ``mask`` in mm.
    ventricle : bool
        Lateral and third ventricles.
    zones : Zones
        Where enhancement is normal by place.
    regions : Regions
        Region and parcel of each voxel.
    """

    mask: Mask
    csf: Float
    depth: Float
    ventricle: Mask
    zones: Zones
    regions: regions.Regions

    def cut(self, box: tuple[slice, ...]) -> Surroundings:
        """Cut every array to a box."""
        places = {field.name: getattr(self.zones, field.name)[box] for field in dataclasses.fields(self.zones)}
        named = regions.Regions(self.regions.map[box], self.regions.parcels[box])
        arrays = (self.mask[box], self.csf[box], self.depth[box], self.ventricle[box])
        return Surroundings(*arrays, Zones(**places), named)


@dataclasses.dataclass(frozen=True, eq=False)
class Found:
    """Film of a scan.

    Parameters
    ----------
    mask : bool
        Voxels of film.
    labels : int32
        Number of the component of each voxel; 0 elsewhere.
    normal : bool
        Enhancing voxels set aside: vessels, dura, and film-like sheets in zones of normal enhancement.
    vessels : Vessels
        The vessel trees.
    volume_mm3 : float
        Volume as if the film enhanced by ``full_signal`` of the sinuses; fainter film counts in proportion.
    uncertainty_mm3 : float
        Standard uncertainty of ``volume_mm3``.
    area_mm2 : float
        Pial surface covered.
    components : list of Component
        Largest first.
    regions : list of RegionFilm
        In the order of ``regions.NAMES``; all of them, also without film.
    diffuse_dura : bool
        The dura enhances diffusely.
    level : float
        Least enhancement, white-matter units, that a patch of this head's pia must reach.
    notes : tuple of str
        What could not be told.
    """

    mask: Mask
    labels: Labels
    normal: Mask
    vessels: vessels.Vessels
    volume_mm3: float
    uncertainty_mm3: float
    area_mm2: float
    components: list[film.Component]
    regions: list[film.RegionFilm]
    diffuse_dura: bool
    level: float
    notes: tuple[str, ...]


def find(
    enhancement: Enhancement,
    head: Surroundings,
    away: Mask,
    veins: float,
    quality: float,
    to_template: Matrix,
    voids: Mask | None = None,
) -> Found:
    """Find film.

    Parameters
    ----------
    enhancement : Enhancement
        Map in white-matter units, and its noise.
    head : Surroundings
        Tissue, zones and regions of the head.
    away : bool, shape of the map
        Where film is not looked for: nodules and two voxels around them.
    veins : float
        Enhancement of the dural sinuses (:func:`lmresp.mri.normal_structures.sinus_signal`).
    quality : float
        0 to 1, multiplies every confidence.
    to_template : float64, shape (4, 4)
        World position in the scan to the template's, for the mirror image.
    voids : bool, optional
        Flow voids (:func:`lmresp.mri.vessels.flow_voids`): what enhances there is a vessel.

    Returns
    -------
    Found

    Notes
    -----
    1. Pia: voxels with fluid on the border of tissue; its surface is the slope of the CSF fraction.
    2. The head's own background (median by CSF fraction and depth) is subtracted; its spread sets the least
       enhancement that counts. Film over more than half of the pia would hide in that median.
    3. Zones of normal enhancement, dura and sinuses continuous with them, and vessel trees leave the pia.
    4. Patches of which ``linear.coverage`` of the pia enhances are film; it is traced to its edge nearby.
    5. Components that are too doubtful (little of the pia covered, or small and at the edge of normal structures) are
       set aside.

    The volume is the integral of enhancement over the film and one voxel around it, divided by that of a voxel full of
    film: blur does not change it, a lower concentration does, in proportion.
    """
    whole = enhancement.map
    box = _box(head.mask, whole)
    affine = whole.affine.copy()
    affine[:3, 3] = (whole.affine @ [*(s.start for s in box), 1.0])[:3]
    e, head = Volume(np.ascontiguousarray(whole.array[box]), affine), head.cut(box)
    values = smooth(e, number("enhancement.smooth_mm"))
    surface = pia.border(head.csf, head.mask, ndimage.binary_erosion(head.ventricle), head.depth, e)
    raised = pia.above_background(values, surface, head.mask, head.depth)
    level = pia.least_enhancement(raised, surface, head.mask, head.depth)
    enhances = raised > level

    outer = dura(values, head.mask, head.depth, e, veins)
    closed = _closed(values, head.zones, veins, e) | outer.mask
    inside = head.mask | (head.depth > -number("normal.dura_rim_mm"))
    least = number("linear.vessel_noise") * enhancement.noise
    trees = vessels.find(e, values, inside, head.zones.vessels | outer.mask, least, veins)
    tubes = trees.mask if voids is None else trees.mask | (voids[box] & inside & (values > least))
    shut = closed | away[box] | ~head.mask
    together, _ = pia.coverage(enhances, surface.surface * ~shut, e)
    folds = (together > number("linear.coverage_over_vessel")) & (values < number("linear.film_below") * veins)
    tubes &= ~folds if voids is None else ~folds | voids[box]
    free = ~(shut | tubes)

    covered, left = pia.coverage(enhances, surface.surface * (free & ~ndimage.binary_dilation(tubes)), e)
    core = surface.mask & enhances & free & (covered > number("linear.coverage")) & (left > number("linear.least_pia"))
    candidate = _dilated(core, number("linear.grow_mm"), e) & enhances & free
    candidate &= (head.depth > number("linear.least_depth_mm")) & (surface.fluid > number("linear.film_fluid"))
    candidate &= ~ndimage.binary_erosion(head.ventricle)
    edge = _dilated(closed & (values > number("linear.sinus_rim") * veins), number("linear.edge_mm"), e)
    labels = _components(candidate, core, e)
    sheet = head.zones.sheets & ~outer.mask & ~tubes & ~away[box] & head.mask & enhances
    labels = _into(labels, sheet & (values < number("linear.film_below") * veins), e)
    trees = dataclasses.replace(trees, mask=tubes, rooted=trees.rooted & tubes)
    share = raised / (number("linear.full_signal") * veins)
    pieces = film.Film.around(labels, free | (labels > 0), share, surface.surface, head.regions)
    mirror = film.mirrored(labels, enhances, e, to_template)
    described = film.describe(pieces, covered, edge, mirror, head.depth, e)
    doubtful = [part.label for part in described if part.confidence < number("linear.least_confidence")]
    refused = np.isin(labels, doubtful)
    labels = np.where(refused, 0, labels)
    pieces = pieces.without(doubtful, labels)
    components = [
        dataclasses.replace(part, confidence=round(quality * part.confidence, 3))
        for part in described
        if part.label not in doubtful
    ]
    volume = sum(part.volume_mm3 for part in components)
    normal = tubes | refused | (closed & head.mask & (values > number("linear.sinus_rim") * veins))
    return Found(
        mask=_whole(labels > 0, whole, box),
        labels=_whole(labels, whole, box),
        normal=_whole(normal, whole, box),
        vessels=dataclasses.replace(
            trees, mask=_whole(trees.mask, whole, box), rooted=_whole(trees.rooted, whole, box)
        ),
        volume_mm3=volume,
        uncertainty_mm3=float(np.hypot(number("linear.uncertainty_mm3"), number("linear.uncertainty_share") * volume)),
        area_mm2=sum(part.area_mm2 for part in components),
        components=components,
        regions=film.by_region(pieces, components, e),
        diffuse_dura=outer.diffuse,
        level=level,
        notes=_notes(outer, trees, refused, e),
    )


_CROSS = ndimage.generate_binary_structure(3, 1)


def _box(mask: Mask, grid: Volume) -> tuple[slice, ...]:
    """Box of a mask and 5 mm around it."""
    found = ndimage.find_objects(mask.astype(np.int8))
    if not found:
        raise ValueError("the brain mask is empty")
    margin = np.ceil(5 / grid.spacing).astype(int)
    return tuple(
        slice(max(0, s.start - int(m)), min(n, s.stop + int(m)))
        for s, m, n in zip(found[0], margin, grid.shape, strict=True)
    )


def _whole(part: npt.NDArray[np.generic], grid: Volume, box: tuple[slice, ...]) -> npt.NDArray[Any]:
    out = np.zeros(grid.shape, part.dtype)
    out[box] = part
    return out


def _dilated(mask: Mask, mm: float, grid: Volume, within: Mask | None = None) -> Mask:
    """Dilate by about ``mm``, in steps of one voxel of the finest axis, optionally only within a mask."""
    steps = round(mm / float(grid.spacing.min()))
    if steps < 1 or not mask.any():
        return mask
    return np.asarray(ndimage.binary_dilation(mask, iterations=steps, mask=within), dtype=bool)


def _closed(values: Float, zones: Zones, veins: float, grid: Volume) -> Mask:
    """Zones where film cannot be told, and the sinuses that stray out of them."""
    sinus = zones.closed & ~zones.sheets & (values > number("linear.sinus_part") * veins)
    rim = values > number("linear.sinus_rim") * veins
    return np.asarray(zones.closed | _dilated(sinus, number("linear.sinus_grow_mm"), grid, rim), dtype=bool)


def _components(candidate: Mask, core: Mask, grid: Volume) -> Labels:
    """Connected film that is large enough, numbered from 1."""
    labels, count = ndimage.label(candidate, np.ones((3, 3, 3)))
    size = np.bincount(labels.ravel(), minlength=count + 1) * grid.voxel_mm3
    large = np.bincount(labels[core], minlength=count + 1) * grid.voxel_mm3 >= number("linear.core_mm3")
    large &= size >= number("linear.smallest_mm3")
    large[0] = False
    renumbered = np.zeros(count + 1, np.int32)
    renumbered[large] = np.arange(1, large.sum() + 1)
    return np.asarray(renumbered[labels], dtype=np.int32)


def _into(labels: Labels, sheet: Mask, grid: Volume) -> Labels:
    """Let film run on into the zones of the falx and tentorium, where none is found for itself."""
    out = labels.copy()
    for _ in range(round(number("linear.sheet_grow_mm") / float(grid.spacing.min()))):
        out = np.where((out == 0) & sheet, ndimage.maximum_filter(out, footprint=_CROSS), out)
    return out


def _notes(outer: Dura, trees: vessels.Vessels, refused: Mask, grid: Volume) -> tuple[str, ...]:
    """Say what could not be told."""
    notes = [
        "bridging veins at the convexity, and film on the falx, the tentorium and beside sinuses, cannot be told apart"
    ]
    loose = trees.volume_mm3 - trees.rooted_mm3
    if loose > 0:
        notes.append(
            f"{loose / 1000:.1f} ml of tubes do not reach a sinus or basal artery and are vessels by shape alone"
        )
    if refused.any():
        left_out = float(refused.sum()) * grid.voxel_mm3 / 1000
        notes.append(f"{left_out:.1f} ml at the edge of normal structures, or too doubtful, are not counted")
    if outer.diffuse:
        notes.append(
            "the dura enhances diffusely, as after a lumbar puncture or with a shunt: "
            "film on the convexity cannot be told from it"
        )
    return tuple(notes)
