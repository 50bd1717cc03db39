"""The periodic look that makes Celery optional: unfinished deployments and the fleet, every second."""

from __future__ import annotations

import threading
from concurrent.futures import Future, ThreadPoolExecutor

import structlog

from publisher.db import deployments
from publisher.db.control import Control
from publisher.errors import ControlUnreachable
from publisher.fleet import Fleet
from publisher.ticking import Ticker

log = structlog.get_logger("publisher.sweep")

TICKING_THREADS = 4  # a freeze holds one for minutes; other services go on in the others
SHORTEST_PAUSE_SECONDS = 0.05


class Sweep:
    """A thread that looks every `tick_seconds`, sooner when a deployment says that it is worth it."""

    def __init__(self, control: Control, ticker: Ticker, fleet: Fleet, tick_seconds: float) -> None:
        self._control, self._ticker, self._fleet, self._tick_seconds = control, ticker, fleet, tick_seconds
        self._pool = ThreadPoolExecutor(TICKING_THREADS, thread_name_prefix="tick")
        self._ticking: dict[int, Future[float | None]] = {}
        self._lock = threading.Lock()
        self._wake, self._ended = threading.Event(), threading.Event()
        self._soonest: float | None = None
        self._thread = threading.Thread(target=self._run, name="sweep", daemon=True)

    def start(self) -> None:
        """Begin to look."""
        self._thread.start()

    def stop(self, limit_seconds: float) -> None:
        """Begin nothing more; wait for running steps, at most `limit_seconds`.

        What is cut off is resumed later.
        """
        self._ended.set()
        self._wake.set()
        self._ticker.stop()
        self._thread.join(limit_seconds)
        self._fleet.close()
        self._pool.shutdown(wait=False, cancel_futures=True)

    def tick(self, deployment_id: int) -> None:
        """Look at this deployment now, unless it is being looked at. Returns at once."""
        with self._lock:
            running = self._ticking.get(deployment_id)
            if self._ended.is_set() or (running is not None and not running.done()):
                return
            future = self._pool.submit(self._ticker.tick, deployment_id)
            self._ticking[deployment_id] = future
        future.add_done_callback(lambda done: self._ticked(deployment_id, done))

    def _run(self) -> None:
        while not self._ended.is_set():
            self._wake.clear()
            try:
                self.look()
            except ControlUnreachable as problem:
                log.warning("database_unreachable", problem=str(problem))
            except Exception:  # the loop is what repairs everything else: it must not end
                log.exception("sweep_stumbled")
            self._wake.wait(self._pause())

    def look(self) -> None:
        """One round."""
        with self._control.read() as tx:
            unfinished = deployments.unfinished(tx)
        for deployment_id in unfinished:
            self.tick(deployment_id)
        self._fleet.look()

    def _pause(self) -> float:
        soonest, self._soonest = self._soonest, None
        return max(SHORTEST_PAUSE_SECONDS, min(self._tick_seconds, soonest or self._tick_seconds))

    def _ticked(self, deployment_id: int, done: Future[float | None]) -> None:
        with self._lock:
            if self._ticking.get(deployment_id) is done:
                del self._ticking[deployment_id]
        if done.cancelled():
            return
        problem = done.exception()
        if problem is not None:
            log.error("tick_stumbled", deployment_id=deployment_id, exc_info=problem)
        elif (seconds := done.result()) is not None and seconds < self._tick_seconds:
            self._soonest = seconds
            self._wake.set()
