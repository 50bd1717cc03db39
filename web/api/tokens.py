"""Tokens of a service: what online callers authorise themselves with."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from fastapi import APIRouter, status
from pydantic import BaseModel, ConfigDict

from web.api.person import Here
from web.plain import plain
from workstation.project import read_project

router = APIRouter(prefix="/services/{service}/tokens", tags=["tokens"])


class TokenWanted(BaseModel):
    """A token to make. The name says who or what will use it."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"name": "shop backend"}]})
    name: str = "default"


class TokenMade(BaseModel):
    """A new token. `token` is shown this once and stored hashed."""

    id: str
    name: str
    created_at: datetime
    token: str


@router.get("")
def all_tokens(service: str, here: Here) -> Any:
    """All tokens, revoked ones too, without their secrets."""
    return plain(here.publisher.tokens(service))


@router.post("", status_code=status.HTTP_201_CREATED)
def create(service: str, wanted: TokenWanted, here: Here) -> TokenMade:
    """Make a token."""
    read_project(here.home, service)
    view, secret = here.publisher.create_token(service, wanted.name)
    return TokenMade(id=view.id, name=view.name, created_at=view.created_at, token=secret)


@router.delete("/{token_id}", status_code=status.HTTP_204_NO_CONTENT)
def revoke(service: str, token_id: str, here: Here) -> None:
    """Revoke a token: calls with it are refused from now on."""
    here.publisher.revoke_token(service, token_id)
