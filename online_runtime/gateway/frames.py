"""Websocket frames (RFC 6455), server side, without extensions. Pure: bytes in, messages out."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum

CONTROL_LIMIT_BYTES = 125


class Opcode(IntEnum):
    CONTINUATION = 0
    TEXT = 1
    BINARY = 2
    CLOSE = 8
    PING = 9
    PONG = 10


CONTROL = frozenset({Opcode.CLOSE, Opcode.PING, Opcode.PONG})


class FrameRefused(Exception):
    """The peer broke the protocol or a limit; close with `code`."""

    def __init__(self, code: int, what: str) -> None:
        self.code = code
        super().__init__(f"{what} (websocket close code {code}).")


@dataclass(frozen=True)
class Message:
    """One whole message or control frame. `data` is UTF-8 for TEXT."""

    opcode: Opcode
    data: bytes


@dataclass(frozen=True)
class _Frame:
    final: bool
    opcode: Opcode
    data: bytes


def frame(opcode: Opcode, data: bytes) -> bytes:
    """One unmasked final frame, as a server sends it."""
    size = len(data)
    if size < 126:
        head = struct.pack("!BB", 0x80 | opcode, size)
    elif size < 65536:
        head = struct.pack("!BBH", 0x80 | opcode, 126, size)
    else:
        head = struct.pack("!BBQ", 0x80 | opcode, 127, size)
    return head + data


def close_frame(code: int, reason: str = "") -> bytes:
    return frame(Opcode.CLOSE, struct.pack("!H", code) + reason.encode()[: CONTROL_LIMIT_BYTES - 2])


def close_code(data: bytes) -> int:
    """The code of a close frame's payload; 1005 when it has none."""
    return int(struct.unpack("!H", data[:2])[0]) if len(data) >= 2 else 1005


class FrameReader:
    """Takes bytes as they come and gives whole messages. `limit_bytes` bounds a message over all its
    fragments.
    """

    def __init__(self, limit_bytes: int) -> None:
        self._limit_bytes = limit_bytes
        self._buffer = bytearray()
        self._parts: list[bytes] = []
        self._kind: Opcode | None = None

    def feed(self, data: bytes) -> Iterator[Message]:
        """Raises FrameRefused."""
        self._buffer += data
        while (found := self._next()) is not None:
            message = self._assemble(found)
            if message is not None:
                yield message

    def _next(self) -> _Frame | None:
        head = self._head()
        if head is None:
            return None
        final, opcode, start, size = head
        end = start + 4 + size
        if len(self._buffer) < end:
            return None
        key = bytes(self._buffer[start : start + 4])
        data = unmasked(bytes(self._buffer[start + 4 : end]), key)
        del self._buffer[:end]
        return _Frame(final, opcode, data)

    def _head(self) -> tuple[bool, Opcode, int, int] | None:
        """Final, opcode, where the mask begins, size of the payload; None while more bytes are needed."""
        buffer = self._buffer
        if len(buffer) < 2:
            return None
        opcode = _opcode(buffer[0], buffer[1])
        size, start = buffer[1] & 0x7F, 2
        if size >= 126:
            width = 2 if size == 126 else 8
            if len(buffer) < 2 + width:
                return None
            size, start = int.from_bytes(buffer[2 : 2 + width], "big"), 2 + width
        self._check(opcode, bool(buffer[0] & 0x80), size)
        return bool(buffer[0] & 0x80), opcode, start, size

    def _check(self, opcode: Opcode, final: bool, size: int) -> None:
        if opcode in CONTROL and (not final or size > CONTROL_LIMIT_BYTES):
            raise FrameRefused(1002, "A control frame is too long or in parts")
        if size + sum(len(part) for part in self._parts) > self._limit_bytes:
            raise FrameRefused(1009, f"A message is larger than {self._limit_bytes} bytes")

    def _assemble(self, found: _Frame) -> Message | None:
        if found.opcode in CONTROL:
            return Message(found.opcode, found.data)
        if (found.opcode is Opcode.CONTINUATION) == (self._kind is None):
            raise FrameRefused(1002, "The parts of a message do not follow each other")
        if self._kind is None:
            self._kind = found.opcode
        self._parts.append(found.data)
        if not found.final:
            return None
        message = Message(self._kind, b"".join(self._parts))
        self._kind, self._parts = None, []
        return message


def _opcode(first: int, second: int) -> Opcode:
    if first & 0x70:
        raise FrameRefused(1002, "A frame uses an extension that was not agreed on")
    if not second & 0x80:
        raise FrameRefused(1002, "A caller's frame is not masked")
    try:
        return Opcode(first & 0x0F)
    except ValueError as problem:
        raise FrameRefused(1002, "A frame has an unknown kind") from problem


def unmasked(data: bytes, key: bytes) -> bytes:
    """XOR with a repeated 4-byte key, as one large integer: fast without a compiled part."""
    if not data:
        return data
    keys = (key * (len(data) // 4 + 1))[: len(data)]
    return (int.from_bytes(data, "big") ^ int.from_bytes(keys, "big")).to_bytes(len(data), "big")
