"""Saved workflows of a workstation: listed, run on its engine, and the pictures they make."""

from __future__ import annotations

import base64
import json
import mimetypes
from dataclasses import dataclass, field

from nicegui.element import Element

from web.calls import Result
from web.installation import Installation
from web.pages.console.markers import project_topic
from web.pages.console.page import Page, console_page, current_page, say
from web.pages.parts.button import action_button
from web.pages.parts.chip import chip
from web.pages.parts.empty import empty_state
from web.pages.parts.error_card import error_card
from web.pages.parts.markup import tag
from web.pages.parts.media import media_tile
from web.pages.parts.moments import duration_text, moment
from web.pages.parts.progress import ProgressLine
from web.pages.parts.table import Column, table
from web.pages.parts.workstation_head import workstation_head
from web.workflows import exported, saved_workflows
from web.workstations import caller_for
from workstation.project import read_project
from workstation.saved_workflows.files import SavedWorkflow
from workstation.workflows import parse_workflow

RUN_LIMIT_SECONDS = 3600.0


@dataclass(frozen=True)
class Made:
    """What a run gave: each file with its bytes as an address."""

    result: Result
    files: tuple[tuple[str, str], ...] = field(repr=False)


@console_page("/projects/{project}/workstation/workflows", title="workflows.title")
async def workflows(page: Page) -> None:
    """What was made last, and the list."""
    workstation_head(page, "workflows.title", "workflows.sentence")
    results = tag("div", "", "sf-stack", aria_live="polite")
    await page.live(
        lambda found: _draw(found, results), saved_of, page.project, on=(project_topic(page.project),)
    )


def saved_of(here: Installation, project: str) -> tuple[SavedWorkflow, ...]:
    """By name."""
    return tuple(saved_workflows(here, project))


def _draw(found: tuple[SavedWorkflow, ...], results: Element) -> None:
    if not found:
        empty_state("workflows.none", "workflows.none-sentence", "account_tree")
        return
    page = current_page()
    columns = (
        Column[SavedWorkflow]("workflows.name", lambda one: one.name),
        Column[SavedWorkflow](
            "workflows.format", lambda one: say(f"workflows.format-{one.format or 'none'}")
        ),
        Column[SavedWorkflow]("workflows.nodes", lambda one: one.nodes, "sf-right"),
        Column[SavedWorkflow]("workflows.saved", lambda one: moment(one.saved_at)),
        Column[SavedWorkflow]("", lambda one: _run_button(page, one, results), "sf-right"),
    )
    table(found, columns, caption="workflows.title", filtered=True)


def _run_button(page: Page, one: SavedWorkflow, results: Element) -> None:
    if one.format is not None and page.may("workflow.save"):
        action_button("workflows.run", lambda: _run(page, one.name, results), icon="play_arrow")


async def _run(page: Page, name: str, results: Element) -> None:
    results.clear()
    with results:
        ProgressLine(say("workflows.running", name=name))
    try:
        made = await page.read(made_by, page.project, name)
    except Exception as error:  # noqa: BLE001  (shown where the result would be)
        results.clear()
        with results:
            error_card(error)
        return
    results.clear()
    with results:
        with tag("div", "", "sf-row"):
            chip("done", say("workflows.done", name=name, took=duration_text(made.result.seconds)))
        with tag("div", "", "sf-tiles"):
            for file, data in made.files:
                media_tile(data, file)


def made_by(here: Installation, project: str, name: str) -> Made:
    """Run a saved workflow on the workstation's engine.

    Raises WorkstationNotRunning, ModelsMissing, NodesUnknown, WorkflowFailed, WaitedTooLong.
    """
    document = exported(here, project, name)
    place = read_project(here.home, project)[0]
    caller = caller_for(here.home, place, parse_workflow(json.dumps(document)))
    result = caller.run(document, limit_seconds=RUN_LIMIT_SECONDS)
    files = []
    for file in result.files:
        kind = mimetypes.guess_type(file.filename)[0] or "application/octet-stream"
        files.append((file.filename, f"data:{kind};base64,{base64.b64encode(caller.fetch(file)).decode()}"))
    return Made(result, tuple(files))
