"""Asking an engine what it knows of a prompt."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from online_runtime.gateway.errors import InstanceAnswerBroken
from online_runtime.gateway.routing import RouteInstance
from online_runtime.gateway.upstream import Upstream


async def finished_entry(
    upstream: Upstream, instance: RouteInstance, prompt_id: str
) -> dict[str, Any] | None:
    """The history entry, None while the prompt is queued, running or unknown. Raises as `Upstream.ask`."""
    path = f"/history/{prompt_id}"
    entries = await upstream.ask(instance, path)
    if not isinstance(entries, dict):
        raise InstanceAnswerBroken(instance.id, path, "something that is not an object")
    entry = entries.get(prompt_id)
    return entry if isinstance(entry, dict) else None


async def queue_remaining(upstream: Upstream, instance: RouteInstance) -> int:
    """How many prompts the engine has, running ones included. Raises as `Upstream.ask`."""
    try:
        return int((await upstream.ask(instance, "/prompt"))["exec_info"]["queue_remaining"])
    except (KeyError, TypeError, ValueError) as problem:
        raise InstanceAnswerBroken(instance.id, "/prompt", "no queue_remaining") from problem


@dataclass(frozen=True)
class EngineQueue:
    """Prompt ids that an engine executes, and that wait there."""

    running: frozenset[str]
    pending: frozenset[str]


async def queue_of(upstream: Upstream, instance: RouteInstance) -> EngineQueue:
    """What the engine executes and has waiting. Raises as `Upstream.ask`."""
    found = await upstream.ask(instance, "/queue")
    try:
        running, pending = (
            frozenset(item[1] for item in found[part]) for part in ("queue_running", "queue_pending")
        )
        return EngineQueue(running, pending)
    except (KeyError, TypeError, IndexError) as problem:
        raise InstanceAnswerBroken(instance.id, "/queue", "no lists of prompts") from problem
