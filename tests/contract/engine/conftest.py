"""One engine process for the whole suite. STILLFRAME_CONTRACT_ENGINE names another command to start one with,
such as `/path/to/python /path/to/ComfyUI/main.py`; both engines must pass."""

from __future__ import annotations

import asyncio
import json
import os
import shlex
import shutil
import socket
import subprocess
import sys
import time
import tomllib
import urllib.error
import urllib.request
import uuid
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp
import pytest

START_SECONDS = 60  # slowest seen 5 s, on a busy machine much more
EVENT_SECONDS = 90  # the first picture loads torch: 20 s seen on a busy machine
HERE = Path(__file__).parent
OTHER_ENGINE = os.environ.get("STILLFRAME_CONTRACT_ENGINE")
BUILTIN = [sys.executable, "-m", "online_runtime.engine"]

PLUGIN = """from . import nodes, rules
NODE_CLASS_MAPPINGS = nodes.NODE_CLASS_MAPPINGS | rules.NODE_CLASS_MAPPINGS
NODE_DISPLAY_NAME_MAPPINGS = nodes.NODE_DISPLAY_NAME_MAPPINGS | rules.NODE_DISPLAY_NAME_MAPPINGS
WEB_DIRECTORY = './web'
"""


def pytest_collection_modifyitems(items) -> None:
    """With another engine, what `differences.toml` names must fail: a difference that is gone is news too."""
    if not OTHER_ENGINE:
        return
    known = tomllib.loads((HERE / "differences.toml").read_text())["difference"]
    for item in items:
        name = f"{item.path.name}::{item.name}" if item.path.parent == HERE else ""
        for one in known:
            if name in one["tests"] or name.split("[")[0] in one["tests"]:
                item.add_marker(pytest.mark.xfail(reason=one["reason"], strict=True))


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def wait_until_listening(process: subprocess.Popen, url: str, log: Path) -> None:
    end = time.monotonic() + START_SECONDS
    while time.monotonic() < end:
        if process.poll() is not None:
            break
        try:
            with urllib.request.urlopen(f"{url}/system_stats", timeout=5):
                return
        except (urllib.error.URLError, ConnectionError, TimeoutError):
            time.sleep(0.05)
    process.kill()
    pytest.fail(f"the engine did not listen:\n{log.read_text()}")


@dataclass
class Workbench:
    """A base directory and the engine process on it."""

    base: Path
    url: str
    log: Path
    process: subprocess.Popen


def start(base: Path, *arguments: str, command: list[str] | None = None, env=None) -> Workbench:
    port = free_port()
    log = base.parent / f"engine-{port}.log"
    (base / "custom_nodes").mkdir(parents=True, exist_ok=True)
    command = [
        *(command or BUILTIN),
        *("--port", str(port), "--base-directory", str(base), "--cpu", *arguments),
    ]
    with log.open("wb") as output:
        process = subprocess.Popen(command, cwd=base, stdout=output, stderr=subprocess.STDOUT, env=env)
    bench = Workbench(base, f"http://127.0.0.1:{port}", log, process)
    wait_until_listening(process, bench.url, log)
    return bench


def stop(bench: Workbench) -> int:
    bench.process.terminate()
    try:
        return bench.process.wait(timeout=15)
    finally:
        bench.process.kill()


@pytest.fixture(scope="session")
def engine(tmp_path_factory):
    """The engine with the suite's plugin, one that breaks and one that is disabled."""
    base = tmp_path_factory.mktemp("engine") / "base"
    plugins = base / "custom_nodes"
    (plugins / "broken").mkdir(parents=True)
    (plugins / "broken" / "__init__.py").write_text("import a_package_that_nobody_has\n")
    (plugins / "off.disabled").mkdir()
    (plugins / "off.disabled" / "__init__.py").write_text(
        "raise RuntimeError('disabled plugins do not load')\n"
    )
    (plugins / "contract" / "web").mkdir(parents=True)
    shutil.copy(HERE / "contract_nodes.py", plugins / "contract" / "nodes.py")
    shutil.copy(HERE / "contract_rules.py", plugins / "contract" / "rules.py")
    (plugins / "contract" / "__init__.py").write_text(PLUGIN)
    shutil.copy(HERE / "contract_schema_nodes.py", plugins / "contract_schema.py")
    (plugins / "contract" / "web" / "hello.js").write_text("console.log('hello')\n")
    (base / "temp").mkdir()
    (base / "temp" / "old.png").write_bytes(b"left over")
    command = shlex.split(OTHER_ENGINE) if OTHER_ENGINE else None
    bench = start(base, "--preview-method", "latent2rgb", command=command)
    yield bench
    stop(bench)


@pytest.fixture
def engine_url(engine) -> str:
    return engine.url


@dataclass
class Client:
    """A client of the API, with what its web socket received."""

    session: aiohttp.ClientSession
    id: str
    socket: aiohttp.ClientWebSocketResponse
    events: list[tuple[str, dict]] = field(default_factory=list)
    frames: list[bytes] = field(default_factory=list)

    async def get(self, path: str, **more):
        async with self.session.get(path, **more) as response:
            return response.status, await response.read()

    async def json(self, path: str):
        status, body = await self.get(path)
        assert status == 200, body
        return json.loads(body)

    async def post(self, path: str, body=None, **more):
        async with self.session.post(path, json=body, **more) as response:
            text = await response.text()
            return response.status, json.loads(text) if text.startswith(("{", "[", '"')) else text

    async def send(self, prompt: dict, **more) -> str:
        """Queue a prompt as this client; its id."""
        body = {"prompt": prompt, "client_id": self.id, "prompt_id": str(uuid.uuid4()), **more}
        status, answer = await self.post("/prompt", body)
        assert status == 200, answer
        return answer["prompt_id"]

    async def read_until(self, wanted) -> None:
        """Keep what comes until `wanted(type, data)`."""
        async with asyncio.timeout(EVENT_SECONDS):
            async for message in self.socket:
                if message.type is aiohttp.WSMsgType.BINARY:
                    self.frames.append(message.data)
                    continue
                event = json.loads(message.data)
                self.events.append((event["type"], event.get("data", {})))
                if wanted(event["type"], event.get("data", {})):
                    return
        raise AssertionError(f"the socket closed; events: {self.events}")

    async def finished(self, prompt_id: str) -> dict:
        """Read events to the prompt's end; its history entry."""
        await self.read_until(
            lambda type, data: type == "executing" and data["node"] is None and data["prompt_id"] == prompt_id
        )
        return (await self.json(f"/history/{prompt_id}"))[prompt_id]

    async def run(self, prompt: dict, **more) -> dict:
        return await self.finished(await self.send(prompt, **more))


@pytest.fixture
async def client(engine_url):
    """A connected client that has read its greeting."""
    client_id = uuid.uuid4().hex
    async with (
        aiohttp.ClientSession(engine_url) as session,
        session.ws_connect(f"/ws?clientId={client_id}") as socket,
    ):
        client = Client(session, client_id, socket)
        await client.read_until(lambda type, data: type == "status" and data.get("sid") == client_id)
        client.events.clear()
        yield client


@pytest.fixture
def engines():
    """`engines.start(base, …)` and `engines.stop(bench)` for tests that need a process of their own."""

    class Engines:
        start = staticmethod(start)
        stop = staticmethod(stop)

    return Engines
