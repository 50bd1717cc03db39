"""The editor's door as a browser's requests meet it: a real platform, our engine and an older ComfyUI."""

from __future__ import annotations

import asyncio
import base64
import json
import re
import shutil
import struct
import subprocess
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import uv

from publisher.accounts import Accounts, Role
from publisher.db.control import open_control
from publisher.settings import Settings
from tests.running_platform import STANDIN, Platform, running
from workstation.bases import add_base
from workstation.home import open_home
from workstation.process import stop_workstation

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

ADMIN, VIEWER, PASSWORD = "admin", "visitor", "long enough a password"
NEW, OLD, IDLE = "/projects/new/editor", "/projects/old/editor", "/projects/idle/editor"
LIMIT_SECONDS = 60.0
PREVIEWING = '''
import comfy.utils
import torch
from aiohttp import web
from PIL import Image
from server import PromptServer


@PromptServer.instance.routes.get("/loose")
async def loose(request):
    headers = {"Content-Security-Policy": "default-src *", "Access-Control-Allow-Origin": "*"}
    return web.Response(text="<p>a page of a plugin</p>", content_type="text/html", headers=headers)


class Watched:
    """Two steps with a preview each."""
    CATEGORY = "tests"
    FUNCTION = "run"
    RETURN_TYPES = ("IMAGE",)

    @classmethod
    def INPUT_TYPES(cls):
        return {"required": {"seed": ("INT", {"default": 0})}}

    def run(self, seed):
        bar = comfy.utils.ProgressBar(2)
        for step in (1, 2):
            bar.update_absolute(step, 2, ("JPEG", Image.new("RGB", (8, 8), "red"), 512))
        return (torch.zeros(1, 8, 8, 3),)


NODE_CLASS_MAPPINGS = {"Watched": Watched}
WEB_DIRECTORY = "web"
'''


@dataclass
class Editors:
    """The door, and who calls it."""

    url: str
    platform: Platform

    @property
    def socket_url(self) -> str:
        return self.url.replace("http", "ws", 1)


@pytest.fixture(scope="module")
def editors(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Editors]:
    folder = tmp_path_factory.mktemp("editors")
    home = open_home(folder / "home")
    accounts = Accounts(open_control(Settings().control_database(home)))
    accounts.create(ADMIN, Role.ADMIN, PASSWORD)
    accounts.create(VIEWER, Role.VIEWER, PASSWORD)
    checkout, small = folder / "checkout", folder / "small"
    checkout.mkdir()
    shutil.copy(STANDIN, checkout / "main.py")
    subprocess.run([uv.find_uv_bin(), "venv", "-q", str(small)], check=True)
    add_base(home, "small", small / "bin" / "python")
    with running(folder) as up:
        up.cli("project", "create", "new")
        up.cli("project", "create", "idle")
        up.cli("project", "create", "old", "--engine", str(checkout), "--base", "small")
        plugin = home.project("new").workstation.custom_nodes / "watched"
        (plugin / "web").mkdir(parents=True)
        (plugin / "__init__.py").write_text(PREVIEWING)
        (plugin / "web" / "one.js").write_text("export const one = 1;\n")
        for name in ("new", "old"):
            up.cli("workstation", "start", name, "--cpu", limit_seconds=300)
        yield Editors(up.record()["url"], up)
        for name in ("new", "old"):
            stop_workstation(home.project(name))


def session_of(name: str | None) -> aiohttp.ClientSession:
    pair = base64.b64encode(f"{name}:{PASSWORD}".encode()).decode()
    headers = {} if name is None else {"Authorization": f"Basic {pair}"}
    return aiohttp.ClientSession(headers=headers, timeout=aiohttp.ClientTimeout(LIMIT_SECONDS))


@pytest.fixture
async def admin() -> AsyncIterator[aiohttp.ClientSession]:
    async with session_of(ADMIN) as session:
        yield session


async def finished(session: aiohttp.ClientSession, editor: str, prompt_id: str) -> dict[str, Any]:
    async with asyncio.timeout(LIMIT_SECONDS):
        while True:
            async with session.get(f"{editor}/api/history/{prompt_id}") as answer:
                found = await answer.json()
            if prompt_id in found:
                return dict(found[prompt_id])
            await asyncio.sleep(0.05)


async def posted(
    session: aiohttp.ClientSession, editor: str, prompt: dict[str, Any], client: str | None = None
) -> str:
    body = {"prompt": prompt} | ({"client_id": client} if client else {})
    async with session.post(f"{editor}/api/prompt", json=body) as answer:
        assert answer.status == 200, await answer.text()
        return str((await answer.json())["prompt_id"])


def node(class_type: str, **inputs: object) -> dict[str, Any]:
    return {"class_type": class_type, "inputs": inputs}


