"""Use cases over online services that both doors offer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from web.calls import Caller
from web.installation import Installation
from web.plain import plain

if TYPE_CHECKING:
    from publisher.deployment import Instance


def endpoint(here: Installation, service: str) -> str | None:
    """Where calls to a service go, or None while nothing is up."""
    record = here.running
    return None if record is None else f"{record.gateway_url}/api/predict/{service}"


def caller_for(here: Installation, service: str, token: str) -> Caller:
    """A caller of the service through the gateway. Raises PlatformNotRunning."""
    record = here.require_running("a call to an online service")
    return Caller(f"{record.gateway_url}/api/predict/{service}", token)


def instance_facts(instance: Instance) -> dict[str, Any]:
    """An instance for callers: everything but its own token."""
    facts: dict[str, Any] = plain(instance)
    return facts
