"""How far something is: a line with what happens now."""

from __future__ import annotations

from nicegui.element import Element

from web.pages.parts.markup import tag


class ProgressLine(Element):
    """A bar and a sentence. `share` is 0 to 1; None: it is not known how far."""

    def __init__(self, sentence: str, share: float | None = None) -> None:
        super().__init__("div")
        self.classes("sf-progress").props["role"] = "status"
        with self:
            self._place = Element("div")
        self.say(sentence, share)

    def say(self, sentence: str, share: float | None = None) -> None:
        """Show another sentence and share."""
        self._place.clear()
        with self._place:
            tag("span", sentence, "sf-progress-words")
            bar = tag("progress", "", max="100", aria_label=sentence)
            if share is not None:
                bar.props["value"] = str(round(share * 100))
