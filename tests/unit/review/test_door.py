"""Who gets in: sessions, cookies, origin, hosts, one-time forms, and what no reader's browser sends."""

from __future__ import annotations

import re
from http.cookies import SimpleCookie
from pathlib import Path
from typing import Any

import pytest

from lmresp.review import accounts
from lmresp.review.guard import BODY_LIMIT, POLICY
from lmresp.review.sessions import ABSOLUTE_SECONDS, IDLE_SECONDS
from tests.reading_rooms import NOW

SCAN = "sub-S01_ses-BL"
BASELINE = ("PRESENT", "ABSENT", "ABSENT", "ABSENT", "ABSENT")
INSIDE = ["/", f"/scan/{SCAN}", f"/scan/{SCAN}/change", f"/scan/{SCAN}/pictures", f"/scan/{SCAN}/spine"]
INSIDE += [f"/adjudicate/{SCAN}"]


def record(tmp_path: Path) -> str:
    path = tmp_path / "reads" / "reads.jsonl"
    return path.read_text(encoding="utf-8") if path.exists() else ""


@pytest.mark.parametrize("path", INSIDE)
def test_visitors_are_led_to_the_door(people: Any, path: str) -> None:
    answer = people["anna"].get(path)
    assert (answer.status_code, answer.headers["location"]) == (303, "/login")


def test_a_form_of_a_visitor_is_not_saved(people: Any, tmp_path: Path) -> None:
    answer = people["anna"].post(f"/scan/{SCAN}", {"csrf": "x", "deed": "save"})
    assert answer.status_code == 401
    assert record(tmp_path) == ""


def test_the_cookie_of_a_session_is_for_no_script_and_no_other_site(people: Any) -> None:
    anna = people["anna"]
    answer = anna.post("/login", {**anna.hidden("/login"), "name": "anna", "secret": anna.secret})
    given = [SimpleCookie(text) for text in answer.headers.get_list("set-cookie")]
    kept = next(cookie["lmresp-8765"] for cookie in given if "lmresp-8765" in cookie)
    assert kept["httponly"]
    assert kept["samesite"].lower() == "strict"
    assert kept["path"] == "/"
    assert kept["domain"] == ""
    assert kept["max-age"] == kept["expires"] == ""  # gone with the browser
    assert len(kept.value) >= 43  # 256 random bits


def test_signing_in_gives_a_new_identifier_never_one_that_was_brought_along(people: Any) -> None:
    anna = people["anna"]
    anna.client.cookies.set("lmresp-8765", "planted" * 6, domain="127.0.0.1", path="/")
    first = anna.sign_in().client.cookies["lmresp-8765"]
    assert first != "planted" * 6
    anna.client.cookies.delete("lmresp-8765")
    again = anna.sign_in().client.cookies["lmresp-8765"]
    assert again != first


def test_signing_out_ends_the_session_on_the_server(people: Any) -> None:
    anna = people["anna"].sign_in()
    kept = anna.client.cookies["lmresp-8765"]
    csrf = re.findall(r'data-csrf="([^"]+)"', anna.get("/").text)[0]
    assert anna.post("/logout", {"csrf": "wrong"}).status_code == 403
    assert anna.get("/").status_code == 200
    assert anna.post("/logout", {"csrf": csrf}).headers["location"] == "/login"
    anna.client.cookies.set("lmresp-8765", kept, domain="127.0.0.1", path="/")
    assert anna.get("/").status_code == 303


