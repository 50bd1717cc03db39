"""Asking the engine through its serving path, one question at a time."""

from __future__ import annotations

import http.client
import json
import threading
import time
from dataclasses import dataclass

LIMIT_SECONDS = 5.0  # an engine that answers later than this is busy or stuck
ANSWER_BYTES_LIMIT = 64 << 20  # a queue holds whole prompts; hundreds of large ones still fit


@dataclass(frozen=True)
class Answer:
    """What came back. `silent`: the engine took the connection and gave nothing in time."""

    running: int = 0
    pending: int = 0
    problem: str = ""
    silent: bool = False

    @property
    def ok(self) -> bool:
        return not self.problem


def ask_queue(port: int, limit_seconds: float = LIMIT_SECONDS) -> Answer:
    """GET /queue of the engine on that loopback port. Never raises: what went wrong is in the answer."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=limit_seconds)
    try:
        connection.request("GET", "/queue")
        reply = connection.getresponse()
        body = reply.read(ANSWER_BYTES_LIMIT)
    except TimeoutError:
        return _silence(limit_seconds)
    except (OSError, http.client.HTTPException) as error:
        return Answer(problem=f"GET /queue failed: {error or type(error).__name__}")
    finally:
        connection.close()
    if reply.status != 200:
        return Answer(problem=f"GET /queue answered {reply.status}")
    try:
        queue = json.loads(body)
        return Answer(len(queue["queue_running"]), len(queue["queue_pending"]))
    except (ValueError, KeyError, TypeError) as error:
        return Answer(problem=f"GET /queue gave something that is not a queue: {error!r}")


def _silence(limit_seconds: float) -> Answer:
    return Answer(problem=f"no answer to GET /queue within {limit_seconds:g} s", silent=True)


class Prober:
    """Asks one engine. However many ask at once, one question is under way, and all share its answer."""

    def __init__(self, port: int, limit_seconds: float = LIMIT_SECONDS) -> None:
        self._port, self._limit_seconds = port, limit_seconds
        self._lock = threading.Lock()
        self._flight: _Flight | None = None

    def ask(self, patience_seconds: float) -> Answer | None:
        """The answer to the question under way, or to a new one; None when the patience ends first."""
        with self._lock:
            if self._flight is None or self._flight.landed.is_set():
                self._flight = _Flight(self._port, self._limit_seconds)
            flight = self._flight
        if flight.landed.wait(patience_seconds):
            return flight.answer
        # The socket's own limit starts anew with every byte; an engine that trickles would never reach it.
        return _silence(self._limit_seconds) if flight.age_seconds > self._limit_seconds else None


class _Flight:
    def __init__(self, port: int, limit_seconds: float) -> None:
        self.landed = threading.Event()
        self._started = time.monotonic()
        self.answer: Answer | None = None
        threading.Thread(target=self._fly, args=(port, limit_seconds), daemon=True, name="probe").start()

    @property
    def age_seconds(self) -> float:
        return time.monotonic() - self._started

    def _fly(self, port: int, limit_seconds: float) -> None:
        try:
            self.answer = ask_queue(port, limit_seconds)
        finally:
            self.answer = self.answer or Answer(problem="the probe itself failed; see the agent's log")
            self.landed.set()
