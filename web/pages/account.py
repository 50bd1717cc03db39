"""My account: the password, the browsers that are signed in, the API keys."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from nicegui import ui

from publisher.accounts import Accounts
from publisher.errors import AccountNotFound
from publisher.sessions import end_sessions
from web.api.accounts import set_own_password
from web.api.signin import sessions_of
from web.installation import Installation
from web.pages.console.acting import perform
from web.pages.console.markers import CONTROL
from web.pages.console.page import Page, console_page, current_page, say
from web.pages.parts.button import action_button
from web.pages.parts.dialogs import confirmed
from web.pages.parts.empty import empty_state
from web.pages.parts.headings import page_header, section
from web.pages.parts.markup import tag
from web.pages.parts.moments import moment
from web.pages.parts.secret import show_secret
from web.pages.parts.table import Column, table

# Browsers name each other; the first mark that is found is the one that is meant.
BROWSERS = (
    ("Edg/", "Edge"),
    ("OPR/", "Opera"),
    ("Firefox/", "Firefox"),
    ("Chrome/", "Chrome"),
    ("Safari/", "Safari"),
)
SYSTEMS = (
    ("Android", "Android"),
    ("iPhone", "iOS"),
    ("iPad", "iOS"),
    ("Windows", "Windows"),
    ("Mac OS", "macOS"),
    ("Linux", "Linux"),
)


@dataclass(frozen=True)
class KeyLine:
    """One API key that is good."""

    id: str
    name: str
    created_at: datetime


@dataclass(frozen=True)
class BrowserLine:
    """One browser that is signed in."""

    sha256: str
    browser: str
    address: str
    seen_at: datetime


@dataclass(frozen=True)
class Mine:
    """What belongs to one account."""

    keys: tuple[KeyLine, ...]
    browsers: tuple[BrowserLine, ...]


@console_page("/account", title="account.title")
async def account(page: Page) -> None:
    """One's own account."""
    page_header(
        "account.title", "account.sentence", name=page.person.name, role=say(f"role.{page.person.role}")
    )
    await page.live(_draw, my_things, page.person.name, on=(CONTROL,))
    with section("account.password"):
        _password_form(page)


def my_things(here: Installation, name: str) -> Mine | None:
    """Keys and browsers of an account; None for somebody who has no account, such as a command."""
    accounts = Accounts(here.control)
    try:
        me = accounts.find(name)
    except AccountNotFound:
        return None
    return Mine(
        tuple(
            KeyLine(key.id, key.name, key.created_at)
            for key in accounts.api_keys(me)
            if key.revoked_at is None
        ),
        tuple(
            BrowserLine(one.sha256, one.browser, one.address, one.seen_at) for one in sessions_of(here).of(me)
        ),
    )


def browser_name(agent: str) -> str:
    """A User-Agent as a person would name it; its own words when none of the common names is in it."""
    browser = next((name for mark, name in BROWSERS if mark in agent), "")
    system = next((name for mark, name in SYSTEMS if mark in agent), "")
    return ", ".join(filter(None, (browser, system))) or agent or "–"


def _draw(mine: Mine | None) -> None:
    if mine is None:
        return
    with section("account.keys"), tag("div", "", "sf-stack"):
        tag("p", say("account.keys-sentence"), "sf-quiet")
        _keys(mine.keys)
    with section("account.browsers"), tag("div", "", "sf-stack"):
        _browsers(mine.browsers)


def _keys(keys: tuple[KeyLine, ...]) -> None:
    if not keys:
        with empty_state("account.no-keys", "account.no-keys-sentence", "key"):
            action_button("account.new-key", _new_key, kind="primary", icon="add")
        return
    table(
        keys,
        [
            Column("account.key-name", lambda one: tag("strong", one.name)),
            Column("account.key-id", lambda one: tag("code", one.id, "sf-inline-code")),
            Column("accounts.made", lambda one: moment(one.created_at)),
            Column("", lambda one: action_button("account.revoke", lambda: _revoke(one)), "sf-right"),
        ],
        caption="account.keys",
    )
    with tag("div", "", "sf-actions"):
        action_button("account.new-key", _new_key, icon="add")


def _browsers(browsers: tuple[BrowserLine, ...]) -> None:
    here = current_page().person.session
    table(
        browsers,
        [
            Column("account.browser", lambda one: tag("span", browser_name(one.browser), title=one.browser)),
            Column("account.address", lambda one: one.address),
            Column(
                "account.seen",
                lambda one: say("account.this-one") if one.sha256 == here else moment(one.seen_at),
            ),
        ],
        caption="account.browsers",
    )
    with tag("div", "", "sf-actions"):
        action_button("account.sign-out-everywhere", _sign_out_everywhere, icon="logout")


async def _new_key() -> None:
    page = current_page()
    with ui.dialog() as dialog, tag("div", "", "sf-dialog"):
        tag("h2", say("account.new-key"))
        name = ui.input(say("account.key-for")).props("outlined dense autofocus autocomplete=off")
        with tag("div", "", "sf-actions sf-end"):
            action_button("parts.cancel", lambda: dialog.submit(False))
            action_button("account.new-key", lambda: dialog.submit(True), kind="primary")
    if await dialog is True:
        wanted = str(name.value or "").strip() or "key"
        accounts = Accounts(page.here.control)
        made = await perform(
            "key.create", wanted, lambda: accounts.create_api_key(accounts.find(page.person.name), wanted)
        )
        if made is not None:
            show_secret("account.key-made", made.value[1], name=wanted)
    dialog.delete()


async def _revoke(key: KeyLine) -> None:
    page = current_page()
    if await confirmed(
        "account.revoke-title", "account.revoke-sentence", yes="account.revoke", name=key.name
    ):
        accounts = Accounts(page.here.control)
        await perform(
            "key.revoke", key.id, lambda: accounts.revoke_api_key(accounts.find(page.person.name), key.id)
        )


async def _sign_out_everywhere() -> None:
    page = current_page()
    if await confirmed("account.sign-out-everywhere", "account.sign-out-sentence", danger=False):
        control = page.here.control
        await perform(
            "account.sign-out-everywhere",
            page.person.name,
            lambda: end_sessions(control, Accounts(control).find(page.person.name)),
        )


def _password_form(page: Page) -> None:
    with tag("div", "", "sf-card sf-form sf-field"):
        old = ui.input(say("account.old"), password=True).props(
            "outlined dense autocomplete=current-password"
        )
        new = ui.input(say("account.new"), password=True, password_toggle_button=True)
        new.props("outlined dense autocomplete=new-password")

        async def change() -> None:
            given = str(old.value or ""), str(new.value or "")
            await perform(
                "account.change-password",
                page.person.name,
                lambda: set_own_password(page.here, page.person, *given),
            )

        tag("p", say("account.password-sentence"), "sf-quiet")
        with tag("div", "", "sf-actions"):
            action_button("account.change-password", change)
