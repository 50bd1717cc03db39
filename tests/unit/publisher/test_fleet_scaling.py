"""The fleet by itself on a real database and a fake driver: up, down by jobs, asleep, awake, crash loops."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from publisher.db import instances
from publisher.db.fleets import sizes
from publisher.fleet import CRASHES_ALLOWED, Fleet
from publisher.states import DeploymentState as S
from tests.fakes.publishing import FakeClock, Stage

pytestmark = pytest.mark.slow  # whole deployments, half a second each

ELASTIC = {"minimum": 1, "maximum": 3, "queue_per_instance": 2, "cooldown_up_seconds": 10}
SLEEPY = {"minimum": 0, "idle_seconds": 100}
ROUNDS = 400


class Home:
    """A stage with a fleet whose time is the test's own, and a gateway that only tells."""

    def __init__(self, folder: Path, scaling: dict[str, Any], slots: int = 4, **settings: Any) -> None:
        self.stage = Stage(folder / "home", slots=slots, **settings)
        record = self.stage.deployed(configuration_changes={"scaling": scaling})
        assert record.deployment.state is S.SUCCEEDED, record.error
        self.fleet = self.new_fleet()

    @property
    def clock(self) -> FakeClock:
        assert isinstance(self.stage.clock, FakeClock)
        return self.stage.clock

    def new_fleet(self) -> Fleet:
        began = self.stage.clock()
        return Fleet(
            self.stage.machinery, monotonic=lambda: (self.stage.clock() - began).total_seconds() + 1000
        )

    def tell(self, held: int = 0, jobs: int = 0, calls: int = 0, called: datetime | None = None) -> None:
        """What a gateway would write."""
        folder = self.stage.home.run / "gateways"
        folder.mkdir(parents=True, exist_ok=True)
        told = {
            "held": held,
            "jobs": jobs,
            "open": calls,
            "last_call_at": called.isoformat() if called else None,
        }
        partial = folder / ".partial"
        partial.write_text(json.dumps({"services": {"demo": told}}))
        partial.replace(folder / f"{os.getpid()}.load")

    def look(self, seconds: float = 1.0) -> None:
        """One look of the fleet and the end of what it began; then time passes."""
        self.fleet.look()
        self.fleet.wait(20)
        self.clock.pass_seconds(seconds)

    def until(self, reached: Callable[[], Any], what: str) -> None:
        for _ in range(ROUNDS):
            if reached():
                return
            self.look()
        raise AssertionError(f"{what} never came: {self.stage.publisher.service('demo')}")

    def pass_seconds(self, seconds: int) -> None:
        for _ in range(seconds):
            self.look()

    def accepting(self) -> int:
        return len(self.stage.accepting())

    def wanted(self) -> int:
        return self.stage.publisher.service("demo").instances_wanted

    def live(self) -> list[Any]:
        with self.stage.control.read() as tx:
            return list(instances.live(tx))


@pytest.fixture
def elastic(tmp_path: Path) -> Home:
    return Home(tmp_path, ELASTIC)


@pytest.fixture
def asleep(tmp_path: Path) -> Home:
    home = Home(tmp_path, SLEEPY)
    home.until(lambda: not home.live(), "sleep")
    return home


def test_load_brings_more_instances_which_take_calls_only_when_healthy(elastic: Home) -> None:
    elastic.stage.driver.behave("*", silent=True)
    elastic.stage.driver.behave(elastic.stage.accepting()[0])
    elastic.tell(jobs=9)
    elastic.until(lambda: len(elastic.stage.driver.running()) == 3, "three instances")
    elastic.pass_seconds(10)
    assert elastic.accepting() == 1
    elastic.stage.driver.behave("*")
    elastic.until(lambda: elastic.accepting() == 3, "three that take calls")
    elastic.pass_seconds(30)
    assert len(elastic.stage.driver.running()) == 3


