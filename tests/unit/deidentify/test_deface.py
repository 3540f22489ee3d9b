"""Removing faces: on a phantom whose brain and eyes are known exactly, and on what is no head."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from lmresp.mri import deface
from lmresp.mri.volume import Volume, checked, resample
from lmresp.simulate.phantom import Acquisition, Disease, Tissue, make_scan, make_subject
from lmresp.simulate.tissues import INDEX

pytestmark = pytest.mark.slow


def volume(image: Any) -> Volume:
    return checked(np.asarray(image.dataobj), np.asarray(image.affine))


@pytest.fixture(scope="module")
def phantom() -> tuple[Any, Any, deface.Face]:
    """A turned and shifted head at 2 mm, its truth, and its face."""
    anatomy = make_subject(61, 2.0)
    pose = Acquisition(seed=1, voxel_mm=(2.0, 2.0, 2.0), rotation_deg=(12, -8, 6), translation_mm=(5, 3, -4))
    scan = make_scan(anatomy, Disease(), pose)
    return anatomy, scan, deface.find(volume(scan.images["T1_PRE"]))


def truth(phantom: tuple[Any, Any, deface.Face], name: str, *tissues: Tissue) -> np.ndarray:
    """True fraction of tissues on the grid of a series."""
    anatomy, scan, _ = phantom
    from_series = np.linalg.inv(np.array(scan.truth["poses"][name]))
    maps = np.ascontiguousarray(sum(anatomy.maps[INDEX[t]] for t in tissues), dtype=np.float32)
    return resample(Volume(maps, anatomy.affine), volume(scan.images[name]), from_series)


@pytest.mark.parametrize("series", ["T1_PRE", "T1_POST", "FLAIR"])
def test_no_brain_is_cut_and_hardly_any_eye_is_left(phantom: tuple[Any, Any, deface.Face], series: str) -> None:
    _, scan, face = phantom
    image = volume(scan.images[series])
    removed = face.removed(image.shape, image.affine)
    brain, eyes = truth(phantom, series, Tissue.GM, Tissue.WM), truth(phantom, series, Tissue.EYE)
    assert (brain > 0.1).sum() * image.voxel_mm3 > 1_000_000  # the phantom's brain, mm3
    assert not (removed & (brain > 0.1)).any()
    assert (eyes > 0.5).sum() * image.voxel_mm3 > 5_000
    assert removed[eyes > 0.5].mean() > 0.98  # the back of a globe can lie within the margin of the frontal lobe


def test_the_margin_holds_on_any_grid(phantom: tuple[Any, Any, deface.Face]) -> None:
    face = phantom[2]
    for edge in (1.5, 5.0):  # thicker voxels keep a larger margin
        affine = np.diag([edge, edge, edge, 1.0])
        affine[:3, 3] = -100
        n = int(200 / edge)
        at = np.argwhere(face.removed((n, n, n), affine)) * edge - 100
        to_index = np.linalg.inv(face.depth.affine)
        index = np.rint(at @ to_index[:3, :3].T + to_index[:3, 3]).astype(int)
        inside = ((index >= 0) & (index < face.depth.shape)).all(axis=1)
        # A voxel of the mask's grid is 2 mm, so its centre is up to 1.8 mm from the place asked for.
        assert face.depth.array[tuple(index[inside].T)].min() >= 5.0 + edge / 2 - 1.8
        assert inside.sum() > 100


def test_series_of_one_session_fit_and_moved_ones_do_not(phantom: tuple[Any, Any, deface.Face]) -> None:
    _, scan, face = phantom
    assert face.misfit(volume(scan.images["T1_POST"])) == ""
    assert face.misfit(volume(scan.images["FLAIR"])) == ""
    image = volume(scan.images["T1_PRE"])
    for shift in (20, 60, 400):
        affine = image.affine.copy()
        affine[0, 3] += shift
        assert face.misfit(Volume(image.array, affine)) != ""


def ball() -> np.ndarray:
    at = np.indices((90, 90, 90)) - 45.0
    return np.where((at**2).sum(axis=0) < 40**2, 500 + 100 * np.sin(at[0] / 4), 0)


@pytest.mark.parametrize(
    "array", [ball(), np.random.default_rng(0).normal(300, 40, (90, 90, 90))], ids=["ball", "noise"]
)
def test_what_is_no_head_has_no_face(array: np.ndarray) -> None:
    with pytest.raises(deface.FaceError):
        deface.find(checked(array.astype(np.float32), np.diag([2.0, 2.0, 2.0, 1.0])))
