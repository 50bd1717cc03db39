"""Bodies of calls that change queues and history: a JSON object, and the prompt ids that it names."""

from __future__ import annotations

import json
from typing import Any

from online_runtime.gateway.errors import PromptInvalid
from online_runtime.gateway.exchange import Exchange
from online_runtime.gateway.routing import ServiceRoute
from online_runtime.jobs.job import is_prompt_id

IDS_LIMIT = 1000  # of one call; a database takes no statement of any length


async def wish_of(exchange: Exchange, route: ServiceRoute) -> dict[str, Any]:
    """The body as an object, `{}` for an empty one. Raises PromptInvalid, BodyTooLarge, CallerGone."""
    body = await exchange.body(route.max_body_bytes)
    try:
        document = json.loads(body or b"{}")
    except ValueError as problem:
        raise PromptInvalid("invalid_request", "The body is not JSON.", str(problem)) from problem
    if not isinstance(document, dict):
        raise PromptInvalid("invalid_request", "The body is not a JSON object.", "Send an object.")
    return document


def prompt_ids(named: object) -> list[str]:
    """The prompt ids in a list, others left out as ComfyUI does. Raises PromptInvalid when there are too
    many.
    """
    found = [one for one in named if is_prompt_id(one)] if isinstance(named, list) else []
    if len(found) > IDS_LIMIT:
        raise PromptInvalid("invalid_request", f"{len(found)} prompts are named.", f"Name up to {IDS_LIMIT}.")
    return found