def test_surplus_instances_finish_their_jobs_before_they_stop(elastic: Home) -> None:
    elastic.tell(jobs=6)
    elastic.until(lambda: elastic.accepting() == 3, "three that take calls")
    elastic.stage.driver.behave("*", jobs=1)
    elastic.tell(jobs=1)
    elastic.until(lambda: elastic.accepting() == 1, "one that takes calls")
    elastic.pass_seconds(60)
    assert len(elastic.stage.driver.running()) == 3
    elastic.stage.driver.behave("*", jobs=0)
    elastic.until(lambda: len(elastic.stage.driver.running()) == 1, "one instance")
    gone = [i for i in elastic.stage.publisher.instances("demo") if i.stopped_at]
    assert {i.stop_reason for i in gone} == {"the load needs fewer instances; its work is done"}
    assert not any(i.failed_at for i in gone)


def test_one_that_was_about_to_rest_is_taken_back_warm_when_the_load_returns(elastic: Home) -> None:
    elastic.tell(jobs=6)
    elastic.until(lambda: elastic.accepting() == 3, "three that take calls")
    started = elastic.stage.driver.created()
    elastic.stage.driver.behave("*", jobs=1)
    elastic.tell(jobs=1)
    elastic.until(lambda: elastic.accepting() == 1, "one that takes calls")
    elastic.tell(jobs=6)
    elastic.until(lambda: elastic.accepting() == 3, "three again")
    assert elastic.stage.driver.created() == started


def test_the_record_tells_when_the_number_changed_and_why(elastic: Home) -> None:
    began = elastic.clock()
    elastic.tell(jobs=9)
    elastic.until(lambda: elastic.accepting() == 3, "three that take calls")
    elastic.pass_seconds(20)
    with elastic.stage.control.read() as tx:
        kept = sizes(tx, 1, began)
    assert [size.wanted for size in kept][-1] == 3
    assert "9 unfinished jobs" in kept[-1].reason
    assert [size.accepting for size in kept] == sorted(size.accepting for size in kept)
    numbers = [(size.wanted, size.running, size.accepting) for size in kept]
    assert len(numbers) == len(set(numbers)), "only changes are kept"


def test_a_change_of_the_bounds_alone_restarts_nothing_and_the_fleet_follows(elastic: Home) -> None:
    before = elastic.stage.accepting()
    asked = elastic.stage.publisher.configure("demo", {"scaling.minimum": 2}, by="ana", source="test")
    assert asked is not None
    elastic.stage.run(asked.id)
    assert elastic.stage.record().deployment.outcome == "unchanged"
    elastic.until(lambda: elastic.accepting() == 2, "two that take calls")
    assert set(before) <= set(elastic.stage.accepting())
    assert elastic.stage.publisher.service("demo").configuration["scaling"]["minimum"] == 2


def test_while_a_deployment_runs_the_number_stays_and_afterwards_follows_the_load(elastic: Home) -> None:
    elastic.pass_seconds(15)  # no cooldown holds it back
    elastic.stage.snapshots.edit("two")
    row = elastic.stage.deploy()
    elastic.tell(jobs=9)
    seen = 0
    for _ in range(3000):
        left = elastic.stage.ticker.tick(row)
        if left is None:
            break
        elastic.look(max(left, 0.01))
        seen += 1
        of_deployments = [instance.deployment_number for instance in elastic.live()]
        assert of_deployments.count(1) <= 1
        assert of_deployments.count(2) <= 1
    assert seen > 5
    elastic.until(lambda: elastic.accepting() == 3, "three that take calls")
    assert {i["snapshot_number"] for i in elastic.stage.routes()["instances"]} == {2}


def test_a_deployment_of_a_scaled_service_brings_up_as_many_as_serve(elastic: Home) -> None:
    elastic.tell(jobs=9)
    elastic.until(lambda: elastic.accepting() == 3, "three that take calls")
    elastic.stage.snapshots.edit("two")
    record = elastic.stage.deployed()
    assert record.deployment.state is S.SUCCEEDED
    assert record.deployment.instances_wanted == 3
    assert elastic.accepting() == 3


