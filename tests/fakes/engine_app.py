"""A small engine for tests: ComfyUI's queue, history, files and websocket, and a node whose duration
the test decides.

Node `Save`: inputs `prefix`, `seconds`, `content`, `subfolder`, `kind`; writes PREFIX_00001_.png by its
own counter.
Node `Gate`: runs until the test opens `FakeEngine.gate`. Node `Fail` raises. Also runs as a process:
`--port N`.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import time
import uuid
from typing import Any

from aiohttp import web

CLASSES = {"Save", "Gate", "Fail"}


class Interrupted(Exception):
    pass


class FakeEngine:
    """One engine on a free port of the loopback, from `start` to `stop`."""

    def __init__(self, name: str = "engine") -> None:
        self.name = name
        self.pending: list[list[Any]] = []
        self.running: list[Any] | None = None
        self.history: dict[str, Any] = {}
        self.files: dict[tuple[str, str, str], bytes] = {}
        self.received: list[str] = []  # prompt ids in the order in which they came
        self.requests: list[web.Request] = []
        self.gate = asyncio.Event()
        self.says_status = True  # False: never over a websocket, so whoever wants to know has to ask
        self.remaining_asked = asyncio.Event()
        self.paused = False  # while True, nothing is taken from the queue
        self.sockets: dict[str, web.WebSocketResponse] = {}
        self.counter = 0
        self.number = 0
        self._interrupt = asyncio.Event()
        self._work = asyncio.Event()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def start(self, port: int = 0) -> FakeEngine:
        self.runner = web.AppRunner(self._app(), access_log=None, shutdown_timeout=0.1)
        await self.runner.setup()
        site = web.TCPSite(self.runner, "127.0.0.1", port)
        await site.start()
        self.port: int = self.runner.addresses[0][1]
        self._worker = asyncio.create_task(self._run())
        return self

    async def stop(self) -> None:
        """As if the process had been killed: everything in its memory is gone."""
        self._worker.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._worker
        for socket in list(self.sockets.values()):
            await socket.close()
        await self.runner.cleanup()

    def _app(self) -> web.Application:
        app = web.Application(client_max_size=1 << 30)
        routes = [
            web.post("/prompt", self.post_prompt),
            web.get("/prompt", self.get_prompt),
            web.get("/queue", self.get_queue),
            web.post("/queue", self.post_queue),
            web.post("/interrupt", self.interrupt),
            web.get("/history/{prompt_id}", self.get_history),
            web.get("/view", self.view),
            web.get("/ws", self.websocket),
            web.get("/system_stats", self.stats),
            web.get("/large", self.large),
            web.get("/hang", self.hang),
            web.post("/upload/image", self.upload),
            web.post("/echo", self.echo),
        ]
        app.add_routes(routes)
        app.add_routes(
            [getattr(web, route.method.lower())("/api" + route.path, route.handler) for route in routes]
        )
        return app

    # The queue

    async def post_prompt(self, request: web.Request) -> web.Response:
        document = await request.json()
        graph = document["prompt"]
        for node_id, node in graph.items():
            if node.get("class_type") not in CLASSES:
                return _refused("invalid_prompt", f"Cannot execute because node {node_id} does not exist.")
        if not graph:
            return _refused("prompt_no_outputs", "Prompt has no outputs")
        prompt_id = document.get("prompt_id") or str(uuid.uuid4())
        extra = {**document.get("extra_data", {}), "client_id": document.get("client_id")}
        number, self.number = self.number, self.number + 1
        self.received.append(prompt_id)
        self.pending.append([number, prompt_id, graph, extra, list(graph)])
        self._work.set()
        await self._broadcast_status()
        return web.json_response({"prompt_id": prompt_id, "number": number, "node_errors": {}})

    async def get_prompt(self, request: web.Request) -> web.Response:
        self.remaining_asked.set()
        return web.json_response({"exec_info": {"queue_remaining": self.remaining}})

    async def get_queue(self, request: web.Request) -> web.Response:
        running = [self.running] if self.running else []
        return web.json_response({"queue_running": running, "queue_pending": self.pending})

    async def post_queue(self, request: web.Request) -> web.Response:
        document = await request.json()
        gone = set(document.get("delete", []))
        self.pending = [i for i in self.pending if not document.get("clear") and i[1] not in gone]
        return web.Response()

    async def interrupt(self, request: web.Request) -> web.Response:
        document = json.loads(await request.read() or b"{}")
        if self.running and document.get("prompt_id") in (None, self.running[1]):
            self._interrupt.set()
        return web.Response()

    async def get_history(self, request: web.Request) -> web.Response:
        prompt_id = request.match_info["prompt_id"]
        found = self.history.get(prompt_id)
        return web.json_response({} if found is None else {prompt_id: found})

    @property
    def remaining(self) -> int:
        return len(self.pending) + (self.running is not None)

    async def _run(self) -> None:
        while True:
            await self._work.wait()
            if self.paused or not self.pending:
                self._work.clear()
                continue
            item = self.running = self.pending.pop(0)
            await self._execute(item)

    def go_on(self) -> None:
        self.paused = False
        self._work.set()

    async def _execute(self, item: list[Any]) -> None:
        _, prompt_id, graph, extra, _ = item
        client, outputs, messages = extra.get("client_id"), {}, []
        self._interrupt.clear()
        status = {"status_str": "success", "completed": True, "messages": messages}
        await self._event(client, "execution_start", {"prompt_id": prompt_id}, messages)
        try:
            for node_id, node in graph.items():
                await self._event(client, "executing", {"node": node_id, "prompt_id": prompt_id}, [])
                outputs[node_id] = await self._node(node)
                data = {"node": node_id, "output": outputs[node_id], "prompt_id": prompt_id}
                await self._event(client, "executed", data, [])
            await self._event(client, "execution_success", {"prompt_id": prompt_id}, messages)
        except Interrupted:
            status |= {"status_str": "error", "completed": False}
            await self._event(client, "execution_interrupted", {"node_id": node_id}, messages)
        except ValueError as problem:
            status |= {"status_str": "error", "completed": False}
            data = {"exception_type": "ValueError", "exception_message": str(problem), "node_id": node_id}
            await self._event(client, "execution_error", data, messages)
        self.history[prompt_id] = {"prompt": item, "outputs": outputs, "status": status, "meta": {}}
        self.running = None
        await self._broadcast_status()
        await self._event(client, "executing", {"node": None, "prompt_id": prompt_id}, [])

    async def _node(self, node: dict[str, Any]) -> dict[str, Any]:
        inputs = node.get("inputs", {})
        if node["class_type"] == "Fail":
            raise ValueError("the node failed as asked")
        if node["class_type"] == "Gate":
            await self._or_interrupted(self.gate.wait())
        elif inputs.get("seconds"):
            await self._or_interrupted(asyncio.sleep(inputs["seconds"]))
        self.counter += 1
        name = f"{inputs.get('prefix', 'image')}_{self.counter:05}_.png"
        kind, subfolder = inputs.get("kind", "output"), inputs.get("subfolder", "")
        content = inputs.get("content", f"{self.name} {self.counter}").encode()
        self.files[kind, subfolder, name] = content
        return {"images": [{"filename": name, "subfolder": subfolder, "type": kind}]}

    async def _or_interrupted(self, work: Any) -> None:
        tasks = [asyncio.ensure_future(work), asyncio.ensure_future(self._interrupt.wait())]
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()
        if self._interrupt.is_set():
            raise Interrupted

    # Events

    async def websocket(self, request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        sid = request.query.get("clientId") or uuid.uuid4().hex
        self.requests.append(request)
        self.sockets[sid] = socket
        if self.says_status:
            await socket.send_json({"type": "status", "data": {**self._status(), "sid": sid}})
        try:
            async for message in socket:
                if message.type == web.WSMsgType.TEXT and json.loads(message.data)["type"] == "feature_flags":
                    await socket.send_json({"type": "feature_flags", "data": {"engine": self.name}})
        finally:
            if self.sockets.get(sid) is socket:
                del self.sockets[sid]
        return socket

    def _status(self) -> dict[str, Any]:
        return {"status": {"exec_info": {"queue_remaining": self.remaining}}}

    async def _broadcast_status(self) -> None:
        for socket in list(self.sockets.values()) if self.says_status else ():
            with contextlib.suppress(ConnectionError):
                await socket.send_json({"type": "status", "data": self._status()})

    async def _event(self, client: str | None, kind: str, data: dict[str, Any], messages: list[Any]) -> None:
        messages.append([kind, {**data, "timestamp": int(time.time() * 1000)}])
        socket = self.sockets.get(client or "")
        if socket is not None:
            with contextlib.suppress(ConnectionError):
                await socket.send_json({"type": kind, "data": data})
                if kind == "executing":
                    await socket.send_bytes(b"\0\0\0\1\0\0\0\1preview")

    # Files and the rest

    async def view(self, request: web.Request) -> web.Response:
        query = request.query
        key = (query.get("type", "output"), query.get("subfolder", ""), query["filename"])
        if key not in self.files:
            return web.Response(status=404)
        return web.Response(body=self.files[key], content_type="image/png", headers={"ETag": '"engine"'})

    async def stats(self, request: web.Request) -> web.Response:
        self.requests.append(request)
        return web.json_response({"system": {"name": self.name}}, headers={"Set-Cookie": "a=b"})

    async def large(self, request: web.Request) -> web.StreamResponse:
        """`bytes` zeros, in chunks; tells how far it came in `sent`."""
        response = web.StreamResponse()
        size, self.sent, self.broken = int(request.query["bytes"]), 0, False
        response.content_length = size
        await response.prepare(request)
        try:
            while self.sent < size:
                chunk = min(65536, size - self.sent)
                await response.write(bytes(chunk))
                self.sent += chunk
        except ConnectionError:
            self.broken = True
            raise
        return response

    async def hang(self, request: web.Request) -> web.Response:
        """Answers only when the caller goes away: `hung_up` is set then."""
        self.hanging, self.hung_up = asyncio.Event(), asyncio.Event()
        self.hanging.set()
        try:
            while request.transport is not None and not request.transport.is_closing():
                await asyncio.sleep(0.01)
        finally:
            self.hung_up.set()
        return web.Response()

    async def upload(self, request: web.Request) -> web.Response:
        size = 0
        async for chunk in request.content.iter_any():
            size += len(chunk)
        return web.json_response({"bytes": size})

    async def echo(self, request: web.Request) -> web.Response:
        return web.json_response({"headers": dict(request.headers), "body": (await request.read()).decode()})


def _refused(kind: str, message: str) -> web.Response:
    error = {"type": kind, "message": message, "details": "", "extra_info": {}}
    return web.json_response({"error": error, "node_errors": {}}, status=400)


async def _serve(port: int, paused: bool) -> None:
    engine = FakeEngine()
    engine.paused = paused
    await engine.start(port)
    print(engine.port, flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--paused", action="store_true")
    given = parser.parse_args()
    asyncio.run(_serve(given.port, given.paused))
