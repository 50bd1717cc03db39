"""Deploy Online Service: what will be frozen, what preflight says, and the button. The first time it also
asks for the number of instances and for a smoke workflow; afterwards the configuration has them.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from nicegui import ui
from nicegui.element import Element
from nicegui.events import UploadEventArguments

from publisher.accounts import Role
from publisher.deployment import Deployment, Level
from publisher.errors import ServiceNotFound
from web.installation import Installation
from web.pages.console.acting import SOURCE, perform
from web.pages.console.markers import CONTROL
from web.pages.console.page import Page, console_page, say
from web.pages.parts.button import action_button, go_button
from web.pages.parts.chip import chip
from web.pages.parts.code import code_block
from web.pages.parts.error_card import error_card, show_error
from web.pages.parts.findings import draw_findings
from web.pages.parts.headings import page_header
from web.pages.parts.markup import tag
from web.pages.parts.moments import running_since
from web.pages.parts.progress import ProgressLine
from web.pages.parts.upload import upload_button
from web.snapshots import diff_snapshots
from web.workflows import exported, saved_workflows

FIELD = "outlined dense"
MOST_BYTES = 8 * 1024 * 1024  # of a workflow that is uploaded
NONE, UPLOADED = "", "\0"  # values of the choice of a smoke workflow beside the names of saved ones


@dataclass(frozen=True)
class Before:
    """What there is before the button is pressed. `serving` is the number of the snapshot that serves."""

    first: bool
    serving: int | None
    has_smoke: bool
    workflows: tuple[str, ...]


@dataclass
class Wishes:
    """What is being filled in. `minimum` and `maximum` are None when the configuration decides."""

    minimum: float | None = None
    maximum: float | None = None
    smoke: str = NONE
    uploaded: Mapping[str, Any] | None = None
    note: str = ""
    accept: set[str] = field(default_factory=set)

    @property
    def changes(self) -> dict[str, Any] | None:
        if self.minimum is None:
            return None
        least = int(self.minimum)
        most = int(self.maximum) if self.maximum is not None else None
        return {"scaling": {"minimum": least, "maximum": most}}


@console_page("/projects/{project}/deploy", title="deploy.title", nav="deploy", role=Role.DEVELOPER)
async def deploy(page: Page) -> None:
    """The review and the button; while a deployment runs it says who, which step and how long."""
    page_header("deploy.title", "deploy.sentence")
    before = await page.read(before_of, page.project)
    await page.live(_draw_active, active_of, page.project, on=(CONTROL,))
    wishes = Wishes()
    with tag("div", "", "sf-card sf-steps sf-section"):
        number = 1
        if before.first:
            _instances(wishes)
            number = 2
        _smoke(number, wishes, before)
        changes = _step(number + 1, "deploy.changes", "deploy.changes-help")
        findings = _step(number + 2, "deploy.checks", "deploy.checks-help")
        with tag("div", "", "sf-actions sf-end sf-steps-end"):
            ui.input(say("deploy.note")).props(FIELD).classes("sf-field").bind_value(wishes, "note")

            async def look() -> None:
                await _show_changes(page, before, changes)
                await _check(page, wishes, findings)

            action_button("deploy.look-again", look, kind="quiet", icon="refresh")
            action_button("deploy.go", lambda: _deploy(page, wishes), kind="primary", icon="rocket_launch")
    ui.timer(0.1, look, once=True)


def before_of(here: Installation, project: str) -> Before:
    """Raises ProjectNotFound."""
    names = tuple(one.name for one in saved_workflows(here, project) if one.format is not None)
    try:
        service = here.publisher.service(project)
    except ServiceNotFound:
        return Before(True, None, False, names)
    serving = service.serving.snapshot_number if service.serving else None
    has_smoke = service.configuration.get("smoke_workflow") is not None
    return Before(not here.publisher.deployments(project, 1), serving, has_smoke, names)


def active_of(here: Installation, project: str) -> Deployment | None:
    """The deployment that runs now."""
    try:
        return here.publisher.service(project).active
    except ServiceNotFound:
        return None


def _draw_active(active: Deployment | None) -> None:
    if active is None:
        return
    with tag("div", "", "sf-card sf-between", role="status"):
        with tag("span", "", "sf-row"):
            chip(active.state, say(f"state.{active.state}"))
            tag("strong", say("deploy.running", number=active.number, by=active.requested_by))
            running_since(active.requested_at)
        go_button("deploy.watch", f"/projects/{active.service}/deployments/{active.number}", kind="primary")


def _step(number: int, title: str, sentence: str) -> Element:
    with tag("section", "", "sf-step"):
        tag("span", str(number), "sf-step-number", aria_hidden="true")
        with tag("div", "", "sf-step-body") as body:
            tag("h2", say(title))
            tag("p", say(sentence), "sf-quiet")
            place = tag("div", "", "sf-stack")
    body.props["data-step"] = title
    return place


def _instances(wishes: Wishes) -> None:
    wishes.minimum, wishes.maximum = 1, 1
    with _step(1, "deploy.instances", "deploy.instances-help"), tag("div", "", "sf-row"):
        for name, least in (("minimum", 0), ("maximum", 1)):
            made = ui.number(say(f"deploy.{name}"), min=least, max=64, precision=0)
            made.props(FIELD).bind_value(wishes, name)


def _smoke(number: int, wishes: Wishes, before: Before) -> None:
    options = {NONE: say("deploy.smoke-kept" if before.has_smoke else "deploy.smoke-none")}
    options |= {name: name for name in before.workflows}
    with _step(number, "deploy.smoke", "deploy.smoke-help"):
        choice = ui.select(options, label=say("deploy.smoke")).props(FIELD).classes("sf-field")
        choice.bind_value(wishes, "smoke")

        async def uploaded(event: UploadEventArguments) -> None:
            try:
                wishes.uploaded = _workflow(await event.file.read())
            except Exception as error:  # noqa: BLE001  (shown to who chose the file)
                show_error(error)
                return
            choice.set_options({**options, UPLOADED: event.file.name}, value=UPLOADED)

        upload_button("deploy.upload", uploaded, accept=".json,application/json", most_bytes=MOST_BYTES)


def _workflow(text: bytes) -> Mapping[str, Any]:
    """Raises WorkflowError: no JSON, the editor's format, no nodes."""
    from workstation.workflows import parse_workflow

    parse_workflow(text)
    found: Mapping[str, Any] = json.loads(text)
    return found


