"""Doing what a reader asked for: one way for every page, so that none can forget the role, the log or the
error.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

import structlog

from web.api.gate import outcome_of
from web.errors import NotAllowed, WebError
from web.pages.console.page import Page, current_page
from web.pages.parts.error_card import show_error
from web.problem import problem_of
from web.signin.audit import DONE, Deed
from web.signin.rights import allows, role_for

T = TypeVar("T")
SOURCE = "console"
_log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class Done(Generic[T]):
    """It was done, and gave this."""

    value: T


async def perform(action: str, subject: str, call: Callable[[], T]) -> Done[T] | None:
    """`call` in a thread as the current page's reader. None when it failed or was not allowed: then that is
    shown.

    `action` is a name of the table in web/signin/rights.py; `subject` is what it is done to, for the audit
    log.
    """
    page = current_page()
    deed = Deed(page.person.name, SOURCE, page.address, action, subject)
    try:
        value = await asyncio.to_thread(_allowed, page, action, call)
    except Exception as error:  # noqa: BLE001  (shown to who asked, written to the audit log)
        if problem_of(error).status == 500 and not isinstance(error, WebError):
            _log.exception("console_action_failed", action=action, error=str(error))
        await asyncio.to_thread(page.console.audit.record, deed, outcome_of(error))
        with page.enter():
            show_error(error)
        return None
    await asyncio.to_thread(page.console.audit.record, deed, DONE)
    await page.console.watch.hurry()
    return Done(value)


def _allowed(page: Page, action: str, call: Callable[[], T]) -> T:
    person = page.console.signin.still(page.person)  # a role may have been taken since the page was opened
    if not allows(person.role, role_for(action)):
        raise NotAllowed(person.name, person.role, role_for(action), action)
    return call()
