"""Fault 1 with real processes: the worker kills itself at each crash point of a rotation, in both modes; the
next worker brings the deployment to the same end, with exactly one new instance and nothing left over.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator

import pytest

from publisher.crash import POINTS
from publisher.drivers.process import ProcessDriver
from publisher.states import DeploymentState as S
from tests.integration.test_publisher_worker import ROOT, Plant, wait_until

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240)]

DOOMED = """
import sys
from publisher.crash import crash_at
from publisher.worker import main
crash_at(sys.argv[1], int(sys.argv[2]))
sys.exit(main(sys.argv[3:]))
"""
# How often a point is passed before the kill: of those that every step passes, the middle of the rotation.
PASSES = {"before": 9, "acted": 6, "recorded": 6}


@pytest.fixture(scope="module")
def plants(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Plant]]:
    """One plant a mode, made at first use; each case is one more deployment of it."""
    made: dict[str, Plant] = {}
    for rotation in ("surge", "in-place"):
        plant = Plant(tmp_path_factory.mktemp(rotation))
        made[rotation] = plant
        plant.start_worker()
        first = plant.ended(plant.deploy(configuration_changes={"rotation": rotation}))
        assert first.deployment.state is S.SUCCEEDED, first.error
    yield made
    for plant in made.values():
        plant.stop()


def start_doomed_worker(plant: Plant, point: str) -> None:
    plant.worker = subprocess.Popen(
        [
            *(sys.executable, "-c", DOOMED, point, str(PASSES.get(point, 0))),
            *("--home", str(plant.home.root), "--settings", str(plant._settings_file)),
        ],
        cwd=ROOT,
        stderr=plant._log,
        stdout=plant._log,
    )


@pytest.mark.parametrize("rotation", ["surge", "in-place"])
@pytest.mark.parametrize("point", [point for point in POINTS if point != "admitted"])
def test_a_worker_killed_at_any_point_is_followed_by_one_that_ends_the_rotation(
    plants: dict[str, Plant], rotation: str, point: str
) -> None:
    plant = plants[rotation]
    plant.kill_worker()
    version = f"VERSION-{rotation}-{point}"
    plant.plugin(version)
    number = plant.deploy()
    start_doomed_worker(plant, point)
    worker = plant.worker
    assert worker is not None
    wait_until(lambda: worker.poll() is not None, 60, f"the kill at {point}")
    assert worker.returncode == -9
    if rotation == "surge":
        assert plant.answer(), "instances need no control plane"
    plant.start_worker()
    record = plant.ended(number)
    assert record.deployment.state is S.SUCCEEDED, record.error
    assert record.deployment.rotation == rotation
    assert plant.answer() == version
    assert len(record.instances) == 1, "exactly one new instance"
    wait_until(
        lambda: ProcessDriver(plant.home.instances).list() == (record.instances[0].id,),
        30,
        "one instance and nothing left over",
    )


def test_a_worker_killed_while_it_brings_the_previous_snapshot_back_is_followed_by_one_that_does(
    plants: dict[str, Plant],
) -> None:
    """Fault 5: killed in the middle of the way back."""
    plant = plants["in-place"]
    before = plant.answer()
    plant.plugin("", broken=True)
    number = plant.deploy()
    wait_until(lambda: plant._state(number) is S.RETURNING, 60, "the way back")
    plant.kill_worker()
    plant.start_worker()
    record = plant.ended(number)
    assert record.deployment.state is S.FAILED
    assert "no_such_module" in (record.error or "")
    assert record.deployment.outcome == "failed; the previous snapshot serves again"
    wait_until(lambda: plant.accepting() != [], 30, "the previous snapshot in traffic")
    assert plant.answer() == before
