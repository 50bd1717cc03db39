"""A secret that is shown once: it is not stored, and closing the dialog forgets it."""

from __future__ import annotations

from nicegui import ui

from web.pages.console.page import say
from web.pages.parts.code import code_block
from web.pages.parts.markup import tag


def show_secret(title: str, secret: str, **fields: object) -> None:
    """A dialog with the secret and a button that copies it. `title` is a key of the texts."""
    with ui.dialog().props("persistent") as dialog, tag("div", "", "sf-dialog"):
        tag("h2", say(title, **fields))
        tag("p", say("parts.shown-once"), "sf-quiet")
        code_block(secret)
        with tag("div", "", "sf-actions sf-end"):
            ui.button(say("parts.have-it"), color=None, on_click=dialog.close).props(
                "no-caps unelevated color=primary autofocus"
            ).classes("sf-button")
    dialog.on("hide", dialog.delete)
    dialog.open()
