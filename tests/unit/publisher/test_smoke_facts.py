"""Which smoke workflow a freeze names in the facts of a snapshot: its models are expected online too."""

from __future__ import annotations

from pathlib import Path

import pytest

from publisher.freezing import smoke_workflows
from tests.fakes.publishing import Stage

FIRST = {"1": {"class_type": "First", "inputs": {}}}


@pytest.fixture
def stage(tmp_path: Path) -> Stage:
    return Stage(tmp_path / "home")


def test_the_first_deployment_is_asked_for_its_own_workflow_while_it_freezes(stage: Stage) -> None:
    """The service gets it only when the deployment has succeeded: too late for this snapshot."""
    named = smoke_workflows(stage.control)
    assert named("demo") is None
    stage.deploy(smoke_workflow=FIRST)
    assert named("demo") == FIRST


def test_a_deployment_that_failed_leaves_no_workflow_behind(stage: Stage) -> None:
    stage.workstations.nodes = set()
    record = stage.deployed(smoke_workflow=FIRST)
    assert record.deployment.failure is not None
    assert smoke_workflows(stage.control)("demo") is None
