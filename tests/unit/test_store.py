"""Files between stages: atomic, deterministic, and read back as written."""

from __future__ import annotations

import gzip
import json
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lmresp import store


@given(rows=st.lists(st.fixed_dictionaries({"a": st.text(), "b": st.text()})))
def test_a_csv_is_read_back_as_written_whatever_is_in_its_cells(
    rows: list[dict[str, str]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.mktemp("csv") / "t.csv"
    rows = [{k: v.encode("utf-8", "ignore").decode().replace("\0", "") for k, v in row.items()} for row in rows]
    store.write_csv(path, rows, ("a", "b"))
    line_ends = [{k: v.replace("\r\n", "\n").replace("\r", "\n") for k, v in row.items()} for row in rows]
    assert store.read_csv(path) == line_ends


def test_an_unchanged_file_keeps_its_time(tmp_path: Path) -> None:
    path = tmp_path / "x.json"
    assert store.write_json(path, {"b": 1, "a": 2}, only_if_changed=True)
    os.utime(path, (1, 1))
    assert not store.write_json(path, {"a": 2, "b": 1}, only_if_changed=True)
    assert path.stat().st_mtime == 1


def test_nan_is_refused_and_leaves_nothing_behind(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="JSON"):
        store.write_json(tmp_path / "x.json", {"a": float("nan")})
    assert list(tmp_path.iterdir()) == []


def test_a_failed_write_keeps_the_old_file_and_no_part(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "x.txt"
    store.write_text(path, "old")

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        store.write_text(path, "new")
    assert path.read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["x.txt"]


def test_gzip_has_no_time_and_no_name() -> None:
    packed = store.gzip_bytes(b"content")
    assert packed[4:8] == b"\0\0\0\0"
    assert packed[3] & 8 == 0
    assert gzip.decompress(packed) == b"content"


def test_json_is_sorted_text(tmp_path: Path) -> None:
    store.write_json(tmp_path / "x.json", {"b": "é", "a": 1})
    text = (tmp_path / "x.json").read_text(encoding="utf-8")
    assert list(json.loads(text)) == ["a", "b"]
    assert "é" in text
