"""Bars for a row of numbers: a picture of plain elements, with the same as words for those who hear it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from nicegui.element import Element

from web.pages.parts.markup import tag


@dataclass(frozen=True)
class Bar:
    """One bar. `words` says it whole, `mood` colours it as a chip, `target` is where it leads."""

    value: float
    words: str
    mood: str
    target: str


def bars(shown: Sequence[Bar], label: str) -> Element:
    """The bars from left to right, the highest as high as the picture. `label` says what they are."""
    most = max((one.value for one in shown), default=0.0) or 1.0
    with tag("ol", "", "sf-bars sf-plain-list", aria_label=label) as made:
        for one in shown:
            with (
                tag("li"),
                tag("a", "", f"sf-bar sf-bar-{one.mood}", href=one.target, title=one.words) as bar,
            ):
                bar.props["aria-label"] = one.words
                bar.style(f"height: {max(4.0, 100 * one.value / most):.1f}%")
    return made
