"""Real tools on small things: tiny wheels, tiny git repositories, a base of two packages, no network."""

from __future__ import annotations

import subprocess
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
import uv

from workstation.bases import Base, add_base
from workstation.home import open_home
from workstation.layout import Home, Project
from workstation.project import create_project

STANDIN = Path(__file__).parents[2] / "fakes" / "standin_comfyui.py"
MakeWheel = Callable[..., Path]


def build_wheel(folder: Path, name: str, version: str, requires: tuple[str, ...] = ()) -> Path:
    module, info = name.replace("-", "_"), f"{name.replace('-', '_')}-{version}.dist-info"
    metadata = f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"
    metadata += "".join(f"Requires-Dist: {requirement}\n" for requirement in requires)
    files = {
        f"{module}/__init__.py": f"VERSION = {version!r}\n",
        f"{info}/METADATA": metadata,
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    record = f"{info}/RECORD"
    lines = [f"{path},," for path in files] + [f"{record},,"]
    wheel = folder / f"{module}-{version}-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        for path, text in files.items():
            archive.writestr(path, text)
        archive.writestr(record, "\n".join(lines) + "\n")
    return wheel


def git(folder: Path, *command: str) -> str:
    identity = ("-c", "user.name=Test", "-c", "user.email=test@example.org", "-c", "commit.gpgsign=false")
    done = subprocess.run(
        ["git", *identity, *command], cwd=folder, check=True, capture_output=True, text=True
    )
    return done.stdout.strip()


@pytest.fixture(scope="session")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of wheels that is the whole package index of these tests."""
    folder = tmp_path_factory.mktemp("wheels")
    for version in ("1.0", "2.0"):
        build_wheel(folder, "torch", version)
        build_wheel(folder, "shared-lib", version)
    build_wheel(folder, "engine-part", "1.0", ("shared-lib<2",))
    build_wheel(folder, "tiny-extra", "1.0")
    build_wheel(folder, "tiny-extra", "2.0")
    build_wheel(folder, "needs-extra", "1.0", ("tiny-extra>=1", "shared-lib"))
    return folder


@pytest.fixture(autouse=True)
def offline(monkeypatch: pytest.MonkeyPatch, wheels: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    """uv sees our wheels and nothing else, not even what it has cached: a torch of this name is real too."""
    cache = tmp_path_factory.getbasetemp() / "uv-cache"
    monkeypatch.delenv("PIP_FIND_LINKS", raising=False)
    monkeypatch.setenv("UV_FIND_LINKS", str(wheels))
    monkeypatch.setenv("UV_OFFLINE", "1")
    monkeypatch.setenv("UV_CACHE_DIR", str(cache))


@pytest.fixture(scope="session")
def base_python(tmp_path_factory: pytest.TempPathFactory, wheels: Path) -> Path:
    """An interpreter with torch 1.0, shared-lib 1.0 and engine-part 1.0 beside it."""
    venv = tmp_path_factory.mktemp("base") / "venv"
    tool = uv.find_uv_bin()
    python = venv / "bin" / "python"
    subprocess.run([tool, "venv", "-q", "--no-config", str(venv)], check=True)
    install = [tool, "pip", "install", "-q", "--no-config", "--no-index", "--find-links", str(wheels)]
    subprocess.run(
        [*install, "--python", str(python), "torch==1.0", "shared-lib==1.0", "engine-part==1.0"], check=True
    )
    return python


@pytest.fixture
def home(tmp_path: Path, base_python: Path) -> Home:
    home = open_home(tmp_path / "home")
    add_base(home, "default", base_python)
    return home


@pytest.fixture
def base(home: Home) -> Base:
    from workstation.bases import read_base

    return read_base(home, "default")


@pytest.fixture
def engine_source(tmp_path: Path) -> Path:
    """The stand-in engine, as a folder that is given by path."""
    folder = tmp_path / "standin"
    folder.mkdir()
    (folder / "main.py").write_bytes(STANDIN.read_bytes())
    return folder


@pytest.fixture
def project(home: Home, engine_source: Path) -> Project:
    from workstation.engines import EngineChoice

    return create_project(home, "one", EngineChoice("comfyui", str(engine_source)))


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A plugin in a git repository: tag v1, then branch main one commit further, and a branch named next."""
    folder = tmp_path / "repositories" / "My-Plugin"
    folder.mkdir(parents=True)
    git(folder, "init", "-q", "-b", "main")
    for number in (1, 2):
        (folder / "__init__.py").write_text(
            f"NODE_CLASS_MAPPINGS = {{'Stamp': object}}\nVERSION = {number}\n"
        )
        git(folder, "add", ".")
        git(folder, "commit", "-q", "-m", f"version {number}")
        if number == 1:
            git(folder, "tag", "v1")
    git(folder, "branch", "next")
    return folder


@pytest.fixture
def run_git() -> Callable[..., str]:
    return git


@pytest.fixture
def make_wheel() -> MakeWheel:
    return build_wheel
