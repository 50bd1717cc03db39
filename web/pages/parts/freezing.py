"""How far a freeze is: files, bytes, and what is being read."""

from __future__ import annotations

from snapshotter.freeze import FreezeProgress
from web.pages.console.page import say
from web.pages.parts.markup import tag
from web.pages.parts.moments import size_text
from web.pages.parts.progress import ProgressLine


def draw_freezing(now: FreezeProgress | None) -> None:
    """A line that says it; nothing when nothing is being frozen."""
    if now is None:
        return
    share = now.bytes_done / now.bytes_total if now.bytes_total else None
    done = say(
        "freezing.reading",
        files=now.files_done,
        total=now.files_total,
        size=size_text(now.bytes_done),
        path=now.path,
    )
    with tag("div", "", "sf-section"):
        ProgressLine(done if now.files_total else say("freezing.looking"), share)
