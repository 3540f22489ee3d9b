"""Change of enhancement on made-up maps whose truth is set by hand (1 mm voxels)."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from scipy import ndimage

from lmresp.mri import change
from lmresp.mri.change import Changed, State
from lmresp.mri.volume import Mask, Volume

SHAPE = (80, 80, 80)
FULL = 1.2
FILM = (slice(20, 60), slice(20, 60), slice(40, 42))  # a sheet of 3200 mm3
NEW = (slice(20, 40), slice(20, 40), slice(60, 62))  # another of 800 mm3
VESSELS = np.zeros(SHAPE, bool)
VESSELS[10:14, :, 10:14] = VESSELS[:, 66:70, 10:14] = VESSELS[66:70, 10:14, :] = True


def _state(seed: int, *films: tuple[slice, ...], dose: float = 1.0, part: float = 0.8) -> State:
    rng = np.random.default_rng(seed)
    e = np.zeros(SHAPE, np.float32)
    film = np.zeros(SHAPE, bool)
    for place in films:
        film[place] = True
    e[film] = part * FULL * dose
    e[VESSELS] = FULL * dose
    e = ndimage.gaussian_filter(e, 0.5) + rng.normal(0, 0.05, SHAPE).astype(np.float32)
    pre = np.ones(SHAPE, np.float32)
    return State(Volume(e, np.eye(4)), pre, 0.05, FULL * dose, film, np.zeros(SHAPE, bool))


def _search() -> Mask:
    return ~ndimage.binary_dilation(VESSELS, iterations=3)


def _compare(now: State, before: State) -> Changed:
    search = _search()
    return change.compare(now, before, search=search, hidden=~search, normal=VESSELS)


@pytest.mark.parametrize("dose", [0.85, 1.0, 1.15])
def test_a_rescan_with_another_dose_shows_no_change(dose: float) -> None:
    found = _compare(_state(2, FILM, dose=dose), _state(1, FILM))
    assert not found.up.any()
    assert not found.down.any()
    assert found.gain == pytest.approx(1 / dose, rel=0.02)
    assert abs(found.film.change_mm3) < 2 * found.film.sd_mm3


def test_new_film_is_found_where_it_is_and_measured() -> None:
    found = _compare(_state(2, FILM, NEW), _state(1, FILM))
    assert found.up[NEW].mean() > 0.9
    assert not found.down.any()
    assert not (found.up & ~ndimage.binary_dilation(_state(2, NEW).film, iterations=2)).any()
    # 800 mm3 at 0.8 of full enhancement.
    assert found.film.change_mm3 == pytest.approx(640, rel=0.1)
    assert found.film.before_mm3 == pytest.approx(3200 * 0.8, rel=0.1)
    assert found.film.change_mm3 > 3 * found.film.sd_mm3


def test_swapping_the_visits_swaps_up_and_down() -> None:
    more, less = _state(2, FILM, NEW), _state(1, FILM)
    there, back = _compare(more, less), _compare(less, more)
    assert np.array_equal(there.up, back.down)
    assert np.array_equal(there.down, back.up)
    assert back.film.change_mm3 == pytest.approx(-there.film.change_mm3, rel=0.02)


def test_film_that_fades_by_a_third_in_place_goes_down() -> None:
    found = _compare(_state(2, FILM, part=0.53), _state(1, FILM, part=0.8))
    assert found.film.change_mm3 == pytest.approx(-0.27 * 3200, rel=0.1)
    assert found.film.change_mm3 < -2 * found.film.sd_mm3


def test_the_stated_uncertainty_covers_rescans() -> None:
    # The gain of the two images differs by up to 5 % between vessels and film (change.dose_sd).
    off = []
    for seed in range(6):
        now = _state(10 + seed, FILM, part=0.8 * (0.96 if seed % 2 else 1.04))
        net = _compare(now, _state(1, FILM)).film
        off.append(abs(net.change_mm3) / net.sd_mm3)
    assert max(off) < 2


def test_change_of_a_nodule_is_not_counted_as_film() -> None:
    now, before = _state(2, FILM, NEW), _state(1, FILM)
    nodule = np.zeros(SHAPE, bool)
    nodule[NEW] = True
    now = dataclasses.replace(now, film=now.film & ~nodule, nodules=nodule)
    found = _compare(now, before)
    assert found.up[NEW].any()
    assert found.up_mm3 == 0.0
    assert abs(found.film.change_mm3) < 2 * found.film.sd_mm3


def test_change_where_nothing_is_drafted_is_told_apart() -> None:
    now, before = _state(2, FILM, NEW), _state(1, FILM)
    hidden = np.zeros(SHAPE, bool)
    hidden[:, :, 55:65] = True
    found = change.compare(now, before, search=_search() & ~hidden, hidden=hidden, normal=VESSELS)
    assert not found.up.any()
    assert found.hidden_up_mm3 > 400


def test_a_slip_of_a_third_of_a_millimetre_at_an_edge_is_no_change() -> None:
    before, now = _state(1, FILM), _state(2, FILM)
    step = np.where(np.arange(80) < 30, 0.4, 1.0).astype(np.float32)[:, None, None]
    edge = np.broadcast_to(ndimage.gaussian_filter1d(step, 0.7, axis=0), SHAPE)
    slip = edge - ndimage.shift(edge, (0.33, 0, 0), order=3, mode="nearest")
    before = dataclasses.replace(before, pre=edge)
    now = dataclasses.replace(now, pre=edge, map=now.map.like(now.map.array + slip))
    assert not _compare(now, before).up.any()


def test_without_vessels_the_gain_is_that_of_the_full_signals() -> None:
    nothing = np.zeros(SHAPE, bool)
    search = _search()
    found = change.compare(_state(2, FILM, dose=0.8), _state(1, FILM), search=search, hidden=~search, normal=nothing)
    assert found.gain == pytest.approx(1.25)


def test_an_empty_region_has_no_volume() -> None:
    net = _compare(_state(2, FILM), _state(1, FILM)).net(np.zeros(SHAPE, bool))
    assert (net.before_mm3, net.change_mm3, net.sd_mm3) == (0.0, 0.0, 0.0)
