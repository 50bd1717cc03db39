"""Two gateway processes on one home: one table of jobs, one archive. Real sockets, real processes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.fakes.gateway_house import GATE, GatewayHouse, save, until

pytestmark = pytest.mark.slow


@pytest.fixture
async def houses(tmp_path: Path) -> AsyncIterator[tuple[GatewayHouse, GatewayHouse]]:
    """The second house is another gateway on the same home; the first one writes the table."""
    first = GatewayHouse(tmp_path / "home")
    second = GatewayHouse(tmp_path / "home")
    try:
        yield first, second
    finally:
        await first.close()
        await second.close()


async def test_jobs_of_either_gateway_are_answered_by_both_and_run_once(
    houses: tuple[GatewayHouse, GatewayHouse],
) -> None:
    one, two = houses
    engine = await one.engine("a")
    one.route("a")
    await asyncio.gather(one.start(), two.start())
    headers = {"Idempotency-Key": "order-20"}
    same = await asyncio.gather(*(house.prompt(save(), headers=headers) for house in (one, two, one, two)))
    ids = [same[0]]
    for house in (one, two) * 5:
        ids.append(await house.prompt(save()))
    assert set(same) == {ids[0]}
    for prompt_id in ids:
        entries = [await house.finished(prompt_id) for house in (one, two)]
        assert entries[0] == entries[1]
        assert entries[0]["status"]["status_str"] == "success"
    await one.archived("a")
    assert sorted(engine.received) == sorted(ids)
    for house in (one, two):
        assert set((await house.get("/history"))[1]) == set(ids)
        assert (await house.get("/api/jobs?limit=1"))[1]["pagination"]["total"] == len(ids)


async def test_a_killed_gateways_jobs_are_taken_over_by_the_other_and_not_run_again(
    houses: tuple[GatewayHouse, GatewayHouse],
) -> None:
    one, two = houses
    engine = await one.engine("a")
    one.route("a")
    await asyncio.gather(one.start(), two.start())
    orphans = [await one.prompt(GATE) for _ in range(3)]
    own = await two.prompt(GATE)
    await until(lambda: engine.running, "the first to run")
    await one.kill()
    engine.gate.set()

    async def ended() -> bool:  # nobody asks for their history: the other gateway's archivist ends them
        return not (await two.state())["unfinished"]

    await until(ended, "the other gateway to archive them", limit_seconds=40)
    assert engine.received == [*orphans, own]
    for prompt_id in engine.received:
        assert (await two.finished(prompt_id))["status"]["status_str"] == "success"


async def test_an_instance_that_leaves_with_jobs_of_two_gateways_has_each_run_once_more(
    houses: tuple[GatewayHouse, GatewayHouse],
) -> None:
    one, two = houses
    await one.engine("a")
    other = await one.engine("b")
    one.route("a")
    await asyncio.gather(one.start(), two.start())
    prompts = [await house.prompt(GATE) for house in (one, two) * 3]
    other.gate.set()
    one.route("b")
    for prompt_id in prompts:
        for house in (two, one):
            assert (await house.finished(prompt_id))["status"]["status_str"] == "success"
    assert sorted(other.received) == sorted(prompts)
