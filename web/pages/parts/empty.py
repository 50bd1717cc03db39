"""What stands where nothing is yet: what this is for, and what to do."""

from __future__ import annotations

from nicegui.element import Element

from web.pages.console.page import say
from web.pages.parts.markup import icon, tag


def empty_state(title: str, sentence: str, symbol: str = "inbox", **fields: object) -> Element:
    """A title and a sentence (keys of the texts); returns the place for the buttons or code that help."""
    with tag("div", "", "sf-empty"):
        icon(symbol, "sf-empty-icon")
        tag("h2", say(title, **fields))
        tag("p", say(sentence, **fields), "sf-quiet")
        return tag("div", "", "sf-actions")
