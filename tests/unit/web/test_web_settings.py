"""Settings at the door."""

from __future__ import annotations

import json
import stat
from pathlib import Path

import pytest

from publisher.worker import read_settings as read_handed_over
from web.errors import BadSetting, UnknownSetting
from web.settings import hand_over, home_path, read_settings


def test_defaults_hold_when_nothing_is_set(tmp_path: Path) -> None:
    chosen = read_settings(tmp_path, {})
    assert (chosen.platform.bake_seconds, chosen.platform.slots) == (60.0, None)


def test_a_variable_wins_over_the_file(tmp_path: Path) -> None:
    (tmp_path / "settings.toml").write_text('bake_seconds = 5\nslots = 2\nhosts = ["studio.lan"]\n')
    chosen = read_settings(tmp_path, {"STILLFRAME_BAKE_SECONDS": "1.5", "STILLFRAME_HOME": "/elsewhere"})
    assert (chosen.platform.bake_seconds, chosen.platform.slots) == (1.5, 2)
    assert chosen.door.hosts == ("studio.lan",)


@pytest.mark.parametrize(
    ("file", "variables"), [("bake_secondz = 5", {}), ("", {"STILLFRAME_BAKE_SECONDZ": "5"})]
)
def test_an_unknown_key_is_refused_with_its_name_and_an_example(
    tmp_path: Path, file: str, variables: dict[str, str]
) -> None:
    (tmp_path / "settings.toml").write_text(file)
    with pytest.raises(UnknownSetting) as refused:
        read_settings(tmp_path, variables)
    assert "bake_secondz" in str(refused.value)
    assert "bake_seconds = 60.0" in str(refused.value)


@pytest.mark.parametrize(
    "line",
    ['bake_seconds = "soon"', "slots = 1.5", "slots = true", "bake_seconds = -1", "hosts = [1]", "a = = b"],
)
def test_a_value_of_the_wrong_kind_is_refused(tmp_path: Path, line: str) -> None:
    (tmp_path / "settings.toml").write_text(line)
    with pytest.raises(BadSetting) as refused:
        read_settings(tmp_path, {})
    assert str(tmp_path / "settings.toml") in str(refused.value)


def test_the_worker_reads_what_the_door_handed_over(tmp_path: Path) -> None:
    chosen = read_settings(
        tmp_path, {"STILLFRAME_SLOTS": "3", "STILLFRAME_DATABASE_URL": "postgresql://u:p@h/d"}
    )
    file = hand_over(tmp_path, chosen.platform)
    assert read_handed_over(file) == chosen.platform
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert json.loads(file.read_text())["slots"] == 3


def test_the_home_is_the_argument_else_the_variable_else_a_folder_here(tmp_path: Path) -> None:
    assert home_path(Path("given"), {"STILLFRAME_HOME": "/other"}) == Path.cwd() / "given"
    assert home_path(None, {"STILLFRAME_HOME": "/other"}) == Path("/other")
    assert home_path(None, {}) == Path.cwd() / "stillframe-home"
