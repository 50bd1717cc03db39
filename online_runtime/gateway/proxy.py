"""Passing a call on to an instance: streams both ways, drops what belongs to one connection, tries
again only when safe.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

import aiohttp
import structlog
from multidict import CIMultiDict

from online_runtime.gateway.activity import is_probe
from online_runtime.gateway.errors import CallerGone, GatewayError, InstanceUnreachable
from online_runtime.gateway.exchange import Exchange
from online_runtime.gateway.holding import Holding
from online_runtime.gateway.load import Load
from online_runtime.gateway.problems import Headers
from online_runtime.gateway.routing import RouteInstance, ServiceRoute
from online_runtime.gateway.upstream import Upstream, unreachable, url_of

log = structlog.get_logger()

HOP_BY_HOP = frozenset(
    {
        b"connection",
        b"keep-alive",
        b"proxy-authenticate",
        b"proxy-authorization",
        b"proxy-connection",
        b"te",
        b"trailer",
        b"transfer-encoding",
        b"upgrade",
    }
)
# The token stays here; cookies belong to other doors on this host; an engine on loopback refuses
# foreign origins.
KEPT_HERE = HOP_BY_HOP | {b"authorization", b"cookie", b"host", b"origin", b"sec-fetch-site", b"expect"}
NOT_PASSED_BACK = HOP_BY_HOP | {b"set-cookie"}
PATIENCE_SECONDS = 0.1  # after this long it pays to watch whether the caller is still there


class Forwarding:
    """Forwards calls. Raises errors of this package as long as no byte of an answer was sent."""

    def __init__(self, upstream: Upstream, holding: Holding, load: Load) -> None:
        self._upstream, self._holding, self._load = upstream, holding, load

    async def to_any(self, exchange: Exchange, route: ServiceRoute, path: str, query: str) -> None:
        """Forward to the least busy instance; when it cannot be connected to (no byte was sent), to another
        one, or held until one answers.
        """
        exchange.refuse_large(route.max_body_bytes)
        search = self._holding.search(route.name, probes=is_probe(exchange.method, path))
        with _watching(exchange):
            while True:
                instance = await search.next()
                try:
                    await self._forward(instance, exchange, route, path, query)
                    return
                except InstanceUnreachable as problem:
                    if not problem.refused or exchange.body_started:
                        raise
                    log.warning("instance_refused", instance=instance.id, cause=problem.cause)
                    search.refused(instance)

    async def to(
        self,
        instance: RouteInstance,
        exchange: Exchange,
        route: ServiceRoute,
        path: str,
        query: str,
        *,
        missing_ok: bool = True,
    ) -> bool:
        """Forward to one instance. With `missing_ok` False, a 404 is not passed on and False is returned."""
        with _watching(exchange):
            return await self._forward(instance, exchange, route, path, query, missing_ok=missing_ok)

    async def _forward(
        self,
        instance: RouteInstance,
        exchange: Exchange,
        route: ServiceRoute,
        path: str,
        query: str,
        *,
        missing_ok: bool = True,
    ) -> bool:
        with self._load.visit(instance.id):
            try:
                async with self._request(instance, exchange, route, path, query) as response:
                    if response.status == 404 and not missing_ok:
                        return False
                    await _answer(exchange, response, instance)
                    return True
            except (aiohttp.ClientError, TimeoutError) as problem:
                if exchange.started:  # too late for a problem document: the caller sees the connection break
                    log.warning("answer_broken_off", instance=instance.id, cause=type(problem).__name__)
                    return True
                refusal = exchange_error(problem)
                raise refusal or unreachable(instance, problem) from problem

    def _request(
        self, instance: RouteInstance, exchange: Exchange, route: ServiceRoute, path: str, query: str
    ) -> aiohttp.client._RequestContextManager:
        headers = CIMultiDict(
            (name.decode("latin-1"), value.decode("latin-1"))
            for name, value in exchange.headers
            if name not in KEPT_HERE
        )
        return self._upstream.session.request(
            exchange.method,
            url_of(instance, path, query),
            headers=headers,
            data=exchange.stream(route.max_body_bytes) if exchange.has_body else None,
            allow_redirects=False,
        )


def exchange_error(problem: BaseException) -> GatewayError | None:
    """An error of ours that ended the upload, which aiohttp has wrapped in one of its own."""
    cause: BaseException | None = problem
    while cause is not None:
        if isinstance(cause, GatewayError):
            return cause
        cause = cause.__cause__ or cause.__context__
    return None


async def _answer(exchange: Exchange, response: aiohttp.ClientResponse, instance: RouteInstance) -> None:
    await exchange.start(response.status, answer_headers(response, instance))
    async for chunk in response.content.iter_any():
        await exchange.send(chunk, more=True)
    await exchange.send(b"", more=False)


def answer_headers(response: aiohttp.ClientResponse, instance: RouteInstance) -> Headers:
    """What is passed back, and which instance of which snapshot it came from."""
    passed = [
        (name.lower(), value) for name, value in response.raw_headers if name.lower() not in NOT_PASSED_BACK
    ]
    return passed + origin_headers(instance)


def origin_headers(instance: RouteInstance) -> Headers:
    return [
        (b"x-stillframe-instance", instance.id.encode()),
        (b"x-stillframe-snapshot", instance.snapshot_id.encode()),
    ]


@contextmanager
def _watching(exchange: Exchange) -> Iterator[None]:
    """Cancel the block when the caller hangs up, so that an instance does not work for nobody. Raises
    CallerGone.

    Most calls end before the watch begins; only then can they be told apart from uploads, whose stream
    notices by itself.
    """
    if exchange.has_body:
        yield
        return
    watch = _CallerWatch(exchange)
    try:
        yield
    except asyncio.CancelledError:
        if not watch.gone:
            raise
        raise CallerGone from None
    finally:
        watch.stop()


class _CallerWatch:
    def __init__(self, exchange: Exchange) -> None:
        self.gone = False
        self._exchange = exchange
        self._call = asyncio.current_task()
        self._task: asyncio.Task[None] | None = None
        self._timer = asyncio.get_running_loop().call_later(PATIENCE_SECONDS, self._begin)

    def stop(self) -> None:
        self._timer.cancel()
        if self._task is not None:
            self._task.cancel()

    def _begin(self) -> None:
        self._task = asyncio.create_task(self._wait())

    async def _wait(self) -> None:
        await self._exchange.gone()
        self.gone = True
        if self._call is not None:
            self._call.cancel()
