"""The gateway as an ASGI app: which part of it answers which call."""

from __future__ import annotations

import asyncio
import contextlib
import os
import secrets
from time import perf_counter
from typing import Any
from urllib.parse import unquote

import structlog
from sqlalchemy.exc import SQLAlchemyError

from online_runtime.gateway.errors import (
    BadPath,
    BodyTooLarge,
    CallerGone,
    GatewayError,
    GatewayFault,
    JobsUnavailable,
    UnknownPath,
    UnknownService,
)
from online_runtime.gateway.exchange import Exchange, Receive, Scope, Send
from online_runtime.gateway.metrics import BROKEN_OFF
from online_runtime.gateway.parts import Parts
from online_runtime.gateway.presence import Presence
from online_runtime.gateway.problems import answer_of
from online_runtime.gateway.routing import ServiceRoute
from online_runtime.gateway.settings import GatewaySettings
from online_runtime.gateway.tokens import check, token_of
from online_runtime.jobs.database import JobsDatabase
from online_runtime.jobs.errors import JobsError

log = structlog.get_logger()

PREFIX = "/api/predict/"


class Gateway:
    """The ASGI app. `url` is where it listens. The database is closed by whoever opened it."""

    def __init__(self, settings: GatewaySettings, database: JobsDatabase, url: str) -> None:
        self._settings, self._database = settings, database
        self._presence = Presence(settings.home, url)
        self.name = f"gateway-{os.getpid()}-{secrets.token_hex(4)}"
        self.parts: Parts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            await self._http(scope, receive, send)
        elif scope["type"] == "websocket":
            await self._websocket(scope, receive, send)
        else:
            await self._lifespan(receive, send)

    async def _lifespan(self, receive: Receive, send: Send) -> None:
        await receive()
        self.parts = Parts.make(self._settings, self._database, self.name)
        await self.parts.watch.look()
        background = [
            asyncio.create_task(work)
            for work in (
                self.parts.watch.run(),
                self.parts.archivist.run(),
                self.parts.activity.run(),
                self.parts.expiring.run(),
            )
        ]
        for task in background:
            task.add_done_callback(_report)
        self._presence.announce()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        self._presence.withdraw()
        for task in background:
            task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.gather(*background)
        self.parts.activity.withdraw()
        await self.parts.close()
        await send({"type": "lifespan.shutdown.complete"})

    async def _http(self, scope: Scope, receive: Receive, send: Send) -> None:
        exchange, began = Exchange(scope, receive, send), perf_counter()
        try:
            await self._answer(exchange, scope)
        except CallerGone:
            log.info("caller_gone", method=exchange.method, service=exchange.service)
        except SQLAlchemyError as problem:
            log.exception("jobs_database_failed")
            await _refuse(exchange, JobsUnavailable(type(problem).__name__))
        except (GatewayError, JobsError) as problem:
            await _refuse(exchange, problem)
        except (
            Exception
        ):  # the outermost frame of one call: log it in full, tell the caller, serve the others
            log.exception("call_failed", method=exchange.method, service=exchange.service)
            await _refuse(exchange, GatewayFault())
        finally:
            answered = (exchange.started or perf_counter()) - began
            self.parts.calls.answered(exchange.service, exchange.status or BROKEN_OFF, answered)

    async def _answer(self, exchange: Exchange, scope: Scope) -> None:
        path: str = scope["raw_path"].decode("latin-1")
        if path.startswith(PREFIX):
            route, inner = self._route(path)
            exchange.service = route.name
            check(route, token_of(exchange.header(b"authorization"), "", in_query=False))
            await self._engine_call(exchange, route, inner)
        elif path == "/healthz":
            await self.parts.state.health(exchange)
        elif path == "/readyz":
            await self.parts.state.ready(exchange)
        elif path == "/-/metrics":
            await self.parts.state.metrics(exchange)
        elif path == "/-/state":
            await self.parts.state.full(exchange)
        else:
            raise UnknownPath(path)

    def _route(self, path: str) -> tuple[ServiceRoute, str]:
        """The service and the engine's path, as it came. Raises UnknownService, BadPath."""
        name, slash, rest = path[len(PREFIX) :].partition("/")
        route = self.parts.watch.service(name)
        if route is None:
            raise UnknownService(unquote(name)[:40])
        if "." in rest or "%" in rest:
            _check_segments(unquote(rest))
        return route, slash + rest or "/"

    async def _engine_call(self, exchange: Exchange, route: ServiceRoute, path: str) -> None:
        short = path[4:] if path.startswith("/api/") else path
        parts = self.parts
        method = exchange.method
        own = parts.own_calls.get((method, short))  # calls that concern jobs; any instance can answer others
        if own is not None:
            await own(exchange, route)
        elif method == "GET" and short.startswith("/history/"):
            await parts.histories.one(exchange, route, short[len("/history/") :])
        elif method == "GET" and short.startswith("/jobs/"):
            await parts.listing.one(exchange, route, short[len("/jobs/") :])
        elif method == "POST" and short.startswith("/jobs/") and short.endswith("/cancel"):
            await parts.cancelling.one(exchange, route, short[len("/jobs/") : -len("/cancel")])
        elif method in ("GET", "HEAD") and short == "/view":
            await parts.views.one(exchange, route, path)
        else:
            await parts.forwarding.to_any(exchange, route, path, exchange.query)

    async def _websocket(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            path: str = scope["raw_path"].decode("latin-1")
            if not path.startswith(PREFIX):
                raise UnknownPath(path)
            route, inner = self._route(path)
            token = token_of(_authorization(scope), scope["query_string"].decode("latin-1"), in_query=True)
            check(route, token)
            if inner not in ("/ws", "/api/ws"):
                raise UnknownPath(path)
            await self.parts.holding.search(route.name).next()
        except GatewayError as refusal:
            status, body, kind, headers = answer_of(refusal)
            headers = [(b"content-type", kind.encode()), *headers]
            await send({"type": "websocket.http.response.start", "status": status, "headers": headers})
            await send({"type": "websocket.http.response.body", "body": body})
            return
        opened = self.parts.holding.route(route.name)
        await self.parts.websockets.serve(scope, receive, send, opened, token or "")


def _authorization(scope: Scope) -> str | None:
    for name, value in scope["headers"]:
        if name == b"authorization":
            return str(value.decode("latin-1"))
    return None


def _check_segments(path: str) -> None:
    if ".." in path.replace("\\", "/").split("/") or "\0" in path:
        raise BadPath(path)


async def _refuse(exchange: Exchange, problem: GatewayError | JobsError) -> None:
    if exchange.started:
        log.warning("answer_broken_off", service=exchange.service, cause=str(problem))
        return
    status, body, kind, headers = answer_of(problem)
    if status >= 500:
        log.warning("call_refused", service=exchange.service, status=status, problem=str(problem))
    answer = exchange.answer_early if isinstance(problem, BodyTooLarge) else exchange.answer
    await answer(status, body, kind, headers)


def _report(task: asyncio.Task[Any]) -> None:
    if not task.cancelled() and (problem := task.exception()) is not None:
        log.error("background_work_ended", exc_info=problem)
