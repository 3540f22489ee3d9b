"""Accounts of readers: names, roles, secrets that are kept as hashes only, and nothing that is ever deleted."""

from __future__ import annotations

import hashlib
import json
import stat
import threading
from pathlib import Path
from typing import Any

import pytest

from lmresp.errors import StudyError
from lmresp.review import accounts
from lmresp.review.accounts import Role

NOW = "2026-01-02T03:04:05.000000Z"


def test_secret_opens_the_account_and_is_not_in_the_file(tmp_path: Path) -> None:
    secret = accounts.add(tmp_path, "anna", Role.READER_1, utc=NOW)
    kept = accounts.load(tmp_path)["anna"]
    assert accounts.is_secret(secret, kept.scrypt)
    assert accounts.is_secret(secret.upper().replace("-", " "), kept.scrypt)  # as read from paper
    assert not accounts.is_secret(secret[:-1], kept.scrypt)
    text = accounts.readers_file(tmp_path).read_text(encoding="utf-8")
    assert secret not in text
    assert secret.replace("-", "") not in text


def test_hash_is_scrypt_of_the_salted_secret(tmp_path: Path) -> None:
    secret = accounts.add(tmp_path, "anna", Role.READER_1, utc=NOW)
    kept = accounts.load(tmp_path)["anna"].scrypt
    plain, salt = secret.replace("-", "").encode(), bytes.fromhex(kept["salt"])
    expected = hashlib.scrypt(plain, salt=salt, n=kept["n"], r=kept["r"], p=kept["p"], maxmem=2**27, dklen=32)
    assert kept["hash"] == expected.hex()
    assert kept["n"] >= 2**15


def test_two_secrets_and_two_salts_differ_and_hold_128_bits() -> None:
    first, second = accounts.new_secret(), accounts.new_secret()
    assert first != second
    assert len(first.replace("-", "")) == 26  # 16 bytes in base 32
    assert accounts.hashed(first)["salt"] != accounts.hashed(first)["salt"]


def test_nobody_has_the_secret_of_no_account() -> None:
    assert not accounts.is_secret("", None)


def test_only_the_owner_may_read_the_file(tmp_path: Path) -> None:
    accounts.add(tmp_path, "anna", Role.READER_1, utc=NOW)
    path = accounts.readers_file(tmp_path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert not accounts.exposed(tmp_path)
    path.chmod(0o644)
    assert accounts.exposed(tmp_path)


@pytest.mark.parametrize("name", ["", "a b", "../x", "änna", "<b>", "a" * 21, "a\n", "a/b", "a\0b", "import"])
def test_names_hold_letters_digits_and_two_signs(tmp_path: Path, name: str) -> None:
    with pytest.raises(StudyError, match="cannot be the name"):
        accounts.add(tmp_path, name, Role.READER_1, utc=NOW)
    assert not accounts.readers_file(tmp_path).exists()


@pytest.mark.parametrize("again", ["anna", "ANNA"])
def test_a_name_is_given_once_even_after_it_was_disabled(tmp_path: Path, again: str) -> None:
    accounts.add(tmp_path, "anna", Role.READER_1, utc=NOW)
    accounts.disable(tmp_path, "anna", utc=NOW)
    with pytest.raises(StudyError, match="given before"):
        accounts.add(tmp_path, again, Role.READER_2, utc=NOW)


def test_a_disabled_account_stays_with_its_time(tmp_path: Path) -> None:
    accounts.add(tmp_path, "anna", Role.READER_1, utc=NOW)
    accounts.disable(tmp_path, "anna", utc="2026-05-06T07:08:09.000000Z")
    kept = accounts.load(tmp_path)["anna"]
    assert not kept.active
    assert kept.disabled == "2026-05-06T07:08:09.000000Z"
    with pytest.raises(StudyError, match="is disabled since"):
        accounts.disable(tmp_path, "anna", utc=NOW)
    with pytest.raises(StudyError, match="no reader 'bert'"):
        accounts.disable(tmp_path, "bert", utc=NOW)


def test_readers_who_hand_over_share_a_role(tmp_path: Path) -> None:
    for name in ("anna", "bert"):
        accounts.add(tmp_path, name, Role.READER_1, utc=NOW)
    assert {name: one.role for name, one in accounts.load(tmp_path).items()} == {"anna": "reader 1", "bert": "reader 1"}


def test_accounts_added_at_once_are_all_kept(tmp_path: Path) -> None:
    names = [f"reader-{number}" for number in range(6)]
    threads = [
        threading.Thread(target=accounts.add, args=(tmp_path, n, Role.READER_1), kwargs={"utc": NOW}) for n in names
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(accounts.load(tmp_path)) == names
    assert not list(accounts.readers_file(tmp_path).parent.glob("*.part"))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        '{"format": "other", "readers": []}',
        '{"format": "lmresp-readers/1", "readers": [{"name": "a"}]}',
        "\xff",
    ],
)
def test_a_file_of_another_kind_is_one_line(tmp_path: Path, text: str) -> None:
    path = accounts.readers_file(tmp_path)
    path.parent.mkdir()
    path.write_bytes(text.encode("latin-1"))
    with pytest.raises(StudyError, match=r"reads/readers\.json"):
        accounts.load(tmp_path)


def test_an_unknown_role_is_refused(tmp_path: Path) -> None:
    accounts.add(tmp_path, "anna", Role.READER_1, utc=NOW)
    path = accounts.readers_file(tmp_path)
    content = json.loads(path.read_text())
    content["readers"][0]["role"] = "administrator"
    path.write_text(json.dumps(content))
    with pytest.raises(StudyError, match="is not a list of readers") as caught:
        accounts.load(tmp_path)
    assert "administrator" not in str(caught.value)  # visitors are told this line: it repeats nothing of the file


@pytest.mark.parametrize(
    "change",
    [
        {"name": ["anna"]},
        {"name": "../anna"},
        {"disabled": None},
        {"disabled": False},
        {"scrypt": "none"},
        {"scrypt": {"n": 2**40}},
        {"scrypt": {"n": 3}},
        {"scrypt": {"p": -1}},
        {"scrypt": {"salt": "xyz"}},
        {"scrypt": {"hash": ""}},
    ],
)
def test_a_file_that_was_edited_opens_no_door_and_breaks_none(tmp_path: Path, change: dict[str, Any]) -> None:
    accounts.add(tmp_path, "anna", Role.READER_1, utc=NOW)
    path = accounts.readers_file(tmp_path)
    content = json.loads(path.read_text())
    one = content["readers"][0]
    kept = one["scrypt"]
    one.update(change)
    if isinstance(change.get("scrypt"), dict):
        one["scrypt"] = kept | change["scrypt"]
    path.write_text(json.dumps(content))
    with pytest.raises(StudyError, match="is not a list of readers"):
        accounts.load(tmp_path)


def test_a_name_given_twice_in_the_file_is_found(tmp_path: Path) -> None:
    accounts.add(tmp_path, "anna", Role.READER_1, utc=NOW)
    path = accounts.readers_file(tmp_path)
    content = json.loads(path.read_text())
    content["readers"].append(content["readers"][0] | {"name": "ANNA", "role": "adjudicator"})
    path.write_text(json.dumps(content))
    with pytest.raises(StudyError, match="is not a list of readers"):
        accounts.load(tmp_path)
