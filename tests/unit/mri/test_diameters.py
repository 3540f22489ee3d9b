"""Two diameters of a nodule, against shapes known by hand."""

from __future__ import annotations

import numpy as np
import pytest

from lmresp.mri import diameters


def test_rectangle_has_its_diagonal_and_the_chord_across_it() -> None:
    # 4 x 3: diagonal 5; the longest chord perpendicular to a diagonal starts at a free corner and ends on the far
    # side: height of the corner over the diagonal is 12/5, and the chord runs on to the opposite long side.
    corners = np.array([[0.0, 0.0], [4.0, 0.0], [4.0, 3.0], [0.0, 3.0]])
    longest, perpendicular = diameters.of_points(corners)
    assert longest == pytest.approx(5.0)
    # Through (4, 0) along (-3, 4) / 5 to the line y = 3: 3 / (4 / 5) = 3.75.
    assert perpendicular == pytest.approx(3.75)


def test_points_on_a_line_have_no_width() -> None:
    assert diameters.of_points(np.array([[0.0, 0.0], [1.0, 1.0], [2.0, 2.0]])) == (0.0, 0.0)


@pytest.mark.parametrize(("long_mm", "perp_mm", "spacing"), [(10.0, 7.0, 1.0), (6.0, 6.0, 1.0), (12.0, 9.0, 2.0)])
def test_ellipsoid_within_half_a_voxel(long_mm: float, perp_mm: float, spacing: float) -> None:
    fine = 4
    axis = (np.arange(16 * fine) + 0.5) / fine - 8.13  # voxels from the centre, off the grid on purpose
    x, y, z = np.meshgrid(axis * spacing, axis * spacing, axis * spacing, indexing="ij")
    inside = (2 * x / long_mm) ** 2 + (2 * y / perp_mm) ** 2 + (2 * z / perp_mm) ** 2 <= 1
    fraction = inside.reshape(16, fine, 16, fine, 16, fine).mean(axis=(1, 3, 5)).astype(np.float32)
    found = diameters.of_lesion(fraction, np.ones_like(fraction, bool), 0.5, np.full(3, spacing))
    assert found.long_mm == pytest.approx(long_mm, abs=0.5 * spacing)
    assert found.perp_mm == pytest.approx(perp_mm, abs=0.5 * spacing)


def test_vessel_outside_the_allowed_region_is_cut_off() -> None:
    e = np.zeros((40, 40, 3), np.float32)
    e[17:23, 17:23] = 1.0
    e[23:40, 19:21] = 1.0  # a vessel touches the lesion
    allowed = np.zeros_like(e, bool)
    allowed[15:25, 15:25] = True
    assert diameters.of_lesion(e, allowed, 0.5, np.ones(3)).long_mm < 11
    assert diameters.of_lesion(e, np.ones_like(allowed), 0.5, np.ones(3)).long_mm > 20
