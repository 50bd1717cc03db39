"""How the publisher finds and asks this gateway: HOME/run/gateways/PID.json and the control token."""

from __future__ import annotations

import contextlib
import json
import os
import secrets
from pathlib import Path

import psutil
import structlog

from workstation.layout import Home

log = structlog.get_logger()


def control_token(home: Home) -> str:
    """The token that the publisher and the gateways share; whoever is first makes it, readable by the
    owner only.
    """
    path = home.run / "control.token"
    home.run.mkdir(parents=True, exist_ok=True)
    if not path.exists():
        fresh = home.run / f".control-{secrets.token_hex(8)}"
        handle = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(handle, "w") as stream:
            stream.write(secrets.token_urlsafe(32))
            stream.flush()
            os.fsync(stream.fileno())
        with contextlib.suppress(FileExistsError):  # another process was first: its token counts
            path.hardlink_to(fresh)
        fresh.unlink()
    return path.read_text().strip()


class Presence:
    """The file that says where this gateway listens; it is there exactly while the gateway runs."""

    def __init__(self, home: Home, url: str) -> None:
        self._folder = home.run / "gateways"
        self._path = self._folder / f"{os.getpid()}.json"
        self._url = url

    def announce(self) -> None:
        """Write the file, and remove those of gateways that were killed."""
        self._folder.mkdir(parents=True, exist_ok=True)
        self._sweep()
        partial = self._folder / f".partial-{secrets.token_hex(8)}"
        with partial.open("x") as stream:
            json.dump({"url": self._url, "pid": os.getpid()}, stream)
            stream.flush()
            os.fsync(stream.fileno())
        partial.replace(self._path)

    def withdraw(self) -> None:
        self._path.unlink(missing_ok=True)

    def _sweep(self) -> None:
        for path in (*self._folder.glob("*.json"), *self._folder.glob("*.load")):
            if path.stem.isdecimal() and not psutil.pid_exists(int(path.stem)):
                log.info("dead_gateway_removed", pid=int(path.stem))
                self._remove(path)

    def _remove(self, path: Path) -> None:
        path.unlink(missing_ok=True)
