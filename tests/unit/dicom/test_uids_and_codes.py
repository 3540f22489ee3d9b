"""Identifiers follow from content; coded terms are those of DICOM's own dictionary."""

from __future__ import annotations

import re
from pathlib import Path

import pydicom
import pytest
from pydicom.sr._concepts_dict import concepts
from pydicom.uid import UID

from lmresp.dicom.codes import PRIVATE, Term, code, meaning_of, table
from lmresp.dicom.scan import LockedRead, objects
from lmresp.dicom.uids import derived
from lmresp.ingest.spec import table_spec
from lmresp.terms import Item
from tests.unit.dicom.made import entry, made, measure


@pytest.mark.parametrize(("key", "term"), [(k, t) for k, t in table().items() if t.source in ("DICOM", "UCUM")])
def test_terms_of_dicom_are_in_its_dictionary(key: str, term: Term) -> None:
    found = [codes[term.code] for codes in concepts[term.scheme].values() if term.code in codes]
    assert term.meaning in [meaning for meaning, _ in found], key
    if term.cid:
        assert any(term.cid in groups for _, groups in found), key


@pytest.mark.parametrize("term", table().values())
def test_terms_fit_the_elements_of_dicom(term: Term) -> None:
    assert all(isinstance(part, str) for part in term[:4])
    assert len(term.code) <= 16  # SH
    assert len(term.scheme) <= 16
    assert len(term.meaning) <= 64  # LO
    assert (term.scheme == PRIVATE) == (term.source == "lmresp")


def test_private_terms_are_only_for_what_dicom_lacks() -> None:
    named = {
        meaning.lower()
        for scheme in ("DCM", "SCT", "NCIt", "UMLS", "RADLEX", "LN", "IBSI")
        for codes in concepts[scheme].values()
        for meaning, _ in codes.values()
    }
    assert {"present", "meninges", "reader"} <= named
    assert not {t.meaning.lower() for t in table().values() if t.scheme == PRIVATE} & named


def test_every_answer_of_a_read_has_a_term() -> None:
    columns = table_spec("mri_reads").columns
    for item in columns["item"].codes:
        assert f"item.{item}" in table()
    for item in Item:
        assert f"item.{item.value}" in table()
    for rule in (columns["value"].by or {})["rules"].values():
        assert all(f"value.{value}" in table() for value in rule.get("codes", ()))
    assert all(f"reason_ne.{reason}" in table() for reason in columns["reason_ne"].codes)


def test_terms_are_read_back_by_group() -> None:
    assert meaning_of(code("value.NO CHANGE"), "value") == "NO CHANGE"
    assert meaning_of(code("value.NO CHANGE"), "item") is None
    assert meaning_of(None, "value") is None


def test_identifiers_are_valid_and_told_apart() -> None:
    first, same, other = derived("a", "bc"), derived("a", "bc"), derived("ab", "c")
    assert first == same != other
    for uid in (first, other):
        assert UID(uid).is_valid
        assert re.fullmatch(r"2\.25\.[1-9]\d{0,38}", uid)
        bits = int(uid.removeprefix("2.25."))
        assert (bits >> 76 & 0xF, bits >> 62 & 0x3) == (8, 2)  # RFC 9562: version 8, variant 10


def _ids(files: dict[str, bytes], folder: Path) -> dict[str, tuple[str, str]]:
    out = {}
    for name, content in files.items():
        (folder / name).write_bytes(content)
        ds = pydicom.dcmread(folder / name)
        assert ds.file_meta.MediaStorageSOPInstanceUID == ds.SOPInstanceUID
        out[name] = (ds.SeriesInstanceUID, ds.SOPInstanceUID)
    return out


def test_the_same_input_gives_the_same_bytes(tmp_path: Path) -> None:
    read = LockedRead(entry(), "2026-11-21T20:01:02.000003Z")
    first, _ = objects(made(tmp_path / "a").scan(reads=[read]))
    second, _ = objects(made(tmp_path / "b").scan(reads=[read]))
    assert first == second
    assert sorted(first) == ["report-R000001.dcm", "report.dcm", "seg.dcm", "sr-draft.dcm", "sr-read-R000001.dcm"]


def test_new_content_has_new_identifiers_and_old_content_keeps_its_own(tmp_path: Path) -> None:
    one = made(tmp_path / "in")
    before = _ids(objects(one.scan())[0], tmp_path)
    assert len({uid for pair in before.values() for uid in pair}) == 2 * len(before)
    # Another volume: the segmentation is the same object, report and PDF are new ones.
    changed = {**one.result, "measures": [measure("LINEAR_VOL", 2600.0, "mm3"), *one.result["measures"][1:]]}
    after = _ids(objects(one.scan(result=changed))[0], tmp_path)
    assert after["seg.dcm"] == before["seg.dcm"]
    assert not set(after["sr-draft.dcm"]) & set(before["sr-draft.dcm"])
    assert not set(after["report.dcm"]) & set(before["report.dcm"])
    # One voxel of film less: a new segmentation, and so a new report that refers to it.
    labels = one.labels.array.copy()
    labels[labels == 1] = 0
    third = _ids(objects(one.scan(labels=type(one.labels)(labels, one.labels.affine)))[0], tmp_path)
    assert not set(third["seg.dcm"]) & set(before["seg.dcm"])
    assert third["sr-draft.dcm"] != before["sr-draft.dcm"]
    assert third["report.dcm"] == before["report.dcm"]


def test_another_source_series_gives_other_identifiers(tmp_path: Path) -> None:
    first = _ids(objects(made(tmp_path / "a").scan())[0], tmp_path)
    second = _ids(objects(made(tmp_path / "b", SeriesInstanceUID="1.2.3.4").scan())[0], tmp_path)
    assert not {u for p in first.values() for u in p} & {u for p in second.values() for u in p}


def test_a_later_read_adds_files_and_changes_none(tmp_path: Path) -> None:
    one = made(tmp_path / "in")
    reads = [
        LockedRead(entry(f"R00000{n}", reader=f"RADIOLOGIST {n}"), f"2026-11-2{n}T20:00:00.000000Z") for n in (1, 2)
    ]
    few, _ = objects(one.scan(reads=reads[:1]))
    many, _ = objects(one.scan(reads=reads))
    assert few.items() < many.items()
    assert set(many) - set(few) == {"sr-read-R000002.dcm", "report-R000002.dcm"}
