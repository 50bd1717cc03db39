"""An engine on a PostgreSQL server: its driver, a limit for each wait, and whose turn it is to write."""

from __future__ import annotations

from collections.abc import Callable

from sqlalchemy import URL, Connection, Engine, create_engine, event, make_url

from online_runtime.jobs.errors import DatabaseNotSupported

CONNECT_LIMIT_SECONDS = 5
# A server that vanished without a word (cable, power) is noticed after about this long, not after two hours.
SILENCE_LIMIT_SECONDS = 15
_PROBES = 3


def postgres_engine(url: str | URL, lock_limit_seconds: float, writers_turn: int | None = None) -> Engine:
    """An engine on the server at `url`; `postgresql://` means psycopg 3. Raises DatabaseNotSupported.

    Reads see one state of the database from their first statement to their last. With `writers_turn`, any
    number that means the same to all, transactions with the execution option `stillframe_writes` come one
    after another, as on SQLite: what they read first is still so when they write.
    """
    server = _by_psycopg(make_url(url))
    try:
        engine = create_engine(server, pool_pre_ping=True, connect_args=_limits(lock_limit_seconds))
    except ModuleNotFoundError as problem:
        raise DatabaseNotSupported(
            server.get_backend_name(), "install its driver: pip install 'stillframe[postgres]'"
        ) from problem
    event.listen(engine, "begin", _begin_with(writers_turn))
    return engine


def _by_psycopg(url: URL) -> URL:
    if url.get_backend_name() != "postgresql":
        raise DatabaseNotSupported(
            url.get_backend_name(), "use sqlite:///FILE or postgresql://USER@HOST/DATABASE"
        )
    return url.set(drivername="postgresql+psycopg")


def _limits(lock_limit_seconds: float) -> dict[str, object]:
    return {
        "connect_timeout": CONNECT_LIMIT_SECONDS,
        "keepalives_idle": SILENCE_LIMIT_SECONDS // _PROBES,
        "keepalives_interval": SILENCE_LIMIT_SECONDS // _PROBES,
        "keepalives_count": _PROBES - 1,
        "tcp_user_timeout": SILENCE_LIMIT_SECONDS * 1000,
        "options": f"-c lock_timeout={int(lock_limit_seconds * 1000)} -c timezone=UTC",
    }


def _begin_with(writers_turn: int | None) -> Callable[[Connection], None]:
    def begin(connection: Connection) -> None:
        if not connection.get_execution_options().get("stillframe_writes", False):
            connection.exec_driver_sql("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        elif writers_turn is not None:
            connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({writers_turn})")

    return begin
