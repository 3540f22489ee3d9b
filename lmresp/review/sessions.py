"""Who is signed in: sessions on the server, a one-time mark for every form, and a limit on attempts to sign in.

Nothing here is written to disk: when the server ends, everybody has to sign in again.
"""

from __future__ import annotations

import dataclasses
import hashlib
import hmac
import secrets
from collections import OrderedDict
from collections.abc import Callable

from lmresp.review.accounts import Role

Clock = Callable[[], float]

IDLE_SECONDS = 45 * 60  # longer than the longest read of a scan, shorter than a lunch beside an open screen
ABSOLUTE_SECONDS = 12 * 3600  # one working day; a stolen cookie is worth nothing the next morning
WARN_SECONDS = 3 * 60  # before the end the page offers to stay (WCAG 2.2.1 asks for at least 20 s)
SESSIONS_PER_ACCOUNT = 5  # a reader with several screens; the oldest ends
FORMS_PER_SESSION = 200  # open tabs; the oldest form has to be opened again


@dataclasses.dataclass(slots=True)
class Session:
    """One person signed in.

    Attributes
    ----------
    account, role : str, Role
        Who, and what for.
    label : str
        Name of the session in the record of reads: account and time of signing in.
    csrf : str
        Token that every form of the session carries.
    started, seen : float
        Seconds of the clock: when it began, when it was last used.
    forms : mapping of str to str
        One-time marks that were handed out, each with the form it is for.
    kept : mapping of str to str
        Marks that were used, each with the message of what was done.
    notes : list of str
        Messages for the next page.
    """

    account: str
    role: Role
    label: str
    csrf: str
    started: float
    seen: float
    forms: OrderedDict[str, str] = dataclasses.field(default_factory=OrderedDict)
    kept: OrderedDict[str, str] = dataclasses.field(default_factory=OrderedDict)
    busy: set[str] = dataclasses.field(default_factory=set)
    notes: list[str] = dataclasses.field(default_factory=list)

    def new_form(self, purpose: str) -> str:
        """Hand out a one-time mark for a form."""
        mark = secrets.token_urlsafe(18)
        self.forms[mark] = purpose
        while len(self.forms) > FORMS_PER_SESSION:
            self.forms.popitem(last=False)
        return mark

    def done(self, mark: str, message: str) -> None:
        """Note that the form of a mark was carried out, so that it cannot be a second time."""
        self.forms.pop(mark, None)
        self.kept[mark] = message
        while len(self.kept) > FORMS_PER_SESSION:
            self.kept.popitem(last=False)

    def take_notes(self) -> list[str]:
        """Return the messages for this page, once."""
        notes, self.notes = self.notes, []
        return notes


class Sessions:
    """The sessions of one server.

    Parameters
    ----------
    clock : callable
        Seconds of a clock that never goes back.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._held: dict[str, Session] = {}
        self._key = secrets.token_bytes(32)

    def start(self, account: str, role: Role, label: str) -> tuple[str, Session]:
        """Sign a person in; the token is new, never one that a browser brought along."""
        self._forget_ended()
        mine = [name for name, session in list(self._held.items()) if session.account == account]
        for name in mine[: max(len(mine) - SESSIONS_PER_ACCOUNT + 1, 0)]:
            self._held.pop(name, None)
        token, now = secrets.token_urlsafe(32), self._clock()
        session = Session(account, role, label, secrets.token_urlsafe(24), now, now)
        self._held[self._name(token)] = session
        return token, session

    def find(self, token: str) -> Session | None:
        """Return the session of a token and note that it was used; ``None`` where there is none or it has ended."""
        session = self._held.get(self._name(token))
        if session is None:
            return None
        if self.seconds_left(session) <= 0:
            self.end(token)
            return None
        session.seen = self._clock()
        return session

    def end(self, token: str) -> None:
        """Sign out."""
        self._held.pop(self._name(token), None)

    def seconds_left(self, session: Session) -> float:
        """Seconds until a session ends if it is not used."""
        now = self._clock()
        return min(session.seen + IDLE_SECONDS, session.started + ABSOLUTE_SECONDS) - now

    def door_token(self, visitor: str) -> str:
        """Token of the sign-in form for one browser, which nobody else can make."""
        return hmac.new(self._key, visitor.encode("utf-8"), hashlib.sha256).hexdigest()

    def _forget_ended(self) -> None:
        for name, session in list(self._held.items()):  # a copy: requests look sessions up in threads of their own
            if self.seconds_left(session) <= 0:
                self._held.pop(name, None)

    @staticmethod
    def _name(token: str) -> str:
        return hashlib.sha256(token.encode("utf-8")).hexdigest()  # the memory of the server holds no token


class Throttle:
    """A limit on failed attempts that refills: nobody is locked out for ever.

    Parameters
    ----------
    clock : callable
        Seconds of a clock that never goes back.
    burst : int
        Attempts that may fail one after the other.
    refill_seconds : float
        Time after which one more attempt is allowed.
    names : int
        Names kept apart; those beyond share what the overall limit allows.
    """

    def __init__(self, clock: Clock, burst: int, refill_seconds: float, names: int = 1000) -> None:
        self._clock, self._burst, self._refill, self._names = clock, burst, refill_seconds, names
        self._left: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def wait(self, name: str) -> float:
        """Seconds until the next attempt under a name is allowed; 0 when it is now."""
        left = self._now(name)
        return 0.0 if left >= 1 else (1 - left) * self._refill

    def take(self, name: str) -> None:
        """Count an attempt."""
        self._left[name] = (self._now(name) - 1, self._clock())
        self._left.move_to_end(name)
        while len(self._left) > self._names:
            self._left.popitem(last=False)

    def clear(self, name: str) -> None:
        """Forget the attempts under a name after one that succeeded."""
        self._left.pop(name, None)

    def _now(self, name: str) -> float:
        left, since = self._left.get(name, (float(self._burst), self._clock()))
        return min(float(self._burst), left + (self._clock() - since) / self._refill)
