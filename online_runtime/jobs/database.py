"""Opening the jobs database: SQLite in WAL mode, or PostgreSQL when the URL says so."""

from __future__ import annotations

import contextlib
import fcntl
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event, inspect, text

from online_runtime.jobs.errors import JobsDatabaseTooNew
from online_runtime.jobs.tables import SCHEMA

BUSY_TIMEOUT_SECONDS = 30  # faults.md 32: another process may hold SQLite's writer lock for that long
MIGRATIONS = Path(__file__).parent / "migrations"
UPGRADE_LOCK = 5_718_301  # any constant number: the PostgreSQL advisory lock of schema changes


@dataclass(frozen=True)
class JobsDatabase:
    """An open jobs database at the schema this version knows. Safe to share between threads."""

    engine: Engine

    @contextlib.contextmanager
    def read(self) -> Iterator[Connection]:
        """A transaction that only reads; it never waits for a writer on SQLite."""
        with self.engine.connect() as connection:
            yield connection

    @contextlib.contextmanager
    def write(self) -> Iterator[Connection]:
        """A transaction that takes the writer's lock at once and commits at the end of the block."""
        with (
            self.engine.connect().execution_options(stillframe_writes=True) as connection,
            connection.begin(),
        ):
            yield connection

    def close(self) -> None:
        self.engine.dispose()


def open_jobs(url: str) -> JobsDatabase:
    """Open the database at a SQLAlchemy `url`, upgrading its schema when needed. Raises
    JobsDatabaseTooNew.
    """
    engine = _sqlite(url) if url.startswith("sqlite") else create_engine(_psycopg(url), pool_pre_ping=True)
    if _schema(engine) != SCHEMA:
        _upgrade(engine)
    return JobsDatabase(engine)


def _psycopg(url: str) -> str:
    """`postgresql://` means psycopg 3, the driver of the `postgres` extra."""
    return url.replace("postgresql://", "postgresql+psycopg://", 1)


def _sqlite(url: str) -> Engine:
    engine = create_engine(url, connect_args={"timeout": BUSY_TIMEOUT_SECONDS, "check_same_thread": False})
    if engine.url.database:
        Path(engine.url.database).parent.mkdir(parents=True, exist_ok=True)
    event.listen(engine, "connect", _prepare)
    event.listen(engine, "begin", _begin)
    return engine


def _prepare(connection: Any, _record: Any) -> None:
    connection.isolation_level = None  # we begin transactions ourselves, see _begin
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=NORMAL")
    connection.execute(f"PRAGMA busy_timeout={BUSY_TIMEOUT_SECONDS * 1000}")


def _begin(connection: Connection) -> None:
    # A writer that begins as a reader can fail with SQLITE_BUSY without waiting; IMMEDIATE waits for its
    # turn.
    writes = connection.get_execution_options().get("stillframe_writes", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


def _schema(engine: Engine) -> str | None:
    """The schema's number, None when the database is empty. Raises JobsDatabaseTooNew."""
    if not inspect(engine).has_table("jobs_schema"):
        return None
    with engine.connect() as connection:
        found = connection.execute(text("SELECT version_num FROM jobs_schema")).scalar()
    if found is not None and found > SCHEMA:
        raise JobsDatabaseTooNew(found=found, known=SCHEMA)
    return found


def _upgrade(engine: Engine) -> None:
    from alembic import command  # imported here: an up-to-date database starts 0.1 s sooner without it
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    with _one_upgrade_at_a_time(engine), engine.connect() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "head")
        connection.commit()


@contextlib.contextmanager
def _one_upgrade_at_a_time(engine: Engine) -> Iterator[None]:
    """Several gateways may start at once on one database."""
    if engine.dialect.name == "sqlite":
        with Path(f"{engine.url.database}.upgrade").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield
        return
    with engine.connect() as connection:
        connection.execute(text("SELECT pg_advisory_lock(:key)"), {"key": UPGRADE_LOCK})
        try:
            yield
        finally:
            connection.execute(text("SELECT pg_advisory_unlock(:key)"), {"key": UPGRADE_LOCK})
