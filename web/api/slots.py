"""The places of this machine where instances can run."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter

from web.api.person import Here
from web.plain import plain

router = APIRouter(prefix="/slots", tags=["instances"])


@router.get("")
def all_slots(here: Here) -> Any:
    """Each place with its GPU, and which instance holds it."""
    return plain(here.publisher.slots())
