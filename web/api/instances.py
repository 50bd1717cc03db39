"""Instances of a service."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Query

from web.api.person import Here
from web.plain import plain
from web.services import instance_facts

router = APIRouter(prefix="/services/{service}/instances", tags=["instances"])


@router.get("")
def all_instances(service: str, here: Here) -> Any:
    """Each instance with its snapshot, its state and how it ended."""
    return [instance_facts(one) for one in here.publisher.instances(service)]


@router.get("/{instance}/life")
def life(service: str, instance: str, here: Here) -> Any:
    """What happened to an instance, from its creation to its end, and why."""
    return plain(here.publisher.lifecycle(service, instance))


@router.get("/{instance}/log")
def log(service: str, instance: str, here: Here, lines: Annotated[int, Query(ge=1, le=10_000)] = 200) -> Any:
    """The last lines of an instance's engine log."""
    return plain(here.publisher.instance_log(service, instance, lines))
