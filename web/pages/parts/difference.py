"""What lies between two snapshots, or a snapshot and the workstation, drawn where it was asked for."""

from __future__ import annotations

from nicegui.element import Element

from web.pages.console.page import Page, say
from web.pages.parts.code import code_block
from web.pages.parts.error_card import error_card
from web.pages.parts.markup import tag
from web.pages.parts.moments import size_text
from web.pages.parts.progress import ProgressLine
from web.snapshots import diff_snapshots


async def draw_difference(page: Page, place: Element, old: str, new: str | None) -> None:
    """From `old` to `new`; None: to the workstation as it is now. An error is shown in its place."""
    place.clear()
    with place:
        ProgressLine(say("snapshots.comparing"))
    try:
        found = await page.read(diff_snapshots, page.project, old, new)
    except Exception as error:  # noqa: BLE001  (shown in its place)
        place.clear()
        with place:
            error_card(error)
        return
    place.clear()
    with place:
        if found.is_empty:
            tag("p", say("snapshots.same"))
            for note in found.notes:
                tag("p", note, "sf-quiet")
            return
        tag("p", say("snapshots.brings", size=size_text(found.new_bytes)), "sf-quiet")
        code_block("\n".join(found.lines()))
