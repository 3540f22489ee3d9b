"""pacs.yaml, the password and pacs_subjects.csv."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from lmresp.errors import LmrespError
from lmresp.pacs.settings import Dimse, Settings, Web, load_settings
from lmresp.pacs.subjects import Subject, load_subjects
from tests.unit.pacs.objects import PASSWORD, PATIENT

URL = "https://pacs.example.org/dicom-web"


def settings_of(folder: Path, text: str, **environment: str) -> Settings:
    (folder / "pacs.yaml").write_text(text)
    return load_settings(folder, environment)


def refusal_of(folder: Path, text: str) -> str:
    with pytest.raises(LmrespError) as error:
        settings_of(folder, text)
    assert PASSWORD not in str(error.value)
    assert "\n" not in str(error.value)
    return str(error.value)


def test_nothing_is_sent_by_default(tmp_path: Path) -> None:
    found = settings_of(tmp_path, f"dicomweb: {{url: '{URL}/'}}")
    assert (found.send, found.place) == (False, Web(URL))
    dimse = settings_of(tmp_path, "dimse: {host: pacs, port: 104, called_aet: PACS, calling_aet: LMRESP}")
    assert (dimse.send, dimse.place) == (False, Dimse("pacs", 104, "PACS", "LMRESP"))


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("send: false", "one of dicomweb and dimse"),
        (f"dicomweb: {{url: '{URL}'}}\ndimse: {{host: p, port: 1, called_aet: A, calling_aet: B}}", "one PACS"),
        ("- dicomweb", "keys and values"),
        (f"dicomweb: {{url: '{URL}'}}\nsend: 'yes'", "send"),
        (f"dicomweb: {{url: '{URL}'}}\npasword: x", "pasword"),
        (f"dicomweb: {{url: '{URL}'}}\npassword: {PASSWORD}", "never stands in this file"),
        (f"dicomweb: {{url: '{URL}', user: anna, password: {PASSWORD}}}", "never stands in this file"),
        (f"dicomweb: {{url: 'https://anna:{PASSWORD}@pacs.example.org/'}}", "without user, password"),
        ("dicomweb: {url: 'http://pacs.example.org/dicom-web'}", "not encrypted"),
        ("dicomweb: {url: 'ftp://pacs.example.org'}", "https://"),
        (f"dicomweb: {{url: '{URL}', verify: false}}", "verify"),  # there is no way not to look at the certificate
        (f"dicomweb: {{url: '{URL}', ca_file: none.pem}}", "ca_file does not exist"),
        (f"dicomweb: {{url: '{URL}', user: anna}}", "no password"),
        ("dicomweb: {}", "url is missing"),
        ("dimse: {host: p, port: 99999, called_aet: A, calling_aet: B}", "65535"),
        ("dimse: {host: p, port: 1, called_aet: 'A TITLE OF 17 CHR', calling_aet: B}", "16 characters"),
        ("dimse: {host: p, port: 1, called_aet: A, calling_aet: B, ca_file: x}", "without tls"),
        (f"dicomweb: {{url: '{URL}'}}\nattempts: 0", "attempts"),
        (f"dicomweb: {{url: '{URL}'}}\nseries: {{only: 't1'}}", "list of patterns"),
    ],
)
def test_what_cannot_be_used_is_named_without_its_value(tmp_path: Path, text: str, word: str) -> None:
    assert word in refusal_of(tmp_path, text)


def test_no_file(tmp_path: Path) -> None:
    with pytest.raises(LmrespError, match=r"there is no pacs\.yaml"):
        load_settings(tmp_path, {})


def test_http_is_for_this_machine_or_by_word(tmp_path: Path) -> None:
    for text in ("url: 'http://127.0.0.1:8042/x'", "url: 'http://pacs.example.org/x', plain_http: true"):
        assert isinstance(settings_of(tmp_path, f"dicomweb: {{{text}}}").place, Web)


def test_the_password_comes_from_the_environment_or_a_file_of_ones_own(tmp_path: Path) -> None:
    text = f"dicomweb: {{url: '{URL}', user: anna, password_file: secret}}"
    file = tmp_path / "secret"
    file.write_text(f"{PASSWORD}\n")
    file.chmod(0o640)
    assert "others may open it (mode 0640)" in refusal_of(tmp_path, text)
    file.chmod(0o600)
    found = settings_of(tmp_path, text)
    assert isinstance(found.place, Web)
    assert found.place.password == PASSWORD
    assert PASSWORD not in repr(found)
    other = settings_of(tmp_path, text, LMRESP_PACS_PASSWORD="another")  # noqa: S106
    assert isinstance(other.place, Web)
    assert other.place.password == "another"  # noqa: S105


def test_a_password_is_not_kept_for_nobody(tmp_path: Path) -> None:
    found = settings_of(tmp_path, f"dicomweb: {{url: '{URL}'}}", LMRESP_PACS_PASSWORD=PASSWORD)
    assert isinstance(found.place, Web)
    assert found.place.password == ""


def table(folder: Path, text: str, mode: int = 0o600) -> list[Subject]:
    path = folder / "pacs_subjects.csv"
    path.write_bytes(text.encode())
    path.chmod(mode)
    return load_subjects(folder)


@pytest.mark.parametrize("separator", [",", ";"])
def test_subjects_and_their_days(tmp_path: Path, separator: str) -> None:
    text = (
        f"\ufeffsubject_id,patient_id,from,to\r\nS-2,{PATIENT},2024-01-01,\r\n\r\nS-1, 77 ,,\r\nS-2,99,,2024-06-30\r\n"
    )
    found = table(tmp_path, text.replace(",", separator))
    assert [(s.subject_id, s.patient_id) for s in found] == [("S-1", "77"), ("S-2", "99"), ("S-2", PATIENT)]
    assert PATIENT not in repr(found)
    anytime, until, since = found
    assert [s.covers("2024-01-01") for s in (anytime, until, since)] == [True, True, True]
    assert [s.covers("2023-12-31") for s in (anytime, until, since)] == [True, True, False]
    assert [s.covers("2024-07-01") for s in (anytime, until, since)] == [True, False, True]
    assert [s.covers("") for s in (anytime, until, since)] == [True, False, False]


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("", "columns"),
        ("subject_id,name\n", "columns"),
        ("subject_id,patient_id,patient_id\n", "columns"),
        ("subject_id,patient_id\n", "no row"),
        (f"subject_id,patient_id\nS-1,{PATIENT}\nS-2,{PATIENT.lower()}\n", "rows 2 and 3"),
        (f"subject_id,patient_id\n../S,{PATIENT}\n", "row 2"),
        (f"subject_id,patient_id\n.,{PATIENT}\n", "row 2"),
        (f"subject_id,patient_id\n,{PATIENT}\n", "row 2"),
        ("subject_id,patient_id\nS-1,*\n", "row 2"),
        ("subject_id,patient_id\nS-1,HOSP-47?1-XY\n", "row 2"),
        ("subject_id,patient_id\nS-1,a\\b\n", "row 2"),
        ("subject_id,patient_id\nS-1,\n", "row 2"),
        (f"subject_id,patient_id\nS-1,{PATIENT},x\n", "row 2"),
        (f"subject_id,patient_id,from\nS-1,{PATIENT},12.02.2024\n", "row 2"),
    ],
)
def test_rows_that_cannot_be_used_are_named_by_number(tmp_path: Path, text: str, word: str) -> None:
    with pytest.raises(LmrespError) as error:
        table(tmp_path, text)
    assert word in str(error.value)
    assert "HOSP" not in str(error.value).upper()


def test_the_table_is_for_its_owner_only(tmp_path: Path) -> None:
    with pytest.raises(LmrespError, match="chmod 600"):
        table(tmp_path, f"subject_id,patient_id\nS-1,{PATIENT}\n", mode=0o604)


def test_a_pipe_in_place_of_the_table_does_not_hang(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pacs_subjects.csv", 0o600)
    with pytest.raises(LmrespError, match="not a file"):
        load_subjects(tmp_path)
