"""Identity of nodules over visits, by hand-made cases."""

from __future__ import annotations

from lmresp.mri.tracking import Fate, Lump, track


def _lump(x: float, long_mm: float = 8.0, y: float = 0.0) -> Lump:
    return Lump((x, y, 0.0), long_mm, 0.52 * long_mm**3)


def _said(visit: list) -> list[tuple[int, str]]:  # type: ignore[type-arg]
    return [(row.track, str(row.fate)) for row in visit]


def test_a_nodule_that_grows_and_shifts_by_3_mm_keeps_its_name() -> None:
    first, second = track([[_lump(0), _lump(30)], [_lump(31, 10), _lump(3, 9)]])
    assert _said(first) == [(1, "appeared"), (2, "appeared")]
    assert _said(second) == [(2, "same"), (1, "same")]


def test_new_and_vanished_nodules() -> None:
    _, second, third = track([[_lump(0)], [_lump(40)], [_lump(40), _lump(80)]])
    assert _said(second) == [(2, "appeared"), (1, "vanished")]
    assert _said(third) == [(2, "same"), (3, "appeared")]  # a track is reported as gone once


def test_a_nodule_missed_at_one_visit_keeps_its_name() -> None:
    *_, third = track([[_lump(0)], [], [_lump(1)]])
    assert _said(third) == [(1, "appeared")]


def test_two_nodules_that_grow_together_merge_into_one_track() -> None:
    _, second = track([[_lump(0, 6), _lump(7, 6)], [_lump(3, 14)]])
    assert _said(second) == [(1, "merged"), (2, "merged")]
    assert second[0].others == (2,)
    assert second[1].index is None
    assert second[1].others == (1,)


def test_a_nodule_that_breaks_up_gives_the_second_part_a_new_track() -> None:
    _, second = track([[_lump(0, 14)], [_lump(-3, 6), _lump(4.5, 5)]])
    assert _said(second) == [(1, "same"), (2, "split")]
    assert second[1].others == (1,)


def test_a_new_nodule_beside_an_old_one_is_new_and_not_split_off() -> None:
    _, second = track([[_lump(0, 8)], [_lump(0, 8), _lump(9, 6)]])
    assert _said(second) == [(1, "same"), (2, "appeared")]


def test_pairs_are_chosen_together_and_not_one_after_the_other() -> None:
    # Greedy pairing would join 0 with 4 (4 mm, not 5) and leave -5 and 8 without partner.
    _, second = track([[_lump(0, 8), _lump(8, 8)], [_lump(4, 8), _lump(-5, 8)]])
    assert {(row.track, row.index, row.fate) for row in second} == {(2, 0, Fate.SAME), (1, 1, Fate.SAME)}


def test_tracks_do_not_depend_on_the_order_of_a_later_list() -> None:
    lumps = [_lump(0), _lump(20), _lump(40)]
    tracks = []
    for order in ([0, 1, 2], [2, 0, 1]):
        _, second = track([lumps, [lumps[n] for n in order]])
        tracks.append({order[row.index]: row.track for row in second if row.index is not None})
    assert tracks[0] == tracks[1] == {0: 1, 1: 2, 2: 3}


def test_no_nodules_at_all() -> None:
    assert track([[], []]) == [[], []]
    assert track([]) == []
