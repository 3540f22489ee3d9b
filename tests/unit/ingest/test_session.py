"""What the clock and the other series of a session say of a T1 or FLAIR."""

from __future__ import annotations

from typing import Any

import pytest

from lmresp.ingest.header import Header
from lmresp.ingest.series import classify
from lmresp.ingest.session import settle_clock, settle_contrast
from lmresp.terms import Sequence


def mprage(time: str, **facts: Any) -> Header:
    times = {"echo_time_ms": 3.0, "repetition_time_ms": 2000.0, "inversion_time_ms": 900.0}
    return Header("dicom", "image", scanning=("GR", "IR"), time=time, **(times | facts))


def flair(time: str, **facts: Any) -> Header:
    times = {"echo_time_ms": 120.0, "repetition_time_ms": 9000.0, "inversion_time_ms": 2500.0}
    return Header("dicom", "image", scanning=("IR", "SE"), time=time, **(times | facts))


def session(*headers: Header) -> list[Sequence]:
    found = [classify(h) for h in headers]
    once = settle_contrast(list(headers), settle_clock(list(headers), found))
    return [c.sequence for c in settle_clock(list(headers), once)]


def test_flair_after_contrast_is_a_class_of_its_own() -> None:
    assert session(flair("100000", agent="yes")) == [Sequence.FLAIR_POST]
    assert session(flair("100000", words=("flair", "post"))) == [Sequence.FLAIR_POST]
    assert session(flair("100000")) == [Sequence.FLAIR]


def test_flair_after_a_t1_after_contrast_is_after_contrast() -> None:
    assert session(mprage("100000", agent="yes"), flair("101500"))[1] is Sequence.FLAIR_POST
    assert session(mprage("100000", agent="yes"), flair("094500"))[1] is Sequence.FLAIR
    assert session(mprage("100000", agent="yes"), flair("101500", agent="no"))[1] is Sequence.FLAIR


def test_the_time_of_injection_tells_t1_and_flair_apart() -> None:
    post = mprage("101000", agent="yes", injection="095500")
    found = session(mprage("094000"), flair("095000"), post, flair("100000"), mprage("102000"))
    assert found == [Sequence.T1_PRE, Sequence.FLAIR, Sequence.T1_POST, Sequence.FLAIR_POST, Sequence.T1_POST]


def test_two_times_of_injection_tell_nothing() -> None:
    headers = (mprage("101000", agent="yes", injection="095500"), mprage("102000", agent="yes", injection="101500"))
    assert session(*headers, flair("100000"))[2] is Sequence.FLAIR


def test_an_agent_in_the_header_of_a_series_made_before_its_injection_is_not_believed() -> None:
    """Some scanners write the agent of the whole examination into every series."""
    early = mprage("094000", agent="yes", injection="095500")
    assert classify(early).contrast == "unknown"
    assert "contradict" in classify(early).reason
    assert session(early, mprage("101000", agent="yes", injection="095500")) == [Sequence.T1_PRE, Sequence.T1_POST]


def test_words_against_the_tag_stay_unknown_whatever_the_clock() -> None:
    clash = mprage("101000", agent="yes", injection="095500", words=("t1", "pre"))
    assert session(clash) == [Sequence.T1_UNKNOWN]


@pytest.mark.parametrize("time", ["", "101000"])
def test_without_a_time_of_its_own_nothing_is_told(time: str) -> None:
    found = session(mprage("100000", agent="yes", injection="095500"), flair(time))
    assert found[1] is (Sequence.FLAIR_POST if time else Sequence.FLAIR)
