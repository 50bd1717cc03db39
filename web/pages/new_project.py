"""New project: its name, the engine, the base, and the plugins to begin with."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field

from nicegui import ui
from nicegui.element import Element

from publisher.accounts import Role
from web.installation import Installation
from web.pages.console.acting import perform
from web.pages.console.page import Page, console_page, say
from web.pages.console.shell import project_front
from web.pages.parts.button import action_button, go_button
from web.pages.parts.headings import page_header
from web.pages.parts.markup import link, tag
from web.pages.parts.progress import ProgressLine

ENGINES = ("builtin", "comfyui")
FIELD = "outlined dense"


@dataclass
class Wishes:
    """What is being filled in."""

    name: str = ""
    engine: str = "builtin"
    source: str = ""
    commit: str = ""
    base: str = "default"
    isolated: bool = False
    plugins: str = ""
    failed: list[str] = field(default_factory=list)

    @property
    def plugin_sources(self) -> tuple[str, ...]:
        return tuple(line.strip() for line in self.plugins.splitlines() if line.strip())

    @property
    def complete(self) -> bool:
        return bool(self.name.strip()) and (self.engine == "builtin" or bool(self.source.strip()))


@console_page("/new-project", title="new-project.title", role=Role.DEVELOPER)
async def new_project(page: Page) -> None:
    """A form of four steps on one page; making it shows what is done now."""
    page_header("new-project.title", "new-project.sentence")
    bases = await page.read(_bases)
    wishes = Wishes()
    with tag("div", "", "sf-card sf-steps") as form:
        with _step(1, "new-project.name", "new-project.name-help"):
            _name(wishes)
        with _step(2, "new-project.engine", "new-project.engine-help"):
            _engine(wishes)
        with _step(3, "new-project.base", "new-project.base-help"):
            _base(wishes, bases)
        with _step(4, "new-project.plugins", "new-project.plugins-help"):
            _text(wishes, "plugins", "new-project.plugins-label").props(
                "type=textarea autogrow input-class=sf-mono"
            )
        with tag("div", "", "sf-actions sf-end sf-steps-end"):
            go_button("parts.cancel", "/projects")
            button = action_button(
                "new-project.make", lambda: _make(page, wishes, form, after), kind="primary", icon="add"
            )
            button.bind_enabled_from(wishes, "complete")
    after = tag("div", "", "sf-stack")


def _bases(here: Installation) -> tuple[str, ...]:
    from workstation.bases import list_bases, read_base

    read_base(here.home, "default")
    return tuple(list_bases(here.home))


def _step(number: int, title: str, sentence: str) -> Element:
    with tag("section", "", "sf-step"):
        tag("span", str(number), "sf-step-number", aria_hidden="true")
        with tag("div", "", "sf-step-body") as body:
            tag("h2", say(title))
            tag("p", say(sentence), "sf-quiet")
    return body


def _text(wishes: Wishes, name: str, label: str) -> ui.input:
    return ui.input(say(label)).props(FIELD).classes("sf-field").bind_value(wishes, name)


def _name(wishes: Wishes) -> None:
    from workstation.layout import NAME

    rule = {say("new-project.bad-name"): lambda value: not value or NAME.fullmatch(value) is not None}
    made = ui.input(say("new-project.name"), validation=rule).bind_value(wishes, "name")
    made.props(f"{FIELD} autofocus autocomplete=off spellcheck=false").classes("sf-field")


def _engine(wishes: Wishes) -> None:
    options = {kind: say(f"new-project.engine-{kind}") for kind in ENGINES}
    choice = ui.radio(options).bind_value(wishes, "engine").classes("sf-radio")
    choice.props["aria-label"] = say("new-project.engine")
    with tag("div", "", "sf-stack sf-field") as more:
        _text(wishes, "source", "new-project.source")
        _text(wishes, "commit", "new-project.commit")
    more.bind_visibility_from(wishes, "engine", value="comfyui")


def _base(wishes: Wishes, bases: tuple[str, ...]) -> None:
    select = ui.select(list(bases), label=say("new-project.base")).props(FIELD).classes("sf-field")
    select.bind_value(wishes, "base")
    ui.checkbox(say("new-project.isolated")).bind_value(wishes, "isolated")


async def _make(page: Page, wishes: Wishes, form: Element, after: Element) -> None:
    after.clear()
    loop = asyncio.get_running_loop()
    with after:
        line = ProgressLine(say("new-project.making", name=wishes.name))
    tell = _teller(loop, line)
    made = await perform("project.create", wishes.name, lambda: _create(page.here, wishes, tell))
    if made is None:
        after.clear()
        return
    form.delete()
    await _add_plugins(page, wishes, line, tell)
    after.clear()
    if not wishes.failed:
        page.client.open(project_front(wishes.name))
        return
    with after, tag("div", "", "sf-card sf-stack"):
        tag("p", say("new-project.made-without", name=wishes.name, plugins=", ".join(wishes.failed)))
        link(say("new-project.go-on"), project_front(wishes.name))


def _create(here: Installation, wishes: Wishes, tell: Callable[[str], None]) -> None:
    from workstation.dependencies.environment import EnvironmentKind
    from workstation.engines import EngineChoice
    from workstation.project import create_project

    engine = (
        EngineChoice("builtin")
        if wishes.engine == "builtin"
        else EngineChoice("comfyui", wishes.source.strip(), wishes.commit.strip() or None)
    )
    environment: EnvironmentKind = "isolated" if wishes.isolated else "layered"
    create_project(here.home, wishes.name.strip(), engine, wishes.base, environment, tell)


async def _add_plugins(page: Page, wishes: Wishes, line: ProgressLine, tell: Callable[[str], None]) -> None:
    for source in wishes.plugin_sources:
        line.say(say("new-project.installing", source=source))
        if (
            await perform("plugin.install", wishes.name, _installing(page.here, wishes.name, source, tell))
            is None
        ):
            wishes.failed.append(source)


def _installing(
    here: Installation, project: str, source: str, tell: Callable[[str], None]
) -> Callable[[], None]:
    def install() -> None:
        from workstation.plugins.install import install_plugin

        install_plugin(here.home, project, source, progress=tell)

    return install


def _teller(loop: asyncio.AbstractEventLoop, line: ProgressLine) -> Callable[[str], None]:
    """Shows sentences that come from a thread."""

    def show(sentence: str) -> None:
        if not line.is_deleted:
            line.say(sentence)

    def tell(sentence: str) -> None:
        loop.call_soon_threadsafe(show, sentence)

    return tell
