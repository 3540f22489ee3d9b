"""Single steps of the measurement on small volumes whose answer is known."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from scipy import ndimage

from lmresp.mri import enhancement, images, methods, registration, template
from lmresp.mri.volume import Volume, VolumeError, checked, from_sitk, resample, to_sitk


def _blobs(seed: int = 0) -> Volume:
    rng = np.random.default_rng(seed)
    array = ndimage.gaussian_filter(rng.standard_normal((48, 56, 44)), 7)
    x, y, z = np.ogrid[-1:1:48j, -1:1:56j, -1:1:44j]
    array = np.where((x / 0.8) ** 2 + (y / 0.85) ** 2 + (z / 0.75) ** 2 < 1, 300 + 8000 * array, 0)
    affine = np.diag([3.0, 3.0, 3.0, 1.0])
    affine[:3, 3] = [-72, -84, -66]
    return Volume(array.astype(np.float32), affine)


def test_sitk_round_trip_keeps_array_and_oblique_matrix() -> None:
    turn = np.eye(4)
    turn[:2, :2] = [[0.8, -0.6], [0.6, 0.8]]
    volume = Volume(np.arange(24, dtype=np.float32).reshape(2, 3, 4), turn @ np.diag([1.0, 2.0, 3.0, 1.0]))
    back = from_sitk(to_sitk(volume))
    assert np.array_equal(back.array, volume.array)
    assert np.allclose(back.affine, volume.affine)


def test_resample_by_a_whole_voxel_shift() -> None:
    volume = _blobs()
    shift = np.eye(4)
    shift[0, 3] = 3.0  # grid position x is found at x + 3 mm in the moving image: the next voxel
    out = resample(volume, volume, shift)
    assert np.allclose(out[:-1], volume.array[1:], atol=1e-2)


def test_rigid_pose_of_the_template_brain_is_recovered_within_half_a_voxel() -> None:
    moving = template.load().brain
    truth = registration._rotation((6.0, -4.0, 8.0))
    truth[:3, 3] = [7.0, -5.0, 4.0]
    fixed = moving.like(0.8 * resample(moving, moving, truth))
    fit = registration.rigid(fixed, moving)
    assert registration.distance(fixed, fit.matrix, truth) < 1.0  # voxels of 2 mm


def test_registration_repeats_exactly() -> None:
    moving = _blobs()
    truth = registration._rotation((3.0, 0.0, 0.0))
    fixed = moving.like(resample(moving, moving, truth))
    first, second = registration.rigid(fixed, moving), registration.rigid(fixed, moving)
    assert np.array_equal(first.matrix, second.matrix)
    assert first.metric == second.metric


def test_enhancement_does_not_depend_on_gain_and_finds_the_lesion() -> None:
    rng = np.random.default_rng(1)
    pre = _blobs().like(rng.uniform(100, 400, (48, 56, 44)))
    lesion = np.zeros(pre.shape, bool)
    lesion[20:26, 20:26, 20:26] = True
    inside = np.ones(pre.shape, bool)
    maps = []
    for gain in (1.0, 3.7):
        post = pre.like(gain * (0.9 * pre.array + 12 + 200 * lesion))
        maps.append(enhancement.measure(post, pre, inside))
    assert maps[0].slope == pytest.approx(0.9, rel=1e-3)
    assert np.allclose(maps[0].map.array, maps[1].map.array, atol=1e-3)
    assert maps[0].map.array[lesion].mean() * maps[0].white == pytest.approx(200, rel=0.01)
    assert abs(float(np.median(maps[0].map.array[~lesion]))) < 1e-3


def test_enhancement_refuses_images_without_a_common_signal() -> None:
    pre = _blobs()
    with pytest.raises(enhancement.EnhancementError):
        enhancement.measure(pre.like(1000 - pre.array), pre, pre.array > 0)


@pytest.mark.parametrize(
    ("array", "what"),
    [
        (np.zeros((20, 20)), "dimensions"),
        (np.zeros((20, 20, 3)), "voxels along"),
        (np.zeros((20, 20, 20)), "empty"),
        (np.full((20, 20, 20), np.nan), "empty"),
    ],
)
def test_unusable_images_say_why(array: np.ndarray, what: str) -> None:
    with pytest.raises(VolumeError, match=what):
        checked(array, np.eye(4))


def test_infinite_voxels_become_zero() -> None:
    array = np.ones((10, 10, 10))
    array[0, 0, 0], array[1, 1, 1] = -np.inf, np.nan
    assert checked(array, np.eye(4)).array.min() == 0


def test_written_images_repeat_and_hold_no_text(tmp_path: Path) -> None:
    volume = _blobs()
    first = images.write(tmp_path / "a.nii.gz", volume)
    second = images.write(tmp_path / "b.nii.gz", volume)
    assert first == second
    back = images.read(tmp_path / "a.nii.gz")
    assert np.abs(back.array - volume.array).max() <= float(np.abs(volume.array).max()) / 32000
    assert np.allclose(back.affine, volume.affine)


def test_every_parameter_states_unit_source_and_certainty() -> None:
    for method, parameters in methods.table().items():
        for name, entry in parameters.items():
            assert {"unit", "source", "certainty"} <= set(entry), f"{method}.{name}"
            assert entry["certainty"] in {"measured", "published", "convention"}, f"{method}.{name}"
