"""A gateway process before fake engines: tokens, limits, streaming, tables that change. Real sockets, a
real process.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import stat
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import aiohttp
import pytest

from online_runtime.gateway.routing import RouteInstance, RouteToken, ServiceRoute
from tests.fakes.gateway_house import SERVICE, TOKEN, GatewayHouse, save, until

pytestmark = pytest.mark.slow


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[GatewayHouse]:
    house = GatewayHouse(tmp_path / "home")
    try:
        yield house
    finally:
        await house.close()


async def test_only_a_token_of_the_service_opens_it_and_revoking_closes_it(house: GatewayHouse) -> None:
    await house.engine("a")
    house.route("a")
    await house.start()
    url = house.path("/system_stats")
    async with aiohttp.ClientSession() as session:
        for value, status in ((TOKEN, 200), (f"Bearer {TOKEN}", 200), ("wrong", 401), (None, 401)):
            headers = {} if value is None else {"Authorization": value}
            async with session.get(url, headers=headers) as answer:
                assert answer.status == status, value
                if status == 401:
                    assert answer.content_type == "application/problem+json"
                    assert answer.headers["WWW-Authenticate"].startswith("Bearer")
        async with session.get(f"{house.url}/-/state") as answer:
            assert answer.status == 401
    other = RouteToken("t2", hashlib.sha256(b"another").hexdigest())
    await house.applied(house.route("a", tokens=(other,)))
    assert (await house.get("/system_stats"))[0] == 401
    secret = house.root / "run" / "control.token"
    assert stat.S_IMODE(secret.stat().st_mode) == 0o600
    log = (house.root / "gateway.log").read_text()
    assert TOKEN not in log and secret.read_text() not in log


async def test_an_instance_sees_neither_token_nor_cookies_nor_origin(house: GatewayHouse) -> None:
    engine = await house.engine("a")
    house.route("a")
    await house.start()
    headers = {"Cookie": "session=1", "Origin": "http://elsewhere", "X-Kept": "yes"}
    async with house.session.get(house.path("/system_stats?a=1"), headers=headers) as answer:
        assert answer.headers["X-Stillframe-Instance"] == "a"
        assert answer.headers["X-Stillframe-Snapshot"] == "snap-a"
        assert "Set-Cookie" not in answer.headers
    seen = engine.requests[-1]
    assert seen.headers["X-Kept"] == "yes" and seen.query_string == "a=1"
    assert not {"Authorization", "Cookie", "Origin"} & set(seen.headers)
    assert seen.headers["Host"] == f"127.0.0.1:{engine.port}"


async def test_unknown_services_paths_and_escapes_are_refused(house: GatewayHouse) -> None:
    await house.engine("a")
    house.route("a")
    await house.start()
    for path, status in (
        ("/api/predict/nobody/prompt", 404),
        ("/elsewhere", 404),
        (f"/api/predict/{SERVICE}/x/..%2f..%2fy", 400),
    ):
        async with house.session.get(aiohttp.client.URL(house.url + path, encoded=True)) as answer:
            assert answer.status == status, path
            assert answer.content_type == "application/problem+json"


async def test_a_body_over_the_limit_is_413_by_header_and_while_streaming(house: GatewayHouse) -> None:
    await house.engine("a")
    house.route("a", max_body_bytes=100_000)
    await house.start()

    async def chunks() -> AsyncIterator[bytes]:
        for _ in range(4):
            yield bytes(50_000)

    for path in ("/upload/image", "/prompt"):
        for data in (bytes(200_000), chunks()):
            async with house.session.post(house.path(path), data=data) as answer:
                assert answer.status == 413, path
                assert (await answer.json())["status"] == 413
    async with house.session.post(house.path("/upload/image"), data=bytes(90_000)) as answer:
        assert await answer.json() == {"bytes": 90_000}


async def test_without_an_instance_the_answer_is_503_with_retry_after(house: GatewayHouse) -> None:
    house.route()
    await house.start()
    async with house.session.post(house.path("/prompt"), json={"prompt": save()}) as answer:
        assert answer.status == 503
        assert int(answer.headers["Retry-After"]) > 0


async def test_calls_are_held_until_an_instance_accepts_and_not_more_than_allowed(
    house: GatewayHouse,
) -> None:
    await house.engine("a")
    house.route(hold_seconds=20, hold_calls=2)
    await house.start()
    held = [asyncio.create_task(house.prompt(save())) for _ in range(2)]

    async def holding() -> bool:
        return (await house.state())["held"] == 2

    await until(holding, "two held calls")
    assert (await house.get("/system_stats"))[0] == 503
    house.route("a", hold_seconds=20, hold_calls=2)
    for task in held:
        await house.finished(await task)
    assert (await house.state())["held"] == 0


async def test_a_call_goes_to_another_instance_when_the_first_cannot_be_connected_to(
    house: GatewayHouse,
) -> None:
    dead, alive = await house.engine("dead"), await house.engine("alive")
    house.route("dead", "alive")
    await house.start()
    await dead.stop()
    del house.engines["dead"]
    for _ in range(4):
        status, body = await house.get("/system_stats")
        assert (status, body["system"]["name"]) == (200, "alive")
        await house.finished(await house.prompt(save()))
    assert len(alive.received) == 4
    await alive.stop()
    del house.engines["alive"]
    assert (await house.get("/system_stats"))[0] == 503  # nothing is held here: hold_seconds is 0


async def test_one_malformed_entry_drops_only_itself(house: GatewayHouse) -> None:
    engine = await house.engine("a")
    house.route("a")
    await house.start()
    table = json.loads((house.root / "run" / "routing.json").read_text())
    table["services"]["broken"] = {"name": "broken", "instances": [{"id": "x", "url": "file:///etc"}]}
    table["services"]["strange"] = {**table["services"][SERVICE], "name": "strange", "hold_seconds": "soon"}
    table["version"] = house.version = house.version + 1
    house.write(json.dumps(table))
    await house.applied()
    assert (await house.get("/system_stats"))[1]["system"]["name"] == engine.name
    for name in ("broken", "strange"):
        async with house.session.get(f"{house.url}/api/predict/{name}/queue") as answer:
            assert answer.status == 404
    async with house.session.get(f"{house.url}/healthz") as answer:
        assert await answer.json() == {"version": house.version, "stale": False, "dropped": 2}


async def test_an_unreadable_table_keeps_the_last_good_one_and_says_so(house: GatewayHouse) -> None:
    await house.engine("a")
    house.route("a")
    await house.start()

    async def stale() -> bool:
        async with house.session.get(f"{house.url}/healthz") as answer:
            return (await answer.json())["stale"]

    for text in ("{", '{"format": 99}', '{"format": 1, "version": 2, "services": []}'):
        house.write(text)
        await until(stale, "the gateway to notice")
        assert (await house.get("/system_stats"))[0] == 200
        await house.applied(house.route("a"))
        assert not await stale()
    (house.root / "run" / "routing.json").unlink()
    await until(stale, "the gateway to notice")
    assert (await house.get("/system_stats"))[0] == 200


async def test_a_slow_download_is_not_buffered_counts_as_in_flight_and_survives_a_switch(
    house: GatewayHouse,
) -> None:
    old = await house.engine("old")
    await house.engine("new")
    house.route("old")
    await house.start()
    size = 200_000_000
    async with house.session.get(house.path(f"/large?bytes={size}")) as answer:
        first = await answer.content.readexactly(1000)
        await house.applied(house.route("new", draining=("old",)))
        assert (await house.state())["in_flight"] == {"old": 1}
        assert old.sent < 50_000_000  # the instance waits for the slow caller
        received = len(first)
        async for chunk in answer.content.iter_chunked(1 << 20):
            received += len(chunk)
    assert received == size
    await house.archived("old")


async def test_a_caller_that_hangs_up_ends_the_call_at_the_instance(house: GatewayHouse) -> None:
    engine = await house.engine("a")
    house.route("a")
    await house.start()
    call = asyncio.create_task(house.get("/hang"))
    await until(lambda: hasattr(engine, "hanging") and engine.hanging.is_set(), "the call to arrive")
    call.cancel()
    async with asyncio.timeout(10):
        await engine.hung_up.wait()
    answer = await house.session.get(house.path("/large?bytes=500000000"))
    await answer.content.readexactly(1000)
    answer.close()
    await until(lambda: engine.broken, "the download to be broken off")
    assert (await house.state())["in_flight"] == {}


async def test_twenty_switches_under_eight_busy_callers_lose_nothing(house: GatewayHouse) -> None:
    for name in ("a", "b"):
        await house.engine(name)
    house.route("a")
    await house.start()
    ids: list[str] = []
    ended = asyncio.Event()

    async def caller() -> None:
        while not ended.is_set():
            ids.append(await house.prompt(save()))
            assert (await house.get("/system_stats"))[0] == 200

    callers = [asyncio.create_task(caller()) for _ in range(8)]
    slowest = 0.0
    for turn in range(20):
        names = ("a", "b") if turn % 2 else ("b", "a")
        wanted = len(ids) + 16
        await until(lambda wanted=wanted: len(ids) >= wanted, "load")
        began = asyncio.get_running_loop().time()
        await house.applied(house.route(names[0], draining=(names[1],)))
        slowest = max(slowest, asyncio.get_running_loop().time() - began)
    ended.set()
    await asyncio.gather(*callers)
    assert len(set(ids)) == len(ids) >= 320
    for name in ("a", "b"):
        await house.archived(name)
    for prompt_id in ids:
        assert (await house.finished(prompt_id))["status"]["status_str"] == "success"
    received = house.engines["a"].received + house.engines["b"].received
    assert sorted(received) == sorted(ids)
    assert slowest < 2.0  # a switch is visible in 0.05 s; this machine may be busy


async def test_a_gateway_that_is_stopped_leaves_no_trace_of_its_presence(house: GatewayHouse) -> None:
    house.route()
    await house.start()
    assert await house.stop() == 0
    assert list((house.root / "run" / "gateways").iterdir()) == []


async def test_services_are_apart(house: GatewayHouse) -> None:
    engine = await house.engine("a")
    token = RouteToken("t", hashlib.sha256(b"theirs").hexdigest())
    mine = RouteToken("t", hashlib.sha256(TOKEN.encode()).hexdigest())
    route = ServiceRoute(SERVICE, (RouteInstance("a", engine.url, "s", 1),), (mine,))
    house.publish({SERVICE: route, "theirs": replace(route, name="theirs", tokens=(token,))})
    await house.start()
    prompt_id = await house.prompt(save())
    await house.finished(prompt_id)
    url = f"{house.url}/api/predict/theirs/history/{prompt_id}"
    async with house.session.get(url) as answer:
        assert answer.status == 401
    async with house.session.get(url, headers={"Authorization": "theirs"}) as answer:
        assert answer.status == 404
