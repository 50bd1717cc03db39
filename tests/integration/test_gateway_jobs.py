"""A gateway process before fake engines: jobs, archive, files. Every test uses real sockets and a real
process.
"""

from __future__ import annotations

import asyncio
import json
import uuid
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from tests.fakes.gateway_house import GATE, GatewayHouse, save, until

pytestmark = pytest.mark.slow


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[GatewayHouse]:
    house = GatewayHouse(tmp_path / "home")
    try:
        yield house
    finally:
        await house.close()


def image_of(entry: dict[str, Any]) -> dict[str, str]:
    return entry["outputs"]["1"]["images"][0]


def view(image: dict[str, str]) -> str:
    return f"/view?filename={image['filename']}&subfolder={image['subfolder']}&type={image['type']}"


async def test_history_and_files_are_answered_after_the_instance_is_gone(house: GatewayHouse) -> None:
    engine = await house.engine("a")
    house.route("a")
    await house.start()
    prompt_id = await house.prompt(save(content="pixels", subfolder="sub"))
    before = await house.finished(prompt_id)
    await house.archived("a")
    await engine.stop()
    house.engines.clear()
    house.route()
    await house.applied()
    after = await house.finished(prompt_id)
    assert after == before
    image = image_of(after)
    assert image["subfolder"] == f"{prompt_id}/sub"
    assert await house.get(view(image)) == (200, b"pixels")


async def test_files_of_the_same_name_from_two_instances_are_kept_apart(house: GatewayHouse) -> None:
    for name in ("a", "b"):
        await house.engine(name)
    house.route("a")
    await house.start()
    first = await house.prompt(save())
    await house.finished(first)
    house.route("b", draining=("a",))
    await house.applied()
    second = await house.prompt(save())
    images = [image_of(await house.finished(prompt_id)) for prompt_id in (first, second)]
    assert images[0]["filename"] == images[1]["filename"]
    assert [(await house.get(view(image)))[1] for image in images] == [b"a 1", b"b 1"]
    await house.archived("b")
    newest = f"/view?filename={images[0]['filename']}"
    assert (await house.get(newest))[1] == b"b 1"


async def test_a_gateway_killed_with_unfinished_jobs_still_archives_them_after_its_restart(
    house: GatewayHouse,
) -> None:
    engine = await house.engine("a")
    house.route("a")
    await house.start()
    prompts = [await house.prompt(GATE) for _ in range(5)]
    await house.kill()
    engine.gate.set()
    await house.start()
    for prompt_id in prompts:
        assert (await house.finished(prompt_id))["status"]["status_str"] == "success"
    await house.archived("a")
    assert engine.received == prompts
    assert [path.name for path in (house.root / "run" / "gateways").iterdir()] == [
        f"{house.process.pid}.json"
    ]


async def test_a_job_whose_owner_died_runs_once_more_under_the_same_id(house: GatewayHouse) -> None:
    first, second = await house.engine("a"), await house.engine("b")
    house.route("a")
    await house.start()
    prompt_id = await house.prompt(GATE)
    await first.stop()
    del house.engines["a"]
    second.gate.set()
    house.route("b")
    entry = await house.finished(prompt_id)
    assert entry["status"]["status_str"] == "success"
    assert second.received == [prompt_id]


async def test_an_instance_that_leaves_right_after_its_result_was_seen_is_not_run_again(
    house: GatewayHouse,
) -> None:
    engine, other = await house.engine("a"), await house.engine("b")
    engine.says_status = False
    house.route("a")
    await house.start()
    prompt_id = await house.prompt(GATE)
    await asyncio.wait_for(engine.remaining_asked.wait(), 10)  # the end of a look: the next is in a second
    engine.gate.set()
    await until(lambda: prompt_id in engine.history, "the end of the prompt")
    before = await house.finished(prompt_id)
    await house.applied(house.route("b"))
    await engine.stop()
    del house.engines["a"]
    other.gate.set()
    assert await house.finished(prompt_id) == before
    assert (await house.get(view(image_of(before))))[0] == 200
    assert (await _states(house)) == {prompt_id: "done"}
    assert other.received == []


