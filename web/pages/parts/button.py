"""Buttons that show that they work, and take no second click meanwhile."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

from nicegui import ui

from web.pages.console.page import say, steady

Kind = Literal["primary", "plain", "danger", "quiet"]
_LOOKS = {
    "primary": "unelevated color=primary",
    "plain": "outline",
    "danger": "unelevated color=negative",
    "quiet": "flat",
}


def action_button(
    text: str,
    act: Callable[[], object],
    *,
    kind: Kind = "plain",
    icon: str | None = None,
    enabled: bool = True,
    why_not: str = "",
    **fields: object,
) -> ui.button:
    """A button. `text` and `why_not` (why it is not enabled, as its tooltip) are keys of the texts."""

    run = steady(act)

    async def pressed() -> None:
        button.props("loading").disable()
        try:
            await run()
        finally:
            if not button.is_deleted:
                button.props(remove="loading").set_enabled(enabled)

    button = ui.button(say(text, **fields), icon=icon, color=None, on_click=pressed)
    button.props(f"no-caps {_LOOKS[kind]}").classes(f"sf-button sf-button-{kind}")
    button.set_enabled(enabled)
    if why_not and not enabled:
        with button:
            ui.tooltip(say(why_not, **fields))
    return button


def go_button(text: str, target: str, *, kind: Kind = "plain", icon: str | None = None) -> ui.button:
    """A link that looks like a button."""
    button = ui.button(say(text), icon=icon, color=None)
    button.props(f"no-caps {_LOOKS[kind]}").classes(f"sf-button sf-button-{kind}")
    button.props["href"] = target
    return button
