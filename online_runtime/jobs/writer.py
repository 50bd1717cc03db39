"""One thread that writes to the jobs database, so that no event loop ever waits for a disk.

Changes that arrive while a transaction runs share the next one (group commit): many prompts cost one commit.
What nobody waits for is not even told to the thread: it finds that on its way, a moment later.
"""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any, TypeVar

from sqlalchemy import Connection, Executable
from sqlalchemy.exc import SQLAlchemyError

from online_runtime.jobs.database import JobsDatabase
from online_runtime.jobs.errors import JobsDatabaseClosed, JobsError

BATCH = 256  # one transaction stays short enough for other gateways to get their turn
PATIENCE_SECONDS = 0.05  # about how long a change that nobody waits for may wait for others

Result = TypeVar("Result")


@dataclass(frozen=True)
class _Change:
    perform: Callable[[Connection], Any]
    overtakes: bool = False
    outcome: Future[Any] = field(default_factory=Future)


class _Late:
    """Rows of statements that nobody waits for, in one change."""

    def __init__(self) -> None:
        self.began_at = time.monotonic()
        self.outcome: Future[None] = Future()
        self._rows: dict[Executable, list[dict[str, Any]]] = {}

    def add(self, statement: Executable, row: dict[str, Any]) -> None:
        self._rows.setdefault(statement, []).append(row)

    def perform(self, connection: Connection) -> None:
        for statement, rows in self._rows.items():
            connection.execute(statement, rows)


class _Wake:
    """Ends a deep sleep of the thread without being a change."""


_WAKE = _Wake()


class JobsWriter:
    """Performs changes in the order in which they were submitted. An error of one change never undoes
    another.
    """

    def __init__(self, database: JobsDatabase) -> None:
        self._database = database
        self._changes: queue.SimpleQueue[_Change | _Wake | None] = queue.SimpleQueue()
        self._late: _Late | None = None
        self._asleep = self._closed = False
        self._lock = threading.Lock()
        self._thread = threading.Thread(target=self._run, name="jobs-writer", daemon=True)
        self._thread.start()

    def submit(self, perform: Callable[[Connection], Result], *, overtakes: bool = False) -> Future[Result]:
        """Queue one change; the future ends after its commit. `perform` may run twice, so it must only touch
        the connection. A change that `overtakes` does not depend on any that was left with `later`.
        """
        change = _Change(perform, overtakes)
        with self._lock:
            if self._closed:
                raise JobsDatabaseClosed
            self._changes.put(change)
        return change.outcome

    def later(self, statement: Executable, row: dict[str, Any]) -> Future[None]:
        """Leave one row of a statement to be executed soon, and before every change that does not overtake.
        It may only depend on changes that have been committed.
        """
        with self._lock:
            if self._closed:
                raise JobsDatabaseClosed
            if self._late is None:
                self._late = _Late()
            self._late.add(statement, row)
            if self._asleep:
                self._asleep = False
                self._changes.put(_WAKE)
            return self._late.outcome

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
            # From here on a change cannot be cancelled; one that was is not wanted any more.
            batch = [change for change in batch if change.outcome.set_running_or_notify_cancel()]
            late = self._due(batch, ended)
            if late is not None:
                late.outcome.set_running_or_notify_cancel()
                place = next((at for at, change in enumerate(batch) if not change.overtakes), len(batch))
                batch.insert(place, _Change(late.perform, outcome=late.outcome))
            if batch:
                self._commit(batch)

    def _gather(self) -> tuple[list[_Change], bool]:
        """The next batch, empty when there is only something late; and whether it is the last."""
        batch: list[_Change] = []
        found = self._first()
        while found is not None:
            if isinstance(found, _Change):
                batch.append(found)
            if len(batch) == BATCH:
                return batch, False
            try:
                found = self._changes.get_nowait()
            except queue.Empty:
                return batch, False
        return batch, True

    def _first(self) -> _Change | _Wake | None:
        """Wait for a change; for as long as it takes only when nothing is left for later."""
        try:
            return self._changes.get(timeout=PATIENCE_SECONDS)
        except queue.Empty:
            with self._lock:
                if self._late is not None:
                    return _WAKE
                self._asleep = True
        found = self._changes.get()
        with self._lock:
            self._asleep = False
        return found

    def _due(self, batch: list[_Change], ended: bool) -> _Late | None:
        with self._lock:
            late = self._late
            if late is None:
                return None
            waited = time.monotonic() - late.began_at >= PATIENCE_SECONDS
            if not (ended or waited or any(not change.overtakes for change in batch)):
                return None
            self._late = None
            return late

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
