"""Use by day: instance seconds from the instances themselves, jobs and their seconds from the job table."""

from __future__ import annotations

import uuid
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import insert

from online_runtime.jobs.database import open_jobs
from online_runtime.jobs.tables import jobs
from publisher.errors import InstanceNotFound, ServiceNotFound
from publisher.fleet import Fleet
from tests.fakes.publishing import FakeClock, Stage

FIRST = date(2030, 1, 1)  # the fake clock begins at its midnight


@pytest.fixture
def stage(tmp_path: Path) -> Stage:
    made = Stage(tmp_path / "home")
    made.deployed()
    return made


def pass_seconds(stage: Stage, seconds: float) -> None:
    assert isinstance(stage.clock, FakeClock)
    stage.clock.pass_seconds(seconds)


def job(
    stage: Stage, accepted_at: datetime, state: str, seconds: float | None, url: str | None = None
) -> None:
    database = open_jobs(url or f"sqlite:///{stage.home.root / 'jobs.db'}")
    with database.write() as connection:
        connection.execute(
            insert(jobs).values(
                service="demo",
                prompt_id=str(uuid.uuid4()),
                state=state,
                instance_id="i",
                snapshot_id="s",
                attempt=1,
                accepted_at=accepted_at,
                body_sha256="0" * 64,
                execution_seconds=seconds,
            )
        )
    database.close()


def test_an_instance_is_counted_on_each_day_that_it_held_its_slot(stage: Stage) -> None:
    began = stage.publisher.instances("demo")[0].created_at
    pass_seconds(stage, 2 * 86_400)
    days = stage.publisher.usage("demo", FIRST, FIRST + timedelta(days=3))
    midnight = datetime(2030, 1, 2, tzinfo=UTC)
    assert days[0].instance_seconds == pytest.approx((midnight - began).total_seconds(), abs=0.01)
    assert days[1].instance_seconds == 86_400
    assert days[2].instance_seconds == pytest.approx((stage.clock() - midnight).total_seconds() - 86_400)
    assert days[3].instance_seconds == 0


def test_a_stopped_instance_is_counted_until_its_end(stage: Stage) -> None:
    stage.publisher.stop_service("demo")
    fleet = Fleet(stage.machinery, monotonic=lambda: stage.clock().timestamp())
    for _ in range(20):
        fleet.look()
        fleet.wait(20)
        pass_seconds(stage, 1)
    (stopped,) = stage.publisher.instances("demo")
    assert stopped.stopped_at is not None
    assert stopped.stop_reason == "the service was stopped; its work is done"
    pass_seconds(stage, 86_400)
    used = sum(
        day.instance_seconds for day in stage.publisher.usage("demo", FIRST, FIRST + timedelta(days=2))
    )
    assert used == pytest.approx((stopped.stopped_at - stopped.created_at).total_seconds(), abs=0.01)


def test_jobs_count_on_the_day_of_their_acceptance_and_bad_ones_are_told_apart(stage: Stage) -> None:
    noon = datetime(2030, 1, 1, 12, tzinfo=UTC)
    job(stage, noon, "done", 2.5)
    job(stage, noon, "failed", 1.0)
    job(stage, noon, "lost", None)
    job(stage, datetime(2030, 1, 1, 23, 59, 59, 999_000, tzinfo=UTC), "running", None)
    job(stage, datetime(2030, 1, 2, tzinfo=UTC), "done", 4.0)
    first, second = stage.publisher.usage("demo", FIRST, FIRST + timedelta(days=1))
    assert (first.jobs, first.jobs_failed, first.inference_seconds) == (4, 2, 3.5)
    assert (second.jobs, second.jobs_failed, second.inference_seconds) == (1, 0, 4.0)


def test_jobs_are_read_where_the_settings_say_that_they_are(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'elsewhere.db'}"
    stage = Stage(tmp_path / "home", jobs_url=url)
    stage.deployed()
    job(stage, datetime(2030, 1, 1, 12, tzinfo=UTC), "done", 2.0, url)
    assert stage.publisher.usage("demo", FIRST, FIRST)[0].jobs == 1


def test_a_service_without_any_use_has_its_days_all_the_same(stage: Stage) -> None:
    days = stage.publisher.usage("demo", date(2029, 1, 1), date(2029, 1, 3))
    assert [(day.day.day, day.jobs, day.instance_seconds) for day in days] == [
        (1, 0, 0),
        (2, 0, 0),
        (3, 0, 0),
    ]


def test_what_does_not_exist_is_refused_by_name(stage: Stage) -> None:
    with pytest.raises(ServiceNotFound):
        stage.publisher.usage("other", FIRST, FIRST)
    with pytest.raises(ServiceNotFound):
        stage.publisher.overview("other", stage.clock())
    with pytest.raises(InstanceNotFound):
        stage.publisher.lifecycle("demo", "demo-9-9-ffff")


def test_the_overview_begins_with_what_was_so_at_its_beginning(stage: Stage) -> None:
    fleet = Fleet(stage.machinery, monotonic=lambda: stage.clock().timestamp())
    fleet.look()
    pass_seconds(stage, 1000)
    found = stage.publisher.overview("demo", stage.clock())
    assert [(size.wanted, size.running, size.accepting) for size in found.sizes] == [(1, 1, 1)]
    assert (found.minimum, found.maximum, found.deployments) == (1, 1, 0)
    assert stage.publisher.overview("demo", datetime(2029, 1, 1, tzinfo=UTC)).deployments_succeeded == 1
