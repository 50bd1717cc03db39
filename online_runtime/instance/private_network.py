"""A network of an engine's own: its loopback, and nothing else of this machine's or the world's.

    off        nobody is reached; the engine's door is, through a relay that lives beside the engine
    loopback   the same, and listed ports of the machine's own loopback, through a relay that lives outside

A relay is a forked process that belongs to the engine's session and ends with it. Sockets in the file system
are no network: what an instance may open there, the view decides.
"""

from __future__ import annotations

import ctypes
import fcntl
import os
import socket
import struct
from collections.abc import Iterable
from dataclasses import dataclass

from online_runtime.instance.errors import ViewRefused

OPEN, LOOPBACK, OFF = "open", "loopback", "off"
KINDS = (OPEN, LOOPBACK, OFF)
CLONE_NEWNET = 0x40000000
SIOCGIFFLAGS, SIOCSIFFLAGS, IFF_UP = 0x8913, 0x8914, 0x1
BACKLOG = 512

_libc = ctypes.CDLL(None, use_errno=True)


@dataclass(frozen=True)
class Doorway:
    """What was opened before the network was left: the engine's door, and the way out to listed ports."""

    door: socket.socket
    outside: socket.socket | None
    ports: tuple[int, ...]


def prepare(port: int, ports: Iterable[int]) -> Doorway:
    """Listen at the engine's port of this machine's loopback, and start the relay for listed ports.

    The process must have one thread. Raises OSError when `port` was taken meanwhile.
    """
    from online_runtime.instance.relay import relay_for_ever  # asyncio: 8 MiB that most agents do without

    door = _listen(port)
    listed = tuple(ports)
    if not listed:
        return Doorway(door, None, ())
    inside, outside = socket.socketpair()
    engine = os.getpid()
    if os.fork() == 0:
        door.close()
        outside.close()
        _, handles, _, _ = socket.recv_fds(inside, 1, len(listed))
        relay_for_ever(
            {one: socket.socket(fileno=handle) for one, handle in zip(listed, handles, strict=True)}, engine
        )
    inside.close()
    return Doorway(door, outside, listed)


def enter(doorway: Doorway, port: int) -> None:
    """Leave the machine's network for one of our own. Raises ViewRefused.

    Mounting rights are needed, as for the view; so it comes before those are given up.
    """
    from online_runtime.instance.relay import (
        relay_for_ever,
    )  # loaded by `prepare`: its files may be hidden now

    leave_network()
    if doorway.outside is not None:
        listeners = [_listen(one) for one in doorway.ports]
        socket.send_fds(doorway.outside, [b"+"], [one.fileno() for one in listeners])
        for listener in listeners:
            listener.close()
        doorway.outside.close()
    engine = os.getpid()
    if os.fork() == 0:
        relay_for_ever({port: doorway.door}, engine)
    doorway.door.close()


def leave_network() -> None:
    """A network namespace with its loopback up. Raises ViewRefused."""
    if _libc.unshare(ctypes.c_int(CLONE_NEWNET)) != 0:
        raise ViewRefused("leaving the network", "this process", os.strerror(ctypes.get_errno()))
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asker:
        try:
            asked = fcntl.ioctl(asker, SIOCGIFFLAGS, struct.pack("16sh22x", b"lo", 0))
            flags = struct.unpack("16sh22x", asked)[1]
            fcntl.ioctl(asker, SIOCSIFFLAGS, struct.pack("16sh22x", b"lo", flags | IFF_UP))
        except OSError as problem:
            raise ViewRefused(
                "its own loopback", "this process", problem.strerror or str(problem)
            ) from problem


def _listen(port: int) -> socket.socket:
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind(("127.0.0.1", port))
    listener.listen(BACKLOG)
    return listener
