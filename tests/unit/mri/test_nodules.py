"""Nodules in small synthetic maps of enhancement whose truth is known by hand."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from scipy import ndimage

from lmresp.mri import nodules
from lmresp.mri.enhancement import Enhancement
from lmresp.mri.methods import number
from lmresp.mri.volume import Volume

Array = npt.NDArray[np.float32]
SIZE_MM = 48.0
SURE = 0.4  # the bar of the draft


class Scene:
    """A cube of tissue, half of it white matter; the plane x = 24 mm is the wall of a sulcus filled with CSF."""

    def __init__(self, spacing: tuple[float, float, float] = (1.0, 1.0, 1.0)) -> None:
        self.spacing = np.array(spacing)
        self.fine = np.maximum(1, np.round(self.spacing / 0.5)).astype(int)
        shape = np.round(SIZE_MM / self.spacing).astype(int) * self.fine
        axes = [(np.arange(n) + 0.5) * s / f for n, s, f in zip(shape, self.spacing, self.fine, strict=True)]
        self.x, self.y, self.z = np.meshgrid(*axes, indexing="ij")
        self.signal = np.zeros(self.x.shape)

    def away(self, center: tuple[float, float, float]) -> npt.NDArray[np.float64]:
        """Distance in mm of every fine voxel from a point."""
        return np.asarray(
            np.sqrt((self.x - center[0]) ** 2 + (self.y - center[1]) ** 2 + (self.z - center[2]) ** 2), dtype=float
        )

    def ellipsoid(self, center: tuple[float, float, float], axes_mm: tuple[float, float, float]) -> Scene:
        """Add an enhancing ellipsoid of the given diameters."""
        parts = zip((self.x, self.y, self.z), center, axes_mm, strict=True)
        self.signal[sum((2 * (c - m) / d) ** 2 for c, m, d in parts) <= 1] = 1.0
        return self

    def voxels(self, fine: npt.NDArray[np.generic]) -> Array:
        """Average the fine grid over the voxels."""
        shape = [n for size, f in zip(fine.shape, self.fine, strict=True) for n in (size // f, f)]
        return np.asarray(fine.reshape(shape).astype(float).mean(axis=(1, 3, 5)), dtype=np.float32)

    def tissue(self, **changed: object) -> nodules.Tissue:
        """What surrounds the lesion, with some maps replaced."""
        fluid = self.voxels((self.x > 24) & (self.x < 26))
        nothing = np.zeros(fluid.shape, bool)
        parts = {
            "depth": np.full(fluid.shape, 20.0, np.float32),
            "csf": fluid,
            "white": self.voxels(self.x < 20) > 0.5,
            "ventricle": nothing,
            "normal": {},
        }
        return nodules.Tissue(**(parts | changed))  # type: ignore[arg-type]

    def find(self, quality: float = 1.0, **changed: object) -> nodules.Found:
        """Acquire the map (blur, noise) and find nodules in it."""
        sigma = 0.45  # point spread in voxels
        e = ndimage.gaussian_filter(self.voxels(self.signal), sigma).astype(np.float32)
        e += np.random.default_rng(1).normal(0, 0.03, e.shape).astype(np.float32)
        affine = np.diag([*self.spacing, 1.0])
        affine[:3, 3] = self.spacing / 2
        enhancement = Enhancement(Volume(e, affine), 1.0, 0.0, 1.0, 0.03)
        return nodules.find(enhancement, self.tissue(**changed), quality, float(self.spacing.max()))


def sure(found: nodules.Found) -> list[nodules.Nodule]:
    return [nodule for nodule in found.nodules if nodule.confidence >= SURE]


def test_nodule_in_a_sulcus() -> None:
    found = Scene().ellipsoid((25.3, 24.2, 23.6), (9, 7, 8)).find()
    [nodule] = sure(found)
    assert nodule.center_mm == pytest.approx([25.3, 24.2, 23.6], abs=0.5)
    assert (nodule.long_mm, nodule.perp_mm) == pytest.approx((9, 7), abs=0.7)
    assert nodule.feret_mm == pytest.approx(9, abs=0.7)
    assert nodule.volume_mm3 == pytest.approx(np.pi / 6 * 9 * 7 * 8, rel=0.15)
    assert nodule.measurable
    assert nodule.lm_related
    assert nodule.note == ""
    assert found.mask[25, 24, 23]
    assert not found.mask[25, 24, 40]
    assert not found.at_least(1.0).any()


@pytest.mark.parametrize("size", [4.6, 5.0, 6.0])
def test_small_nodules_are_found_and_the_limit_is_flagged(size: float) -> None:
    [nodule] = sure(Scene().ellipsoid((25.0, 24.4, 23.8), (size, size, size)).find())
    assert nodule.long_mm == pytest.approx(size, abs=0.6)
    off = min(abs(nodule.long_mm - 5), abs(nodule.perp_mm - 5))
    assert ("borderline" in nodule.note) == (off <= 0.5)
    assert nodule.measurable == (nodule.long_mm > 5 and nodule.perp_mm > 5)


def test_vessel_that_touches_does_not_lengthen_a_nodule() -> None:
    scene = Scene().ellipsoid((25, 24, 24), (7, 7, 7))
    scene.signal[((scene.x - 25) ** 2 + (scene.z - 24) ** 2 < 1.0) & (scene.y > 24)] = 1.3
    found = scene.find()
    nodule = found.nodules[0]
    assert nodule.center_mm == pytest.approx([25, 24, 24], abs=1)
    assert nodule.long_mm == pytest.approx(7, abs=1)
    assert nodule.perp_mm == pytest.approx(7, abs=1)
    assert not found.mask[24, 40, 23]  # the vessel is not part of it


@pytest.mark.parametrize("radius_mm", [0.8, 1.5, 3.0])
def test_vessels_are_no_nodules(radius_mm: float) -> None:
    scene = Scene()
    path = 24 + 4 * np.sin(scene.y / 8)
    scene.signal[(scene.x - path) ** 2 + (scene.z - 24) ** 2 < radius_mm**2] = 1.5
    assert sure(scene.find()) == []


def test_film_in_folds_is_no_nodule() -> None:
    scene = Scene()
    patch = (np.abs(scene.x - 24) < 12) & (np.abs(scene.z - 24) < 12)
    for fold in (20, 23, 26, 29):
        scene.signal[patch & (np.abs(scene.y - fold - 0.5 * np.sin(scene.x / 3)) < 0.6)] = 1.0
    assert sure(scene.find()) == []


def test_ring_is_measured_by_its_outer_edge() -> None:
    scene = Scene()
    away = scene.away((25, 24, 24))
    scene.signal[(away < 6) & (away > 3.8)] = 1.0
    [nodule] = sure(scene.find())
    assert (nodule.long_mm, nodule.perp_mm) == pytest.approx((12, 12), abs=0.8)
    assert nodule.volume_mm3 == pytest.approx(np.pi / 6 * 12**3, rel=0.15)  # the necrotic centre belongs to it


def test_two_millimetres_from_the_leptomeninges() -> None:
    near = Scene().ellipsoid((19.5, 24, 24), (7, 7, 7))  # edge 1 mm from the CSF at x = 24
    [nodule] = sure(near.find())
    assert nodule.lm_related
    deep = Scene().ellipsoid((15.5, 24, 24), (7, 7, 7))  # edge 5 mm from it
    [nodule] = sure(deep.find())
    assert not nodule.lm_related


def test_the_wall_of_a_ventricle_is_not_leptomeninges() -> None:
    scene = Scene().ellipsoid((19.5, 24, 24), (7, 7, 7))
    fluid = scene.voxels((scene.x > 24) & (scene.x < 26)) > 0
    [nodule] = sure(scene.find(ventricle=fluid))
    assert not nodule.lm_related


def test_where_enhancement_is_normal_confidence_is_lower_and_said() -> None:
    scene = Scene().ellipsoid((25, 24, 24), (8, 8, 8))
    [free] = sure(scene.find())
    zone = scene.away((25, 24, 24)) < 8
    [inside] = scene.find(normal={"dural sinus": scene.voxels(zone) > 0.5}).nodules
    assert inside.confidence == pytest.approx(number("nodules.normal_free_confidence") * free.confidence, abs=0.01)
    assert "dural sinus" in inside.note


def test_outside_the_brain_nothing_is_a_nodule() -> None:
    scene = Scene().ellipsoid((25, 24, 24), (8, 8, 8))
    depth = np.full((48, 48, 48), -2.0, np.float32)
    assert scene.find(depth=depth).nodules == []


def test_quality_multiplies_confidence() -> None:
    scene = Scene().ellipsoid((25, 24, 24), (8, 8, 8))
    [full], [half] = scene.find().nodules, scene.find(quality=0.5).nodules
    assert half.confidence == pytest.approx(0.5 * full.confidence, abs=0.002)


@pytest.mark.parametrize("axis", [0, 2])
def test_thick_slices_are_measured_in_their_plane(axis: int) -> None:
    spacing = [0.9, 0.9, 0.9]
    spacing[axis] = 5.0
    center = [25.0, 24.0, 24.0]
    center[axis] = 27.5 if axis else 22.5  # middle of a slice
    scene = Scene((spacing[0], spacing[1], spacing[2])).ellipsoid((center[0], center[1], center[2]), (9, 9, 9))
    [nodule] = sure(scene.find())
    assert nodule.long_mm == pytest.approx(9, abs=1)
    assert "plane of the slices" in nodule.note


def test_an_empty_map_has_no_nodules() -> None:
    found = Scene().find()
    assert found.nodules == []
    assert not found.mask.any()


def test_same_map_same_answer() -> None:
    first, second = (Scene().ellipsoid((25, 24, 24), (8, 7, 6)).find() for _ in range(2))
    assert [vars(n)["long_mm"] for n in first.nodules] == [vars(n)["long_mm"] for n in second.nodules]
    assert (first.labels == second.labels).all()


def test_match_pairs_by_distance_and_names_what_is_lost() -> None:
    found = Scene().ellipsoid((25, 24, 24), (8, 8, 8)).find().nodules
    moved = np.eye(4)
    moved[0, 3] = 10
    before = [(np.array([35.5, 24, 24]), 8.0, 8.0), (np.array([70.0, 24, 24]), 8.0, 8.0)]
    assert nodules.match(found, before, moved) == ([0], [1])
