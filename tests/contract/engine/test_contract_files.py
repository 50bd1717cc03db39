"""Files, information, user data and jobs over HTTP."""

from __future__ import annotations

import io
import json
import uuid

import aiohttp
import pytest
from PIL import Image

pytestmark = pytest.mark.slow


def picture(colour=(10, 20, 30, 255), size=(4, 4)) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGBA", size, colour).save(buffer, format="PNG")
    return buffer.getvalue()


async def upload(client, name, content, path="/upload/image", **fields):
    form = aiohttp.FormData()
    form.add_field("image", content, filename=name, content_type="image/png")
    for key, value in fields.items():
        form.add_field(key, value)
    async with client.session.post(path, data=form) as response:
        text = await response.text()
        return response.status, json.loads(text) if text.startswith("{") else text


async def saved(client, prefix) -> dict:
    entry = await client.run({"1": {"class_type": "ContractSave", "inputs": {"prefix": prefix}}})
    return entry["outputs"]["1"]["images"][0]


async def test_a_saved_picture_is_viewed_whole_in_part_and_only_when_changed(client):
    image = await saved(client, f"sub/{uuid.uuid4().hex}")
    assert (image["subfolder"], image["filename"].endswith("_00001_.png")) == ("sub", True)
    async with client.session.get("/view", params=image) as response:
        body = await response.read()
        assert (response.status, response.content_type) == (200, "image/png")
        assert response.headers["Content-Disposition"] == f'filename="{image["filename"]}"'
        etag = response.headers["ETag"]
    assert Image.open(io.BytesIO(body)).size == (16, 8)
    status, part = await client.get("/view", params=image, headers={"Range": "bytes=0-7"})
    assert (status, part) == (206, body[:8])
    status, _ = await client.get("/view", params=image, headers={"If-None-Match": etag})
    assert status == 304


async def test_view_reencodes_and_splits_channels(client):
    image = await saved(client, uuid.uuid4().hex)
    _, body = await client.get("/view", params=image | {"preview": "webp;50"})
    assert Image.open(io.BytesIO(body)).format == "WEBP"
    _, body = await client.get("/view", params=image | {"preview": "jpeg"})
    assert Image.open(io.BytesIO(body)).format == "JPEG"
    _, body = await client.get("/view", params=image | {"channel": "rgb"})
    assert Image.open(io.BytesIO(body)).mode == "RGB"
    _, body = await client.get("/view", params=image | {"channel": "a"})
    assert Image.open(io.BytesIO(body)).getpixel((0, 0))[3] == 128


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ("", 404),
        ("filename=none.png", 404),
        ("filename=..%2Fsecret.png", 400),
        ("filename=%2Fetc%2Fpasswd", 400),
        ("filename=x.png&type=home", 400),
        ("filename=x.png&subfolder=..%2F..", 403),
    ],
)
async def test_view_refuses_what_is_not_there_or_leads_out(client, query, status):
    assert (await client.get(f"/view?{query}"))[0] == status


async def test_active_files_are_only_downloaded(client, engine):
    (engine.base / "output" / "page.html").write_text("<script>alert(1)</script>")
    async with client.session.get("/view?filename=page.html") as response:
        assert response.content_type == "application/octet-stream"


async def test_an_upload_reuses_a_name_for_equal_bytes_and_counts_for_others(client):
    name = f"{uuid.uuid4().hex}.png"
    first = {"name": name, "subfolder": "", "type": "input"}
    assert await upload(client, name, picture()) == (200, first)
    assert await upload(client, name, picture()) == (200, first)
    other = picture((1, 1, 1, 255))
    assert (await upload(client, name, other))[1]["name"] == name.replace(".png", " (1).png")
    assert await upload(client, name, other, overwrite="true") == (200, first)
    _, body = await client.get("/view", params={"filename": name, "type": "input"})
    assert body == other


async def test_an_upload_that_leads_out_or_has_no_file_is_refused(client, engine):
    assert (await upload(client, "x.png", picture(), subfolder="../../up"))[0] == 400
    assert (await client.session.post("/upload/image", data={"type": "input"})).status == 400
    assert not (engine.base.parent / "up").exists()


async def test_a_mask_gives_its_alpha_to_the_original(client):
    name = f"{uuid.uuid4().hex}.png"
    await upload(client, name, picture((200, 0, 0, 255)))
    ref = json.dumps({"filename": name, "type": "input", "subfolder": ""})
    status, stored = await upload(
        client, f"mask-{name}", picture((0, 0, 0, 7)), "/upload/mask", original_ref=ref, subfolder="clipspace"
    )
    assert status == 200
    _, body = await client.get(
        "/view", params={"filename": stored["name"], "type": "input", "subfolder": "clipspace"}
    )
    assert Image.open(io.BytesIO(body)).getpixel((0, 0)) == (200, 0, 0, 7)


