"""What the gateway costs: time added to a call, and calls a second, against the same engine asked directly.

    python tests/benchmarks/bench_gateway.py [--seconds 3] [--connections 32] [--json]

Engine, gateway and load run as three processes on this machine; the load generator is part of every figure.
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import json
import multiprocessing
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from types import MappingProxyType

import psutil
import uvloop

from online_runtime.gateway.routing import RouteInstance, RouteToken, RoutingTable, ServiceRoute

TOKEN = "bench"
GET_TARGET_RPS = 3000
ADDED_P50_TARGET_MS = 1.0
PROMPT = json.dumps({"prompt": {"1": {"class_type": "Gate", "inputs": {"text": "x" * 1000}}}}).encode()
Request = Callable[[str], bytes]


@dataclass(frozen=True)
class Figure:
    """One line of the table. Times in milliseconds."""

    call: str
    by: str
    connections: int
    p50_ms: float
    p99_ms: float
    calls_per_second: float
    gateway_cpu_us: float  # of all its threads, a call: what a busy machine does not distort


class BenchEngine(asyncio.Protocol):
    """Answers as fast as Python can: takes prompts and never finishes them."""

    received = 0
    buffer = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        while True:
            head, found, rest = self.buffer.partition(b"\r\n\r\n")
            if not found:
                return
            size = _length(head)
            if len(rest) < size:
                return
            self.buffer = rest[size:]
            self.transport.write(self._answer(head, rest[:size]))  # type: ignore[attr-defined]

    def _answer(self, head: bytes, body: bytes) -> bytes:
        if head.startswith(b"POST /prompt"):
            BenchEngine.received += 1
            found = json.loads(body)
            return _ok({"prompt_id": found.get("prompt_id", "x"), "number": 1, "node_errors": {}})
        if head.startswith(b"GET /prompt"):
            return _ok({"exec_info": {"queue_remaining": BenchEngine.received}})
        return _ok({})


def _length(head: bytes) -> int:
    for line in head.split(b"\r\n"):
        if line[:15].lower() == b"content-length:":
            return int(line[15:])
    return 0


def _ok(document: object) -> bytes:
    body = json.dumps(document).encode()
    return b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s" % (
        len(body),
        body,
    )


def serve_engine(port_of: multiprocessing.connection.Connection) -> None:
    async def serve() -> None:
        server = await asyncio.get_running_loop().create_server(BenchEngine, "127.0.0.1", 0)
        port_of.send(server.sockets[0].getsockname()[1])
        await server.serve_forever()

    uvloop.run(serve())


class Caller(asyncio.Protocol):
    """One keep-alive connection that sends the next call when the last one is answered."""

    def __init__(self, request: bytes, until: float) -> None:
        self.request, self.until = request, until
        self.times: list[float] = []
        self.done = asyncio.get_running_loop().create_future()
        self.buffer = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport
        self._next()

    def _next(self) -> None:
        self.began = time.perf_counter()
        self.transport.write(self.request)  # type: ignore[attr-defined]

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        head, found, rest = self.buffer.partition(b"\r\n\r\n")
        if not found:
            return
        if b"chunked" in head.lower():
            if not rest.endswith(b"0\r\n\r\n"):
                return
        elif len(rest) < _length(head):
            return
        if not head.startswith(b"HTTP/1.1 200"):
            self.done.set_exception(RuntimeError(self.buffer.decode()))
            self.transport.close()
            return
        self.buffer = b""
        now = time.perf_counter()
        self.times.append(now - self.began)
        if now < self.until:
            self._next()
        else:
            self.transport.close()
            self.done.set_result(None)

    def connection_lost(self, problem: Exception | None) -> None:
        if not self.done.done():
            self.done.set_exception(problem or ConnectionError("closed"))


def cpu_seconds(pid: int) -> float:
    times = psutil.Process(pid).cpu_times()
    return float(times.user + times.system)


async def measure(
    call: str, by: str, port: int, request: bytes, connections: int, seconds: float, pid: int
) -> Figure:
    loop, cpu_before = asyncio.get_running_loop(), cpu_seconds(pid)
    began = time.perf_counter()
    made = [
        loop.create_connection(lambda: Caller(request, began + seconds), "127.0.0.1", port)
        for _ in range(connections)
    ]
    callers = [caller for _, caller in await asyncio.gather(*made)]
    await asyncio.gather(*(caller.done for caller in callers))
    elapsed = time.perf_counter() - began
    times = sorted(one for caller in callers for one in caller.times)
    p99 = times[int(len(times) * 0.99)] * 1000
    cpu_us = (cpu_seconds(pid) - cpu_before) / len(times) * 1e6
    return Figure(call, by, connections, statistics.median(times) * 1000, p99, len(times) / elapsed, cpu_us)


def request_of(path: str, body: bytes | None) -> bytes:
    method = "GET" if body is None else "POST"
    head = f"{method} {path} HTTP/1.1\r\nHost: bench\r\nAuthorization: {TOKEN}\r\n"
    if body is None:
        return head.encode() + b"\r\n"
    return head.encode() + b"Content-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(body) + body


@contextmanager
def running(home: Path) -> Iterator[tuple[int, int, int]]:
    """Engine and gateway: their ports, and the gateway's pid."""
    here, there = multiprocessing.Pipe()
    engine = multiprocessing.get_context("spawn").Process(target=serve_engine, args=(there,), daemon=True)
    engine.start()
    engine_port = here.recv()
    table_of(home, engine_port)
    command = [sys.executable, "-m", "online_runtime.gateway", "--home", str(home), "--port", "0"]
    gateway = subprocess.Popen(command, stderr=(home / "log").open("wb"))
    place = home / "run" / "gateways" / f"{gateway.pid}.json"
    try:
        deadline = time.monotonic() + 20
        while not place.exists():
            if time.monotonic() > deadline or gateway.poll() is not None:
                raise RuntimeError((home / "log").read_text())
            time.sleep(0.01)
        yield engine_port, int(json.loads(place.read_text())["url"].rsplit(":", 1)[1]), gateway.pid
    finally:
        gateway.send_signal(signal.SIGTERM)
        gateway.wait(20)
        engine.terminate()
        engine.join(5)


