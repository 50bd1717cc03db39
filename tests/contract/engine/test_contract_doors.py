"""The doors: both prefixes, sockets, bodies that are none, the order of history, settings and user files."""

from __future__ import annotations

import asyncio
import json
import uuid

import aiohttp
import pytest

pytestmark = pytest.mark.slow


def show(text=None):
    return {"1": {"class_type": "ContractShow", "inputs": {"text": text or uuid.uuid4().hex}}}


@pytest.mark.parametrize("prefix", ["", "/api"])
@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/prompt", dict),
        ("/queue", dict),
        ("/history", dict),
        ("/system_stats", dict),
        ("/object_info", dict),
        ("/features", dict),
        ("/embeddings", list),
        ("/models", list),
        ("/models/vae", list),
        ("/extensions", list),
        ("/settings", dict),
        ("/users", dict),
        ("/i18n", dict),
        ("/workflow_templates", dict),
        ("/experiment/models", list),
        ("/v2/userdata", list),
    ],
)
async def test_a_route_answers_with_and_without_api(client, prefix, path, kind):
    assert isinstance(await client.json(f"{prefix}{path}"), kind)


@pytest.mark.parametrize("path", ["/prompt", "/queue", "/history", "/free", "/settings", "/users"])
async def test_a_body_that_is_not_json_gives_500_and_the_engine_lives(client, path):
    async with client.session.post(path, data=b"{nope") as response:
        assert response.status == 500
    assert "exec_info" in await client.json("/prompt")


@pytest.mark.parametrize("query", ["max_items=abc", "offset=abc"])
async def test_a_number_that_is_none_gives_500(client, query):
    if query.startswith("offset"):
        query = f"max_items=1&{query}"
    assert (await client.get(f"/history?{query}"))[0] == 500


@pytest.mark.parametrize("path", ["/nothing", "/api/nothing", "/object_info/a/b"])
async def test_what_is_not_there_is_404(client, path):
    assert (await client.get(path))[0] == 404


async def test_options_are_answered_empty(client):
    async with client.session.options("/prompt") as response:
        assert (response.status, await response.read()) == (200, b"")


async def test_history_pages_from_the_oldest_and_gives_the_newest(client):
    await client.post("/history", {"clear": True})
    ids = []
    for _ in range(4):
        ids.append(await client.send(show()))
        await client.finished(ids[-1])
    assert list(await client.json("/history")) == ids
    assert list(await client.json("/history?max_items=2")) == ids[2:]
    assert list(await client.json("/history?max_items=2&offset=1")) == ids[1:3]
    assert list(await client.json("/history?offset=3&max_items=5")) == ids[3:]
    assert list(await client.json(f"/history/{ids[0]}")) == [ids[0]]
    await client.post("/history", {"delete": [ids[1], "unknown"]})
    assert list(await client.json("/history")) == [ids[0], *ids[2:]]
    await client.post("/history", {"clear": True})
    assert await client.json("/history") == {}


async def test_an_unknown_prompt_has_an_empty_history(client):
    assert await client.json(f"/history/{uuid.uuid4()}") == {}


async def test_interrupting_nothing_is_fine(client):
    assert (await client.post("/interrupt"))[0] == 200
    assert (await client.post("/interrupt", {"prompt_id": "none"}))[0] == 200
    assert (await client.run(show()))["status"]["status_str"] == "success"


async def test_an_empty_queue_lists_nothing(client):
    await client.run(show())
    assert await client.json("/queue") == {"queue_running": [], "queue_pending": []}


async def test_numbers_count_on_and_the_answer_names_the_prompt(client):
    answers = []
    for _ in range(2):
        prompt_id = str(uuid.uuid4())
        status, answer = await client.post("/prompt", {"prompt": show(), "prompt_id": prompt_id})
        assert (status, answer["prompt_id"], answer["node_errors"]) == (200, prompt_id, {})
        answers.append(answer["number"])
    assert answers[1] == answers[0] + 1


async def test_without_an_id_the_server_makes_one(client):
    status, answer = await client.post("/prompt", {"prompt": show(), "client_id": client.id})
    assert status == 200 and str(uuid.UUID(answer["prompt_id"])) == answer["prompt_id"]
    await client.finished(answer["prompt_id"])


async def test_extra_data_comes_back_with_the_client_in_it(client):
    entry = await client.run(show(), extra_data={"mine": {"a": [1, 2]}})
    extra = entry["prompt"][3]
    assert extra["mine"] == {"a": [1, 2]}
    assert extra["client_id"] == client.id


