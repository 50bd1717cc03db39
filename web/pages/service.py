"""Online Service: what serves, how many instances there are, and the life of each."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from nicegui import ui

from publisher.db.fleets import Halt, Moment
from publisher.deployment import Instance, Side
from publisher.errors import ServiceNotFound
from web.installation import Installation
from web.pages.console.acting import perform
from web.pages.console.markers import CONTROL
from web.pages.console.page import Page, console_page, current_page, say
from web.pages.parts.button import action_button
from web.pages.parts.chip import chip
from web.pages.parts.code import inline_code
from web.pages.parts.dialogs import confirmed
from web.pages.parts.headings import fact, facts, page_header, section
from web.pages.parts.log_view import LogView
from web.pages.parts.markup import link, tag
from web.pages.parts.moments import clock_time, moment
from web.pages.parts.rotation import Box, box_of
from web.pages.parts.service_head import nothing_online, service_head
from web.pages.parts.step_line import Point, step_line
from web.pages.parts.table import Column, table
from web.services import endpoint

WINDOW = timedelta(hours=24)
INSTANCES_SHOWN = 50
LOG_LINES = 500


@dataclass(frozen=True)
class Shown:
    """An instance in the list."""

    box: Box
    deployment: int
    created_at: datetime
    stopped_at: datetime | None
    restarts: int
    why: str


@dataclass(frozen=True)
class Online:
    """One service as its overview shows it."""

    endpoint: str | None
    serving: Side | None
    stopped_at: datetime | None
    wanted: int
    accepting: int
    minimum: int
    maximum: int
    reason: str
    points: tuple[Point, ...]
    halted: Halt | None
    problem: str | None
    unprotected: tuple[str, ...]
    instances: tuple[Shown, ...]


@console_page("/projects/{project}/service", title="service.title", nav="service")
async def service(page: Page) -> None:
    """The overview and the instances, live."""
    service_head(page, "service.title")
    await page.live(_draw, online_of, page.project, on=(CONTROL,))


def online_of(here: Installation, project: str) -> Online | None:
    """None before the first deployment. Raises ProjectNotFound."""
    from workstation.project import read_project

    read_project(here.home, project)
    since = (datetime.now(UTC) - WINDOW).replace(second=0, microsecond=0)
    try:
        view, seen = here.publisher.service(project), here.publisher.overview(project, since)
    except ServiceNotFound:
        return None
    return Online(
        endpoint=endpoint(here, project),
        serving=view.serving,
        stopped_at=view.stopped_at,
        wanted=view.instances_wanted,
        accepting=view.instances_accepting,
        minimum=seen.minimum,
        maximum=seen.maximum,
        reason=seen.reason,
        points=tuple(Point(size.at, size.wanted, size.accepting) for size in seen.sizes),
        halted=view.halted,
        problem=view.fleet_problem,
        unprotected=view.unprotected,
        instances=tuple(map(_shown, here.publisher.instances(project)[:INSTANCES_SHOWN])),
    )


def _shown(one: Instance) -> Shown:
    why = one.problem or one.stop_reason or ""
    return Shown(box_of(one), one.deployment_number, one.created_at, one.stopped_at, one.restarts, why)


def _draw(online: Online | None) -> None:
    page = current_page()
    if online is None:
        nothing_online(page)
        return
    if online.halted is not None:
        _halted(page, online.halted)
    with tag("div", "", "sf-card"), facts():
        with fact("service.state"):
            _state(online)
        with fact("service.serves"):
            _serves(page, online)
        fact("service.instances", say("projects.instances", accepting=online.accepting, wanted=online.wanted))
        fact("service.bounds", f"{online.minimum} – {online.maximum}")
        fact("service.reason", online.reason)
        with fact("service.endpoint"):
            inline_code(online.endpoint or "–")
        if online.unprotected:
            fact("service.unprotected", "; ".join(online.unprotected))
        if online.problem:
            fact("service.problem", online.problem)
    if online.points:
        with section("service.numbers"), tag("div", "", "sf-card"):
            step_line(online.points, datetime.now(UTC) - WINDOW)
    with section("service.list"):
        _list(page, online.instances)
    if online.serving is not None and online.stopped_at is None and page.may("service.stop"):
        with tag("div", "", "sf-actions sf-section"):
            action_button("service.stop", lambda: _stop(page), kind="danger", icon="stop")


def _state(online: Online) -> None:
    if online.serving is None or online.stopped_at is not None:
        chip("stopped", say("state.stopped"))
    elif online.wanted == 0:
        chip("off", say("service.asleep"))
    else:
        good = online.accepting >= online.wanted
        chip("serving" if good else "degraded", say("state.serving" if good else "service.degraded"))


def _serves(page: Page, online: Online) -> None:
    if online.serving is None:
        tag("span", "–", "sf-quiet")
        return
    words = say("service.side", snapshot=online.serving.snapshot_number, number=online.serving.number)
    link(words, f"/projects/{page.project}/deployments/{online.serving.number}")


def _halted(page: Page, halt: Halt) -> None:
    with tag("div", "", "sf-card sf-error", role="alert"):
        tag("strong", say("service.halted"))
        tag("p", halt.why, "sf-error-sentence")
        moment(halt.at)
        if page.may("service.resume"):
            action_button("service.resume", lambda: _resume(page), kind="primary")


async def _resume(page: Page) -> None:
    await perform("service.resume", page.project, lambda: page.here.publisher.resume_service(page.project))


async def _stop(page: Page) -> None:
    if await confirmed("service.stop-title", "service.stop-sentence", type_this=page.project):
        await perform("service.stop", page.project, lambda: page.here.publisher.stop_service(page.project))


def _list(page: Page, instances: tuple[Shown, ...]) -> None:
    columns = (
        Column[Shown]("service.instance", lambda one: tag("span", one.box.id, "sf-mono")),
        Column[Shown]("service.instance-state", lambda one: chip(one.box.state, _word(one.box.state))),
        Column[Shown]("service.instance-side", lambda one: f"#{one.deployment} · {one.box.snapshot}"),
        Column[Shown]("service.instance-place", lambda one: one.box.place),
        Column[Shown]("service.instance-created", lambda one: moment(one.created_at)),
        Column[Shown]("service.instance-restarts", lambda one: one.restarts, "sf-right"),
        Column[Shown]("service.instance-why", lambda one: tag("span", one.why, "sf-clamp")),
    )
    root = f"/projects/{page.project}/service/instances"
    table(
        instances, columns, caption="service.list", filtered=True, target=lambda one: f"{root}/{one.box.id}"
    )


def _word(state: str) -> str:
    return say(f"state.{state}")


@dataclass(frozen=True)
class Life:
    """One instance with what happened to it."""

    shown: Shown
    moments: tuple[Moment, ...]


@console_page("/projects/{project}/service/instances/{instance}", title="service.instance-page")
async def instance(page: Page, instance: str) -> None:
    """The life of one instance, and its log."""
    link(say("service.all-instances"), f"/projects/{page.project}/service", "sf-link sf-back")
    page_header("service.instance-title", name=instance)
    await page.live(_draw_life, life_of, page.project, instance, on=(CONTROL,))
    with section("service.log"):
        view = LogView("service.log", await page.read(log_of, page.project, instance))

    async def more() -> None:
        view.push_new(await page.read(log_of, page.project, instance))

    ui.timer(2.0, more)


def life_of(here: Installation, project: str, instance: str) -> Life:
    """Raises InstanceNotFound, ServiceNotFound."""
    moments = here.publisher.lifecycle(project, instance)
    found = next(one for one in here.publisher.instances(project) if one.id == instance)
    return Life(_shown(found), moments)


def log_of(here: Installation, project: str, instance: str) -> tuple[str, ...]:
    """Raises InstanceNotFound, ServiceNotFound."""
    return here.publisher.instance_log(project, instance, LOG_LINES)


def _draw_life(life: Life) -> None:
    with tag("div", "", "sf-card sf-stack"):
        with tag("div", "", "sf-row"):
            chip(life.shown.box.state, _word(life.shown.box.state))
            tag("span", life.shown.box.place, "sf-quiet")
        if life.shown.why:
            tag("p", life.shown.why)
        with tag("ol", "", "sf-plain-list sf-moments"):
            for one in life.moments:
                with tag("li", "", "sf-row"):
                    clock_time(one.at)
                    tag("strong", one.kind)
                    tag("span", one.why, "sf-quiet")
