"""Rigid registration of made-up structure under known transforms (2 mm voxels), and of real heads."""

from __future__ import annotations

from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from scipy import ndimage

from lmresp.mri import registration, space
from lmresp.mri.registration import RegistrationError
from lmresp.mri.space import Head
from lmresp.mri.volume import Mask, Matrix, Volume, checked, resample
from lmresp.simulate.scanner import rigid as pose_of


def _structure() -> tuple[Volume, Mask]:
    rng = np.random.default_rng(5)
    shape = (80, 96, 76)
    fine = ndimage.gaussian_filter(rng.standard_normal(shape), 3)
    x, y, z = np.ogrid[-1:1:80j, -1:1:96j, -1:1:76j]
    inside = (x / 0.75) ** 2 + (y / 0.8) ** 2 + (z / 0.7) ** 2 < 1
    affine = np.diag([2.0, 2.0, 2.0, 1.0])
    affine[:3, 3] = [-80, -96, -76]
    return Volume(np.where(inside, 300 + 3000 * fine, 0).astype(np.float32), affine), inside


def _posed(volume: Volume, pose: Matrix, seed: int) -> Volume:
    noise = np.random.default_rng(seed).normal(0, 8, volume.shape)
    return volume.like(1.4 * resample(volume, volume, np.asarray(np.linalg.inv(pose))) + noise)


def _error_mm(found: Matrix, truth: Matrix) -> float:
    points = np.array([[x, y, z, 1] for x in (-50, 50) for y in (-60, 60) for z in (-45, 45)], dtype=float).T
    return float(np.linalg.norm(((found - truth) @ points)[:3], axis=0).max())


@pytest.mark.parametrize(("turn", "shift"), [((5, -3, 4), (4, -6, 3)), ((-8, 6, -10), (-9, 4, 8))])
def test_a_known_pose_is_found_to_a_quarter_of_a_voxel(
    turn: tuple[float, float, float], shift: tuple[float, float, float]
) -> None:
    fixed, inside = _structure()
    pose = pose_of(np.array(turn, dtype=float), np.array(shift, dtype=float))
    moving = _posed(fixed, pose, 1)
    assert _error_mm(registration.rigid(fixed, moving, inside=inside).matrix, pose) < 0.5


def test_many_starts_find_a_pose_of_40_degrees() -> None:
    fixed, inside = _structure()
    pose = pose_of(np.array([25.0, -20.0, 28.0]), np.array([20.0, -15.0, 10.0]))
    assert _error_mm(registration.rigid_multistart(fixed, _posed(fixed, pose, 2), inside=inside).matrix, pose) < 0.5


def test_a_jaw_that_moves_does_not_pull_the_brain_along() -> None:
    fixed, inside = _structure()
    jaw = np.zeros(fixed.shape, np.float32)
    jaw[20:60, 60:90, 2:9] = 900
    moved_jaw = np.roll(jaw, (0, -5, 1), axis=(0, 1, 2))
    outside = ~ndimage.binary_dilation(inside, iterations=4)
    still = fixed.like(np.where(outside & (jaw > 0), jaw, fixed.array))
    moved = fixed.like(np.where(outside & (moved_jaw > 0), moved_jaw, fixed.array))
    found = registration.rigid(still, moved, start=np.eye(4), inside=inside)
    assert _error_mm(found.matrix, np.eye(4)) < 0.1


def test_a_second_run_gives_the_same_bytes() -> None:
    fixed, inside = _structure()
    moving = _posed(fixed, pose_of(np.array([5.0, 2.0, -4.0]), np.array([3.0, 1.0, -2.0])), 3)
    runs = [registration.rigid(fixed, moving, inside=inside) for _ in range(2)]
    assert runs[0].matrix.tobytes() == runs[1].matrix.tobytes()
    assert runs[0].metric == runs[1].metric


def test_images_that_lie_apart_are_refused() -> None:
    fixed, inside = _structure()
    affine = fixed.affine.copy()
    affine[:3, 3] += 5000
    with pytest.raises(RegistrationError):
        registration.rigid(fixed, Volume(fixed.array, affine), start=np.eye(4), inside=inside)


def test_rigid_part_keeps_the_place_of_the_origin() -> None:
    affine = np.diag([1.1, 0.9, 1.05, 1.0]) @ pose_of(np.array([10.0, 5.0, -7.0]), np.array([3.0, -2.0, 8.0]))
    out = registration.rigid_part(affine)
    assert np.allclose(out[:3, :3] @ out[:3, :3].T, np.eye(3))
    assert np.allclose(out[:3, 3], affine[:3, 3])


def _real(path: Path, scan: str) -> Head:
    image = nib.load(path)
    volume = checked(np.asarray(image.dataobj), image.affine)
    mask = ndimage.binary_fill_holes(ndimage.binary_opening(volume.array > 0.02 * volume.array.max(), iterations=2))
    return Head(scan, volume, np.asarray(mask, dtype=bool))


@pytest.mark.slow
def test_real_heads_of_two_people_are_told_from_two_scans_of_one(shared_data: Path) -> None:
    folder = shared_data / "mri"
    before = _real(folder / "brain_prepost_mni" / "ms-patient07_t1.nii.gz", "before")
    after = _real(folder / "brain_prepost_mni" / "ms-patient07_t1c.nii.gz", "after")
    other = _real(folder / "brain_prepost_glioma" / "tcga-du-7294_t1.nii.gz", "other")
    found = space.align([before, after, other])
    assert found.places["after"].why == ""
    assert "wrong subject" in found.places["other"].why
    # Both T1 are published on one grid of the template: no pose is left between them.
    to_common = [found.places[name].to_common for name in ("before", "after")]
    assert to_common[0] is not None
    assert to_common[1] is not None
    assert _error_mm(to_common[1], to_common[0]) < 0.5
