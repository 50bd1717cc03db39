"""What the gateway adds to a call at a steady rate, beside nginx and HAProxy, in one run on one machine; and
how fast a new routing table is seen by several gateways.

    python tests/benchmarks/bench_gateway_peers.py [--rate 500] [--seconds 8] [--switches 40] [--json]

All stand before the same engine. The peers only pass calls on: no tokens, no jobs, no table that changes.
They run with one worker and keep-alive on both sides; one that is not installed is left out, and said so.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

import uvloop

sys.path.insert(0, str(Path(__file__).parents[2]))
from tests.benchmarks.bench_gateway import cpu_seconds, request_of, running  # started as a file

TARGET_P50_MS, TARGET_P99_MS, TARGET_SWITCH_MS = 1.0, 10.0, 50.0
START_SECONDS = 20.0

NGINX = """
worker_processes 1; daemon off; pid {folder}/nginx.pid; error_log {folder}/error.log;
events {{ worker_connections 1024; }}
http {{
  access_log off; client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/f; uwsgi_temp_path {folder}/u; scgi_temp_path {folder}/s;
  upstream engine {{ server 127.0.0.1:{engine}; keepalive 64; }}
  server {{
    listen 127.0.0.1:{port};
    location / {{ proxy_pass http://engine; proxy_http_version 1.1; proxy_set_header Connection ""; }}
  }}
}}
"""
HAPROXY = """
global
  nbthread 1
defaults
  mode http
  timeout connect 5s
  timeout client 60s
  timeout server 60s
  http-reuse always
frontend door
  bind 127.0.0.1:{port}
  default_backend engine
backend engine
  server one 127.0.0.1:{engine}
"""


@dataclass(frozen=True)
class Figure:
    """One proxy at the steady rate; `added` against the engine asked directly in the same run."""

    by: str
    calls: int
    rate: float
    p50_ms: float
    p99_ms: float
    added_p50_ms: float
    added_p99_ms: float
    cpu_us: float  # of its process, a call


class Steady(asyncio.Protocol):
    """One keep-alive connection on which calls are sent at given moments."""

    def __init__(self, request: bytes) -> None:
        self.request, self.times = request, list[float]()
        self.answered = asyncio.Event()
        self.buffer = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        head, found, rest = self.buffer.partition(b"\r\n\r\n")
        if not found or (b"chunked" in head.lower() and not rest.endswith(b"0\r\n\r\n")):
            return
        if b"chunked" not in head.lower() and len(rest) < _length(head):
            return
        assert head.startswith(b"HTTP/1.1 200"), self.buffer
        self.buffer = b""
        self.times.append(time.perf_counter() - self.began)
        self.answered.set()

    async def call_at(self, moment: float) -> None:
        """Send at that moment of the loop's clock; waiting for a late answer before it counts as its time."""
        await asyncio.sleep(max(0.0, moment - asyncio.get_running_loop().time()))
        late = asyncio.get_running_loop().time() - moment
        self.answered.clear()
        self.began = time.perf_counter() - late
        self.transport.write(self.request)  # type: ignore[attr-defined]
        await asyncio.wait_for(self.answered.wait(), 30)


def _length(head: bytes) -> int:
    return next(
        (int(line[15:]) for line in head.split(b"\r\n") if line[:15].lower() == b"content-length:"), 0
    )


async def steady(
    port: int, request: bytes, rate: float, seconds: float, connections: int = 32
) -> list[float]:
    """Seconds that each call took, at so many calls a second spread over the connections."""
    loop = asyncio.get_running_loop()
    made = [loop.create_connection(lambda: Steady(request), "127.0.0.1", port) for _ in range(connections)]
    callers = [caller for _, caller in await asyncio.gather(*made)]
    begin, gap = loop.time() + 0.1, connections / rate

    async def calls(number: int, caller: Steady) -> None:
        moment = begin + number * gap / connections
        while moment < begin + seconds:
            await caller.call_at(moment)
            moment += gap
        caller.transport.close()

    await asyncio.gather(*(calls(number, caller) for number, caller in enumerate(callers)))
    return sorted(one for caller in callers for one in caller.times)


@contextmanager
def peer(name: str, text: str, command: list[str], engine: int, folder: Path) -> Iterator[tuple[int, int]]:
    """A proxy before the engine: its port and the pid that does the work."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    folder.mkdir()
    config = folder / f"{name}.conf"
    config.write_text(text.format(folder=folder, engine=engine, port=port))
    process = subprocess.Popen([*command, str(config)], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    try:
        deadline = time.monotonic() + START_SECONDS
        while True:
            try:
                socket.create_connection(("127.0.0.1", port), 1).close()
                break
            except OSError:
                if process.poll() is not None or time.monotonic() > deadline:
                    raise RuntimeError((process.communicate()[1] or b"").decode()) from None
                time.sleep(0.02)
        workers = subprocess.run(
            ["pgrep", "-P", str(process.pid)], capture_output=True, text=True, check=False
        )
        yield port, int((workers.stdout.split() or [process.pid])[0])
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(20)


def figures(rate: float, seconds: float, folder: Path) -> tuple[list[Figure], list[str]]:
    """All proxies, one after the other, and who is missing."""
    found: list[Figure] = []
    missing = [name for name in ("nginx", "haproxy") if shutil.which(name) is None]
    with running(folder / "home") as (engine, gateway, pid), ExitStack() as stack:
        ports = {"direct": (engine, 0, "/features"), "gateway": (gateway, pid, "/api/predict/bench/features")}
        commands = {
            "nginx": (NGINX, ["nginx", "-p", str(folder), "-c"]),
            "haproxy": (HAPROXY, ["haproxy", "-f"]),
        }
        for name, (text, command) in commands.items():
            if name not in missing:
                port, worker = stack.enter_context(peer(name, text, command, engine, folder / name))
                ports[name] = (port, worker, "/features")
        for name, (port, process, path) in ports.items():
            uvloop.run(steady(port, request_of(path, None), rate, 0.5))  # warm
            before = cpu_seconds(process) if process else 0.0
            times = uvloop.run(steady(port, request_of(path, None), rate, seconds))
            cpu = (cpu_seconds(process) - before) / len(times) * 1e6 if process else 0.0
            p50, p99 = statistics.median(times) * 1000, times[int(len(times) * 0.99)] * 1000
            direct = found[0] if found else None
            added = (p50 - direct.p50_ms, p99 - direct.p99_ms) if direct else (0.0, 0.0)
            found.append(Figure(name, len(times), len(times) / seconds, p50, p99, *added, cpu))
    return found, missing


def switches(count: int, folder: Path) -> list[float]:
    """Milliseconds from the rename of a new table until two gateways have shown it, each."""
    with running(folder / "switches") as (engine, first, _):
        home = folder / "switches"
        command = [sys.executable, "-m", "online_runtime.gateway", "--home", str(home), "--port", "0"]
        other = subprocess.Popen(command, stderr=subprocess.DEVNULL)
        try:
            place = home / "run" / "gateways" / f"{other.pid}.json"
            deadline = time.monotonic() + START_SECONDS
            while not place.exists():
                assert time.monotonic() < deadline
                time.sleep(0.02)
            urls = [f"http://127.0.0.1:{first}", json.loads(place.read_text())["url"]]
            return [_switch(home, engine, urls, version) for version in range(2, 2 + count)]
        finally:
            other.send_signal(signal.SIGTERM)
            other.wait(20)


def _switch(home: Path, engine: int, urls: list[str], version: int) -> float:
    table = home / "run" / "routing.json"
    partial = home / "run" / ".partial"
    partial.write_text(table.read_text().replace(f'"version": {version - 1}', f'"version": {version}'))
    began = time.perf_counter()
    partial.replace(table)
    for url in urls:
        while json.load(urllib.request.urlopen(f"{url}/healthz", timeout=5))["version"] < version:
            if time.perf_counter() - began > START_SECONDS:
                raise RuntimeError(f"{url} never showed version {version}")
    return (time.perf_counter() - began) * 1000


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rate", type=float, default=500.0, help="calls a second")
    parser.add_argument("--seconds", type=float, default=8.0, help="of each proxy")
    parser.add_argument("--switches", type=int, default=40)
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        found, missing = figures(given.rate, given.seconds, Path(folder))
        seen = sorted(switches(given.switches, Path(folder)))
    if given.json:
        print(json.dumps({"figures": [asdict(one) for one in found], "switch_ms": seen, "missing": missing}))
        return 0
    print(f"{'by':<10}{'calls/s':>9}{'p50 ms':>9}{'p99 ms':>9}{'+p50':>9}{'+p99':>9}{'cpu us':>9}")
    for one in found:
        print(
            f"{one.by:<10}{one.rate:>9.0f}{one.p50_ms:>9.3f}{one.p99_ms:>9.2f}{one.added_p50_ms:>9.3f}"
            f"{one.added_p99_ms:>9.2f}{one.cpu_us:>9.0f}"
        )
    for name in missing:
        print(f"{name}: not installed, not measured")
    print(f"targets of the gateway: adds < {TARGET_P50_MS:g} ms at p50, < {TARGET_P99_MS:g} ms at p99")
    print(
        f"a new table at two gateways: p50 {statistics.median(seen):.1f} ms, slowest {seen[-1]:.1f} ms of "
        f"{len(seen)} (target {TARGET_SWITCH_MS:g} ms)"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
