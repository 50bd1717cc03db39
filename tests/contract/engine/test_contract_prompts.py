"""Prompts over HTTP and web socket, on a real process."""

from __future__ import annotations

import asyncio
import json
import struct
import uuid

import aiohttp
import pytest

pytestmark = pytest.mark.slow


def show(text="hi"):
    return {
        "1": {"class_type": "ContractText", "inputs": {"text": text}},
        "2": {"class_type": "ContractShow", "inputs": {"text": ["1", 0]}},
    }


def slow(steps=100_000):
    return {"1": {"class_type": "ContractSlow", "inputs": {"name": uuid.uuid4().hex, "steps": steps}}}


async def test_a_run_sends_its_events_in_the_measured_order(client):
    prompt_id = await client.send(show(uuid.uuid4().hex))
    await client.finished(prompt_id)
    names = [name for name, _ in client.events]
    assert names == [
        *("status", "status", "execution_start", "execution_cached"),
        *("progress_state", "executing", "progress_state"),
        *("progress_state", "executing", "executed", "progress_state"),
        *("execution_success", "status", "executing"),
    ]
    assert client.events[-2][1]["status"]["exec_info"]["queue_remaining"] == 0
    assert client.events[-1][1] == {"node": None, "prompt_id": prompt_id}


async def test_history_holds_prompt_outputs_status_and_meta(client):
    text = uuid.uuid4().hex
    entry = await client.run(show(text), extra_data={"extra_pnginfo": {"workflow": {"id": "w1"}}})
    _, prompt_id, prompt, extra, outputs = entry["prompt"]
    assert (prompt["1"]["inputs"]["text"], outputs) == (text, ["2"])
    assert extra["client_id"] == client.id
    assert entry["outputs"] == {"2": {"text": [text]}}
    assert entry["status"]["status_str"] == "success"
    assert entry["status"]["completed"] is True
    assert [name for name, _ in entry["status"]["messages"]] == [
        *("execution_start", "execution_cached", "execution_success")
    ]
    assert entry["meta"]["2"]["display_node"] == "2"
    everything = await client.json("/api/history")
    assert list(everything)[-1] == prompt_id
    assert list(await client.json("/history?max_items=1")) == [prompt_id]


async def test_an_equal_prompt_is_cached_and_shows_again(client):
    prompt = show(uuid.uuid4().hex)
    await client.run(prompt)
    client.events.clear()
    entry = await client.run(prompt)
    cached = next(data for name, data in client.events if name == "execution_cached")
    assert set(cached["nodes"]) == {"1", "2"}
    assert entry["outputs"]["2"]["text"] == [prompt["1"]["inputs"]["text"]]


async def test_previews_carry_metadata_only_for_clients_that_announced_it(client, engine_url):
    await client.run(slow(steps=2))
    type_, format_ = struct.unpack(">II", client.frames[0][:8])
    assert (type_, format_, client.frames[0][8:11]) == (1, 1, b"\xff\xd8\xff")
    modern_id = uuid.uuid4().hex
    async with (
        aiohttp.ClientSession(engine_url) as session,
        session.ws_connect(f"/ws?clientId={modern_id}") as ws,
    ):
        await ws.send_json({"type": "feature_flags", "data": {"supports_preview_metadata": True}})
        modern = type(client)(session, modern_id, ws)
        await modern.read_until(lambda name, _: name == "feature_flags")
        assert modern.events[-1][1]["supports_preview_metadata"] is True
        await modern.run(slow(steps=2))
        type_, length = struct.unpack(">II", modern.frames[0][:8])
        about = json.loads(modern.frames[0][8 : 8 + length])
        assert (type_, about["node_id"], about["image_type"]) == (4, "1", "image/jpeg")
        assert {struct.unpack(">I", frame[:4])[0] for frame in modern.frames} == {4}


async def test_a_failing_node_is_told_and_the_next_prompt_runs(client):
    entry = await client.run({"1": {"class_type": "ContractFail", "inputs": {"text": "x"}}})
    assert (entry["status"]["status_str"], entry["status"]["completed"]) == ("error", False)
    name, data = entry["status"]["messages"][-1]
    assert (name, data["node_id"], data["exception_type"]) == ("execution_error", "1", "ValueError")
    assert data["exception_message"].strip() == "failed as asked: x"
    assert (await client.run(show()))["status"]["completed"]


