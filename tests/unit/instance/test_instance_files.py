"""spec.json, state.json and engine.json: whole or refused by name."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from online_runtime.instance.errors import SpecTooNew, SpecUnreadable
from online_runtime.instance.spec import InstanceFolder, InstanceReport, InstanceSpec, InstanceState, Mount
from online_runtime.instance.started_engine import StartedEngine, read_started, write_started
from online_runtime.instance.state_file import AgentState, read_state, write_state
from online_runtime.instance.view import read_spec
from workstation.identity import ProcessIdentity

SPEC = InstanceSpec(
    instance_id="i-1",
    service="demo",
    deployment=1,
    snapshot_id="s",
    snapshot_number=1,
    token="secret",
    workstation="/home/w",
    mounts=(Mount("engine", "/store/views/e", "/home/w/engine"), Mount("base", "/store/views/b", "/base/sp")),
    models="/models",
    input="/input",
    base_site_packages="/base/sp",
)


def folder_with(tmp_path: Path, **changes: object) -> InstanceFolder:
    folder = InstanceFolder(tmp_path)
    folder.spec.write_text(json.dumps({**json.loads(SPEC.to_json()), **changes}))
    return folder


def test_a_good_spec_is_read_as_it_was_written(tmp_path: Path) -> None:
    assert read_spec(folder_with(tmp_path)) == SPEC


@pytest.mark.parametrize(
    "changes",
    [
        {"workstation": "relative"},
        {"models": "/models/../etc"},
        {"input": "/"},
        {"mounts": [{"component": "x", "source": "/s", "place": "/etc"}]},
        {"mounts": [{"component": "x", "source": "/s", "place": "/home/w"}]},
        {"mounts": [{"component": "x", "source": "/s", "place": "/home/w/../v"}]},
        {"mounts": [{"component": "x"}]},
        {"unknown": 1},
    ],
)
def test_a_spec_with_a_path_that_leaves_its_root_is_refused(
    tmp_path: Path, changes: dict[str, object]
) -> None:
    with pytest.raises(SpecUnreadable):
        read_spec(folder_with(tmp_path, **changes))


def test_a_spec_of_a_newer_format_is_refused_before_anything_else_is_read(tmp_path: Path) -> None:
    with pytest.raises(SpecTooNew):
        read_spec(folder_with(tmp_path, format=2, mounts="something else by then"))


@pytest.mark.parametrize("text", ["", "{", "[]", "null"])
def test_a_damaged_spec_is_refused(tmp_path: Path, text: str) -> None:
    folder = InstanceFolder(tmp_path)
    folder.spec.write_text(text)
    with pytest.raises(SpecUnreadable):
        read_spec(folder)


def test_a_state_comes_back_as_written_without_the_token(tmp_path: Path) -> None:
    folder = InstanceFolder(tmp_path)
    report = InstanceReport("i-1", "secret", "s", InstanceState.FAILED, None, None, 0, 0, 2, "copy")
    agent, engine = ProcessIdentity(5, 6, "boot"), ProcessIdentity(7, 8, "boot")
    write_state(folder, AgentState(agent, "http://127.0.0.1:1", engine, report))
    state = read_state(folder)
    assert state is not None
    assert (state.agent, state.engine) == (agent, engine)
    assert state.final is not None
    assert (state.final.state, state.final.token) == (InstanceState.FAILED, "")
    assert "secret" not in folder.state.read_text()


@pytest.mark.parametrize("text", ["{", "{}", '{"pid": 1}'])
def test_a_damaged_state_is_an_error_and_not_an_absent_one(tmp_path: Path, text: str) -> None:
    folder = InstanceFolder(tmp_path)
    assert read_state(folder) is None
    folder.state.write_text(text)
    with pytest.raises(ValueError):
        read_state(folder)


def test_what_boot_said_comes_back(tmp_path: Path) -> None:
    folder = InstanceFolder(tmp_path)
    assert read_started(folder) is None
    started = StartedEngine(8188, ProcessIdentity(7, 8, "boot"), "namespace")
    write_started(folder, started)
    assert read_started(folder) == started