async def test_a_new_socket_of_the_same_client_takes_the_place_of_the_old(client, engine_url):
    async with (
        aiohttp.ClientSession(engine_url) as session,
        session.ws_connect(f"/ws?clientId={client.id}") as socket,
    ):
        again = type(client)(session, client.id, socket)
        await again.read_until(lambda name, data: name == "status")
        await again.run(show())
        assert "execution_success" in [name for name, _ in again.events]


async def test_a_socket_without_a_client_id_is_given_one(client, engine_url):
    async with aiohttp.ClientSession(engine_url) as session, session.ws_connect("/ws") as socket:
        first = json.loads((await asyncio.wait_for(socket.receive(), 20)).data)
        assert first["type"] == "status"
        assert len(first["data"]["sid"]) == 32


async def test_events_of_one_client_do_not_reach_another(client, engine_url):
    other_id = uuid.uuid4().hex
    async with (
        aiohttp.ClientSession(engine_url) as session,
        session.ws_connect(f"/ws?clientId={other_id}") as socket,
    ):
        other = type(client)(session, other_id, socket)
        await other.read_until(lambda name, data: name == "status")
        await client.run(show())
        await other.run(show())
        started = [data["prompt_id"] for name, data in other.events if name == "execution_start"]
        assert len(started) == 1


@pytest.mark.parametrize("value", [True, 3, 1.5, "word", None, [1, 2], {"a": {"b": 1}}])
async def test_a_setting_of_any_json_is_kept(client, value):
    name = f"Contract.{uuid.uuid4().hex}"
    assert (await client.post("/settings", {name: value}))[0] == 200
    assert await client.json(f"/settings/{name}") == value
    assert (await client.json("/settings"))[name] == value


async def test_a_setting_stored_alone_leaves_the_others(client):
    one, other = f"Contract.{uuid.uuid4().hex}", f"Contract.{uuid.uuid4().hex}"
    await client.post("/settings", {one: 1})
    await client.post(f"/settings/{other}", 2)
    settings = await client.json("/settings")
    assert (settings[one], settings[other]) == (1, 2)


async def folder_with(client, *names) -> str:
    folder = f"contract-{uuid.uuid4().hex}"
    for name in names:
        path = f"{folder}/{name}".replace("/", "%2F")
        status, _ = await client.post(f"/userdata/{path}", {"name": name})
        assert status == 200
    return folder


async def test_user_files_are_listed_deep_only_when_asked(client):
    folder = await folder_with(client, "a.json", "sub/b.json")
    assert await client.json(f"/userdata?dir={folder}") == ["a.json"]
    deep = await client.json(f"/userdata?dir={folder}&recurse=true")
    assert sorted(deep) == ["a.json", "sub/b.json"]


async def test_user_files_are_listed_in_parts(client):
    folder = await folder_with(client, "sub/b.json")
    parts = await client.json(f"/userdata?dir={folder}&recurse=true&split=true")
    assert parts == [["sub/b.json", "sub", "b.json"]]


async def test_user_files_are_listed_with_size_and_time(client):
    folder = await folder_with(client, "a.json")
    (info,) = await client.json(f"/userdata?dir={folder}&full_info=true")
    assert (info["path"], info["size"]) == ("a.json", len('{"name": "a.json"}'))
    assert info["modified"] > 1_600_000_000


async def test_a_written_user_file_is_described_when_asked(client):
    name = f"contract-{uuid.uuid4().hex}.json"
    status, info = await client.post(f"/userdata/{name}?full_info=true", {"x": 1})
    assert status == 200 and (info["path"], info["size"]) == (name, 8)


@pytest.mark.parametrize(("overwrite", "status"), [("false", 409), ("true", 200)])
async def test_a_user_file_is_written_over_only_when_allowed(client, overwrite, status):
    name = f"contract-{uuid.uuid4().hex}.json"
    await client.post(f"/userdata/{name}", {"x": 1})
    assert (await client.post(f"/userdata/{name}?overwrite={overwrite}", {"x": 2}))[0] == status
    assert (await client.json(f"/userdata/{name}"))["x"] == (2 if status == 200 else 1)


@pytest.mark.parametrize(("overwrite", "status"), [("false", 409), ("true", 200)])
async def test_a_user_file_is_moved_over_another_only_when_allowed(client, overwrite, status):
    folder = await folder_with(client, "a.json", "b.json")
    path = f"/userdata/{folder}%2Fa.json/move/{folder}%2Fb.json?overwrite={overwrite}"
    assert (await client.post(path))[0] == status


@pytest.mark.parametrize("method", ["get", "delete"])
async def test_a_user_file_that_is_not_there_is_404(client, method):
    async with getattr(client.session, method)(f"/userdata/{uuid.uuid4().hex}.json") as response:
        assert response.status == 404


