"""Configuration Management: what the service is told, its secrets, and every version that there was."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from nicegui import ui
from nicegui.element import Element

from publisher.configurations import Asker, ConfigurationVersion, FieldChange
from publisher.deployment import Deployment
from publisher.errors import ServiceNotFound
from publisher.secrets import SecretView
from web.installation import Installation
from web.pages.console.acting import SOURCE, Done, perform
from web.pages.console.markers import CONTROL
from web.pages.console.page import Page, console_page, current_page, say
from web.pages.parts.button import action_button
from web.pages.parts.chip import chip
from web.pages.parts.dialogs import confirmed, told
from web.pages.parts.headings import section
from web.pages.parts.markup import tag
from web.pages.parts.moments import moment
from web.pages.parts.service_head import nothing_online, service_head
from web.pages.parts.table import Column, table

FIELD = "outlined dense"
NETWORKS, ROTATIONS = ("open", "loopback", "off"), ("auto", "surge", "in-place")


@dataclass
class Form:
    """The fields as they are filled in; what is empty goes back to its default."""

    minimum: float | None
    maximum: float | None
    queue_per_instance: float | None
    idle_seconds: float | None
    arguments: str
    environment: str
    network: str
    rotation: str
    start_deadline_seconds: float | None
    bake_seconds: float | None
    drain_seconds: float | None
    note: str = ""


@dataclass(frozen=True)
class Managed:
    """The versions, the newest first, and the secrets of one service."""

    versions: tuple[ConfigurationVersion, ...]
    secrets: tuple[SecretView, ...]


@console_page("/projects/{project}/service/configuration", title="configuration.title")
async def configuration(page: Page) -> None:
    """The form, the secrets, the versions."""
    service_head(page, "configuration.title", "configuration.sentence")
    now = await page.read(managed, page.project)
    if now is None:
        nothing_online(page)
        return
    wanted = next(one for one in now.versions if one.wanted)
    if page.may("service.configure"):
        _form(page, form_of(wanted.document))
    with section("configuration.secrets"):
        tag("p", say("configuration.secrets-help"), "sf-quiet")
        if page.may("secret.set"):
            _secret_form(page)
        await page.live(_draw_secrets, managed, page.project, on=(CONTROL,))
    with section("configuration.versions"):
        await page.live(_draw_versions, managed, page.project, on=(CONTROL,))
        place = tag("div", "", "sf-section")
        if len(now.versions) > 1:
            _comparison(page, now.versions, place)


def managed(here: Installation, project: str) -> Managed | None:
    """None before the first deployment."""
    try:
        versions = here.publisher.configurations.versions(project)
        return Managed(tuple(versions), tuple(here.publisher.configurations.secrets(project)))
    except ServiceNotFound:
        return None


def form_of(document: Mapping[str, Any]) -> Form:
    """The form filled in with a version; numbers that it leaves to the platform stay empty."""
    scaling, health = document.get("scaling", {}), document.get("health", {})
    environment = document.get("environment", {})
    return Form(
        minimum=scaling.get("minimum", 1),
        maximum=scaling.get("maximum"),
        queue_per_instance=scaling.get("queue_per_instance", 2.0),
        idle_seconds=scaling.get("idle_seconds", 600.0),
        arguments="\n".join(document.get("arguments", ())),
        environment="\n".join(f"{name}={value}" for name, value in environment.items()),
        network=document.get("network", "open"),
        rotation=document.get("rotation", "auto"),
        start_deadline_seconds=health.get("start_deadline_seconds"),
        bake_seconds=document.get("bake_seconds"),
        drain_seconds=document.get("drain", {}).get("hard_seconds"),
    )


def changes_of(form: Form) -> dict[str, Any]:
    """What `configure` is told: every field of the form."""
    lines = [line.strip() for line in form.environment.splitlines() if line.strip()]
    pairs = (line.partition("=") for line in lines)
    return {
        "scaling": {
            "minimum": _whole(form.minimum),
            "maximum": _whole(form.maximum),
            "queue_per_instance": form.queue_per_instance,
            "idle_seconds": form.idle_seconds,
        },
        "arguments": [line.strip() for line in form.arguments.splitlines() if line.strip()],
        "environment": {name.strip(): value for name, _, value in pairs},
        "network": form.network,
        "rotation": form.rotation,
        "health": {"start_deadline_seconds": form.start_deadline_seconds},
        "bake_seconds": form.bake_seconds,
        "drain": {"hard_seconds": form.drain_seconds},
    }


def _whole(number: float | None) -> int | None:
    return None if number is None else int(number)


def _form(page: Page, form: Form) -> None:
    with tag("div", "", "sf-card sf-form"):
        with _group("configuration.scaling"):
            for name in ("minimum", "maximum", "queue_per_instance", "idle_seconds"):
                _number(form, name)
        with _group("configuration.launch"):
            for name in ("arguments", "environment"):
                made = ui.textarea(say(f"configuration.{name}")).props(
                    f"{FIELD} autogrow input-class=sf-mono"
                )
                made.classes("sf-field").bind_value(form, name)
        with _group("configuration.safety"):
            for name, options in (("network", NETWORKS), ("rotation", ROTATIONS)):
                words = {one: say(f"configuration.{name}-{one}") for one in options}
                choice = ui.select(words, label=say(f"configuration.{name}")).props(FIELD)
                choice.classes("sf-select").bind_value(form, name)
            for name in ("start_deadline_seconds", "bake_seconds", "drain_seconds"):
                _number(form, name)
        with tag("div", "", "sf-actions sf-end"):
            ui.input(say("deploy.note")).props(FIELD).classes("sf-field").bind_value(form, "note")
            action_button("configuration.save", lambda: _save(page, form), kind="primary")


def _group(title: str) -> Element:
    with tag("fieldset", "", "sf-group") as made:
        tag("legend", say(title))
    return made


def _number(form: Form, name: str) -> None:
    made = ui.number(say(f"configuration.{name}"), min=0).props(f"{FIELD} clearable")
    made.classes("sf-number-field").bind_value(form, name)


async def _save(page: Page, form: Form) -> None:
    asker = Asker(page.person.name, SOURCE, form.note.strip())
    changes = changes_of(form)
    _follow(
        page,
        await perform(
            "service.configure",
            page.project,
            lambda: page.here.publisher.configurations.change(page.project, changes, asker),
        ),
    )


def _follow(page: Page, asked: Done[Deployment | None] | None) -> None:
    """Go to the deployment that a change is; where nothing is served, say that it waits."""
    if asked is None:
        return
    if asked.value is None:
        told("configuration.kept")
        return
    page.client.open(f"/projects/{page.project}/deployments/{asked.value.number}")


def _secret_form(page: Page) -> None:
    with tag("div", "", "sf-row"):
        name = ui.input(say("configuration.secret-name")).props(f"{FIELD} autocomplete=off")
        value = ui.input(say("configuration.secret-value"), password=True).props(
            f"{FIELD} autocomplete=new-password"
        )

        async def save() -> None:
            asker, given, secret = Asker(page.person.name, SOURCE), str(name.value), str(value.value)
            value.value = ""
            done = await perform(
                "secret.set",
                f"{page.project} {given}",
                lambda: page.here.publisher.configurations.set_secret(page.project, given, secret, asker),
            )
            _follow(page, done)

        action_button("configuration.secret-set", save, icon="lock")


def _draw_secrets(now: Managed | None) -> None:
    if now is None or not now.secrets:
        tag("p", say("configuration.no-secrets"), "sf-quiet")
        return
    page = current_page()
    columns = (
        Column[SecretView]("configuration.secret-name", lambda one: tag("span", one.name, "sf-mono")),
        Column[SecretView]("configuration.version", lambda one: one.version, "sf-right"),
        Column[SecretView]("configuration.since", lambda one: moment(one.created_at)),
        Column[SecretView]("configuration.by", lambda one: one.created_by),
        Column[SecretView]("", lambda one: _remove_button(page, one), "sf-right"),
    )
    table(now.secrets, columns, caption="configuration.secrets")


def _remove_button(page: Page, one: SecretView) -> None:
    if page.may("secret.remove"):
        action_button("configuration.secret-remove", lambda: _remove(page, one.name), kind="quiet")


async def _remove(page: Page, name: str) -> None:
    if not await confirmed("configuration.remove-title", "configuration.remove-sentence", name=name):
        return
    asker = Asker(page.person.name, SOURCE)
    done = await perform(
        "secret.remove",
        f"{page.project} {name}",
        lambda: page.here.publisher.configurations.remove_secret(page.project, name, asker),
    )
    _follow(page, done)


def _draw_versions(now: Managed | None) -> None:
    if now is None:
        return
    page = current_page()
    columns = (
        Column[ConfigurationVersion]("configuration.version", _version_words),
        Column[ConfigurationVersion]("configuration.since", lambda one: moment(one.created_at)),
        Column[ConfigurationVersion]("configuration.by", lambda one: one.created_by),
        Column[ConfigurationVersion]("", lambda one: _restore_button(page, one), "sf-right"),
    )
    table(now.versions, columns, caption="configuration.versions")


def _version_words(one: ConfigurationVersion) -> None:
    with tag("span", "", "sf-row"):
        tag("strong", str(one.version), "sf-number")
        if one.serving:
            chip("serving", say("deployment.serves"))


def _restore_button(page: Page, one: ConfigurationVersion) -> None:
    if not one.wanted and page.may("service.configure"):
        action_button("configuration.restore", lambda: _restore(page, one.version), icon="undo")


async def _restore(page: Page, version: int) -> None:
    if not await confirmed(
        "configuration.restore-title", "configuration.restore-sentence", danger=False, version=version
    ):
        return
    asker = Asker(page.person.name, SOURCE)
    done = await perform(
        "service.configure",
        f"{page.project} version {version}",
        lambda: page.here.publisher.configurations.restore(page.project, version, asker),
    )
    _follow(page, done)


def _comparison(page: Page, versions: tuple[ConfigurationVersion, ...], place: Element) -> None:
    numbers = [one.version for one in versions]
    with tag("div", "", "sf-row"):
        older = ui.select(numbers, value=numbers[1], label=say("deployments.from"))
        newer = ui.select(numbers, value=numbers[0], label=say("deployments.to"))
        for chosen in (older, newer):
            chosen.props(FIELD).classes("sf-select")

        async def compare() -> None:
            found = await page.read(difference, page.project, int(older.value), int(newer.value))
            place.clear()
            with place:
                _draw_difference(found)

        action_button("deployments.compare-now", compare)
    place.move(target_index=-1)


def difference(here: Installation, project: str, old: int, new: int) -> tuple[FieldChange, ...]:
    """Raises ConfigurationNotFound, ServiceNotFound."""
    return here.publisher.configurations.difference(project, old, new)


def _draw_difference(changes: tuple[FieldChange, ...]) -> None:
    if not changes:
        tag("p", say("configuration.same"), "sf-quiet")
        return
    columns = (
        Column[FieldChange]("configuration.field", lambda one: tag("span", one.field, "sf-mono")),
        Column[FieldChange]("configuration.before", lambda one: _value(one.before)),
        Column[FieldChange]("configuration.after", lambda one: _value(one.after)),
    )
    table(changes, columns, caption="deployments.compare")


def _value(value: Any) -> str:
    return say("configuration.default") if value is None else str(value)
