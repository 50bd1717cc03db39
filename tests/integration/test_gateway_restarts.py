"""A gateway process whose only engine is killed and started again in place: calls meanwhile are held. Real
sockets, a real process.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.fakes.engine_app import FakeEngine
from tests.fakes.gateway_house import GATE, GatewayHouse, save, until

pytestmark = pytest.mark.slow


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[GatewayHouse]:
    house = GatewayHouse(tmp_path / "home")
    house.settings = {"hold_seconds": 20.0}
    try:
        yield house
    finally:
        await house.close()


async def killed(house: GatewayHouse) -> FakeEngine:
    """A gateway before one engine that has answered a call and was then killed."""
    engine = await house.engine("a")
    house.route("a")
    await house.start()
    assert (await house.get("/system_stats"))[0] == 200
    await engine.stop()
    return engine


async def held(house: GatewayHouse, calls: int) -> None:
    async def holding() -> bool:
        return (await house.state())["held"] == calls

    await until(holding, f"{calls} held calls")


async def test_calls_to_a_killed_engine_wait_for_it_at_its_new_port(house: GatewayHouse) -> None:
    await killed(house)
    post = asyncio.create_task(house.prompt(save()))
    get = asyncio.create_task(house.get("/system_stats"))
    await held(house, 2)
    state = await house.state()
    assert state["in_flight"] == {} and state["unfinished"] == {}  # nothing here holds up a drain of it
    again = await house.engine("a")  # on another port, under its old id
    began = asyncio.get_running_loop().time()
    house.route("a")
    assert (await get)[0] == 200
    entry = await house.finished(await post)
    assert asyncio.get_running_loop().time() - began < 5
    assert entry["status"]["status_str"] == "success"
    assert again.received == [await post]


async def test_calls_to_a_killed_engine_wait_for_it_at_its_old_port(house: GatewayHouse) -> None:
    engine = await killed(house)
    post = asyncio.create_task(house.prompt(save()))
    upload = asyncio.create_task(house.session.post(house.path("/upload/image"), data=bytes(70_000)))
    await held(house, 2)
    house.engines["a"] = again = await FakeEngine("a").start(engine.port)
    assert await (await upload).json() == {"bytes": 70_000}
    await house.finished(await post)
    assert again.received == [await post]


async def test_an_engine_that_does_not_come_back_is_503_with_retry_after_and_leaves_no_job(
    house: GatewayHouse,
) -> None:
    house.settings = {"hold_seconds": 1.0}
    await killed(house)
    del house.engines["a"]
    began = asyncio.get_running_loop().time()
    for call in (
        house.session.post(house.path("/prompt"), json={"prompt": save()}),
        house.session.get(house.path("/system_stats")),
    ):
        async with call as answer:
            assert answer.status == 503
            assert int(answer.headers["Retry-After"]) > 0
    assert asyncio.get_running_loop().time() - began >= 2.0
    state = await house.state()
    assert (state["unfinished"], state["held"], state["in_flight"]) == ({}, 0, {})


async def test_no_more_calls_are_held_for_a_killed_engine_than_allowed(house: GatewayHouse) -> None:
    house.settings = {"hold_seconds": 20.0, "hold_calls": 1}
    await killed(house)
    call = asyncio.create_task(house.prompt(save()))
    await held(house, 1)
    assert (await house.get("/system_stats"))[0] == 503
    await house.engine("a")
    house.route("a")
    await house.finished(await call)


async def test_a_caller_that_gives_up_while_held_gives_up_its_place(house: GatewayHouse) -> None:
    await killed(house)
    del house.engines["a"]
    call = asyncio.create_task(house.get("/system_stats"))
    await held(house, 1)
    call.cancel()
    await held(house, 0)


async def test_the_same_call_held_twice_runs_once(house: GatewayHouse) -> None:
    await killed(house)
    headers = {"Idempotency-Key": "order-18"}
    calls = [asyncio.create_task(house.prompt(save(), headers=headers)) for _ in range(4)]
    await held(house, 4)
    again = await house.engine("a")
    house.route("a")
    ids = await asyncio.gather(*calls)
    assert len(set(ids)) == 1
    assert again.received == [ids[0]]


async def test_a_running_job_of_a_killed_engine_runs_again_at_its_new_port(house: GatewayHouse) -> None:
    engine = await house.engine("a")
    house.route("a")
    await house.start()
    prompt_id = await house.prompt(GATE)
    await until(lambda: engine.running, "the prompt to run")
    await engine.stop()
    again = await house.engine("a")
    again.gate.set()
    house.route("a")
    assert (await house.finished(prompt_id))["status"]["status_str"] == "success"
    assert again.received == [prompt_id]
