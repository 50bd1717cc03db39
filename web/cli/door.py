"""The running web door as commands use it: the REST API over loopback with the home's own key.

Standard library only. A command that asks the door starts neither a database nor a broker.
"""

from __future__ import annotations

import json
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from web.cli.opening import caller
from web.errors import DoorRefused, DoorUnreachable
from web.local_key import authorization

if TYPE_CHECKING:
    from web.installation import Installation

ANSWER_SECONDS = 60.0  # the door answers within milliseconds; a dry run looks at the whole environment
AWAY_SECONDS = 30.0  # a door that died is started again by the supervisor within that
AWAY_LOOK_SECONDS = 0.2
_direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))


@dataclass(frozen=True)
class Door:
    """The door of one home. `wanted_for` is the use that the sentence names when nothing runs."""

    here: Installation
    wanted_for: str

    def post(self, path: str, document: Mapping[str, Any]) -> Any:
        """Raises DoorRefused with what the door said, DoorUnreachable, PlatformNotRunning."""
        return self._exchange("POST", path, json.dumps(document).encode())

    def get(self, path: str) -> Any:
        """As `post`; a door that is being started again is asked until it answers, within a limit."""
        deadline = time.monotonic() + AWAY_SECONDS
        while True:
            try:
                return self._exchange("GET", path, None)
            except DoorUnreachable:
                if time.monotonic() > deadline:
                    raise
            time.sleep(AWAY_LOOK_SECONDS)

    def _exchange(self, method: str, path: str, body: bytes | None) -> Any:
        url = self.here.require_running(self.wanted_for).url
        request = urllib.request.Request(f"{url}/api/v1{path}", data=body, method=method)
        request.add_header("Content-Type", "application/json")
        try:
            request.add_header("Authorization", authorization(self.here.home.run, caller()))
            with _direct.open(request, timeout=ANSWER_SECONDS) as answer:
                return json.loads(answer.read())
        except urllib.error.HTTPError as problem:
            raise DoorRefused(problem.code, _document(problem)) from problem
        except (urllib.error.URLError, OSError) as problem:
            reason = str(getattr(problem, "reason", problem))
            raise DoorUnreachable(url, reason, self.here.home.run / "logs" / "web.log") from problem


def _document(problem: urllib.error.HTTPError) -> Mapping[str, Any]:
    try:
        return dict(json.loads(problem.read()))
    except ValueError:
        return {"detail": problem.reason}