async def test_answers_about_failures_name_no_folder_of_this_machine(client, engine):
    entry = await client.run({"1": {"class_type": "ContractFail", "inputs": {"text": "x"}}})
    assert str(engine.base) not in json.dumps(entry)
    assert "custom_nodes/contract/nodes.py" in json.dumps(entry)
    assert f"{engine.base}/custom_nodes/contract/nodes.py" in engine.log.read_text()


async def test_the_running_prompt_is_interrupted_and_others_wait_or_are_deleted(client):
    running = await client.send(slow())
    await client.read_until(lambda name, data: name == "progress")
    waiting = await client.send(show(uuid.uuid4().hex))
    dropped = await client.send(show(uuid.uuid4().hex))
    queue = await client.json("/queue")
    assert [item[1] for item in queue["queue_running"]] == [running]
    assert [item[1] for item in queue["queue_pending"]] == [waiting, dropped]
    assert (await client.json("/prompt"))["exec_info"]["queue_remaining"] == 3
    assert (await client.json(f"/history/{running}")) == {}
    assert (await client.post("/queue", {"delete": [dropped, "unknown"]}))[0] == 200
    await client.post("/interrupt", {"prompt_id": waiting})
    assert [i[1] for i in (await client.json("/queue"))["queue_running"]] == [running]
    await client.post("/interrupt", {"prompt_id": running})
    entry = await client.finished(running)
    assert entry["status"]["messages"][-1][0] == "execution_interrupted"
    assert entry["status"]["status_str"] == "error"
    assert (await client.finished(waiting))["status"]["completed"]
    assert await client.json(f"/history/{dropped}") == {}


async def test_front_goes_before_those_that_wait_and_clear_empties_the_queue(client):
    await client.send(slow())
    await client.read_until(lambda name, data: name == "progress")
    later = await client.send(show())
    sooner = await client.send(show(), front=True)
    pending = (await client.json("/queue"))["queue_pending"]
    assert [item[1] for item in sorted(pending)] == [sooner, later]
    await client.post("/queue", {"clear": True})
    assert (await client.json("/queue"))["queue_pending"] == []
    await client.post("/interrupt")
    await client.read_until(lambda name, data: name == "executing" and data["node"] is None)


@pytest.mark.parametrize(
    ("body", "type"),
    [
        ({}, "no_prompt"),
        ({"prompt": {}}, "prompt_no_outputs"),
        ({"prompt": {"1": {"inputs": {}}}}, "invalid_prompt"),
        ({"prompt": {"1": {"class_type": "ContractShow", "inputs": {}}}}, "prompt_outputs_failed_validation"),
        ({"prompt": show(), "prompt_id": "NOT-A-UUID"}, "invalid_prompt_id"),
    ],
)
async def test_a_bad_prompt_is_refused_with_its_type(client, body, type):
    status, answer = await client.post("/prompt", body)
    assert (status, answer["error"]["type"]) == (400, type)
    assert set(answer["error"]) >= {"type", "message", "details", "extra_info"}


async def test_a_body_that_is_not_json_is_a_plain_500(client):
    async with client.session.post("/prompt", data=b"{nope") as response:
        assert response.status == 500
        assert response.content_type == "text/plain"


async def test_a_client_that_comes_back_learns_what_runs(client, engine_url):
    await client.send(slow())
    await client.read_until(lambda name, data: name == "progress")
    async with (
        aiohttp.ClientSession(engine_url) as session,
        session.ws_connect(f"/ws?clientId={client.id}") as ws,
    ):
        first = json.loads((await asyncio.wait_for(ws.receive(), 10)).data)
        assert (first["type"], first["data"]["sid"]) == ("status", client.id)
        again = type(client)(session, client.id, ws)
        await again.read_until(lambda name, data: name == "executing" and data["node"] == "1")
        await again.post("/interrupt")
        await again.read_until(lambda name, data: name == "executing" and data["node"] is None)


async def test_history_entries_are_deleted_and_free_is_accepted(client):
    prompt_id = await client.send(show(uuid.uuid4().hex))
    await client.finished(prompt_id)
    await client.post("/history", {"delete": [prompt_id]})
    assert await client.json(f"/history/{prompt_id}") == {}
    assert (await client.post("/free", {"unload_models": True, "free_memory": True}))[0] == 200
    assert (await client.run(show()))["status"]["completed"]
