"""Websockets for uvicorn: the handshake, frames and backpressure behind ASGI's websocket events.

uvicorn brings none of its own; the libraries that it can use are not among our dependencies.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
from typing import Any, cast
from urllib.parse import unquote

import structlog
from uvicorn.config import Config
from uvicorn.server import ServerState

from online_runtime.gateway.frames import (
    FrameReader,
    FrameRefused,
    Message,
    Opcode,
    close_code,
    close_frame,
    frame,
)

log = structlog.get_logger()

ACCEPT_SALT = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"  # RFC 6455, section 1.3
MESSAGE_LIMIT_BYTES = 16 * 1024 * 1024
UNREAD_MESSAGES = 64  # beyond these, the socket is not read until the app has caught up
PING_SECONDS = 20.0
SILENCE_SECONDS = 3 * PING_SECONDS  # a peer that answered no ping for this long is gone
WRITE_LIMIT_SECONDS = 60.0  # a peer that reads nothing for this long is given up
CLOSE_LIMIT_SECONDS = 5.0  # how long the peer may take to answer a close frame


class WebsocketDoor(asyncio.Protocol):
    """One websocket connection. uvicorn makes it when a request asks for the upgrade and replays the
    head into it.
    """

    def __init__(self, config: Config, server_state: ServerState, app_state: dict[str, Any]) -> None:
        self._app, self._state, self._server_state = config.loaded_app, app_state, server_state
        self._reader = FrameReader(MESSAGE_LIMIT_BYTES)
        self._received: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self._writable = asyncio.Event()
        self._writable.set()
        self._head: bytearray | None = bytearray()
        self._key = b""
        self._paused = self._accepted = self._answered = self._closing = self._lost = False
        self._timer: asyncio.TimerHandle | None = None
        self._heard_at = 0.0

    # What asyncio calls

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is one in all but its class
        self._server_state.connections.add(self)  # type: ignore[arg-type]  # uvicorn names only its own classes

    def connection_lost(self, problem: Exception | None) -> None:
        self._server_state.connections.discard(self)
        self._lost = True
        self._stop_timer()
        self._writable.set()
        self._received.put_nowait({"type": "websocket.disconnect", "code": 1006})

    def pause_writing(self) -> None:
        self._writable.clear()

    def resume_writing(self) -> None:
        self._writable.set()

    def data_received(self, data: bytes) -> None:
        self._heard_at = asyncio.get_running_loop().time()
        if self._head is not None:
            self._read_head(data)
            return
        try:
            for message in self._reader.feed(data):
                self._take(message)
        except FrameRefused as refusal:
            self._close(refusal.code, str(refusal))

    def shutdown(self) -> None:
        """uvicorn is stopping: 1012 tells the caller to come back."""
        if self._accepted:
            self._close(1012, "The gateway restarts; connect again.")
        else:
            self._transport.close()

    # Handshake

    def _read_head(self, data: bytes) -> None:
        assert self._head is not None
        self._head += data
        head, found, rest = bytes(self._head).partition(b"\r\n\r\n")
        if not found:
            return
        self._head = None
        lines = head.split(b"\r\n")
        pairs = [line.partition(b":") for line in lines[1:]]
        headers = [(name.strip().lower(), value.strip()) for name, _, value in pairs]
        self._key = dict(headers).get(b"sec-websocket-key", b"")
        task = asyncio.get_running_loop().create_task(
            self._run(self._scope(lines[0].split(b" ")[1], headers))
        )
        self._server_state.tasks.add(task)
        task.add_done_callback(self._server_state.tasks.discard)
        if rest:
            self.data_received(rest)

    def _scope(self, target: bytes, headers: list[tuple[bytes, bytes]]) -> dict[str, Any]:
        path, _, query = target.partition(b"?")
        return {
            "type": "websocket",
            "asgi": {"version": "3.0", "spec_version": "2.4"},
            "http_version": "1.1",
            "scheme": "ws",
            "path": unquote(path.decode("latin-1")),
            "raw_path": path,
            "query_string": query,
            "headers": headers,
            "subprotocols": [],
            "state": self._state.copy(),
            "extensions": {"websocket.http.response": {}},
        }

    async def _run(self, scope: dict[str, Any]) -> None:
        if not self._key:
            self._refuse(400, b"The request has no Sec-WebSocket-Key.", [])
            return
        self._received.put_nowait({"type": "websocket.connect"})
        try:
            await self._app(scope, self._receive, self._send)
        except Exception:  # the outermost frame of one connection: log it, close, serve the others
            log.exception("websocket_failed")
        if not self._answered:
            self._refuse(500, b"The gateway failed; its log says why.", [])
        elif self._accepted and not self._closing:
            self._close(1011, "The gateway failed.")

    # What the app calls

    async def _receive(self) -> dict[str, Any]:
        message = await self._received.get()
        if self._paused and self._received.qsize() < UNREAD_MESSAGES // 2 and not self._lost:
            self._paused = False
            self._transport.resume_reading()
        return message

    async def _send(self, message: Any) -> None:
        kind = message["type"]
        if kind == "websocket.accept":
            self._accept()
        elif kind == "websocket.send":
            await self._write(message)
        elif kind == "websocket.close":
            if self._accepted:
                self._close(message.get("code", 1000), message.get("reason") or "")
            else:
                self._refuse(403, b"", [])
        elif kind == "websocket.http.response.start":
            self._refusal = (message["status"], message["headers"])
        elif kind == "websocket.http.response.body":
            self._refuse(self._refusal[0], message.get("body", b""), self._refusal[1])

    def _accept(self) -> None:
        digest = base64.b64encode(hashlib.sha1(self._key + ACCEPT_SALT, usedforsecurity=False).digest())
        self._transport.write(
            b"HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: Upgrade\r\n"
            b"sec-websocket-accept: " + digest + b"\r\n\r\n"
        )
        self._accepted = self._answered = True
        self._timer = asyncio.get_running_loop().call_later(PING_SECONDS, self._ping)

    def _refuse(self, status: int, body: bytes, headers: list[tuple[bytes, bytes]]) -> None:
        if self._answered or self._lost:
            return
        self._answered = self._closing = True
        lines = [b"HTTP/1.1 %d Refused" % status, b"content-length: %d" % len(body), b"connection: close"]
        lines += [name + b": " + value for name, value in headers if name != b"content-length"]
        self._transport.write(b"\r\n".join(lines) + b"\r\n\r\n" + body)
        self._transport.close()

    async def _write(self, message: Any) -> None:
        text = message.get("text")
        if self._lost or self._closing:
            return
        if text is not None:
            self._transport.write(frame(Opcode.TEXT, text.encode()))
        else:
            self._transport.write(frame(Opcode.BINARY, message["bytes"]))
        if not self._writable.is_set():
            await self._wait_writable()

    async def _wait_writable(self) -> None:
        try:
            async with asyncio.timeout(WRITE_LIMIT_SECONDS):
                await self._writable.wait()
        except TimeoutError:
            log.warning("websocket_peer_reads_nothing", limit_seconds=WRITE_LIMIT_SECONDS)
            self._transport.abort()

    # Frames

    def _take(self, message: Message) -> None:
        if message.opcode is Opcode.TEXT:
            self._queue({"type": "websocket.receive", "text": _text(message.data)})
        elif message.opcode is Opcode.BINARY:
            self._queue({"type": "websocket.receive", "bytes": message.data})
        elif message.opcode is Opcode.PING and not self._closing:
            self._transport.write(frame(Opcode.PONG, message.data))
        elif message.opcode is Opcode.CLOSE:
            self._received.put_nowait({"type": "websocket.disconnect", "code": close_code(message.data)})
            if not self._closing:
                self._closing = True
                self._transport.write(frame(Opcode.CLOSE, message.data))
            self._transport.close()

    def _queue(self, event: dict[str, Any]) -> None:
        self._received.put_nowait(event)
        if self._received.qsize() >= UNREAD_MESSAGES and not self._paused:
            self._paused = True
            self._transport.pause_reading()

    def _close(self, code: int, reason: str) -> None:
        if self._closing or self._lost:
            return
        self._closing = True
        self._stop_timer()
        self._transport.write(close_frame(code, reason))
        self._received.put_nowait({"type": "websocket.disconnect", "code": code})
        self._timer = asyncio.get_running_loop().call_later(CLOSE_LIMIT_SECONDS, self._transport.abort)

    def _ping(self) -> None:
        if asyncio.get_running_loop().time() - self._heard_at > SILENCE_SECONDS and not self._paused:
            self._transport.abort()
            return
        self._transport.write(frame(Opcode.PING, b""))
        self._timer = asyncio.get_running_loop().call_later(PING_SECONDS, self._ping)

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


def _text(data: bytes) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError as problem:
        raise FrameRefused(1007, "A text message is not UTF-8") from problem
