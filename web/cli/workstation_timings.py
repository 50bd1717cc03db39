"""What the start of a workstation's engine spent, as the engine itself tells it."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from typing import Any

from web.errors import EngineUnreachable

LIMIT_SECONDS = 10.0


def startup_of(url: str) -> dict[str, Any]:
    """The engine's `startup` by stage and plugin; empty for an engine that does not tell.

    Raises EngineUnreachable.
    """
    try:
        with urllib.request.urlopen(f"{url}/system_stats", timeout=LIMIT_SECONDS) as answer:
            told: dict[str, Any] = json.load(answer).get("startup") or {}
    except (OSError, ValueError) as error:
        raise EngineUnreachable(url, str(error)) from error
    return told


def lines_of(startup: dict[str, Any], project: str) -> list[str]:
    """Stages in order, then plugins, the slowest first."""
    if not startup:
        return [f"This engine does not tell its stages; of plugins: stillframe plugin imports {project}"]
    slowest = sorted(startup["plugins"].items(), key=lambda one: -one[1])
    return [
        f"Ready {startup['ready_after']:.2f} s after its process began.",
        *(f"  {name:20} {seconds:7.2f} s" for name, seconds in startup["stages"].items()),
        *(f"  plugin {name:20} {seconds:7.2f} s" for name, seconds in slowest),
    ]
