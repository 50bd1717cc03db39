"""Projects: a card for each, with what its workstation does, what is online, and how the last deployment
went.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from web.installation import Installation
from web.pages.console.markers import CONTROL, PROJECTS
from web.pages.console.page import Page, console_page, current_page, say
from web.pages.console.shell import project_front
from web.pages.parts.button import go_button
from web.pages.parts.chip import chip
from web.pages.parts.empty import empty_state
from web.pages.parts.headings import page_header
from web.pages.parts.markup import link, tag
from web.pages.parts.moments import moment


@dataclass(frozen=True)
class LastDeployment:
    """The newest deployment of a service."""

    number: int
    state: str
    by: str
    at: datetime


@dataclass(frozen=True)
class ProjectCard:
    """One project as its card shows it. `online` is the number of the snapshot that serves."""

    name: str
    engine: str
    workstation: str
    since: datetime | None
    online: int | None
    accepting: int
    wanted: int
    last: LastDeployment | None


@console_page("/projects", title="projects.title", nav="projects")
async def projects(page: Page) -> None:
    """The first page."""
    with page_header("projects.title", "projects.sentence"):
        if page.may("project.create"):
            go_button("projects.new", "/new-project", kind="primary", icon="add")
    await page.live(_draw, project_cards, on=(PROJECTS, CONTROL))


def project_cards(here: Installation) -> tuple[ProjectCard, ...]:
    """Every project of the home, by name."""
    from workstation.process import workstation_state
    from workstation.project import list_projects, read_project

    services = {service.name: service for service in here.publisher.services()}
    cards = []
    for name in list_projects(here.home):
        place, file = read_project(here.home, name)
        state = workstation_state(place)
        service = services.get(name)
        serving = service.serving if service is not None and service.stopped_at is None else None
        cards.append(
            ProjectCard(
                name=name,
                engine=file.engine.kind,
                workstation=state.status.value,
                since=state.since,
                online=serving.snapshot_number if serving else None,
                accepting=service.instances_accepting if service else 0,
                wanted=service.instances_wanted if service else 0,
                last=_last(here, name) if service else None,
            )
        )
    return tuple(cards)


def _last(here: Installation, name: str) -> LastDeployment | None:
    found = here.publisher.deployments(name, 1)
    return (
        LastDeployment(found[0].number, found[0].state.value, found[0].requested_by, found[0].requested_at)
        if found
        else None
    )


def _draw(cards: tuple[ProjectCard, ...]) -> None:
    if not cards:
        with empty_state("projects.none", "projects.none-sentence", "dashboard_customize"):
            if current_page().may("project.create"):
                go_button("projects.new", "/new-project", kind="primary", icon="add")
        return
    with tag("ul", "", "sf-cards sf-plain-list", aria_label=say("projects.title")):
        for one in cards:
            with tag("li", "", "sf-card sf-project", data_project=one.name):
                _card(one)


def _card(one: ProjectCard) -> None:
    with tag("div", "", "sf-between"):
        with tag("h2", "", "sf-project-name"):
            link(one.name, project_front(one.name))
        chip(one.workstation, say(f"state.{one.workstation}"))
    tag("p", say(f"projects.engine-{one.engine}"), "sf-quiet")
    with tag("dl", "", "sf-lines"):
        with tag("div"):
            tag("dt", say("projects.online"))
            with tag("dd"):
                _online(one)
        with tag("div"):
            tag("dt", say("projects.last"))
            with tag("dd"):
                _last_line(one.last)


def _online(one: ProjectCard) -> None:
    if one.online is None:
        tag("span", say("projects.offline"), "sf-quiet")
        return
    tag("span", say("projects.snapshot", number=one.online))
    good = one.accepting >= one.wanted
    chip(
        "serving" if good else "degraded",
        say("projects.instances", accepting=one.accepting, wanted=one.wanted),
    )


def _last_line(last: LastDeployment | None) -> None:
    if last is None:
        tag("span", say("projects.never"), "sf-quiet")
        return
    tag("span", f"#{last.number}", "sf-number")
    chip(last.state, say(f"state.{last.state}"))
    moment(last.at)
