"""Running the smoke workflow on a candidate, straight at its engine: it takes no traffic yet."""

from __future__ import annotations

import json
import time
import urllib.error
import urllib.request
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from publisher.deployment import Instance
from publisher.errors import SmokeFailed

CALL_TIMEOUT_SECONDS = 30.0  # an engine that samples answers slowly
FIRST_POLL_SECONDS, SLOWEST_POLL_SECONDS = 0.1, 2.0

_OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}))


@dataclass(frozen=True)
class SmokeResult:
    """A smoke workflow that gave a result. `outputs` counts the nodes that gave one."""

    prompt_id: str
    outputs: int
    seconds: float


def run_smoke(
    instance: Instance, workflow: Mapping[str, Any], limit_seconds: float, alive: Callable[[], bool]
) -> SmokeResult:
    """Post the workflow (API format), wait for its history.

    Raises SmokeFailed, also when `alive` turns false.
    """
    if instance.url is None:
        raise SmokeFailed(instance.id, "its engine has no address yet")
    began = time.monotonic()
    prompt_id = _post(instance, workflow)
    pause = FIRST_POLL_SECONDS
    while time.monotonic() - began < limit_seconds:
        entry = _history(instance, prompt_id)
        if entry is not None:
            return SmokeResult(prompt_id, _outputs(instance, entry), round(time.monotonic() - began, 3))
        if not alive():
            raise SmokeFailed(instance.id, "the instance ended while the workflow ran; see the log lines")
        time.sleep(pause)
        pause = min(pause * 1.5, SLOWEST_POLL_SECONDS)
    raise SmokeFailed(instance.id, f"no result within {limit_seconds:g} s")


def _post(instance: Instance, workflow: Mapping[str, Any]) -> str:
    # A fixed seed gives a fixed picture, but an engine's cache may answer for it: each candidate is a new
    # process.
    body = json.dumps({"prompt": workflow, "client_id": uuid.uuid4().hex}).encode()
    request = urllib.request.Request(
        f"{instance.url}/prompt", data=body, headers={"Content-Type": "application/json"}
    )
    try:
        with _OPENER.open(request, timeout=CALL_TIMEOUT_SECONDS) as answer:
            return str(json.load(answer)["prompt_id"])
    except urllib.error.HTTPError as refusal:
        raise _refused(instance, refusal.code, refusal.read()) from None
    except (OSError, ValueError, KeyError) as problem:
        raise SmokeFailed(instance.id, f"its engine did not take the workflow: {problem}") from problem


def _refused(instance: Instance, status: int, body: bytes) -> SmokeFailed:
    """A validation error, told by node."""
    try:
        answer = json.loads(body)
        errors: Mapping[str, Any] = answer.get("node_errors") or {}
        general = (
            answer["error"]["message"] if isinstance(answer.get("error"), dict) else str(answer.get("error"))
        )
    except (ValueError, AttributeError, KeyError):
        return SmokeFailed(instance.id, f"its engine refused the workflow with status {status}")
    nodes = [
        f"{node} ({entry.get('class_type')}): "
        + "; ".join(
            f"{error.get('message')} {error.get('details')}".strip() for error in entry.get("errors", [])
        )
        for node, entry in errors.items()
    ]
    return SmokeFailed(instance.id, ". ".join([general, *nodes]), node=", ".join(errors))


def _history(instance: Instance, prompt_id: str) -> Mapping[str, Any] | None:
    try:
        with _OPENER.open(f"{instance.url}/history/{prompt_id}", timeout=CALL_TIMEOUT_SECONDS) as answer:
            found: dict[str, Any] = json.load(answer)
    except (OSError, ValueError):
        return None  # busy is not broken; the caller's limit and `alive` decide
    entry: Mapping[str, Any] | None = found.get(prompt_id)
    return entry


def _outputs(instance: Instance, entry: Mapping[str, Any]) -> int:
    status = entry.get("status") or {}
    for kind, message in status.get("messages", []):
        if kind == "execution_error":
            raise SmokeFailed(
                instance.id,
                f"{message.get('exception_type', 'error')}: {message.get('exception_message', '')}".strip(),
                node=f"{message.get('node_id')} ({message.get('node_type')})",
                traceback="".join(message.get("traceback", [])),
            )
    if status.get("status_str") == "error":
        raise SmokeFailed(instance.id, "the engine reports an error without saying which")
    outputs = len(entry.get("outputs") or {})
    if outputs == 0:
        raise SmokeFailed(instance.id, "it ended without any output; add a node that saves or previews one")
    return outputs
