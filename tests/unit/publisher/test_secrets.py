"""Secrets: sealed at rest, named by the configuration, opened for instances, lost keys told at once."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from publisher.configurations import Asker
from publisher.db import deployments, services
from publisher.errors import (
    ConfigurationInvalid,
    DeploymentInProgress,
    PublisherError,
    SecretDamaged,
    SecretKeyMissing,
    SecretKeyUnusable,
    SecretNotFound,
    SecretSealedOtherwise,
)
from publisher.keyring import Keyring
from publisher.states import DeploymentState as S
from tests.fakes.publishing import Stage

pytestmark = pytest.mark.slow  # whole deployments

VALUE = "hf_verysecretvalue"
ANA = Asker("ana", "test")


def set_and_deployed(stage: Stage, name: str = "HF_TOKEN", value: str = VALUE) -> None:
    deployment = stage.publisher.configurations.set_secret("demo", name, value, ANA)
    assert deployment is not None
    stage.run(deployment.id)
    assert stage.record().deployment.state is S.SUCCEEDED


def handed(stage: Stage) -> dict[str, str]:
    """What the newest instance's driver was given."""
    return dict(stage.driver.secrets[stage.driver.created()[-1]])


def test_a_secret_is_a_deployment_and_reaches_the_new_instances_only_in_memory(tmp_path: Path) -> None:
    stage = Stage(tmp_path / "home")
    stage.deployed()
    set_and_deployed(stage)
    assert handed(stage) == {"HF_TOKEN": VALUE}
    assert stage.record().deployment.reason == "configuration"
    assert stage.record().configuration["secrets"] == {"HF_TOKEN": 1}
    stage.control.close()
    kept = [file.read_bytes() for file in (tmp_path / "home").rglob("*") if file.is_file()]
    assert kept and not any(VALUE.encode() in content for content in kept)


def test_the_list_shows_names_versions_when_and_who_and_no_value(tmp_path: Path) -> None:
    stage = Stage(tmp_path / "home")
    stage.deployed()
    set_and_deployed(stage)
    set_and_deployed(stage, value="another secret value")
    (one,) = stage.publisher.configurations.secrets("demo")
    assert (one.name, one.version, one.created_by, one.problem) == ("HF_TOKEN", 2, "ana", None)
    assert "value" not in repr(one)


def test_a_first_deployment_has_the_secrets_that_were_set_before_it(tmp_path: Path) -> None:
    stage = Stage(tmp_path / "home")
    assert stage.publisher.configurations.set_secret("demo", "HF_TOKEN", VALUE, ANA) is None
    assert stage.deployed().deployment.state is S.SUCCEEDED
    assert handed(stage) == {"HF_TOKEN": VALUE}


def test_a_failed_deployment_leaves_the_secret_as_it_was(tmp_path: Path) -> None:
    stage = Stage(tmp_path / "home")
    stage.deployed()
    stage.driver.behave("demo-2-", presence="ended")
    deployment = stage.publisher.configurations.set_secret("demo", "HF_TOKEN", VALUE, ANA)
    assert deployment is not None
    stage.run(deployment.id)
    assert stage.record().deployment.state is S.FAILED
    assert stage.publisher.configurations.secrets("demo") == ()


def test_an_earlier_configuration_brings_its_secrets_back(tmp_path: Path) -> None:
    stage = Stage(tmp_path / "home")
    stage.deployed()
    set_and_deployed(stage)
    set_and_deployed(stage, value="the second value")
    removed = stage.publisher.configurations.remove_secret("demo", "HF_TOKEN", ANA)
    assert removed is not None
    stage.run(removed.id)
    assert handed(stage) == {}
    restored = stage.publisher.configurations.restore("demo", 2, ANA)
    assert restored is not None
    stage.run(restored.id)
    assert handed(stage) == {"HF_TOKEN": VALUE}


def test_a_lost_key_fails_the_deployment_with_its_place_and_nothing_else_breaks(tmp_path: Path) -> None:
    stage = Stage(tmp_path / "home")
    stage.deployed()
    set_and_deployed(stage)
    serving = stage.accepting()
    key = tmp_path / "home" / "secret.key"
    key.rename(tmp_path / "kept")
    stage.snapshots.edit("two")
    record = stage.deployed()
    assert record.deployment.state is S.FAILED
    assert str(key) in record.error
    (refusal,) = [f for f in record.deployment.findings if f.name == "secrets"]
    assert refusal.level == "refusal" and str(key) in refusal.sentence
    assert stage.accepting() == serving
    (one,) = stage.publisher.configurations.secrets("demo")
    assert one.problem is not None and str(key) in one.problem
    with pytest.raises(SecretKeyMissing):  # a new key would hide that the old one is lost
        stage.publisher.configurations.set_secret("demo", "OTHER", VALUE, ANA)
    (tmp_path / "kept").rename(key)
    assert stage.deployed().deployment.state is S.SUCCEEDED


