"""Commands ask the running web door with the key that only the home's owner can read."""

from __future__ import annotations

import stat
import subprocess
import sys
from pathlib import Path

import pytest

from tests.running_platform import Platform, running
from web.local_key import authorization


@pytest.fixture(scope="module")
def platform(tmp_path_factory: pytest.TempPathFactory):
    with running(tmp_path_factory.mktemp("local")) as platform:
        yield platform


def asked(platform: Platform, key: str) -> int:
    return platform.ask("GET", f"{platform.record()['url']}/api/v1/projects", None, key)[0]


@pytest.mark.slow
def test_the_homes_own_key_opens_the_door_and_another_one_does_not(platform: Platform) -> None:
    run = platform.home / "run"
    assert asked(platform, authorization(run, "ana")) == 200
    assert asked(platform, "Local another ana") == 401
    assert asked(platform, f"Local {(run / 'door.key').read_text()}") == 401  # somebody has to be named


@pytest.mark.slow
def test_only_the_owner_of_the_home_can_read_the_key(platform: Platform) -> None:
    assert stat.S_IMODE((platform.home / "run" / "door.key").stat().st_mode) == 0o600


@pytest.mark.slow
def test_what_the_door_refuses_has_the_exit_code_and_the_sentence_of_the_error(platform: Platform) -> None:
    platform.cli("project", "create", "empty", "--engine", str(engine(platform.home.parent)))
    refused = platform.cli("deploy", "empty", "--snapshot", "77", "--json", code=4).value
    assert refused["type"].endswith("snapshot-not-found")
    assert "77" in refused["detail"]


def engine(folder: Path) -> Path:
    checkout = folder / "engine"
    checkout.mkdir(exist_ok=True)
    (checkout / "main.py").write_text("")
    return checkout


def test_following_a_deployment_imports_neither_database_nor_broker() -> None:
    looks = (
        "import sys, web.cli.deploy, web.cli.progress; print(*{'sqlalchemy', 'celery'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", looks], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""
