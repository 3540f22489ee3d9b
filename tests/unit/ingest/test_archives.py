"""Zip files under mri/: read as folders, never unpacked for good, and refused by name when they are not sane."""

from __future__ import annotations

import io
import shutil
import stat
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lmresp import store
from lmresp.ingest import archives, headers
from lmresp.ingest.convert import UnreadableSeries, load_series
from lmresp.ingest.inventory import build_index

TABLES = {
    "subjects": [{"subject_id": "S-01"}],
    "visits": [{"subject_id": "S-01", "visit": "BL", "visit_num": "1", "start_dtc": "2024-01-02", "status": "DONE"}],
}


def index(study: Any) -> tuple[dict[str, Any], list[dict[str, str]]]:
    build_index(study, TABLES)
    work = study.results / "work"
    return {p.stem: store.read_json(p) for p in sorted((work / "scans").glob("*.json"))}, store.read_csv(
        work / "index.queries.csv"
    )


def pack(folder: Path, target: Path, method: int = zipfile.ZIP_DEFLATED) -> None:
    with zipfile.ZipFile(target, "w", method) as out:
        for path in sorted(p for p in folder.rglob("*") if p.is_file()):
            out.write(path, path.relative_to(folder).as_posix())


def refusals(path: Path) -> list[tuple[str, str]]:
    with archives.Archive(path) as archive:
        return [(r.code, r.member) for r in archive.refused]


def zipped(path: Path, *members: tuple[zipfile.ZipInfo | str, bytes]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, "w") as out:
        for name, content in members:
            out.writestr(name, content)
    return path


def test_a_zip_of_dicom_gives_the_same_volume_as_the_folder(
    study: Any, tmp_path: Path, dicom_series: Callable[..., Any]
) -> None:
    voxels = dicom_series(tmp_path / "in" / "series 1", "a", ContrastBolusAgent="gadobutrol")
    pack(tmp_path / "in", study.mri_folder / "S-01.zip")
    records, queries = index(study)
    (series,) = records["sub-S01_ses-BL"]["series"]
    assert (series["source"], series["sequence"], series["facts"]["slices"]) == ("dicom", "T1_POST", 20)
    assert series["files"][0].startswith("mri/S-01.zip/series 1/im")
    assert not {q["code"] for q in queries} & {"SC001", "SC028", "SC100", "SC101"}
    image, _ = load_series(study.folder, series)
    assert np.array_equal(np.asarray(image.dataobj), voxels[::-1, ::-1, :])
    assert sorted(p.name for p in study.mri_folder.iterdir()) == ["S-01.zip"]


def test_a_zip_of_bids_is_read_with_its_sidecars(study: Any, tmp_path: Path, nifti_file: Callable[..., Path]) -> None:
    nifti_file(tmp_path / "in/sub-S01/ses-BL/anat/sub-S01_ses-BL_ce-gd_T1w.nii.gz")
    (tmp_path / "in/T1w.json").write_text('{"MagneticFieldStrength": 3}')
    pack(tmp_path / "in", study.mri_folder / "delivery.zip")
    (series,) = index(study)[0]["sub-S01_ses-BL"]["series"]
    assert (series["sequence"], series["facts"]["field_strength_t"]) == ("T1_POST", 3)
    assert load_series(study.folder, series)[0].shape == (20, 24, 20)


def test_an_unchanged_archive_is_not_opened_again_and_keeps_its_queries(
    study: Any, tmp_path: Path, dicom_series: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    dicom_series(tmp_path / "in", "a")
    shutil.copy(next((tmp_path / "in").iterdir()), tmp_path / "in" / "inner.zip")
    pack(tmp_path / "in", study.mri_folder / "S-01.zip")
    first = index(study)

    def refuse(*args: Any) -> None:
        raise AssertionError("the archive was opened again")

    monkeypatch.setattr(headers, "_read_archive", refuse)
    assert index(study) == first
    assert "SC104" in {q["code"] for q in first[1]}


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("../../outside", "SC102"),
        ("/etc/outside", "SC102"),
        ("C:/outside", "SC102"),
        ("a\\..\\..\\outside", "SC102"),
        ("a\nb", "SC102"),
        ("inner.zip", "SC104"),
        ("inner.tar.gz", "SC104"),
        ("/".join("d" * 60) + "/x", "SC105"),
    ],
)
def test_members_with_unsafe_names_are_refused_and_the_rest_is_read(tmp_path: Path, name: str, code: str) -> None:
    path = zipped(tmp_path / "a.zip", (zipfile.ZipInfo(name), b"x"), ("good", b"y"))
    with archives.Archive(path) as archive:
        assert [r.code for r in archive.refused] == [code]
        assert list(archive.members) == ["good"]
    assert not (tmp_path.parent / "outside").exists()


def test_links_encryption_and_odd_methods_are_refused(tmp_path: Path) -> None:
    link = zipfile.ZipInfo("link")
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    assert refusals(zipped(tmp_path / "a.zip", (link, b"/etc/passwd"))) == [("SC102", "link")]
    path = zipped(tmp_path / "b.zip", ("secret", b"x"))
    content = bytearray(path.read_bytes())
    content[content.find(b"PK\x01\x02") + 8] |= 1  # the flag "encrypted" (APPNOTE 4.4.4) of the central directory
    path.write_bytes(bytes(content))
    assert refusals(path) == [("SC103", "secret")]
    with zipfile.ZipFile(tmp_path / "c.zip", "w", zipfile.ZIP_LZMA) as out:
        out.writestr("odd", b"x")
    assert refusals(tmp_path / "c.zip") == [("SC103", "odd")]


