"""Sending an archived file: ETag, Last-Modified, ranges, and nothing that a browser would run."""

from __future__ import annotations

import asyncio
import mimetypes
import os
import re
from dataclasses import dataclass
from email.utils import formatdate
from pathlib import Path
from typing import BinaryIO
from urllib.parse import quote

from online_runtime.gateway.exchange import Exchange
from online_runtime.gateway.problems import Headers

CHUNK_BYTES = 256 * 1024
RANGE = re.compile(r"bytes=(\d*)-(\d*)")
# A browser would run these with the rights of this origin.
ACTIVE = frozenset({"text/html", "text/javascript", "application/javascript", "text/css", "image/svg+xml"})
ACTIVE_SUFFIXES = (".xml", ".xhtml", ".js", ".mjs", ".css", ".svg", ".html", ".htm")


@dataclass(frozen=True)
class Span:
    """Bytes `start` up to and without `end`."""

    start: int
    end: int


async def send_file(exchange: Exchange, path: Path) -> None:
    """Answer a GET or HEAD with the file, a part of it (206), or 304, 416 as its headers ask."""
    stream = await asyncio.to_thread(path.open, "rb")
    try:
        await _send(exchange, path, stream)
    finally:
        await asyncio.to_thread(stream.close)


async def _send(exchange: Exchange, path: Path, stream: BinaryIO) -> None:
    facts = os.fstat(stream.fileno())
    etag = f'"{facts.st_mtime_ns:x}-{facts.st_size:x}"'
    headers = _headers(path, etag, facts.st_mtime)
    if _matches(exchange.header(b"if-none-match"), etag):
        await exchange.start(304, headers)
        await exchange.send(b"", more=False)
        return
    whole = Span(0, facts.st_size)
    asked = exchange.header(b"range")
    if exchange.header(b"if-range") not in (None, etag):
        asked = None
    span = span_of(asked, facts.st_size)
    if span is None:
        refusal: Headers = [(b"content-range", f"bytes */{facts.st_size}".encode())]
        await exchange.answer(416, b"", "text/plain", refusal)
        return
    if span != whole:
        headers.append((b"content-range", f"bytes {span.start}-{span.end - 1}/{facts.st_size}".encode()))
    headers.append((b"content-length", str(span.end - span.start).encode()))
    await exchange.start(200 if span == whole else 206, headers)
    await _copy(exchange, stream, span)


async def _copy(exchange: Exchange, stream: BinaryIO, span: Span) -> None:
    left = 0 if exchange.method == "HEAD" else span.end - span.start
    stream.seek(span.start)
    while left > 0:
        chunk = await asyncio.to_thread(stream.read, min(left, CHUNK_BYTES))
        if not chunk:
            return  # the file was cut short: the caller sees fewer bytes than announced
        left -= len(chunk)
        await exchange.send(chunk, more=True)
    await exchange.send(b"", more=False)


def span_of(asked: str | None, size_bytes: int) -> Span | None:
    """The span that a Range header asks for; the whole file for none, or several ranges; None: cannot
    be satisfied.
    """
    found = RANGE.fullmatch(asked.replace(" ", "")) if asked else None
    if found is None or found.group(0) == "bytes=-":
        return Span(0, size_bytes)
    first, last = found.groups()
    if not first:
        length = min(int(last), size_bytes)
        return Span(size_bytes - length, size_bytes) if length else None
    end = min(int(last) + 1, size_bytes) if last else size_bytes
    return Span(int(first), end) if int(first) < end else None


def _headers(path: Path, etag: str, modified_at: float) -> Headers:
    kind = mimetypes.guess_type(path.name)[0] or "application/octet-stream"
    active = kind in ACTIVE or path.suffix.lower() in ACTIVE_SUFFIXES
    place = "attachment" if active else "inline"
    return [
        (b"content-type", b"application/octet-stream" if active else kind.encode()),
        (b"content-disposition", f"{place}; filename*=UTF-8''{quote(path.name, safe='')}".encode()),
        (b"x-content-type-options", b"nosniff"),
        (b"accept-ranges", b"bytes"),
        (b"etag", etag.encode()),
        (b"last-modified", formatdate(modified_at, usegmt=True).encode()),
    ]


def _matches(header: str | None, etag: str) -> bool:
    return header is not None and (header.strip() == "*" or etag in header.replace("W/", "").split(", "))
