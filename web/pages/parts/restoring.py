"""Putting a snapshot back into the workstation: what it would change, doing it, and the way back."""

from __future__ import annotations

from nicegui import ui
from nicegui.element import Element

from snapshotter.restore import Restored, RestoreProgress
from snapshotter.restore_plan import ComponentPlan, RestorePlan
from web.pages.console.acting import perform
from web.pages.console.page import Page, say
from web.pages.parts.button import action_button
from web.pages.parts.chip import Mood, chip
from web.pages.parts.error_card import error_card
from web.pages.parts.markup import link, tag
from web.pages.parts.moments import size_text
from web.pages.parts.progress import ProgressLine
from web.pages.parts.table import Column, table
from web.upkeep import plan_restore, restore_snapshot

TOLD_SECONDS = 0.3
_MOODS = {"added": Mood.GOOD, "changed": Mood.BUSY, "removed": Mood.BAD}


async def preview_restore(page: Page, place: Element, number: int) -> None:
    """What a restore would change, with the button that does it."""
    place.clear()
    with place:
        ProgressLine(say("restoring.looking"))
    try:
        plan = await page.read(plan_restore, page.project, str(number))
    except Exception as error:  # noqa: BLE001  (shown in its place)
        place.clear()
        with place:
            error_card(error)
        return
    place.clear()
    with place, tag("div", "", "sf-card sf-stack"):
        tag("h2", say("restoring.title", number=number))
        if plan.nothing_to_do:
            tag("p", say("restoring.nothing", number=number))
        else:
            tag("p", say("restoring.sentence", size=size_text(plan.size_bytes)))
            _draw_plan(plan)
        for line in ([str(plan.base)] if plan.base and not plan.base.same else []) + list(plan.notes):
            tag("p", line, "sf-quiet")
        with tag("div", "", "sf-actions sf-end"):
            action_button("parts.cancel", place.clear)
            if not plan.nothing_to_do:
                action_button(
                    "restoring.go", lambda: _restore(page, place, number), kind="primary", icon="restore"
                )


def _draw_plan(plan: RestorePlan) -> None:
    columns = (
        Column[ComponentPlan]("restoring.part", lambda one: one.name, "sf-break"),
        Column[ComponentPlan]("restoring.change", _change),
        Column[ComponentPlan]("restoring.paths", _paths, "sf-number"),
        Column[ComponentPlan](
            "restoring.written", lambda one: size_text(one.size_bytes), "sf-right sf-number"
        ),
    )
    table(plan.components, columns, caption="restoring.parts")
    if plan.packages:
        with tag("ul"):
            for one in plan.packages:
                now, then = one.now or say("restoring.absent"), one.then or say("restoring.goes")
                tag("li", f"{one.name}: {now} → {then}")


def _change(one: ComponentPlan) -> None:
    chip(one.change, say(f"restoring.{one.change}"), _MOODS[one.change])


def _paths(one: ComponentPlan) -> str:
    signs = (("+", one.added), ("−", one.removed), ("~", one.changed))
    return " ".join(f"{sign}{count:,}" for sign, count in signs if count)


async def _restore(page: Page, place: Element, number: int) -> None:
    latest = [RestoreProgress("keep")]
    place.clear()
    with place, tag("div", "", "sf-card"):
        line = ProgressLine(_words(latest[0]))
        timer = ui.timer(TOLD_SECONDS, lambda: line.say(_words(latest[0]), _share(latest[0])))
    done = await perform(
        "snapshot.restore",
        f"{page.project} {number}",
        lambda: restore_snapshot(
            page.here, page.project, str(number), lambda now: latest.__setitem__(0, now)
        ),
    )
    timer.cancel()
    place.clear()
    if done is not None:
        with place:
            _draw_done(page, place, done.value)


def _draw_done(page: Page, place: Element, done: Restored) -> None:
    kept = done.kept.number
    with tag("div", "", "sf-card sf-stack", data_restored=done.snapshot.number):
        with tag("div", "", "sf-row"):
            chip("done", say("restoring.done", number=done.snapshot.number))
            tag("span", say("restoring.replaced", number=len(done.components)), "sf-quiet")
        with tag("p", "", "sf-row"):
            tag("span", say("restoring.kept"))
            link(f"#{kept}", f"/projects/{page.project}/snapshots/{kept}")
        with tag("div", "", "sf-actions"):
            action_button("restoring.undo", lambda: _restore(page, place, kept), icon="undo", number=kept)


def _words(now: RestoreProgress) -> str:
    if now.phase == "build":
        return say("restoring.build", done=f"{now.files_done:,}", total=f"{now.files_total:,}")
    return say(f"restoring.{now.phase}")


def _share(now: RestoreProgress) -> float | None:
    return now.bytes_done / now.bytes_total if now.phase == "build" and now.bytes_total else None
