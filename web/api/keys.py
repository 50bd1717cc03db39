"""API keys: how programs sign in to this API. Each acts as the account that made it."""

from __future__ import annotations

from datetime import datetime

from fastapi import APIRouter, status
from pydantic import BaseModel, ConfigDict

from publisher.accounts import Accounts
from publisher.db.keys import ApiKeyView
from web.api.person import Caller, Here

router = APIRouter(prefix="/keys", tags=["keys"])


class KeyWanted(BaseModel):
    """A key to make for the account that asks."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"name": "release pipeline"}]})
    name: str


class KeyAnswer(BaseModel):
    """An API key without its secret."""

    model_config = ConfigDict(from_attributes=True)
    id: str
    name: str
    created_at: datetime
    revoked_at: datetime | None


class KeyMade(BaseModel):
    """A new API key. `key` is shown this once and stored hashed."""

    id: str
    name: str
    created_at: datetime
    key: str


@router.get("", response_model=list[KeyAnswer])
def all_keys(here: Here, person: Caller) -> tuple[ApiKeyView, ...]:
    """One's own keys, revoked ones too, newest first."""
    accounts = Accounts(here.control)
    return accounts.api_keys(accounts.find(person.name))


@router.post("", status_code=status.HTTP_201_CREATED)
def create(wanted: KeyWanted, here: Here, person: Caller) -> KeyMade:
    """Make an API key; send it as `Authorization: Bearer KEY`."""
    accounts = Accounts(here.control)
    view, secret = accounts.create_api_key(accounts.find(person.name), wanted.name)
    return KeyMade(id=view.id, name=view.name, created_at=view.created_at, key=secret)


@router.delete("/{key}", status_code=status.HTTP_204_NO_CONTENT)
def revoke(key: str, here: Here, person: Caller) -> None:
    """End one of one's own keys; from now on it opens nothing."""
    accounts = Accounts(here.control)
    accounts.revoke_api_key(accounts.find(person.name), key)
