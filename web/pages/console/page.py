"""One open page: who reads it, in which language, and what it listens to."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from inspect import isawaitable
from typing import TYPE_CHECKING, Any, TypeVar

import structlog
from nicegui import Client, context
from nicegui.element import Element

from publisher.accounts import Role
from web.api.person import Person
from web.installation import Installation
from web.pages.console.reader import Reader
from web.pages.console.watch import Failure, Watch
from web.pages.texts import text
from web.signin.rights import allows, role_for

if TYPE_CHECKING:
    from web.api.signin import SignIn
    from web.signin.audit import Audit

T = TypeVar("T")
EVERY_SECONDS = 1.0  # what no marker shows, such as a killed process, is seen within it
_KEPT = "stillframe_page"
_log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class Console:
    """What all pages of one server share."""

    here: Installation
    watch: Watch
    signin: SignIn
    audit: Audit
    describe: Callable[[], Mapping[str, Any]]  # the REST API as OpenAPI


@dataclass(frozen=True)
class Entry:
    """One page as it is declared. `nav` names its place in the navigation; None: it has none."""

    path: str
    title: str
    nav: str | None
    role: str
    build: Callable[..., Awaitable[None]]


ENTRIES: list[Entry] = []


def console_page(
    path: str, *, title: str, nav: str | None = None, role: str = Role.VIEWER
) -> Callable[[Callable[..., Awaitable[None]]], Callable[..., Awaitable[None]]]:
    """Declare a page. Its function takes the Page, which knows its project, and the other fields of
    `path`; `title` is a key of the texts.
    """

    def declare(build: Callable[..., Awaitable[None]]) -> Callable[..., Awaitable[None]]:
        ENTRIES.append(Entry(path, title, nav, role, build))
        return build

    return declare


@dataclass(frozen=True)
class Page:
    """One page in one browser. `project` is "" on pages that belong to none."""

    console: Console
    entry: Entry
    person: Person
    reader: Reader
    client: Client
    path: str
    address: str
    project: str = ""

    @property
    def here(self) -> Installation:
        return self.console.here

    def may(self, action: str) -> bool:
        """Whether the reader's role allows an action of the table in web/signin/rights.py."""
        return allows(self.person.role, role_for(action))

    async def read(self, load: Callable[..., T], *arguments: Any) -> T:
        """`load(here, *arguments)` once, in a thread."""
        return await asyncio.to_thread(load, self.here, *arguments)

    async def live(
        self,
        draw: Callable[[Any], object],
        load: Callable[..., Any],
        *arguments: Any,
        on: Iterable[str] = (),
        every_seconds: float = EVERY_SECONDS,
        classes: str = "",
    ) -> Element:
        """Show what `load(here, *arguments)` gives, and again whenever it gives something else.

        `load` and its arguments are also the key under which pages share one load, so they must be hashable
        and say all that the value depends on. Returns the element that holds what is drawn.
        """
        from web.pages.parts.error_card import error_card

        place = Element("div").classes(f"sf-live {classes}")

        async def show(value: Any) -> None:
            if self.client.is_deleted or place.is_deleted:
                return
            place.clear()
            with place:
                try:
                    drawn = error_card(value.error) if isinstance(value, Failure) else draw(value)
                    if isawaitable(drawn):
                        await drawn
                except Exception as error:  # noqa: BLE001  (shown in its place, the page goes on)
                    _log.exception("console_draw_failed", page=self.path, error=str(error))
                    place.clear()
                    error_card(error)

        watch, who = self.console.watch, object()
        self.client.on_delete(lambda: watch.leave(who))
        value = await watch.join(
            who, show, (load, *arguments), lambda: load(self.here, *arguments), frozenset(on), every_seconds
        )
        await show(value)
        return place

    def enter(self) -> AbstractContextManager[Any]:
        """For work after the page was built: elements made inside belong to it."""
        return self.client

    def keep(self) -> None:
        """Make this the current page of its client."""
        self.client.storage[_KEPT] = self


def current_page() -> Page:
    """The page that is being built, or whose handler runs."""
    found: Page = context.client.storage[_KEPT]
    return found


def steady(act: Callable[[], object]) -> Callable[[], Awaitable[None]]:
    """A handler that outlives what it was pressed on: a live part may be drawn anew while it works."""
    page = current_page()

    async def run() -> None:
        with page.enter():
            done = act()
            if isawaitable(done):
                await done

    return run


def say(key: str, **fields: object) -> str:
    """A text of the catalogue in the reader's language."""
    return text(key, current_page().reader.language, **fields)
