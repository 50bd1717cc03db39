"""A real gateway before a service that sleeps: who wakes it, who does not, and what the publisher is told."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator
from datetime import datetime
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from tests.fakes.gateway_house import SERVICE, TOKEN, GatewayHouse, save, until

pytestmark = pytest.mark.slow

ASLEEP = {"sleeps": True, "hold_seconds": 30.0, "hold_calls": 100}


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[GatewayHouse]:
    made = GatewayHouse(tmp_path / "home")
    yield made
    await made.close()


def told(house: GatewayHouse) -> dict[str, Any]:
    assert house.process is not None
    file = house.root / "run" / "gateways" / f"{house.process.pid}.load"
    return json.loads(file.read_text())["services"].get(SERVICE, {}) if file.exists() else {}


async def test_fault_49_of_500_calls_at_once_as_many_are_held_as_allowed_and_the_rest_get_503(
    house: GatewayHouse,
) -> None:
    await house.engine("a")
    house.route(**ASLEEP)
    await house.start()

    async def call() -> tuple[int, str | None]:
        async with session.post(house.path("/prompt"), json={"prompt": save()}) as answer:
            await answer.read()
            return answer.status, answer.headers.get("Retry-After")

    unlimited = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(headers={"Authorization": TOKEN}, connector=unlimited) as session:
        calls = [asyncio.create_task(call()) for _ in range(500)]
        await until(lambda: sum(task.done() for task in calls) == 400, "400 refusals", 60)
        await until(lambda: told(house).get("held") == 100, "the word of 100 held calls")
        house.route("a", **{**ASLEEP, "sleeps": False})
        answers = await asyncio.gather(*calls)
    assert Counter(status for status, _ in answers) == {200: 100, 503: 400}
    assert all(int(after or 0) > 0 for status, after in answers if status == 503)
    await until(lambda: told(house).get("held") == 0, "nobody held")


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/system_stats"),
        ("GET", "/api/system_stats"),
        ("GET", "/metrics"),
        ("HEAD", "/"),
        ("GET", "/"),
    ],
)
async def test_fault_50_probes_and_scrapes_of_a_sleeping_service_are_answered_at_once_and_wake_nobody(
    house: GatewayHouse, method: str, path: str
) -> None:
    house.route(**ASLEEP)
    await house.start()
    async with asyncio.timeout(10), house.session.request(method, house.path(path)) as answer:
        assert answer.status == 503
        assert int(answer.headers["Retry-After"]) > 0
    assert (await house.get("/queue"))[0] == 200
    assert (await house.get("/prompt"))[0] == 200
    assert (await house.get("/history"))[0] == 200
    assert told(house) == {}


async def test_fault_50_probes_of_a_service_that_is_awake_are_no_sign_of_use(house: GatewayHouse) -> None:
    await house.engine("a")
    house.route("a")
    await house.start()
    for _ in range(20):
        assert (await house.get("/system_stats"))[0] == 200
        assert (await house.get("/queue"))[0] == 200
    assert told(house).get("last_call_at") is None
    await house.finished(await house.prompt(save()))
    await until(lambda: told(house).get("last_call_at"), "the word of a call")
    called = datetime.fromisoformat(told(house)["last_call_at"])
    assert (await house.get("/system_stats"))[0] == 200
    assert datetime.fromisoformat(told(house)["last_call_at"]) == called


async def test_jobs_that_run_are_told_until_they_have_ended(house: GatewayHouse) -> None:
    engine = await house.engine("a")
    house.route("a")
    await house.start()
    gate = await house.prompt({"1": {"class_type": "Gate", "inputs": {}}})
    await until(lambda: told(house).get("jobs") == 1, "the word of one job")
    engine.gate.set()
    await house.finished(gate)
    await until(lambda: told(house).get("jobs") == 0, "the word that it has ended")


async def test_the_word_of_a_gateway_ends_with_it(house: GatewayHouse) -> None:
    await house.engine("a")
    house.route("a")
    await house.start()
    await house.prompt(save())
    await until(lambda: told(house), "a word")
    await house.stop()
    assert list((house.root / "run" / "gateways").glob("*.load")) == []


async def test_fault_44_prompts_posted_while_the_table_switches_run_once_each_wherever_they_go(
    house: GatewayHouse,
) -> None:
    """Two hundred prompts beside forty switches: each is answered, each ran on exactly one instance."""
    await house.engine("a")
    await house.engine("b")
    house.route("a", draining=("b",))
    await house.start()

    async def switch() -> None:
        for turn in range(40):
            on, off = ("a", "b") if turn % 2 else ("b", "a")
            house.route(on, draining=(off,))
            await asyncio.sleep(0.01)

    switching = asyncio.create_task(switch())
    ids = []
    for _ in range(20):
        ids += await asyncio.gather(*(house.prompt(save()) for _ in range(10)))
    await switching
    for prompt_id in ids:
        await house.finished(prompt_id)
    ran = Counter(prompt for engine in house.engines.values() for prompt in engine.received)
    assert set(ids) <= ran.keys()
    assert set(ran.values()) == {1}
