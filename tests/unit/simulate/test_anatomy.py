"""Heads differ as heads do, their vessels drain, and what is measured on them is measured as defined."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from scipy import ndimage

from lmresp.simulate import cache, widths
from lmresp.simulate.anatomy import Anatomy
from lmresp.simulate.disease import apply
from lmresp.simulate.phantom import Disease, Film, Region, Tissue, make_subject, truth_maps
from lmresp.simulate.regions import REGIONS, label
from lmresp.simulate.shape import draw
from lmresp.simulate.vessels import _paths, _smooth

GRID = 3.0


@pytest.fixture(scope="module")
def anatomy() -> Anatomy:
    return make_subject(7, GRID)


def test_traits_cover_their_ranges() -> None:
    drawn = [draw(seed) for seed in range(60)]
    assert min(t.ventricle_push_mm for t in drawn) < -0.8
    assert max(t.ventricle_push_mm for t in drawn) > 2.2
    few = [draw(seed).ventricle_push_mm for seed in range(500, 506)]  # consecutive seeds: small and large ventricles
    assert min(few) < 0.3
    assert max(few) > 1.1
    assert all(0.85 < s < 1.03 for t in drawn for s in t.scale)


def test_head_stays_in_its_ac_pc_frame(anatomy: Anatomy) -> None:
    """The map from the head to MNI is a scale and a warp: its best rigid part turns by less than a degree."""
    inside = anatomy.hull_distance < -5
    points = anatomy.world(np.argwhere(inside).astype(float))
    mni = anatomy.mni[:, inside].T.astype(float)
    a, b = points - points.mean(0), mni - mni.mean(0)
    u, _, v = np.linalg.svd(a.T @ b)
    turn = u @ np.diag([1, 1, np.linalg.det(u @ v)]) @ v
    angle = np.degrees(np.arccos(np.clip((np.trace(turn) - 1) / 2, -1, 1)))
    assert angle < 1.0


def test_ventricles_are_lateral_and_third_without_cisterns(anatomy: Anatomy) -> None:
    maps = truth_maps(anatomy, Disease())
    ventricle = maps["VENTRICLE"][0]
    x, y, z = anatomy.mni

    def volume(place: np.ndarray) -> float:
        return float(ventricle[place].sum()) * GRID**3

    # Quadrigeminal, ambient and suprasellar cisterns and the fissures in front of and above the corpus callosum.
    assert volume((np.abs(x) < 18) & (y < -31) & (z < 7)) == 0
    assert volume((z < -14) & (np.abs(x) < 28)) == 0
    assert volume((np.abs(x) < 4) & ((y > 30) | (z > 28))) == 0
    third = volume((np.abs(x) < 6) & (y > -29) & (y < 3) & (z > -12) & (z < 8))
    assert 300 < third < 4000  # mm3; about 1 ml in adults
    assert volume((np.abs(x) > 2) & (z > 0)) > 0.7 * float(ventricle.sum()) * GRID**3


def test_truth_maps_are_those_of_the_truth(anatomy: Anatomy) -> None:
    disease = Disease(films=(Film((0, -60, -30), 40, 1.0),), ventricle_push_mm=1.0)
    maps, truth = truth_maps(anatomy, disease), apply(anatomy, disease).truth
    for name, key in (("FILM", "film_mm3"), ("VENTRICLE", "ventricles_mm3")):
        array, affine = maps[name]
        assert array.dtype == np.float32
        np.testing.assert_array_equal(affine, anatomy.affine)
        assert float(array.sum(dtype=float)) * GRID**3 == pytest.approx(truth[key])
    assert {"FILM", "NODULE", "METASTASIS", "VESSEL", "CHOROID", "DURA", "VENTRICLE", "GM", "WM", "CSF"} == set(maps)


def _box_head(frontal: float, occipital: float) -> tuple[Anatomy, np.ndarray]:
    """A ball of a head, 70 mm in radius, with two boxes for horns; widths in mm."""
    lines = [np.arange(-80.0, 81.0, 2.0)] * 3
    mni = np.stack(np.meshgrid(*lines, indexing="ij")).astype(np.float32)
    affine = np.diag([2.0, 2.0, 2.0, 1.0])
    affine[:3, 3] = -80
    hull = (np.sqrt((mni**2).sum(0)) - 70).astype(np.float32)
    x, y, z = mni
    wide = np.where(y > 0, frontal, occipital) / 2
    horns = np.clip((wide - np.abs(x)) / 2 + 0.5, 0, 1) * (np.abs(z - 14) < 8) * (np.abs(y) < 41) * (np.abs(y) > 9)
    empty = np.zeros((len(Tissue), *hull.shape), np.float32)
    return Anatomy(0, 2.0, affine, empty, mni, horns, hull, draw(0)), horns


def test_evans_index_and_horn_ratio_of_boxes() -> None:
    head, horns = _box_head(35.0, 62.0)
    found = widths.measure(head, horns)
    # Linear interpolation between partly filled voxels is off by up to a sixth of a voxel.
    assert found.frontal_mm == pytest.approx(35.0, abs=0.34)
    assert found.occipital_mm == pytest.approx(62.0, abs=0.34)
    assert found.inner_skull_mm == pytest.approx(2 * 72.8, abs=0.2)  # inner table 2.8 mm outside of the brain
    # The horns end at z = 22 - 2 * 0.5; there the ball is 2 * sqrt(72.8^2 - 20^2) wide, which is the smallest.
    assert found.evans == pytest.approx(35.0 / (2 * np.sqrt(72.8**2 - 20**2)), abs=0.0025)
    assert found.fohr == pytest.approx((35.0 + 62.0) / (2 * 2 * 72.8), abs=0.0025)


def test_evans_index_hardly_depends_on_the_grid() -> None:
    fine, coarse = (apply(make_subject(11, grid), Disease()).truth for grid in (1.5, 2.0))
    assert fine["evans_index"] == pytest.approx(coarse["evans_index"], abs=0.004)
    assert fine["frontal_occipital_horn_ratio"] == pytest.approx(coarse["frontal_occipital_horn_ratio"], abs=0.006)
    assert fine["ventricles_mm3"] == pytest.approx(coarse["ventricles_mm3"], rel=0.02)


def test_branches_join_and_carry_what_flows_into_them() -> None:
    cost = np.ones((9, 9, 3))
    cost[:, 4] = 0.01  # a cheap bed along the middle row
    ends = np.array([[8, 0, 1], [8, 8, 1]])
    nodes, parent, cubes = _paths(cost, np.array([[0, 4, 1]]), ends, np.array([1.0, 8.0]))
    source = int(np.flatnonzero((nodes == [0, 4, 1]).all(1))[0])
    assert parent[source] == source
    assert cubes[source] == pytest.approx(9.0)  # Murray: the cubes of the radii add up
    for end, cube in zip(ends, (1.0, 8.0), strict=True):
        node = int(np.flatnonzero((nodes == end).all(1))[0])
        assert cubes[node] == pytest.approx(cube)
        for _ in range(len(nodes)):
            node = parent[node]
        assert node == source
    np.testing.assert_array_equal(_smooth(nodes.astype(float), parent)[source], nodes[source])


def test_veins_belong_to_the_sinuses() -> None:
    """Nearly all of what is vessel hangs together with the sinuses or the large arteries."""
    vessel = make_subject(12, 1.5).fraction(Tissue.VESSEL)
    labels, _ = ndimage.label(vessel > 0.02, np.ones((3, 3, 3)))
    share = np.bincount(labels.ravel(), vessel.ravel())[1:]
    assert share.max() / vessel.sum() > 0.9
    assert 10_000 < vessel.sum() * 1.5**3 < 40_000  # mm3


def test_regions_hold_their_landmarks(anatomy: Anatomy) -> None:
    regions = label(anatomy, (slice(None), slice(None), slice(None)))
    landmarks = {
        (-35, -20, 60): Region.CONVEXITY,
        (-44, 0, 0): Region.CONVEXITY,
        (0, 2, -20): Region.CISTERNS,
        (25, -65, -40): Region.CEREBELLUM,
        (0, -20, -36): Region.BRAIN_STEM,
        (21, -33, -35): Region.NERVES,
    }
    for point, region in landmarks.items():
        i, j, k = np.round(anatomy.voxel(anatomy.from_mni(point))).astype(int)
        assert REGIONS[regions[i, j, k]] is region, point


@pytest.mark.parametrize("region", list(Region))
def test_film_keeps_to_its_region_and_says_its_extent(region: Region) -> None:
    head = make_subject(12, 1.5)
    truth = apply(head, Disease(films=(Film((0, -20, 0), 150, 0.5, region),))).truth
    table = truth["film_by_region"]
    assert table[region]["volume_mm3"] > (1 if region is Region.NERVES else 500)
    assert truth["film_mm3"] == pytest.approx(table[region]["volume_mm3"], rel=1e-5)
    # A film of constant thickness: volume is extent times thickness.
    assert table[region]["area_mm2"] == pytest.approx(table[region]["volume_mm3"] / 0.5, rel=1e-6)


def test_dura_that_thickens_is_no_film(anatomy: Anatomy) -> None:
    plain, thick = (truth_maps(anatomy, Disease(dura_thickening_mm=t)) for t in (0.0, 1.5))
    gain = thick["DURA"][0].sum() - plain["DURA"][0].sum()
    assert gain > 0
    assert plain["CSF"][0].sum() - thick["CSF"][0].sum() == pytest.approx(gain, rel=1e-3)
    assert thick["FILM"][0].sum() == 0


def test_a_head_comes_back_from_disk_as_it_was(anatomy: Anatomy, tmp_path) -> None:
    cache.save(anatomy, tmp_path / "head.npz")
    again = cache.load(tmp_path / "head.npz")
    for field in dataclasses.fields(Anatomy):
        before, after = getattr(anatomy, field.name), getattr(again, field.name)
        if isinstance(before, np.ndarray):
            assert before.dtype == after.dtype
            np.testing.assert_array_equal(before, after)
        else:
            assert before == after
