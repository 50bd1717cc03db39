"""What stands around every page: the header, the navigation, the place for the page."""

from __future__ import annotations

from dataclasses import dataclass

from nicegui import ui
from nicegui.element import Element

from web.pages.console.page import ENTRIES, Page, say
from web.pages.console.reader import THEMES
from web.pages.parts.markup import icon, link, tag
from web.pages.texts import LANGUAGES
from web.signin.rights import allows


@dataclass(frozen=True)
class Place:
    """One entry of the navigation. `nav` is what pages name; those that no page names are not shown."""

    nav: str
    text: str
    symbol: str


EVERYWHERE = (Place("projects", "shell.projects", "dashboard"),)
IN_A_PROJECT = (
    Place("workstation", "shell.workstation", "terminal"),
    Place("deploy", "shell.deploy", "rocket_launch"),
    Place("deployments", "shell.deployments", "history"),
    Place("service", "shell.service", "dns"),
    Place("snapshots", "shell.snapshots", "photo_camera"),
)
PLATFORM = (
    Place("fleet", "shell.fleet", "memory"),
    Place("accounts", "shell.accounts", "group"),
    Place("audit", "shell.audit", "fact_check"),
)


def project_front(name: str) -> str:
    """Where a project's own pages begin."""
    paths = {entry.nav: entry.path for entry in ENTRIES}
    first = next((paths[place.nav] for place in IN_A_PROJECT if place.nav in paths), "/projects")
    return first.replace("{project}", name)


def draw_shell(page: Page, projects: tuple[str, ...]) -> Element:
    """Draw everything around the page; returns the element that the page is drawn into."""
    # Closed for the server until the browser says that it is wide enough: asking it would take a round trip.
    drawer = ui.left_drawer(value=False, bordered=True).classes("sf-drawer")
    drawer.props("show-if-above width=232 breakpoint=900 :no-swipe-open=true")
    with drawer, tag("nav", "", "sf-nav", aria_label=say("shell.navigation")):
        _navigation(page)
    with ui.header(wrap=False).classes("sf-top"):
        _menu_button(drawer)
        link("Stillframe", "/projects", "sf-brand")
        _switcher(page, projects)
        tag("span", "", "sf-spread")
        _languages(page)
        _themes(page)
        _account(page)
    with page.client.layout:
        skip = tag("a", say("shell.skip"), "sf-skip", href="#content")
        skip.move(target_index=0)  # before the header, which puts itself first
    return tag("div", "", "sf-page", id="content", tabindex="-1")


def _menu_button(drawer: ui.left_drawer) -> None:
    button = ui.button(icon="menu", color=None, on_click=drawer.toggle).props("flat round dense")
    button.classes("sf-menu-button").props["aria-label"] = say("shell.menu")


def _navigation(page: Page) -> None:
    _places(page, EVERYWHERE, "")
    if page.project:
        _places(page, IN_A_PROJECT, page.project)
    _places(page, PLATFORM, say("shell.platform"))


def _places(page: Page, places: tuple[Place, ...], heading: str) -> None:
    by_nav = {entry.nav: entry for entry in reversed(ENTRIES) if entry.nav is not None}
    shown = [
        place for place in places if place.nav in by_nav and allows(page.person.role, by_nav[place.nav].role)
    ]
    if not shown:
        return
    if heading:
        tag("div", heading, "sf-nav-heading")
    for place in shown:
        target = by_nav[place.nav].path.replace("{project}", page.project)
        within = page.project and page.path.startswith(f"{target}/")  # a page below one that is listed
        here = {"aria_current": "page"} if place.nav == page.entry.nav or within else {}
        with tag("a", "", "sf-nav-item", href=target, **here):
            icon(place.symbol)
            tag("span", say(place.text))


def _switcher(page: Page, projects: tuple[str, ...]) -> None:
    if not page.project:
        return
    label = say("shell.switch-project")
    with ui.button(page.project, icon="folder_open", color=None).props("flat no-caps dense") as button:
        button.classes("sf-switcher").props["aria-label"] = f"{label}: {page.project}"
        with ui.menu().props("auto-close").classes("sf-menu"):
            for name in projects:
                _menu_link(name, page.path.replace(f"/projects/{page.project}", f"/projects/{name}", 1))
            ui.separator()
            _menu_link(say("shell.all-projects"), "/projects")


def _languages(page: Page) -> None:
    following = next(language for language in LANGUAGES if language != page.reader.language)
    button = ui.button(LANGUAGES[following], color=None).props("flat no-caps dense").classes("sf-top-button")
    button.props["aria-label"] = f"{say('shell.language')}: {LANGUAGES[following]}"
    button.props["lang"] = following
    button.on("click", js_handler=f"() => stillframe.choose('language', '{following}')")


def _themes(page: Page) -> None:
    with ui.button(icon="contrast", color=None).props("flat round dense").classes("sf-top-button") as button:
        button.props["aria-label"] = say("shell.theme")
        with ui.menu().props("auto-close").classes("sf-menu"):
            for theme in THEMES:
                item = ui.menu_item(say(f"shell.theme-{theme}"))
                item.on("click", js_handler=f"() => stillframe.choose('theme', '{theme}')")


def _account(page: Page) -> None:
    with ui.button(icon="account_circle", color=None).props("flat round dense") as button:
        button.classes("sf-top-button").props["aria-label"] = say("shell.account", name=page.person.name)
        with ui.menu().classes("sf-menu"):
            with tag("div", "", "sf-menu-head"):
                tag("strong", page.person.name)
                tag("span", say(f"role.{page.person.role}"), "sf-quiet")
            ui.separator()
            if any(entry.path == "/account" for entry in ENTRIES):
                _menu_link(say("shell.my-account"), "/account")
            _menu_link(say("shell.api"), "/docs")
            with tag("form", "", "", method="post", action="/signout"):
                tag("button", say("shell.sign-out"), "sf-menu-link", type="submit")


def _menu_link(text: str, target: str) -> None:
    link(text, target, "sf-menu-link")
