"""The caller's side of one websocket: senders wait for a slow reader, and after the close nothing is sent."""

from __future__ import annotations

import asyncio

import structlog

from online_runtime.gateway.exchange import Send

log = structlog.get_logger()

WRITE_LIMIT_SECONDS = 60.0  # a caller that reads nothing for this long is given up


class CallerSocket:
    """An accepted websocket. `ended` is set when nothing more can be sent, because either side is gone."""

    def __init__(self, send: Send, write_limit_seconds: float = WRITE_LIMIT_SECONDS) -> None:
        self._send, self._write_limit_seconds = send, write_limit_seconds
        self.ended = asyncio.Event()

    async def text(self, text: str) -> None:
        await self._pass({"type": "websocket.send", "text": text})

    async def binary(self, data: bytes) -> None:
        await self._pass({"type": "websocket.send", "bytes": data})

    async def close(self, code: int, reason: str) -> None:
        """Say why; the server then waits for the caller's own close."""
        await self._pass({"type": "websocket.close", "code": code, "reason": reason})
        self.ended.set()

    async def _pass(self, message: dict[str, object]) -> None:
        if self.ended.is_set():
            return
        try:
            async with asyncio.timeout(self._write_limit_seconds):
                await self._send(message)
        except TimeoutError:
            log.warning("websocket_peer_reads_nothing", limit_seconds=self._write_limit_seconds)
            self.ended.set()
        except OSError:  # the server's word for a caller that has hung up
            self.ended.set()
