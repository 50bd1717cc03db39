"""Accounts: who may sign in, and what each may do. For admins, but for one's own password and sessions."""

from __future__ import annotations

import secrets
from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Query, status
from pydantic import BaseModel, ConfigDict

from publisher.accounts import Accounts, Role
from publisher.db.audit import AuditEntry
from publisher.db.keys import Account
from publisher.sessions import end_sessions
from web.api.person import Caller, Here, Person
from web.errors import CredentialsWrong
from web.installation import Installation
from web.signin.audit import Audit

router = APIRouter(tags=["accounts"])
PASSWORD_BYTES = 18  # of a random one, which is shown once


class AccountAnswer(BaseModel):
    """An account without its secrets."""

    model_config = ConfigDict(from_attributes=True)
    name: str
    role: Role
    created_at: datetime


class AccountWanted(BaseModel):
    """An account to make. Without a password it gets a random one, which the answer shows."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"examples": [{"name": "ana", "role": "developer"}]}
    )
    name: str
    role: Role = Role.VIEWER
    password: str | None = None


class AccountMade(AccountAnswer):
    """A new or changed account. `password` is a random one, shown this once; null when none was made."""

    password: str | None = None


class AccountChange(BaseModel):
    """What to change. `new_password` makes a random one and signs the account out everywhere."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"examples": [{"role": "admin"}, {"new_password": True}]}
    )
    role: Role | None = None
    new_password: bool = False


class PasswordChange(BaseModel):
    """One's own password. All browsers are signed out."""

    model_config = ConfigDict(extra="forbid")
    old: str
    new: str


class AuditAnswer(BaseModel):
    """One line of the audit log."""

    model_config = ConfigDict(from_attributes=True)
    id: int
    at: datetime
    by: str
    source: str
    address: str
    action: str
    subject: str
    outcome: str


@router.get("/accounts", response_model=list[AccountAnswer])
def everyone(here: Here) -> tuple[Account, ...]:
    """All accounts by name."""
    return Accounts(here.control).everyone()


@router.post("/accounts", status_code=status.HTTP_201_CREATED)
def create(wanted: AccountWanted, here: Here) -> AccountMade:
    """Make an account."""
    password = wanted.password or secrets.token_urlsafe(PASSWORD_BYTES)
    made = Accounts(here.control).create(wanted.name, wanted.role, password)
    return _made(made, None if wanted.password else password)


@router.patch("/accounts/{account}")
def change(account: str, wanted: AccountChange, here: Here) -> AccountMade:
    """Give another role, or a new random password."""
    accounts = Accounts(here.control)
    found, password = accounts.find(account), None
    if wanted.role is not None:
        found = accounts.set_role(account, wanted.role)
    if wanted.new_password:
        password = secrets.token_urlsafe(PASSWORD_BYTES)
        accounts.set_password(found, password)
    return _made(found, password)


@router.delete("/accounts/{account}", status_code=status.HTTP_204_NO_CONTENT)
def remove(account: str, here: Here) -> None:
    """Remove an account with its keys and sessions. What it did stays on record."""
    Accounts(here.control).remove(account)


@router.post("/password", status_code=status.HTTP_204_NO_CONTENT)
def change_password(wanted: PasswordChange, here: Here, person: Caller) -> None:
    """Change one's own password; signs out every browser."""
    set_own_password(here, person, wanted.old, wanted.new)


@router.post("/sessions/end")
def sign_out_everywhere(here: Here, person: Caller) -> dict[str, int]:
    """End all browser sessions of one's own account; API keys go on."""
    return {"ended": end_sessions(here.control, Accounts(here.control).find(person.name))}


@router.get("/audit", response_model=list[AuditAnswer])
def audit(
    here: Here, limit: Annotated[int, Query(ge=1, le=1000)] = 100, before: int | None = None
) -> tuple[AuditEntry, ...]:
    """The newest lines of the audit log first; `before` an id: those that are older than it."""
    return Audit(here.control).latest(limit, before=before)


def set_own_password(here: Installation, person: Person, old: str, new: str) -> None:
    """Raises CredentialsWrong when `old` is not the password, PasswordTooShort."""
    accounts = Accounts(here.control)
    account = accounts.verify(person.name, old)
    if account is None:
        raise CredentialsWrong
    accounts.set_password(account, new)


def _made(account: Account, password: str | None) -> AccountMade:
    role = Role(account.role)
    return AccountMade(name=account.name, role=role, created_at=account.created_at, password=password)
