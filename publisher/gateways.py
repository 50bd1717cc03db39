"""What the publisher asks of running gateways: do you show this table, and what is unfinished where."""

from __future__ import annotations

import json
import os
import secrets
import time
import urllib.error
import urllib.request
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from publisher.errors import GatewayBehind
from workstation.layout import Home

CALL_TIMEOUT_SECONDS = 2.0
POLL_SECONDS = 0.02  # a gateway looks at its table's file every 20 ms

# Gateways live on loopback or the machine's own network; a proxy from the environment must never see them.
_OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}))


@dataclass(frozen=True)
class Work:
    """What one instance has not finished, as the gateways know it."""

    unfinished_jobs: int
    open_calls: int


class Gateways:
    """The gateways that announced themselves under HOME/run/gateways/."""

    def __init__(self, home: Home) -> None:
        self._folder = home.run / "gateways"
        self._token_file = home.run / "control.token"

    def live(self) -> tuple[str, ...]:
        """Urls of those whose process runs."""
        found = []
        for file in sorted(self._folder.glob("*.json")):
            entry = _read(file)
            if entry is not None and runs(int(entry["pid"])):
                found.append(str(entry["url"]))
        return tuple(found)

    def wait_until_visible(self, version: int, limit_seconds: float) -> None:
        """Return when every live gateway shows table `version` or a later one. Raises GatewayBehind."""
        deadline = time.monotonic() + limit_seconds
        for url in self.live():
            while (state := self._state(url)) is None or int(state["version"]) < version:
                if time.monotonic() >= deadline:
                    if url not in self.live():
                        break  # it has ended; a new one begins with the newest table
                    raise GatewayBehind(url, version, limit_seconds)
                time.sleep(POLL_SECONDS)

    def unfinished(self, instance_ids: Iterable[str]) -> Mapping[str, Work] | None:
        """Unfinished jobs and open calls of each instance; None when a live gateway did not answer."""
        states = [self._state(url) for url in self.live()]
        if any(state is None for state in states):
            return None
        known = [state for state in states if state is not None]
        return {
            instance_id: Work(
                # All gateways count the same stored jobs, but each only its own open calls.
                max((int(state["unfinished"].get(instance_id, 0)) for state in known), default=0),
                sum(int(state["in_flight"].get(instance_id, 0)) for state in known),
            )
            for instance_id in instance_ids
        }

    def _state(self, url: str) -> dict[str, Any] | None:
        request = urllib.request.Request(
            f"{url.rstrip('/')}/-/state", headers={"Authorization": f"Bearer {self._control_token()}"}
        )
        try:
            with _OPENER.open(request, timeout=CALL_TIMEOUT_SECONDS) as answer:
                state: dict[str, Any] = json.load(answer)
        except (urllib.error.URLError, OSError, ValueError):
            return None  # the callers decide what silence means, and say so
        return state

    def _control_token(self) -> str:
        """The token that publisher and gateways share; whoever needs it first makes it."""
        try:
            return self._token_file.read_text().strip()
        except FileNotFoundError:
            self._token_file.parent.mkdir(parents=True, exist_ok=True)
        partial = self._token_file.with_name(f".control.token.{os.getpid()}.{secrets.token_hex(4)}")
        partial.touch(mode=0o600)
        partial.write_text(secrets.token_urlsafe(32))
        try:
            os.link(partial, self._token_file)  # unlike a rename, this lets the first one win
        except FileExistsError:
            pass
        finally:
            partial.unlink()
        return self._token_file.read_text().strip()


def _read(file: Path) -> dict[str, Any] | None:
    try:
        entry = json.loads(file.read_text())
    except (FileNotFoundError, ValueError):
        return None  # it left while we looked; files are written by rename, so they are never half
    return entry if isinstance(entry, dict) and {"pid", "url"} <= entry.keys() else None


def runs(pid: int) -> bool:
    """Whether a process of that id is there."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
