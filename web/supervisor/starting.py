"""The command line of the supervisor, for those that start it."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import NoReturn


def supervisor_command(
    home: Path,
    *,
    settings: Path | None = None,
    listen: str = "127.0.0.1",
    port: int = 8080,
    gateway_port: int = 8081,
    stop_instances: bool = False,
    open_browser: bool = False,
    as_json: bool = False,
) -> list[str]:
    """The command that serves `home`."""
    command = [sys.executable, "-m", "web.supervisor", "--home", str(home), "--listen", listen]
    command += ["--port", str(port), "--gateway-port", str(gateway_port)]
    command += ["--settings", str(settings)] if settings is not None else []
    chosen = {"--stop-instances": stop_instances, "--open": open_browser, "--json": as_json}
    return command + [option for option, wanted in chosen.items() if wanted]


def become_supervisor(home: Path, **options: object) -> NoReturn:
    """Replace this process by the supervisor, which is small.

    The command line's modules do not stay in memory.
    """
    sys.stdout.flush()
    command = supervisor_command(home, **options)  # type: ignore[arg-type]  # the options of the function above
    os.execv(command[0], command)
