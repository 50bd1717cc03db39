"""Accounts: who may sign in, and what each may do."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from datetime import datetime
from functools import partial

from nicegui import ui

from publisher.accounts import Accounts, Role
from web.api.signin import sessions_of
from web.installation import Installation
from web.pages.console.acting import perform
from web.pages.console.markers import CONTROL
from web.pages.console.page import Page, console_page, current_page, say, steady
from web.pages.parts.button import action_button
from web.pages.parts.dialogs import confirmed, told
from web.pages.parts.headings import page_header
from web.pages.parts.markup import tag
from web.pages.parts.moments import moment
from web.pages.parts.secret import show_secret
from web.pages.parts.table import Column, table

PASSWORD_BYTES = 18


@dataclass(frozen=True)
class AccountLine:
    """One account as the table shows it."""

    name: str
    role: str
    created_at: datetime
    browsers: int
    keys: int


@console_page("/accounts", title="accounts.title", nav="accounts", role=Role.ADMIN)
async def accounts(page: Page) -> None:
    """All accounts; changes show in every open console."""
    with page_header("accounts.title", "accounts.sentence"):
        action_button("accounts.add", _add, kind="primary", icon="person_add")
    await page.live(_draw, account_lines, on=(CONTROL,))


def account_lines(here: Installation) -> tuple[AccountLine, ...]:
    """Every account by name."""
    known = Accounts(here.control)
    sessions = sessions_of(here)
    return tuple(
        AccountLine(
            one.name,
            one.role,
            one.created_at,
            len(sessions.of(one)),
            sum(key.revoked_at is None for key in known.api_keys(one)),
        )
        for one in known.everyone()
    )


def _draw(lines: tuple[AccountLine, ...]) -> None:
    table(
        lines,
        [
            Column("accounts.name", lambda one: tag("strong", one.name)),
            Column("accounts.role", lambda one: say(f"role.{one.role}")),
            Column("accounts.browsers", lambda one: str(one.browsers), "sf-number"),
            Column("accounts.keys", lambda one: str(one.keys), "sf-number"),
            Column("accounts.made", lambda one: moment(one.created_at)),
            Column("", _buttons, "sf-right"),
        ],
        caption="accounts.title",
    )


def _buttons(one: AccountLine) -> None:
    with tag("div", "", "sf-actions sf-end"):
        button = ui.button(say("accounts.change"), color=None).props("no-caps outline")
        button.classes("sf-button sf-button-plain").props["aria-label"] = say(
            "accounts.change-of", name=one.name
        )
        with button, ui.menu().props("auto-close").classes("sf-menu"):
            for role in Role:
                if role != one.role:
                    text = say("accounts.make-role", role=say(f"role.{role}"))
                    ui.menu_item(text, steady(partial(_set_role, one.name, role)))
            ui.menu_item(say("accounts.new-password"), steady(lambda: _new_password(one.name)))
            ui.separator()
            ui.menu_item(say("accounts.remove"), steady(lambda: _remove(one.name))).classes("sf-danger-item")


async def _add() -> None:
    here = current_page().here
    with ui.dialog() as dialog, tag("div", "", "sf-dialog"):
        tag("h2", say("accounts.add"))
        name = ui.input(say("accounts.name")).props("outlined dense autofocus autocomplete=off")
        options = {str(role): say(f"role.{role}") for role in Role}
        role = ui.select(options, value=str(Role.DEVELOPER), label=say("accounts.role")).props(
            "outlined dense"
        )
        tag("p", say("accounts.roles"), "sf-quiet")
        with tag("div", "", "sf-actions sf-end"):
            action_button("parts.cancel", lambda: dialog.submit(False))
            add = action_button("accounts.add", lambda: dialog.submit(True), kind="primary")
            add.bind_enabled_from(name, "value", lambda value: bool(value and value.strip()))
    if await dialog is True:
        wanted, chosen, password = (
            str(name.value).strip(),
            Role(role.value),
            secrets.token_urlsafe(PASSWORD_BYTES),
        )
        made = await perform(
            "account.create", wanted, lambda: Accounts(here.control).create(wanted, chosen, password)
        )
        if made is not None:
            show_secret("accounts.password-of", password, name=wanted)
    dialog.delete()


async def _set_role(name: str, role: Role) -> None:
    here = current_page().here
    if await perform("account.change", name, lambda: Accounts(here.control).set_role(name, role)):
        told("accounts.role-given", name=name, role=say(f"role.{role}"))


async def _new_password(name: str) -> None:
    here, password = current_page().here, secrets.token_urlsafe(PASSWORD_BYTES)
    if not await confirmed(
        "accounts.new-password", "accounts.new-password-sentence", danger=False, name=name
    ):
        return

    def change() -> None:
        known = Accounts(here.control)
        known.set_password(known.find(name), password)

    if await perform("account.change", name, change):
        show_secret("accounts.password-of", password, name=name)


async def _remove(name: str) -> None:
    here = current_page().here
    if await confirmed("accounts.remove-title", "accounts.remove-sentence", yes="accounts.remove", name=name):
        await perform("account.remove", name, lambda: Accounts(here.control).remove(name))
