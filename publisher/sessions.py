"""Sessions of people in browsers: opened by a password, ended by sign-out, by time, or all at once.

A session is over when nothing was asked for within the idle time, or at its end whatever happens. Its id is
random and shown to the browser only; the database holds its SHA-256.
"""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import dataclass
from datetime import timedelta

from publisher.clock import Clock, utc_now
from publisher.db import keys, sessions
from publisher.db.control import Control
from publisher.db.keys import Account
from publisher.db.sessions import Session

ID_BYTES = 32
SEEN_EVERY = timedelta(minutes=1)  # a write for each call would be thousands a day for nothing
BROWSER_LETTERS = 200


@dataclass(frozen=True)
class Opened:
    """A session that is good, and whose it is."""

    account: Account
    session: Session


class Sessions:
    """The sessions of one control database."""

    def __init__(
        self, control: Control, *, idle: timedelta, longest: timedelta, clock: Clock = utc_now
    ) -> None:
        self._control, self._idle, self._longest, self._clock = control, idle, longest, clock

    def open(self, account: Account, address: str, browser: str) -> str:
        """A new session; returns its id, which is shown to the browser this once."""
        secret, now = secrets.token_urlsafe(ID_BYTES), self._clock()
        session = Session(
            digest(secret), account.id, now, now, now + self._longest, address, browser[:BROWSER_LETTERS]
        )
        with self._control.write() as tx:
            sessions.sweep(tx, now, now - self._idle)
            sessions.add(tx, session)
        return secret

    def find(self, sha256: str, *, asking: bool = True) -> Opened | None:
        """The good session of this hash; `asking` counts as a sign of life."""
        now = self._clock()
        with self._control.read() as tx:
            session = sessions.find(tx, sha256)
            if session is None or session.expires_at <= now or session.seen_at + self._idle <= now:
                return None
            account = keys.account(tx, session.account_id)
        if asking and now - session.seen_at >= SEEN_EVERY:
            with self._control.write() as tx:
                sessions.saw(tx, sha256, now)
        return Opened(account, session)

    def of(self, account: Account) -> tuple[Session, ...]:
        """The good sessions of an account, the newest first."""
        now = self._clock()
        with self._control.read() as tx:
            found = sessions.of_account(tx, account.id)
        return tuple(one for one in found if one.expires_at > now and one.seen_at + self._idle > now)

    def end(self, sha256: str) -> None:
        """Sign one browser out."""
        with self._control.write() as tx:
            sessions.end(tx, sha256)


def end_sessions(control: Control, account: Account) -> int:
    """Sign an account out everywhere; returns how many browsers that were."""
    with control.write() as tx:
        return sessions.end_all(tx, account.id)


def digest(secret: str) -> str:
    """What is stored of a session's id."""
    return hashlib.sha256(secret.encode()).hexdigest()
