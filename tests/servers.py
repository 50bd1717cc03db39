"""Private database and message servers for tests: on loopback, in a temporary folder, gone afterwards."""

from __future__ import annotations

import contextlib
import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from tests.running_platform import eventually

START_SECONDS = 90.0  # RabbitMQ on a busy machine; PostgreSQL and Redis need one


class Server:
    """A server process that can be stopped without a word and started again on the same port and data."""

    def __init__(self, folder: Path, port: int, url: str, user: str | None) -> None:
        self.folder, self.port, self.url, self._user = folder, port, url, user
        self._command: list[str] = []
        self._environment: dict[str, str] | None = None
        self._process: subprocess.Popen[bytes] | None = None

    def runs(self, *command: str | Path, environment: Mapping[str, str] | None = None) -> None:
        """Say what the server is, and start it."""
        self._command = [str(word) for word in command]
        self._environment = None if environment is None else {**os.environ, **environment}
        self.start()

    def start(self) -> None:
        """Start it and wait until it accepts connections."""
        with (self.folder / "server.log").open("ab") as log:
            self._process = subprocess.Popen(
                self._command,
                cwd=self.folder,
                stdout=log,
                stderr=log,
                env=self._environment,
                **self._as_user(),
            )
        eventually(self._accepts, f"{self._command[0]} on port {self.port}", START_SECONDS)

    def crash(self) -> None:
        """End it as a power cut would."""
        assert self._process is not None
        # PostgreSQL's children notice SIGQUIT at once, and the next start needs them gone.
        self._process.send_signal(signal.SIGQUIT if self._is_postgres else signal.SIGKILL)
        self._process.wait(30)

    def freeze(self) -> None:
        """Let it accept connections and never answer."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)

    def close(self) -> None:
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(signal.SIGCONT)
            # On SIGTERM PostgreSQL waits until its last client has gone.
            self._process.send_signal(signal.SIGINT if self._is_postgres else signal.SIGTERM)
            try:
                self._process.wait(30)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait(30)

    def run(self, *command: str | Path) -> None:
        """One command of the server's own, as its user."""
        subprocess.run(
            [str(word) for word in command],
            cwd=self.folder,
            check=True,
            capture_output=True,
            timeout=120,
            **self._as_user(),
        )

    @property
    def _is_postgres(self) -> bool:
        return Path(self._command[0]).name == "postgres"

    def _as_user(self) -> dict[str, object]:
        if self._user is None:
            return {}
        found = pwd.getpwnam(self._user)
        return {"user": found.pw_uid, "group": found.pw_gid, "extra_groups": []}

    def _accepts(self) -> bool:
        assert self._process is not None
        assert self._process.poll() is None, (self.folder / "server.log").read_text()
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 5):
            return True
        return False


@contextlib.contextmanager
def postgres_server() -> Iterator[Server]:
    """A PostgreSQL cluster of its own. Skips the test where PostgreSQL is not installed."""
    initdb = _program("initdb", "PostgreSQL", [*Path("/usr/lib/postgresql").glob("*/bin")])
    user = _user("postgres")
    with _folder(user) as folder:
        port = _free_port()
        server = Server(folder, port, f"postgresql://stillframe@127.0.0.1:{port}/postgres", user)
        data = folder / "data"
        server.run(initdb, "-D", data, "-U", "stillframe", "-A", "trust", "-E", "UTF8", "--no-sync")
        options = (
            "fsync=off",
            f"unix_socket_directories={folder}",
            "listen_addresses=127.0.0.1",
            f"port={port}",
        )
        try:
            server.runs(initdb.with_name("postgres"), "-D", data, *(f"-c{option}" for option in options))
            eventually(lambda: _answers(server.url), "PostgreSQL", START_SECONDS)
            yield server
        finally:
            server.close()


@contextlib.contextmanager
def redis_server() -> Iterator[Server]:
    """A Redis of its own. Skips the test where Redis is not installed."""
    program = _program("redis-server", "Redis")
    with _folder(None) as folder:
        port = _free_port()
        server = Server(folder, port, f"redis://127.0.0.1:{port}/0", None)
        try:
            server.runs(program, "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", folder)
            yield server
        finally:
            server.close()


@contextlib.contextmanager
def rabbitmq_server() -> Iterator[Server]:
    """A RabbitMQ of its own. Skips the test where RabbitMQ is not installed."""
    program = _program("rabbitmq-server", "RabbitMQ", [Path("/usr/lib/rabbitmq/bin")])
    user = _user("rabbitmq")
    with _folder(user) as folder:
        port = _free_port()
        server = Server(folder, port, f"amqp://guest:guest@127.0.0.1:{port}//", user)
        names_port = str(_free_port())  # Erlang's name service outlives who started it, so it is our own
        names = ("MNESIA_BASE", "LOG_BASE", "SCHEMA_DIR", "GENERATED_CONFIG_DIR")
        (folder / "enabled_plugins").write_text("[].\n")
        (folder / "rabbitmq.conf").write_text("loopback_users.guest = true\n")
        environment = {
            **{f"RABBITMQ_{name}": str(folder) for name in names},
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(folder / "enabled_plugins"),
            "RABBITMQ_CONFIG_FILE": str(folder / "rabbitmq"),
            "RABBITMQ_PID_FILE": str(folder / "pid"),
            "RABBITMQ_NODENAME": f"stillframe-{port}@localhost",
            "RABBITMQ_NODE_IP_ADDRESS": "127.0.0.1",
            "RABBITMQ_NODE_PORT": str(port),
            "RABBITMQ_DIST_PORT": str(_free_port()),
            "ERL_EPMD_PORT": names_port,
            "HOME": str(folder),
        }
        try:
            server.runs(program, environment=environment)
            yield server
        finally:
            server.close()
            server.run(_program("epmd", "Erlang"), "-port", names_port, "-kill")


def _program(name: str, what: str, folders: list[Path] | None = None) -> Path:
    """The program, not a distribution's wrapper of it where `folders` have the program itself."""
    for folder in folders or []:
        if (folder / name).exists():
            return folder / name
    found = shutil.which(name)
    if found is None:
        pytest.skip(f"{what} is not installed here ({name} is not on the PATH)")
    return Path(found)


def _user(name: str) -> str | None:
    """Who runs the server: such servers refuse root, and a user can only run them as himself."""
    if os.geteuid() != 0:
        return None
    try:
        return pwd.getpwnam(name).pw_name
    except KeyError:
        pytest.skip(f"there is no user {name}, and root may not run this server")


@contextlib.contextmanager
def _folder(user: str | None) -> Iterator[Path]:
    """Not pytest's own: other users cannot look into that, and paths of sockets must be short."""
    with tempfile.TemporaryDirectory(prefix="sf-", dir="/tmp") as made:
        if user is not None:
            shutil.chown(made, user)
        yield Path(made)


def _answers(url: str) -> bool:
    import psycopg

    with contextlib.suppress(psycopg.OperationalError), psycopg.connect(url, connect_timeout=5):
        return True
    return False


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
