"""Versions of configurations: listed, compared field by field, gone back to by a deployment."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from publisher.configuration import changes_to, merge, read_configuration
from publisher.configurations import Asker, FieldChange, difference
from publisher.errors import ConfigurationInvalid, ConfigurationNotFound, DeploymentInProgress
from publisher.states import DeploymentState as S
from tests.fakes.publishing import Stage

pytestmark = pytest.mark.slow  # whole deployments

ANA = Asker("ana", "test", "why")

documents = st.fixed_dictionaries(
    {},
    optional={
        "arguments": st.lists(st.sampled_from(["--lowvram", "--fast"]), min_size=1, max_size=2),
        "environment": st.dictionaries(st.sampled_from(["A", "B"]), st.text("xy", max_size=2), min_size=1),
        "secrets": st.dictionaries(st.sampled_from(["S", "T"]), st.integers(1, 3), min_size=1),
        "network": st.just("off"),
        "archive": st.fixed_dictionaries({}, optional={"days": st.just(3.0), "bytes": st.just(2**21)}),
        "health": st.fixed_dictionaries({}, optional={"passes": st.integers(1, 5), "failures": st.just(2)}),
        "bake_seconds": st.sampled_from([0.0, 5.0]),
        "hold_calls": st.integers(0, 9),
    },
)


@given(documents, documents)
def test_the_changes_between_two_configurations_make_the_one_of_the_other(
    old: dict[str, Any], new: dict[str, Any]
) -> None:
    before, after = read_configuration(old), read_configuration(new)
    assert merge(before, changes_to(before, after)) == after
    assert (changes_to(before, after) == {}) == (before == after)
    assert (difference(before.document(), after.document()) == ()) == (before == after)


def test_the_difference_goes_field_by_field_and_of_secrets_only_that_they_differ() -> None:
    old = {"health": {"passes": 3}, "secrets": {"A": 1, "B": 1}, "environment": {"X": "1"}, "network": "off"}
    new = {"health": {"passes": 5}, "secrets": {"B": 2, "C": 1}, "environment": {"X": "1", "Y": "2"}}
    assert difference(old, new) == (
        FieldChange("environment.Y", None, "2"),
        FieldChange("health.passes", 3, 5),
        FieldChange("network", "off", None),
        FieldChange("secrets.A", "set", None),
        FieldChange("secrets.B", "set", "changed"),
        FieldChange("secrets.C", None, "set"),
    )


def test_every_version_stays_and_says_which_one_serves(tmp_path: Path) -> None:
    stage = Stage(tmp_path / "home")
    stage.deployed(configuration_changes={"bake_seconds": 1})
    changed = stage.publisher.configurations.change("demo", {"bake_seconds": 2, "hold_calls": 7}, ANA)
    assert changed is not None
    stage.run(changed.id)
    newest, oldest = stage.publisher.configurations.versions("demo")
    assert (newest.version, newest.serving, newest.wanted, newest.created_by) == (2, True, True, "ana")
    assert (oldest.version, oldest.serving, oldest.wanted) == (1, False, False)
    assert [c.field for c in stage.publisher.configurations.difference("demo", 1, 2)] == [
        "bake_seconds",
        "hold_calls",
    ]


def test_going_back_is_a_deployment_of_the_same_snapshot_with_a_new_version(tmp_path: Path) -> None:
    stage = Stage(tmp_path / "home")
    first = stage.deployed(configuration_changes={"environment": {"A": "1"}, "health": {"passes": 2}})
    changed = stage.publisher.configurations.change(
        "demo", {"environment": {"B": "2"}, "health": {"passes": None, "failures": 9}}, ANA
    )
    assert changed is not None
    stage.run(changed.id)
    restored = stage.publisher.configurations.restore("demo", 1, ANA)
    assert restored is not None
    stage.run(restored.id)
    record = stage.record()
    assert (record.deployment.state, record.deployment.note) == (S.SUCCEEDED, "why")
    assert record.configuration == first.configuration
    assert record.deployment.snapshot_id == first.deployment.snapshot_id
    assert [one.version for one in stage.publisher.configurations.versions("demo")] == [3, 2, 1]


def test_a_version_that_is_not_there_is_refused_with_the_latest_one(tmp_path: Path) -> None:
    stage = Stage(tmp_path / "home")
    stage.deployed()
    with pytest.raises(ConfigurationNotFound, match="its latest is 1"):
        stage.publisher.configurations.restore("demo", 7, ANA)


def test_going_back_during_a_deployment_is_refused(tmp_path: Path) -> None:
    stage = Stage(tmp_path / "home")
    stage.deployed()
    stage.deploy()
    with pytest.raises(DeploymentInProgress):
        stage.publisher.configurations.restore("demo", 1, ANA)


def test_a_new_archive_limit_is_no_reason_to_start_instances_anew(tmp_path: Path) -> None:
    stage = Stage(tmp_path / "home")
    stage.deployed()
    changed = stage.publisher.configurations.change("demo", {"archive": {"days": 3}}, ANA)
    assert changed is not None
    stage.run(changed.id)
    assert len(stage.driver.created()) == 1
    assert stage.publisher.configurations.versions("demo")[0].wanted


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"unknown_key": 1}, "unknown_key"),
        ({"bake_seconds": -1}, "bake_seconds"),
        ({"drain": {"soft_seconds": 9, "hard_seconds": 3}}, "drain"),
        ({"network": "closed"}, "network"),
        ({"network": "loopback"}, "configuration"),
        ({"network": "loopback", "network_ports": [0]}, "network_ports"),
        ({"network_ports": [11434]}, "configuration"),
        ({"archive": {"days": 0}}, "archive.days"),
        ({"archive": {"bytes": 5}}, "archive.bytes"),
        ({"arguments": ["--port=1"]}, "arguments"),
        ({"environment": {"PYTHONPATH": "/tmp"}}, "environment"),
        ({"environment": {"CUDA_VISIBLE_DEVICES": "7"}}, "environment"),
    ],
)
def test_a_value_that_cannot_be_is_refused_with_its_field(
    tmp_path: Path, changes: dict[str, Any], field: str
) -> None:
    stage = Stage(tmp_path / "home")
    stage.deployed()
    with pytest.raises(ConfigurationInvalid) as refusal:
        stage.publisher.configurations.change("demo", changes, ANA)
    assert refusal.value.field.startswith(field)
    assert len(stage.publisher.configurations.versions("demo")) == 1