async def test_information_has_what_the_frontend_asks_for(client):
    stats = await client.json("/system_stats")
    assert stats["devices"][0]["type"] == "cpu"
    assert {"os", "ram_total", "comfyui_version", "python_version", "pytorch_version", "argv"} <= set(
        stats["system"]
    )
    assert (await client.json("/features"))["supports_preview_metadata"] is True
    assert "checkpoints" in await client.json("/models")
    assert (await client.get("/models/nope"))[0] == 404
    for path in ("/embeddings", "/models/loras", "/api/experiment/models", "/i18n", "/workflow_templates"):
        await client.json(path)
    assert (await client.json("/users"))["storage"] == "server"
    assert any(url.endswith("/hello.js") for url in await client.json("/extensions"))
    assert (await client.get("/extensions/contract/hello.js"))[1].startswith(b"console.log")


async def test_object_info_describes_plugins_and_own_nodes(client):
    entry = (await client.json("/object_info/ContractText"))["ContractText"]
    assert entry["input"]["required"]["text"][0] == "STRING"
    assert entry["input_order"] == {"required": ["text"]}
    assert (entry["display_name"], entry["python_module"]) == ("A text", "custom_nodes.contract")
    assert (entry["output"], entry["output_name"], entry["output_is_list"]) == (
        ["STRING"],
        ["STRING"],
        [False],
    )
    assert await client.json("/object_info/Nope") == {}
    everything = await client.json("/api/object_info")
    assert everything["KSampler"]["python_module"] == "nodes"


async def test_a_plugins_routes_answer_with_and_without_api(client):
    for prefix in ("", "/api"):
        assert await client.json(f"{prefix}/contract/hello?name=you") == {"hello": "you"}


async def test_settings_are_merged_and_kept(client):
    await client.post("/settings", {"a": 1})
    await client.post("/settings/b.c", True)
    settings = await client.json("/settings")
    assert (settings["a"], settings["b.c"]) == (1, True)
    assert await client.json("/settings/b.c") is True
    assert await client.json("/settings/none") is None


async def test_user_files_are_written_listed_moved_and_deleted(client):
    folder = uuid.uuid4().hex
    file = f"/userdata/{folder}%2Fa.json"
    assert await client.post(file, {"x": 1}) == (200, f"{folder}/a.json")
    assert (await client.post(f"{file}?overwrite=false", {}))[0] == 409
    assert await client.json(file) == {"x": 1}
    assert await client.json(f"/userdata?dir={folder}") == ["a.json"]
    assert (await client.json(f"/userdata?dir={folder}&full_info=true"))[0]["size"] == 8
    assert (await client.post(f"{file}/move/{folder}%2Fb.json"))[0] == 200
    assert [e["name"] for e in await client.json(f"/v2/userdata?path={folder}")] == ["b.json"]
    assert (await client.session.delete(f"/userdata/{folder}%2Fb.json")).status == 204
    assert (await client.get(f"/userdata/{folder}%2Fb.json"))[0] == 404
    assert (await client.get("/userdata"))[0] == 400
    assert (await client.get("/userdata?dir=none-such"))[0] == 404
    assert (await client.get("/userdata?dir=..%2F.."))[0] == 403


async def test_jobs_follow_queue_and_history(client):
    prompt_id = await client.send(
        {"1": {"class_type": "ContractSave", "inputs": {"prefix": uuid.uuid4().hex}}}
    )
    await client.finished(prompt_id)
    answer = await client.json("/api/jobs?status=completed&limit=1")
    assert answer["pagination"] | {"total": 0} == {
        "offset": 0,
        "limit": 1,
        "total": 0,
        "has_more": answer["pagination"]["total"] > 1,
    }
    job = answer["jobs"][0]
    assert (job["id"], job["status"], job["outputs_count"]) == (prompt_id, "completed", 1)
    assert job["preview_output"]["nodeId"] == "1"
    assert job["execution_end_time"] >= job["execution_start_time"]
    assert "workflow" in await client.json(f"/api/jobs/{prompt_id}")
    assert (await client.get(f"/api/jobs/{uuid.uuid4()}"))[0] == 404
    assert (await client.get("/api/jobs?status=odd"))[0] == 400
    assert await client.post(f"/api/jobs/{prompt_id}/cancel") == (200, {"cancelled": False})
    assert (await client.post("/api/jobs/cancel", {"job_ids": ["x"]}))[0] == 400


async def test_a_page_of_another_origin_is_refused(client, engine_url):
    assert (await client.get("/queue", headers={"Origin": "http://evil.example"}))[0] == 403
    assert (await client.get("/queue", headers={"Origin": engine_url}))[0] == 200


async def test_the_log_is_kept_and_names_the_plugin_that_broke(client, engine):
    raw = await client.json("/internal/logs/raw")
    text = "".join(entry["m"] for entry in raw["entries"])
    assert "ModuleNotFoundError: No module named 'a_package_that_nobody_has'" in text
    path = engine.base / "custom_nodes" / "broken"
    assert f"Cannot import {path} module for custom nodes: No module named" in text
    assert f"seconds (IMPORT FAILED): {path}" in text
    assert "disabled plugins do not load" not in text


async def test_temp_was_emptied_at_the_start(engine):
    assert not (engine.base / "temp" / "old.png").exists()
