"""People and programs that may use the doors.

Passwords are argon2 hashes, API keys SHA-256 of random secrets.
"""

from __future__ import annotations

import hashlib
import re
import secrets
from enum import StrEnum

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from publisher.clock import Clock, utc_now
from publisher.db import keys, sessions
from publisher.db.control import Control, Transaction, UniqueRuleBroken
from publisher.db.keys import Account, ApiKeyView
from publisher.errors import AccountExists, AccountNotFound, BadAccountName, LastAdmin, PasswordTooShort

FIRST_ADMIN = "admin"
PASSWORD_LETTERS = 10  # the least; a longer one that can be remembered is worth more than odd letters
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@-]{0,62}")


class Role(StrEnum):
    """What an account may do."""

    VIEWER = "viewer"
    DEVELOPER = "developer"
    ADMIN = "admin"


class Accounts:
    """The accounts of one control database."""

    def __init__(self, control: Control, clock: Clock = utc_now) -> None:
        self._control, self._clock, self._hasher = control, clock, PasswordHasher()
        self._nobody = self._hasher.hash(secrets.token_urlsafe())

    def first_admin(self) -> str | None:
        """Make the account `admin` when there is none at all, and return its random password this once."""
        password = secrets.token_urlsafe(18)
        with self._control.write() as tx:
            if keys.accounts(tx):
                return None
            keys.add_account(tx, FIRST_ADMIN, Role.ADMIN, self._hasher.hash(password), self._clock())
        return password

    def create(self, name: str, role: Role, password: str) -> Account:
        """Raises AccountExists, BadAccountName, PasswordTooShort."""
        if not NAME.fullmatch(name):
            raise BadAccountName(name)
        _check(password)
        try:
            with self._control.write() as tx:
                return keys.add_account(tx, name, role, self._hasher.hash(password), self._clock())
        except UniqueRuleBroken:
            raise AccountExists(name) from None

    def verify(self, name: str, password: str) -> Account | None:
        """The account when the password is right. Takes equally long for a name that does not exist."""
        with self._control.read() as tx:
            account = keys.find_account(tx, name)
        try:
            self._hasher.verify(account.password_hash if account else self._nobody, password)
        except (VerificationError, InvalidHashError):
            return None
        return account

    def set_password(self, account: Account, password: str) -> None:
        """Replace its password; it is signed out everywhere. Raises PasswordTooShort."""
        _check(password)
        with self._control.write() as tx:
            keys.set_password(tx, account.id, self._hasher.hash(password))
            sessions.end_all(tx, account.id)

    def find(self, name: str) -> Account:
        """Raises AccountNotFound, which names those that exist."""
        with self._control.read() as tx:
            return self._named(tx, name)

    def set_role(self, name: str, role: Role) -> Account:
        """Give an account another role, which counts from its next call on.

        Raises AccountNotFound, and LastAdmin when nobody would be left to give roles.
        """
        with self._control.write() as tx:
            account = self._another_admin_than(tx, name) if role is not Role.ADMIN else self._named(tx, name)
            keys.set_role(tx, account.id, role)
            return keys.account(tx, account.id)

    def remove(self, name: str) -> None:
        """Remove an account with its keys and sessions. Raises AccountNotFound, LastAdmin."""
        with self._control.write() as tx:
            keys.remove_account(tx, self._another_admin_than(tx, name).id)

    def everyone(self) -> tuple[Account, ...]:
        """All accounts by name."""
        with self._control.read() as tx:
            return keys.accounts(tx)

    def create_api_key(self, account: Account, name: str) -> tuple[ApiKeyView, str]:
        """A key that acts as `account`, and its secret, which is shown this once."""
        secret = f"sf_{secrets.token_urlsafe(32)}"
        with self._control.write() as tx:
            view = keys.add_api_key(
                tx, account.id, f"key-{secrets.token_hex(4)}", name, _digest(secret), self._clock()
            )
        return view, secret

    def api_keys(self, account: Account) -> tuple[ApiKeyView, ...]:
        """The keys of an account, revoked ones too, newest first."""
        with self._control.read() as tx:
            return keys.api_keys(tx, account.id)

    def revoke_api_key(self, account: Account, key_id: str) -> None:
        """Raises ApiKeyNotFound when it is not a good key of this account."""
        with self._control.write() as tx:
            keys.revoke_api_key(tx, account.id, key_id, self._clock())

    def by_api_key(self, secret: str) -> Account | None:
        """Whose key this is; None when it is nobody's, or revoked."""
        with self._control.read() as tx:
            return keys.account_of_key(tx, _digest(secret))

    def _named(self, tx: Transaction, name: str) -> Account:
        found = keys.find_account(tx, name)
        if found is None:
            raise AccountNotFound(name, [one.name for one in keys.accounts(tx)])
        return found

    def _another_admin_than(self, tx: Transaction, name: str) -> Account:
        account = self._named(tx, name)
        admins = [one.name for one in keys.accounts(tx) if one.role == Role.ADMIN]
        if admins == [name]:
            raise LastAdmin(name)
        return account


def _check(password: str) -> None:
    if len(password) < PASSWORD_LETTERS:
        raise PasswordTooShort(PASSWORD_LETTERS)


def _digest(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()
