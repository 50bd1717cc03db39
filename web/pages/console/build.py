"""Puts the console together: NiceGUI's settings, every page of web/pages, the shell around each."""

from __future__ import annotations

import asyncio
import copy
import importlib
import pkgutil
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote

import structlog
from fastapi import FastAPI, Request
from nicegui import context, ui
from nicegui.language import Language
from starlette.responses import RedirectResponse

import web.pages
from online_runtime.gateway.settings import GatewaySettings
from publisher.accounts import Role
from web.api.person import Person
from web.api.signin import SignIn
from web.errors import CredentialsWrong, NoSuchPage, NotAllowed
from web.installation import Installation
from web.pages.console.markers import CONTROL, Markers
from web.pages.console.page import ENTRIES, Console, Entry, Page, say
from web.pages.console.reader import reader_of
from web.pages.console.shell import draw_shell
from web.pages.console.watch import Watch
from web.pages.static.assets import asset
from web.problem import problem_of
from web.signin.audit import Audit
from web.signin.rights import allows

LANGUAGE_PACKS: dict[str, Language] = {"en": "en-US", "zh": "zh-CN"}
RESPONSE_LIMIT_SECONDS = 30.0  # for a page's first values, on a busy machine
RECONNECT_SECONDS = 30.0  # a laptop that changes networks comes back to the page it had
SESSION_LOOK_SECONDS = 5.0  # an end by time; one by sign-out shows at once
LEAVE_SECONDS = 5.0  # for a browser to go to the sign-in
THEME_VALUES = {"auto": None, "light": False, "dark": True}
_log = structlog.get_logger(__name__)


def build_console(
    here: Installation, signin: SignIn, audit: Audit, describe: Callable[[], Mapping[str, Any]]
) -> FastAPI:
    """The console as an application of its own. To be called once a process."""
    jobs_url = GatewaySettings(here.home, jobs_url=here.chosen.platform.jobs_url).jobs_database
    watch = Watch(Markers(here.home, here.chosen.platform.control_database(here.home), jobs_url))
    console = Console(here, watch, signin, audit, describe)
    _find_pages()
    for entry in ENTRIES:
        ui.page(entry.path, response_timeout=RESPONSE_LIMIT_SECONDS)(_shown(console, entry))
    ui.add_head_html(_head(), shared=True)
    app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)
    app.add_api_route("/", lambda: RedirectResponse("/projects", 303), include_in_schema=False)
    ui.run_with(
        app,
        root=_shown(console, Entry("", "shell.no-page", None, Role.VIEWER, _no_page)),
        title="Stillframe",
        favicon=Path(__file__).parents[1] / "static" / "favicon.svg",
        tailwind=False,
        binding_refresh_interval=0.1,
        reconnect_timeout=RECONNECT_SECONDS,
        show_welcome_message=False,
    )
    return app


def _find_pages() -> None:
    """Every module that lies directly in web/pages is one or more pages."""
    for module in pkgutil.iter_modules(web.pages.__path__, "web.pages."):
        if not module.ispkg:
            importlib.import_module(module.name)


def _shown(console: Console, entry: Entry) -> Callable[[Request], Awaitable[None]]:
    async def show(request: Request) -> None:
        page = _page(console, entry, request)
        _dress(page)
        try:
            if not allows(page.person.role, entry.role):
                raise NotAllowed(page.person.name, page.person.role, entry.role, entry.path)
            names = await page.read(_projects, page.project)
        except Exception as error:  # noqa: BLE001  (shown as the page)
            _draw_problem(page, draw_shell(page, ()), error)
            return
        place = draw_shell(page, names)
        await _look_after_session(page)
        try:
            fields = {name: value for name, value in request.path_params.items() if name != "project"}
            with place:
                await entry.build(page, **fields)
        except Exception as error:  # noqa: BLE001  (shown as the page)
            _draw_problem(page, place, error)

    return show


def _page(console: Console, entry: Entry, request: Request) -> Page:
    person: Person = request.scope["state"]["person"]
    page = Page(
        console=console,
        entry=entry,
        person=person,
        reader=reader_of(request),
        client=context.client,
        path=request.url.path,
        address=request.client.host if request.client else "unknown",
        project=str(request.path_params.get("project", "")),
    )
    page.keep()
    return page


def _dress(page: Page) -> None:
    """Language, colours and title are the reader's, not the route's."""
    dressed = copy.copy(page.client.page)
    dressed.language = LANGUAGE_PACKS[page.reader.language]
    dressed.dark = THEME_VALUES[page.reader.theme]
    page.client.page = dressed
    title = say(page.entry.title)
    page.client.title = " · ".join(filter(None, (title, page.project, "Stillframe")))


async def _no_page(page: Page) -> None:
    raise NoSuchPage(page.path)


async def _look_after_session(page: Page) -> None:
    """Whose session ends elsewhere, or by time, is led to the sign-in, and back from there.

    Whose role is changed gets the page as that role sees it.
    """
    signin, person, who = page.console.signin, page.person, object()

    async def hear(role: object) -> None:
        if not page.client.is_deleted:
            page.client.open(page.path if role else "/signin?next=" + quote(page.path, safe="/"))
            asyncio.get_running_loop().call_later(LEAVE_SECONDS, _end, page)

    def role_now() -> str:
        """The role that counts by now, "" when the session is over."""
        try:
            return signin.still(person, asking=False).role
        except CredentialsWrong:
            return ""

    page.client.on_delete(lambda: page.console.watch.leave(who))
    key = ("session", person.name, person.role, person.session)
    await page.console.watch.join(who, hear, key, role_now, frozenset({CONTROL}), SESSION_LOOK_SECONDS)


def _end(page: Page) -> None:
    """A browser that does not go where it is led is told nothing more."""
    if not page.client.is_deleted:
        page.client.delete()


def _projects(here: Installation, wanted: str) -> tuple[str, ...]:
    from workstation.project import list_projects, read_project

    if wanted:
        read_project(here.home, wanted)  # raises ProjectNotFound, naming those that exist
    return tuple(list_projects(here.home))


def _draw_problem(page: Page, place: ui.element, error: Exception) -> None:
    from web.pages.parts.error_card import error_card

    problem = problem_of(error)
    if problem.status == 500:
        _log.exception("console_page_failed", page=page.path, error=str(error))
    page.client.status_code = problem.status
    place.clear()
    with place:
        error_card(error)


def _head() -> str:
    return (
        f'<script src="{asset("console.js")}"></script><link rel="stylesheet" href="{asset("console.css")}">'
    )
