"""Fault 33: the line to PostgreSQL breaks at a commit, so that nobody knows whether it took place."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from publisher.errors import ControlUnreachable, DeploymentInProgress
from publisher.states import DeploymentState as S
from tests.cut_line import Cut, CutLine, cut_line
from tests.fakes.publishing import Stage
from tests.servers import Server, postgres_server

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with postgres_server() as server:
        yield server


@pytest.fixture
def line(server: Server) -> Iterator[CutLine]:
    """A line to an empty database."""
    with psycopg.connect(server.url, autocommit=True) as connection:
        connection.execute("DROP DATABASE IF EXISTS played WITH (FORCE)")
        connection.execute("CREATE DATABASE played")
    with cut_line(server.port) as line:
        yield line


def stage_on(line: CutLine, folder: Path) -> Stage:
    url = f"postgresql://stillframe@127.0.0.1:{line.port}/played"
    # A lease that could not be given back is waited for, and that in real time.
    return Stage(folder / "home", database_url=url, lease_seconds=0.1)


def run_as_the_sweep_does(stage: Stage, row: int) -> None:
    """Tick to the end; what the database did not answer is looked at again."""
    for _ in range(1000):
        try:
            left = stage.ticker.tick(row)
        except ControlUnreachable:
            continue
        if left is None:
            return
        stage.clock.pass_seconds(max(left, 0.01))  # type: ignore[attr-defined]
    raise AssertionError("it never ended")


@pytest.mark.parametrize("cut", Cut)
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_a_deployment_ends_well_and_starts_nothing_twice_whatever_became_of_its_commits(
    line: CutLine, tmp_path: Path, seed: int, cut: Cut
) -> None:
    stage = stage_on(line, tmp_path)
    assert stage.deployed().deployment.state is S.SUCCEEDED
    stage.snapshots.edit("two")
    row = stage.deploy()
    line.share, line.cut = 0.15, cut
    line.chance.seed(seed)
    run_as_the_sweep_does(stage, row)
    line.share = 0.0
    assert line.cuts > 2
    record = stage.record()
    assert record.deployment.state is S.SUCCEEDED, record.error
    assert sum(i.startswith("demo-2-") for i in stage.driver.created()) == 1, "exactly one new instance"
    assert stage.accepting() == stage.driver.running()
    assert all(event.result != "running" for event in record.events[:-1])


@pytest.mark.parametrize("cut", Cut)
def test_a_request_whose_answer_was_lost_is_never_doubled(line: CutLine, tmp_path: Path, cut: Cut) -> None:
    stage = stage_on(line, tmp_path)
    assert stage.deployed().deployment.state is S.SUCCEEDED
    stage.snapshots.edit("two")
    line.share, line.cut = 1.0, cut
    with pytest.raises(ControlUnreachable):
        stage.deploy()
    line.share = 0.0
    if cut is Cut.AFTER:
        with pytest.raises(DeploymentInProgress, match="deployment 2"):
            stage.deploy()
    else:
        stage.deploy()
    assert [deployment.number for deployment in stage.publisher.deployments("demo")] == [2, 1]
