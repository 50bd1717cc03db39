"""The console as an ASGI application that loads itself when somebody comes.

NiceGUI costs most of a second to import and 45 MiB: a platform that only programs use never has it. It
begins when the sign-in page is shown, and is there when the password is typed; a page that is asked for
earlier waits.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Any

from starlette.types import ASGIApp, Receive, Scope, Send

from web.api.answers import problem_response
from web.errors import ConsoleNotLoaded
from web.installation import Installation

if TYPE_CHECKING:
    from web.api.signin import SignIn
    from web.signin.audit import Audit

LOAD_LIMIT_SECONDS = 60.0  # an import on a cold disk of a busy machine


class LazyConsole:
    """Passes calls to the console, once it is loaded. One a process: NiceGUI keeps its state in its
    modules.
    """

    def __init__(
        self, here: Installation, signin: SignIn, audit: Audit, describe: Callable[[], Mapping[str, Any]]
    ) -> None:
        """`describe` gives the REST API as OpenAPI."""
        self._make = lambda: _make(here, signin, audit, describe)
        self._stack = AsyncExitStack()
        self._loading: asyncio.Task[ASGIApp] | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            app = await asyncio.wait_for(asyncio.shield(self.load()), LOAD_LIMIT_SECONDS)
        except TimeoutError:
            await problem_response(ConsoleNotLoaded(LOAD_LIMIT_SECONDS))(scope, receive, send)
            return
        await app(scope, receive, send)

    def load(self) -> asyncio.Task[ASGIApp]:
        """Begin to load it, if nobody did yet."""
        if self._loading is None:
            self._loading = asyncio.create_task(self._load(), name="load console")
        return self._loading

    async def close(self) -> None:
        """End what it started."""
        if self._loading is not None and not self._loading.done():
            self._loading.cancel()
        await self._stack.aclose()

    async def _load(self) -> ASGIApp:
        make: Callable[[], object] = self._make
        app = await asyncio.to_thread(make)
        from fastapi import FastAPI

        assert isinstance(app, FastAPI)
        await self._stack.enter_async_context(app.router.lifespan_context(app))
        return app


def _make(
    here: Installation, signin: SignIn, audit: Audit, describe: Callable[[], Mapping[str, Any]]
) -> ASGIApp:
    from web.pages.console.build import build_console

    return build_console(here, signin, audit, describe)