def watched(seed: int) -> dict[str, Any]:
    return {"1": node("Watched", seed=seed), "2": node("PreviewImage", images=["1", 0])}


async def binary_frames(socket: aiohttp.ClientWebSocketResponse) -> list[bytes]:
    """The binary frames until the prompt has ended."""
    found = []
    async with asyncio.timeout(LIMIT_SECONDS):
        async for message in socket:
            if message.type is aiohttp.WSMsgType.BINARY:
                found.append(message.data)
            elif '"executing"' in message.data and json.loads(message.data)["data"]["node"] is None:
                return found
    raise AssertionError("the socket ended first")


async def test_nobody_and_viewers_are_refused_on_both_doors(editors: Editors) -> None:
    for name, status in ((None, 401), (VIEWER, 403)):
        async with session_of(name) as session:
            for path in ("/", "/api/queue", "/scripts/app.js"):
                async with session.get(f"{editors.url}{NEW}{path}") as answer:
                    assert answer.status == status, path
            with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
                await session.ws_connect(f"{editors.socket_url}{NEW}/ws")
            assert refused.value.status == status


async def test_pages_of_other_origins_cannot_open_the_websocket(
    editors: Editors, admin: aiohttp.ClientSession
) -> None:
    with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
        await admin.ws_connect(f"{editors.socket_url}{NEW}/ws", origin="http://elsewhere.example")
    assert refused.value.status == 403


@pytest.mark.parametrize(
    "path", ["/", "/scripts/app.js", "/api/object_info", "/extensions/watched/one.js", "/loose"]
)
async def test_every_answer_shuts_the_page_in(
    editors: Editors, admin: aiohttp.ClientSession, path: str
) -> None:
    async with admin.get(f"{editors.url}{NEW}{path}") as answer:
        assert answer.status == 200
        rules = dict(rule.split(" ", 1) for rule in answer.headers["Content-Security-Policy"].split("; "))
        host = editors.url.removeprefix("http://")
        assert rules["connect-src"] == f"http://{host}{NEW}/ ws://{host}{NEW}/ data: blob:"
        assert "Access-Control-Allow-Origin" not in answer.headers
        assert rules["frame-ancestors"] == "'self'" and "unsafe-eval" not in rules["script-src"].split()
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert answer.headers["Referrer-Policy"] == "same-origin"


async def test_a_file_of_a_user_is_never_run_as_a_page(
    editors: Editors, admin: aiohttp.ClientSession
) -> None:
    form = aiohttp.FormData()
    form.add_field("image", b"<svg xmlns='http://www.w3.org/2000/svg'/>", filename="x.svg")
    async with admin.post(f"{editors.url}{NEW}/api/upload/image", data=form) as answer:
        assert answer.status == 200
    async with admin.get(f"{editors.url}{NEW}/api/view?filename=x.svg&type=input") as answer:
        assert answer.status == 200
        assert answer.headers["Content-Security-Policy"].startswith("sandbox; default-src 'none'")


@pytest.mark.parametrize(("announced", "kind"), [(False, 1), (True, 4)])
async def test_previews_of_both_kinds_pass(
    editors: Editors, admin: aiohttp.ClientSession, announced: bool, kind: int
) -> None:
    client = f"watcher-{kind}"
    async with admin.ws_connect(f"{editors.socket_url}{NEW}/ws?clientId={client}") as socket:
        assert (await socket.receive_json(timeout=LIMIT_SECONDS))["data"]["sid"] == client
        if announced:
            await socket.send_json({"type": "feature_flags", "data": {"supports_preview_metadata": True}})
            answer = await socket.receive_json(timeout=LIMIT_SECONDS)
            assert answer["type"] == "feature_flags" and "max_upload_size" in answer["data"]
        await posted(admin, editors.url + NEW, watched(kind), client)
        frames = await binary_frames(socket)
    assert [struct.unpack(">I", frame[:4])[0] for frame in frames] == [kind, kind]
    start = 8 if kind == 1 else 8 + struct.unpack(">I", frames[0][4:8])[0]
    assert frames[0][start : start + 2] == b"\xff\xd8"  # a JPEG


async def test_a_client_that_connects_again_has_one_socket_the_new_one(
    editors: Editors, admin: aiohttp.ClientSession
) -> None:
    address = f"{editors.socket_url}{NEW}/ws?clientId=twice"
    async with admin.ws_connect(address) as first:
        await first.receive_json(timeout=LIMIT_SECONDS)
        async with admin.ws_connect(address) as second:
            assert (await second.receive_json(timeout=LIMIT_SECONDS))["data"]["sid"] == "twice"
            assert (await first.receive(timeout=LIMIT_SECONDS)).type is aiohttp.WSMsgType.CLOSE
            await posted(admin, editors.url + NEW, watched(77), "twice")
            assert len(await binary_frames(second)) == 2


