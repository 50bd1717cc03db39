"""Python packages of a workstation: what is there, and what adding something would do before it is done."""

from __future__ import annotations

from nicegui import ui
from nicegui.element import Element

from web.installation import Installation
from web.pages.console.acting import perform
from web.pages.console.markers import project_topic
from web.pages.console.page import Page, console_page, current_page, say
from web.pages.parts.button import action_button
from web.pages.parts.dialogs import confirmed, told
from web.pages.parts.error_card import show_error
from web.pages.parts.headings import section
from web.pages.parts.markup import tag
from web.pages.parts.table import Column, table
from web.pages.parts.workstation_head import workstation_head
from web.workstations import add_packages, list_packages, plan_packages, remove_packages
from workstation.dependencies.inventory import Installed
from workstation.dependencies.plan import Plan

FIELD = "outlined dense"


@console_page("/projects/{project}/workstation/packages", title="packages.title")
async def packages(page: Page) -> None:
    """The form with its plan, and the list."""
    workstation_head(page, "packages.title", "packages.sentence")
    if page.may("dependency.add"):
        _form(page)
    with section("packages.list"):
        await page.live(_draw, packages_of, page.project, on=(project_topic(page.project),))


def packages_of(here: Installation, project: str) -> tuple[Installed, ...]:
    """Everything that is installed, by name."""
    return tuple(list_packages(here, project))


def _form(page: Page) -> None:
    with tag("div", "", "sf-card sf-stack"):
        wanted = ui.textarea(say("packages.wanted")).props(f"{FIELD} autogrow input-class=sf-mono")
        wanted.classes("sf-field")

        def requirements() -> list[str]:
            return [line.strip() for line in str(wanted.value).splitlines() if line.strip()]

        async def look() -> None:
            try:
                found = await page.read(plan_packages, page.project, requirements())
            except Exception as error:  # noqa: BLE001  (shown to who asked)
                show_error(error)
                return
            place.clear()
            with place:
                _plan(page, found, requirements(), place)

        with tag("div", "", "sf-actions"):
            action_button("packages.look", look, kind="primary", icon="search")
        place = tag("div", "", "sf-stack", aria_live="polite")


def _plan(page: Page, found: Plan, requirements: list[str], place: Element) -> None:
    if found.is_empty:
        tag("p", say("packages.nothing"))
        return
    for title, lines in (
        ("packages.added", [f"{name} {version}" for name, version in found.added.items()]),
        ("packages.changed", [str(change) for change in found.changed]),
        ("packages.conflicts", [str(conflict) for conflict in found.conflicts]),
    ):
        if lines:
            tag("h3", say(title))
            with tag("ul"):
                for line in lines:
                    tag("li", line)
    risky = {change.name for change in found.protected_changes} | {one.needed_by for one in found.conflicts}
    accepted: set[str] = set()
    for name in sorted(risky):
        box = ui.checkbox(say("findings.accept", name=name))
        box.on_value_change(
            lambda event, name=name: (accepted.add if event.value else accepted.discard)(name)
        )

    async def install() -> None:
        done = await perform(
            "dependency.add",
            f"{page.project} {' '.join(requirements)}",
            lambda: add_packages(page.here, page.project, requirements, accept=tuple(accepted)),
        )
        if done is not None:
            place.clear()
            told("packages.done")

    with tag("div", "", "sf-actions"):
        action_button("packages.install", install, kind="primary", icon="add")


def _draw(found: tuple[Installed, ...]) -> None:
    page = current_page()
    columns = (
        Column[Installed]("packages.name", lambda one: one.name),
        Column[Installed]("packages.version", lambda one: one.version),
        Column[Installed]("packages.layer", lambda one: say(f"packages.layer-{one.layer}")),
        Column[Installed]("", lambda one: _remove_button(page, one), "sf-right"),
    )
    table(found, columns, caption="packages.list", filtered=True)


def _remove_button(page: Page, one: Installed) -> None:
    if one.layer == "workstation" and page.may("dependency.remove"):
        action_button("packages.remove", lambda: _remove(page, one.name), kind="quiet")


async def _remove(page: Page, name: str) -> None:
    if await confirmed("packages.remove-title", "packages.remove-sentence", name=name):
        await perform(
            "dependency.remove",
            f"{page.project} {name}",
            lambda: remove_packages(page.here, page.project, [name]),
        )
