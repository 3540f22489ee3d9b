"""Real spines without contrast agent: the canal holds the cord, and nothing is said of enhancement."""

from __future__ import annotations

from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from lmresp.mri import canal
from lmresp.mri.registration import rigid
from lmresp.mri.spine import aid
from lmresp.mri.volume import Matrix, Volume, checked, resample

pytestmark = pytest.mark.slow


def _load(folder: Path, name: str) -> Volume:
    image = nib.load(folder / "mri" / "spine" / f"{name}.nii.gz")
    return checked(image.get_fdata(), image.affine)


@pytest.mark.parametrize(
    ("image", "cord"),
    [("cervical_t2", "cervical_t2_cordseg"), ("thoracic_t2_fakelesion", "thoracic_t2_fakelesion_cordseg")],
)
def test_canal_holds_the_cord(shared_data: Path, image: str, cord: str) -> None:
    found = canal.find(canal.upright(_load(shared_data, image)), bright=True)
    inside = canal.upright(_load(shared_data, cord)).array > 0.5
    assert found.mask is not None
    assert (inside & found.mask).sum() / inside.sum() > 0.98
    assert found.mask.sum() < 6 * inside.sum()  # cord and the CSF about it, not the vertebra as well


def test_cord_is_in_the_canal_with_slices_of_3_mm(shared_data: Path) -> None:
    whole, cord = (canal.upright(_load(shared_data, n)) for n in ("cervical_t2", "cervical_t2_cordseg"))
    thick = [v.array[:51].reshape(17, 3, *v.shape[1:]).mean(axis=1) for v in (whole, cord)]
    found = canal.find(Volume(thick[0], whole.affine @ np.diag([3.0, 1, 1, 1])), bright=True)
    inside = thick[1] > 0.5
    assert found.mask is not None
    assert (inside & found.mask).sum() / inside.sum() > 0.98


def test_lumbar_canal_is_followed_to_both_ends(shared_data: Path) -> None:
    volume = canal.upright(_load(shared_data, "lumbar_t2"))
    found = canal.find(volume, bright=True)
    assert found.mask is not None
    assert found.figures["length_mm"] > 0.9 * volume.shape[2] * volume.spacing[2]
    assert 10 < found.figures["deep_mm"] < 20
    # CSF of the sac is the brightest thing on T2: twice the median of the rest of the body.
    body = volume.array > np.percentile(volume.array, 50)
    assert np.median(volume.array[found.mask]) > 2 * np.median(volume.array[body & ~found.mask])


def test_without_contrast_agent_it_says_so(shared_data: Path) -> None:
    found = aid({"t2": _load(shared_data, "lumbar_t2")})
    assert found.candidates is None
    assert "canal" in found.images
    assert any("no T1 after contrast agent" in why for why in found.why)


def test_the_same_t1_twice_is_no_enhancement(shared_data: Path) -> None:
    t1 = _load(shared_data, "cervical_t1")
    found = aid({"pre": t1, "post": t1})
    assert not found.candidates
    assert found.why


def test_a_known_movement_of_a_real_cervical_t1_is_found(shared_data: Path) -> None:
    t1 = canal.upright(_load(shared_data, "cervical_t1"))
    angle = np.deg2rad(3.0)
    known: Matrix = np.eye(4)
    known[1:3, 1:3] = [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
    centre = (t1.affine @ [*((np.array(t1.shape) - 1) / 2), 1.0])[:3]
    known[:3, 3] = centre - known[:3, :3] @ centre + [0.6, 1.5, -2.0]
    rng = np.random.default_rng(3)
    moved = t1.like(resample(t1, t1, known, how="cubic") + rng.normal(0, 10, t1.shape))
    found = rigid(t1, moved, start=np.eye(4)).matrix
    cord = np.argwhere(canal.upright(_load(shared_data, "cervical_t1_cordseg")).array > 0.5)
    points = np.column_stack([cord, np.ones(len(cord))]) @ t1.affine.T
    error = np.linalg.norm((points @ (known @ found).T - points)[:, :3], axis=1)
    assert error.mean() < 0.3
