"""A reading room over a small study, and people who sign in to it."""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # the client announces its own successor
    from starlette.testclient import TestClient

from lmresp.ingest.study import open_study
from lmresp.review import accounts
from lmresp.review.app import make_app
from lmresp.review.room import Room
from lmresp.review.server import Address
from tests.reading_rooms import NOW, add_readers, make_study

HERE = "http://127.0.0.1:8765"
ITEMS = ("BRAIN.NODULES", "BRAIN.LINEAR", "BRAIN.HYDROCEPHALUS", "BRAIN.CRANIAL_NERVE", "BRAIN.PARENCHYMAL")


class Clock:
    """A clock that the test moves."""

    def __init__(self) -> None:
        self.at = 1000.0

    def __call__(self) -> float:
        """Seconds."""
        return self.at


class Person:
    """A browser in front of the room: keeps cookies, sends the origin, fills forms as a page hands them out."""

    def __init__(self, app: Any, name: str, secret: str) -> None:
        self.name, self.secret = name, secret
        self.client = TestClient(app, base_url=HERE, headers={"origin": HERE}, follow_redirects=False)
        self.seen: list[bytes] = []

    def get(self, path: str) -> Any:
        """Open a page."""
        return self._kept(self.client.get(path))

    def post(self, path: str, data: dict[str, str], **headers: str) -> Any:
        """Send a form."""
        return self._kept(self.client.post(path, data=data, headers=headers))

    def _kept(self, answer: Any) -> Any:
        self.seen.append(answer.content + repr(sorted(answer.headers.items())).encode())
        return answer

    def hidden(self, path: str) -> dict[str, str]:
        """Hidden fields of the form of a page."""
        text = self.get(path).text.split("<main", 1)[1]
        return dict(re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)">', text))

    def sign_in(self) -> Person:
        """Sign in, as the form of the door does; who is signed in stays so."""
        if self.get("/login").status_code == 303:
            return self
        answer = self.post("/login", {**self.hidden("/login"), "name": self.name, "secret": self.secret})
        assert (answer.status_code, answer.headers["location"]) == (303, "/")
        return self

    def read(self, scan: str, *values: str, deed: str = "lock", **more: str) -> Any:
        """Fill and send the form of a scan; the last of six values is the overall one."""
        names = [*ITEMS, "WHOLE.OVERALL"]
        form = self.hidden(f"/scan/{scan}") | {"deed": deed} | dict(zip(names, values, strict=False))
        if len(values) > len(ITEMS):
            form["comparator"] = "BASELINE"
        return self.post(f"/scan/{scan}", form | more)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def open_room(tmp_path: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> Callable[..., dict[str, Person]]:
    """Open a room over a new study; returns its people, each with a browser of their own."""
    # The cost of the hash is a fact of its own (test_accounts); here a cheap one saves the minutes.
    monkeypatch.setattr(accounts, "SCRYPT", {"n": 2**4, "r": 8, "p": 1})

    def make(**settings: Any) -> dict[str, Person]:
        make_study(tmp_path, **settings)
        secrets = add_readers(tmp_path)
        app = make_app(Room(open_study(tmp_path)), address=Address(), now=lambda: NOW, clock=clock)
        return {name: Person(app, name, secret) for name, secret in secrets.items()}

    return make


@pytest.fixture
def people(open_room: Callable[..., dict[str, Person]]) -> dict[str, Person]:
    """The people of a double read with the draft hidden; nobody is signed in."""
    return open_room()
