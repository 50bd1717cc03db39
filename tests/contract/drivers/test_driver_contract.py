"""What every driver promises, whatever its instances are."""

from __future__ import annotations

import concurrent.futures

import pytest

from online_runtime.instance.spec import InstanceState
from publisher.drivers.contract import Presence
from publisher.drivers.errors import BadInstanceId, StillRunning
from tests.contract.drivers.conftest import Machine

pytestmark = pytest.mark.slow


def test_a_created_instance_becomes_healthy_and_says_what_it_runs(machine: Machine) -> None:
    spec, report = machine.start_healthy()
    assert (report.instance_id, report.token, report.snapshot_id) == (
        spec.instance_id,
        spec.token,
        spec.snapshot_id,
    )
    assert report.engine_url is not None
    assert (report.jobs_running, report.jobs_pending, report.restarts) == (0, 0, 0)


def test_creating_a_running_instance_again_leaves_the_same_engine(machine: Machine) -> None:
    spec, first = machine.start_healthy()
    machine.driver.create(spec)
    assert machine.wait_for(spec, InstanceState.READY).engine_pid == first.engine_pid
    assert machine.driver.list() == (spec.instance_id,)


def test_four_creates_at_once_start_one_engine(machine: Machine) -> None:
    spec = machine.home.spec()
    with concurrent.futures.ThreadPoolExecutor() as pool:
        list(pool.map(lambda _: machine.driver.create(spec), range(4)))
    machine.wait_for(spec, InstanceState.READY)
    starts = [line for line in machine.driver.logs(spec.instance_id) if "engine starts" in line]
    assert len(starts) == 1


def test_a_restarted_control_plane_finds_and_stops_what_it_started(machine: Machine) -> None:
    spec, _ = machine.start_healthy()
    again = machine.make_driver()
    assert again.list() == (spec.instance_id,)
    again.stop(spec.instance_id)
    seen = again.inspect(spec.instance_id)
    assert seen.presence is Presence.ENDED


def test_a_stopped_instance_keeps_its_log_and_last_report_until_it_is_removed(machine: Machine) -> None:
    spec, _ = machine.start_healthy()
    machine.driver.stop(spec.instance_id)
    seen = machine.driver.inspect(spec.instance_id)
    assert seen.report is not None
    assert seen.report.state is InstanceState.STOPPED
    assert not seen.report.healthy
    assert seen.report.token == spec.token
    assert seen.report.last_exit is not None
    assert machine.driver.logs(spec.instance_id)
    machine.driver.remove(spec.instance_id)
    assert machine.driver.inspect(spec.instance_id).presence is Presence.ABSENT
    assert machine.driver.list() == ()


def test_a_stopped_instance_can_be_started_again(machine: Machine) -> None:
    spec, _ = machine.start_healthy()
    machine.driver.stop(spec.instance_id)
    machine.driver.create(spec)
    machine.wait_for(spec, InstanceState.READY)


def test_stopping_and_removing_what_is_absent_does_nothing(machine: Machine) -> None:
    machine.driver.stop("i-absent")
    machine.driver.remove("i-absent")
    assert machine.driver.inspect("i-absent").presence is Presence.ABSENT
    assert machine.driver.logs("i-absent") == ()


def test_a_running_instance_is_not_removed(machine: Machine) -> None:
    spec = machine.start()
    with pytest.raises(StillRunning):
        machine.driver.remove(spec.instance_id)
    machine.wait_for(spec, InstanceState.READY)


@pytest.mark.parametrize("name", ["../evil", "a/b", "", ".hidden", "x" * 65])
def test_an_id_that_could_leave_its_folder_is_refused(machine: Machine, name: str) -> None:
    with pytest.raises(BadInstanceId):
        machine.driver.create(machine.home.spec(instance_id=name))
    assert machine.driver.list() == ()


def test_what_changed_is_told_once_to_each_driver_or_the_driver_says_that_it_cannot(machine: Machine) -> None:
    driver = machine.driver
    spec = machine.start()
    if driver.changes() is None:
        assert driver.changes() is None
        return
    machine.wait_for(spec, InstanceState.READY)
    driver.changes()
    assert driver.changes() == frozenset()
    machine.driver.stop(spec.instance_id)
    assert driver.changes() == {spec.instance_id}
    assert driver.changes() == frozenset()
    assert spec.instance_id in (machine.driver.changes() or ())
