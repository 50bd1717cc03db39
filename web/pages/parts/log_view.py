"""A log: its lines as text, with search, following the end unless the reader scrolled away."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from nicegui import ui
from nicegui.element import Element

from web.pages.console.page import say
from web.pages.parts.markup import icon, tag

MOST_LINES = 2000


class LogView(Element):
    """Lines are pushed to the browser as text and kept there, the last 2,000; searching happens there too."""

    def __init__(self, label: str, lines: Iterable[str] = ()) -> None:
        """`label` is a key of the texts."""
        super().__init__("div")
        self.classes("sf-log").props["data-sf-log"] = ""
        with self:
            with tag("div", "", "sf-log-bar"):
                words = say("parts.search-log")
                tag("input", "", "sf-filter", type="search", placeholder=words, aria_label=words)
                tag("span", "", "sf-quiet sf-log-count", aria_live="polite")
                with tag(
                    "button", "", "sf-copy", type="button", data_sf_copy="", aria_label=say("parts.copy")
                ) as copy:
                    copy.props["title"] = say("parts.copy")
                    icon("content_copy")
            self._seen = list(lines)[-MOST_LINES:]
            first = "\n".join(self._seen)
            self._lines = tag("pre", first, tabindex="0", role="log", aria_label=say(label))
            self._lines.props["data-limit"] = MOST_LINES

    def push(self, lines: Iterable[str]) -> None:
        """Add lines at the end."""
        text = list(lines)
        if text:
            ui.run_javascript(f"stillframe.log({self.id}, {_json(text)})")

    def push_new(self, lines: Sequence[str]) -> None:
        """Add what stands in `lines`, the last ones of a log, after what was shown of it before."""
        now = list(lines)
        kept = next(
            (
                count
                for count in range(min(len(self._seen), len(now)), 0, -1)
                if now[:count] == self._seen[-count:]
            ),
            0,
        )
        self._seen = now
        self.push(now[kept:])


def _json(value: object) -> str:
    import json

    return json.dumps(value).replace("<", "\\u003c")
