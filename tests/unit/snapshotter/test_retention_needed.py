"""Fault 29: which snapshots the online side needs, on a real control database with a fake driver."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from online_runtime.instance.errors import SpecUnreadable
from publisher.retention import needed_snapshots, views_in_use
from tests.fakes.publishing import Stage
from workstation.layout import Home

pytestmark = pytest.mark.slow  # whole deployments


@pytest.fixture
def stage(tmp_path: Path) -> Stage:
    return Stage(tmp_path / "home")


def deployed(stage: Stage, *contents: str) -> None:
    for content in contents:
        stage.snapshots.edit(content)
        stage.deployed()


def of(content: str) -> str:
    return f"snapshot-of-{content}"


def test_nothing_is_needed_before_anything_was_deployed(stage: Stage) -> None:
    assert needed_snapshots(stage.control, "demo") == {}


def test_what_serves_runs_and_lately_succeeded_is_needed_and_every_reason_is_told(stage: Stage) -> None:
    deployed(stage, "one", "two", "three")
    needed = needed_snapshots(stage.control, "demo", keep_last=2)
    assert {of("three"), of("two")} <= set(needed)
    assert "demo serves it (deployment 3)" in needed[of("three")]
    assert "instance demo-3-1" in needed[of("three")] and "runs it" in needed[of("three")]
    assert "deployment 2 succeeded with it, one of the last 2" in needed[of("two")]
    assert "succeeded" not in needed.get(of("one"), "")


def test_an_old_success_is_needed_no_more(stage: Stage) -> None:
    deployed(stage, "one", "two", "three")
    stage.publisher.stop_service("demo")
    for instance in stage.publisher.instances("demo"):
        with stage.control.write() as tx:
            from publisher.db import instances

            instances.change(tx, [instance.id], stopped_at=stage.clock())
    assert of("one") not in needed_snapshots(stage.control, "demo", keep_last=1)
    assert of("one") in needed_snapshots(stage.control, "demo", keep_last=3)


def test_an_active_deployment_needs_its_snapshot_the_one_before_and_one_being_frozen(stage: Stage) -> None:
    deployed(stage, "one", "two")
    stage.deploy(snapshot="1")
    needed = needed_snapshots(stage.control, "demo", keep_last=0)
    assert "deployment 3 is queued with it" in needed[of("one")]
    assert "deployment 3 may return to it" in needed[of("two")]
    stage.run(3)
    stage.snapshots.edit("three")
    stage.deploy()  # It will freeze: nobody knows the snapshot's id before that.
    needed = needed_snapshots(stage.control, "demo", keep_last=0, newest=of("three"))
    assert "deployment 4 is queued with it" in needed[of("three")]


def test_the_views_of_instance_folders_are_in_use_also_when_the_database_forgot_them(tmp_path: Path) -> None:
    home = Home(tmp_path)
    assert views_in_use(home) == frozenset()
    folder = home.instances / "demo-1-1"
    folder.mkdir(parents=True)
    mounts = [{"component": "engine", "source": "/h/store/views/abc", "place": "/w/engine"}]
    (folder / "spec.json").write_text(json.dumps({"mounts": mounts}))
    assert views_in_use(home) == {"abc"}
    (folder / "spec.json").write_text("{")
    with pytest.raises(SpecUnreadable):  # Then nothing may be collected.
        views_in_use(home)
