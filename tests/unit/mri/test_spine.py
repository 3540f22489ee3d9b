"""Reading aid for the spine on phantoms of known truth."""

from __future__ import annotations

import json

import numpy as np
import pytest

from lmresp.mri import canal
from lmresp.mri.spine import RegionAid, aid, rows
from lmresp.mri.spine_registration import moved
from lmresp.mri.volume import Volume, resample
from lmresp.simulate.spine import Film, Movement, Nodule, Spine, compartments, picture, truth

MOVED = Movement((0.4, 1.2, -1.5), 1.0, 1.0)
ILL = Spine(1, "CERVICAL", (Film(-60, -30, 1.0),), (Nodule(10, 5),))
BEFORE = Spine(1, "CERVICAL", (), (Nodule(10, 5),))
OTHER_DAY = Movement((-2.0, 3.0, 24.0), -3.0, 0.0)


def _series(
    spine: Spine, *kinds: str, seed: int = 5, dose: float = 1.0, movement: Movement | None = None
) -> dict[str, Volume]:
    # The post-contrast series stays in place: truth is in its coordinates.
    return {
        kind: Volume(*picture(spine, kind, seed, dose=dose, movement=movement if kind == "pre" else None))
        for kind in kinds
    }


@pytest.fixture(scope="module")
def ill() -> RegionAid:
    series = _series(ILL, "pre", "post", "t2", movement=MOVED)
    reference = {kind: Volume(*picture(BEFORE, kind, 9, movement=OTHER_DAY)) for kind in ("pre", "post")}
    return aid(series, reference)


@pytest.fixture(scope="module")
def healthy() -> RegionAid:
    return aid(_series(Spine(2), "pre", "post", "t2", movement=MOVED))


@pytest.mark.parametrize("region", ["CERVICAL", "THORACIC", "LUMBAR"])
def test_canal_on_t2_is_the_dural_sac(region: str) -> None:
    spine = Spine(3, region)
    found = canal.find(Volume(*picture(spine, "t2", 1)), bright=True)
    sac, cord = (fraction > 0.5 for fraction in compartments(spine))
    assert found.mask is not None
    assert 2 * (sac & found.mask).sum() / (sac.sum() + found.mask.sum()) > 0.9
    assert (cord & found.mask).sum() / cord.sum() > 0.99


def test_canal_does_not_depend_on_the_order_of_the_axes_or_on_the_scale() -> None:
    array, affine = picture(Spine(3), "t2", 1)
    turned = affine[:, [2, 1, 0, 3]].copy()
    turned[:3, 3] += turned[:3, 0] * (array.shape[2] - 1)
    turned[:, 0] *= -1
    other = Volume(np.ascontiguousarray(np.transpose(array, (2, 1, 0))[::-1]) * np.float32(7.3), turned)
    first, second = canal.find(Volume(array, affine), bright=True), canal.find(canal.upright(other), bright=True)
    assert first.mask is not None
    assert second.mask is not None
    assert (first.mask == second.mask).mean() > 0.9999


@pytest.mark.parametrize("what", ["noise", "ball", "plates", "ramp"])
def test_no_canal_where_there_is_none(what: str) -> None:
    rng = np.random.default_rng(4)
    x, y, z = np.meshgrid(*(np.arange(n) - n / 2 for n in (60, 60, 100)), indexing="ij")
    shape = {
        "noise": np.zeros_like(x),
        "ball": 10.0 * (np.sqrt(x**2 + y**2 + z**2) < 25),
        "plates": 10.0 * (np.abs(y) < 6) + 4.0 * (np.abs(y - 20) < 5),
        "ramp": 0.05 * (x + 40),
    }[what]
    array = np.abs(shape + 3 + rng.normal(0, 1, x.shape)).astype(np.float32)
    found = canal.find(Volume(array, np.eye(4)), bright=True)
    assert found.mask is None
    assert "not found" in found.why


def test_film_and_nodule_are_shown_where_they_are(ill: RegionAid) -> None:
    assert ill.candidates is not None
    fraction, affine = truth(ILL)
    labels = resample(ill.images["candidates"], Volume(fraction, affine), how="nearest")
    height = affine[2, 2] * np.arange(fraction.shape[2]) + affine[2, 3]
    film = {int(n) for n in np.unique(labels[(fraction > 0.1) & (height < -20)])} - {0}
    nodule = {int(n) for n in np.unique(labels[(fraction > 0.1) & (height > 0)])} - {0}
    assert film
    assert nodule
    assert film | nodule == {one.number for one in ill.candidates}  # nothing false
    longest = max(one.length_mm for one in ill.candidates if one.number in film)
    assert longest == pytest.approx(30, abs=3)  # two slices' worth of slant and one voxel at either end
    (ball,) = [one for one in ill.candidates if one.number in nodule]
    assert ball.world_mm[2] == pytest.approx(10, abs=2.5)
    assert ball.long_mm == pytest.approx(5, abs=1.5)  # the part in the cord is not there


