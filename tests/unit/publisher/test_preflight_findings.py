"""The findings of preflight, one by one."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from online_runtime.instance.spec import Mount
from publisher.configuration import Configuration
from publisher.deployment import Level
from publisher.expectations import check_machine, compare_machines
from publisher.preparing import expected_plugins
from publisher.room import Plan, check_disk, choose_way
from publisher.settings import Settings
from publisher.snapshots import MissingModel, View
from publisher.states import DeploymentState as S
from tests.fakes.publishing import FakeSnapshots, Stage

HERE = {
    "platform": {"system": "Linux", "machine": "x86_64", "libc": "glibc 2.36"},
    "nvidia": {"gpus": [{"name": "A", "driver_version": "550.54", "memory.total": "24564"}]},
}


def plan(**values: Any) -> Plan:
    asked = {"instances_wanted": 1, "slots": 1, "taken_by": {}, "own_instances": 0, "reference": None}
    return Plan("demo", **{**asked, "smoke_workflow": None, **values})  # type: ignore[arg-type]  # fields by name


@pytest.mark.parametrize(
    ("values", "way"),
    [
        ({}, "surge"),
        ({"taken_by": {0: "a"}, "old_instances": 1}, "in-place"),
        ({"taken_by": {0: "a"}, "old_instances": 1, "rotation": "surge"}, None),
        ({"taken_by": {0: "a"}}, None),
        ({"slots": 2, "taken_by": {0: "a"}, "old_instances": 1, "rotation": "in-place"}, "in-place"),
        ({"slots": 2, "taken_by": {0: "a"}, "old_instances": 1, "instances_wanted": 3}, None),
    ],
)
def test_the_way_of_rotating_follows_the_slots_and_the_configuration(
    values: dict[str, Any], way: str | None
) -> None:
    chosen = choose_way(plan(**values))
    assert (chosen.rotation if chosen else None) == way


@pytest.mark.parametrize(
    ("there", "refused", "warned"),
    [
        (HERE, 0, 0),
        ({}, 0, 0),
        ({"platform": {"machine": "aarch64"}}, 1, 0),
        ({"platform": {"libc": "glibc 2.39"}}, 0, 1),
        ({"nvidia": {"gpus": [{"driver_version": "570.1", "memory.total": "24564"}]}}, 0, 1),
        ({"nvidia": {"gpus": [{"driver_version": "550.1", "memory.total": "81559"}]}}, 0, 1),
    ],
)
def test_a_snapshot_of_another_machine_is_refused_or_warned_of_by_what_differs(
    there: dict[str, Any], refused: int, warned: int
) -> None:
    refusals, warnings = compare_machines(there, HERE)
    assert (len(refusals), len(warnings)) == (refused, warned)


def test_a_snapshot_from_a_gpu_is_refused_where_there_is_none() -> None:
    refusals, _ = compare_machines(HERE, {"nvidia": {"gpus": []}})
    assert refusals == ["it had A, here no GPU answers"]


def test_a_snapshot_that_is_not_there_is_not_compared(tmp_path: Path) -> None:
    stage = Stage(tmp_path / "home")
    found = check_machine(plan(reference="7"), stage.home, dict)
    assert (found.level, "Not compared" in found.sentence) == (Level.OK, True)


def test_room_on_disk_counts_what_will_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stage = Stage(tmp_path / "home")
    engine = stage.home.project("demo").workstation.engine
    engine.mkdir(parents=True)
    with (engine / "large").open("wb") as large:
        large.truncate(3_000_000_000)
    usage = (10**13, 10**13 - 10**9, 10**9)
    monkeypatch.setattr("publisher.room.shutil.disk_usage", lambda _: type("U", (), {"free": usage[2]}))
    found = check_disk(plan(), stage.home, Settings(disk_room_bytes=0))
    assert (found.level, "3.0 GB are wanted" in found.sentence) == (Level.REFUSAL, True)
    assert check_disk(plan(reference="1"), stage.home, Settings(disk_room_bytes=0)).level is Level.OK


def test_models_that_saved_workflows_name_are_told_before_anything_is_changed(tmp_path: Path) -> None:
    """Fault 31."""
    stage = Stage(tmp_path / "home")
    folder = stage.home.project("demo").workstation.workflows
    folder.mkdir(parents=True)
    (folder / "face.json").write_text(json.dumps({"1": {"class_type": "X", "inputs": {}}}))
    stage.workstations.models = [MissingModel("loras", "face.safetensors")]
    record = stage.deployed(accept=["models"])
    found = next(finding for finding in record.deployment.findings if finding.name == "models")
    assert "face.safetensors in models/loras (face.json)" in found.sentence
    assert (found.level, found.accepted_by) == (Level.WARNING, "ana")
    assert record.deployment.state is S.SUCCEEDED


class PluginSnapshots(FakeSnapshots):
    """Its snapshots hold plugins as folders and files, some of them switched off."""

    def view(self, project: str, snapshot_id: str) -> View:
        root = self._file.parent / "custom_nodes"
        for name in ("stamp", "off.disabled", ".hidden"):
            (root / name).mkdir(parents=True, exist_ok=True)
        for name in ("single.py", "notes.md"):
            (root / name).touch()
        mounts = (Mount(f"custom_nodes/{p.name}", str(p), f"/w/{p.name}") for p in sorted(root.iterdir()))
        return View("/w", tuple(mounts), None, None)


def staged(tmp_path: Path) -> Stage:
    stage = Stage(tmp_path / "home")
    object.__setattr__(stage.machinery, "snapshots", PluginSnapshots(stage.home.root))
    return stage


def imported(*names: str) -> list[dict[str, Any]]:
    return [{"name": n, "ok": True, "seconds": 0.1, "error": "", "traceback": ""} for n in names]


def test_a_plugin_of_the_snapshot_that_the_candidate_does_not_report_fails_by_name(tmp_path: Path) -> None:
    stage = staged(tmp_path)
    stage.driver.behave(plugins=imported("single"))
    record = stage.deployed()
    assert record.deployment.expected_plugins == ("single", "stamp")
    assert record.deployment.state is S.FAILED
    assert "Plugin stamp does not import" in record.error
    assert "did not report it" in record.error
    stage.driver.behave(plugins=imported("single", "stamp"))
    assert stage.deployed().deployment.state is S.SUCCEEDED


def test_an_engine_told_to_load_no_plugins_is_not_asked_for_any(tmp_path: Path) -> None:
    stage = staged(tmp_path)
    record = stage.deployed(configuration_changes={"arguments": ["--disable-all-custom-nodes"]})
    assert record.deployment.state is S.SUCCEEDED
    assert expected_plugins(stage.machinery, record.deployment, "x") == ()


def test_another_rotation_is_no_other_service() -> None:
    assert Configuration(rotation="in-place").launches_as(Configuration())
    assert not Configuration(hold_seconds=1).launches_as(Configuration())
