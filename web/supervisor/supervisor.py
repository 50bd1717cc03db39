"""The runbook of `stillframe up`.

Claim the home, start the three parts together, say where they are, keep them, end them.
"""

from __future__ import annotations

import errno
import json
import os
import select
import signal
import socket
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from web.errors import PartDidNotStart, PortTaken
from web.supervisor.child import Child, wait_for
from web.supervisor.identity import Identity, identity_of
from web.supervisor.record import UpRecord, claim, last_record, record_path, write_record

START_LIMIT_SECONDS = 120.0  # slowest seen on an overloaded 2-core machine 15 s; eight times that
END_LIMIT_SECONDS = 20.0  # the gateway lets running downloads finish; what lasts longer is resumable


@dataclass(frozen=True)
class Addresses:
    """Where to listen. A port of 0 means any free one."""

    listen: str = "127.0.0.1"
    port: int = 8080
    gateway_port: int = 8081


@dataclass(frozen=True)
class Serving:
    """What `up` tells once it serves. `admin_password` is there at the first start of a home only."""

    url: str
    gateway_url: str
    admin_password: str | None
    seconds: float


class Supervisor:
    """Keeps one home's web door, gateway and worker. `run()` returns after they were ended."""

    def __init__(
        self, home: Path, addresses: Addresses, *, settings: Path | None = None, stop_instances: bool = False
    ) -> None:
        self.home, self.run_folder, self.stop_instances = home, home / "run", stop_instances
        self.listen = addresses.listen
        self._began = time.monotonic()
        self._since = datetime.now(UTC).isoformat(timespec="seconds")
        self._lock = claim(home, self.run_folder)
        self._before = last_record(self.run_folder)
        self.port = addresses.port or free_port(self.listen)
        self.gateway_port = addresses.gateway_port or free_port(self.listen)
        self._announcement = b""
        self._signals = _SignalPipe()
        self.web = self._child("web", "web.server", "--listen", self.listen, "--port", str(self.port))
        given = () if settings is None else ("--settings", str(settings))
        gateway = ("--listen", self.listen, "--port", str(self.gateway_port), *given)
        self.gateway = self._child("gateway", "online_runtime.gateway", *gateway, outlives=True)
        self.worker = self._child("worker", "publisher.worker", *given)
        self.children = (self.web, self.gateway, self.worker)

    def run(self, on_serving: Callable[[Serving], None]) -> None:
        """Start, report, keep, end. Raises PartDidNotStart after ending what had started."""
        try:
            self._end_leftovers()
            self._check_ports()
            on_serving(self._start())
            self._keep()
        finally:
            self._end()

    @property
    def url(self) -> str:
        return _url(self.listen, self.port)

    @property
    def gateway_url(self) -> str:
        return _url(self.listen, self.gateway_port)

    def _child(self, name: str, module: str, *arguments: str, outlives: bool = False) -> Child:
        logs = self.run_folder / "logs"
        logs.mkdir(mode=0o700, exist_ok=True)
        return Child(
            name, (module, "--home", str(self.home), *arguments), logs / f"{name}.log", outlives=outlives
        )

    def _start(self) -> Serving:
        reader, writer = os.pipe()
        self.web.start("--announce-fd", str(writer), pass_fds=(writer,))
        os.close(writer)
        if self.gateway.identity is None:
            self.gateway.start()
        self._record()
        deadline = time.monotonic() + START_LIMIT_SECONDS
        self._await(self.gateway, lambda: _accepts(self.listen, self.gateway_port), deadline)
        self.worker.start()  # third, so that on two cores it does not slow down the two that callers wait for
        self._record()
        self._await(self.web, lambda: self._announced(reader), deadline)
        os.close(reader)
        said = json.loads(self._announcement)
        return Serving(self.url, self.gateway_url, said.get("admin_password"), time.monotonic() - self._began)

    def _await(self, child: Child, ready: Callable[[], bool], deadline: float) -> None:
        if not wait_for(lambda: ready() or not child.alive or self._signals.stop_asked(0.0), deadline):
            raise PartDidNotStart(
                child.name, f"it was not ready within {START_LIMIT_SECONDS:.0f} s", child.log, child.tail()
            )
        if self._signals.stop_asked(0.0):
            raise KeyboardInterrupt
        if not child.alive:
            raise PartDidNotStart(child.name, child.ending, child.log, child.tail())

    def _announced(self, reader: int) -> bool:
        if select.select([reader], [], [], 0.0)[0]:
            self._announcement += os.read(reader, 65_536)
        return self._announcement.endswith(b"\n")

    def _record(self) -> None:
        me = identity_of(os.getpid())
        children = {child.name: child.identity for child in self.children if child.identity is not None}
        if me is not None:
            write_record(self.run_folder, UpRecord(me, self._since, self.url, self.gateway_url, children))

    def _keep(self) -> None:
        while not self._signals.stop_asked(0.5):
            restarted = [child.keep(time.monotonic()) for child in self.children]
            if any(restarted):
                self._record()

    def _check_ports(self) -> None:
        wanted = [(self.port, "--port")]
        if self.gateway.identity is None:
            wanted.append((self.gateway_port, "--gateway-port"))
        for port, option in wanted:
            try:
                socket.create_server((self.listen, port), family=_family(self.listen)).close()
            except OSError as problem:
                if problem.errno != errno.EADDRINUSE:
                    raise
                raise PortTaken(self.listen, port, option) from problem

    def _end_leftovers(self) -> None:
        """After a killed supervisor.

        Its web door and worker end, its gateway is kept when it listens where ours should.
        """
        if self._before is None:
            return
        left = {name: identity for name, identity in self._before.children.items() if identity.alive}
        gateway = left.get("gateway")
        if gateway is not None and self._before.gateway_url == self.gateway_url:
            self.gateway.adopt(left.pop("gateway"))
        for identity in left.values():
            _end(identity)

    def _end(self) -> None:
        for child in (self.worker, self.web):
            child.ask_to_end()
        deadline = time.monotonic() + END_LIMIT_SECONDS
        for child in (self.worker, self.web):
            child.end(deadline)
        if self.stop_instances:
            stop_all_instances(self.run_folder / "instances")
        self.gateway.ask_to_end()
        self.gateway.end(deadline)
        record_path(self.run_folder).unlink(missing_ok=True)
        self._lock.close()