def test_a_service_that_nobody_calls_goes_to_sleep_and_says_so_in_the_table(tmp_path: Path) -> None:
    home = Home(tmp_path, SLEEPY)
    home.pass_seconds(60)
    assert home.accepting() == 1
    home.until(lambda: not home.live(), "sleep")
    home.look()
    assert home.stage.routes()["sleeps"] is True
    assert home.stage.routes()["hold_seconds"] > 0
    assert home.wanted() == 0
    assert home.stage.publisher.service("demo").serving is not None


def test_calls_and_running_jobs_keep_a_service_awake(tmp_path: Path) -> None:
    home = Home(tmp_path, SLEEPY)
    for _ in range(30):
        home.tell(called=home.clock())
        home.pass_seconds(10)
        assert home.accepting() == 1
    home.tell(jobs=1)
    home.pass_seconds(150)
    assert home.accepting() == 1
    home.tell()
    home.until(lambda: not home.live(), "sleep")


def test_fault_49_however_many_calls_are_held_one_instance_is_started(asleep: Home) -> None:
    before = len(asleep.stage.driver.created())
    asleep.stage.driver.behave("*", silent=True)
    asleep.tell(held=100, called=asleep.clock())
    asleep.pass_seconds(50)
    assert len(asleep.stage.driver.created()) == before + 1
    asleep.stage.driver.behave("*")
    asleep.until(lambda: asleep.accepting() == 1, "awake")
    assert len(asleep.stage.driver.created()) == before + 1


def test_fault_48_a_call_while_the_last_instance_goes_to_sleep_takes_it_back(tmp_path: Path) -> None:
    home = Home(tmp_path, SLEEPY)
    home.stage.driver.behave("*", jobs=1)  # a job that no gateway knows: it is waited for
    home.until(lambda: home.accepting() == 0, "on its way to sleep")
    assert len(home.stage.driver.running()) == 1
    home.tell(held=1)
    home.until(lambda: home.accepting() == 1, "awake again")
    assert len(home.stage.driver.created()) == 1


def test_fault_48_a_deployment_of_a_sleeping_service_proves_one_instance(asleep: Home) -> None:
    asleep.stage.snapshots.edit("two")
    record = asleep.stage.deployed()
    assert record.deployment.state is S.SUCCEEDED
    assert record.deployment.outcome == "switched"
    assert len(record.instances) == 1
    assert record.instances[0].routed_at is not None
    asleep.pass_seconds(60)
    assert asleep.accepting() == 1, "what was just proven is warm for the idle time"
    asleep.until(lambda: not asleep.live(), "sleep again")


def test_fault_48_a_deployment_of_what_sleeps_unchanged_proves_that_it_still_starts(asleep: Home) -> None:
    record = asleep.stage.deployed()
    assert record.deployment.outcome == "switched"
    assert asleep.accepting() == 1


def test_fault_48_a_failed_deployment_of_a_sleeping_service_leaves_it_asleep_and_callable(
    asleep: Home,
) -> None:
    asleep.stage.snapshots.edit("two")
    asleep.stage.driver.behave("demo-2-", presence="ended", problem="exit code 1")
    assert asleep.stage.deployed().deployment.state is S.FAILED
    asleep.pass_seconds(20)
    assert asleep.live() == []
    asleep.tell(held=1, called=asleep.clock())
    asleep.until(lambda: asleep.accepting() == 1, "awake")
    assert asleep.stage.routes()["instances"][0]["snapshot_number"] == 1


def test_fault_48_a_call_during_a_freeze_wakes_the_old_side_once(asleep: Home) -> None:
    asleep.stage.snapshots.edit("two")
    row = asleep.stage.deploy()
    asleep.tell(held=3, called=asleep.clock())
    asleep.until(lambda: asleep.accepting() == 1, "awake")
    assert asleep.stage.record().deployment.state is S.QUEUED
    asleep.tell(called=asleep.clock())
    asleep.stage.run(row)
    assert asleep.stage.record().deployment.state is S.SUCCEEDED
    assert asleep.stage.routes()["instances"][0]["snapshot_number"] == 2


def test_a_restarted_fleet_goes_on_from_the_number_that_was_kept(asleep: Home) -> None:
    asleep.fleet = asleep.new_fleet()
    asleep.pass_seconds(30)
    assert asleep.live() == []