async def test_a_job_that_loses_two_owners_is_lost_and_says_why(house: GatewayHouse) -> None:
    await house.engine("a"), await house.engine("b"), await house.engine("c")
    house.route("a")
    await house.start()
    prompt_id = await house.prompt(GATE)
    house.route("b")
    await until(lambda: house.engines["b"].received, "the second attempt")
    house.route("c")

    async def lost() -> bool:
        return (await house.get(f"/history/{prompt_id}"))[0] == 410

    await until(lost, "the job to be lost")
    _, problem = await house.get(f"/history/{prompt_id}")
    assert "Instance b is gone" in problem["reason"], problem
    assert not house.engines["c"].received


async def test_an_engine_that_restarts_at_its_place_gets_its_jobs_again(house: GatewayHouse) -> None:
    engine = await house.engine("a")
    house.route("a")
    await house.start()
    prompt_id = await house.prompt(GATE)
    port = engine.port
    await engine.stop()
    house.engines["a"] = restarted = await type(engine)("a").start(port)
    restarted.gate.set()
    assert (await house.finished(prompt_id))["status"]["status_str"] == "success"
    assert restarted.received == [prompt_id]


async def test_the_same_idempotency_key_runs_once_and_answers_the_same(house: GatewayHouse) -> None:
    engine = await house.engine("a")
    house.route("a")
    await house.start()
    headers = {"Idempotency-Key": "order-17"}
    ids = await asyncio.gather(*(house.prompt(save(), headers=headers) for _ in range(8)))
    assert len(set(ids)) == 1
    assert engine.received == [ids[0]]
    body = {"prompt": save(prefix="other")}
    async with house.session.post(house.path("/prompt"), json=body, headers=headers) as answer:
        assert answer.status == 422
        assert "Idempotency-Key" in (await answer.json())["detail"]


async def test_a_prompt_id_is_never_used_for_two_bodies(house: GatewayHouse) -> None:
    engine = await house.engine("a")
    house.route("a")
    await house.start()
    prompt_id = str(uuid.uuid4())
    assert await house.prompt(save(), prompt_id=prompt_id) == prompt_id
    assert await house.prompt(save(), prompt_id=prompt_id) == prompt_id
    body = {"prompt": save(prefix="other"), "prompt_id": prompt_id}
    async with house.session.post(house.path("/api/prompt"), json=body) as answer:
        assert answer.status == 409
    assert engine.received == [prompt_id]


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (b"not json", "invalid_prompt"),
        (b"[]", "invalid_prompt"),
        (b"{}", "no_prompt"),
        (b'{"prompt": {"nodes": [], "links": []}}', "invalid_prompt"),
        (b'{"prompt": {}, "prompt_id": "../x"}', "invalid_prompt_id"),
        (b'{"prompt": {"1": {"class_type": "Unknown"}}}', "invalid_prompt"),
        (b'{"prompt": {}}', "prompt_no_outputs"),
    ],
)
async def test_a_prompt_that_cannot_run_is_refused_and_leaves_no_job(
    house: GatewayHouse, body: bytes, kind: str
) -> None:
    await house.engine("a")
    house.route("a")
    await house.start()
    async with house.session.post(house.path("/prompt"), data=body) as answer:
        assert answer.status == 400
        assert (await answer.json())["error"]["type"] == kind
    assert (await house.state())["unfinished"] == {}


async def test_a_caller_that_hangs_up_during_post_leaves_a_job_that_runs(house: GatewayHouse) -> None:
    engine = await house.engine("a")
    house.route("a")
    await house.start()
    host, port = house.url.removeprefix("http://").split(":")
    _, writer = await asyncio.open_connection(host, int(port))
    prompt_id = str(uuid.uuid4())
    body = json.dumps({"prompt": save(), "prompt_id": prompt_id}).encode()
    head = "POST /api/predict/portraits/prompt HTTP/1.1\r\nHost: x\r\nAuthorization: a-token-for-tests\r\n"
    writer.write(head.encode() + b"Content-Length: %d\r\n\r\n" % len(body) + body)
    await writer.drain()
    writer.transport.abort()
    await until(lambda: engine.received, "the prompt to arrive")
    assert (await house.finished(prompt_id))["status"]["status_str"] == "success"


