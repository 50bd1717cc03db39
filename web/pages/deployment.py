"""One deployment: how far it is, what rotates, what it did step by step, and how it ended."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from publisher.deployment import Deployment, Event, Instance
from publisher.history import DeploymentRecord
from publisher.states import BEFORE_SWITCH, DeploymentState
from snapshotter.freeze import FreezeProgress
from web.installation import Installation
from web.pages.console.acting import SOURCE, perform
from web.pages.console.markers import CONTROL
from web.pages.console.page import Page, console_page, current_page, say
from web.pages.parts.button import action_button, go_button
from web.pages.parts.chip import chip
from web.pages.parts.code import code_block
from web.pages.parts.dialogs import confirmed
from web.pages.parts.findings import draw_findings
from web.pages.parts.freezing import draw_freezing
from web.pages.parts.headings import fact, facts, section
from web.pages.parts.markup import icon, link, tag
from web.pages.parts.moments import clock_time, duration_text, moment, running_since
from web.pages.parts.phases import Phase, draw_phases, phases_of
from web.pages.parts.rotation import Sides, box_of, draw_sides
from web.pages.parts.table import Column, table

MOVE = "AdvanceTo"  # the phases show these


@dataclass(frozen=True)
class BrokenPlugin:
    """A plugin that did not import on an instance of this deployment."""

    instance: str
    name: str
    told: str


@dataclass(frozen=True)
class LogTail:
    """The last lines of an instance that had trouble."""

    instance: str
    problem: str
    lines: tuple[str, ...]


@dataclass(frozen=True)
class Sight:
    """Everything of one deployment that its page shows. `serves`: its side has the traffic now."""

    deployment: Deployment
    phases: tuple[Phase, ...]
    sides: Sides
    steps: tuple[Event, ...]
    changes: tuple[str, ...]
    changes_against: int | None
    broken: tuple[BrokenPlugin, ...]
    tails: tuple[LogTail, ...]
    serves: bool
    freezing: FreezeProgress | None


@console_page("/projects/{project}/deployments/{number:int}", title="deployment.page", nav=None)
async def deployment(page: Page, number: int) -> None:
    """Everything of one deployment, live."""
    link(say("deployment.all"), f"/projects/{page.project}/deployments", "sf-link sf-back")
    await page.live(_draw, sight_of, page.project, number, on=(CONTROL,))


def sight_of(here: Installation, project: str, number: int) -> Sight:
    """Raises DeploymentNotFound, ServiceNotFound."""
    record = here.publisher.deployment(project, number)
    one = record.deployment
    serving = here.publisher.service(project).serving
    before = one.previous.number if one.previous else None
    old = [
        instance
        for instance in here.publisher.instances(project)
        if instance.deployment_number == before and _was_there(instance, one)
    ]
    return Sight(
        deployment=one,
        phases=phases_of(one, record.events),
        sides=Sides(tuple(map(box_of, reversed(old))), tuple(map(box_of, record.instances))),
        steps=tuple(event for event in record.events if event.kind != MOVE),
        changes=record.diff_lines,
        changes_against=record.diff_against,
        broken=_broken(record),
        tails=_tails(record.instances),
        serves=serving is not None and serving.number == one.number,
        freezing=record.freezing,
    )


def _was_there(instance: Instance, one: Deployment) -> bool:
    return instance.stopped_at is None or instance.stopped_at >= one.requested_at


def _broken(record: DeploymentRecord) -> tuple[BrokenPlugin, ...]:
    return tuple(
        BrokenPlugin(
            instance.id, str(plugin.get("name")), str(plugin.get("traceback") or plugin.get("error"))
        )
        for instance in record.instances
        for plugin in instance.plugins
        if not plugin.get("ok")
    )


def _tails(instances: Sequence[Instance]) -> tuple[LogTail, ...]:
    return tuple(
        LogTail(one.id, one.problem, one.log_tail) for one in instances if one.problem and one.log_tail
    )


def _draw(sight: Sight) -> None:
    one = sight.deployment
    _head(sight)
    if one.failure:
        _failure(sight)
    draw_phases(sight.phases)
    draw_freezing(sight.freezing)
    _facts(one)
    if sight.sides.old or sight.sides.new:
        with section("deployment.rotation"):
            draw_sides(sight.sides)
    _changes(sight)
    if one.findings:
        with section("deployment.findings"), tag("div", "", "sf-card"):
            draw_findings(one.findings)
    _steps(sight.steps)


def _head(sight: Sight) -> None:
    one, page = sight.deployment, current_page()
    with tag("div", "", "sf-head"):
        with tag("div", "", "sf-head-words sf-row"):
            tag("h1", say("deployment.title", number=one.number))
            chip(one.state, say(f"state.{one.state}"))
            if sight.serves:
                chip("serving", say("deployment.serves"))
        with tag("div", "", "sf-actions"):
            if not one.final and one.drain_since is None and page.may("deployment.cancel"):
                action_button("deployment.cancel", lambda: _cancel(one), kind="danger", icon="close")
            came_up = one.state is DeploymentState.SUCCEEDED and not sight.serves
            if came_up and page.may("deployment.roll-back"):
                action_button("deployment.return", lambda: return_to(one.service, one.number), icon="undo")
            go_button("deployment.json", f"/api/v1/projects/{one.service}/deployments/{one.number}")


async def _cancel(one: Deployment) -> None:
    sentence = "deployment.cancel-before" if one.state in BEFORE_SWITCH else "deployment.cancel-after"
    if await confirmed("deployment.cancel-title", sentence, yes="deployment.cancel-yes", number=one.number):
        page = current_page()
        await perform(
            "deployment.cancel",
            f"{one.service} {one.number}",
            lambda: page.here.publisher.cancel(one.service, one.number, page.person.name),
        )


async def return_to(project: str, number: int) -> None:
    """Ask, then bring the service back to the side of deployment `number`, and go to where that is seen."""
    if not await confirmed(
        "deployment.return-title", "deployment.return-sentence", danger=False, number=number
    ):
        return
    page = current_page()
    asked = await perform(
        "deployment.roll-back",
        f"{project} to {number}",
        lambda: page.here.publisher.roll_back(project, to=number, by=page.person.name, source=SOURCE),
    )
    if asked is not None:
        page.client.open(f"/projects/{project}/deployments/{asked.value.number}")


def _failure(sight: Sight) -> None:
    one = sight.deployment
    with tag("div", "", "sf-card sf-error", role="alert"):
        with tag("div", "", "sf-error-title"):
            icon("error_outline")
            tag("strong", say("deployment.why", state=say(f"state.{one.state}")))
        tag("p", one.failure or "", "sf-error-sentence")
        tag("p", say("deployment.old-serves" if one.previous else "deployment.nothing-serves"))
        for plugin in sight.broken:
            tag("h3", say("deployment.plugin-broken", name=plugin.name, instance=plugin.instance))
            code_block(plugin.told)
        for tail in sight.tails:
            with tag("details"):
                tag("summary", say("deployment.last-lines", instance=tail.instance))
                tag("p", tail.problem)
                code_block("\n".join(tail.lines))


def _facts(one: Deployment) -> None:
    with tag("div", "", "sf-card sf-section"), facts():
        fact("deployment.by", f"{one.requested_by} ({one.source})")
        with fact("deployment.when"):
            moment(one.requested_at)
        with fact("deployment.took"):
            if one.ended_at is None:
                running_since(one.requested_at)
            else:
                tag("span", duration_text((one.ended_at - one.requested_at).total_seconds()))
        fact("deployment.reason", _reason(one))
        with fact("deployment.snapshot"):
            _snapshot(one)
        fact("deployment.configuration", str(one.configuration_version))
        fact("deployment.how", say(f"deployment.rotation-{one.rotation}"))
        if one.note:
            fact("deployment.note", one.note)
        if one.accepted:
            fact("deployment.accepted", ", ".join(one.accepted))
        if one.cancelled_by:
            fact("deployment.cancelled-by", one.cancelled_by)
        if one.outcome:
            fact("deployment.outcome", one.outcome)


def _reason(one: Deployment) -> str:
    if one.rolls_back_to is not None:
        return say("deployment.reason-back", number=one.rolls_back_to)
    return say(f"deployment.reason-{one.reason}")


def _snapshot(one: Deployment) -> None:
    if one.snapshot_number is None:
        tag("span", "–", "sf-quiet")
        return
    link(f"#{one.snapshot_number}", f"/projects/{one.service}/snapshots/{one.snapshot_number}")
    tag("span", f" {(one.snapshot_id or '')[:12]}", "sf-quiet sf-mono")


def _changes(sight: Sight) -> None:
    if sight.changes_against is None:
        return
    with section("deployment.changes", number=sight.changes_against):
        if sight.changes:
            code_block("\n".join(sight.changes))
        else:
            tag("p", say("deployment.no-changes"), "sf-quiet")


def _steps(steps: Sequence[Event]) -> None:
    columns = (
        Column[Event]("deployment.step-at", lambda step: clock_time(step.started_at)),
        Column[Event]("deployment.step-phase", lambda step: say(f"state.{step.state}")),
        Column[Event]("deployment.step-what", _step_words),
        Column[Event]("deployment.step-took", _step_time, "sf-right"),
    )
    with section("deployment.steps"):
        table(steps, columns, caption="deployment.steps")


def _step_words(step: Event) -> None:
    with tag("div"):
        tag("strong", f"{step.kind} {step.subject}".strip())
        if step.result in ("failed", "interrupted"):
            chip("failed", say(f"deployment.step-{step.result}"))
    if step.detail:
        tag("div", step.detail, "sf-quiet sf-detail")


def _step_time(step: Event) -> None:
    if step.ended_at is None:
        running_since(step.started_at)
    else:
        tag("span", duration_text((step.ended_at - step.started_at).total_seconds()), "sf-number")
