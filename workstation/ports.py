"""Free ports on this machine."""

from __future__ import annotations

import socket


def free_port(preferred: int | None = None, host: str = "127.0.0.1") -> int:
    """A TCP port that nobody listens on now: `preferred` when it is free, any other one otherwise.

    Another program may take it before it is used; whoever listens later must be ready to try again.
    """
    for port in (preferred, 0):
        if port is None:
            continue
        with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as door:
            door.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                door.bind((host, port))
            except OSError:
                if port == 0:
                    raise
                continue
            return int(door.getsockname()[1])
    raise AssertionError("binding port 0 either succeeds or raises")
