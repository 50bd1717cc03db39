"""Links between pages that belong together, in a row."""

from __future__ import annotations

from collections.abc import Sequence

from nicegui.element import Element

from web.pages.console.page import current_page, say
from web.pages.parts.markup import tag


def tabs(label: str, pages: Sequence[tuple[str, str]]) -> Element:
    """`pages` are (key of the text, address); `label` is the key of what they are together."""
    with tag("nav", "", "sf-tabs", aria_label=say(label)) as made:
        for text, address in pages:
            here = {"aria_current": "page"} if address == current_page().path else {}
            tag("a", say(text), "sf-tab", href=address, **here)
    return made
