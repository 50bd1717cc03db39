"""One thread that writes to the jobs database, so that no event loop ever waits for a disk.

Changes that arrive while a transaction runs share the next one (group commit): many prompts cost one commit.
"""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any, TypeVar

from sqlalchemy import Connection
from sqlalchemy.exc import SQLAlchemyError

from online_runtime.jobs.database import JobsDatabase
from online_runtime.jobs.errors import JobsDatabaseClosed, JobsError

BATCH = 256  # one transaction stays short enough for other gateways to get their turn
PATIENCE_SECONDS = 0.05  # how long a change that nobody waits for may wait for one that somebody waits for

Result = TypeVar("Result")


@dataclass(frozen=True)
class _Change:
    perform: Callable[[Connection], Any]
    outcome: Future[Any]
    patient: bool


class JobsWriter:
    """Performs changes in the order in which they were submitted. An error of one change never undoes
    another.
    """

    def __init__(self, database: JobsDatabase) -> None:
        self._database = database
        self._changes: queue.SimpleQueue[_Change | None] = queue.SimpleQueue()
        self._closed = False
        self._lock = threading.Lock()
        self._thread = threading.Thread(target=self._run, name="jobs-writer", daemon=True)
        self._thread.start()

    def submit(self, perform: Callable[[Connection], Result], *, patient: bool = False) -> Future[Result]:
        """Queue one change; the future ends after its commit. `perform` may run twice, so it must only touch
        the connection.
        """
        change = _Change(perform, Future(), patient)
        with self._lock:
            if self._closed:
                raise JobsDatabaseClosed
            self._changes.put(change)
        return change.outcome

    def close(self) -> None:
        """Commit everything submitted so far, then end the thread."""
        with self._lock:
            self._closed = True
            self._changes.put(None)
        self._thread.join()

    def _run(self) -> None:
        ended = False
        while not ended:
            batch, ended = self._gather()
            if batch:
                self._commit(batch)

    def _gather(self) -> tuple[list[_Change], bool]:
        """The next batch, and whether it is the last. Waits for a change; a patient one waits a little
        for company.
        """
        batch: list[_Change] = []
        deadline = 0.0
        while len(batch) < BATCH:
            try:
                change = self._next(batch, deadline)
            except queue.Empty:
                break
            if change is None:
                return batch, True
            if not batch:
                deadline = time.monotonic() + PATIENCE_SECONDS
            batch.append(change)
        return batch, False

    def _next(self, batch: list[_Change], deadline: float) -> _Change | None:
        if not batch:
            return self._changes.get()
        if batch[-1].patient and all(change.patient for change in batch):
            return self._changes.get(timeout=max(deadline - time.monotonic(), 0.0))
        return self._changes.get_nowait()

    def _commit(self, batch: list[_Change]) -> None:
        try:
            with self._database.write() as connection:
                outcomes = [_attempt(change, connection) for change in batch]
        except SQLAlchemyError as problem:
            if len(batch) == 1:
                batch[0].outcome.set_exception(problem)
                return
            for change in batch:  # alone, only the guilty one fails
                self._commit([change])
            return
        for change, (result, error) in zip(batch, outcomes, strict=True):
            if error is None:
                change.outcome.set_result(result)
            else:
                change.outcome.set_exception(error)


def _attempt(change: _Change, connection: Connection) -> tuple[Any, JobsError | None]:
    """A refusal (JobsError) is an answer for its caller; a database error fails the transaction."""
    try:
        return change.perform(connection), None
    except JobsError as refusal:
        return None, refusal
