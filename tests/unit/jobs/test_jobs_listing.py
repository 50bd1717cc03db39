"""Pages of jobs and the schema's change, on a real SQLite database."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime, timedelta
from pathlib import Path

from alembic import command
from alembic.config import Config
from sqlalchemy import create_engine, text

from online_runtime.jobs import queue
from online_runtime.jobs.database import MIGRATIONS, open_jobs
from online_runtime.jobs.job import ENDS, JobState, NewJob
from online_runtime.jobs.listing import JobFilter, SortKey, page
from online_runtime.jobs.ownership import Ownership
from online_runtime.jobs.writer import JobsWriter

START = datetime(2026, 1, 1, tzinfo=UTC)
ALL = JobFilter(ENDS, waiting=True, executing=True)


def test_pages_are_counted_over_all_and_erased_ones_are_left_out(tmp_path: Path) -> None:
    database = open_jobs(f"sqlite:///{tmp_path / 'jobs.db'}")
    writer = JobsWriter(database)
    own, ids = Ownership(writer, "g"), [str(uuid.uuid4()) for _ in range(4)]
    for number, prompt_id in enumerate(ids):
        accepted_at = START + timedelta(seconds=number)
        own.accept(NewJob("s", prompt_id, "a", "snap", b"{}", "1" * 64, accepted_at)).result(5)
    for prompt_id, seconds in ((ids[0], 3.0), (ids[1], None)):
        job = queue.job(database, "s", prompt_id)
        assert job is not None
        own.finish(job, JobState.DONE, summary='{"outputs_count": 1}', execution_seconds=seconds).result(5)

    def found(wanted: JobFilter = ALL, sort_by: SortKey = SortKey.ACCEPTED_AT, **page_of: int) -> list[int]:
        return [ids.index(job.prompt_id) for job in page(database, "s", wanted, sort_by, **page_of).jobs]

    assert found() == [3, 2, 1, 0]
    assert found(limit=2, offset=1) == [2, 1]
    assert page(database, "s", ALL, limit=1).total == 4
    assert found(sort_by=SortKey.EXECUTION_SECONDS) == [0, 3, 2, 1]
    assert found(JobFilter((), waiting=True, executing=False, executing_ids=[ids[3]])) == [2]
    assert found(JobFilter((), waiting=False, executing=True, executing_ids=[ids[0], ids[3]])) == [3]
    assert page(database, "other", ALL).total == 0
    assert own.erase("s", [ids[0], ids[2]]).result(5)  # ids[2] is unfinished: it stays
    assert found() == [3, 2, 1]
    assert own.erase("s", None).result(5)
    assert found() == [3, 2]
    assert queue.finished(database, "s", 9, None) == ()
    writer.close()
    database.close()


def test_jobs_of_the_schema_before_are_still_there_after_the_upgrade(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'jobs.db'}"
    engine, config = create_engine(url), Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    with engine.connect() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "0001")
        connection.execute(
            text(
                "INSERT INTO jobs (service, prompt_id, state, instance_id, snapshot_id, attempt, "
                "accepted_at, body_sha256) "
                "VALUES ('s', 'p', 'done', 'a', 'snap', 1, '2026-01-01 00:00:00', 'x')"
            )
        )
        connection.commit()
    engine.dispose()
    database = open_jobs(url)
    (job,) = page(database, "s", ALL).jobs
    assert (job.prompt_id, job.state, job.summary, job.erased_at) == ("p", JobState.DONE, None, None)
    database.close()
