"""API keys: how programs sign in to this API."""

from __future__ import annotations

from datetime import datetime

from fastapi import APIRouter, status
from pydantic import BaseModel, ConfigDict

from publisher.accounts import Accounts
from web.api.person import Caller, Here

router = APIRouter(prefix="/keys", tags=["keys"])


class KeyWanted(BaseModel):
    """A key to make for the account that asks."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"name": "release pipeline"}]})
    name: str


class KeyMade(BaseModel):
    """A new API key. `key` is shown this once and stored hashed."""

    id: str
    name: str
    created_at: datetime
    key: str


@router.post("", status_code=status.HTTP_201_CREATED)
def create(wanted: KeyWanted, here: Here, person: Caller) -> KeyMade:
    """Make an API key; send it as `Authorization: Bearer KEY`."""
    accounts = Accounts(here.control)
    account = next(one for one in accounts.everyone() if one.name == person.name)
    view, secret = accounts.create_api_key(account, wanted.name)
    return KeyMade(id=view.id, name=view.name, created_at=view.created_at, key=secret)