@pytest.mark.parametrize("name", ["..%2F..%2Fescape.json", "%2Fetc%2Fpasswd"])
async def test_a_user_file_outside_is_refused(client, name):
    assert (await client.get(f"/userdata/{name}"))[0] in (400, 403, 404)
    assert (await client.post(f"/userdata/{name}", {}))[0] in (400, 403, 404)


@pytest.mark.parametrize("query", ["dir=..", "dir=..%2F..", "dir=%2Fetc"])
async def test_a_folder_outside_is_not_listed(client, query):
    assert (await client.get(f"/userdata?{query}"))[0] in (403, 404)


@pytest.mark.parametrize(
    ("type", "subfolder"), [("input", ""), ("temp", ""), ("output", "deep/er"), ("input", "sub")]
)
async def test_an_upload_goes_to_its_folder_and_is_viewed_there(client, type, subfolder):
    form = aiohttp.FormData()
    name = f"{uuid.uuid4().hex}.bin"
    form.add_field("image", b"bytes", filename=name)
    form.add_field("type", type)
    form.add_field("subfolder", subfolder)
    async with client.session.post("/upload/image", data=form) as response:
        assert await response.json() == {"name": name, "subfolder": subfolder, "type": type}
    status, body = await client.get("/view", params={"filename": name, "type": type, "subfolder": subfolder})
    assert (status, body) == (200, b"bytes")


@pytest.mark.parametrize("name", ["page.html", "page.htm", "script.js", "style.css"])
async def test_what_a_browser_would_run_is_only_downloaded(client, name):
    form = aiohttp.FormData()
    stored = f"{uuid.uuid4().hex}-{name}"
    form.add_field("image", b"x", filename=stored)
    async with client.session.post("/upload/image", data=form) as response:
        assert response.status == 200
    async with client.session.get("/view", params={"filename": stored, "type": "input"}) as response:
        assert response.content_type == "application/octet-stream"


async def test_metadata_of_weights_is_shown(client, engine):
    import struct

    folder = engine.base / "models" / "loras"
    folder.mkdir(parents=True, exist_ok=True)
    header = json.dumps({"__metadata__": {"ss_name": "tiny"}}).encode()
    (folder / "meta.safetensors").write_bytes(struct.pack("<Q", len(header)) + header)
    assert await client.json("/view_metadata/loras?filename=meta.safetensors") == {"ss_name": "tiny"}
    assert (await client.get("/view_metadata/loras?filename=none.safetensors"))[0] == 404
    assert (await client.get("/view_metadata/loras?filename=meta.txt"))[0] == 404


async def test_a_new_model_file_is_listed_at_once(client, engine):
    name = f"{uuid.uuid4().hex}.safetensors"
    folder = engine.base / "models" / "upscale_models"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_bytes(b"")
    assert name in await client.json("/models/upscale_models")


@pytest.mark.parametrize("type", ["output", "temp", "input"])
async def test_files_are_listed_for_the_frontend(client, engine, type):
    name = f"{uuid.uuid4().hex}.txt"
    (engine.base / type).mkdir(exist_ok=True)
    (engine.base / type / name).write_text("x")
    found = await client.json(f"/internal/files/{type}")
    assert any(name in entry for entry in found)


async def test_devices_are_told_with_their_memory(client):
    (device,) = (await client.json("/system_stats"))["devices"]
    assert (device["type"], device["name"]) == ("cpu", "cpu")
    assert device["vram_total"] >= device["vram_free"] > 0
    assert {"index", "torch_vram_total", "torch_vram_free"} <= set(device)


async def test_a_page_of_the_same_origin_is_served_and_another_is_not(client, engine_url):
    for origin, status in ((engine_url, 200), ("http://evil.example", 403), ("http://127.0.0.1:1", 403)):
        assert (await client.get("/prompt", headers={"Origin": origin}))[0] == status, origin


async def test_object_info_tells_all_that_a_class_declares(client):
    entry = (await client.json("/object_info/RuleOutputs"))["RuleOutputs"]
    assert entry["output"] == ["STRING", "INT", "STRING"]
    assert entry["output_name"] == ["word", "count", "letters"]
    assert entry["output_is_list"] == [False, False, True]
    assert entry["output_tooltips"] == ["a word", "its letters counted", "its letters"]
    assert (entry["deprecated"], entry["experimental"], entry["output_node"]) == (True, True, False)
    assert (entry["display_name"], entry["description"]) == ("Apart", "Takes a word apart.")
    assert entry["input"]["required"]["text"] == ["STRING", {"multiline": True, "tooltip": "a word"}]
    assert entry["category"] == "contract/rules"


async def test_large_answers_are_compressed_when_asked(client):
    async with client.session.get("/object_info", headers={"Accept-Encoding": "gzip"}) as response:
        assert response.headers.get("Content-Encoding") == "gzip"
