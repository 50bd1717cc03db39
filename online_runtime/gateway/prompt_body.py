"""Reading the body of POST /prompt: enough of it to own the job, refused in ComfyUI's shape when no
engine can run it. Pure.
"""

from __future__ import annotations

import hashlib
import json
import uuid
from dataclasses import dataclass
from typing import Any

from online_runtime.gateway.errors import PromptInvalid
from online_runtime.jobs.job import is_prompt_id

NAME_LIMIT = 200  # characters of a client id or an idempotency key


@dataclass(frozen=True)
class PromptBody:
    """`forwarded` is the body with the prompt id in it; `sha256` is of the body as the caller sent it."""

    prompt_id: str
    client_id: str | None
    forwarded: bytes
    sha256: str
    workflow_id: str | None = None


def read_prompt(body: bytes) -> PromptBody:
    """Raises PromptInvalid."""
    document = _document(body)
    _check_graph(document["prompt"])
    prompt_id, forwarded = _with_id(document, body)
    client_id = document.get("client_id")
    if client_id is not None and (not isinstance(client_id, str) or len(client_id) > NAME_LIMIT):
        raise PromptInvalid(
            "invalid_prompt", "client_id is not usable.", f"Use up to {NAME_LIMIT} characters."
        )
    sha256 = hashlib.sha256(body).hexdigest()
    return PromptBody(prompt_id, client_id, forwarded, sha256, _workflow_id(document))


def check_key(key: str | None) -> str | None:
    """An Idempotency-Key that can be stored. Raises PromptInvalid."""
    if key is not None and not 0 < len(key) <= NAME_LIMIT:
        raise PromptInvalid(
            "invalid_prompt", "The Idempotency-Key is not usable.", f"Use 1 to {NAME_LIMIT} characters."
        )
    return key


def _document(body: bytes) -> dict[str, Any]:
    try:
        document = json.loads(body)
    except (ValueError, RecursionError) as problem:
        raise PromptInvalid("invalid_prompt", "The body is not JSON.", str(problem)) from problem
    if not isinstance(document, dict):
        raise PromptInvalid("invalid_prompt", "The body is not a JSON object.", "Send {'prompt': {...}}.")
    if "prompt" not in document:
        raise PromptInvalid(
            "no_prompt", "The body has no prompt.", "Send {'prompt': WORKFLOW} in API format."
        )
    return document


def _check_graph(graph: Any) -> None:
    if not isinstance(graph, dict):
        raise PromptInvalid(
            "invalid_prompt", "The prompt is not a workflow.", "It must be an object: node id -> node."
        )
    if isinstance(graph.get("nodes"), list) and isinstance(graph.get("links"), list):
        raise PromptInvalid(
            "invalid_prompt",
            "The prompt is a workflow in UI format.",
            "Save it in API format (in the frontend: Workflow, Export (API)) and send that.",
        )


def _workflow_id(document: dict[str, Any]) -> str | None:
    """The id that the frontend gave the workflow, when it sent it along."""
    found: Any = document
    for name in ("extra_data", "extra_pnginfo", "workflow", "id"):
        found = found.get(name) if isinstance(found, dict) else None
    return found if isinstance(found, str) and len(found) <= NAME_LIMIT else None


def _with_id(document: dict[str, Any], body: bytes) -> tuple[str, bytes]:
    given = document.get("prompt_id")
    if given is not None:
        if not is_prompt_id(given):
            raise PromptInvalid(
                "invalid_prompt_id",
                "prompt_id is not usable.",
                "Use a lower-case UUID with hyphens, or none.",
            )
        return given, body
    prompt_id = str(uuid.uuid4())
    if "prompt_id" in document:  # null: asks for one to be made
        return prompt_id, json.dumps({**document, "prompt_id": prompt_id}).encode()
    # Large graphs are not serialised again: the id goes in right after the opening brace.
    text = body.decode(json.detect_encoding(body)).lstrip("\ufeff \t\r\n")
    return prompt_id, f'{{"prompt_id":"{prompt_id}",{text[1:]}'.encode()
