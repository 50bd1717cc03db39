"""A prompt as a request sends it, read and checked, ready for the queue."""

from __future__ import annotations

import time
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from .errors import PromptRejected
from .numbering import Numbering
from .prompt_queue import QueueItem
from .registry import NodeRegistry
from .tracebacks import PathFilter
from .validation import validate

SECRETS = ("auth_token_comfy_org", "api_key_comfy_org")
USAGE_HEADER = "Comfy-Usage-Source"


@dataclass(frozen=True)
class Submission:
    """What POST /prompt asks for. `number` is taken on arrival, so that the order is that of arrival."""

    prompt: dict[str, Any]
    prompt_id: str
    number: float
    extra_data: dict[str, Any]
    secrets: dict[str, Any]
    targets: list[str] | None

    @classmethod
    def read(cls, body: Any, numbering: Numbering, usage_source: str | None = None) -> Submission:
        """The submission in a request's JSON. Raises PromptRejected."""
        if not isinstance(body, Mapping):
            raise PromptRejected("invalid_prompt", "The request's body is not a JSON object.")
        number = _number(body, numbering)
        if "prompt" not in body:
            raise PromptRejected("no_prompt", "No prompt provided", "No prompt provided")
        prompt = body["prompt"]
        if not isinstance(prompt, dict):
            raise PromptRejected("invalid_prompt", "The prompt is not an object of nodes by id.")
        prompt_id = _prompt_id(body.get("prompt_id"))
        extra_data = body.get("extra_data") or {}
        if not isinstance(extra_data, Mapping):
            raise PromptRejected("invalid_prompt", "extra_data is not an object.")
        public = {key: value for key, value in extra_data.items() if key not in SECRETS}
        if body.get("client_id") is not None:
            public["client_id"] = str(body["client_id"])
        if usage_source:
            public["comfy_usage_source"] = usage_source
        public["create_time"] = time.time_ns() // 1_000_000
        secrets = {key: extra_data[key] for key in SECRETS if key in extra_data}
        return cls(prompt, prompt_id, number, public, secrets, _targets(body))

    def accept(self, registry: NodeRegistry, paths: PathFilter) -> tuple[QueueItem, dict[str, Any]]:
        """Validate: the queue item and the node errors of dropped branches. Raises PromptRejected."""
        accepted = validate(self.prompt, registry, paths, self.targets)
        item = QueueItem(
            self.number, self.prompt_id, self.prompt, self.extra_data, accepted.outputs, self.secrets
        )
        return item, accepted.node_errors


def _number(body: Mapping[str, Any], numbering: Numbering) -> float:
    if "number" in body:
        try:
            return float(body["number"])
        except (TypeError, ValueError) as error:
            raise PromptRejected("invalid_prompt", f"number is not a number: {error}") from error
    return numbering.next(front=bool(body.get("front")))


def _prompt_id(given: Any) -> str:
    """A new id when none is given. Only one spelling is accepted, so that ids compare as strings."""
    if given is None:
        return str(uuid.uuid4())
    try:
        canonical = str(uuid.UUID(given)) == given
    except (ValueError, AttributeError, TypeError):
        canonical = False
    if not canonical:
        details = "prompt_id must be a UUID in lower case with hyphens, or null."
        raise PromptRejected("invalid_prompt_id", "Invalid prompt_id", details)
    return str(given)


def _targets(body: Mapping[str, Any]) -> list[str] | None:
    targets = body.get("partial_execution_targets")
    if targets is None:
        return None
    if not isinstance(targets, list):
        raise PromptRejected("invalid_prompt", "partial_execution_targets is not a list of node ids.")
    return [str(target) for target in targets]
