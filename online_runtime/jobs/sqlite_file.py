"""A SQLite file that several processes share: its mode, its locks and its one upgrade at a time."""

from __future__ import annotations

import contextlib
import fcntl
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from sqlalchemy import URL, Connection, Engine, create_engine, event, make_url


def sqlite_engine(url: str | URL, busy_timeout_seconds: float) -> Engine:
    """An engine on the file at `url`, in WAL mode; its folder is made where it is missing.

    A transaction with the execution option `stillframe_writes` takes the writer's lock at once and waits
    for it up to `busy_timeout_seconds`; any other reads and never waits. Foreign keys are enforced.
    """
    engine = create_engine(url, connect_args={"timeout": busy_timeout_seconds, "check_same_thread": False})
    file = make_url(url).database
    if file and file != ":memory:":
        Path(file).parent.mkdir(parents=True, exist_ok=True)
        _in_wal_mode(Path(file), busy_timeout_seconds)
    event.listen(engine, "connect", _prepare)
    event.listen(engine, "begin", _begin)
    return engine


@contextlib.contextmanager
def one_at_a_time(file: Path) -> Iterator[None]:
    """The lock beside `file` under which its mode or its schema is changed; several processes may open it
    at once.
    """
    with file.with_name(f"{file.name}.upgrade").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _in_wal_mode(file: Path, busy_timeout_seconds: float) -> None:
    # The mode is kept in the file. A connection that changes it while another one does gets "database is
    # locked" at once, whatever the busy timeout: it would have to upgrade a read lock, and SQLite does not
    # wait there.
    with (
        one_at_a_time(file),
        contextlib.closing(sqlite3.connect(file, timeout=busy_timeout_seconds)) as connection,
    ):
        connection.execute("PRAGMA journal_mode=WAL")


def _prepare(connection: Any, _record: Any) -> None:  # a DBAPI connection has no type
    connection.isolation_level = None  # we begin transactions ourselves, see _begin
    connection.execute("PRAGMA synchronous=NORMAL")
    connection.execute("PRAGMA foreign_keys=ON")


def _begin(connection: Connection) -> None:
    # A transaction that reads first and writes later cannot wait for another writer (SQLITE_BUSY at once):
    # IMMEDIATE waits for its turn.
    writes = connection.get_execution_options().get("stillframe_writes", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")
