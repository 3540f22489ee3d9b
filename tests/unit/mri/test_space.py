"""The common space: the mean pose by algebra, and the alignment against phantoms of known pose (2 mm voxels)."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest

from lmresp.mri import space
from lmresp.mri.space import Head
from lmresp.mri.volume import Matrix, Volume, checked, resample, world_axes
from lmresp.simulate import phantom
from lmresp.simulate.scanner import rigid
from lmresp.simulate.tissues import Tissue
from lmresp.terms import Sequence

HEAD = np.array([3.0, -15.0, 5.0])
POSES = [
    rigid(np.array(turn, dtype=float), np.array(shift, dtype=float))
    for turn, shift in [((0, 0, 0), (0, 0, 0)), ((12, -20, 30), (10, -5, 20)), ((-25, 8, -3), (-30, 12, 4))]
]


def _centres(poses: list[Matrix]) -> list[Matrix]:
    return [(pose @ [*HEAD, 1.0])[:3] for pose in poses]


def _angle(matrix: Matrix) -> float:
    return float(np.degrees(np.arccos(np.clip((np.trace(matrix[:3, :3]) - 1) / 2, -1, 1))))


def test_every_visit_of_one_head_lands_on_the_same_place() -> None:
    to_mean = space.to_mean_pose(POSES, _centres(POSES))
    points = np.array([[0, 0, 0, 1], [60, -70, 40, 1], [-60, 50, -30, 1]], dtype=float).T
    landed = [matrix @ pose @ points for matrix, pose in zip(to_mean, POSES, strict=True)]
    assert np.allclose(landed[0], landed[1], atol=1e-9)
    assert np.allclose(landed[0], landed[2], atol=1e-9)


def test_two_visits_are_equally_far_from_their_mean() -> None:
    to_mean = space.to_mean_pose(POSES[:2], _centres(POSES[:2]))
    whole = _angle(POSES[1] @ np.linalg.inv(POSES[0]))
    assert [_angle(matrix) for matrix in to_mean] == pytest.approx([whole / 2, whole / 2], abs=1e-6)
    moved = [
        np.linalg.norm((matrix @ [*centre, 1.0])[:3] - centre)
        for matrix, centre in zip(to_mean, _centres(POSES[:2]), strict=True)
    ]
    assert moved[0] == pytest.approx(moved[1], abs=1e-9)
    assert moved[0] > 5


@pytest.mark.parametrize("order", [(0, 2, 1), (2, 0, 1), (1, 2, 0)])
def test_no_visit_is_favoured_by_the_order_or_by_the_hub(order: tuple[int, ...]) -> None:
    usual = space.to_mean_pose(POSES, _centres(POSES))
    # Poses are told from the first of the list, as the alignment gives them.
    turned = [POSES[n] @ np.linalg.inv(POSES[order[0]]) for n in order]
    other = space.to_mean_pose(turned, [_centres(POSES)[n] for n in order])
    for n, matrix in zip(order, other, strict=True):
        assert np.abs((matrix - usual[n]) @ [*_centres(POSES)[n], 1.0]).max() < 1e-6
        assert np.allclose(matrix, usual[n], atol=1e-8)


def test_a_mean_of_opposite_turns_is_no_turn() -> None:
    poses = [rigid(np.array([0, 0, angle], dtype=float), np.zeros(3)) for angle in (20, -20)]
    to_mean = space.to_mean_pose(poses, _centres(poses))
    assert [_angle(matrix) for matrix in to_mean] == pytest.approx([20, 20], abs=1e-6)
    assert np.allclose(to_mean[0] @ poses[0], to_mean[1] @ poses[1])


def _scans(seed: int, **settings: tuple[phantom.Disease, dict[str, Any]]) -> dict[str, tuple[Head, Matrix]]:
    anatomy = phantom.make_subject(seed, 2.0)
    parts = sum(anatomy.fraction(tissue) for tissue in (Tissue.GM, Tissue.WM))
    brain = Volume((parts > 0.5).astype(np.float32), anatomy.affine)
    out = {}
    for name, (disease, how) in settings.items():
        asked = phantom.Acquisition(series=(Sequence.T1_POST,), **how)
        scan = phantom.make_scan(anatomy, disease, asked)
        image = scan.images["T1_POST"]
        volume = checked(np.asarray(image.dataobj), image.affine)
        pose = np.array(scan.truth["poses"]["T1_POST"])
        mask = resample(brain, volume, np.linalg.inv(pose)) > 0.5
        out[name] = (Head(name, volume, mask), pose)
    return out


FAR = {"rotation_deg": (28, -22, -33), "translation_mm": (35, -30, -28)}
NEAR = {"rotation_deg": (6, 4, -10), "translation_mm": (8, 8, -9), "contrast_factor": 0.9, "gain": 1.4}
BIG = phantom.Disease(ventricle_push_mm=2.5)


@pytest.fixture(scope="module")
def scans() -> dict[str, tuple[Head, Matrix]]:
    return _scans(
        4,
        first=(phantom.Disease(), {"seed": 1}),
        ventricles=(BIG, {"seed": 2, **NEAR}),
        far=(phantom.Disease(), {"seed": 3, **FAR}),
    )


@pytest.fixture(scope="module")
def common(scans: dict[str, tuple[Head, Matrix]]) -> space.Space:
    return space.align([head for head, _ in scans.values()])


@pytest.mark.slow
def test_poses_up_to_33_degrees_and_40_mm_are_undone(
    scans: dict[str, tuple[Head, Matrix]], common: space.Space
) -> None:
    head, first_pose = scans["first"]
    here = np.stack([*(axis[head.mask] for axis in world_axes(head.anchor)), np.ones(int(head.mask.sum()))])
    for name, (_, pose) in scans.items():
        place = common.places[name]
        assert place.to_common is not None
        assert not place.why
        through = np.linalg.inv(place.to_common) @ common.places["first"].to_common @ here
        truth = pose @ np.linalg.inv(first_pose) @ here
        assert np.linalg.norm((through - truth)[:3], axis=0).mean() < 0.5  # a quarter of a voxel
        assert np.array_equal(place.to_common, np.round(place.to_common, 6))


@pytest.mark.slow
def test_axes_are_those_of_the_template_at_true_size(
    scans: dict[str, tuple[Head, Matrix]], common: space.Space
) -> None:
    to_common = common.places["far"].to_common
    assert to_common is not None
    assert np.allclose(to_common[:3, :3] @ to_common[:3, :3].T, np.eye(3), atol=1e-5)
    # The phantom is built from the template: its own coordinates are nearly those of the template.
    _, pose = scans["far"]
    from_head = to_common @ pose
    assert _angle(from_head) < 4
    assert np.linalg.norm(from_head @ [0, 0, 0, 1.0] - [0, 0, 0, 1.0]) < 4
    assert _angle(common.to_template) < 10


@pytest.mark.slow
def test_wrong_subject_and_no_head_are_told_and_the_rest_goes_on(scans: dict[str, tuple[Head, Matrix]]) -> None:
    head, _ = scans["first"]
    rng = np.random.default_rng(0)
    noise = Head("noise", head.anchor.like(rng.random(head.anchor.shape)), head.mask)
    blank = Head("blank", head.anchor.like(np.ones(head.anchor.shape)), head.mask)
    ball = np.sqrt(sum(np.asarray(axis) ** 2 for axis in world_axes(head.anchor)))
    fruit = Head("fruit", head.anchor.like(np.clip(60 - ball, 0, 5) * 100), ball < 60)
    nothing = dataclasses.replace(head, scan="nothing", mask=np.zeros_like(head.mask))
    (other, _) = _scans(9, other=(phantom.Disease(), {"seed": 1, **NEAR}))["other"]
    right, _ = scans["ventricles"]
    found = space.align([nothing, head, noise, blank, fruit, other, right])
    assert {name for name, place in found.places.items() if not place.why} == {"first", "ventricles"}
    assert found.places["nothing"].to_common is None
    assert "no brain" in found.places["nothing"].why
    assert found.places["other"].to_common is not None  # placed by its own template fit
    assert "wrong subject" in found.places["other"].why


def test_no_usable_scan_at_all() -> None:
    empty = Volume(np.zeros((20, 20, 20), np.float32), np.eye(4))
    found = space.align([Head("a", empty, np.zeros((20, 20, 20), bool))])
    assert found.places["a"].to_common is None
    assert found.places["a"].why
    assert space.align([]).places == {}
