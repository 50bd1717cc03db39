"""Deployment History: what was brought online when, by whom, and how it went."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from nicegui import ui

from publisher.deployment import Deployment
from publisher.errors import ServiceNotFound
from publisher.states import DeploymentState
from web.installation import Installation
from web.pages.console.markers import CONTROL
from web.pages.console.page import Page, console_page, current_page, say
from web.pages.deployment import return_to
from web.pages.parts.bars import Bar, bars
from web.pages.parts.button import action_button, go_button
from web.pages.parts.chip import MOODS, Mood, chip
from web.pages.parts.code import code_block
from web.pages.parts.empty import empty_state
from web.pages.parts.headings import page_header, section
from web.pages.parts.markup import link, tag
from web.pages.parts.moments import duration_text, moment, running_since
from web.pages.parts.table import Column, table
from web.snapshots import diff_snapshots

SHOWN = 50  # of the newest; more at a press
CHARTED = 40
MOST = 1000


@dataclass(frozen=True)
class Past:
    """The newest deployments of a service; `serving` is the number of the one that has the traffic."""

    deployments: tuple[Deployment, ...]
    serving: int | None
    more: bool


@console_page("/projects/{project}/deployments", title="deployments.title", nav="deployments")
async def deployments(page: Page) -> None:
    """The whole history, live."""
    with page_header("deployments.title", "deployments.sentence"):
        if page.may("deployment.request"):
            go_button(
                "deployments.deploy", f"/projects/{page.project}/deploy", kind="primary", icon="rocket_launch"
            )
    place = await page.live(_draw, past_of, page.project, SHOWN, on=(CONTROL,))
    if (await page.read(past_of, page.project, SHOWN)).more:
        with tag("div", "", "sf-actions sf-section"):
            action_button("deployments.more", lambda: _more(page, place), kind="quiet")
    await _comparison(page)


def past_of(here: Installation, project: str, most: int) -> Past:
    """An empty past where nothing was ever deployed."""
    from workstation.project import read_project

    read_project(here.home, project)
    try:
        found = here.publisher.deployments(project, most + 1)
        serving = here.publisher.service(project).serving
    except ServiceNotFound:
        return Past((), None, False)
    return Past(found[:most], serving.number if serving else None, len(found) > most)


async def _more(page: Page, place: ui.element) -> None:
    place.clear()
    with place:
        await page.live(_draw, past_of, page.project, MOST, on=(CONTROL,))


def _draw(past: Past) -> None:
    if not past.deployments:
        empty_state("deployments.none", "deployments.none-sentence", "rocket_launch")
        return
    _chart(past.deployments[:CHARTED])
    columns = (
        Column[Deployment]("deployments.number", lambda one: f"#{one.number}", "sf-number"),
        Column[Deployment]("deployments.state", lambda one: _state(one, past.serving)),
        Column[Deployment]("deployments.snapshot", lambda one: _snapshot(one)),
        Column[Deployment]("deployments.by", _who),
        Column[Deployment]("deployments.when", lambda one: moment(one.requested_at)),
        Column[Deployment]("deployments.took", _took, "sf-right"),
        Column[Deployment]("deployments.note", _note),
        Column[Deployment]("", lambda one: _action(one, past.serving), "sf-right"),
    )
    target = f"/projects/{past.deployments[0].service}/deployments"
    table(
        past.deployments,
        columns,
        caption="deployments.title",
        filtered=True,
        target=lambda one: f"{target}/{one.number}",
    )


def _chart(shown: Sequence[Deployment]) -> None:
    ended = [one for one in reversed(shown) if one.ended_at is not None]
    if len(ended) < 2:
        return
    with tag("div", "", "sf-card sf-chart"):
        tag("h2", say("deployments.durations"))
        bars([_bar(one) for one in ended], say("deployments.durations"))


def _bar(one: Deployment) -> Bar:
    seconds = _seconds(one)
    words = say(
        "deployments.bar", number=one.number, took=duration_text(seconds), state=say(f"state.{one.state}")
    )
    mood = MOODS.get(one.state, Mood.OFF)
    return Bar(seconds, words, mood, f"/projects/{one.service}/deployments/{one.number}")


def _seconds(one: Deployment) -> float:
    return (one.ended_at - one.requested_at).total_seconds() if one.ended_at is not None else 0.0


def _state(one: Deployment, serving: int | None) -> None:
    with tag("span", "", "sf-row"):
        chip(one.state, say(f"state.{one.state}"))
        if one.number == serving:
            chip("serving", say("deployment.serves"))
        if one.outcome == "unchanged":
            tag("span", say("deployments.unchanged"), "sf-quiet")


def _snapshot(one: Deployment) -> str:
    return f"#{one.snapshot_number}" if one.snapshot_number is not None else "–"


def _who(one: Deployment) -> None:
    tag("span", f"{one.requested_by} ({one.source})")


def _took(one: Deployment) -> None:
    if one.ended_at is None:
        running_since(one.requested_at)
    else:
        tag("span", duration_text(_seconds(one)), "sf-number")


def _note(one: Deployment) -> None:
    tag("span", one.failure or one.note or "", "sf-clamp")


def _action(one: Deployment, serving: int | None) -> None:
    came_up = one.state is DeploymentState.SUCCEEDED and one.outcome != "unchanged"
    if came_up and one.number != serving and current_page().may("deployment.roll-back"):
        action_button("deployment.return", lambda: return_to(one.service, one.number), icon="undo")


async def _comparison(page: Page) -> None:
    """Two numbers, and what lies between them."""
    past = await page.read(past_of, page.project, MOST)
    with_snapshot = [one for one in past.deployments if one.snapshot_number is not None]
    if len(with_snapshot) < 2:
        return
    names = {one.number: f"#{one.number} · {say(f'state.{one.state}')}" for one in with_snapshot}
    with section("deployments.compare"), tag("div", "", "sf-card sf-stack"):
        with tag("div", "", "sf-row"):
            older = ui.select(names, value=with_snapshot[1].number, label=say("deployments.from"))
            newer = ui.select(names, value=with_snapshot[0].number, label=say("deployments.to"))
            for chosen in (older, newer):
                chosen.props("outlined dense").classes("sf-select")
            action_button(
                "deployments.compare-now", lambda: _compare(page, place, int(older.value), int(newer.value))
            )
        place = tag("div")


async def _compare(page: Page, place: ui.element, older: int, newer: int) -> None:
    lines = await page.read(difference, page.project, older, newer)
    place.clear()
    with place:
        if lines:
            code_block("\n".join(lines))
        else:
            tag("p", say("deployments.same"), "sf-quiet")
        link(say("deployments.open", number=newer), f"/projects/{page.project}/deployments/{newer}")


def difference(here: Installation, project: str, older: int, newer: int) -> tuple[str, ...]:
    """What the later of two deployments brought: its environment's changes, then its configuration's.

    Raises DeploymentNotFound, SnapshotNotFound.
    """
    one, other = (here.publisher.deployment(project, number) for number in (older, newer))
    lines: list[str] = []
    if one.deployment.snapshot_id != other.deployment.snapshot_id:
        found = diff_snapshots(
            here, project, one.deployment.snapshot_id or "", other.deployment.snapshot_id or ""
        )
        lines += found.lines()
    keys = sorted({*one.configuration, *other.configuration})
    before, after = one.configuration, other.configuration
    lines += [
        f"configuration {key}: {before.get(key, '–')} → {after.get(key, '–')}"
        for key in keys
        if before.get(key) != after.get(key)
    ]
    return tuple(lines)
