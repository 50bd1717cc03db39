"""Passing bytes between two network namespaces: a process that accepts on sockets of the one, which it was
given, and connects in the other, where it lives.
"""

from __future__ import annotations

import asyncio
import os
import socket
import traceback
from collections.abc import Mapping
from functools import partial
from typing import NoReturn

from online_runtime.instance.privileges import die_with

CHUNK_BYTES = 256 * 1024
CONNECT_SECONDS = 5.0  # loopback answers at once or not at all


def relay_for_ever(listeners: Mapping[int, socket.socket], lives_for: int) -> NoReturn:
    """What comes to the listener under a port goes to that port of this process's loopback.

    To be called in a forked child; it ends with the process `lives_for`, its parent.
    """
    try:
        die_with(lives_for)
        asyncio.run(_relay(listeners))
    except BaseException:  # noqa: BLE001  # nothing may return from here into the parent's code
        traceback.print_exc()
    finally:
        os._exit(1)


async def _relay(listeners: Mapping[int, socket.socket]) -> None:
    servers = [
        await asyncio.start_server(partial(_carry, port), sock=listener, limit=CHUNK_BYTES)
        for port, listener in listeners.items()
    ]
    await asyncio.gather(*(server.serve_forever() for server in servers))


async def _carry(port: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        async with asyncio.timeout(CONNECT_SECONDS):
            there, back = await asyncio.open_connection("127.0.0.1", port, limit=CHUNK_BYTES)
    except (OSError, TimeoutError):
        writer.transport.abort()  # a reset: nobody listens there
        return
    try:
        await asyncio.gather(_pump(reader, back), _pump(there, writer))
    except OSError:
        writer.transport.abort()  # one side broke off, so the other side shall see that too
        back.transport.abort()
    finally:
        writer.close()
        back.close()


async def _pump(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
    """One direction, at the pace of the slower side; the end of the one is told to the other."""
    while chunk := await source.read(CHUNK_BYTES):
        target.write(chunk)
        await target.drain()
    target.write_eof()
