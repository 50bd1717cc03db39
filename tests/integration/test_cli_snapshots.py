"""Restore, delete, prune, collect, heal and repair at the command line, and the same through the REST API."""

from __future__ import annotations

import base64
import http.client
import json
import os
import signal
import subprocess
import sys
import threading
import time
import venv
from pathlib import Path
from typing import Any

import pytest
import uvicorn

from tests.loop_disks import require_overlay
from workstation.layout import Home, Project

pytestmark = pytest.mark.slow

LIMIT_SECONDS = 120.0


def stillframe(home: Path, *words: str, **variables: str) -> subprocess.CompletedProcess[str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("STILLFRAME_")}
    return subprocess.run(
        [sys.executable, "-m", "web.cli.main", *words, "--home", str(home)],
        capture_output=True,
        text=True,
        timeout=LIMIT_SECONDS,
        stdin=subprocess.DEVNULL,
        env={**kept, **variables},
        check=False,
    )


class House:
    """A home with one project, at the command line."""

    def __init__(self, root: Path) -> None:
        self.home = Home(root)
        self.project = Project("studio", self.home.projects / "studio")
        self.plugin = self.project.workstation.custom_nodes / "stamp"

    def run(self, *words: str, code: int = 0, **variables: str) -> str:
        done = stillframe(self.home.root, *words, **variables)
        assert done.returncode == code, (done.stdout, done.stderr)
        assert "Traceback" not in done.stderr
        return done.stdout if code == 0 else done.stdout + done.stderr

    def json(self, *words: str, code: int = 0) -> Any:
        done = stillframe(self.home.root, *words, "--json")
        assert done.returncode == code, (done.stdout, done.stderr)
        return json.loads(done.stdout)

    def edit(self, text: str) -> None:
        (self.plugin / "__init__.py").write_text(f"NODE_CLASS_MAPPINGS = {{}}  # {text}\n")

    def freeze(self, text: str) -> dict[str, Any]:
        self.edit(text)
        made: dict[str, Any] = self.json("snapshot", "create", "studio")
        return made


