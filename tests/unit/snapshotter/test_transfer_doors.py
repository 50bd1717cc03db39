"""Snapshots that leave and arrive, at the command line and over HTTP."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from fastapi import FastAPI
from starlette.testclient import TestClient

from snapshotter.freeze import freeze
from snapshotter.manifest import Snapshot
from snapshotter.objects import Store
from snapshotter.rules import ComponentSource
from web.api import snapshot_transfer
from web.cli.main import main
from web.installation import open_installation
from web.verdicts import BAD_INPUT, CONFLICT, NOT_FOUND
from workstation.home import open_home
from workstation.layout import Home
from workstation.project import create_project

pytestmark = pytest.mark.slow


class House:
    """A home with the project `studio`."""

    def __init__(self, root: Path) -> None:
        self.home: Home = open_home(root)
        create_project(self.home, "studio")

    def freeze(self) -> Snapshot:
        project = self.home.project("studio")
        plugin = project.workstation.custom_nodes / "stamp"
        plugin.mkdir(parents=True, exist_ok=True)
        (plugin / "__init__.py").write_text("NODE_CLASS_MAPPINGS = {}\n")
        source = ComponentSource("custom_nodes/stamp", "plugin", plugin, "custom_nodes/stamp")
        return freeze(
            Store(self.home.store), "studio", project.snapshots, project.workstation.root, [source], {}
        ).snapshot

    def run(self, *words: str) -> int:
        with pytest.raises(SystemExit) as caught:
            main(["snapshot", *words, "--home", str(self.home.root)])
        return int(caught.value.code or 0)


@pytest.fixture
def here(tmp_path: Path) -> House:
    return House(tmp_path / "here")


@pytest.fixture
def there(tmp_path: Path) -> House:
    return House(tmp_path / "there")


def test_a_file_carries_a_snapshot_from_home_to_home(
    here: House, there: House, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    snapshot, file = here.freeze(), str(tmp_path / "one.stillframe")
    assert here.run("export", "studio", "latest", file) == 0
    assert snapshot.short_id in capsys.readouterr().out
    assert there.run("import", "studio", file) == 0
    said = capsys.readouterr().out
    assert "here and whole" in said
    assert snapshot.workstation in said
    assert there.run("import", "studio", file, "--json") == 0
    got = json.loads(capsys.readouterr().out)
    assert (got["new"], got["snapshot"]["id"]) == (False, snapshot.id)
    assert there.run("verify", "studio", "latest") == 0


def test_a_url_carries_a_snapshot_from_home_to_home(
    here: House, there: House, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    snapshot, url = here.freeze(), f"file://{tmp_path}/bucket"
    assert here.run("push", "studio", "1", url) == 0
    assert there.run("pull", "studio", url) == 0
    assert there.run("pull", "studio", url, "studio/1") == 0
    assert there.run("verify", "studio", snapshot.short_id) == 0
    capsys.readouterr()
    assert there.run("pull", "studio", url, "7") == NOT_FOUND


def test_bad_input_is_a_sentence_and_an_exit_code(
    here: House, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    here.freeze()
    letter = tmp_path / "letter"
    letter.write_text("dear")
    assert here.run("import", "studio", str(letter)) == BAD_INPUT
    assert here.run("import", "studio", str(tmp_path / "nowhere")) == BAD_INPUT
    assert here.run("export", "studio", "latest", str(letter)) == CONFLICT
    assert here.run("export", "studio", "latest", str(tmp_path / "no" / "folder")) == BAD_INPUT
    assert here.run("push", "studio", "latest", "ana:hush@nowhere") == BAD_INPUT
    said = capsys.readouterr().err
    assert "Traceback" not in said
    assert "hush" not in said
    assert letter.read_text() == "dear"


def test_the_sbom_is_printed_and_answered(here: House, capsys: pytest.CaptureFixture[str]) -> None:
    snapshot = here.freeze()
    assert here.run("sbom", "studio") == 0
    printed = capsys.readouterr().out
    assert json.loads(printed)["bomFormat"] == "CycloneDX"
    with client(here) as http:
        answer = http.get(f"/projects/studio/snapshots/{snapshot.number}/sbom")
    assert (answer.status_code, answer.text) == (200, printed)


def test_a_downloaded_export_is_imported(here: House, there: House, tmp_path: Path) -> None:
    here.freeze()
    with client(here) as http:
        answer = http.get("/projects/studio/snapshots/latest/export")
    assert "studio-1-" in answer.headers["content-disposition"]
    (tmp_path / "got").write_bytes(answer.content)
    assert there.run("import", "studio", str(tmp_path / "got")) == 0


def client(house: House) -> TestClient:
    app = FastAPI()
    app.state.installation = open_installation(house.home.root, {})
    app.include_router(snapshot_transfer.router)
    return TestClient(app)