def test_a_wrong_key_is_told_from_damage_and_from_a_value_of_another_place(tmp_path: Path) -> None:
    mine, other = Keyring(tmp_path / "a"), Keyring(tmp_path / "b")
    mine.make()
    other.make()
    sealed = mine.seal("X", "demo/X", VALUE)
    assert mine.open("X", "demo/X", sealed) == VALUE
    with pytest.raises(SecretSealedOtherwise):
        other.open("X", "demo/X", sealed)
    for damaged in (sealed[:-8] + "AAAAAAA=", "nonsense", sealed.replace("v1", "v9")):
        with pytest.raises(SecretDamaged):
            mine.open("X", "demo/X", damaged)
    with pytest.raises(SecretDamaged):
        mine.open("X", "elsewhere/X", sealed)


def test_a_key_that_others_may_read_or_that_is_none_is_refused(tmp_path: Path) -> None:
    keyring = Keyring(tmp_path / "key")
    keyring.make()
    assert keyring.file.stat().st_mode & 0o777 == 0o600
    keyring.file.chmod(0o640)
    with pytest.raises(SecretKeyUnusable, match="chmod 600"):
        keyring.seal("X", "demo/X", VALUE)
    keyring.file.chmod(0o600)
    keyring.file.write_text("short")
    with pytest.raises(SecretKeyUnusable):
        keyring.seal("X", "demo/X", VALUE)


def test_making_a_key_never_replaces_one(tmp_path: Path) -> None:
    keyring = Keyring(tmp_path / "key")
    keyring.make()
    before = keyring.file.read_bytes()
    keyring.make()
    assert keyring.file.read_bytes() == before
    assert [file.name for file in tmp_path.iterdir()] == ["key"]


def test_the_same_value_sealed_twice_looks_different(tmp_path: Path) -> None:
    keyring = Keyring(tmp_path / "key")
    keyring.make()
    assert keyring.seal("X", "demo/X", VALUE) != keyring.seal("X", "demo/X", VALUE)


@pytest.mark.parametrize(
    ("name", "value", "field"),
    [
        ("PYTHONPATH", VALUE, "secrets"),
        ("STILLFRAME_X", VALUE, "secrets"),
        ("NOT-A-NAME", VALUE, "secrets"),
        ("X", "abc", "secrets.X"),
        ("X", "a" * 40_000, "secrets.X"),
        ("X", "null\0byte", "secrets.X"),
    ],
)
def test_a_name_or_value_that_cannot_be_is_refused_with_the_field_and_without_the_value(
    tmp_path: Path, name: str, value: str, field: str
) -> None:
    stage = Stage(tmp_path / "home")
    with pytest.raises(ConfigurationInvalid) as refusal:
        stage.publisher.configurations.set_secret("demo", name, value, ANA)
    assert refusal.value.field.startswith(field)
    assert value not in str(refusal.value)
    assert stage.publisher.services() == ()


def test_one_name_is_a_variable_or_a_secret_and_never_both(tmp_path: Path) -> None:
    stage = Stage(tmp_path / "home")
    stage.deployed(configuration_changes={"environment": {"HF_TOKEN": "plain"}})
    with pytest.raises(ConfigurationInvalid, match="HF_TOKEN"):
        stage.publisher.configurations.set_secret("demo", "HF_TOKEN", VALUE, ANA)


def test_a_plain_change_of_configuration_cannot_name_a_secret(tmp_path: Path) -> None:
    stage = Stage(tmp_path / "home")
    stage.deployed()
    for changes in ({"secrets": {"X": 1}}, {"secrets.X": 1}):
        with pytest.raises(ConfigurationInvalid, match="service secret set"):
            stage.publisher.configure("demo", changes, by="ana", source="test")
        with pytest.raises(ConfigurationInvalid, match="service secret set"):
            stage.deploy(configuration_changes=changes)


def test_removing_what_is_not_there_names_what_is(tmp_path: Path) -> None:
    stage = Stage(tmp_path / "home")
    stage.deployed()
    set_and_deployed(stage)
    with pytest.raises(SecretNotFound, match="HF_TOKEN"):
        stage.publisher.configurations.remove_secret("demo", "OTHER", ANA)


def test_a_secret_set_during_a_deployment_is_refused_and_nothing_is_sealed(tmp_path: Path) -> None:
    stage = Stage(tmp_path / "home")
    stage.deployed()
    stage.deploy()
    with pytest.raises(DeploymentInProgress):
        stage.publisher.configurations.set_secret("demo", "HF_TOKEN", VALUE, ANA)
    stage.control.close()
    with sqlite3.connect(tmp_path / "home" / "control.db") as database:
        assert database.execute("select count(*) from secrets").fetchone() == (0,)


def test_a_version_that_is_not_stored_is_never_left_out_silently(tmp_path: Path) -> None:
    stage = Stage(tmp_path / "home")
    stage.deployed()
    set_and_deployed(stage)
    with stage.control.write() as tx:
        service = services.read(tx, "demo")
        side = deployments.side(tx, service.serving_deployment_id)
        assert side is not None
        from publisher.configuration import read_configuration
        from publisher.secrets import opened

        configuration = read_configuration({"secrets": {"HF_TOKEN": 7}})
        with pytest.raises(SecretDamaged) as problem:
            opened(tx, Keyring.of(stage.home, stage.settings), service, configuration)
    assert isinstance(problem.value, PublisherError)
