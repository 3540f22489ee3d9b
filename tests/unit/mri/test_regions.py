"""Names of places whose anatomy is known from any atlas, in template millimetres."""

from __future__ import annotations

import numpy as np
import pytest

from lmresp.mri import normal_structures, regions, template


@pytest.fixture(scope="module")
def named() -> regions.Regions:
    base = template.load()
    depth = normal_structures.surface_depth(base.mask, base.brain)
    return regions.label(base.brain, np.eye(4), base.mask, base.csf, depth, base.ventricles)


def voxel(point: tuple[float, float, float]) -> tuple[int, ...]:
    return tuple(np.rint(np.linalg.solve(template.load().brain.affine, [*point, 1.0])[:3]).astype(int))


@pytest.mark.parametrize(
    ("point", "region", "parcel"),
    [
        ((34, 40, 30), "cerebral convexity sulci", "right frontal"),
        ((-34, 40, 30), "cerebral convexity sulci", "left frontal"),
        ((-40, -55, 50), "cerebral convexity sulci", "left parietal"),
        ((56, -15, -20), "cerebral convexity sulci", "right temporal"),
        ((-25, -92, 5), "cerebral convexity sulci", "left occipital"),
        ((38, 2, 2), "cerebral convexity sulci", "right insular"),
        ((4, 45, 20), "cerebral convexity sulci", "right interhemispheric"),
        ((4, -6, -16), "basal cisterns", "right basal cisterns"),
        ((-35, -65, -45), "cerebellar folia", "left cerebellar hemisphere"),
        ((2, -72, -28), "cerebellar folia", "vermis"),
        ((3, -28, -34), "brain stem surface", "right brain stem"),
    ],
)
def test_known_places(named: regions.Regions, point: tuple[float, float, float], region: str, parcel: str) -> None:
    assert regions.NAMES[named.map[voxel(point)]] == region
    assert regions.PARCELS[named.parcels[voxel(point)]] == parcel


def test_the_rim_of_the_ventricles_is_ependyma_and_their_inside_nothing(named: regions.Regions) -> None:
    base = template.load()
    assert (named.map[base.ventricles] == 0).all()
    rim = base.mask & (regions.signed_distance(base.ventricles, base.brain) < 2) & ~base.ventricles
    assert (named.map[rim] == regions.EPENDYMA).all()


def test_every_voxel_of_the_brain_has_a_region_and_a_parcel(named: regions.Regions) -> None:
    base = template.load()
    brain = base.mask & ~base.ventricles
    assert ((named.map > 0) == brain).all()
    assert ((named.parcels > 0) == brain).all()
    assert set(np.unique(named.map)) == set(range(len(regions.NAMES)))


def test_sides_are_mirror_images(named: regions.Regions) -> None:
    counts = np.bincount(named.parcels.ravel(), minlength=len(regions.PARCELS))
    for name in ("frontal", "parietal", "temporal", "occipital", "cerebellar hemisphere"):
        left, right = (counts[regions.PARCELS.index(f"{side} {name}")] for side in ("left", "right"))
        assert left == pytest.approx(right, rel=0.1)


def test_volumes_of_the_large_parts_are_those_of_a_brain() -> None:
    base, large = template.load(), regions.parts()
    assert 130 < (large.cerebellum.array == 0).sum() * 0.008 < 250  # ml; the template is a large brain
    assert 15 < (large.stem.array == 0).sum() * 0.008 < 50
    assert (large.cerebrum.array[base.mask] == 0).mean() > 0.7


def test_a_head_without_ventricles_still_has_regions() -> None:
    base = template.load()
    depth = normal_structures.surface_depth(base.mask, base.brain)
    none = np.zeros_like(base.mask)
    found = regions.label(base.brain, np.eye(4), base.mask, base.csf, depth, none)
    assert ((found.map > 0) == base.mask).all()