def stop_all_instances(instances: Path) -> Sequence[str]:
    """Stop every instance of the home. What serves comes back at the next `up`, which wants it still."""
    from publisher.drivers.process import ProcessDriver

    driver = ProcessDriver(instances)
    stopped = driver.list()
    for instance_id in stopped:
        driver.stop(instance_id)
    return stopped


def free_port(listen: str) -> int:
    """A port that is free now."""
    with socket.create_server((listen, 0), family=_family(listen)) as server:
        return int(server.getsockname()[1])


class _SignalPipe:
    """SIGTERM, SIGINT and the death of a child wake the one loop; no work is done in a handler."""

    def __init__(self) -> None:
        self._reader, writer = os.pipe()
        os.set_blocking(self._reader, False)
        os.set_blocking(writer, False)
        self._asked = False
        signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGCHLD):
            signal.signal(number, lambda *_: None)

    def stop_asked(self, wait_seconds: float) -> bool:
        if select.select([self._reader], [], [], wait_seconds)[0]:
            arrived = set(os.read(self._reader, 4096))
            self._asked = self._asked or bool(arrived & {signal.SIGTERM, signal.SIGINT, signal.SIGHUP})
        return self._asked


def _end(identity: Identity) -> None:
    identity.signal(signal.SIGTERM)
    if not wait_for(lambda: not identity.alive, time.monotonic() + END_LIMIT_SECONDS):
        sys.stderr.write(
            f"stillframe: process {identity.pid} of an earlier `up` does not end and is killed\n"
        )
        identity.signal(signal.SIGKILL)


def _accepts(listen: str, port: int) -> bool:
    try:
        with socket.create_connection((_reachable(listen), port), timeout=1.0):
            return True
    except OSError:
        return False


def _reachable(listen: str) -> str:
    return {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(listen, listen)


def _family(listen: str) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in listen else socket.AF_INET


def _url(listen: str, port: int) -> str:
    host = _reachable(listen)
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
