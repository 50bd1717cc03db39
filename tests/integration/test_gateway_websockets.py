"""A gateway process before fake engines: one websocket over all instances. Real sockets, a real process."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from tests.fakes.gateway_house import GATE, TOKEN, GatewayHouse, save, until

pytestmark = pytest.mark.slow


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[GatewayHouse]:
    house = GatewayHouse(tmp_path / "home")
    try:
        yield house
    finally:
        await house.close()


class Listener:
    """Keeps everything that comes over one websocket."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self.socket = socket
        self.events: list[dict[str, Any]] = []
        self.binary: list[bytes] = []
        self.task = asyncio.create_task(self._run())

    async def _run(self) -> None:
        async for message in self.socket:
            if message.type is aiohttp.WSMsgType.TEXT:
                self.events.append(json.loads(message.data))
            elif message.type is aiohttp.WSMsgType.BINARY:
                self.binary.append(message.data)

    def of(self, kind: str) -> list[dict[str, Any]]:
        return [event["data"] for event in self.events if event["type"] == kind]


async def listen(house: GatewayHouse, client_id: str = "me") -> Listener:
    url = house.path(f"/ws?clientId={client_id}&token={TOKEN}")
    socket = await house.session.ws_connect(url, headers={"Authorization": ""})  # no header: as a browser
    listener = Listener(socket)
    await until(lambda: listener.of("status"), "the first status")
    return listener


async def test_events_of_two_instances_come_over_one_socket(house: GatewayHouse) -> None:
    engines = [await house.engine(name) for name in ("a", "b")]
    house.route("a", "b")
    await house.start()
    listener = await listen(house)
    await until(lambda: all("me" in engine.sockets for engine in engines), "both upstream sockets")
    prompts = [await house.prompt(GATE, client_id="me") for _ in range(2)]
    assert [len(engine.received) for engine in engines] == [1, 1]
    for engine in engines:
        engine.gate.set()
    await until(lambda: len(listener.of("execution_success")) == 2, "both to succeed")
    executed = listener.of("executed")
    subfolders = {event["output"]["images"][0]["subfolder"] for event in executed}
    assert subfolders == set(prompts)
    assert len([event for event in listener.of("status") if "sid" in event]) == 1
    assert listener.of("status")[0]["sid"] == "me"
    await until(lambda: len(listener.binary) >= 2, "previews")
    await until(lambda: listener.of("status")[-1]["status"]["exec_info"]["queue_remaining"] == 0, "rest")


async def test_an_instance_never_sees_the_token_of_a_websocket(house: GatewayHouse) -> None:
    engine = await house.engine("a")
    house.route("a")
    await house.start()
    await listen(house)
    own = next(request for request in engine.requests if request.query.get("clientId") == "me")
    assert "token" not in own.query_string and TOKEN not in str(own.headers)
    assert TOKEN not in (house.root / "gateway.log").read_text()


async def test_a_websocket_with_a_wrong_token_is_refused_with_401(house: GatewayHouse) -> None:
    await house.engine("a")
    house.route("a")
    await house.start()
    with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
        await house.session.ws_connect(house.path("/ws?token=wrong"), headers={"Authorization": ""})
    assert refused.value.status == 401


async def test_a_socket_stays_until_its_jobs_end_at_a_drain_then_says_come_back(house: GatewayHouse) -> None:
    old = await house.engine("old")
    await house.engine("new")
    house.route("old")
    await house.start()
    listener = await listen(house)
    bystander = await listen(house, "bystander")
    prompt_id = await house.prompt(GATE, client_id="me")
    await house.applied(house.route("new", draining=("old",)))
    await asyncio.wait_for(bystander.task, 10)
    assert bystander.socket.close_code == 1012
    assert not listener.task.done()
    old.gate.set()
    await asyncio.wait_for(listener.task, 10)
    assert listener.socket.close_code == 1012
    assert listener.of("executing")[-1] == {"node": None, "prompt_id": prompt_id}
    again = await listen(house)
    await house.prompt(save(), client_id="me")
    await until(lambda: again.of("execution_success"), "events of the new instance")


async def test_a_token_that_is_revoked_closes_its_sockets(house: GatewayHouse) -> None:
    await house.engine("a")
    house.route("a")
    await house.start()
    listener = await listen(house)
    house.route("a", tokens=())
    await asyncio.wait_for(listener.task, 10)
    assert listener.socket.close_code == 1008


async def test_feature_flags_reach_every_engine_and_are_answered_once(house: GatewayHouse) -> None:
    await house.engine("a"), await house.engine("b")
    house.route("a", "b")
    await house.start()
    listener = await listen(house)
    await listener.socket.send_json({"type": "feature_flags", "data": {"supports_preview_metadata": True}})
    await until(lambda: listener.of("feature_flags"), "the answer")
    prompt_id = await house.prompt(save(), client_id="me")
    await until(lambda: listener.of("execution_success"), "an event after it")
    assert prompt_id and len(listener.of("feature_flags")) == 1


async def test_a_second_socket_of_a_client_takes_over_from_the_first(house: GatewayHouse) -> None:
    await house.engine("a")
    house.route("a")
    await house.start()
    first, second = await listen(house), await listen(house)
    await house.prompt(save(), client_id="me")
    await until(lambda: second.of("execution_success"), "events at the second")
    assert not first.of("execution_success")


async def test_a_gateway_that_stops_tells_its_sockets_to_come_back(house: GatewayHouse) -> None:
    await house.engine("a")
    house.route("a")
    await house.start()
    listener = await listen(house)
    assert house.process is not None
    house.process.terminate()
    await asyncio.wait_for(listener.task, 10)
    assert listener.socket.close_code == 1012


async def test_an_engine_waits_for_a_slow_caller_and_nothing_is_lost(
    house: GatewayHouse,
) -> None:
    engine = await house.engine("a")
    house.route("a")
    await house.start()
    socket = await house.session.ws_connect(house.path("/ws?clientId=me"), max_msg_size=0)
    await until(lambda: "me" in engine.sockets, "the upstream socket")
    frames, sent = 100, 0

    async def flood() -> None:
        nonlocal sent
        for number in range(frames):
            await engine.sockets["me"].send_bytes(number.to_bytes(4, "big") + bytes(1_000_000))
            sent += 1

    flooding = asyncio.create_task(flood())
    before = -1
    while sent != before:  # until it stands still: a second without a frame
        before = sent
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(asyncio.shield(flooding), 1.0)
    assert sent < frames / 2
    numbers = []
    while len(numbers) < frames:
        message = await socket.receive(timeout=10)
        if message.type is aiohttp.WSMsgType.BINARY:
            numbers.append(int.from_bytes(message.data[:4], "big"))
            assert len(message.data) == 1_000_004
    assert numbers == list(range(frames))
    await flooding


async def test_a_message_over_the_limit_closes_its_socket_and_no_other(house: GatewayHouse) -> None:
    await house.engine("a")
    house.route("a")
    await house.start()
    listener, other = await listen(house), await listen(house, "other")
    with contextlib.suppress(ConnectionError):
        await listener.socket.send_bytes(bytes(17 * 1024 * 1024))
    await asyncio.wait_for(listener.task, 10)
    assert listener.socket.close_code in (1009, 1006)  # 1006: the close frame met bytes still on their way
    await house.prompt(save(), client_id="other")
    await until(lambda: other.of("execution_success"), "events at the other")
