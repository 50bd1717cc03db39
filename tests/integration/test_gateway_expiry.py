"""Results that a service no longer keeps: removed by the gateway, said to callers, never of a running job."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import update

from online_runtime.jobs import queue
from online_runtime.jobs.archive import Archive
from online_runtime.jobs.database import open_jobs
from online_runtime.jobs.expiry import expire
from online_runtime.jobs.tables import jobs as table
from tests.fakes.gateway_house import GATE, SERVICE, GatewayHouse, save, until
from workstation.layout import Home

pytestmark = [pytest.mark.slow, pytest.mark.timeout(120)]


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[GatewayHouse]:
    house = GatewayHouse(tmp_path / "home")
    try:
        yield house
    finally:
        await house.close()


def aged(house: GatewayHouse, prompt_ids: Sequence[str], days: float) -> None:
    """As if these jobs had ended so long ago."""
    database = open_jobs(f"sqlite:///{house.root / 'jobs.db'}")
    with database.write() as connection:
        then = datetime.now(UTC) - timedelta(days=days)
        of_them = table.c.prompt_id.in_(prompt_ids)
        connection.execute(update(table).where(of_them).values(finished_at=then))
    database.close()


def folder(house: GatewayHouse, prompt_id: str) -> Path:
    return Archive(Home(house.root)).folder(SERVICE, prompt_id)


async def finished(house: GatewayHouse, count: int, **inputs: object) -> list[str]:
    prompts = []
    for _ in range(count):
        prompts.append(await house.prompt(save(**inputs)))
        await house.finished(prompts[-1])
    await house.archived("a")
    return prompts


async def test_what_is_too_old_goes_and_is_410_expired_and_a_running_job_stays(house: GatewayHouse) -> None:
    engine = await house.engine("a")
    house.route("a", archive_days=3.0)
    await house.start("--expiry-seconds", "0.1")
    old, young = await finished(house, 2)
    before = (await house.get(f"/history/{old}"))[1][old]
    image = next(iter(before["outputs"].values()))["images"][0]
    running = await house.prompt(GATE)
    aged(house, [old, running], days=4)
    await until(lambda: not folder(house, old).exists(), "the old result to be removed")

    async def expired() -> bool:
        return (await house.get(f"/history/{old}"))[0] == 410

    await until(expired, "the caller to be told")
    _, body = await house.get(f"/history/{old}")
    assert "has expired" in body["detail"] and "Submit the prompt again" in body["detail"]
    query = f"/view?filename={image['filename']}&subfolder={image['subfolder']}&type={image['type']}"
    assert (await house.get(query))[0] == 410
    assert (await house.get(f"/history/{young}"))[0] == 200
    assert list((await house.get("/history"))[1]) == [young]
    listed = {one["id"]: one for one in (await house.get("/jobs"))[1]["jobs"]}
    assert "expired_time" in listed[old] and "expired_time" not in listed[young]
    assert (await house.get(f"/jobs/{old}"))[0] == 200
    engine.gate.set()
    assert (await house.finished(running))["status"]["status_str"] == "success"
    await house.archived("a")
    assert (await house.get(f"/history/{running}"))[0] == 200 and folder(house, running).exists()


async def test_beyond_the_size_the_oldest_go_first(house: GatewayHouse) -> None:
    await house.engine("a")
    house.route("a")
    await house.start("--expiry-seconds", "0.1")
    prompts = await finished(house, 4, content="x" * 100_000)
    for number, prompt_id in enumerate(prompts):
        aged(house, [prompt_id], days=4 - number)
    one = Archive(Home(house.root)).size_bytes(SERVICE, prompts[0])
    house.route("a", archive_bytes=2 * one + 1000)
    await until(lambda: not folder(house, prompts[1]).exists(), "the second oldest to be removed")
    assert [folder(house, prompt_id).exists() for prompt_id in prompts] == [False, False, True, True]
    assert (await house.get(f"/history/{prompts[2]}"))[0] == 200


async def test_without_a_limit_everything_stays(house: GatewayHouse) -> None:
    await house.engine("a")
    house.route("a")
    await house.start("--expiry-seconds", "0.05")
    (only,) = await finished(house, 1)
    aged(house, [only], days=4000)
    ends = asyncio.get_running_loop().time() + 0.5
    while asyncio.get_running_loop().time() < ends:
        assert (await house.get(f"/history/{only}"))[0] == 200


async def test_a_removal_that_was_cut_off_is_completed_by_the_next_look(house: GatewayHouse) -> None:
    await house.engine("a")
    house.route("a")
    await house.start()
    (only,) = await finished(house, 1)
    database, archive = open_jobs(f"sqlite:///{house.root / 'jobs.db'}"), Archive(Home(house.root))
    with database.write() as connection:  # killed after the mark, before the folder went
        connection.execute(update(table).values(expired_at=datetime.now(UTC)))
    assert expire(database, archive, SERVICE, days=None, limit_bytes=2**20) == (only,)
    assert not folder(house, only).exists()
    assert expire(database, archive, SERVICE, days=None, limit_bytes=2**20) == ()
    job = queue.job(database, SERVICE, only)
    assert job is not None and job.expired_at is not None
    database.close()
