"""A home folder with a real gateway process in front of fake engines on real sockets."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
import os
import signal
import sys
from pathlib import Path
from types import MappingProxyType
from typing import Any

import aiohttp

from online_runtime.gateway.routing import RouteInstance, RouteToken, RoutingTable, ServiceRoute
from tests.fakes.engine_app import FakeEngine

TOKEN = "a-token-for-tests"
LIMIT_SECONDS = 20.0
SERVICE = "portraits"


async def until(condition: Any, what: str, limit_seconds: float = LIMIT_SECONDS) -> Any:
    """Wait for a (maybe async) condition to be truthy, and return it."""
    deadline = asyncio.get_running_loop().time() + limit_seconds
    while True:
        found = condition()
        if asyncio.iscoroutine(found):
            found = await found
        if found:
            return found
        assert asyncio.get_running_loop().time() < deadline, f"waited {limit_seconds} s for {what}"
        await asyncio.sleep(0.01)


def save(**inputs: Any) -> dict[str, Any]:
    return {"1": {"class_type": "Save", "inputs": inputs}}


GATE: dict[str, Any] = {"1": {"class_type": "Gate", "inputs": {}}}


class GatewayHouse:
    """Starts and kills the gateway; writes the table as the publisher does."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.log_path = root / f"gateway{'-2' if root.exists() else ''}.log"
        self.version = 0
        self.engines: dict[str, FakeEngine] = {}
        self.process: asyncio.subprocess.Process | None = None
        self.settings: dict[str, Any] = {}
        (root / "run").mkdir(parents=True, exist_ok=True)

    async def engine(self, name: str) -> FakeEngine:
        engine = await FakeEngine(name).start()
        self.engines[name] = engine
        return engine

    def route(self, *names: str, draining: tuple[str, ...] = (), **more: Any) -> int:
        """Publish a table where `names` accept and `draining` do not. Returns its version."""
        token = RouteToken("t1", hashlib.sha256(TOKEN.encode()).hexdigest())
        instances = tuple(
            RouteInstance(name, self.engines[name].url, f"snap-{name}", 1, accepts=name not in draining)
            for name in (*names, *draining)
        )
        route = ServiceRoute(SERVICE, instances, **{"tokens": (token,), **self.settings, **more})
        return self.publish({SERVICE: route})

    def publish(self, services: dict[str, ServiceRoute]) -> int:
        self.version += 1
        self.write(RoutingTable(self.version, MappingProxyType(services)).to_json())
        return self.version

    def write(self, text: str) -> None:
        partial = self.root / "run" / ".partial-routing"
        partial.write_text(text)
        partial.replace(self.root / "run" / "routing.json")

    async def start(self, *arguments: str) -> None:
        command = [sys.executable, "-m", "online_runtime.gateway", "--home", str(self.root), "--port", "0"]
        self.log = self.log_path.open("ab")
        self.process = await asyncio.create_subprocess_exec(*command, *arguments, stderr=self.log)
        self.session = aiohttp.ClientSession(headers={"Authorization": TOKEN})
        place = self.root / "run" / "gateways" / f"{self.process.pid}.json"
        await until(lambda: place.exists() or self.process.returncode is not None, "the gateway to start")
        assert place.exists(), self.log_path.read_text()
        self.url = json.loads(place.read_text())["url"]
        await self.applied()

    async def applied(self, version: int | None = None) -> None:
        wanted = self.version if version is None else version

        async def visible() -> bool:
            return (await self.state())["version"] >= wanted

        await until(visible, f"version {wanted}")

    async def state(self) -> dict[str, Any]:
        token = (self.root / "run" / "control.token").read_text()
        headers = {"Authorization": f"Bearer {token}"}
        async with self.session.get(f"{self.url}/-/state", headers=headers) as answer:
            assert answer.status == 200, await answer.text()
            return await answer.json()

    async def kill(self) -> None:
        """kill -9, as a crash would."""
        assert self.process is not None
        self.process.send_signal(signal.SIGKILL)
        await self.process.wait()
        await self.session.close()
        self.log.close()

    async def stop(self) -> int:
        assert self.process is not None
        await self.session.close()
        if self.process.returncode is None:
            self.process.send_signal(signal.SIGTERM)
        code = await asyncio.wait_for(self.process.wait(), LIMIT_SECONDS)
        self.log.close()
        return code

    async def close(self) -> None:
        if self.process is not None and self.process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.process.pid, signal.SIGKILL)
            await self.process.wait()
            await self.session.close()
        for engine in self.engines.values():
            await engine.stop()

    # Calls of a client

    def path(self, path: str) -> str:
        return f"{self.url}/api/predict/{SERVICE}{path}"

    async def prompt(self, graph: dict[str, Any], headers: Any = None, **more: Any) -> str:
        body = {"prompt": graph, **more}
        async with self.session.post(self.path("/prompt"), json=body, headers=headers) as answer:
            assert answer.status == 200, await answer.text()
            return (await answer.json())["prompt_id"]

    async def get(self, path: str) -> tuple[int, Any]:
        async with self.session.get(self.path(path)) as answer:
            body = await answer.read()
            return answer.status, json.loads(body) if "json" in answer.content_type else body

    async def finished(self, prompt_id: str) -> dict[str, Any]:
        """The history entry, as soon as there is one."""

        async def entry() -> Any:
            status, body = await self.get(f"/history/{prompt_id}")
            assert status == 200, body
            return body.get(prompt_id)

        return await until(entry, f"prompt {prompt_id}")

    async def archived(self, instance_id: str) -> None:
        """Wait until an instance has no unfinished job: then it may be stopped."""

        async def none() -> bool:
            state = await self.state()
            return not state["unfinished"].get(instance_id) and not state["in_flight"].get(instance_id)

        await until(none, f"the jobs of {instance_id} to be archived")
