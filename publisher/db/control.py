"""The control database: opening it, and the three kinds of transaction on it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import Connection, Engine, inspect, make_url, text, update
from sqlalchemy.exc import IntegrityError, InterfaceError, OperationalError
from sqlalchemy.orm import Session

from online_runtime.jobs.postgres_server import postgres_engine
from online_runtime.jobs.sqlite_file import sqlite_engine
from publisher.db.tables import DeploymentRow
from publisher.db.touched import MarkingSession
from publisher.errors import ControlTooNew, ControlUnreachable, LeaseLost

Transaction = Session  # what the functions of publisher.db take; opaque to everyone else

UniqueRuleBroken = IntegrityError  # somebody else satisfied a unique rule first

VERSIONS = Path(__file__).parent / "migrations" / "versions"
WRITERS_TURN = 727_301  # any constant number: the PostgreSQL advisory lock of those that write
BUSY_TIMEOUT_SECONDS = (
    10  # another writer's transaction takes milliseconds; beyond this the sweep tries again
)


class Control:
    """One control database. Safe to share between threads, not to carry over a fork.

    Every transaction may raise ControlUnreachable.
    """

    def __init__(self, engine: Engine) -> None:
        self._reads = engine
        self._writes = engine.execution_options(stillframe_writes=True)

    @contextmanager
    def read(self) -> Iterator[Transaction]:
        """A consistent view; never waits for a writer."""
        with _reached(), Session(self._reads, expire_on_commit=False) as session:
            yield session

    @contextmanager
    def write(self) -> Iterator[Transaction]:
        """All or nothing. Writers queue up here instead of failing in the middle.

        After ControlUnreachable nobody knows which: look again before doing it again.
        """
        with _reached(), MarkingSession(self._writes, expire_on_commit=False) as session, session.begin():
            yield session
            session.mark()

    @contextmanager
    def fenced(self, deployment_id: int, lease_token: int) -> Iterator[Transaction]:
        """A write that only the holder of the lease can make. Raises LeaseLost before anything is written."""
        with self.write() as session:
            mine = (DeploymentRow.id == deployment_id, DeploymentRow.lease_token == lease_token)
            held = session.connection().execute(
                update(DeploymentRow).where(*mine).values(lease_token=lease_token)
            )
            if held.rowcount != 1:
                raise LeaseLost(deployment_id, lease_token)
            yield session

    def close(self) -> None:
        self._reads.dispose()


def open_control(url: str) -> Control:
    """Open the control database at an SQLAlchemy URL, bringing its schema up to date.

    Raises ControlTooNew, ControlUnreachable and DatabaseNotSupported.
    """
    control_url = make_url(url)
    if control_url.get_backend_name() == "sqlite":
        engine = sqlite_engine(control_url, BUSY_TIMEOUT_SECONDS)
    else:
        engine = postgres_engine(control_url, BUSY_TIMEOUT_SECONDS, WRITERS_TURN)
    with _reached():
        _bring_up_to_date(engine)
    return Control(engine)


@contextmanager
def _reached() -> Iterator[None]:
    try:
        yield
    except (OperationalError, InterfaceError) as problem:
        raise ControlUnreachable(str(problem.orig).strip().partition("\n")[0]) from problem


def known_revisions() -> tuple[str, ...]:
    """Schema revisions of this version, oldest first; a revision's file is named after it."""
    return tuple(sorted(file.name.removesuffix(".py") for file in VERSIONS.glob("[0-9]*.py")))


def _bring_up_to_date(engine: Engine) -> None:
    known = known_revisions()
    with engine.connect() as connection:
        found = _revision(connection)
    if found == known[-1]:
        return
    if found is not None and found not in known:
        engine.dispose()
        raise ControlTooNew(found, known[-1])
    with engine.execution_options(stillframe_writes=True).begin() as connection:
        _upgrade(connection)  # writers take turns, and so do two that open a fresh database at once


def _revision(connection: Connection) -> str | None:
    if not inspect(connection).has_table("alembic_version"):
        return None
    row = connection.execute(text("SELECT version_num FROM alembic_version")).first()
    return str(row[0]) if row else None


def _upgrade(connection: Connection) -> None:
    from alembic import command  # a quarter of a second; needed once in the life of a database
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(VERSIONS.parent).replace("%", "%%"))
    config.attributes["connection"] = connection
    command.upgrade(config, "head")
