"""Classing of series by the facts of their headers."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from lmresp.ingest.header import Header, labels, valid_date
from lmresp.ingest.roles import choose_roles
from lmresp.ingest.series import classify, plane_of
from lmresp.ingest.session import settle_contrast
from lmresp.terms import BodyPart, Plane, Sequence

AXIAL = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0)


def header(**facts: Any) -> Header:
    base: dict[str, Any] = {"source": "dicom", "kind": "image", "orientation": AXIAL, "spacing": (1.0, 1.0)}
    return Header(**(base | facts))


# Timing of protocols in use: MPRAGE, fast GRE, 2-D spin echo T1, SPACE T1, T1 FLAIR, 2-D and 3-D FLAIR, T2, STIR, PD,
# SWI, EPI.
@pytest.mark.parametrize(
    ("scanning", "te", "tr", "ti", "expected"),
    [
        (("GR", "IR"), 2.98, 2300, 900, Sequence.T1_UNKNOWN),
        (("GR",), 3.2, 8.2, None, Sequence.T1_UNKNOWN),
        (("SE",), 12, 550, None, Sequence.T1_UNKNOWN),
        (("SE",), 11, 700, None, Sequence.T1_UNKNOWN),
        (("IR", "SE"), 22, 2100, 860, Sequence.T1_UNKNOWN),
        (("IR", "SE"), 120, 9000, 2500, Sequence.FLAIR),
        (("IR", "SE"), 388, 5000, 1800, Sequence.FLAIR),
        (("SE",), 95, 4500, None, Sequence.T2),
        (("IR", "SE"), 40, 4000, 150, Sequence.OTHER),
        (("SE",), 14, 2500, None, Sequence.OTHER),
        (("GR",), 20, 28, None, Sequence.OTHER),
        (("EP", "SE"), 90, 5000, None, Sequence.OTHER),
    ],
)
def test_timing_tells_the_weighting(
    scanning: tuple[str, ...], te: float, tr: float, ti: float | None, expected: Sequence
) -> None:
    found = classify(header(scanning=scanning, echo_time_ms=te, repetition_time_ms=tr, inversion_time_ms=ti))
    assert found.sequence is expected
    assert found.reason


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("t1_mprage_sag_p2_iso_KM", {"t1", "post"}),
        ("T1 MPRAGE ohne KM", {"t1", "pre"}),
        ("Ax T1 +C", {"t1", "post"}),
        ("AX T1 POST GAD", {"t1", "post"}),
        ("Ax T1 w/o contrast", {"t1", "pre"}),
        ("sT1W_3D_TFE sans gado", {"t1", "pre"}),
        ("T1 SE posterior fossa", {"t1"}),
        ("t2_tirm_tra_dark-fluid", {"t2", "flair"}),
        ("Sag CUBE T2 FLAIR", {"t2", "flair", "black_blood"}),
        ("AX T1 FLAIR", {"t1", "t1_flair", "flair"}),
        ("T2* GRE", {"other_contrast"}),
        ("MRA TOF 3D", {"vessels"}),
        ("C-spine T1 sag", {"t1", "cervical", "spine"}),
        ("Doe^Jane 1970", set()),
    ],
)
def test_only_known_words_come_out_of_a_description(text: str, expected: set[str]) -> None:
    assert set(labels(text)) == expected


def test_words_alone_and_contradictions() -> None:
    assert classify(header(words=("flair",))).sequence is Sequence.FLAIR
    clash = classify(header(words=("t1",), scanning=("SE",), echo_time_ms=100, repetition_time_ms=5000))
    assert clash.sequence is Sequence.OTHER
    assert "contradict" in clash.reason
    nothing = classify(header())
    assert nothing.sequence is Sequence.OTHER
    assert nothing.confidence < 0.5


def test_without_a_pulse_sequence_only_what_spin_and_gradient_echo_share_is_told() -> None:
    assert classify(header(echo_time_ms=3, repetition_time_ms=7)).sequence is Sequence.T1_UNKNOWN
    assert classify(header(echo_time_ms=20, repetition_time_ms=600)).sequence is Sequence.OTHER


@pytest.mark.parametrize(
    ("agent", "words", "expected"),
    [
        ("yes", (), Sequence.T1_POST),
        ("no", (), Sequence.T1_PRE),
        ("unknown", ("post",), Sequence.T1_POST),
        ("unknown", ("pre",), Sequence.T1_PRE),
        ("unknown", (), Sequence.T1_UNKNOWN),
        ("unknown", ("pre", "post"), Sequence.T1_UNKNOWN),
        ("yes", ("pre",), Sequence.T1_UNKNOWN),
        ("no", ("post",), Sequence.T1_UNKNOWN),
    ],
)
def test_contrast_is_told_by_tag_or_words_and_never_guessed(
    agent: str, words: tuple[str, ...], expected: Sequence
) -> None:
    found = classify(header(agent=agent, words=("t1", *words)))
    assert found.sequence is expected


def _mprage(time: str, **facts: Any) -> Header:
    return header(
        scanning=("GR", "IR"), echo_time_ms=3.0, repetition_time_ms=2000.0, inversion_time_ms=900.0, time=time, **facts
    )


def _session(*headers: Header) -> list[Sequence]:
    return [c.sequence for c in settle_contrast(list(headers), [classify(h) for h in headers])]


def test_order_tells_the_t1_before_a_known_post_contrast_t1() -> None:
    assert _session(_mprage("100000"), _mprage("103000", agent="yes")) == [Sequence.T1_PRE, Sequence.T1_POST]
    # ... but not what came after it, nor a T1 of another kind.
    assert _session(_mprage("110000"), _mprage("103000", agent="yes"))[0] is Sequence.T1_UNKNOWN
    spin_echo = header(scanning=("SE",), echo_time_ms=12, repetition_time_ms=550, time="100000")
    assert _session(spin_echo, _mprage("103000", agent="yes"))[0] is Sequence.T1_UNKNOWN


def test_two_matching_t1_need_a_sign_of_contrast_in_the_session() -> None:
    two = (_mprage("100000"), _mprage("103000"))
    assert _session(*two) == [Sequence.T1_UNKNOWN, Sequence.T1_UNKNOWN]
    flair = header(words=("flair", "post"), time="102000")
    assert _session(*two, flair)[:2] == [Sequence.T1_PRE, Sequence.T1_POST]
    three = (*two, _mprage("104000"), flair)
    assert set(_session(*three)[:3]) == {Sequence.T1_UNKNOWN}


def test_the_reason_says_that_order_told() -> None:
    headers = [_mprage("100000"), _mprage("103000", agent="yes")]
    first = settle_contrast(headers, [classify(h) for h in headers])[0]
    assert "order in the session" in first.reason
    assert first.confidence < 0.9


@pytest.mark.parametrize("value", ["LOCALIZER", "MIP", "ADC", "SUBTRACTION"])
def test_computed_images_and_localizers_are_not_measured(value: str) -> None:
    found = classify(
        header(image_type=("DERIVED", "SECONDARY", value), words=("t1",), echo_time_ms=3, repetition_time_ms=7)
    )
    assert found.sequence is Sequence.OTHER


@pytest.mark.parametrize(
    ("orientation", "expected"),
    [
        (AXIAL, Plane.AXIAL),
        ((1, 0, 0, 0, 0, -1), Plane.CORONAL),
        ((0, 1, 0, 0, 0, -1), Plane.SAGITTAL),
        ((0.70711, 0, -0.70711, 0, 1, 0), Plane.OBLIQUE),
        ((), Plane.UNKNOWN),
    ],
)
def test_plane_by_direction_cosines(orientation: tuple[float, ...], expected: Plane) -> None:
    assert plane_of(header(orientation=orientation)) is expected


def test_body_part_by_tag_words_then_extent() -> None:
    assert classify(header(body_part="LUMBAR"), (200, 200, 200)).body_part is BodyPart.LUMBAR
    assert classify(header(words=("cervical", "spine"))).body_part is BodyPart.CERVICAL
    assert classify(header(words=("cervical", "thoracic"))).body_part is BodyPart.SPINE
    assert classify(header(), (170, 220, 220)).body_part is BodyPart.BRAIN
    assert classify(header(), (60, 300, 300)).body_part is BodyPart.SPINE
    assert classify(header(), (60, 200, 200)).body_part is BodyPart.UNKNOWN


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("20240229", "2024-02-29"),
        ("20230229", ""),
        ("00000000", ""),
        ("19000101", ""),
        ("***", ""),
        ("", ""),
        ("20241301", ""),
    ],
)
def test_dates_that_stand_for_no_date_are_no_date(text: str, expected: str) -> None:
    assert valid_date(text) == expected


def _entry(name: str, sequence: Sequence, **changes: Any) -> dict[str, Any]:
    facts = {"spacing_mm": [1.0, 1.0, 1.0], "scanning_sequence": "GR", "derived": False} | changes.pop("facts", {})
    base = {
        "series": name,
        "sequence": sequence.value,
        "body_part": "BRAIN",
        "acquisition": "3D",
        "use": True,
        "facts": facts,
    }
    return base | changes


def test_roles_prefer_3d_fine_and_late() -> None:
    thick = _entry("T1-post-1", Sequence.T1_POST, acquisition="2D", facts={"spacing_mm": [0.5, 0.5, 5.0]})
    first, second = _entry("T1-post-2", Sequence.T1_POST), _entry("T1-post-3", Sequence.T1_POST)
    coarse = _entry("T1-post-4", Sequence.T1_POST, facts={"spacing_mm": [1.0, 1.0, 1.2]})
    assert choose_roles([thick, first, second, coarse])["post"].series == "T1-post-3"


def test_roles_take_the_pre_contrast_series_like_the_post_contrast_one() -> None:
    post = _entry("T1-post-1", Sequence.T1_POST)
    like = _entry("T1-pre-1", Sequence.T1_PRE)
    unlike = _entry("T1-pre-2", Sequence.T1_PRE, facts={"spacing_mm": [0.5, 0.5, 0.5], "scanning_sequence": "SE"})
    assert choose_roles([like, unlike, post])["pre"].series == "T1-pre-1"


def test_unknown_contrast_never_plays_post_and_plays_pre_only_alone() -> None:
    unknown = _entry("T1-1", Sequence.T1_UNKNOWN)
    alone = choose_roles([unknown])
    assert "post" not in alone
    assert alone["pre"].series == "T1-1"
    assert "not known" in alone["pre"].reason
    assert "pre" not in choose_roles([unknown, _entry("T1-post-1", Sequence.T1_POST)])


def test_spine_and_unusable_series_play_no_role() -> None:
    spine = _entry("T1-post-1", Sequence.T1_POST, body_part="LUMBAR")
    broken = _entry("T1-post-2", Sequence.T1_POST, use=False)
    assert choose_roles([spine, broken]) == {}


def test_header_survives_the_cache() -> None:
    one = _mprage("100000", words=("t1",), locations=(1.0, 2.5))
    assert Header.from_json(one.as_json()) == one
    assert dataclasses.replace(one, instance=3) != one
