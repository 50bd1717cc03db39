"""The editor's place in the web application."""

from __future__ import annotations

from fastapi import FastAPI
from starlette.types import ASGIApp, Receive, Scope, Send

from web.editor import PLACE
from workstation.layout import Home


def add_editor(app: FastAPI, home: Home) -> None:
    """Serve the editors of all projects. Before any other route of /projects/NAME/."""
    app.mount(PLACE, _Late(home))


class _Late:
    """The editor, imported when somebody opens one: the door serves earlier and stays smaller."""

    def __init__(self, home: Home) -> None:
        self._home = home
        self._editor: ASGIApp | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if self._editor is None:
            from web.editor.door import Editor

            self._editor = Editor(self._home)
        await self._editor(scope, receive, send)
