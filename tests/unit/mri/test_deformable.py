"""The movement between two visits: a ball that grows, and enhancement that must not be absorbed."""

from __future__ import annotations

import numpy as np
import pytest

from lmresp.mri import deformable
from lmresp.mri.volume import Mask, Volume, world_axes


def _head(radius_mm: float, seed: int) -> Volume:
    """A dark ball of fluid in a bright ball of brain, voxel 2 mm."""
    affine = np.diag([2.0, 2.0, 2.0, 1.0])
    affine[:3, 3] = -63
    grid = Volume(np.zeros((64, 64, 64), np.float32), affine)
    away = np.sqrt(sum(np.asarray(axis) ** 2 for axis in world_axes(grid)))
    fluid = np.clip((radius_mm - away) / 2 + 0.5, 0, 1)
    brain = np.clip((55 - away) / 2 + 0.5, 0, 1)
    noise = np.random.default_rng(seed).normal(0, 0.02, away.shape)
    return grid.like(brain * (1 - 0.7 * fluid) + noise)


def _inside(grid: Volume) -> Mask:
    return np.asarray(np.sqrt(sum(np.asarray(axis) ** 2 for axis in world_axes(grid))) < 54)


@pytest.fixture(scope="module")
def field() -> deformable.Field:
    before = _head(18, 1)
    return deformable.movement(before, _head(21, 2), _inside(before))


def test_the_wall_that_moved_3_mm_is_brought_back(field: deformable.Field) -> None:
    before, now = _head(18, 1), _head(21, 2)
    back = deformable.warp(now, before, field)
    wall = (before.array < 0.9) | (now.array < 0.9)
    wall &= _inside(before)
    was, left = np.abs(now.array - before.array)[wall].mean(), np.abs(back - before.array)[wall].mean()
    assert left < 0.35 * was


def test_vectors_point_outwards_in_ras_millimetres(field: deformable.Field) -> None:
    i, j, k = np.round(np.linalg.inv(field.affine) @ [18.0, 0, 0, 1])[:3].astype(int)
    assert 1.5 < field.vectors[i, j, k, 0] < 4.0
    assert np.abs(field.vectors[i, j, k, 1:]).max() < 1.0
    i, j, k = np.round(np.linalg.inv(field.affine) @ [0, -18.0, 0, 1])[:3].astype(int)
    assert -4.0 < field.vectors[i, j, k, 1] < -1.5


def test_warp_composes_the_movement_with_a_shift_in_one_sampling() -> None:
    before = _head(18, 1)
    still = deformable.Field(np.zeros((8, 8, 8, 3), np.float32), np.diag([16.0, 16.0, 16.0, 1.0]))
    shift = np.eye(4)
    shift[0, 3] = 2.0  # one voxel
    out = deformable.warp(before, before, still, shift)
    assert np.allclose(out[:-1], before.array[1:], atol=1e-5)


def test_the_same_images_give_the_same_bytes(field: deformable.Field) -> None:
    before = _head(18, 1)
    again = deformable.movement(before, _head(21, 2), _inside(before))
    assert again.vectors.tobytes() == field.vectors.tobytes()


@pytest.mark.parametrize(
    ("before", "now", "answer"),
    [(20e3, 26e3, True), (26e3, 20e3, True), (20e3, 22e3, False), (60e3, 64e3, False), (None, 30e3, False)],
)
def test_needed_only_beyond_a_tenth_and_3_ml(before: float | None, now: float | None, answer: bool) -> None:
    assert deformable.needed(before, now) is answer