def test_a_session_ends_when_idle_and_after_a_day_of_work(people: Any, clock: Any) -> None:
    anna = people["anna"].sign_in()
    clock.at += IDLE_SECONDS - 1
    assert anna.get("/").status_code == 200
    clock.at += IDLE_SECONDS
    assert anna.get("/").status_code == 303
    anna.sign_in()
    for _ in range(ABSOLUTE_SECONDS // (IDLE_SECONDS // 2)):
        clock.at += IDLE_SECONDS // 2
        anna.get("/")
    assert anna.get("/").status_code == 303


def test_staying_prolongs_the_idle_time_only(people: Any, clock: Any) -> None:
    anna = people["anna"].sign_in()
    csrf = re.findall(r'data-csrf="([^"]+)"', anna.get("/").text)[0]
    clock.at += IDLE_SECONDS - 10
    answer = anna.post("/stay", {"csrf": csrf})
    assert (answer.status_code, answer.text) == (200, str(IDLE_SECONDS))
    assert anna.post("/stay", {"csrf": "wrong"}).status_code == 403


def test_an_account_that_is_disabled_is_out_at_once(people: Any, tmp_path: Path) -> None:
    anna = people["anna"].sign_in()
    accounts.disable(tmp_path, "anna", utc=NOW)
    assert anna.get("/").status_code == 303
    answer = anna.post("/login", {**anna.hidden("/login"), "name": "anna", "secret": anna.secret})
    assert answer.status_code == 401


@pytest.mark.parametrize(
    ("name", "secret"), [("anna", "wrong"), ("nobody", "x"), ("../x", "x"), ("", ""), ("dora", "x")]
)
def test_whatever_is_wrong_has_one_answer(people: Any, name: str, secret: str) -> None:
    anna = people["anna"]
    answer = anna.post("/login", {**anna.hidden("/login"), "name": name, "secret": secret})
    assert answer.status_code == 401
    assert "Name and secret do not belong together, or the account is disabled." in answer.text
    assert "lmresp-8765" not in SimpleCookie(answer.headers["set-cookie"])
    assert secret not in answer.text or len(secret) < 3


def test_attempts_are_limited_for_a_name_and_nobody_is_locked_out_for_ever(people: Any, clock: Any) -> None:
    anna, bert = people["anna"], people["bert"]

    def attempt(person: Any, name: str, secret: str) -> int:
        return int(person.post("/login", {**person.hidden("/login"), "name": name, "secret": secret}).status_code)

    assert [attempt(bert, "anna", "guess") for _ in range(6)] == [401] * 5 + [429]
    assert attempt(anna, "anna", anna.secret) == 429  # even the right one waits ...
    answer = anna.post("/login", {**anna.hidden("/login"), "name": "anna", "secret": anna.secret})
    clock.at += int(answer.headers["retry-after"])
    assert attempt(anna, "anna", anna.secret) == 303  # ... for the seconds that it was told
    assert attempt(bert, "bert", bert.secret) == 303  # others never did


def test_attempts_are_limited_over_all_names(people: Any, clock: Any) -> None:
    bert = people["bert"]
    codes = [
        bert.post("/login", {**bert.hidden("/login"), "name": f"n{i}", "secret": "x"}).status_code for i in range(31)
    ]
    assert codes == [401] * 30 + [429]
    clock.at += 1
    assert bert.post("/login", {**bert.hidden("/login"), "name": "bert", "secret": bert.secret}).status_code == 303


def test_the_form_of_the_door_belongs_to_its_browser(people: Any) -> None:
    anna, bert = people["anna"], people["bert"]
    theirs = anna.hidden("/login")
    bert.get("/login")
    answer = bert.post("/login", {**theirs, "name": "bert", "secret": bert.secret})
    assert answer.status_code == 403


@pytest.mark.parametrize(
    "origin",
    ["http://evil.example", "null", "http://127.0.0.1", "https://127.0.0.1:8765", "http://127.0.0.1:8765.evil.example"],
)
def test_a_forged_origin_is_refused(people: Any, tmp_path: Path, origin: str) -> None:
    anna = people["anna"].sign_in()
    form = anna.hidden(f"/scan/{SCAN}") | {"deed": "save"}
    assert anna.post(f"/scan/{SCAN}", form, origin=origin).status_code == 403
    assert record(tmp_path) == ""


def test_a_form_without_origin_is_refused(people: Any, tmp_path: Path) -> None:
    anna = people["anna"].sign_in()
    form = anna.hidden(f"/scan/{SCAN}") | {"deed": "save"}
    del anna.client.headers["origin"]
    assert anna.post(f"/scan/{SCAN}", form).status_code == 403
    assert record(tmp_path) == ""


@pytest.mark.parametrize(
    "change", [{"csrf": ""}, {"csrf": "guess"}, {"mark": ""}, {"mark": "guess"}, {"deed": "delete"}]
)
def test_a_form_that_was_not_handed_out_is_refused(people: Any, tmp_path: Path, change: dict[str, str]) -> None:
    anna = people["anna"].sign_in()
    answer = anna.read(SCAN, *BASELINE, **change)
    assert answer.status_code in (400, 403)
    assert record(tmp_path) == ""


def test_tokens_of_another_session_or_another_scan_are_refused(people: Any, tmp_path: Path) -> None:
    anna, bert = people["anna"].sign_in(), people["bert"].sign_in()
    theirs = bert.hidden(f"/scan/{SCAN}")
    assert anna.read(SCAN, *BASELINE, csrf=theirs["csrf"]).status_code == 403
    assert anna.read(SCAN, *BASELINE, mark=theirs["mark"]).status_code == 403
    other = anna.hidden("/scan/sub-S02_ses-BL")
    assert anna.read(SCAN, *BASELINE, mark=other["mark"]).status_code == 403
    assert record(tmp_path) == ""


@pytest.mark.parametrize("deed", ["save", "lock", "next"])
def test_a_replayed_form_counts_once(people: Any, tmp_path: Path, deed: str) -> None:
    anna = people["anna"].sign_in()
    form = anna.hidden(f"/scan/{SCAN}") | {"deed": deed}
    form |= dict(zip(["BRAIN.NODULES", "BRAIN.LINEAR", "BRAIN.HYDROCEPHALUS"], BASELINE, strict=False))
    form |= {"BRAIN.CRANIAL_NERVE": "ABSENT", "BRAIN.PARENCHYMAL": "ABSENT"}
    assert anna.post(f"/scan/{SCAN}", form).status_code == 303
    once = record(tmp_path)
    assert once.count("\n") == (1 if deed == "save" else 2)
    again = anna.post(f"/scan/{SCAN}", form | {"BRAIN.NODULES": "ABSENT"})
    assert again.status_code == 200
    assert "Already saved" in again.text
    assert record(tmp_path) == once


@pytest.mark.parametrize(
    "host", ["evil.example", "127.0.0.1", "127.0.0.1:80", "127.0.0.1:8765.evil.example", "", "[::1]"]
)
def test_a_name_of_a_stranger_opens_nothing(people: Any, host: str) -> None:
    answer = people["anna"].client.get("/login", headers={"host": host})
    assert answer.status_code == 400
    assert "Sign in" not in answer.text


@pytest.mark.parametrize("host", ["127.0.0.1:8765", "localhost:8765", "LOCALHOST:8765", "[::1]:8765"])
def test_the_names_of_this_machine_open_the_door(people: Any, host: str) -> None:
    assert people["anna"].client.get("/login", headers={"host": host}).status_code == 200


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "CONNECT", "PROPFIND"])
def test_other_methods_are_refused(people: Any, method: str) -> None:
    answer = people["anna"].client.request(method, "/")
    assert answer.status_code == 405
    assert answer.headers["allow"] == "GET, HEAD, POST"


