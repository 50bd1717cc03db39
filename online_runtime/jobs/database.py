"""Opening the jobs database: SQLite in WAL mode, or PostgreSQL when the URL says so."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import Connection, Engine, inspect, text

from online_runtime.jobs.errors import JobsDatabaseTooNew
from online_runtime.jobs.postgres_server import postgres_engine
from online_runtime.jobs.sqlite_file import one_at_a_time, sqlite_engine
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
    JobsDatabaseTooNew and DatabaseNotSupported.
    """
    engine = (
        sqlite_engine(url, BUSY_TIMEOUT_SECONDS)
        if url.startswith("sqlite")
        else postgres_engine(url, BUSY_TIMEOUT_SECONDS)
    )
    if _schema(engine) != SCHEMA:
        _upgrade(engine)
    return JobsDatabase(engine)


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
    writing = engine.execution_options(stillframe_writes=True)
    with _one_upgrade_at_a_time(writing), writing.connect() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "head")
        connection.commit()


@contextlib.contextmanager
def _one_upgrade_at_a_time(engine: Engine) -> Iterator[None]:
    """Several gateways may start at once on one database."""
    if engine.dialect.name == "sqlite":
        with one_at_a_time(Path(str(engine.url.database))):
            yield
        return
    with engine.connect() as connection:
        connection.execute(text("SELECT pg_advisory_lock(:key)"), {"key": UPGRADE_LOCK})
        try:
            yield
        finally:
            connection.execute(text("SELECT pg_advisory_unlock(:key)"), {"key": UPGRADE_LOCK})
