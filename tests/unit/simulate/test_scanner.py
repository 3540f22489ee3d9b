"""Every setting of the simulated scanner does what its name says, and the truth says what was done."""

from __future__ import annotations

import numpy as np
import pytest

from lmresp.simulate.anatomy import Anatomy
from lmresp.simulate.phantom import Acquisition, Disease, Film, Nodule, PhantomScan, Tissue, make_scan, make_subject
from lmresp.simulate.scanner import _profile, finer
from lmresp.simulate.tissues import MATERIALS, signal
from lmresp.terms import Sequence

GRID = 3.0
BOTH = (Sequence.T1_PRE, Sequence.T1_POST)
SICK = Disease(films=(Film((-42, -6, 4), 30, 2.0),), nodules=(Nodule((40, 2, 2), (16, 16, 16)),))


@pytest.fixture(scope="module")
def anatomy() -> Anatomy:
    return make_subject(7, GRID)


def scan(anatomy: Anatomy, **settings: object) -> PhantomScan:
    plain = {
        "voxel_mm": (GRID,) * 3,
        "other_voxel_mm": (GRID, GRID, 2 * GRID),
        "series": BOTH,
        "noise": 0.0,
        "bias": 1e-9,
        "motion_deg": 0.0,
        "motion_mm": 0.0,
    }
    return make_scan(anatomy, SICK, Acquisition(3, **(plain | settings)))  # type: ignore[arg-type]


def data(made: PhantomScan, name: str = "T1_POST") -> np.ndarray:
    return np.asarray(made.images[name].dataobj, dtype=float)


def test_box_profile_weighs_a_slice_evenly() -> None:
    weights = _profile(5.0, 1.0, "box")
    np.testing.assert_allclose(weights[weights > 0], [0.2] * 5)
    gaussian = _profile(5.0, 0.5, "gaussian")
    at = 0.5 * (np.arange(len(gaussian)) - len(gaussian) // 2)
    # Full width at half maximum of 5 mm: standard deviation 5 / 2.3548.
    assert np.sqrt(np.sum(gaussian * at**2)) == pytest.approx(5 / 2.3548, rel=0.02)


def test_gap_spaces_the_slices_and_keeps_their_places(anatomy: Anatomy) -> None:
    whole, gapped = (scan(anatomy, voxel_mm=(GRID, GRID, 4.0), gap_mm=gap) for gap in (0.0, 2.0))
    assert whole.images["T1_POST"].header.get_zooms()[2] == 4
    assert gapped.images["T1_POST"].header.get_zooms()[2] == 6
    centre = np.array([*gapped.truth["nodules"][0]["center_series_mm"]["T1_POST"], 1])
    for made in (whole, gapped):
        image = made.images["T1_POST"]
        i, j, k = np.round(np.linalg.inv(image.affine) @ centre)[:3].astype(int)
        assert image.dataobj[i, j, k] > 600  # white matter is 400 before contrast


def test_fine_pixels_cover_the_same_places(anatomy: Anatomy) -> None:
    coarse, fine = (scan(anatomy, voxel_mm=(mm, mm, 6.0)) for mm in (3.0, 1.5))
    assert data(fine).shape[:2] == (128, 160)
    np.testing.assert_allclose(fine.images["T1_POST"].affine, finer(coarse.images["T1_POST"].affine, 2))
    means = data(fine).reshape(64, 2, 80, 2, -1).mean(axis=(1, 3))
    assert np.corrcoef(means.ravel(), data(coarse).ravel())[0, 1] > 0.99


def test_agent_before_the_injection_shows_in_the_first_series(anatomy: Anatomy) -> None:
    late = scan(anatomy, pre_contrast_factor=1.0)
    np.testing.assert_allclose(data(late, "T1_PRE"), data(late, "T1_POST"), atol=1)
    nodule = late.truth["enhancing"]["NODULE"]
    assert nodule["signal_pre"] == nodule["signal_post"]


def test_black_blood_empties_the_vessels_and_spares_the_rest(anatomy: Anatomy) -> None:
    bright, dark = scan(anatomy), scan(anatomy, black_blood=True)
    assert "VESSEL" in bright.truth["enhancing"]
    assert dark.truth["enhancing"]["VESSEL"]["signal_post"] < 50
    assert dark.truth["enhancing"]["NODULE"] == bright.truth["enhancing"]["NODULE"]
    lost = data(bright) - data(dark)
    assert lost.max() > 400
    assert lost.min() > -2  # nothing gets brighter


def test_flowing_blood_is_void_on_t2() -> None:
    vessel, muscle = MATERIALS[Tissue.VESSEL], MATERIALS[Tissue.MUSCLE]
    assert signal(vessel, Sequence.T2, 0.8) < 0.1 * signal(muscle, Sequence.T2, 0)


def test_vessel_factor_changes_vessels_only(anatomy: Anatomy) -> None:
    plain, early = scan(anatomy), scan(anatomy, vessel_factor=1.5)
    for name, entry in plain.truth["enhancing"].items():
        factor = 1.5 if name == "VESSEL" else 1.0
        assert early.truth["enhancing"][name]["concentration_mmol_l"] == pytest.approx(
            factor * entry["concentration_mmol_l"]
        )


def test_sway_moves_energy_out_of_the_head_along_y_and_keeps_its_place(anatomy: Anatomy) -> None:
    still, swayed = data(scan(anatomy)), data(scan(anatomy, within_scan_mm=1.5))
    outside = np.zeros(still.shape, dtype=bool)
    outside[:, :4], outside[:, -4:] = True, True
    quiet = still < 2
    assert swayed[quiet & outside].mean() > 5 * max(still[quiet & outside].mean(), 0.2)
    middle = [np.average(np.arange(still.shape[0]), weights=v.sum(axis=(1, 2))) for v in (still, swayed)]
    assert middle[0] == pytest.approx(middle[1], abs=0.3)


def test_gains_are_stated(anatomy: Anatomy) -> None:
    plain, spread = scan(anatomy), scan(anatomy, gain_spread=0.2)
    for name in ("T1_PRE", "T1_POST"):
        assert plain.truth["gains"][name] == 1
        ratio = np.median(data(spread, name)[data(plain, name) > 200] / data(plain, name)[data(plain, name) > 200])
        assert ratio == pytest.approx(spread.truth["gains"][name], rel=0.01)
    assert spread.truth["gains"]["T1_PRE"] != spread.truth["gains"]["T1_POST"]


def test_dura_as_after_a_puncture(anatomy: Anatomy) -> None:
    bright = Disease(dura_concentration=0.6, dura_thickening_mm=1.0)
    made = make_scan(anatomy, bright, Acquisition(1, series=BOTH, voxel_mm=(GRID,) * 3))
    assert made.truth["enhancing"]["DURA"]["concentration_mmol_l"] == 0.6
    assert not made.truth["enhancing"]["DURA"]["disease"]
    assert made.truth["film_mm3"] == 0


@pytest.mark.parametrize("settings", [{"profile": "sinc"}, {"voxel_mm": (1.0, 0.0, 1.0)}])
def test_impossible_settings_are_refused(anatomy: Anatomy, settings: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r"profile|larger than 0"):
        scan(anatomy, **settings)


def test_truth_says_that_it_is_simulated(anatomy: Anatomy) -> None:
    truth = scan(anatomy, gap_mm=1.0).truth
    assert truth["simulated"] is True
    assert truth["acquisition"]["gap_mm"] == 1.0
    assert truth["traits"]["sulci"] == anatomy.traits.sulci
