"""Identity is found where it has a form, and words that only resemble it are left alone."""

import pytest

from lmresp.ingest import identifiers


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("sent to ann.lee@clinic.example.org", "e-mail address"),
        ("MRN: 0012345", "hospital or record number"),
        ("patient id 448-221-7", "hospital or record number"),
        ("123-45-6789", "social security number"),
        ("DOB 1950-12-26", "birth date"),
        ("geboren am 26.12.1950", "birth date"),
        ("seen with Mrs. Möller today", "name"),
        ("Herrn Özil", "name"),
    ],
)
def test_identity_is_found(text, kind):
    assert identifiers.kind_of(text) == kind
    assert identifiers.kind_of(identifiers.withheld(kind)) == kind


@pytest.mark.parametrize(
    "text",
    ["01-701-1015", "S-0012345", "atypical cells, 12 per field", "MRI 3 T", "2024-01-05", "ms", "born tired", "PID"],
)
def test_ordinary_words_are_left_alone(text):
    assert identifiers.kind_of(text) == ""


@pytest.mark.parametrize(
    "header", ["name_last", "First Name", "dob", "BRTHDTC", "birth_date", "E-Mail", "mrn", "address"]
)
def test_headers_that_name_people(header):
    assert identifiers.is_identity_header(header)


@pytest.mark.parametrize("header", ["subject_id", "lab", "examiner", "record_id", "USUBJID", "visit"])
def test_other_headers(header):
    assert not identifiers.is_identity_header(header)


@pytest.mark.parametrize("text", ["=1+1", "@SUM(A1)", "+cmd|' /C calc'!A0", "-2+3+cmd|' /C calc'!A0", "\t=1+1"])
def test_formulas_are_made_harmless_once(text):
    plain = identifiers.plain_cell(text)
    assert plain.startswith("'")
    assert identifiers.plain_cell(plain) == plain


@pytest.mark.parametrize("text", ["-5", "+1.5", "--02-29", "-", "-1e5", "2024---05"])
def test_signed_numbers_and_dates_stay(text):
    assert identifiers.plain_cell(text) == text


def test_hash_is_stable_and_not_hashed_again():
    once = identifiers.hashed("A-1234")
    assert once != identifiers.hashed("A-1235")
    assert "1234" not in once.removeprefix("sha256:")[:4]
    assert identifiers.hashed(once) == once
    assert identifiers.hashed("") == ""


def test_decomposed_and_composed_letters_are_one():
    assert identifiers.plain_cell("Gro\u0308\u00dfe\u00a0") == "Größe"
