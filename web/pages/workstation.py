"""Workstation: its engine's state, the buttons, the editor in a frame, the live log."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from nicegui import ui

from web.installation import Installation
from web.pages.console.acting import perform
from web.pages.console.markers import project_topic
from web.pages.console.page import Page, console_page, current_page, say
from web.pages.parts.button import action_button, go_button
from web.pages.parts.chip import chip
from web.pages.parts.headings import fact, facts, section
from web.pages.parts.log_view import LogView
from web.pages.parts.markup import tag
from web.pages.parts.moments import moment
from web.pages.parts.workstation_head import workstation_head
from web.workstations import log_lines
from workstation.keeping import WorkstationState
from workstation.layout import Project
from workstation.process import restart_workstation, start_workstation, stop_workstation, workstation_state
from workstation.project import ProjectFile, read_project

LOG_LINES = 500
LOG_LOOK_SECONDS = 1.0
ACTIONS: dict[str, tuple[str, Callable[[Project], WorkstationState]]] = {
    "start": ("play_arrow", start_workstation),
    "restart": ("restart_alt", restart_workstation),
    "stop": ("stop", stop_workstation),
}


@dataclass(frozen=True)
class Bench:
    """A workstation as its first page shows it."""

    state: WorkstationState
    file: ProjectFile


@console_page("/projects/{project}/workstation", title="workstation.title", nav="workstation")
async def workstation(page: Page) -> None:
    """State, editor, log."""
    workstation_head(page, "workstation.title", "workstation.sentence")
    await page.live(_draw, bench_of, page.project, on=(project_topic(page.project),))
    await page.live(_draw_editor, editor_of, page.project, on=(project_topic(page.project),))
    with section("workstation.log"):
        view = LogView("workstation.log", await page.read(log_of, page.project))

    async def more() -> None:
        view.push_new(await page.read(log_of, page.project))

    ui.timer(LOG_LOOK_SECONDS, more)


def bench_of(here: Installation, project: str) -> Bench:
    """Raises ProjectNotFound."""
    place, file = read_project(here.home, project)
    return Bench(workstation_state(place), file)


def editor_of(here: Installation, project: str) -> str | None:
    """The address of the editor while the engine runs."""
    running = workstation_state(read_project(here.home, project)[0]).url is not None
    return f"/projects/{project}/editor/" if running else None


def log_of(here: Installation, project: str) -> tuple[str, ...]:
    """The last lines of the engine's log."""
    return tuple(log_lines(read_project(here.home, project)[0], lines=LOG_LINES, follow=False))


def _draw(bench: Bench) -> None:
    state, page = bench.state, current_page()
    with tag("div", "", "sf-card sf-stack"):
        with tag("div", "", "sf-between"):
            with tag("span", "", "sf-row"):
                chip(state.status.value, say(f"state.{state.status.value}"))
                if state.since is not None:
                    moment(state.since)
            with tag("div", "", "sf-actions"):
                for name in ("restart", "stop") if state.alive else ("start",):
                    if page.may(f"workstation.{name}"):
                        _button(page, name)
        if state.problem:
            tag("p", state.problem, "sf-box-problem", role="alert")
        with facts():
            fact("workstation.engine-kind", bench.file.engine.kind)
            fact("workstation.base", bench.file.base)
            fact("workstation.environment", bench.file.environment)
            fact("workstation.restarts", str(state.restarts))
            fact("workstation.port", str(state.port or "–"))


def _button(page: Page, name: str) -> None:
    icon, act = ACTIONS[name]
    action_button(
        f"workstation.{name}",
        lambda: perform(
            f"workstation.{name}", page.project, lambda: act(read_project(page.here.home, page.project)[0])
        ),
        kind="primary" if name == "start" else "plain",
        icon=icon,
    )


def _draw_editor(address: str | None) -> None:
    page = current_page()
    if address is None or not page.may("workstation.start"):
        return
    with section("workstation.editor"):
        with tag("div", "", "sf-actions"):
            go_button("workstation.open-editor", address, icon="open_in_new")
        tag("iframe", "", "sf-editor", src=address, title=say("workstation.editor"))
