"""`python -m online_runtime.gateway --home HOME --port N`: one gateway process."""

from __future__ import annotations

import argparse
import json
import signal
import socket
import sys
from pathlib import Path

import uvicorn

from online_runtime.gateway.app import Gateway
from online_runtime.gateway.errors import BadSetting, GatewayError
from online_runtime.gateway.log_lines import log_as_lines
from online_runtime.gateway.settings import GatewaySettings
from online_runtime.jobs.database import open_jobs
from online_runtime.jobs.errors import JobsError
from workstation.layout import Home

BACKLOG = 2048
PING_SECONDS = 20.0
SILENCE_SECONDS = 40.0  # a websocket peer that leaves a ping unanswered for this long is gone
MESSAGE_LIMIT_BYTES = 16 * 1024 * 1024
IDLE_CALLER_SECONDS = 75  # longer than callers keep idle connections, so that they close them, not we


def main(arguments: list[str] | None = None) -> int:
    """Serve until SIGTERM. Returns the exit code: 0, 2 for a setting that cannot be used, 1 for a
    database that cannot.
    """
    log_as_lines()
    try:
        settings = read_settings(arguments)
        door = _bind(settings)
    except GatewayError as problem:
        print(problem, file=sys.stderr)  # noqa: T201  # the console is where a command line error belongs
        return 2
    try:
        database = open_jobs(settings.jobs_database)
    except JobsError as problem:
        print(problem, file=sys.stderr)  # noqa: T201  # as above
        return 1
    host, port = door.getsockname()[:2]
    gateway = Gateway(settings, database, f"http://{host}:{port}")
    for ending in (signal.SIGTERM, signal.SIGINT):
        # uvicorn stops on these, then raises them once more for whoever listened before: an ordered
        # end exits with 0.
        signal.signal(ending, lambda _number, _frame: None)
    try:
        server(gateway, settings).run(sockets=[door])
    finally:
        database.close()
    return 0


def server(gateway: Gateway, settings: GatewaySettings) -> uvicorn.Server:
    """uvicorn as this gateway needs it."""
    return uvicorn.Server(
        uvicorn.Config(
            gateway,
            loop="uvloop",
            http="httptools",
            ws="websockets-sansio",
            ws_max_size=MESSAGE_LIMIT_BYTES,
            ws_ping_interval=PING_SECONDS,
            ws_ping_timeout=SILENCE_SECONDS,
            ws_per_message_deflate=False,  # previews are pictures: compressing them again only costs time
            lifespan="on",
            proxy_headers=False,
            access_log=False,
            log_config=None,
            log_level="warning",  # below that, uvicorn logs the targets of websockets, tokens included
            server_header=False,
            date_header=False,
            timeout_keep_alive=IDLE_CALLER_SECONDS,
            timeout_graceful_shutdown=int(settings.stop_limit_seconds),
        )
    )


def read_settings(arguments: list[str] | None) -> GatewaySettings:
    """Settings from the command line. Raises BadSetting."""
    parser = argparse.ArgumentParser("python -m online_runtime.gateway", description=__doc__)
    parser.add_argument("--home", required=True, type=Path, help="the home folder")
    parser.add_argument("--listen", default="127.0.0.1", help="address to listen on")
    parser.add_argument("--port", required=True, type=int, help="0 takes a free one")
    parser.add_argument(
        "--jobs-url", default=None, help="database of jobs; default: SQLite in the home folder"
    )
    parser.add_argument(
        "--settings",
        type=Path,
        help="JSON object whose jobs_url is used: no password in the list of processes",
    )
    parser.add_argument(
        "--expiry-seconds", type=float, default=60.0, help="how often results to be removed are looked for"
    )
    given = parser.parse_args(arguments)
    if not given.home.is_dir():
        raise BadSetting("--home", str(given.home), "an existing home folder")
    if not 0 <= given.port < 65536:
        raise BadSetting("--port", given.port, "a number from 0 to 65535")
    jobs_url = given.jobs_url or _jobs_url_of(given.settings)
    if not given.expiry_seconds > 0:
        raise BadSetting("--expiry-seconds", given.expiry_seconds, "more than 0")
    home = Home(given.home.resolve())
    return GatewaySettings(home, given.listen, given.port, jobs_url, expiry_seconds=given.expiry_seconds)


def _jobs_url_of(file: Path | None) -> str | None:
    """What the platform's settings say; all else in them is for others."""
    if file is None:
        return None
    try:
        found = json.loads(file.read_text()).get("jobs_url")
    except (OSError, ValueError, AttributeError) as problem:
        raise BadSetting("--settings", str(file), f"a readable JSON object ({problem})") from problem
    return None if found is None else str(found)


def _bind(settings: GatewaySettings) -> socket.socket:
    try:
        family = socket.getaddrinfo(settings.listen, settings.port, type=socket.SOCK_STREAM)[0][0]
        door = socket.socket(family, socket.SOCK_STREAM)
        door.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        door.bind((settings.listen, settings.port))
        door.listen(BACKLOG)  # now: whoever reads our presence file may call before uvicorn accepts
    except OSError as problem:
        where = f"{settings.listen}:{settings.port}"
        raise BadSetting(
            "--listen and --port", where, f"an address that is free here ({problem})"
        ) from problem
    return door


if __name__ == "__main__":
    sys.exit(main())
