"""One look-out for all open pages: shared, only while somebody looks, and only when something is another."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from web.pages.console.markers import CONTROL, PROJECTS, Markers, project_topic
from web.pages.console.watch import Failure, Watch
from workstation.home import open_home
from workstation.layout import Home
from workstation.project import create_project

LIMIT_SECONDS = 20.0
NEVER = 1e9


def watch_over(home: Home) -> Watch:
    return Watch(Markers(home, f"sqlite:///{home.root / 'control.db'}", f"sqlite:///{home.root / 'jobs.db'}"))


def heard() -> tuple[asyncio.Queue[Any], Callable[[Any], Awaitable[None]]]:
    queue: asyncio.Queue[Any] = asyncio.Queue()
    return queue, queue.put


async def test_a_value_is_loaded_once_for_all_and_told_when_it_is_another(tmp_path: Path) -> None:
    home = open_home(tmp_path / "home")
    watch, loads = watch_over(home), []

    def load() -> tuple[str, ...]:
        loads.append(1)
        return tuple(sorted(file.parent.name for file in home.projects.glob("*/project.toml")))

    (first, hear), (second, hear_too) = heard(), heard()
    assert await watch.join("a", hear, ("names",), load, frozenset({PROJECTS}), NEVER) == ()
    assert await watch.join("b", hear_too, ("names",), load, frozenset({PROJECTS}), NEVER) == ()
    assert watch.sources == 1
    create_project(home, "studio")
    assert await asyncio.wait_for(first.get(), LIMIT_SECONDS) == ("studio",)
    assert await asyncio.wait_for(second.get(), LIMIT_SECONDS) == ("studio",)
    assert first.empty() and second.empty()
    watch.leave("a")
    watch.leave("b")
    assert watch.sources == 0


async def test_a_commit_of_another_connection_is_seen(tmp_path: Path) -> None:
    home = open_home(tmp_path / "home")
    writer = sqlite3.connect(home.root / "control.db", isolation_level=None)
    writer.execute("PRAGMA journal_mode=WAL")
    writer.execute("CREATE TABLE things (name)")
    watch = watch_over(home)
    queue, hear = heard()

    def count() -> int:
        with sqlite3.connect(home.root / "control.db") as reader:
            return int(reader.execute("SELECT count(*) FROM things").fetchone()[0])

    assert await watch.join("a", hear, ("count",), count, frozenset({CONTROL}), NEVER) == 0
    writer.execute("INSERT INTO things VALUES ('x')")
    assert await asyncio.wait_for(queue.get(), LIMIT_SECONDS) == 1
    watch.leave("a")


async def test_what_no_marker_shows_is_looked_at_every_so_often(tmp_path: Path) -> None:
    watch, values = watch_over(open_home(tmp_path / "home")), iter(range(100))
    queue, hear = heard()
    assert await watch.join("a", hear, ("next",), lambda: next(values), frozenset(), 0.1) == 0
    assert await asyncio.wait_for(queue.get(), LIMIT_SECONDS) == 1
    watch.leave("a")


async def test_a_load_that_fails_is_told_once_and_comes_back(tmp_path: Path) -> None:
    watch, broken = watch_over(open_home(tmp_path / "home")), [True]
    queue, hear = heard()

    def load() -> str:
        if broken[0]:
            raise OSError("no disk")
        return "well"

    first = await watch.join("a", hear, ("disk",), load, frozenset(), 0.1)
    assert isinstance(first, Failure) and str(first.error) == "no disk"
    broken[0] = False
    assert await asyncio.wait_for(queue.get(), LIMIT_SECONDS) == "well"
    assert queue.empty()
    watch.leave("a")


async def test_one_listener_that_fails_takes_nothing_from_the_others(tmp_path: Path) -> None:
    watch, values = watch_over(open_home(tmp_path / "home")), iter(range(100))
    queue, hear = heard()

    async def broken(_: object) -> None:
        raise RuntimeError("a browser that went away")

    await watch.join("bad", broken, ("next",), lambda: next(values), frozenset(), 0.1)
    await watch.join("good", hear, ("next",), lambda: next(values), frozenset(), 0.1)
    assert await asyncio.wait_for(queue.get(), LIMIT_SECONDS) >= 1
    watch.leave("bad")
    watch.leave("good")


def test_each_project_has_a_marker_of_its_own(tmp_path: Path) -> None:
    home = open_home(tmp_path / "home")
    for name in ("one", "two"):
        create_project(home, name)
    markers = Markers(home, "sqlite:////nowhere/control.db", "sqlite:////nowhere/jobs.db")
    topics = [project_topic("one"), project_topic("two"), PROJECTS]
    before = markers.read(topics)
    (home.project("one").run / "state.json").write_text("{}")
    after = markers.read(topics)
    assert [before[topic] != after[topic] for topic in topics] == [True, False, True]
