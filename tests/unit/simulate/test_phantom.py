"""The phantom's truth is exact, its bytes repeat, and its pictures follow the stated signal equation."""

from __future__ import annotations

import hashlib
import math

import numpy as np
import pytest

from lmresp.simulate.disease import apply, ellipsoid
from lmresp.simulate.phantom import Acquisition, Disease, Film, Nodule, Tissue, make_scan, make_subject
from lmresp.simulate.scanner import rigid
from lmresp.simulate.tissues import MATERIALS, Material, signal
from lmresp.simulate.widths import crossings_mm
from lmresp.terms import Sequence

GRID = 3.0
SICK = Disease(
    films=(Film((-42, -6, 4), 24, 1.5),),
    nodules=(Nodule((40, 2, 2), (14, 12, 10)), Nodule((-26, -34, 34), (12, 12, 12), Tissue.METASTASIS)),
)
PLAIN = {"noise": 0.0, "bias": 1e-9, "motion_deg": 0.0, "motion_mm": 0.0}


def acquisition(seed: int = 1, **settings: object) -> Acquisition:
    values = {"voxel_mm": (GRID,) * 3, "other_voxel_mm": (GRID, GRID, 2 * GRID)} | settings
    return Acquisition(seed, **values)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def anatomy():
    return make_subject(7, GRID)


def test_materials_of_a_voxel_never_exceed_the_voxel(anatomy):
    sick = apply(anatomy, SICK).maps
    for maps in (anatomy.maps, np.stack([sick[tissue] for tissue in Tissue])):
        assert maps.min() >= 0
        assert maps.sum(axis=0).max() <= 1 + 1e-5


def test_head_has_plausible_volumes(anatomy):
    # Adult brain 1100 to 1900 ml, ventricles of healthy adults well below 100 ml.
    truth = apply(anatomy, Disease()).truth
    assert 1.1e6 < truth["brain_mm3"] < 1.9e6
    assert 5e3 < truth["ventricles_mm3"] < 6e4
    assert 0.15 < truth["evans_index"] < 0.30  # above 0.30 is the usual sign of enlarged ventricles


def test_truth_volumes_are_sums_of_fraction_maps(anatomy):
    sick = apply(anatomy, SICK)
    for tissue, key in (
        (Tissue.FILM, "film_mm3"),
        (Tissue.NODULE, "nodule_mm3"),
        (Tissue.METASTASIS, "metastasis_mm3"),
    ):
        assert sick.truth[key] == pytest.approx(float(sick.maps[tissue].sum(dtype=float)) * GRID**3)
        assert sick.truth[key] > 0
    assert sick.truth["nodules"][0]["volume_mm3"] == pytest.approx(sick.truth["nodule_mm3"], rel=1e-6)


@pytest.mark.parametrize("diameters", [(14, 12, 10), (9, 9, 9), (20, 8, 8)])
def test_nodule_volume_is_that_of_the_ellipsoid(anatomy, diameters):
    fraction, _ = ellipsoid(anatomy, np.array([1.3, -20.2, 10.7]), diameters)
    expected = math.pi / 6 * math.prod(diameters)
    assert fraction.sum() * GRID**3 == pytest.approx(expected, rel=0.04)


def test_film_replaces_fluid_and_nothing_else(anatomy):
    sick = apply(anatomy, Disease(films=SICK.films))
    change = {tissue: sick.maps[tissue] - anatomy.fraction(tissue) for tissue in Tissue}
    np.testing.assert_allclose(change[Tissue.FILM], -change[Tissue.CSF], atol=1e-6)
    assert not any(change[tissue].any() for tissue in Tissue if tissue not in (Tissue.FILM, Tissue.CSF))


def test_thicker_film_and_wider_patch_hold_more(anatomy):
    def film(thickness: float, radius: float) -> float:
        return float(apply(anatomy, Disease(films=(Film((-42, -6, 4), radius, thickness),))).truth["film_mm3"])

    assert film(0.5, 20) < film(1.0, 20) < film(1.0, 30)


def test_ventricles_follow_the_push(anatomy):
    volumes, evans = [], []
    for push in (-1.5, 0.0, 2.0, 4.0):
        truth = apply(anatomy, Disease(ventricle_push_mm=push)).truth
        volumes.append(truth["ventricles_mm3"])
        evans.append(truth["evans_index"])
    assert volumes == sorted(volumes)
    assert evans == sorted(evans)
    assert volumes[-1] > 1.5 * volumes[1]


def test_width_between_half_crossings():
    profile = np.array([0, 0, 0.5, 1, 1, 0.25, 0], dtype=np.float32)
    # rises through 0.5 at voxel 2, falls through 0.5 two thirds of the way from voxel 4 to 5
    assert crossings_mm(profile, 2.0) == pytest.approx(2 * (4 + 2 / 3 - 2), abs=1e-5)
    assert crossings_mm(np.zeros(5, dtype=np.float32), 2.0) == 0


def test_place_not_found_is_said(anatomy):
    with pytest.raises(ValueError, match="no place"):
        apply(anatomy, Disease(nodules=(Nodule((0, -120, 90), (8, 8, 8)),)))


@pytest.mark.parametrize("grid", [0.5, 8.0])
def test_grid_out_of_range(grid):
    with pytest.raises(ValueError, match="grid_mm"):
        make_subject(1, grid)


