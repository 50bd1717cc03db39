"""The editor's places in the web application."""

from __future__ import annotations

from fastapi import FastAPI
from starlette.types import ASGIApp, Receive, Scope, Send

from web.api.signin import SignIn
from web.editor import ABSOLUTE, PLACE
from workstation.layout import Home


def add_editor(app: FastAPI, home: Home, signin: SignIn) -> None:
    """Serve the editors of all projects. Before any other route of /projects/NAME/."""
    editor = _Late(home, signin)
    app.mount(PLACE, editor)
    for prefix in ABSOLUTE:
        app.mount(prefix, editor.absolute)


class _Late:
    """The editor, imported when somebody opens one: the door serves earlier and stays smaller."""

    def __init__(self, home: Home, signin: SignIn) -> None:
        self._home, self._signin = home, signin
        self._editor: ASGIApp | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if self._editor is None:
            from web.editor.door import Editor

            self._editor = Editor(self._home, self._signin)
        await self._editor(scope, receive, send)

    async def absolute(self, scope: Scope, receive: Receive, send: Send) -> None:
        """What pages of editors ask for by absolute paths."""
        from web.editor.absolute_paths import serve

        await serve(scope, receive, send)
