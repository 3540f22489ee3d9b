"""Two diameters of a nodule, against shapes known by hand."""

from __future__ import annotations

import numpy as np
import pytest

from lmresp.mri import diameters


def ellipsoid(axes_mm: tuple[float, float, float], spacing: float, size: int = 16) -> np.ndarray:
    """Fraction of every voxel inside an ellipsoid, off the grid on purpose."""
    fine = 4
    axis = ((np.arange(size * fine) + 0.5) / fine - size / 2 - 0.13) * spacing
    x, y, z = np.meshgrid(axis, axis, axis, indexing="ij")
    inside = sum((2 * c / d) ** 2 for c, d in zip((x, y, z), axes_mm, strict=True)) <= 1
    return np.asarray(inside.reshape(size, fine, size, fine, size, fine).mean(axis=(1, 3, 5)), dtype=np.float32)


def test_rectangle_has_its_diagonal_and_the_chord_across_it() -> None:
    # 4 x 3: diagonal 5; the longest chord perpendicular to a diagonal starts at a free corner and ends on the far
    # side: height of the corner over the diagonal is 12/5, and the chord runs on to the opposite long side.
    corners = np.array([[0.0, 0.0], [4.0, 0.0], [4.0, 3.0], [0.0, 3.0]])
    longest, perpendicular = diameters.of_points(corners)
    assert longest == pytest.approx(5.0)
    # Through (4, 0) along (-3, 4) / 5 to the line y = 3: 3 / (4 / 5) = 3.75.
    assert perpendicular == pytest.approx(3.75)


def test_diameters_do_not_depend_on_how_the_outline_lies() -> None:
    angles = np.linspace(0, 2 * np.pi, 721)
    ellipse = np.stack([6 * np.cos(angles), 3.5 * np.sin(angles)], axis=1)
    for turn in (0.0, 0.3, 1.1):
        c, s = np.cos(turn), np.sin(turn)
        found = diameters.of_points(ellipse @ np.array([[c, -s], [s, c]]) + [40.0, -7.0])
        assert found == pytest.approx((12.0, 7.0), abs=0.01)


def test_points_on_a_line_have_no_width() -> None:
    assert diameters.of_points(np.array([[0.0, 0.0], [1.0, 1.0], [2.0, 2.0]])) == (0.0, 0.0)
    assert diameters.of_points(np.zeros((2, 2))) == (0.0, 0.0)


@pytest.mark.parametrize(("long_mm", "perp_mm", "spacing"), [(10.0, 7.0, 1.0), (6.0, 6.0, 1.0), (12.0, 9.0, 2.0)])
def test_ellipsoid_within_half_a_voxel(long_mm: float, perp_mm: float, spacing: float) -> None:
    fraction = ellipsoid((long_mm, perp_mm, perp_mm), spacing)
    found = diameters.of_lesion(fraction, fraction > 0.5, 0.5, np.full(3, spacing))
    assert found.long_mm == pytest.approx(long_mm, abs=0.5 * spacing)
    assert found.perp_mm == pytest.approx(perp_mm, abs=0.5 * spacing)
    assert found.feret_mm == pytest.approx(long_mm, abs=0.5 * spacing)
    assert found.solidity > 0.95


def test_the_plane_is_the_one_asked_for() -> None:
    fraction = ellipsoid((6.0, 8.0, 12.0), 1.0)
    axial = diameters.of_lesion(fraction, fraction > 0.5, 0.5, np.ones(3))
    sagittal = diameters.of_lesion(fraction, fraction > 0.5, 0.5, np.ones(3), axis=0)
    assert (axial.long_mm, axial.perp_mm) == pytest.approx((8.0, 6.0), abs=0.5)
    assert (sagittal.long_mm, sagittal.perp_mm) == pytest.approx((12.0, 8.0), abs=0.5)
    assert axial.other_planes_mm2 == pytest.approx((12.0 * 8.0, 12.0 * 6.0), rel=0.1)
    assert axial.feret_mm == pytest.approx(12.0, abs=0.5)


def test_vessel_outside_the_core_is_cut_off() -> None:
    e = np.zeros((40, 40, 3), np.float32)
    e[17:23, 17:23] = 1.0
    core = e > 0
    e[23:40, 19:21] = 1.0  # a vessel touches the lesion of 6 x 6 mm (diagonal 8.5)
    assert diameters.of_lesion(e, core, 0.5, np.ones(3)).long_mm < 9
    with_vessel = diameters.of_lesion(e, e > 0, 0.5, np.ones(3))
    assert with_vessel.long_mm > 20
    assert with_vessel.solidity < 0.8


def test_nothing_above_the_level_has_no_diameters() -> None:
    e = np.full((5, 5, 5), 0.2, np.float32)
    found = diameters.of_lesion(e, np.ones_like(e, bool), 0.5, np.ones(3))
    assert (found.long_mm, found.perp_mm, found.slice_index, found.feret_mm) == (0.0, 0.0, -1, 0.0)
