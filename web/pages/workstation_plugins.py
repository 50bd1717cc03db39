"""Plugins of a workstation: installed, changed, and how each imported at the engine's last start."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from nicegui import ui

from web.installation import Installation
from web.pages.console.acting import perform
from web.pages.console.markers import project_topic
from web.pages.console.page import Page, console_page, current_page, say
from web.pages.parts.button import action_button
from web.pages.parts.chip import chip
from web.pages.parts.code import code_block
from web.pages.parts.dialogs import confirmed, told
from web.pages.parts.empty import empty_state
from web.pages.parts.error_card import show_error
from web.pages.parts.headings import section
from web.pages.parts.markup import tag
from web.pages.parts.workstation_head import workstation_head
from web.workstations import last_imports
from workstation.layout import Home
from workstation.plugins.imports import ImportResult
from workstation.plugins.install import (
    disable_plugin,
    enable_plugin,
    install_plugin,
    pin_plugin,
    remove_plugin,
    scan_source,
    unpin_plugin,
    update_plugin,
)
from workstation.plugins.inventory import Plugin, list_plugins
from workstation.project import read_project

FIELD = "outlined dense"
Change = Callable[[Home, str, str], object]


@dataclass(frozen=True)
class Line:
    """One plugin, and how it imported when the engine tried it last."""

    plugin: Plugin
    imported: ImportResult | None


@console_page("/projects/{project}/workstation/plugins", title="plugins.title")
async def plugins(page: Page) -> None:
    """The form, and a card for each."""
    workstation_head(page, "plugins.title", "plugins.sentence")
    if page.may("plugin.install"):
        _install_form(page)
    await page.live(_draw, lines_of, page.project, on=(project_topic(page.project),))


def lines_of(here: Installation, project: str) -> tuple[Line, ...]:
    """Every plugin by name. Raises ProjectNotFound."""
    place = read_project(here.home, project)[0]
    imports = {one.name: one for one in last_imports(place)}
    return tuple(Line(one, imports.get(one.name)) for one in list_plugins(place.workstation))


def _install_form(page: Page) -> None:
    with tag("div", "", "sf-card sf-stack"):
        with tag("div", "", "sf-row"):
            source = ui.input(say("plugins.source")).props(FIELD).classes("sf-field")
            ref = ui.input(say("plugins.ref")).props(FIELD)
            accept = ui.input(say("plugins.accept")).props(FIELD)

        async def look() -> None:
            try:
                found = await page.read(_scanned, str(source.value), str(ref.value))
            except Exception as error:  # noqa: BLE001  (shown to who asked)
                show_error(error)
                return
            place.clear()
            with place:
                tag("p", found)

        async def install() -> None:
            given, at = str(source.value).strip(), str(ref.value).strip() or None
            risks = tuple(name.strip() for name in str(accept.value).split(",") if name.strip())
            done = await perform(
                "plugin.install",
                f"{page.project} {given}",
                lambda: install_plugin(page.here.home, page.project, given, ref=at, accept=risks),
            )
            if done is not None:
                source.value = ""
                told("plugins.installed")

        with tag("div", "", "sf-actions"):
            action_button("plugins.install", install, kind="primary", icon="add")
            action_button("plugins.scan", look, icon="search")
        place = tag("div", "", "", aria_live="polite")


def _scanned(_: Installation, source: str, ref: str) -> str:
    return scan_source(source.strip(), ref.strip() or None).sentence


def _draw(lines: tuple[Line, ...]) -> None:
    if not lines:
        empty_state("plugins.none", "plugins.none-sentence", "extension")
        return
    with section("plugins.installed-ones"), tag("ul", "", "sf-plain-list sf-stack"):
        for line in lines:
            with tag("li", "", "sf-card sf-stack", data_plugin=line.plugin.name):
                _plugin(line)


def _plugin(line: Line) -> None:
    one, page = line.plugin, current_page()
    with tag("div", "", "sf-between"):
        with tag("span", "", "sf-row"):
            tag("strong", one.name)
            _state(line)
            if one.pinned:
                chip("pinned", say("plugins.pinned"))
        with tag("div", "", "sf-actions"):
            _buttons(page, one)
    words = [one.kind, one.version, (one.commit or "")[:12], one.branch, one.remote]
    tag("p", " · ".join(word for word in words if word), "sf-quiet")
    if one.edited_files:
        tag("p", say("plugins.edited", files=", ".join(one.edited_files[:8])))
    if one.problem:
        tag("p", one.problem, "sf-box-problem")
    if line.imported is not None and not line.imported.ok and one.enabled:
        tag("p", line.imported.error, "sf-box-problem")
        with tag("details"):
            tag("summary", say("plugins.traceback"))
            code_block(line.imported.traceback)


def _state(line: Line) -> None:
    if not line.plugin.enabled:
        chip("off", say("plugins.disabled"))
    elif line.imported is None:
        chip("waiting", say("plugins.not-tried"))
    elif line.imported.ok:
        chip("ok", say("plugins.imported", seconds=f"{line.imported.seconds:.1f}"))
    else:
        chip("failed", say("plugins.failed"))


def _buttons(page: Page, one: Plugin) -> None:
    if page.may("plugin.update") and one.kind == "git" and not one.pinned:
        _change_button(page, one, "update", "plugin.update", update_plugin)
    if page.may("plugin.change"):
        if one.kind == "git":
            pin: tuple[str, Change] = ("unpin", unpin_plugin) if one.pinned else ("pin", pin_plugin)
            _change_button(page, one, pin[0], "plugin.change", pin[1])
        able: tuple[str, Change] = ("disable", disable_plugin) if one.enabled else ("enable", enable_plugin)
        _change_button(page, one, able[0], "plugin.change", able[1])
    if page.may("plugin.remove"):
        action_button("plugins.remove", lambda: _remove(page, one.name), kind="quiet")


def _change_button(page: Page, one: Plugin, name: str, action: str, change: Change) -> None:
    async def act() -> None:
        await perform(
            action,
            f"{page.project} {one.name} {name}",
            lambda: change(page.here.home, page.project, one.name),
        )

    action_button(f"plugins.{name}", act, kind="quiet")


async def _remove(page: Page, name: str) -> None:
    if await confirmed("plugins.remove-title", "plugins.remove-sentence", name=name):
        await perform(
            "plugin.remove",
            f"{page.project} {name}",
            lambda: remove_plugin(page.here.home, page.project, name),
        )