async def test_a_socket_ends_with_its_session(editors: Editors) -> None:
    async with session_of(None) as session:
        session.cookie_jar._unsafe = True  # type: ignore[attr-defined]  # cookies of an address without a name
        fields = {"name": ADMIN, "password": PASSWORD, "next": "/healthz"}
        origin = {"Origin": editors.url}
        async with session.post(f"{editors.url}/signin", data=fields, headers=origin) as answer:
            assert answer.status == 200, await answer.text()
        async with session.ws_connect(f"{editors.socket_url}{NEW}/ws", origin=editors.url) as socket:
            await socket.receive_json(timeout=LIMIT_SECONDS)
            async with session.post(f"{editors.url}/signout", headers=origin) as answer:
                assert answer.status < 400, await answer.text()
            while (message := await socket.receive(timeout=LIMIT_SECONDS)).type is aiohttp.WSMsgType.TEXT:
                pass
            assert message.type is aiohttp.WSMsgType.CLOSE and message.data == 1008


async def test_an_absolute_address_of_a_plugins_file_leads_to_the_project_that_asked(
    editors: Editors, admin: aiohttp.ClientSession
) -> None:
    asking = {"Referer": f"{editors.url}{NEW}/extensions/watched/other.js"}
    async with admin.get(f"{editors.url}/extensions/watched/one.js", headers=asking) as answer:
        assert answer.status == 200 and "one = 1" in await answer.text()
        assert str(answer.url) == f"{editors.url}{NEW}/extensions/watched/one.js"
    async with admin.get(f"{editors.url}/extensions/watched/one.js") as answer:
        assert answer.status == 404
    async with admin.get(f"{editors.url}/scripts/app.js") as answer:
        assert answer.status == 200


async def test_uploads_pass_up_to_the_engines_own_limit(
    editors: Editors, admin: aiohttp.ClientSession
) -> None:
    for size_mib, status in ((40, 200), (101, 413)):
        form = aiohttp.FormData()
        form.add_field("image", b"\0" * (size_mib * 2**20), filename=f"big-{size_mib}.png")
        try:
            async with admin.post(f"{editors.url}{NEW}/api/upload/image", data=form) as answer:
                assert answer.status == status, await answer.text()
        except aiohttp.ClientOSError:  # refused before it was read: the connection may end first
            assert status == 413


async def test_user_files_keep_the_slash_that_was_written_as_a_letter(
    editors: Editors, admin: aiohttp.ClientSession
) -> None:
    from yarl import URL

    place = URL(f"{editors.url}{NEW}/api/userdata/workflows%2Fone.json", encoded=True)
    async with admin.post(place, data=b'{"nodes": []}') as answer:
        assert answer.status == 200 and await answer.json() == "workflows/one.json"
    async with admin.get(place) as answer:
        assert await answer.read() == b'{"nodes": []}'
    outside = URL(f"{editors.url}{NEW}/api/userdata/..%2F..%2F..%2Fproject.toml", encoded=True)
    async with admin.get(outside) as answer:
        assert answer.status == 403


@pytest.mark.parametrize(
    "path", ["/scripts/..%2F..%2F__init__.py", "/..%2F__init__.py", "/%2e%2e/__init__.py"]
)
async def test_nothing_outside_of_the_frontends_files_is_served(
    editors: Editors, admin: aiohttp.ClientSession, path: str
) -> None:
    from yarl import URL

    async with admin.get(URL(f"{editors.url}{NEW}{path}", encoded=True)) as answer:
        assert answer.status in (403, 404)


async def test_an_engine_without_the_newer_routes_gets_them_here(
    editors: Editors, admin: aiohttp.ClientSession
) -> None:
    editor = editors.url + OLD
    prompt = {"1": node("StandInText", text="hello"), "2": node("StandInSave", text=["1", 0])}
    prompt_id = await posted(admin, editor, prompt)
    await finished(admin, editor, prompt_id)
    async with admin.get(f"{editor}/api/jobs?status=completed&limit=5") as answer:
        listed = await answer.json()
    (job,) = [one for one in listed["jobs"] if one["id"] == prompt_id]
    assert job["status"] == "completed" and job["outputs_count"] >= 1 and job["create_time"] > 1.6e12
    assert job["preview_output"]["nodeId"] == "2"
    assert listed["pagination"]["limit"] == 5 and listed["pagination"]["has_more"] is False
    async with admin.get(f"{editor}/api/jobs/{prompt_id}") as answer:
        shown = await answer.json()
    assert shown["outputs"]["2"]["images"] and shown["workflow"]["prompt"] == prompt
    assert shown["workflow"]["extra_data"]["create_time"] == job["create_time"]  # noted when it was sent
    async with admin.get(f"{editor}/api/jobs/no-such-job") as answer:
        assert answer.status == 404 and await answer.json() == {"error": "Job not found"}
    async with admin.get(f"{editor}/api/jobs?status=lost") as answer:
        assert answer.status == 400 and isinstance((await answer.json())["error"], str)
    for path in ("/api/global_subgraphs", "/api/node_replacements", "/node_replacements"):
        async with admin.get(editor + path) as answer:
            assert answer.status == 200 and await answer.json() == {}
    async with admin.get(f"{editor}/templates/index.json") as answer:
        (module,) = await answer.json()
    for template in module["templates"]:
        async with admin.get(f"{editor}/templates/{template['name']}.json") as answer:
            assert (await answer.json())["nodes"]
    async with admin.get(f"{editor}/api/no_such_route") as answer:
        assert answer.status == 404


