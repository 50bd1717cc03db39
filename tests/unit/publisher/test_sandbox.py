"""What preflight says of networks, of secrets, and of what plugins downloaded."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from online_runtime.instance.layer import Layer
from online_runtime.instance.spec import InstanceFolder, InstanceSpec
from publisher.deployment import Level
from publisher.errors import NotAcceptable
from publisher.preflight import check_acceptable
from publisher.room import Plan
from publisher.sandbox import (
    check_downloads,
    check_network,
    check_secrets,
    network_refusal,
    unprotected,
)
from publisher.states import DeploymentState as S
from tests.contract.drivers.frozen import FrozenHome
from tests.fakes.publishing import Stage
from workstation.layout import Home

PLAN = Plan("demo", 1, 4, {}, 0, None, None)


@pytest.fixture
def home(tmp_path: Path) -> FrozenHome:
    return FrozenHome(Home(tmp_path / "home")).build()


def added(home: FrozenHome, spec: InstanceSpec, name: str, content: str) -> None:
    """A file that an instance wrote into its cache, where its overlay keeps it."""
    cache = next(mount for mount in spec.mounts if mount.component == ".cache")
    layer = Layer(InstanceFolder(home.home.instances / spec.instance_id).layer)
    file = layer.changes(cache) / name
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(content)


def test_what_instances_added_to_their_cache_is_named_and_what_was_frozen_is_not(home: FrozenHome) -> None:
    spec = home.spec()
    home.folder(spec)
    assert check_downloads(PLAN, home.home).level is Level.OK
    added(home, spec, "hub/models--big--one/blob", "weights")
    added(home, spec, "hub/entry", "an entry that was frozen and changed")
    added(home, spec, "hub/.locks/x", "not a download")
    added(home, spec, "hub/empty", "")
    found = check_downloads(PLAN, home.home)
    assert found.level is Level.WARNING
    assert "at first use: hub/models--big--one; each new instance downloads" in found.sentence
    closed = check_downloads(replace(PLAN, network="off"), home.home)
    assert "with network off what needs them will fail" in closed.sentence


def test_other_services_downloads_are_theirs(home: FrozenHome) -> None:
    spec = home.spec(service="other")
    home.folder(spec)
    added(home, spec, "hub/models--big--one/blob", "weights")
    assert check_downloads(PLAN, home.home).level is Level.OK


def test_many_downloads_are_counted(home: FrozenHome) -> None:
    spec = home.spec()
    home.folder(spec)
    for number in range(8):
        added(home, spec, f"hub/models--{number}/blob", "weights")
    assert "models--4 and 3 more" in check_downloads(PLAN, home.home).sentence


def test_a_network_that_can_be_closed_is_fine_and_an_open_one_is_said(home: FrozenHome) -> None:
    assert check_network(PLAN, home.home).level is Level.OK
    if network_refusal(home.home) == "":
        assert check_network(replace(PLAN, network="off"), home.home).level is Level.OK


def test_a_network_that_cannot_be_closed_refuses_until_somebody_accepts_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("publisher.sandbox.network_refusal", lambda home: "no namespaces here.")
    stage = Stage(tmp_path / "home")
    refused = stage.deployed(configuration_changes={"network": "off"})
    assert refused.deployment.state is S.FAILED
    assert "no namespaces here" in refused.error and "accept `network`" in refused.error
    assert stage.driver.created() == []
    accepted = stage.deployed(configuration_changes={"network": "off"}, accept=["network"])
    assert accepted.deployment.state is S.SUCCEEDED
    (finding,) = [one for one in accepted.deployment.findings if one.name == "network"]
    assert finding.accepted_by == "ana"
    view = stage.publisher.service("demo")
    assert view.unprotected == ("The network is open although the configuration says off.",)


def test_lost_secrets_cannot_be_accepted() -> None:
    finding = check_secrets(replace(PLAN, secret_problems=("The key is gone.",)))
    assert (finding.level, finding.sentence) == (Level.REFUSAL, "The key is gone.")
    with pytest.raises(NotAcceptable):
        check_acceptable(["secrets"])


@pytest.mark.parametrize(
    ("network", "isolations", "said"),
    [
        ("open", ["namespace", None], 0),
        ("off", ["namespace+off"], 0),
        ("off", ["namespace+off", "namespace"], 1),
        ("loopback", ["namespace+off"], 1),
        ("open", ["copy"], 1),
        ("off", ["copy"], 2),
        ("off", [], 0),
    ],
)
def test_what_is_not_protected_follows_from_what_instances_reported(
    network: str, isolations: list[str | None], said: int
) -> None:
    assert len(unprotected(network, isolations)) == said


def test_a_damaged_spec_of_another_instance_hides_nothing(home: FrozenHome) -> None:
    spec = home.spec()
    home.folder(spec)
    added(home, spec, "hub/models--one/blob", "weights")
    broken = home.home.instances / "broken"
    broken.mkdir()
    (broken / "spec.json").write_text(json.dumps({"format": 1}))
    assert "models--one" in check_downloads(PLAN, home.home).sentence
