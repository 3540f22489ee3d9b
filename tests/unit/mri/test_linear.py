"""Film on the template's own pia: what is put in is known voxel by voxel."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from scipy import ndimage

from lmresp.mri import linear, normal_structures, regions, template
from lmresp.mri.enhancement import Enhancement
from lmresp.mri.methods import number
from lmresp.mri.volume import Float, Mask, Volume, world_axes

VEINS = 1.8
NOISE = 0.03


@dataclasses.dataclass
class Head:
    """The template as a subject: identity to the template, 2 mm."""

    grid: Volume
    around: linear.Surroundings
    pia: Float  # mm2 of pia for each mm3

    def film(self, centre: tuple[float, float, float], radius: float) -> Float:
        """Fraction of each voxel that 1 mm of film fills."""
        x, y, z = world_axes(self.grid)
        ball = (x - centre[0]) ** 2 + (y - centre[1]) ** 2 + (z - centre[2]) ** 2 < radius**2
        return np.minimum(self.pia, self.around.csf) * ball

    def find(
        self, signal: Float, *, away: Mask | None = None, voids: Mask | None = None, seed: int = 1
    ) -> linear.Found:
        """Blur, add noise, search."""
        rng = np.random.default_rng(seed)
        e = ndimage.gaussian_filter(signal, 0.4) + NOISE * rng.standard_normal(signal.shape)
        enhancement = Enhancement(self.grid.like(e), 1.0, 0.0, 1.0, NOISE)
        nowhere = np.zeros(signal.shape, bool)
        return linear.find(enhancement, self.around, nowhere if away is None else away, VEINS, 1.0, np.eye(4), voids)


@pytest.fixture(scope="module")
def head() -> Head:
    base = template.load()
    depth = normal_structures.surface_depth(base.mask, base.brain)
    where = regions.label(base.brain, np.eye(4), base.mask, base.csf, depth, base.ventricles)
    zones = normal_structures.zones(base.brain, np.eye(4), depth)
    tissue = (base.grey + base.white) * base.mask
    slope = np.sqrt(sum(g**2 for g in np.gradient(tissue, 2.0))).astype(np.float32)
    pia = slope * (depth > 1) * ~ndimage.binary_dilation(base.ventricles, iterations=2)
    around = linear.Surroundings(base.mask, base.csf, depth, base.ventricles, zones, where)
    return Head(base.brain, around, pia)


def tubes(head: Head) -> Float:
    """Veins of 1 mm radius down the convexity, in the fluid, each 9 mm from the next."""
    x, y, z = world_axes(head.grid)
    across = np.minimum.reduce([np.hypot(y - y0, head.around.depth - 3) for y0 in range(-60, 40, 18)])
    return (np.clip(1.0 - across / 2, 0, 1) * (z > 20) * (np.abs(x) > 8)).astype(np.float32)


def test_nothing_is_found_in_noise(head: Head) -> None:
    found = head.find(np.zeros(head.grid.shape, np.float32))
    assert found.volume_mm3 == 0
    assert not found.mask.any()
    assert found.components == []
    assert [r.region for r in found.regions] == list(regions.NAMES[1:])
    assert all(r.volume_mm3 == 0 and r.area_mm2 == 0 and r.parcels == () for r in found.regions)


def test_veins_and_sinuses_are_vessels_not_film(head: Head) -> None:
    veins = tubes(head)
    blood = VEINS * np.maximum(veins, head.around.zones.sinuses)
    found = head.find(blood.astype(np.float32))
    assert found.volume_mm3 < 300
    seen = (veins > 0.5) & head.around.mask & ~head.around.zones.closed
    assert found.vessels.mask[seen].mean() > 0.8
    assert not (found.vessels.mask & found.mask).any()


@pytest.mark.parametrize("signal", [1.4, 0.5])
def test_film_is_found_where_it_is(head: Head, signal: float) -> None:
    film = head.film((42, -4, 4), 20)
    found = head.find(signal * film)
    thick = (film > 0.15) & ~head.around.zones.closed
    assert found.mask[thick].mean() > 0.6
    near = ndimage.binary_dilation(film > 0, iterations=2)
    assert found.mask[~near].sum() == 0
    (largest, *_) = found.components
    assert largest.region == "cerebral convexity sulci"
    assert "right insular" in largest.parcels
    assert not any(parcel.startswith("left") for parcel in largest.parcels)
    assert 0 < largest.confidence <= 1


def test_volume_is_that_of_the_film_and_falls_with_its_enhancement(head: Head) -> None:
    film = head.film((42, -4, 4), 20)
    full = number("linear.full_signal") * VEINS
    found = head.find(full * film)
    true = float(film.sum()) * head.grid.voxel_mm3
    assert found.volume_mm3 == pytest.approx(true, rel=0.25)
    assert abs(found.volume_mm3 - true) < 2 * found.uncertainty_mm3
    half = head.find(0.5 * full * film)
    assert half.volume_mm3 == pytest.approx(0.5 * found.volume_mm3, rel=0.15)
    assert sum(c.volume_mm3 for c in found.components) == pytest.approx(found.volume_mm3)
    assert half.area_mm2 == pytest.approx(found.area_mm2, rel=0.25)


def test_film_on_the_cerebellum_is_in_its_region(head: Head) -> None:
    found = head.find(1.2 * head.film((0, -72, -38), 16))
    by_name = {r.region: r for r in found.regions}
    folia = by_name["cerebellar folia"]
    assert folia.volume_mm3 > 0.8 * found.volume_mm3 > 0
    assert "vermis" in folia.parcels
    assert by_name["cerebral convexity sulci"].volume_mm3 < 0.2 * found.volume_mm3


def test_film_is_not_looked_for_around_nodules(head: Head) -> None:
    film = head.film((42, -4, 4), 20)
    away = ndimage.binary_dilation(film > 0, iterations=1)
    found = head.find(1.4 * film, away=away)
    assert not (found.mask & away).any()


def test_what_is_dark_on_t2_is_a_vessel(head: Head) -> None:
    film = head.film((42, -4, 4), 20)
    found = head.find(1.4 * film, voids=film > 0)
    assert not (found.mask & (film > 0)).any()
    assert found.vessels.mask[(film > 0.2) & head.around.mask].mean() > 0.9


def test_a_head_without_a_brain_is_refused(head: Head) -> None:
    empty = dataclasses.replace(head.around, mask=np.zeros(head.grid.shape, bool))
    enhancement = Enhancement(head.grid.like(np.zeros(head.grid.shape)), 1.0, 0.0, 1.0, NOISE)
    with pytest.raises(ValueError, match="brain mask is empty"):
        linear.find(enhancement, empty, empty.mask, VEINS, 1.0, np.eye(4))


def test_the_same_input_gives_the_same_film(head: Head) -> None:
    film = 1.4 * head.film((42, -4, 4), 20)
    first, second = head.find(film), head.find(film)
    assert np.array_equal(first.labels, second.labels)
    assert first.components == second.components


def test_a_full_label_for_each_component(head: Head) -> None:
    found = head.find(1.4 * (head.film((42, -4, 4), 18) + head.film((-34, -50, 50), 14)))
    assert len(found.components) >= 2
    for component in found.components:
        assert (found.labels == component.label).sum() * head.grid.voxel_mm3 >= number("linear.smallest_mm3")
    assert sorted(c.label for c in found.components) == sorted(set(found.labels[found.mask].tolist()))
    assert [c.volume_mm3 for c in found.components] == sorted((c.volume_mm3 for c in found.components), reverse=True)
