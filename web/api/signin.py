"""Signing in: HTTP Basic with an account's password, an API key as a Bearer token, or the home's own key."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import secrets
import time
from dataclasses import replace

from publisher.accounts import Accounts, Role
from web.api.attempts import Attempts
from web.api.person import Person
from web.errors import CredentialsWrong, TooManyAttempts
from web.installation import Installation
from web.local_key import SCHEME, caller_of, make_key

REMEMBER_SECONDS = (
    60.0  # argon2 takes 50 ms by design: a password that was right is not hashed anew at each call
)
MOST_REMEMBERED = 100


class SignIn:
    """Tells who an Authorization header belongs to."""

    def __init__(self, here: Installation) -> None:
        self._accounts = Accounts(here.control)
        door = here.chosen.door
        self._attempts = Attempts(door.wrong_passwords, door.wrong_passwords_seconds)
        self._key = secrets.token_bytes(32)
        self._local_key = make_key(here.home.run)
        self._remembered: dict[bytes, tuple[float, Person]] = {}

    def person(self, authorization: str, address: str) -> Person:
        """Raises CredentialsWrong, and TooManyAttempts before anything is compared."""
        fingerprint = hmac.digest(self._key, authorization.encode(), hashlib.sha256)
        recalled = self._recalled(fingerprint)
        if recalled is not None:  # a flood of wrong ones does not lock out who is in already
            return recalled
        wait_seconds = self._attempts.wait_seconds(address)
        if wait_seconds > 0:
            raise TooManyAttempts(wait_seconds)
        found = self._checked(authorization) if authorization else None
        if found is None:
            if authorization:
                self._attempts.failed(address)
            raise CredentialsWrong
        self._remember(fingerprint, found)
        return found

    def still(self, person: Person) -> Person:
        """Who somebody is now that signed in before: roles change. Raises CredentialsWrong when the account
        is gone.
        """
        if person.source == "CLI":
            return person
        account = next((one for one in self._accounts.everyone() if one.name == person.name), None)
        if account is None:
            raise CredentialsWrong
        return replace(person, role=account.role)

    def _checked(self, authorization: str) -> Person | None:
        scheme, _, value = authorization.partition(" ")
        if scheme.lower() == "bearer":
            account = self._accounts.by_api_key(value.strip())
        elif scheme.lower() == "basic" and (pair := _basic(value)) is not None:
            account = self._accounts.verify(*pair)
        elif scheme == SCHEME and (caller := caller_of(value, self._local_key)) is not None:
            return Person(caller, Role.ADMIN, source="CLI")
        else:
            return None
        return None if account is None else Person(account.name, account.role)

    def _recalled(self, fingerprint: bytes) -> Person | None:
        until, person = self._remembered.get(fingerprint, (0.0, None))
        return person if until > time.monotonic() else None

    def _remember(self, fingerprint: bytes, person: Person) -> None:
        if len(self._remembered) >= MOST_REMEMBERED:
            self._remembered.clear()
        self._remembered[fingerprint] = (time.monotonic() + REMEMBER_SECONDS, person)


def _basic(value: str) -> tuple[str, str] | None:
    try:
        name, separator, password = base64.b64decode(value.strip(), validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        return None
    return (name, password) if separator else None
