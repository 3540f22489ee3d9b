"""Sessions that end, forms that count once, and a limit on attempts that locks nobody out for ever."""

from __future__ import annotations

import pytest

from lmresp.review.accounts import Role
from lmresp.review.sessions import (
    ABSOLUTE_SECONDS,
    FORMS_PER_SESSION,
    IDLE_SECONDS,
    SESSIONS_PER_ACCOUNT,
    Sessions,
    Throttle,
)


class Clock:
    """A clock that the test moves."""

    def __init__(self) -> None:
        self.at = 1000.0

    def __call__(self) -> float:
        """Seconds."""
        return self.at


@pytest.fixture
def clock() -> Clock:
    return Clock()


def test_a_session_ends_when_it_is_not_used(clock: Clock) -> None:
    sessions = Sessions(clock)
    token, session = sessions.start("anna", Role.READER_1, "s")
    clock.at += IDLE_SECONDS - 1
    assert sessions.find(token) is session
    clock.at += IDLE_SECONDS - 1
    assert sessions.find(token) is session  # it was used in between
    clock.at += IDLE_SECONDS
    assert sessions.find(token) is None
    clock.at -= IDLE_SECONDS
    assert sessions.find(token) is None  # and does not come back


def test_a_session_ends_after_a_day_of_work_however_much_it_is_used(clock: Clock) -> None:
    sessions = Sessions(clock)
    token, _ = sessions.start("anna", Role.READER_1, "s")
    for _ in range(0, ABSOLUTE_SECONDS, IDLE_SECONDS // 2):
        assert sessions.find(token)
        clock.at += IDLE_SECONDS // 2
    assert sessions.find(token) is None


def test_signing_out_ends_the_session_and_tokens_differ(clock: Clock) -> None:
    sessions = Sessions(clock)
    first, _ = sessions.start("anna", Role.READER_1, "s")
    second, _ = sessions.start("anna", Role.READER_1, "s")
    assert first != second
    sessions.end(first)
    assert sessions.find(first) is None
    assert sessions.find(second)


def test_the_oldest_of_too_many_sessions_of_one_account_ends(clock: Clock) -> None:
    sessions = Sessions(clock)
    other, _ = sessions.start("bert", Role.READER_2, "s")
    tokens = [sessions.start("anna", Role.READER_1, "s")[0] for _ in range(SESSIONS_PER_ACCOUNT + 1)]
    assert sessions.find(tokens[0]) is None
    assert all(sessions.find(token) for token in (*tokens[1:], other))


def test_old_forms_are_forgotten(clock: Clock) -> None:
    _, session = Sessions(clock).start("anna", Role.READER_1, "s")
    marks = [session.new_form("scan") for _ in range(FORMS_PER_SESSION + 1)]
    assert marks[0] not in session.forms
    assert session.forms[marks[-1]] == "scan"
    assert len(set(marks)) == len(marks)


def test_attempts_are_limited_and_the_limit_refills(clock: Clock) -> None:
    throttle = Throttle(clock, burst=3, refill_seconds=30)
    for _ in range(3):
        assert throttle.wait("anna") == 0
        throttle.take("anna")
    assert throttle.wait("anna") == pytest.approx(30)
    assert throttle.wait("bert") == 0
    clock.at += 10
    assert throttle.wait("anna") == pytest.approx(20)
    clock.at += 20
    assert throttle.wait("anna") == 0
    throttle.take("anna")
    assert throttle.wait("anna") > 0
    throttle.clear("anna")
    assert throttle.wait("anna") == 0


def test_the_limit_keeps_a_bounded_number_of_names(clock: Clock) -> None:
    throttle = Throttle(clock, burst=1, refill_seconds=30, names=2)
    for name in ("a", "b", "c"):
        throttle.take(name)
    assert throttle.wait("a") == 0
    assert throttle.wait("c") > 0
