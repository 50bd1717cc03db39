"""`python -m web.server --home HOME --port N`: the web door, as the supervisor starts it."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Callable
from pathlib import Path

import uvicorn

from online_runtime.gateway.log_lines import log_as_lines
from publisher.accounts import Accounts
from publisher.errors import PublisherError
from web.api.app import create_app
from web.errors import SettingRefused
from web.installation import Installation, open_installation
from workstation.errors import WorkstationError


def main() -> int:
    """Serve until SIGTERM. 3 when the home or its settings cannot be used."""
    chosen = _arguments()
    log_as_lines()
    try:
        installation = open_installation(chosen.home, os.environ)
        password = Accounts(installation.control).first_admin()
    except (SettingRefused, WorkstationError, PublisherError) as problem:
        sys.stderr.write(f"{problem}\n")
        return 3
    serve(installation, chosen.listen, chosen.port, lambda: _announce(chosen.announce_fd, password))
    return 0


def serve(installation: Installation, listen: str, port: int, on_serving: Callable[[], None]) -> None:
    """Run uvicorn until it is told to end; `on_serving` is called once when it accepts connections."""
    app = create_app(installation, listen=listen)
    config = uvicorn.Config(
        app, host=listen, port=port, log_level="warning", access_log=False, timeout_graceful_shutdown=5
    )
    _Server(config, on_serving).run()


class _Server(uvicorn.Server):
    def __init__(self, config: uvicorn.Config, on_serving: Callable[[], None]) -> None:
        super().__init__(config)
        self._on_serving = on_serving

    async def startup(self, sockets: list[object] | None = None) -> None:  # type: ignore[override]  # passed through
        await super().startup(sockets)  # type: ignore[arg-type]
        if self.started:
            self._on_serving()


def _announce(fd: int | None, password: str | None) -> None:
    """Tell the supervisor that we serve, and the first password, through its pipe: never through a log."""
    if fd is None:
        return
    with os.fdopen(fd, "w", encoding="utf-8") as pipe:
        pipe.write(json.dumps({"admin_password": password}) + "\n")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m web.server")
    parser.add_argument("--home", type=Path, required=True)
    parser.add_argument("--listen", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8080)
    parser.add_argument("--announce-fd", type=int)
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