def test_a_form_larger_than_any_is_refused(people: Any, tmp_path: Path) -> None:
    anna = people["anna"].sign_in()
    assert anna.read(SCAN, *BASELINE, **{"BRAIN.NODULES.comment": "x" * BODY_LIMIT}).status_code == 413
    assert record(tmp_path) == ""


@pytest.mark.parametrize("kind", ["multipart/form-data; boundary=x", "text/plain", "application/json", ""])
def test_other_bodies_are_refused(people: Any, kind: str) -> None:
    anna = people["anna"].sign_in()
    answer = anna.client.post(f"/scan/{SCAN}", content=b"--x", headers={"content-type": kind})
    assert answer.status_code == 415


@pytest.mark.parametrize(
    "body", [b"a=%ff", "a=ä".encode(), b"csrf=1&csrf=2", b"&".join(b"f%d=" % n for n in range(301))]
)
def test_a_body_that_no_page_sends_is_refused(people: Any, body: bytes) -> None:
    anna = people["anna"].sign_in()
    kind = {"content-type": "application/x-www-form-urlencoded"}
    assert anna.client.post(f"/scan/{SCAN}", content=body, headers=kind).status_code == 400


@pytest.mark.parametrize("path", ["/", "/login", "/review.css", "/review.js", f"/scan/{SCAN}", "/nothing", "/logout"])
def test_every_answer_carries_the_headers(people: Any, path: str) -> None:
    headers = people["anna"].sign_in().get(path).headers
    assert headers["content-security-policy"] == POLICY
    for part in (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "frame-ancestors 'none'",
        "base-uri 'none'",
    ):
        assert part in POLICY
    assert "unsafe" not in POLICY
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["cache-control"] == "no-store"
    assert headers["referrer-policy"] == "same-origin"


def test_pictures_are_framed_without_rights(people: Any) -> None:
    headers = people["anna"].sign_in().get(f"/scan/{SCAN}/pictures").headers
    policy = headers["content-security-policy"]
    assert policy.startswith("sandbox allow-scripts; frame-ancestors 'self'; default-src 'none'")
    assert "allow-same-origin" not in policy
    page = people["anna"].get(f"/scan/{SCAN}").text
    assert 'sandbox="allow-scripts"' in page


@pytest.mark.parametrize("scan", ["sub-S09_ses-BL", "reads.jsonl", "sub-S01_ses-BL.json", "sub-S01"])
def test_what_is_no_scan_of_the_study_is_not_found(people: Any, scan: str) -> None:
    anna = people["anna"].sign_in()
    for tail in ("", "/pictures", "/spine", "/change"):
        assert anna.get(f"/scan/{scan}{tail}").status_code == 404


def test_pages_name_no_path_of_the_machine(people: Any, tmp_path: Path) -> None:
    anna = people["anna"].sign_in()
    anna.get("/")
    anna.read(SCAN, *BASELINE)
    anna.get(f"/scan/{SCAN}")
    anna.get("/nothing")
    assert not any(str(tmp_path).encode() in answer for answer in anna.seen)
