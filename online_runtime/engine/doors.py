"""What every request passes: the origin rule, errors as answers, compression, caching."""

from __future__ import annotations

import ipaddress
import logging
from urllib.parse import SplitResult, urlsplit

from aiohttp import hdrs, web
from aiohttp.typedefs import Handler, Middleware

from .assembly import Engine
from .errors import EngineError
from .routes.answers import refusal

log = logging.getLogger(__name__)

_COMPRESSED_FROM_BYTES = 4096
_ALWAYS_FRESH = (".js", ".css", ".html")
_ALLOWED = {
    "Access-Control-Allow-Methods": "POST, GET, DELETE, PUT, PATCH, OPTIONS",
    "Access-Control-Allow-Headers": "Content-Type, Authorization",
    "Access-Control-Allow-Credentials": "true",
}


def doors(engine: Engine) -> list[Middleware]:
    """The middlewares of an application, outermost first."""
    cors = engine.arguments.cors_origin
    return [_compression, _cross_origin(cors) if cors else _same_origin, _errors]


def _cross_origin(origin: str) -> Middleware:
    """--enable-cors-header: pages of `origin` may use this engine."""

    @web.middleware
    async def allow(request: web.Request, handler: Handler) -> web.StreamResponse:
        response = web.Response() if request.method == hdrs.METH_OPTIONS else await handler(request)
        if not response.prepared:
            response.headers.update(_ALLOWED | {"Access-Control-Allow-Origin": origin})
        return response

    return allow


@web.middleware
async def _same_origin(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Keep pages of other sites, which a browser on this machine may show, away from a loopback engine."""
    host = urlsplit(f"//{request.headers.get(hdrs.HOST, '')}")
    origin = request.headers.get(hdrs.ORIGIN)
    if origin is not None and _is_loopback(host.hostname) and not _same(host, urlsplit(origin)):
        log.warning("A request of origin %s to host %s is refused", origin, host.netloc)
        return web.Response(status=403)
    if request.method == hdrs.METH_OPTIONS:
        return web.Response()
    return await handler(request)


def _same(host: SplitResult, origin: SplitResult) -> bool:
    if origin.port is None:
        return host.hostname == origin.hostname
    return host.netloc.lower() == origin.netloc.lower()


def _is_loopback(name: str | None) -> bool:
    if name is None:
        return False
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return name == "localhost" or name.endswith(".localhost")


@web.middleware
async def _errors(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Errors that the caller caused get a sentence; all others stay 500, their traceback in the log."""
    try:
        return await handler(request)
    except EngineError as error:
        answer = refusal(error)
        if answer is None:
            raise
        return answer


@web.middleware
async def _compression(request: web.Request, handler: Handler) -> web.StreamResponse:
    response = await handler(request)
    if response.prepared:
        return response
    if isinstance(response, web.Response) and response.content_type == "application/json":
        if (response.content_length or 0) >= _COMPRESSED_FROM_BYTES:
            response.enable_compression()
    elif request.path.endswith(_ALWAYS_FRESH):
        response.headers.setdefault("Cache-Control", "no-cache")
    return response
