"""Asking before what cannot be undone, and saying what was done."""

from __future__ import annotations

from nicegui import ui

from web.pages.console.page import say
from web.pages.parts.markup import tag


async def confirmed(
    title: str,
    sentence: str,
    *,
    yes: str = "parts.yes",
    danger: bool = True,
    type_this: str | None = None,
    **fields: object,
) -> bool:
    """Whether the reader said yes. Texts are keys; with `type_this` that word must be typed first."""
    with ui.dialog() as dialog, tag("div", "", "sf-dialog", role="alertdialog"):
        tag("h2", say(title, **fields))
        tag("p", say(sentence, **fields))
        go = "unelevated color=negative" if danger else "unelevated color=primary"
        typed = None
        if type_this is not None:
            typed = ui.input(say("parts.type-to-confirm", word=type_this)).props("outlined dense autofocus")
        with tag("div", "", "sf-actions sf-end"):
            ui.button(say("parts.cancel"), color=None, on_click=lambda: dialog.submit(False)).props(
                "no-caps outline" if typed else "no-caps outline autofocus"
            ).classes("sf-button sf-button-plain")
            button = ui.button(say(yes, **fields), color=None, on_click=lambda: dialog.submit(True))
            button.props(f"no-caps {go}").classes("sf-button")
            if typed is not None:
                button.bind_enabled_from(typed, "value", lambda value: value == type_this)
    answer = await dialog
    dialog.delete()
    return answer is True


def told(text: str, **fields: object) -> None:
    """A short word that something was done (a key of the texts)."""
    ui.notify(say(text, **fields), position="bottom-right", type="positive", close_button=say("parts.close"))
