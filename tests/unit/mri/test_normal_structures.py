"""Places of normal enhancement, in template millimetres, and dura as a shell."""

from __future__ import annotations

import numpy as np
import pytest

from lmresp.mri import normal_structures, template
from lmresp.mri.volume import Mask, Volume

BALL = Volume(np.zeros((80, 80, 80), np.float32), np.eye(4))
RADIUS = np.sqrt(sum((np.arange(80).reshape([-1 if a == b else 1 for b in range(3)]) - 39.5) ** 2 for a in range(3)))
DEPTH = (30 - RADIUS).astype(np.float32)
INSIDE = DEPTH > 0
VEINS = 2.0


def at(mask: Mask, grid: Volume, point: tuple[float, float, float]) -> bool:
    i, j, k = np.rint(np.linalg.solve(grid.affine, [*point, 1.0])[:3]).astype(int)
    return bool(mask[i, j, k])


@pytest.fixture(scope="module")
def zones() -> normal_structures.Zones:
    base = template.load()
    return normal_structures.zones(base.brain, np.eye(4), normal_structures.surface_depth(base.mask, base.brain))


def test_atlas_positions_lie_in_their_zones(zones: normal_structures.Zones) -> None:
    grid = template.load().brain
    assert at(zones.sinuses, grid, (0, -60, 68))  # superior sagittal
    assert at(zones.vessels, grid, (0, -52, 4))  # straight sinus
    assert at(zones.sheets, grid, (0, 0, 50))  # falx
    assert at(zones.closed, grid, (0, 3, -32))  # pituitary
    assert at(zones.vessels, grid, (28, 2, -20))  # middle cerebral artery
    assert not at(zones.closed, grid, (28, 2, -20))  # film in the Sylvian fissure can be told from it
    for side in (-1, 1):
        assert at(zones.closed, grid, (side * 24, -40, 7))  # choroid plexus
        assert not at(zones.closed, grid, (side * 40, -20, 50))  # cortex
        assert not at(zones.closed, grid, (side * 25, -66, -40))  # middle of the cerebellum


def test_closed_zones_hold_sinuses_and_sheets(zones: normal_structures.Zones) -> None:
    assert not (zones.sinuses & ~zones.closed).any()
    assert not (zones.sheets & ~zones.closed).any()
    assert not (zones.sinuses & ~zones.vessels).any()


def test_zones_follow_the_head(zones: normal_structures.Zones) -> None:
    base = template.load()
    moved = base.brain.affine.copy()
    moved[:3, 3] += (10, -6, 4)
    back = np.eye(4)
    back[:3, 3] = (-10, 6, -4)
    grid = Volume(base.brain.array, moved)
    again = normal_structures.zones(grid, back, normal_structures.surface_depth(base.mask, grid))
    assert (again.closed == zones.closed).mean() > 0.999


def test_sinus_signal_is_that_of_blood_and_none_without_contrast() -> None:
    sinus = np.abs(RADIUS - 31) < 2
    e = np.where(sinus, np.float32(1.8), np.float32(0.0))
    assert normal_structures.sinus_signal(e, sinus, DEPTH > -4) == pytest.approx(1.8, abs=0.01)
    assert normal_structures.sinus_signal(0.1 * e, sinus, DEPTH > -4) is None


def test_a_sinus_on_the_surface_is_dura_and_deep_enhancement_is_not() -> None:
    e = np.zeros(BALL.shape, np.float32)
    e[(np.abs(DEPTH) < 2) & (np.arange(80)[:, None, None] > 55)] = VEINS
    deep = (DEPTH > 8) & (DEPTH < 10)
    e[deep] = VEINS
    found = normal_structures.dura(e, INSIDE, DEPTH, BALL, VEINS)
    assert found.mask[(np.abs(DEPTH) < 1.5) & (e > 0)].all()
    assert not found.mask[deep].any()
    assert not found.mask[e == 0].any()
    assert not found.diffuse


@pytest.mark.parametrize(("signal", "diffuse"), [(0.15, False), (0.8, True)])
def test_only_bright_dura_all_around_is_diffuse(signal: float, diffuse: bool) -> None:
    shell = (DEPTH < -0.5) & (DEPTH > -3)
    e = np.where(shell, np.float32(signal * VEINS), np.float32(0))
    found = normal_structures.dura(e, INSIDE, DEPTH, BALL, VEINS)
    assert found.diffuse is diffuse
    half = np.where(np.arange(80)[:, None, None] < 40, e, 0).astype(np.float32)
    assert not normal_structures.dura(half, INSIDE, DEPTH, BALL, VEINS).diffuse


def test_nothing_enhances() -> None:
    found = normal_structures.dura(np.zeros(BALL.shape, np.float32), INSIDE, DEPTH, BALL, VEINS)
    assert not found.mask.any()
    assert found.share == 0