async def test_a_failed_and_an_interrupted_prompt_are_told_apart(house: GatewayHouse) -> None:
    engine = await house.engine("a")
    house.route("a")
    await house.start()
    failed = await house.prompt({"1": {"class_type": "Fail", "inputs": {}}})
    await house.finished(failed)
    stopped = await house.prompt(GATE)
    await until(lambda: engine.running, "the prompt to run")
    async with house.session.post(house.path("/interrupt"), json={"prompt_id": stopped}) as answer:
        assert answer.status == 200
    last = [(await house.finished(one))["status"]["messages"][-1][0] for one in (failed, stopped)]
    assert last == ["execution_error", "execution_interrupted"]
    await house.archived("a")
    states = await _states(house)
    assert states == {failed: "failed", stopped: "interrupted"}


async def test_a_prompt_deleted_from_the_queue_ends_as_interrupted_and_never_runs(
    house: GatewayHouse,
) -> None:
    engine = await house.engine("a")
    house.route("a")
    await house.start()
    running, deleted = await house.prompt(GATE), await house.prompt(save())
    async with house.session.post(house.path("/queue"), json={"delete": [deleted]}) as answer:
        assert answer.status == 200
    entry = await house.finished(deleted)
    assert entry["status"]["messages"][-1][0] == "execution_interrupted"
    engine.gate.set()
    await house.finished(running)
    assert engine.received == [running, deleted]
    assert deleted not in engine.history


async def test_queues_of_all_instances_are_one_queue(house: GatewayHouse) -> None:
    await house.engine("a"), await house.engine("b")
    house.route("a", "b")
    await house.start()
    prompts = {await house.prompt(GATE) for _ in range(4)}
    assert {len(engine.received) for engine in house.engines.values()} == {2}
    _, queue = await house.get("/queue")
    assert {item[1] for part in queue.values() for item in part} == prompts
    assert (await house.get("/api/prompt"))[1] == {"exec_info": {"queue_remaining": 4}}
    for engine in house.engines.values():
        engine.gate.set()
    for prompt_id in prompts:
        await house.finished(prompt_id)
    await house.archived("a"), await house.archived("b")
    _, listed = await house.get("/history")
    assert set(listed) == prompts
    _, newest = await house.get("/history?max_items=1")
    assert list(newest) == [list(listed)[-1]]


async def test_an_unknown_prompt_is_404(house: GatewayHouse) -> None:
    await house.engine("a")
    house.route("a")
    await house.start()
    assert (await house.get(f"/history/{uuid.uuid4()}"))[0] == 404
    assert (await house.get("/history/nonsense"))[0] == 404


async def test_archived_files_have_etags_and_ranges_and_never_leave_the_archive(house: GatewayHouse) -> None:
    await house.engine("a")
    house.route("a")
    await house.start()
    image = image_of(await house.finished(await house.prompt(save(content="0123456789"))))
    await house.archived("a")
    url = house.path(view(image))
    async with house.session.get(url, headers={"Range": "bytes=2-4"}) as answer:
        assert (answer.status, await answer.read()) == (206, b"234")
        assert answer.headers["Content-Range"] == "bytes 2-4/10"
        etag = answer.headers["ETag"]
    async with house.session.get(url, headers={"If-None-Match": etag}) as answer:
        assert answer.status == 304
    async with house.session.get(url, headers={"Range": "bytes=10-"}) as answer:
        assert answer.status == 416
    for name in ("../result.json", "/etc/passwd", "..%2f..%2fresult.json"):
        status, _ = await house.get(f"/view?filename={name}&subfolder={image['subfolder']}")
        assert status == 400
    status, _ = await house.get(f"/view?filename=result.json&subfolder={image['subfolder']}/..")
    assert status == 400


async def _states(house: GatewayHouse) -> dict[str, str]:
    from online_runtime.jobs.database import open_jobs
    from online_runtime.jobs.job import ENDS
    from online_runtime.jobs.listing import JobFilter, page

    database = open_jobs(f"sqlite:///{house.root / 'jobs.db'}")
    try:
        found = page(database, "portraits", JobFilter(ENDS, waiting=True, executing=True))
        return {job.prompt_id: str(job.state) for job in found.jobs}
    finally:
        database.close()