async def test_running_and_waiting_jobs_of_an_older_engine_are_cancelled(
    editors: Editors, admin: aiohttp.ClientSession
) -> None:
    editor = editors.url + OLD
    sleep = {"1": node("StandInSleep", seconds=30), "2": node("StandInSave", text=["1", 0])}
    running_id, waiting_id = await posted(admin, editor, sleep), await posted(admin, editor, sleep)

    async def status_of(job_id: str) -> str:
        async with admin.get(f"{editor}/api/jobs/{job_id}") as answer:
            return str((await answer.json()).get("status"))

    async with asyncio.timeout(LIMIT_SECONDS):
        while await status_of(running_id) != "in_progress":
            await asyncio.sleep(0.05)
    assert await status_of(waiting_id) == "pending"
    async with admin.post(f"{editor}/api/jobs/cancel", json={"job_ids": [waiting_id]}) as answer:
        assert await answer.json() == {"cancelled": True}
    async with admin.post(f"{editor}/api/jobs/{running_id}/cancel") as answer:
        assert await answer.json() == {"cancelled": True}
    entry = await finished(admin, editor, running_id)
    assert entry["status"]["messages"][-1][0] == "execution_interrupted"
    assert await status_of(running_id) == "cancelled"
    async with admin.get(f"{editor}/api/queue") as answer:
        assert (await answer.json())["queue_pending"] == []
    async with admin.post(f"{editor}/api/jobs/{running_id}/cancel") as answer:
        assert await answer.json() == {"cancelled": False}
    async with admin.post(f"{editor}/api/jobs/cancel", data=b"[]") as answer:
        assert answer.status == 400


async def test_what_an_older_engine_tells_of_a_failure_names_no_path_of_this_machine(
    editors: Editors, admin: aiohttp.ClientSession
) -> None:
    editor, home = editors.url + OLD, str(editors.platform.home)
    secret = f"cannot open {home}/projects/old/workstation/input/x.png nor /etc/ssl/private/key.pem"
    prompt = {"1": node("StandInFail", message=secret), "2": node("StandInSave", text=["1", 0])}
    entry = await finished(admin, editor, await posted(admin, editor, prompt))
    detail = entry["status"]["messages"][-1][1]
    assert detail["exception_message"] == "cannot open input/x.png nor key.pem"
    assert detail["traceback"] and not re.search(r'"/', "".join(detail["traceback"]))
    assert entry["prompt"][2] == prompt  # what the person typed stays as it was
    async with admin.get(f"{editor}/api/system_stats") as answer:
        assert home not in await answer.text()


async def test_a_stopped_workstation_is_told_in_the_engines_own_shape(
    editors: Editors, admin: aiohttp.ClientSession
) -> None:
    async with admin.post(f"{editors.url}{IDLE}/api/prompt", json={"prompt": {}}) as answer:
        assert answer.status == 503
        told = await answer.json()
    assert told["error"]["type"] == "workstation_not_running" and told["node_errors"] == {}
    assert "start it" in told["error"]["message"]
    with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
        await admin.ws_connect(f"{editors.socket_url}{IDLE}/ws")
    assert refused.value.status == 503
    async with admin.get(f"{editors.url}{IDLE}/") as answer:
        assert answer.status == 503 and "stillframe workstation start idle" in await answer.text()
    async with admin.get(f"{editors.url}/projects/nowhere/editor/") as answer:
        assert answer.status == 404 and "nowhere" in await answer.text()


async def test_the_editors_address_without_its_slash_leads_there(
    editors: Editors, admin: aiohttp.ClientSession
) -> None:
    async with admin.get(f"{editors.url}{NEW}") as answer:
        assert answer.status == 200 and str(answer.url) == f"{editors.url}{NEW}/"


def test_the_frontend_is_not_part_of_a_workstation(editors: Editors) -> None:
    place: Path = editors.platform.home / "projects" / "new" / "workstation"
    assert not list(place.glob("**/comfyui_frontend_package"))
