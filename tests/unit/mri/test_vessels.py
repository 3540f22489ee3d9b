"""Tubes and sheets drawn by hand."""

from __future__ import annotations

import numpy as np
import pytest

from lmresp.mri import vessels
from lmresp.mri.volume import Float, Volume, world_axes

GRID = Volume(np.zeros((48, 48, 48), np.float32), np.eye(4))
X, Y, Z = world_axes(GRID)
VEINS = 2.0
EVERYWHERE = np.ones(GRID.shape, bool)
NOWHERE = np.zeros(GRID.shape, bool)


def tube(radius: float, slope: float = 0.4) -> Float:
    """Oblique tube through the centre, edges blurred over a voxel."""
    away = np.hypot(X - 24 - slope * (Z - 24), Y - 24) / np.hypot(1, slope / 2)
    return np.clip(radius + 0.5 - away, 0, 1).astype(np.float32)


def sheet(thickness: float) -> Float:
    return np.clip(thickness / 2 + 0.5 - np.abs(X - 24 - 0.3 * (Y - 24)), 0, 1).astype(np.float32)


@pytest.mark.parametrize("radius", [0.8, 1.2, 2.0])
def test_a_tube_has_two_curvatures_and_a_sheet_one(radius: float) -> None:
    axis = (np.hypot(X - 24 - 0.4 * (Z - 24), Y - 24) < 0.6) & (np.abs(Z - 24) < 14)
    plane = (np.abs(X - 24 - 0.3 * (Y - 24)) < 0.5) & (np.maximum(np.abs(Y - 24), np.abs(Z - 24)) < 14)
    assert vessels.shape(GRID.like(VEINS * tube(radius)), axis).ratio.min() > 0.6
    assert vessels.shape(GRID.like(VEINS * sheet(2 * radius)), plane).ratio.max() < 0.2


def test_the_scale_grows_with_the_radius() -> None:
    axis = (np.hypot(X - 24, Y - 24) < 0.6) & (np.abs(Z - 24) < 14)
    thin, thick = (vessels.shape(GRID.like(tube(r, 0.0)), axis).scale_mm.mean() for r in (0.6, 2.5))
    assert thin < thick


def test_a_tree_is_followed_from_its_root_and_a_sheet_is_not() -> None:
    e = GRID.like(0.3 * VEINS * tube(1.2))
    root = (Z < 4) & (np.hypot(X - 16, Y - 24) < 4)
    with_root = GRID.like(np.maximum(e.array, VEINS * root))
    found = vessels.find(with_root, with_root.array, EVERYWHERE, root, 0.1, VEINS)
    inside = (tube(1.2) > 0.9) & (np.abs(Z - 24) < 18)
    assert found.mask[inside].mean() > 0.9
    assert found.rooted[inside].mean() > 0.9
    assert found.rooted_mm3 <= found.volume_mm3 == found.mask.sum()
    film = GRID.like(0.3 * VEINS * sheet(1.5))
    assert vessels.find(film, film.array, EVERYWHERE, NOWHERE, 0.1, VEINS).mask.mean() < 0.01


def test_a_long_tube_without_a_root_is_a_vessel_a_short_one_is_not() -> None:
    for length, expected in ((30, True), (5, False)):
        e = GRID.like(0.3 * VEINS * tube(1.0, 0.0) * (np.abs(Z - 24) < length / 2))
        found = vessels.find(e, e.array, EVERYWHERE, NOWHERE, 0.1, VEINS)
        assert bool(found.mask[24, 24, 24]) is expected
        assert not found.rooted.any()


def test_nothing_bright_gives_nothing() -> None:
    found = vessels.find(GRID, GRID.array, EVERYWHERE, NOWHERE, 0.1, VEINS)
    assert (found.volume_mm3, found.rooted_mm3, found.radius_mm) == (0, 0, 0)


def test_flow_voids_are_darker_than_tissue() -> None:
    image = np.full((8, 8, 8), 100.0, np.float32)
    image[4, 4, :] = 40.0
    image[2, 2, :] = 70.0
    void = vessels.flow_voids(image, np.zeros_like(image), np.ones(image.shape, bool))
    assert void[4, 4].all()
    assert void.sum() == 8
    assert not vessels.flow_voids(image, np.ones_like(image), np.ones(image.shape, bool)).any()
