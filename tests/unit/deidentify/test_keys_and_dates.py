"""Keys, codes and dates."""

from __future__ import annotations

import datetime
import itertools
import stat
from pathlib import Path

import pytest

from lmresp.deidentify.dates import plain_time, shifted
from lmresp.deidentify.keys import Key, load_or_create
from lmresp.errors import StudyError

KEY, OTHER = Key(b"a" * 32), Key(b"b" * 32)


def test_key_is_made_once_and_only_its_owner_reads_it(tmp_path: Path) -> None:
    path = tmp_path / "private" / "key"
    first = load_or_create(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert load_or_create(path) == first
    assert load_or_create(tmp_path / "other") != first
    assert first.secret.hex() not in repr(first)


@pytest.mark.parametrize("content", ["", "zz", "ab" * 31])
def test_a_file_that_is_no_key_is_refused(tmp_path: Path, content: str) -> None:
    path = tmp_path / "key"
    path.write_text(content)
    path.chmod(0o600)
    with pytest.raises(StudyError, match="no key"):
        load_or_create(path)


def test_a_key_that_others_may_read_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "key"
    load_or_create(path)
    path.chmod(0o640)
    with pytest.raises(StudyError, match="others may read"):
        load_or_create(path)


def test_identifiers_follow_from_key_and_original_only() -> None:
    assert KEY.uid("1.2.3") == KEY.uid("1.2.3\0") == KEY.uid(" 1.2.3")
    assert len({KEY.uid("1.2.3"), KEY.uid("1.2.4"), OTHER.uid("1.2.3")}) == 3
    assert len(KEY.uid("1.2.3")) <= 64  # DICOM PS3.5 section 9.1
    assert KEY.code("S-01") != OTHER.code("S-01")
    assert KEY.code("S-01") != KEY.code("S-02")


def test_shift_is_one_of_many_and_never_none() -> None:
    days = [KEY.days(f"S-{n}") for n in range(300)]
    assert min(days) >= 366
    assert max(days) <= 3650
    assert len(set(days)) > 250


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("20240301", "20230301"),  # 366 days earlier, over 29 February 2024
        ("20240301101112.123456", "20230301101112.123456"),
        ("20240301101112+0100", "20230301101112+0100"),
        ("20240301 ", "20230301"),
        ("202403", ""),
        ("2024", ""),
        ("20240230", ""),
        ("00000000", ""),
        ("19000101", ""),
        ("***", ""),
        ("20240301QZX", ""),
        ("20240301101112+0100QZX", ""),
        ("20240301101112+QZX", ""),
        ("2024.03.01", ""),
    ],
)
def test_dates(old: str, new: str) -> None:
    assert shifted(old, 366) == new


def test_intervals_are_kept() -> None:
    def day(text: str) -> datetime.date:
        return datetime.datetime.strptime(text, "%Y%m%d").date()

    old = ["20240101", "20240229", "20240301", "20241231", "20250101"]
    new = [shifted(one, KEY.days("S-01")) for one in old]
    gaps = [day(b) - day(a) for a, b in itertools.pairwise(old)]
    assert [day(b) - day(a) for a, b in itertools.pairwise(new)] == gaps


@pytest.mark.parametrize("text", ["101112", "10", "1011", "235959.999999"])
def test_times_stay(text: str) -> None:
    assert plain_time(text) == text


@pytest.mark.parametrize("text", ["ten", "251112", "10:11:12", "101112.1234567", "1", "101112 Doe"])
def test_what_is_no_time_does_not(text: str) -> None:
    assert plain_time(text) == ""