def test_same_seeds_same_bytes_and_other_seeds_other_heads(anatomy):
    def digest(subject: int, scan: int) -> list[str]:
        make_subject.cache_clear()
        images = make_scan(make_subject(subject, GRID), SICK, acquisition(scan)).images
        return [hashlib.sha256(image.to_bytes()).hexdigest() for image in images.values()]

    first = digest(7, 1)
    assert digest(7, 1) == first
    assert not set(digest(7, 2)) & set(first)
    assert not set(digest(8, 1)) & set(first)


def test_signal_equation_by_hand():
    # pd |1 - 2 exp(-0.95/T1) + exp(-2.3/T1)| with 1/T1 = 1/1.5 + 4.5 * 0.4 = 2.4667
    material = Material(0.9, 1.5, 0.1)
    rate = 1 / 1.5 + 4.5 * 0.4
    expected = 0.9 * abs(1 - 2 * math.exp(-0.95 * rate) + math.exp(-2.3 * rate))
    assert signal(material, Sequence.T1_POST, 0.4) == pytest.approx(expected)
    # Agent that is there before the injection shows in the first series too.
    assert signal(material, Sequence.T1_PRE, 0.4) == signal(material, Sequence.T1_POST, 0.4)
    assert signal(material, Sequence.T1_PRE, 0.0) < 0.3 * expected
    with pytest.raises(ValueError, match="no sequence"):
        signal(material, Sequence.DWI, 0.0)


def test_fluid_is_dark_on_t1_and_flair_and_bright_on_t2():
    csf, white = MATERIALS[Tissue.CSF], MATERIALS[Tissue.WM]
    for sequence in (Sequence.T1_PRE, Sequence.FLAIR):
        assert signal(csf, sequence, 0) < 0.1 * signal(white, sequence, 0)
    assert signal(csf, Sequence.T2, 0) > 2 * signal(white, Sequence.T2, 0)


def test_enhancing_voxels_have_the_stated_signal(anatomy):
    both = (Sequence.T1_PRE, Sequence.T1_POST)
    scan = make_scan(anatomy, SICK, acquisition(series=both, contrast_factor=0.9, **PLAIN))
    nodule = scan.truth["enhancing"]["NODULE"]
    assert nodule["concentration_mmol_l"] == pytest.approx(0.9 * MATERIALS[Tissue.NODULE].contrast)
    centre = np.array([*scan.truth["nodules"][0]["center_series_mm"]["T1_POST"], 1.0])
    for name, key in (("T1_PRE", "signal_pre"), ("T1_POST", "signal_post")):
        image = scan.images[name]
        i, j, k = np.round(np.linalg.inv(image.affine) @ centre)[:3].astype(int)
        # A 14 x 12 x 10 mm nodule fills the middle voxel; the blur takes a little from beside it.
        assert image.dataobj[i, j, k] == pytest.approx(nodule[key], rel=0.12)
    for name, entry in scan.truth["enhancing"].items():
        assert entry["signal_post"] > entry["signal_pre"], name


def test_without_contrast_nothing_enhances(anatomy):
    both = (Sequence.T1_PRE, Sequence.T1_POST)
    scan = make_scan(anatomy, SICK, acquisition(series=both, contrast_factor=0.0, **PLAIN))
    assert scan.truth["enhancing"] == {}
    pre, post = (np.asarray(scan.images[name].dataobj, dtype=int) for name in both)
    assert np.abs(post - pre).max() <= 1


def test_pose_maps_a_landmark(anatomy):
    disease = Disease(nodules=(Nodule((40, 2, 2), (16, 16, 16)),))
    turned = acquisition(5, series=(Sequence.T1_PRE, Sequence.T1_POST), noise=0.0, bias=1e-9,
                         rotation_deg=(10, -5, 8), translation_mm=(4, -7, 5))  # fmt: skip
    scan = make_scan(anatomy, disease, turned)
    lesion = scan.truth["nodules"][0]
    pose = np.array(scan.truth["poses"]["T1_POST"])
    np.testing.assert_allclose(pose[:3, :3] @ pose[:3, :3].T, np.eye(3), atol=1e-8)
    expected = (pose @ [*lesion["center_mm"], 1.0])[:3]
    np.testing.assert_allclose(expected, lesion["center_series_mm"]["T1_POST"], atol=0.01)
    assert np.linalg.norm(expected - lesion["center_mm"]) > 5

    image = scan.images["T1_POST"]
    data = np.asarray(image.dataobj, dtype=float)
    voxels = np.stack(np.meshgrid(*map(np.arange, data.shape), indexing="ij"), -1)
    world = voxels @ image.affine[:3, :3].T + image.affine[:3, 3]
    ball = np.linalg.norm(world - expected, axis=-1) < 11
    bright = ball & (data > 0.6 * data[ball].max())
    found = np.average(world[bright], axis=0, weights=data[bright])
    np.testing.assert_allclose(found, expected, atol=0.5 * GRID)


def test_rotations_follow_the_right_hand():
    turn = rigid(np.array([0.0, 0.0, 90.0]), np.zeros(3))[:3, :3]
    np.testing.assert_allclose(turn @ [1, 0, 0], [0, 1, 0], atol=1e-12)
    turn = rigid(np.array([0.0, 90.0, 0.0]), np.zeros(3))[:3, :3]
    np.testing.assert_allclose(turn @ [0, 0, 1], [1, 0, 0], atol=1e-12)
