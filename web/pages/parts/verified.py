"""Reading snapshots again, byte by byte, and what that found; with a way to give back what is damaged."""

from __future__ import annotations

from collections.abc import Mapping

from nicegui.element import Element

from snapshotter.verify import VerifyReport
from web.pages.console.acting import perform
from web.pages.console.page import Page, say
from web.pages.parts.button import action_button
from web.pages.parts.chip import chip
from web.pages.parts.code import code_block
from web.pages.parts.markup import tag
from web.pages.parts.moments import size_text
from web.upkeep import heal_snapshots, verify_chosen

SHOWN = 50  # of what is damaged; the API names all


async def verify_now(page: Page, place: Element, number: int | None) -> None:
    """One snapshot, or all of the project."""
    reference = None if number is None else str(number)
    done = await perform(
        "snapshot.verify",
        f"{page.project} {reference or 'all'}",
        lambda: verify_chosen(page.here, page.project, reference),
    )
    if done is not None:
        _draw(page, place, number, done.value, {one.object: one.snapshots for one in done.value.damages})


async def _heal(page: Page, place: Element, number: int | None) -> None:
    reference = None if number is None else str(number)
    done = await perform(
        "snapshot.verify",
        f"{page.project} {reference or 'all'} heal",
        lambda: heal_snapshots(page.here, page.project, reference),
    )
    if done is not None:
        _draw(page, place, number, done.value.after, done.value.used_by, healed=len(done.value.healed))


def _draw(
    page: Page,
    place: Element,
    number: int | None,
    report: VerifyReport,
    users: Mapping[str, tuple[str, ...]],
    healed: int | None = None,
) -> None:
    place.clear()
    with place, tag("div", "", "sf-card sf-stack", data_verified="ok" if report.ok else "damaged"):
        with tag("div", "", "sf-row"):
            chip("ok" if report.ok else "failed", say(f"verified.{'whole' if report.ok else 'damaged'}"))
            size = size_text(report.bytes_checked)
            tag("span", say("verified.read", files=f"{report.files_checked:,}", size=size), "sf-quiet")
        if healed is not None:
            tag("p", say("verified.healed", number=healed))
        if report.ok:
            return
        tag("p", say("verified.what-now" if healed is None else "verified.lost"))
        lines = [f"{one}: {', '.join(users.get(one.object, one.snapshots))}" for one in report.damages]
        code_block("\n".join([*lines[:SHOWN], *(["…"] if len(lines) > SHOWN else [])]))
        if healed is None:
            with tag("div", "", "sf-actions"):
                action_button(
                    "verified.heal", lambda: _heal(page, place, number), kind="primary", icon="healing"
                )