@pytest.fixture(scope="module")
def small_python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An interpreter with nothing installed: freezing torch once a test would take minutes."""
    folder = tmp_path_factory.mktemp("base") / "venv"
    venv.create(folder, with_pip=False)
    return folder / "bin" / "python"


@pytest.fixture
def house(tmp_path: Path, small_python: Path) -> House:
    found = House(tmp_path / "home")
    found.run("base", "add", "small", str(small_python))
    found.run("project", "create", "studio", "--base", "small")
    found.plugin.mkdir()
    return found


def test_restore_previews_asks_keeps_and_is_taken_back_by_one_command(house: House) -> None:
    first = house.freeze("one")
    house.edit("two")
    (house.project.workstation.custom_nodes / "extra.py").write_text("x = 1\n")
    preview = house.run("snapshot", "restore", "studio", "1", "--preview")
    assert "custom_nodes/stamp" in preview and "removed" in preview and "The base" in preview
    assert len(house.json("snapshot", "list", "studio")) == 1
    refused = house.run("snapshot", "restore", "studio", "1", code=6)
    assert "--yes" in refused
    said = house.run("snapshot", "restore", "studio", "1", "--yes")
    assert "stillframe snapshot restore studio 2" in said
    assert (house.plugin / "__init__.py").read_text().endswith("# one\n")
    assert not (house.project.workstation.custom_nodes / "extra.py").exists()
    again = house.json("snapshot", "create", "studio")
    assert again["snapshot_id"] == first["snapshot_id"]
    back = house.json("snapshot", "restore", "studio", "2", "--yes")
    assert back["snapshot"]["number"] == 2 and "custom_nodes/stamp" in back["components"]
    assert (house.plugin / "__init__.py").read_text().endswith("# two\n")
    assert (house.project.workstation.custom_nodes / "extra.py").exists()
    assert house.project.workstation.python.exists()


def test_delete_prune_and_gc_free_the_room(house: House) -> None:
    for text in ("one", "two", "three", "four"):
        (house.plugin / "data").write_bytes(os.urandom(200_000))
        house.freeze(text)
    assert "--yes" in house.run("snapshot", "delete", "studio", "4", code=6)
    assert "is deleted" in house.run("snapshot", "delete", "studio", "4", "--yes")
    assert "There is no snapshot" in house.run("snapshot", "delete", "studio", "4", "--yes", code=4)
    would = house.json("snapshot", "prune", "studio", "--keep-last", "1", "--dry-run")
    assert [(one["number"], one["stays"]) for one in would] == [(3, True), (2, False), (1, False)]
    assert len(house.json("snapshot", "list", "studio")) == 3
    table = house.run("snapshot", "prune", "studio", "--keep-last", "1", "--yes")
    assert "deleted" in table and "snapshot gc" in table
    assert [one["number"] for one in house.json("snapshot", "list", "studio")] == [3]
    young = house.json("snapshot", "gc")
    assert young["freed_bytes"] == 0 and young["young_bytes"] > 600_000
    dry = house.json("snapshot", "gc", "--min-age", "0", "--dry-run")
    done = house.json("snapshot", "gc", "--min-age", "0")
    assert dry["freed_bytes"] == done["freed_bytes"] > 600_000
    assert house.json("snapshot", "verify", "studio", "--all")["ok"]
    assert house.freeze("five")["number"] == 5


def test_verify_heals_and_names_what_it_cannot(house: House) -> None:
    (house.plugin / "data").write_bytes(os.urandom(54_321))
    house.freeze("one")
    house.freeze("two")
    (big,) = [path for path in house.home.store.rglob("objects/*/*") if path.stat().st_size == 54_321]
    big.unlink()
    damaged = house.json("snapshot", "verify", "--all", code=10)
    assert not damaged["ok"]
    healed = house.json("snapshot", "verify", "--all", "--heal")
    assert healed["ok"] and healed["healed"] == [big.name]
    big.unlink()
    (house.plugin / "data").unlink()
    said = house.run("snapshot", "verify", "studio", "2", "--heal", code=10)
    assert "stamp: data" in said and "studio/1-" in said and "studio/2-" in said


def test_doctor_names_a_killed_restore_and_clears_it_away(house: House) -> None:
    house.freeze("one")
    house.edit("two")
    words = ("snapshot", "restore", "studio", "1", "--yes")
    house.run(*words, code=-signal.SIGKILL, STILLFRAME_CRASH_AT="restore-moved-aside")
    found = house.json("doctor", code=7)
    left = [one["sentence"] for one in found if one["state"] == "leftover"]
    assert any("restoring snapshot 1" in sentence and "--repair" in sentence for sentence in left)
    house.run("doctor", "--repair")
    assert (house.plugin / "__init__.py").read_text().endswith("# two\n")
    house.run("doctor")
    house.run(*words)
    assert (house.plugin / "__init__.py").read_text().endswith("# one\n")


def test_a_running_workstation_is_not_restored(house: House) -> None:
    house.freeze("one")
    house.edit("two")
    (house.project.workstation.engine / "main.py").write_text("import time\ntime.sleep(600)\n")
    house.run("workstation", "start", "studio", "--no-wait")
    try:
        said = house.run("snapshot", "restore", "studio", "1", "--yes", code=5)
        assert "stillframe workstation stop studio" in said
    finally:
        house.run("workstation", "stop", "studio")
    assert (house.plugin / "__init__.py").read_text().endswith("# two\n")


class Door:
    """The REST API of a home, served by this process on a real port."""

    def __init__(self, home: Path) -> None:
        from publisher.accounts import Accounts
        from web.api.app import create_app
        from web.installation import open_installation

        here = open_installation(home, {})
        secret = f"admin:{Accounts(here.control).first_admin()}"
        self._sign = "Basic " + base64.b64encode(secret.encode()).decode()
        self._server = uvicorn.Server(uvicorn.Config(create_app(here), port=0, log_level="warning"))
        self._thread = threading.Thread(target=self._server.run)

    def __enter__(self) -> Door:
        self._thread.start()
        deadline = time.monotonic() + LIMIT_SECONDS
        while not self._server.started:
            assert self._thread.is_alive() and time.monotonic() < deadline
            self._thread.join(0.02)
        return self

    def __exit__(self, *_: object) -> None:
        self._server.should_exit = True
        self._thread.join(LIMIT_SECONDS)

    def events(self, path: str) -> list[tuple[str, Any]]:
        """The events of a POST, in order."""
        port = self._server.servers[0].sockets[0].getsockname()[1]
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=LIMIT_SECONDS)
        try:
            headers = {"Authorization": self._sign, "Accept": "text/event-stream"}
            connection.request("POST", path, headers=headers)
            blocks = connection.getresponse().read().decode().strip().split("\n\n")
        finally:
            connection.close()
        parts = [block.partition("\ndata: ") for block in blocks]
        return [(kind.removeprefix("event: "), json.loads(data)) for kind, _, data in parts]

    def ask(self, method: str, path: str, body: object = None) -> tuple[int, Any]:
        port = self._server.servers[0].sockets[0].getsockname()[1]
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=LIMIT_SECONDS)
        try:
            headers = {"Authorization": self._sign, "Content-Type": "application/json"}
            connection.request(
                method, path, None if body is None else json.dumps(body).encode(), headers=headers
            )
            answer = connection.getresponse()
            read = answer.read()
            return answer.status, json.loads(read) if read else None
        finally:
            connection.close()


def test_the_api_offers_the_same(house: House) -> None:
    house.freeze("one")
    house.freeze("two")
    at = "/api/v1/projects/studio/snapshots"
    with Door(house.home.root) as door:
        _, plan = door.ask("GET", f"{at}/1/restore")
        assert [part["name"] for part in plan["components"]] == ["custom_nodes/stamp"]
        _, done = door.ask("POST", f"{at}/1/restore")
        assert (done["snapshot"]["number"], done["kept"]["number"]) == (1, 2)
        assert (house.plugin / "__init__.py").read_text().endswith("# one\n")
        _, judged = door.ask("POST", f"{at}/prune", {"keep_last": 1, "dry_run": True})
        assert [(one["number"], one["stays"]) for one in judged] == [(2, True), (1, False)]
        assert door.ask("DELETE", f"{at}/1")[0] == 204
        assert door.ask("DELETE", f"{at}/1")[0] == 404
        status, swept = door.ask("POST", f"{at}/gc", {"minimum_age_seconds": 0})
        assert status == 200 and swept["objects"] >= 1
        assert door.ask("POST", f"{at}/2/verify?heal=true")[1]["ok"]
        assert door.ask("POST", f"{at}/prune", {"keep_last": -1})[0] == 422


def test_the_api_tells_of_a_snapshot_what_the_command_line_tells(house: House) -> None:
    house.freeze("one")
    house.freeze("two")
    at = "/api/v1/projects/studio/snapshots"
    with Door(house.home.root) as door:
        status, shown = door.ask("GET", f"{at}/2")
        assert (status, shown) == (200, house.json("snapshot", "show", "studio", "2"))
        assert shown["parent_snapshot"]["number"] == 1 and shown["models"] == []
        house.edit("three")
        _, between = door.ask("GET", f"{at}/2/diff?against=1")
        assert between["difference"] == house.json("snapshot", "diff", "studio", "1", "2")
        _, now = door.ask("GET", f"{at}/2/diff")
        assert "stamp" in " ".join(now["lines"])
        assert now["difference"] == house.json("snapshot", "diff", "studio", "2")
        _, every = door.ask("POST", f"{at}/verify")
        assert every["ok"] and [name[0] for name in every["snapshots"]] == ["2", "1"]
        (house.home.store / "objects").rename(house.home.store / "away")
        (house.home.store / "objects").mkdir()
        _, damaged = door.ask("POST", f"{at}/2/verify")
        assert not damaged["ok"] and damaged["damaged"]


def test_the_api_tells_the_progress_of_long_work_to_whoever_asks_for_events(house: House) -> None:
    house.edit("one")
    at = "/api/v1/projects/studio/snapshots"
    with Door(house.home.root) as door:
        *_, (kind, made) = door.events(at)
        assert (kind, made["number"], made["new"]) == ("end", 1, True)
        house.edit("two")
        (house.plugin / "large.bin").write_bytes(os.urandom(200 << 20))
        *progress, (kind, made) = door.events(at)
        assert (kind, made["number"]) == ("end", 2)
        assert {name for name, _ in progress} == {"progress"}
        assert {step["phase"] for _, step in progress} <= {"scan", "read", "publish"}
        *_, (kind, done) = door.events(f"{at}/1/restore")
        assert (kind, done["kept"]["number"]) == ("end", 2)
        assert (house.plugin / "__init__.py").read_text().endswith("# one\n")
        ((kind, problem),) = door.events(f"{at}/9/restore")
        assert (kind, problem["status"], "9" in problem["detail"]) == ("problem", 404, True)


def test_a_workstation_is_laid_on_sealed_folders_and_made_plain_again(house: House) -> None:
    require_overlay(house.home.root)
    house.freeze("one")
    said = house.run("snapshot", "overlay", "studio")
    assert "plain" in said and "--on" in said
    try:
        assert "way overlay" in house.run("snapshot", "overlay", "studio", "--on")
        house.edit("two")
        made = house.json("snapshot", "create", "studio")
        assert made["new"] and "(overlay)" in made["detail"]
        assert "is sealed in milliseconds" in house.run("doctor")
        with Door(house.home.root) as door:
            at = "/api/v1/projects/studio/snapshots"
            assert door.ask("PUT", f"{at}/overlay", {"overlay": "fold"})[1]["name"] == "overlay"
            status, refused = door.ask("PUT", f"{at}/overlay", {"overlay": "sideways"})
            assert status == 422 and refused["detail"]
        with (house.plugin / "log").open("w") as log:
            holder = subprocess.Popen(["sleep", str(LIMIT_SECONDS)], stdout=log)
        assert f"process {holder.pid}" in house.run("snapshot", "overlay", "studio", "--off", code=5)
        holder.kill()
        holder.wait()
        (house.plugin / "log").unlink()
        assert house.json("snapshot", "restore", "studio", "1", "--yes")["snapshot"]["number"] == 1
        house.run("snapshot", "overlay", "studio", "--off")
        assert (house.plugin / "__init__.py").read_text().endswith("# one\n")
    finally:
        house.run("project", "remove", "studio", "--yes")
    assert "studio" not in Path("/proc/self/mountinfo").read_text()