def test_voxel_and_world_are_the_same_place(ill: RegionAid) -> None:
    affine = picture(ILL, "t2", 1)[1]
    assert ill.candidates
    for one in ill.candidates:
        assert (affine @ [*one.voxel, 1.0])[:3] == pytest.approx(one.world_mm, abs=1.51)


def test_every_candidate_is_for_the_reader(ill: RegionAid) -> None:
    row = rows("CERVICAL", ill)
    assert row["candidates"]
    assert all(one["note"].startswith("for the reader") for one in row["candidates"])
    assert "does not mean" in row["remark"]
    assert json.loads(json.dumps(row)) == row


def test_reference_scan_is_brought_to_the_same_vertebra(ill: RegionAid) -> None:
    # A point of the spine: current scanner position p, reference position q with the known movement undone at q.
    points = np.array([[0.0, 5.0, z] for z in (-50.0, 0.0, 40.0)])
    x, y, z = moved(points, ill.matrices["reference"]).T
    angle = np.deg2rad(OTHER_DAY.tilt_deg)
    x, y, z = x - OTHER_DAY.shift_mm[0], y - OTHER_DAY.shift_mm[1], z - OTHER_DAY.shift_mm[2]
    back = np.stack([x, np.cos(angle) * y - np.sin(angle) * z, np.sin(angle) * y + np.cos(angle) * z], axis=1)
    assert np.linalg.norm(back - points, axis=1).max() < 1.0


def test_difference_shows_the_new_film_and_not_the_old_nodule(ill: RegionAid) -> None:
    difference = ill.images["difference"]
    now, old = (resample(Volume(*truth(one)), difference) for one in (ILL, BEFORE))
    new, same = difference.array[(now > 0.4) & (old < 0.01)], difference.array[old > 0.5]
    assert new.mean() > 0.2
    # Slices of 3 mm cut the old nodule elsewhere: part of it stays, which is in the limits.
    assert abs(same.mean()) < 0.5 * ill.images["enhancement"].array[old > 0.5].mean()


def test_normal_veins_are_no_candidates(healthy: RegionAid) -> None:
    assert healthy.candidates is not None
    assert len(healthy.candidates) <= 1  # veins at the margin can be marked, see the limits; the plexus as such is not
    assert all(row["result"] != "FAIL" for row in healthy.checks)


def test_enhancement_of_a_healthy_canal_is_zero_and_of_its_veins_is_not(healthy: RegionAid) -> None:
    e, inside = healthy.images["enhancement"].array, healthy.images["canal"].array > 0.5
    assert abs(float(np.median(e[inside]))) < 0.03
    assert float(np.percentile(e, 99)) > 0.3


def test_no_contrast_agent_is_said_and_nothing_is_marked() -> None:
    found = aid(_series(Spine(2), "pre", "post", "t2", dose=0.0))
    assert found.candidates is None
    assert any("no contrast agent seen" in why for why in found.why)


@pytest.mark.parametrize(
    ("kinds", "reason"),
    [
        (("t2", "pre"), "no T1 after contrast agent"),
        (("t2", "post"), "no T1 before contrast agent"),
        (("t2",), "no T1 after contrast agent"),
        ((), "no image of this region"),
    ],
)
def test_missing_series_end_in_a_reason(kinds: tuple[str, ...], reason: str) -> None:
    found = aid(_series(Spine(2), *kinds))
    assert found.candidates is None
    assert any(reason in why for why in found.why)
    assert ("canal" in found.images) == ("t2" in kinds)


def test_bad_voxels_and_shapes_do_not_raise() -> None:
    good = _series(Spine(2), "t2")["t2"]
    holes = good.array.copy()
    holes[:, 40:60] = np.nan
    holes[0, 0, 0] = np.inf
    thin = Volume(good.array[:3], good.affine)
    noise = Volume(np.random.default_rng(1).random((20, 60, 60), dtype=np.float32), np.diag([3.0, 1.0, 1.0, 1.0]))
    empty = good.like(np.zeros(good.shape))
    for series in (
        {"t2": good.like(holes)},
        {"t2": thin, "post": thin},
        dict.fromkeys(("pre", "post", "t2"), noise),
        {"pre": empty},
    ):
        found = aid(series)
        assert found.candidates is None
        assert found.why


def test_other_technique_after_contrast_agent_is_not_subtracted() -> None:
    series = _series(Spine(2), "t2", "pre")
    found = aid(series | {"post": series["t2"]})  # what should be a T1 is a T2
    assert found.candidates is None
    assert any("do not match" in why or "no contrast agent" in why for why in found.why)
