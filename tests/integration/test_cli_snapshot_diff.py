"""A project as a developer has it: real git, real packages, the command line; what its snapshots say."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import uv

pytestmark = pytest.mark.slow

STANDIN = Path(__file__).parents[1] / "fakes" / "standin_comfyui.py"
LIMIT_SECONDS = 120.0
API = {"1": {"class_type": "CheckpointLoaderSimple", "inputs": {"ckpt_name": "sd.safetensors"}}}


def git(folder: Path, *command: str) -> str:
    identity = ("-c", "user.name=Test", "-c", "user.email=test@example.org", "-c", "commit.gpgsign=false")
    done = subprocess.run(
        ["git", *identity, *command], cwd=folder, check=True, capture_output=True, text=True
    )
    return done.stdout.strip()


def wheel(folder: Path, version: str) -> Path:
    info = f"tiny-{version}.dist-info"
    path = folder / f"tiny-{version}-py3-none-any.whl"
    files = {
        "tiny.py": f"VERSION = {version!r}\n",
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: tiny\nVersion: {version}\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    with zipfile.ZipFile(path, "w") as archive:
        for name, text in files.items():
            archive.writestr(name, text)
        archive.writestr(f"{info}/RECORD", "".join(f"{name},,\n" for name in [*files, f"{info}/RECORD"]))
    return path


class Studio:
    """A home with one project, driven by the command line."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.home = folder, folder / "home"
        self.root = self.home / "projects" / "one" / "workstation"
        self.plugin = self.root / "custom_nodes" / "stamp"

    def run(self, *words: str) -> str:
        kept = {name: value for name, value in os.environ.items() if not name.startswith("STILLFRAME_")}
        command = [sys.executable, "-m", "web.cli.main", *words, "--home", str(self.home)]
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=LIMIT_SECONDS, env=kept, check=False
        )
        assert done.returncode == 0, (words, done.stdout, done.stderr)
        return done.stdout

    def json(self, *words: str) -> Any:
        return json.loads(self.run(*words, "--json"))

    def install(self, version: str) -> None:
        tool = [uv.find_uv_bin(), "pip", "install", "-q", "--no-config", "--offline", "--python"]
        python = str(self.root / "venv" / "bin" / "python")
        subprocess.run([*tool, python, str(wheel(self.folder, version))], check=True)


@pytest.fixture(scope="module")
def studio(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Studio]:
    folder = tmp_path_factory.mktemp("studio")
    studio = Studio(folder)
    engine, base = folder / "engine", folder / "base"
    engine.mkdir()
    (engine / "main.py").write_bytes(STANDIN.read_bytes())
    subprocess.run([uv.find_uv_bin(), "venv", "-q", "--no-config", str(base)], check=True)
    studio.home.mkdir()
    studio.run("base", "add", "small", str(base / "bin" / "python"))
    studio.run("project", "create", "one", "--engine", str(engine), "--base", "small")
    studio.plugin.mkdir()
    (studio.plugin / "__init__.py").write_text("NODE_CLASS_MAPPINGS = {'Stamp': object}\n")
    (studio.plugin / "models.py").write_text("A = 1\n")
    git(studio.plugin, "init", "-q", "-b", "main")
    git(studio.plugin, "add", ".")
    git(studio.plugin, "commit", "-q", "-m", "one")
    studio.install("1.0")
    (studio.root / "user" / "default" / "workflows" / "first.json").write_text(json.dumps(API))
    (studio.home / "models" / "checkpoints" / "sd.safetensors").write_bytes(b"weights")
    studio.run("snapshot", "create", "one")
    yield studio


def test_a_snapshot_and_the_workstation_in_the_order_of_a_days_work(studio: Studio) -> None:
    assert "hold the same" in studio.run("snapshot", "diff", "one", "1")
    first = git(studio.plugin, "rev-parse", "HEAD")

    (studio.plugin / "lib").mkdir()
    git(studio.plugin, "mv", "models.py", "lib/models.py")
    git(studio.plugin, "commit", "-q", "-m", "two")
    (studio.plugin / "__init__.py").write_text("NODE_CLASS_MAPPINGS = {'Stamp': object, 'Seal': object}\n")
    studio.install("2.0")
    (studio.home / "models" / "checkpoints" / "sd.safetensors").write_bytes(b"other weights")
    hub = studio.root / ".cache" / "huggingface" / "hub" / "models--org--tiny" / "blobs"
    hub.mkdir(parents=True)
    (hub / "x").write_bytes(b"12345")

    said = studio.run("snapshot", "diff", "one", "1")
    now = studio.json("snapshot", "diff", "one", "1")
    assert len(studio.json("snapshot", "list", "one")) == 1  # comparing publishes nothing
    second = git(studio.plugin, "rev-parse", "HEAD")
    assert (
        f"~ plugin custom_nodes/stamp {first[:12]} -> {second[:12]} with local edits in __init__.py" in said
    )
    assert "> models.py -> lib/models.py" in said
    assert "~ package tiny 1.0 -> 2.0" in said
    assert "~ model checkpoints/sd.safetensors 7 B -> 13 B" in said
    assert "+ cache huggingface/hub/models--org--tiny 5 B" in said

    studio.run("snapshot", "create", "one")
    assert "hold the same" in studio.run("snapshot", "diff", "one", "2")
    frozen = studio.json("snapshot", "diff", "one", "1", "2")
    assert {**now, "new": ""} == {**frozen, "new": ""}

    back = studio.run("snapshot", "diff", "one", "2", "1")
    assert f"{second[:12]} -> {first[:12]}" in back and "local edits gone" in back

    shown = studio.run("snapshot", "show", "one")
    for words in (
        "Snapshot 2 of one",
        "that snapshot 1 had not",
        second[:12],
        "Seal, Stamp",
        "1 files",
        "tiny",
        "org/tiny",
        "sd.safetensors",
        "base small: Python 3",
        "Frozen on",
    ):
        assert words in shown, words
    told = studio.json("snapshot", "show", "one", "2")
    plugin = next(part for part in told["components"] if part["kind"] == "plugin")
    assert "+NODE_CLASS_MAPPINGS" in plugin["facts"]["diff"]
    assert 0 < told["new_share"] < 1 and told["parent_snapshot"]["number"] == 1


def test_a_digest_that_is_known_is_told_of_the_snapshot_made_before(studio: Studio) -> None:
    studio.run("snapshot", "create", "one")
    (model,) = studio.json("model", "digest", "--kind", "checkpoints")
    (named,) = studio.json("snapshot", "show", "one")["models"]
    assert named["digest"] == model["digest"]
    (studio.home / "models" / "checkpoints" / "sd.safetensors").write_bytes(b"quite other weights")
    (other,) = studio.json("model", "digest", "--missing")
    (named,) = studio.json("snapshot", "show", "one")["models"]
    assert other["digest"] != model["digest"]
    assert named["digest"] != other["digest"] and named["size_bytes"] == len(b"other weights")
