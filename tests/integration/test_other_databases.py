"""The whole platform on PostgreSQL, Redis and RabbitMQ instead of files, by settings alone."""

from __future__ import annotations

import contextlib
import subprocess
from datetime import UTC, datetime
from pathlib import Path

import pytest

from online_runtime.jobs.database import open_jobs
from publisher.db import services
from publisher.db.control import open_control
from tests.running_platform import QUICK, eventually
from tests.running_studio import running_studio
from tests.servers import postgres_server, rabbitmq_server, redis_server
from web.pages.console.markers import CONTROL, Markers
from workstation.home import open_home

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


def test_the_platform_deploys_calls_and_rolls_back_on_postgresql_and_redis(tmp_path: Path) -> None:
    with postgres_server() as database, redis_server() as broker:
        settings = {
            **QUICK,
            "database_url": database.url,
            "jobs_url": database.url,
            "broker_url": broker.url,
        }
        with running_studio(tmp_path, settings) as studio:
            assert studio.deploy()["deployment"]["state"] == "succeeded"
            token = studio.token()
            assert studio.call(token) == "first words with stampling 1.0"
            assert studio.deploy()["deployment"]["outcome"] == "unchanged"
            (studio.plugin / "words.txt").write_text("second words")
            assert studio.deploy()["deployment"]["state"] == "succeeded"
            assert studio.call(token) == "second words with stampling 1.0"
            studio.platform.cli("deployment", "rollback", studio.project, "--yes")
            assert studio.call(token) == "first words with stampling 1.0"
            files = {path.name for path in studio.platform.home.iterdir()}
            assert not {"control.db", "jobs.db"} & files
            assert not list((studio.platform.home / "run").glob("broker/messages/*"))
            processes = subprocess.run(
                ["ps", "axww", "-o", "args"], capture_output=True, text=True, check=True
            )
            assert database.url not in processes.stdout, "a URL holds a password"


def test_the_console_sees_that_something_was_written_on_a_server(tmp_path: Path) -> None:
    with postgres_server() as database:
        open_jobs(database.url).close()
        control = open_control(database.url)
        markers = Markers(open_home(tmp_path / "home"), database.url, database.url)
        before = markers.read([CONTROL])
        with control.write() as tx:
            services.create(tx, "demo", {}, "ana", datetime.now(UTC))
        eventually(lambda: markers.read([CONTROL]) != before, "another marker")
        control.close()


SERVERS = {"files": None, "redis": redis_server, "rabbitmq": rabbitmq_server}


@pytest.mark.parametrize("broker", SERVERS)
def test_a_message_alone_makes_the_worker_look(tmp_path: Path, broker: str) -> None:
    """The sweep looks once an hour here, so that nothing but the broker can bring the deployment to it."""
    with contextlib.ExitStack() as stack:
        start = SERVERS[broker]
        url = {} if start is None else {"broker_url": stack.enter_context(start()).url}
        with running_studio(tmp_path, {**QUICK, **url, "tick_seconds": 3600.0}) as studio:
            assert studio.deploy()["deployment"]["state"] == "succeeded"
