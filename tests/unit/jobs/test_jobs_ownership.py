"""On a real SQLite database."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError

from online_runtime.jobs import queue
from online_runtime.jobs.database import JobsDatabase, open_jobs
from online_runtime.jobs.errors import (
    IdempotencyKeyReused,
    JobsDatabaseClosed,
    JobsDatabaseTooNew,
    PromptIdTaken,
)
from online_runtime.jobs.job import ArchivedFile, JobState, NewJob
from online_runtime.jobs.ownership import CLAIM, Ownership
from online_runtime.jobs.tables import SCHEMA, metadata
from online_runtime.jobs.writer import JobsWriter

START = datetime(2026, 1, 1, tzinfo=UTC)


class Clock:
    def __init__(self) -> None:
        self.now = START

    def __call__(self) -> datetime:
        return self.now


@pytest.fixture
def database(tmp_path: Path) -> Iterator[JobsDatabase]:
    database = open_jobs(f"sqlite:///{tmp_path / 'jobs.db'}")
    yield database
    database.close()


@pytest.fixture
def writer(database: JobsDatabase) -> Iterator[JobsWriter]:
    writer = JobsWriter(database)
    yield writer
    writer.close()


def new(**changes: object) -> NewJob:
    job = NewJob("s", str(uuid.uuid4()), "a", "snap", b"{}", "1" * 64, START, client_id="me")
    return replace(job, **changes)  # type: ignore[arg-type]  # the test knows the fields


def test_an_accepted_job_is_on_record_with_its_owner(database: JobsDatabase, writer: JobsWriter) -> None:
    job = new()
    assert Ownership(writer, "g").accept(job).result(5) is None
    stored = queue.job(database, "s", job.prompt_id)
    assert stored is not None
    assert (stored.state, stored.instance_id, stored.accepted_at) == (JobState.WAITING, "a", START)
    assert queue.unfinished_by_instance(database) == {"a": 1}
    assert queue.body(database, "s", job.prompt_id) == b"{}"


def test_the_same_call_is_known_again_and_another_body_is_refused(writer: JobsWriter) -> None:
    own, first = Ownership(writer, "g"), new(idempotency_key="k")
    own.accept(first).result(5)
    again = own.accept(new(idempotency_key="k")).result(5)
    assert again is not None and again.prompt_id == first.prompt_id
    with pytest.raises(IdempotencyKeyReused):
        own.accept(new(idempotency_key="k", body_sha256="2" * 64)).result(5)
    with pytest.raises(PromptIdTaken):
        own.accept(replace(first, idempotency_key=None, body_sha256="2" * 64)).result(5)


def test_a_refusal_in_a_batch_undoes_nothing_else(database: JobsDatabase, writer: JobsWriter) -> None:
    own, first = Ownership(writer, "g"), new()
    changes = [own.accept(first), own.accept(replace(first, body_sha256="2" * 64)), own.accept(new())]
    assert changes[0].result(5) is None and changes[2].result(5) is None
    assert isinstance(changes[1].exception(5), PromptIdTaken)
    assert queue.counts(database, "s")[JobState.WAITING] == 2


def test_a_broken_change_fails_alone(database: JobsDatabase, writer: JobsWriter) -> None:
    own = Ownership(writer, "g")
    good = own.accept(new())
    bad = writer.submit(lambda connection: connection.execute(text("INSERT INTO nowhere VALUES (1)")))
    also_good = own.accept(new())
    assert good.result(5) is None and also_good.result(5) is None
    assert isinstance(bad.exception(5), SQLAlchemyError)
    assert sum(queue.counts(database, "s").values()) == 2


def test_closing_stores_what_was_submitted_and_takes_no_more(database: JobsDatabase) -> None:
    writer = JobsWriter(database)
    own = Ownership(writer, "g")
    jobs = [new() for _ in range(50)]
    for job in jobs:
        own.accept(job).result(5)
        own.running("s", job.prompt_id, "{}")
    waiting = [own.accept(new()) for _ in range(50)]
    writer.close()
    assert all(change.done() for change in waiting)
    counts = queue.counts(database, "s")
    assert (counts[JobState.RUNNING], counts[JobState.WAITING]) == (50, 50)
    with pytest.raises(JobsDatabaseClosed):
        own.accept(new())


def test_what_nobody_waits_for_is_stored_soon_and_before_what_depends_on_it(
    database: JobsDatabase, writer: JobsWriter
) -> None:
    own = Ownership(writer, "g")
    for job in (first := new(), second := new()):
        own.accept(job).result(5)
    own.running("s", first.prompt_id, "{}").result(5)  # by itself, without anything that comes after it
    own.running("s", second.prompt_id, "{}")
    stored = queue.job(database, "s", second.prompt_id)
    assert stored is not None
    assert own.finish(stored, JobState.DONE).result(5)
    counts = queue.counts(database, "s")
    assert (counts[JobState.RUNNING], counts[JobState.DONE]) == (1, 1)


def test_a_change_whose_caller_gave_up_harms_no_other(database: JobsDatabase, writer: JobsWriter) -> None:
    own, held, going = Ownership(writer, "g"), threading.Event(), threading.Event()

    def slow(_connection: object) -> None:
        going.set()
        held.wait(5)

    begun = writer.submit(slow)
    assert going.wait(5)
    unwanted = own.accept(new())
    assert not begun.cancel() and unwanted.cancel()
    held.set()
    assert own.accept(new()).result(5) is None
    assert queue.counts(database, "s")[JobState.WAITING] == 1


def test_a_finished_job_stays_finished_and_its_files_are_found_by_name(
    database: JobsDatabase, writer: JobsWriter
) -> None:
    clock = Clock()
    own = Ownership(writer, "g", clock)
    file = ArchivedFile("output", "", "image_00001_.png")
    for job in (first := new(), second := new()):
        own.accept(job).result(5)
        stored = queue.job(database, "s", job.prompt_id)
        assert stored is not None
        clock.now += timedelta(seconds=1)
        assert own.finish(stored, JobState.DONE, files=[file]).result(5)
        assert not own.finish(stored, JobState.LOST, reason="late").result(5)
    assert queue.newest_file(database, "s", "output", "", "image_00001_.png") == second.prompt_id
    assert queue.newest_file(database, "s", "temp", "", "image_00001_.png") is None
    assert [job.prompt_id for job in queue.finished(database, "s", 9, None)] == [
        first.prompt_id,
        second.prompt_id,
    ]
    assert queue.body(database, "s", first.prompt_id) is None
    assert queue.unfinished_by_instance(database) == {}


def test_jobs_of_a_gateway_that_died_are_taken_over_only_when_its_claim_ran_out(
    database: JobsDatabase, writer: JobsWriter
) -> None:
    clock = Clock()
    dead, heir = Ownership(writer, "dead", clock), Ownership(writer, "heir", clock)
    dead.accept(job := new()).result(5)
    clock.now += CLAIM / 2
    assert dead.renew().result(5)
    clock.now += CLAIM * 0.9
    assert not heir.take_over().result(5)
    clock.now += CLAIM
    assert heir.take_over().result(5)
    assert [one.prompt_id for one in queue.claimed(database, "heir")] == [job.prompt_id]
    assert not dead.renew().result(5)


def test_only_one_of_two_gateways_submits_a_job_again(database: JobsDatabase, writer: JobsWriter) -> None:
    own = Ownership(writer, "g")
    own.accept(job := new()).result(5)
    stored = queue.job(database, "s", job.prompt_id)
    assert stored is not None
    assert [own.resubmit(stored, "b", "snap").result(5) for _ in range(2)] == [True, False]
    again = queue.job(database, "s", job.prompt_id)
    assert again is not None and (again.attempt, again.instance_id) == (2, "b")


def test_a_database_of_a_newer_version_is_refused_and_unchanged(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'jobs.db'}"
    database = open_jobs(url)
    with database.write() as connection:
        connection.execute(text("UPDATE jobs_schema SET version_num = '9999'"))
    database.close()
    with pytest.raises(JobsDatabaseTooNew) as refused:
        open_jobs(url)
    assert refused.value.found == "9999" and "upgrade" in str(refused.value)


def test_the_migrations_make_the_tables_as_they_are_declared(database: JobsDatabase) -> None:
    from alembic.autogenerate import compare_metadata
    from alembic.migration import MigrationContext

    with database.engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"version_table": "jobs_schema"})
        assert compare_metadata(context, metadata) == []
        assert context.get_current_revision() == SCHEMA
