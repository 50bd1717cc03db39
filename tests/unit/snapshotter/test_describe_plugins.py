"""What a manifest says of plugins, from real git repositories; looking leaves no trace."""

from __future__ import annotations

import ast
import os
import subprocess
import time
from pathlib import Path

import pytest

from workstation.layout import Workstation
from workstation.plugins.inventory import described_plugins
from workstation.stamps import Remembered

SOURCE = "NODE_CLASS_MAPPINGS = {'One': object, **{}}\nNODE_CLASS_MAPPINGS['Two'] = object\n"


def git(folder: Path, *command: str) -> str:
    identity = ("-c", "user.name=Test", "-c", "user.email=test@example.org", "-c", "commit.gpgsign=false")
    done = subprocess.run(
        ["git", *identity, *command], cwd=folder, check=True, capture_output=True, text=True
    )
    return done.stdout.strip()


@pytest.fixture
def desk(tmp_path: Path) -> Workstation:
    return Workstation(tmp_path / "workstation")


@pytest.fixture
def plugin(desk: Workstation) -> Path:
    folder = desk.custom_nodes / "stamp"
    (folder / "nodes").mkdir(parents=True)
    (folder / "__init__.py").write_text(SOURCE)
    (folder / "nodes" / "more.py").write_text("NODE_CLASS_MAPPINGS.update({'Three': object})\n")
    (folder / "nodes" / "v3.py").write_text("schema = io.Schema(node_id='Four', inputs=[])\n")
    (folder / "pyproject.toml").write_text("[project]\nversion = '1.2'\n")
    (folder / "requirements.txt").write_text("numpy>=2\n")
    git(folder, "init", "-q", "-b", "main")
    git(folder, "add", ".")
    git(folder, "commit", "-q", "-m", "first")
    git(folder, "remote", "add", "origin", "https://someone:secret@example.org/stamp.git")
    return folder


def test_a_plugin_is_described_whole(desk, plugin) -> None:
    (facts,) = described_plugins(desk).values()
    assert facts["commit"] == git(plugin, "rev-parse", "HEAD")
    assert facts["remote"] == "https://example.org/stamp.git"
    assert (facts["branch"], facts["version"], facts["requirements"]) == ("main", "1.2", ["numpy>=2"])
    assert facts["nodes"] == ["Four", "One", "Three", "Two"]
    assert facts["local_edits"] is False and "diff" not in facts and facts["problem"] is None


def test_edits_and_new_files_are_in_the_diff(desk, plugin) -> None:
    (plugin / "__init__.py").write_text("EDITED = 1\n")
    (plugin / "fresh ü.py").write_text("FRESH = 1\n")
    (plugin / "picture.bin").write_bytes(b"\0\1\2")
    (plugin / "requirements.txt").unlink()
    (facts,) = described_plugins(desk).values()
    assert facts["edited_files"] == ["__init__.py", "requirements.txt", "fresh ü.py", "picture.bin"]
    assert "+EDITED = 1" in facts["diff"] and "+FRESH = 1" in facts["diff"] and "-numpy>=2" in facts["diff"]
    assert "Binary file" in facts["diff"] and facts["diff_cut"] is False


@pytest.mark.parametrize("name", ["__init__.py", "untracked.py"])
def test_a_long_diff_is_cut_and_says_so(desk, plugin, name) -> None:
    (plugin / name).write_text("x = 'a long line of text'\n" * 10_000)
    (facts,) = described_plugins(desk).values()
    assert facts["diff_cut"] is True
    assert 60_000 < len(facts["diff"].encode()) <= 64 * 1024


def test_detached_and_without_a_commit(desk, plugin) -> None:
    git(plugin, "checkout", "-q", "--detach")
    empty = desk.custom_nodes / "empty"
    empty.mkdir()
    git(empty, "init", "-q", "-b", "main")
    found = {path.name: facts for path, facts in described_plugins(desk).items()}
    assert found["stamp"]["branch"] is None and found["stamp"]["commit"]
    assert found["empty"]["commit"] is None and found["empty"]["branch"] == "main"


def test_looking_changes_no_file_of_the_checkout(desk, plugin) -> None:
    """A refreshed index would be another snapshot, though nothing was done."""
    os.utime(plugin / "__init__.py", ns=(0, 0))  # git must look into it, and would like to note what it saw
    before = {path: path.lstat().st_mtime_ns for path in plugin.rglob("*")}
    described_plugins(desk)
    assert {path: path.lstat().st_mtime_ns for path in plugin.rglob("*")} == before


def test_sources_are_parsed_once_until_they_change(desk, plugin, tmp_path, monkeypatch) -> None:
    parsed: list[str] = []
    parse = ast.parse
    monkeypatch.setattr(ast, "parse", lambda *a, **k: parsed.append(k["filename"]) or parse(*a, **k))

    def nodes() -> list[str]:
        parsed.clear()
        known = Remembered(tmp_path / "nodes.json")
        (facts,) = described_plugins(desk, known).values()
        known.save()
        return list(facts["nodes"])

    settle(plugin)
    assert nodes() == ["Four", "One", "Three", "Two"]
    assert sorted(parsed) == ["__init__.py", "more.py", "v3.py"]
    assert nodes() == ["Four", "One", "Three", "Two"] and parsed == []
    (plugin / "nodes" / "more.py").write_text("NODE_CLASS_MAPPINGS.update({'Other': object})\n")
    assert nodes() == ["Four", "One", "Other", "Two"] and parsed == ["more.py"]


def settle(folder: Path) -> None:
    """Until every stamp in it is old enough to show the next change."""
    limit = time.monotonic() + 10
    youngest = max(path.stat().st_ctime_ns for path in folder.rglob("*.py"))
    while time.time_ns() - youngest <= 20_000_000:
        assert time.monotonic() < limit
