"""Signing in: a password (HTTP Basic or the form), an API key, a browser's session, or the home's own key."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import secrets
import time
from dataclasses import dataclass, replace
from datetime import timedelta

from publisher.accounts import Accounts, Role
from publisher.db.keys import Account
from publisher.errors import AccountNotFound
from publisher.sessions import Sessions, digest
from web.api.attempts import Attempts
from web.api.person import Person
from web.errors import CredentialsWrong, TooManyAttempts
from web.installation import Installation
from web.local_key import SCHEME, caller_of, make_key

REMEMBER_SECONDS = (
    60.0  # argon2 takes 50 ms by design: a password that was right is not hashed anew at each call
)
MOST_REMEMBERED = 100


@dataclass(frozen=True)
class _Right:
    """A password that was right: for which account, while it has this hash."""

    until: float
    name: str
    password_hash: str


class SignIn:
    """Tells who somebody is, by what they show."""

    def __init__(self, here: Installation) -> None:
        self.accounts = Accounts(here.control)
        door = here.chosen.door
        self.sessions = sessions_of(here)
        self._attempts = Attempts(door.wrong_passwords, door.wrong_passwords_seconds)
        self._key = secrets.token_bytes(32)
        self._local_key = make_key(here.home.run)
        self._remembered: dict[bytes, _Right] = {}

    def person(self, authorization: str, address: str) -> Person:
        """Who an Authorization header belongs to.

        Raises CredentialsWrong, and TooManyAttempts before anything is compared.
        """
        fingerprint = hmac.digest(self._key, authorization.encode(), hashlib.sha256)
        recalled = self._recalled(fingerprint)
        if recalled is not None:  # a flood of wrong ones does not lock out who is in already
            return recalled
        if not authorization:
            raise CredentialsWrong
        self._wait_over(address)
        found = self._checked(authorization, fingerprint)
        if found is None:
            self._attempts.failed(address)
            raise CredentialsWrong
        return found

    def open_session(self, name: str, password: str, address: str, browser: str) -> str:
        """The id of a new session of the account, for its browser only.

        Raises CredentialsWrong, and TooManyAttempts before anything is compared.
        """
        self._wait_over(address)
        account = self.accounts.verify(name, password)
        if account is None:
            self._attempts.failed(address)
            raise CredentialsWrong
        return self.sessions.open(account, address, browser)

    def by_session(self, session_id: str) -> Person | None:
        """Who signed in with this session; None when it is nobody's, or over."""
        opened = self.sessions.find(digest(session_id))
        if opened is None:
            return None
        return Person(
            opened.account.name, opened.account.role, source="console", session=opened.session.sha256
        )

    def still(self, person: Person, *, asking: bool = True) -> Person:
        """Who somebody is now that signed in before: roles change, sessions end. Raises CredentialsWrong.

        `asking` keeps the session alive.
        """
        if person.source == "CLI":
            return person
        if person.session:
            opened = self.sessions.find(person.session, asking=asking)
            if opened is None:
                raise CredentialsWrong
            return replace(person, role=opened.account.role)
        try:
            return replace(person, role=self.accounts.find(person.name).role)
        except AccountNotFound:
            raise CredentialsWrong from None

    def _wait_over(self, address: str) -> None:
        wait_seconds = self._attempts.wait_seconds(address)
        if wait_seconds > 0:
            raise TooManyAttempts(wait_seconds)

    def _checked(self, authorization: str, fingerprint: bytes) -> Person | None:
        scheme, _, value = authorization.partition(" ")
        if scheme.lower() == "bearer":
            account = self.accounts.by_api_key(value.strip())
        elif scheme.lower() == "basic" and (pair := _basic(value)) is not None:
            account = self.accounts.verify(*pair)
            if account is not None:
                self._remember(fingerprint, account)
        elif scheme == SCHEME and (caller := caller_of(value, self._local_key)) is not None:
            return Person(caller, Role.ADMIN, source="CLI")
        else:
            return None
        return None if account is None else Person(account.name, account.role)

    def _recalled(self, fingerprint: bytes) -> Person | None:
        right = self._remembered.get(fingerprint)
        if right is None or right.until <= time.monotonic():
            return None
        try:
            account = self.accounts.find(right.name)
        except AccountNotFound:
            return None
        same = account.password_hash == right.password_hash
        return Person(account.name, account.role) if same else None

    def _remember(self, fingerprint: bytes, account: Account) -> None:
        if len(self._remembered) >= MOST_REMEMBERED:
            self._remembered.clear()
        until = time.monotonic() + REMEMBER_SECONDS
        self._remembered[fingerprint] = _Right(until, account.name, account.password_hash)


def sessions_of(here: Installation) -> Sessions:
    """The sessions of a home, with its limits."""
    door = here.chosen.door
    return Sessions(
        here.control,
        idle=timedelta(seconds=door.session_idle_seconds),
        longest=timedelta(seconds=door.session_seconds),
    )


def _basic(value: str) -> tuple[str, str] | None:
    try:
        name, separator, password = base64.b64decode(value.strip(), validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        return None
    return (name, password) if separator else None
