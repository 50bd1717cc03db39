"""Change markers: cheap values that differ when something may have changed. Nothing is read beyond stat
facts.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from sqlalchemy import make_url, text

from online_runtime.jobs.postgres_server import postgres_engine
from workstation.layout import Home, Project

Marker = object  # compared, never looked into
CONTROL, JOBS, PROJECTS, MODELS = "control", "jobs", "projects", "models"
_PROJECT = "project:"
ANSWER_LIMIT_SECONDS = 5.0  # nothing here waits for a lock; a page does not wait longer for a server


def project_topic(name: str) -> str:
    """The topic of one project's folder: its workstation's state, plugins, snapshots."""
    return f"{_PROJECT}{name}"


class Markers:
    """Reads the markers of topics. Not to be called by two threads at once."""

    def __init__(self, home: Home, control_url: str, jobs_url: str) -> None:
        self._home = home
        self._databases: Mapping[str, Callable[[], Marker]] = {
            CONTROL: _database_marker(control_url),
            JOBS: _database_marker(jobs_url),
        }

    def read(self, topics: Iterable[str]) -> dict[str, Marker]:
        """Topic -> marker now. A topic that nobody knows is a KeyError."""
        return {topic: self._marker(topic) for topic in topics}

    def _marker(self, topic: str) -> Marker:
        if topic.startswith(_PROJECT):
            return _project_marker(self._home.project(topic.removeprefix(_PROJECT)))
        if topic == PROJECTS:
            projects = sorted(self._home.projects.glob("*/project.toml"))
            return tuple(
                (file.parent.name, _project_marker(Project(file.parent.name, file.parent)))
                for file in projects
            )
        if topic == MODELS:
            return tuple(
                _stamp(folder) for folder in (self._home.models, *sorted(self._home.models.iterdir()))
            )
        return self._databases[topic]()


def _project_marker(project: Project) -> Marker:
    places = (
        project.file,
        project.root / "plugins.toml",
        project.run,
        project.run / "state.json",
        project.snapshots,
        project.workstation.root,
        project.workstation.custom_nodes,
        project.workstation.venv,
    )
    return tuple(map(_stamp, places))


def _stamp(path: Path) -> tuple[int, int, int] | None:
    try:
        found = path.stat()
    except FileNotFoundError:
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino


def _database_marker(url: str) -> Callable[[], Marker]:
    parsed = make_url(url)
    if parsed.get_backend_name() == "sqlite":
        return _sqlite_marker(Path(parsed.database or ""))
    return _server_marker(url)


def _sqlite_marker(file: Path) -> Callable[[], Marker]:
    """SQLite counts the commits of other connections for each connection."""
    opened: list[sqlite3.Connection] = []

    def marker() -> Marker:
        if not opened:
            if not file.exists():
                return None
            opened.append(sqlite3.connect(f"file:{file}?mode=ro", uri=True, check_same_thread=False))
        return opened[0].execute("PRAGMA data_version").fetchone()

    return marker


def _server_marker(url: str) -> Callable[[], Marker]:
    """A server tells how many rows were written by all; it is up to a second late."""
    engine = postgres_engine(url, ANSWER_LIMIT_SECONDS)
    question = text("SELECT sum(n_tup_ins + n_tup_upd + n_tup_del) FROM pg_stat_user_tables")

    def marker() -> Marker:
        with engine.connect() as connection:
            return connection.execute(question).scalar()

    return marker
