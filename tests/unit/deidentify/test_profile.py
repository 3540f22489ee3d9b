"""The table of PS3.15 as the package holds it, against the standard and against pydicom's dictionary."""

from __future__ import annotations

import re

import pytest
from pydicom.datadict import dictionary_description, dictionary_has_tag, dictionary_VR

from lmresp.deidentify.profile import _read, action, kept, table
from lmresp.ingest.header import labels, rules


def test_the_table_is_whole() -> None:
    assert (
        len(table()) == 652
    )  # 651 attributes of Table E.1-1 2026c and 0040,4023; repeating groups are handled by group
    assert {rule.option for rule in table().values()} == {"", "dates", "text"}
    assert sum(rule.option == "dates" for rule in table().values()) == 165  # rows with C under modified dates
    assert sum(rule.option == "text" for rule in table().values()) == 125  # rows with C under clean descriptors


@pytest.mark.parametrize(
    ("tag", "code", "option"),
    [  # read off DICOM PS3.15 Table E.1-1
        (0x00080050, "Z", ""),  # Accession Number
        (0x00080018, "U", ""),  # SOP Instance UID
        (0x00080020, "Z", "dates"),  # Study Date
        (0x0008002A, "X/Z/D", "dates"),  # Acquisition DateTime
        (0x00080080, "X/Z/D", ""),  # Institution Name
        (0x0008103E, "X", "text"),  # Series Description
        (0x00100010, "Z", ""),  # Patient's Name
        (0x00100020, "Z/D", ""),  # Patient ID: Z in older editions
        (0x00100030, "Z", ""),  # Patient's Birth Date: no option keeps it
        (0x00101010, "X", ""),  # Patient's Age
        (0x00180010, "Z/D", "text"),  # Contrast/Bolus Agent
        (0x00181000, "X/Z/D", ""),  # Device Serial Number
        (0x00181030, "X/D", "text"),  # Protocol Name
        (0x00200010, "Z", ""),  # Study ID
        (0x00200052, "U", ""),  # Frame of Reference UID
        (0x00204000, "X", "text"),  # Image Comments
        (0x00324000, "X", "text"),  # Study Comments
        (0x0040A730, "D", ""),  # Content Sequence
        (0xFFFAFFFA, "X", ""),  # Digital Signatures Sequence
    ],
)
def test_rows_of_the_standard(tag: int, code: str, option: str) -> None:
    assert (table()[tag].code, table()[tag].option) == (code, option)


def test_names_are_those_of_the_dictionary() -> None:
    def plain(text: str) -> str:
        return re.sub(r"[^a-z]", "", text.lower())

    rows = _read("profile.yaml")["attributes"]
    known = {tag: row for tag, row in rows.items() if dictionary_has_tag(int(tag, 16))}
    assert len(known) > 620
    wrong = [tag for tag, row in known.items() if plain(row["name"]) != plain(dictionary_description(int(tag, 16)))]
    assert len(wrong) <= 3, wrong  # attributes that were renamed


def test_every_date_of_the_table_is_moved_but_those_of_birth() -> None:
    plain = {t for t in table() if dictionary_has_tag(t) and dictionary_VR(t) in ("DA", "DT") and not table()[t].option}
    assert plain == {0x00100030, 0x00160077}  # Patient's Birth Date, GPS Time Stamp


def test_uids_are_mapped_or_removed() -> None:
    codes = {action(t, r) for t, r in table().items() if dictionary_has_tag(t) and dictionary_VR(t) == "UI"}
    assert codes <= {"U", "X", "D"}


@pytest.mark.parametrize("label", sorted(kept().series_words))
def test_words_of_a_series_are_found_again(label: str) -> None:
    # A T1 FLAIR has the words T1 and FLAIR in it.
    expected = {label, *({"t1", "flair"} if label == "t1_flair" else ())}
    assert {label} <= set(labels(kept().series_words[label])) <= expected


def test_every_label_has_a_word() -> None:
    assert set(rules()["words"]) == set(kept().series_words)