async def _show_changes(page: Page, before: Before, place: Element) -> None:
    place.clear()
    if before.serving is None:
        with place:
            tag("p", say("deploy.first-freeze"))
        return
    with place:
        ProgressLine(say("deploy.looking"))
    try:
        found = await page.read(diff_snapshots, page.project, str(before.serving))
    except Exception as error:  # noqa: BLE001  (shown in its place; the checks go on)
        place.clear()
        with place:
            error_card(error)
        return
    place.clear()
    with place:
        if found.is_empty:
            tag("p", say("deploy.same", number=before.serving))
        else:
            code_block("\n".join(found.lines()))


async def _check(page: Page, wishes: Wishes, place: Element) -> None:
    place.clear()
    with place:
        ProgressLine(say("deploy.checking"))
    try:
        looked = await page.read(_requested, page.project, wishes, page.person.name, True)
    except Exception as error:  # noqa: BLE001  (shown in its place)
        place.clear()
        with place:
            error_card(error)
        return
    place.clear()
    findings = looked.findings or ()
    in_the_way = any(one.level is Level.REFUSAL for one in findings)
    with place:
        if in_the_way:
            tag("p", say("deploy.in-the-way"), "sf-box-problem", role="alert")
        draw_findings(findings, wishes.accept)


def _requested(here: Installation, project: str, wishes: Wishes, by: str, dry_run: bool) -> Deployment:
    smoke: Mapping[str, Any] | None = wishes.uploaded if wishes.smoke == UPLOADED else None
    if wishes.smoke not in (NONE, UPLOADED):
        smoke = exported(here, project, wishes.smoke)
    return here.publisher.request_deployment(
        project,
        by=by,
        source=SOURCE,
        note=wishes.note.strip(),
        smoke_workflow=smoke,
        configuration_changes=wishes.changes,
        dry_run=dry_run,
        accept=tuple(sorted(wishes.accept)),
    )


async def _deploy(page: Page, wishes: Wishes) -> None:
    asked = await perform(
        "deployment.request",
        page.project,
        lambda: _requested(page.here, page.project, wishes, page.person.name, False),
    )
    if asked is not None:
        page.client.open(f"/projects/{page.project}/deployments/{asked.value.number}")
