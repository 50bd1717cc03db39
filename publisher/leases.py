"""Who executes a deployment. The fencing token decides; the rest only says when to try.

No wall clock is involved: a holder on this machine is dead when its process is, and any other holder is given
up when its beat stood still for the lease time on our own monotonic clock.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import structlog

from publisher.db import deployments
from publisher.db.control import Control
from publisher.db.deployments import Holder
from publisher.errors import ControlUnreachable, LeaseLost
from workstation.identity import ProcessIdentity, boot_id

log = structlog.get_logger("publisher.leases")


class Leases:
    """Takes, renews and gives back leases for this process."""

    def __init__(
        self,
        control: Control,
        lease_seconds: float,
        renew_seconds: float,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._control, self._lease_seconds, self._renew_seconds = control, lease_seconds, renew_seconds
        self._monotonic = monotonic
        self._seen: dict[int, tuple[Holder, float]] = {}
        me = ProcessIdentity.of(os.getpid())
        self._me = f"{_here()}:{os.getpid()}:{me.started_ticks if me else 0}"

    def take(self, deployment_id: int) -> int | None:
        """The fencing token, or None while somebody else holds the lease and lives."""
        with self._control.read() as tx:
            seen = deployments.holder(tx, deployment_id)
        if not self._free(deployment_id, seen):
            return None
        with self._control.write() as tx:
            return deployments.take_lease(tx, deployment_id, seen, self._me)

    def give_back(self, deployment_id: int, token: int) -> None:
        """Let others take it at once. Losing it meanwhile is no error."""
        try:
            with self._control.fenced(deployment_id, token) as tx:
                deployments.change(tx, deployment_id, lease_owner=None)
        except LeaseLost:
            return

    @contextmanager
    def renewing(self, deployment_id: int, token: int) -> Iterator[None]:
        """Keep the lease alive from a thread while the block runs."""
        ended = threading.Event()
        thread = threading.Thread(target=self._renew, args=(deployment_id, token, ended), daemon=True)
        thread.start()
        try:
            yield
        finally:
            ended.set()
            thread.join()

    def _renew(self, deployment_id: int, token: int, ended: threading.Event) -> None:
        while not ended.wait(self._renew_seconds):
            try:
                with self._control.fenced(deployment_id, token) as tx:
                    deployments.beat(tx, deployment_id)
            except LeaseLost:
                return  # the executor's next write says so
            except ControlUnreachable as problem:
                log.warning("lease_not_renewed", deployment_id=deployment_id, problem=str(problem))

    def _free(self, deployment_id: int, seen: Holder) -> bool:
        if seen.owner is None or _dead(seen.owner):
            return True
        last = self._seen.get(deployment_id)
        if last is None or last[0] != seen:
            self._seen[deployment_id] = (seen, self._monotonic())
            return False
        return self._monotonic() - last[1] >= self._lease_seconds


def _dead(owner: str) -> bool:
    """Whether the owner ran on this machine's present boot and has ended. Of other machines we cannot say."""
    where, pid, started_ticks = owner.rsplit(":", 2)
    return where == _here() and not ProcessIdentity(int(pid), int(started_ticks), boot_id()).alive


def _here() -> str:
    """Where our pids mean something.

    This boot and this pid namespace (containers of one machine share its boot).
    """
    return f"{boot_id()}/{Path('/proc/self/ns/pid').stat().st_ino}"
