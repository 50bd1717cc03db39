"""Snapshots: every frozen state of the workstation, what each brought, and what lies between two of them."""

from __future__ import annotations

from dataclasses import dataclass

from nicegui import ui
from nicegui.element import Element

from publisher.errors import ServiceNotFound
from publisher.freeze_progress import read_progress
from snapshotter.freeze import FreezeProgress
from web.installation import Installation
from web.pages.console.acting import perform
from web.pages.console.markers import CONTROL, project_topic
from web.pages.console.page import Page, console_page, say
from web.pages.parts.button import action_button, go_button
from web.pages.parts.chip import Mood, chip
from web.pages.parts.dialogs import told
from web.pages.parts.difference import draw_difference
from web.pages.parts.empty import empty_state
from web.pages.parts.freezing import draw_freezing
from web.pages.parts.headings import page_header, section
from web.pages.parts.markup import tag
from web.pages.parts.moments import moment, size_text
from web.pages.parts.table import Column, table
from web.pages.parts.verified import verify_now
from web.snapshots import SnapshotLine, freeze_workstation, snapshot_lines
from web.upkeep import needed_by

SHOWN = 50  # of the newest; more at a press
MOST = 2000
WORKSTATION = 0  # among the numbers that one may compare: the workstation as it is now


@dataclass(frozen=True)
class Kept:
    """The snapshots of a project. `needed` are the ids of those that cannot be deleted now."""

    project: str
    lines: tuple[SnapshotLine, ...]
    serving: int | None
    needed: frozenset[str]


@console_page("/projects/{project}/snapshots", title="snapshots.title", nav="snapshots")
async def snapshots(page: Page) -> None:
    """The list, live, and the comparison."""
    with page_header("snapshots.title", "snapshots.sentence"):
        if page.may("snapshot.verify"):
            action_button("snapshots.verify", lambda: verify_now(page, result, None), icon="verified")
        if page.may("snapshot.freeze"):
            action_button("snapshots.freeze", lambda: _freeze(page), kind="primary", icon="photo_camera")
    await page.live(draw_freezing, freezing_of, page.project)
    result = tag("div", "", "sf-stack sf-result", aria_live="polite")
    place = await page.live(_draw, kept_of, page.project, SHOWN, on=_topics(page))
    found = await page.read(snapshot_lines, page.project, MOST)
    if len(found) > SHOWN:
        with tag("div", "", "sf-actions sf-section"):
            action_button("snapshots.more", lambda: _more(page, place), kind="quiet")
    if found:
        _comparison(page, found)


def freezing_of(here: Installation, project: str) -> FreezeProgress | None:
    """How far the freeze of this project is, whoever asked for it."""
    return read_progress(here.home.project(project))


def kept_of(here: Installation, project: str, most: int) -> Kept:
    """Raises ProjectNotFound, ManifestDamaged, ManifestTooNew."""
    lines = snapshot_lines(here, project, most)
    try:
        serving = here.publisher.service(project).serving
    except ServiceNotFound:
        return Kept(project, lines, None, frozenset())
    number = serving.snapshot_number if serving else None
    return Kept(project, lines, number, frozenset(needed_by(here, project)))


def _topics(page: Page) -> tuple[str, ...]:
    return CONTROL, project_topic(page.project)


async def _more(page: Page, place: Element) -> None:
    place.clear()
    with place:
        await page.live(_draw, kept_of, page.project, MOST, on=_topics(page))


async def _freeze(page: Page) -> None:
    done = await perform("snapshot.freeze", page.project, lambda: freeze_workstation(page.here, page.project))
    if done is not None:
        told("snapshots.frozen" if done.value.new else "snapshots.nothing-new", number=done.value.number)


def _draw(kept: Kept) -> None:
    if not kept.lines:
        with empty_state("snapshots.none", "snapshots.none-sentence", "photo_camera"):
            go_button("snapshots.workstation", f"/projects/{kept.project}/workstation")
        return
    columns = (
        Column[SnapshotLine]("snapshots.number", lambda one: f"#{one.number}", "sf-number"),
        Column[SnapshotLine]("snapshots.when", lambda one: moment(one.created_at)),
        Column[SnapshotLine]("snapshots.state", lambda one: _state(one, kept)),
        Column[SnapshotLine]("snapshots.id", lambda one: tag("span", one.id[:12], "sf-mono sf-quiet")),
        Column[SnapshotLine]("snapshots.plugins", lambda one: one.plugins, "sf-right sf-number"),
        Column[SnapshotLine]("snapshots.files", lambda one: f"{one.files:,}", "sf-right sf-number"),
        Column[SnapshotLine]("snapshots.size", lambda one: size_text(one.size_bytes), "sf-right sf-number"),
        Column[SnapshotLine]("snapshots.new", _new, "sf-right sf-number"),
    )
    table(
        kept.lines,
        columns,
        caption="snapshots.title",
        filtered=True,
        target=lambda one: f"/projects/{kept.project}/snapshots/{one.number}",
    )


def _state(one: SnapshotLine, kept: Kept) -> None:
    if one.number == kept.serving:
        chip("serving", say("deployment.serves"))
    elif one.id in kept.needed:
        chip("needed", say("snapshots.needed"), Mood.OFF)
    else:
        tag("span", "–", "sf-quiet")


def _new(one: SnapshotLine) -> None:
    if one.new_bytes is None:
        tag("span", say(f"snapshots.compared-{one.compared}"), "sf-quiet")
        return
    share = one.new_bytes / one.size_bytes if one.size_bytes else 0.0
    tag("span", f"{size_text(one.new_bytes)} · {share_text(share)}")


def share_text(share: float) -> str:
    """A part of the whole: 0 %, < 0.1 %, 0.4 %, 38 %."""
    percent = 100 * share
    if 0 < percent < 0.1:
        return "< 0.1 %"
    return f"{percent:.1f} %" if 0 < percent < 10 else f"{percent:.0f} %"


def _comparison(page: Page, found: tuple[SnapshotLine, ...]) -> None:
    """Two numbers, or one and the workstation."""
    older = {one.number: f"#{one.number} · {one.created_at:%Y-%m-%d}" for one in found}
    newer = {WORKSTATION: say("snapshots.now"), **older}
    with section("snapshots.compare"), tag("div", "", "sf-card sf-stack"):
        with tag("div", "", "sf-row"):
            first = ui.select(older, value=found[0].number, label=say("snapshots.from"))
            second = ui.select(newer, value=WORKSTATION, label=say("snapshots.to"))
            for chosen in (first, second):
                chosen.props("outlined dense").classes("sf-select")
            action_button(
                "snapshots.compare-now",
                lambda: draw_difference(page, place, str(first.value), str(second.value or "") or None),
            )
        place = tag("div", "", "sf-stack", aria_live="polite")
