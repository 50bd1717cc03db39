"""Faults of the data plane by their numbers: a real gateway process before engines on real sockets."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from online_runtime.jobs import queue
from online_runtime.jobs.database import open_jobs
from tests.fakes.gateway_house import GATE, SERVICE, GatewayHouse, save, until

pytestmark = [pytest.mark.slow, pytest.mark.timeout(120)]


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[GatewayHouse]:
    house = GatewayHouse(tmp_path / "home")
    try:
        yield house
    finally:
        await house.close()


def stored(house: GatewayHouse, prompt_id: str) -> tuple[str, str | None, int]:
    """State, reason and attempt of a job as the table has them."""
    database = open_jobs(f"sqlite:///{house.root / 'jobs.db'}")
    try:
        job = queue.job(database, SERVICE, prompt_id)
        assert job is not None
        return job.state.value, job.reason, job.attempt
    finally:
        database.close()


async def test_fault_36_a_gateway_killed_at_a_switch_starts_from_the_newest_table_and_routes_nobody_dead(
    house: GatewayHouse,
) -> None:
    first = await house.engine("a")
    await house.engine("b")
    house.route("a")
    await house.start()
    running = await house.prompt(GATE)
    house.route("b", draining=("a",))
    await house.kill()  # it may or may not have seen the switch
    await house.start()
    assert (await house.state())["version"] == house.version
    second = await house.prompt(save())
    await house.finished(second)
    assert second in house.engines["b"].received
    first.gate.set()
    assert (await house.finished(running))["status"]["status_str"] == "success"
    assert first.received == [running]


async def test_fault_36_without_a_table_to_read_it_starts_and_says_that_nothing_is_there(
    house: GatewayHouse,
) -> None:
    await house.engine("a")
    house.route("a")
    await house.start()
    await house.kill()
    house.write("{ this is no table")
    house.version = 0
    await house.start()
    async with house.session.get(f"{house.url}/healthz") as answer:
        assert (await answer.json())["stale"] is True
    assert (await house.get("/queue"))[0] == 404


async def test_fault_38_a_gateway_that_hears_nothing_serves_on_from_its_last_table(
    house: GatewayHouse,
) -> None:
    await house.engine("a")
    house.route("a")
    await house.start()
    (house.root / "run" / "routing.json").unlink()  # whoever wrote it is gone, and what it wrote
    for _ in range(3):
        await house.finished(await house.prompt(save()))

    async def stale() -> bool:
        async with house.session.get(f"{house.url}/healthz") as answer:
            return bool((await answer.json())["stale"])

    await until(stale, "the gateway to call itself stale")


async def test_fault_39_what_waits_in_the_old_ones_queue_at_a_drain_ends_there_under_its_id(
    house: GatewayHouse,
) -> None:
    old, new = await house.engine("a"), await house.engine("b")
    house.route("a")
    await house.start()
    running, waiting = await house.prompt(GATE), await house.prompt(save())
    await house.applied(house.route("b", draining=("a",)))
    old.gate.set()
    for prompt_id in (running, waiting):
        assert (await house.finished(prompt_id))["status"]["status_str"] == "success"
    assert (old.received, new.received) == ([running, waiting], [])


async def test_fault_39_what_still_waits_when_the_old_one_is_stopped_runs_exactly_once_more(
    house: GatewayHouse,
) -> None:
    old, new = await house.engine("a"), await house.engine("b")
    house.route("a")
    await house.start()
    waiting = [await house.prompt(GATE) for _ in range(3)]
    await house.applied(house.route("b", draining=("a",)))
    new.gate.set()
    await old.stop()
    del house.engines["a"]
    house.route("b")
    for prompt_id in waiting:
        assert (await house.finished(prompt_id))["status"]["status_str"] == "success"
    assert sorted(new.received) == sorted(waiting)


async def test_fault_40_a_job_cut_off_at_the_hard_limit_runs_once_more_and_ends_with_a_reason_if_cut_again(
    house: GatewayHouse,
) -> None:
    await house.engine("a"), await house.engine("b"), await house.engine("c")
    house.route("a")
    await house.start()
    prompt_id = await house.prompt(GATE)
    for name, heir in (("a", "b"), ("b", "c")):
        house.route(heir, draining=(name,))
        await house.engines.pop(name).stop()  # the hard drain limit has passed
        house.route(heir)
        if heir == "b":
            await until(lambda: house.engines["b"].received == [prompt_id], "the second attempt")
    await until(lambda: stored(house, prompt_id)[0] == "lost", "the end of the job")
    state, reason, attempt = stored(house, prompt_id)
    assert (state, attempt) == ("lost", 2)
    assert reason is not None and "Instance b is gone" in reason and "second time" in reason

    async def told() -> str:
        status, body = await house.get(f"/history/{prompt_id}")
        assert status == 410 or body == {}, body  # stored first, told a moment later
        return str(body["detail"]) if status == 410 else ""

    assert "Instance b is gone" in await until(told, "the caller to be told")
    assert house.engines["c"].received == []


async def test_fault_41_a_file_at_an_owner_that_refuses_the_connection_is_502_with_its_name_at_once(
    house: GatewayHouse,
) -> None:
    engine = await house.engine("a")
    house.route("a")
    await house.start()
    prompt_id = await house.prompt(GATE)
    await engine.stop()
    async with asyncio.timeout(10):
        status, body = await house.get(f"/view?filename=x.png&subfolder={prompt_id}")
        assert status == 502 and "Instance a did not answer" in json.dumps(body)
        status, body = await house.get("/view?filename=x.png")
        assert status == 502 and "Instance a did not answer" in json.dumps(body)


async def test_fault_41_a_file_that_another_instance_has_is_found_beside_a_dead_one(
    house: GatewayHouse,
) -> None:
    dead, living = await house.engine("a"), await house.engine("b")
    house.route("a", "b")
    await house.start()
    living.files["output", "", "only.png"] = b"bytes"
    await dead.stop()
    assert await house.get("/view?filename=only.png") == (200, b"bytes")


async def test_an_interrupt_whose_owner_is_dead_ends_the_job_with_a_reason_and_it_never_runs_again(
    house: GatewayHouse,
) -> None:
    first, second = await house.engine("a"), await house.engine("b")
    house.route("a")
    await house.start()
    prompt_id = await house.prompt(GATE)
    await first.stop()
    async with asyncio.timeout(10):
        answer = await house.session.post(house.path("/interrupt"), json={"prompt_id": prompt_id})
        assert answer.status == 200
    second.gate.set()
    house.engines.pop("a")
    house.route("b")
    await until(lambda: stored(house, prompt_id)[0] == "interrupted", "the end of the job")
    assert stored(house, prompt_id)[1] == "A caller interrupted it; its instance was gone."
    assert second.received == []


async def test_an_interrupt_of_everything_reaches_the_living_and_names_the_dead(house: GatewayHouse) -> None:
    dead, living = await house.engine("a"), await house.engine("b")
    house.route("b")
    await house.start()
    prompt_id = await house.prompt(GATE)
    await until(lambda: living.running is not None, "the prompt to run")
    await house.applied(house.route("a", "b"))
    await dead.stop()
    async with asyncio.timeout(10):
        answer = await house.session.post(house.path("/interrupt"), json={})
        assert answer.status == 502
        assert "Instance a" in (await answer.json(content_type=None))["detail"]
    entry = await house.finished(prompt_id)
    assert entry["status"]["status_str"] == "error"
