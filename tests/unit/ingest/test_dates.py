"""Date texts: the forms of SDTM's ISO 8601 and nothing else."""

import datetime

import pytest

from lmresp.ingest import dates


@pytest.mark.parametrize(
    "text",
    [
        "2024",
        "2024-01",
        "2024-01-05",
        "2024-02-29",
        "2024-01-05T09:30",
        "2024-01-05T09:30:59",
        "2024-01-05T09:30Z",
        "2024-01-05T09:30:00+02:00",
        "2024-01-05T09:30-05:30",
        "2024---05",
        "--02-29",
    ],
)
def test_accepted_forms(text):
    assert dates.problem(text) == ""


@pytest.mark.parametrize(
    "text",
    [
        "2024-1-5",
        "05/01/2024",
        "05.01.2024",
        "UN-JAN-2024",
        "2024-UN-05",
        "2024-02-30",
        "2023-02-29",
        "2024-13",
        "2024-00",
        "2024-01-00",
        "2024-01-05T",
        "2024-01-05T9:30",
        "2024-01-05T24:00",
        "2024-01-05T09:60",
        "2024-01-05T09",
        "2024-01-05 09:30",
        "2024-01T09:30",
        "2024-01-05T09:30+25:00",
        "2024---32",
        "2024---00",
        "--02-30",
        "20240105",
        "45000",
        "0024-01-05",
        "2024-01-05\n",
        "２０２４-01-05",
        "NA",
        " ",
    ],
)
def test_anything_else_is_a_problem(text):
    assert dates.problem(text)


def test_bounds_of_partial_dates():
    day = datetime.date
    assert (dates.earliest("2024"), dates.latest("2024")) == (day(2024, 1, 1), day(2024, 12, 31))
    assert (dates.earliest("2024-02"), dates.latest("2024-02")) == (day(2024, 2, 1), day(2024, 2, 29))
    assert dates.earliest("2024-01-05T23:59Z") == dates.latest("2024-01-05") == day(2024, 1, 5)
    for unknown in ("", "2024---05", "--01-05", "rubbish"):
        assert dates.earliest(unknown) is None
        assert dates.latest(unknown) is None


def test_completeness():
    assert dates.is_full("2024-01-05T10:00")
    assert not dates.is_full("2024-01")
    assert not dates.is_full("2024-02-30")
    assert dates.has_time("2024-01-05T10:00")
    assert not dates.has_time("2024-01-05")
    assert dates.moment("2024-01-05") is None