def test_fault_15_what_crashes_long_after_success_is_replaced_and_the_record_stays(elastic: Home) -> None:
    record = elastic.stage.record()
    elastic.look()
    elastic.stage.driver.kill(elastic.stage.accepting()[0])
    elastic.until(lambda: elastic.accepting() == 0, "the loss")
    elastic.until(lambda: elastic.accepting() == 1, "a new one")
    assert elastic.stage.record().deployment == record.deployment
    lost = next(i for i in elastic.stage.publisher.instances("demo") if i.stopped_at)
    assert lost.failed_at is not None
    assert lost.stop_reason.startswith("it failed: ")


def test_fault_22_a_crash_loop_stops_with_a_state_that_says_why_until_a_person_resumes(
    elastic: Home,
) -> None:
    said = "The engine ran out of memory and was killed."
    elastic.stage.driver.behave("*", state="failed", problem=said)
    elastic.until(lambda: elastic.stage.publisher.service("demo").halted, "the halt")
    started = len(elastic.stage.driver.created())
    assert started == CRASHES_ALLOWED
    halted = elastic.stage.publisher.service("demo").halted
    assert halted is not None
    assert said in halted.why
    elastic.pass_seconds(100)
    assert len(elastic.stage.driver.created()) == started
    elastic.stage.driver.behave("*")
    elastic.stage.publisher.resume_service("demo")
    elastic.until(lambda: elastic.accepting() == 1, "one that takes calls")
    assert elastic.stage.publisher.service("demo").halted is None


def test_a_deployment_after_a_crash_loop_starts_afresh(elastic: Home) -> None:
    elastic.stage.driver.behave("*", state="failed", problem="no")
    elastic.until(lambda: elastic.stage.publisher.service("demo").halted, "the halt")
    elastic.stage.driver.behave("*")
    elastic.stage.snapshots.edit("two")
    assert elastic.stage.deployed().deployment.state is S.SUCCEEDED
    assert elastic.stage.publisher.service("demo").halted is None
    elastic.pass_seconds(5)
    assert elastic.accepting() == 1


def test_without_a_free_slot_the_service_says_why_it_is_smaller_than_wanted(tmp_path: Path) -> None:
    home = Home(tmp_path, ELASTIC, slots=2)
    home.tell(jobs=9)
    home.until(lambda: home.stage.publisher.service("demo").fleet_problem, "the problem")
    view = home.stage.publisher.service("demo")
    assert view.instances_wanted == 3
    assert "slot" in (view.fleet_problem or "")


def test_fault_47_an_instance_that_does_not_end_keeps_its_slot_and_is_told_until_it_ends(
    tmp_path: Path,
) -> None:
    home = Home(tmp_path, SLEEPY, slots=1)
    home.stage.driver.behave("*", refuses_stop=True)
    home.until(lambda: home.live() and home.live()[0].stop_failed_at, "a failed stop")
    stuck = home.live()[0]
    assert "not free" in (stuck.problem or "")
    other = home.stage.deployed("other")
    assert stuck.id in other.error
    home.tell(held=1)
    home.pass_seconds(30)
    assert len(home.stage.driver.created()) == 1, "its slot is not counted as free"
    home.stage.driver.behave("*")
    home.tell()
    home.until(lambda: not home.live(), "its end")


def test_the_life_of_an_instance_is_kept_in_its_order(elastic: Home) -> None:
    elastic.tell(jobs=3)
    elastic.until(lambda: elastic.accepting() == 2, "two that take calls")
    second = elastic.stage.accepting()[1]
    elastic.tell()
    elastic.until(lambda: len(elastic.live()) == 1, "one instance")
    kinds = [moment.kind for moment in elastic.stage.publisher.lifecycle("demo", second)]
    assert kinds == ["created", "started", "healthy", "routed", "draining", "stopped"]
    last = elastic.stage.publisher.lifecycle("demo", second)[-1]
    assert last.why == "the load needs fewer instances; its work is done"