def table_of(home: Path, port: int) -> None:
    token = RouteToken("t", hashlib.sha256(TOKEN.encode()).hexdigest())
    route = ServiceRoute("bench", (RouteInstance("a", f"http://127.0.0.1:{port}", "s", 1),), (token,))
    (home / "run").mkdir(parents=True)
    (home / "run" / "routing.json").write_text(RoutingTable(1, MappingProxyType({"bench": route})).to_json())


async def all_figures(engine: int, gateway: int, pid: int, seconds: float, connections: int) -> list[Figure]:
    figures = []
    for call, path, body in (("GET small", "/features", None), ("POST /prompt", "/prompt", PROMPT)):
        for number in (1, connections):
            direct, through = request_of(path, body), request_of("/api/predict/bench" + path, body)
            figures.append(await measure(call, "direct", engine, direct, number, seconds, pid))
            figures.append(await measure(call, "gateway", gateway, through, number, seconds, pid))
    return figures


def print_table(figures: list[Figure], rss_mib: float) -> None:
    heads = (("call", -14), ("by", -10), ("conn", 5), ("p50 ms", 10), ("p99 ms", 10), ("calls/s", 10))
    print("".join(f"{name:{'<' if width < 0 else '>'}{abs(width)}}" for name, width in heads), end="")
    print(f"{'ratio':>8}{'cpu us':>9}")
    for direct, through in zip(figures[::2], figures[1::2], strict=True):
        for one in (direct, through):
            ratio = one.calls_per_second / direct.calls_per_second
            print(
                f"{one.call:<14}{one.by:<10}{one.connections:>5}{one.p50_ms:>10.3f}{one.p99_ms:>10.2f}"
                f"{one.calls_per_second:>10.0f}"
                f"{ratio:>8.2f}{one.gateway_cpu_us:>9.0f}"
            )
    for direct, through in zip(figures[::4], figures[1::4], strict=True):
        added = through.p50_ms - direct.p50_ms
        print(f"{direct.call}: adds {added:.3f} ms at p50 (target < {ADDED_P50_TARGET_MS})")
    many = figures[3].calls_per_second
    print(f"GET small: {many:.0f} calls/s (target {GET_TARGET_RPS}); RSS {rss_mib:.0f} MiB")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=3.0, help="of each of the eight measurements")
    parser.add_argument("--connections", type=int, default=32)
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, running(Path(folder) / "home") as (engine, gateway, pid):
        figures = uvloop.run(all_figures(engine, gateway, pid, given.seconds, given.connections))
        pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    if given.json:
        print(json.dumps([asdict(figure) for figure in figures]))
    else:
        print_table(figures, pages * os.sysconf("SC_PAGE_SIZE") / 2**20)
    return 0


if __name__ == "__main__":
    sys.exit(main())
