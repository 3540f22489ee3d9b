"""Ventricles of a head made from the template's own maps: what is known is counted or constructed, not copied."""

from __future__ import annotations

import numpy as np
import pytest

from lmresp.mri import template, ventricles
from lmresp.mri.methods import number
from lmresp.mri.volume import Volume, resample

SIGNALS = (20.0, 240.0, 400.0)  # CSF, grey and white matter


def _head() -> tuple[Volume, np.ndarray]:
    """T1 of the template itself on its own 2 mm grid, and its brain mask."""
    base = template.load()
    t1 = SIGNALS[0] * base.csf + SIGNALS[1] * base.grey + SIGNALS[2] * base.white
    return base.brain.like(t1 * base.mask), base.mask


@pytest.fixture(scope="module")
def measured() -> ventricles.Ventricles:
    head, mask = _head()
    return ventricles.measure(np.zeros(head.shape, np.float32), mask, head, np.eye(4), head)


def test_ventricles_of_the_average_brain(measured: ventricles.Ventricles) -> None:
    # The fluid of the ICBM maps inside the template's ventricles and one voxel around them.
    base = template.load()
    core = float(base.csf[base.ventricles].sum()) * base.brain.voxel_mm3
    assert measured.volume_mm3 == pytest.approx(core, rel=0.25)
    assert measured.mask[base.ventricles].mean() > 0.8
    # Healthy adults: Evans index below 0.30.
    assert measured.evans is not None
    assert 0.2 < measured.evans < 0.3
    assert measured.frontal_occipital is not None
    assert measured.frontal_occipital > measured.evans
    assert measured.uncertainty_mm3 > 0


def test_cisterns_stay_out(measured: ventricles.Ventricles) -> None:
    base = template.load()
    inverse = np.linalg.inv(base.brain.affine)
    for place in (
        (0, -40, -14),
        (0, 40, 10),
        (45, 0, -2),
        (0, -10, -16),
    ):  # superior cerebellar, fissure, insula, basal
        i, j, k = np.round(inverse @ [*place, 1.0]).astype(int)[:3]
        assert not measured.mask[i - 1 : i + 2, j - 1 : j + 2, k - 1 : k + 2].any()


def test_gain_does_not_matter(measured: ventricles.Ventricles) -> None:
    head, mask = _head()
    louder = head.like(head.array * 3.0)
    again = ventricles.measure(np.zeros(head.shape, np.float32), mask, louder, np.eye(4), louder)
    assert again.volume_mm3 == pytest.approx(measured.volume_mm3, rel=1e-3)


def test_volume_does_not_depend_on_the_axes_of_the_grid(measured: ventricles.Ventricles) -> None:
    head, mask = _head()
    turn = np.deg2rad(7.0)
    affine = head.affine.copy()
    rotation = np.array([[np.cos(turn), -np.sin(turn), 0], [np.sin(turn), np.cos(turn), 0], [0, 0, 1]])
    affine[:3, :3] = rotation @ affine[:3, :3]
    affine[:3, 3] = rotation @ affine[:3, 3]
    grid = Volume(np.zeros(head.shape, np.float32), affine)
    turned = grid.like(resample(head, grid, how="cubic"))
    inside = resample(head.like(mask), grid) > 0.5
    again = ventricles.measure(np.zeros(head.shape, np.float32), inside, turned, np.eye(4), turned)
    assert again.volume_mm3 == pytest.approx(measured.volume_mm3, rel=0.05)
    assert again.evans == pytest.approx(measured.evans, abs=0.01)


def test_csf_fraction_alone_is_enough(measured: ventricles.Ventricles) -> None:
    head, mask = _head()
    csf = np.clip((SIGNALS[1] - head.array) / (SIGNALS[1] - SIGNALS[0]), 0, 1).astype(np.float32)
    again = ventricles.measure(csf, mask, head, np.eye(4))
    assert again.volume_mm3 == pytest.approx(measured.volume_mm3, rel=0.2)


@pytest.mark.parametrize("fill", [0.0, 100.0])
def test_no_ventricles_is_a_value(fill: float) -> None:
    head, mask = _head()
    flat = head.like(np.full(head.shape, fill, np.float32))
    for brain in (mask, np.zeros_like(mask)):
        found = ventricles.measure(np.zeros(head.shape, np.float32), brain, flat, np.eye(4), flat)
        assert (found.volume_mm3, found.evans, found.frontal_occipital) == (0.0, None, None)
        assert not found.mask.any()


def test_template_elsewhere_is_a_value() -> None:
    head, mask = _head()
    away = np.eye(4)
    away[:3, 3] = 500.0
    found = ventricles.measure(np.zeros(head.shape, np.float32), mask, head, away, head)
    assert found.evans is None
    assert found.volume_mm3 == 0.0


def test_thick_slices_are_less_certain() -> None:
    assert ventricles.uncertainty(np.array([1.0, 1.0, 5.0])) > ventricles.uncertainty(np.array([1.0, 1.0, 1.0]))
    assert ventricles.uncertainty(np.array([0.9, 0.9, 0.9])) == number("ventricles.uncertainty")


def test_width_is_between_the_half_crossings() -> None:
    row = np.zeros((12, 1), np.float32)
    row[3:7] = 1
    row[7] = 0.25  # right edge: (1 - 0.5) / (1 - 0.25) of a voxel after the last full one
    assert ventricles._widest(row) == pytest.approx(3 + 0.5 + 0.5 / 0.75)
