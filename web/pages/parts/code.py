"""Text to be read exactly, and taken along."""

from __future__ import annotations

from nicegui.element import Element

from web.pages.console.page import say
from web.pages.parts.markup import icon, tag


def code_block(text: str, classes: str = "") -> Element:
    """Preformatted text with a button that copies it; the copying happens in the browser."""
    with tag("div", "", f"sf-code {classes}") as made:
        tag("pre", text, tabindex="0")
        with tag(
            "button", "", "sf-copy", type="button", data_sf_copy="", aria_label=say("parts.copy")
        ) as button:
            button.props["title"] = say("parts.copy")
            icon("content_copy")
    return made


def inline_code(text: str) -> Element:
    """A word of code in a sentence."""
    return tag("code", text, "sf-inline-code")