def test_a_member_that_stands_twice_is_taken_once(tmp_path: Path) -> None:
    with pytest.warns(UserWarning, match="Duplicate"):
        path = zipped(tmp_path / "a.zip", ("one", b"x"), ("one", b"y"))
    assert refusals(path) == [("SC102", "one")]


@pytest.mark.parametrize("keep", [0, 3, 30, -5, -30])
def test_a_truncated_archive_is_one_query(study: Any, tmp_path: Path, keep: int) -> None:
    whole = zipped(tmp_path / "whole.zip", ("one", b"x" * 100)).read_bytes()
    (study.mri_folder / "S-01.zip").write_bytes(whole[:keep])
    _, queries = index(study)
    assert [(q["code"], q["file"]) for q in queries] == [("SC100", "mri/S-01.zip")]


def test_a_damaged_member_is_named_and_the_rest_is_read(
    study: Any, tmp_path: Path, dicom_series: Callable[..., Any]
) -> None:
    dicom_series(tmp_path / "in", "a")
    pack(tmp_path / "in", study.mri_folder / "S-01.zip", zipfile.ZIP_STORED)
    path = study.mri_folder / "S-01.zip"
    with zipfile.ZipFile(path) as archive:
        place = archive.infolist()[4].header_offset
    content = bytearray(path.read_bytes())
    content[place + 600] ^= 0xFF  # the checksum no longer fits
    path.write_bytes(bytes(content))
    records, queries = index(study)
    assert records["sub-S01_ses-BL"]["series"][0]["facts"]["slices"] == 19
    (one,) = [q for q in queries if q["code"] == "SC001"]
    assert one["file"].startswith("mri/S-01.zip/im")
    assert "damaged" in one["message"]


def _bomb(path: Path, members: int, size: int) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as out:
        for n in range(members):
            with out.open(f"{n}.dcm", "w") as target:
                for _ in range(size >> 20):
                    target.write(bytes(1 << 20))
    return path


def test_an_archive_that_unpacks_a_hundredfold_is_not_opened(study: Any) -> None:
    _bomb(study.mri_folder / "S-01.zip", 3, 128 << 20)
    _, queries = index(study)
    (one,) = queries
    assert (one["code"], one["severity"]) == ("SC101", "error")
    assert "times its size" in one["message"]


def test_members_that_share_their_data_count_each(tmp_path: Path) -> None:
    """Overlapping members (Fifield, WOOT 2019): many entries of the list point at one packed block."""
    path = _bomb(tmp_path / "a.zip", 1, 64 << 20)
    content = path.read_bytes()
    start, end = content.find(b"PK\x01\x02"), content.rfind(b"PK\x05\x06")
    entry, count = content[start:end], 50
    tail = bytearray(content[end:])
    struct.pack_into("<HH", tail, 8, count, count)
    struct.pack_into("<I", tail, 12, len(entry) * count)
    path.write_bytes(content[:start] + entry * count + bytes(tail))
    assert refusals(path) == [("SC101", "")]


def test_a_list_of_members_that_is_too_long_is_not_read(tmp_path: Path) -> None:
    end = bytearray(b"PK\x05\x06" + bytes(18))
    struct.pack_into("<I", end, 12, 1 << 30)
    (tmp_path / "a.zip").write_bytes(bytes(end))
    assert refusals(tmp_path / "a.zip") == [("SC101", "")]


def test_other_archives_are_named(study: Any) -> None:
    (study.mri_folder / "S-01.7z").write_bytes(b"7z\xbc\xaf\x27\x1c")
    (study.mri_folder / "scan.dcm.gz").write_bytes(b"\x1f\x8b")
    _, queries = index(study)
    assert {(q["code"], q["file"]) for q in queries} == {("SC104", "mri/S-01.7z"), ("SC104", "mri/scan.dcm.gz")}


def test_an_archive_that_changes_under_a_scan_is_a_reason(
    study: Any, tmp_path: Path, dicom_series: Callable[..., Any]
) -> None:
    dicom_series(tmp_path / "in", "a")
    pack(tmp_path / "in", study.mri_folder / "S-01.zip")
    (series,) = index(study)[0]["sub-S01_ses-BL"]["series"]
    zipped(study.mri_folder / "S-01.zip", ("other", b"x"))
    with pytest.raises(UnreadableSeries, match="no longer in the archive"):
        load_series(study.folder, series)
    (study.mri_folder / "S-01.zip").unlink()
    with pytest.raises(UnreadableSeries, match="is gone"):
        load_series(study.folder, series)


def test_only_listed_members_are_unpacked(tmp_path: Path) -> None:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr("a", b"x")
    (tmp_path / "a.zip").write_bytes(out.getvalue())
    with archives.Archive(tmp_path / "a.zip") as opened:
        opened.unpack("a", tmp_path / "a")
        with pytest.raises(UnreadableSeries):
            opened.unpack("b", tmp_path / "b")
    assert (tmp_path / "a").read_bytes() == b"x"


def test_scans_table_names_an_archive_and_its_members_like_folders(
    study: Any, tmp_path: Path, dicom_series: Callable[..., Any]
) -> None:
    dicom_series(tmp_path / "in" / "one", "a")
    dicom_series(tmp_path / "in" / "two", "b", study="a")
    pack(tmp_path / "in", study.mri_folder / "box.zip")
    rows = [
        {"path": "box.zip", "subject_id": "S-01", "visit": "BL", "sequence": "T1_PRE"},
        {"path": "box.zip/two", "sequence": "T1_POST"},
    ]
    build_index(study, TABLES | {"scans": rows})
    record = store.read_json(study.results / "work/scans/sub-S01_ses-BL.json")
    found = {s["files"][0].split("/")[2]: s["sequence"] for s in record["series"]}
    assert found == {"one": "T1_PRE", "two": "T1_POST"}
