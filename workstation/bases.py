"""Named bases: which interpreter, which packages, and a fingerprint that changes when a package does."""

from __future__ import annotations

import hashlib
import json
import platform
import subprocess
import sys
import sysconfig
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from workstation.atomic import write_text
from workstation.dependencies.inventory import Distribution, record_digest, visible_distributions
from workstation.errors import BaseNotFound, BaseUnusable
from workstation.layout import Home, check_name

DEFAULT = "default"
FORMAT = 1
_ASK_LIMIT_SECONDS = 60  # an interpreter on a cold network disk
_ASK = (
    "import json, platform, sysconfig; "
    "print(json.dumps([platform.python_version(), sysconfig.get_path('purelib')]))"
)


@dataclass(frozen=True)
class Base:
    """An interpreter and its installed packages. `distributions` maps normalised names to versions."""

    name: str
    python: Path
    site_packages: Path
    python_version: str
    fingerprint: str
    distributions: Mapping[str, str]


def fingerprint(site_packages: Path) -> str:
    """SHA-256 over name, version and RECORD digest of each distribution that a workstation would see there.

    Reads the RECORD files only (about 10 ms for torch and a hundred others); imports nothing.
    """
    return _fingerprint(visible_distributions(site_packages))


def _fingerprint(distributions: Mapping[str, Distribution]) -> str:
    digest = hashlib.sha256()
    for name, distribution in sorted(distributions.items()):
        digest.update(f"{name}=={distribution.version} {record_digest(distribution)}\n".encode())
    return digest.hexdigest()


def ensure_default_base(home: Home) -> Base:
    """The base named "default": the interpreter that runs this program, and what is installed beside it."""
    site_packages = Path(sysconfig.get_path("purelib"))
    return _record(home, DEFAULT, Path(sys.executable), site_packages, platform.python_version())


def add_base(home: Home, name: str, python: Path) -> Base:
    """Record the environment of interpreter `python` as base `name`, in place of an older record.

    Raises BadName, or BaseUnusable when the interpreter does not answer.
    """
    check_name(name, of="base")
    python = python.absolute()  # not resolved: the link in a virtual environment is what names its packages
    version, site_packages = _ask(name, python)
    return _record(home, name, python, Path(site_packages), version)


def read_base(home: Home, name: str) -> Base:
    """The base `name` as it is installed now. Raises BaseNotFound or BaseUnusable."""
    file = home.base(name) / "base.toml"
    if not file.is_file():
        if name == DEFAULT:
            return ensure_default_base(home)
        raise BaseNotFound(name, list_bases(home))
    values = tomllib.loads(file.read_text(encoding="utf-8"))
    python = Path(values["python"])
    if not python.exists():
        raise BaseUnusable(name, python, "its interpreter is gone")
    return _look(name, python, Path(values["site_packages"]), values["python_version"])


def list_bases(home: Home) -> list[str]:
    """The names of the recorded bases."""
    return sorted(file.parent.name for file in home.bases.glob("*/base.toml"))


def _ask(name: str, python: Path) -> tuple[str, str]:
    try:
        answer = subprocess.run(
            [str(python), "-I", "-c", _ASK],
            capture_output=True,
            text=True,
            timeout=_ASK_LIMIT_SECONDS,
            check=True,
        )
        version, site_packages = json.loads(answer.stdout)
    except (OSError, subprocess.SubprocessError, ValueError) as error:
        raise BaseUnusable(name, python, f"it does not answer as a Python interpreter ({error})") from error
    return version, site_packages


def _look(name: str, python: Path, site_packages: Path, version: str) -> Base:
    if not site_packages.is_dir():
        raise BaseUnusable(name, python, f"its packages are not in {site_packages}")
    distributions = visible_distributions(site_packages)
    versions = {name: distribution.version for name, distribution in distributions.items()}
    return Base(name, python, site_packages, version, _fingerprint(distributions), versions)


def _record(home: Home, name: str, python: Path, site_packages: Path, version: str) -> Base:
    import tomli_w

    base = _look(name, python, site_packages, version)
    facts = {
        "format": FORMAT,
        "name": name,
        "python": str(python),
        "site_packages": str(site_packages),
        "python_version": version,
        "fingerprint": base.fingerprint,
        "distributions": dict(base.distributions),
    }
    text = tomli_w.dumps(facts)
    folder = home.base(name)
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / "base.toml"
    if not file.is_file() or file.read_text(encoding="utf-8") != text:
        write_text(file, text)
    return base
