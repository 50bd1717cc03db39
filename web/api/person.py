"""Who calls, and the parts of the platform that every endpoint is given."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated

from fastapi import Depends, Request

from web.installation import Installation


@dataclass(frozen=True)
class Person:
    """Someone who signed in. `role` is viewer, developer or admin; `source` is the door for the record.

    `session` is the hash of a browser's session; empty for a password, a key or a command.
    """

    name: str
    role: str
    source: str = "API"
    session: str = field(default="", repr=False)


def installation_of(request: Request) -> Installation:
    """The home this server serves."""
    found: Installation = request.app.state.installation
    return found


def person_of(request: Request) -> Person:
    """Who signed in; the gate has let nobody else in."""
    found: Person = request.scope["state"]["person"]
    return found


Here = Annotated[Installation, Depends(installation_of)]
Caller = Annotated[Person, Depends(person_of)]
