"""Projects in a browser: seen, made, live in every open console, and faultless in each look."""

from __future__ import annotations

import os
import re
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import expect

from tests.browser.door import PASSWORD, VIEWER
from tests.browser.faultless import grave_faults
from tests.browser.visitor import Visitor
from tests.running_platform import Platform
from workstation.home import open_home
from workstation.project import create_project

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]
Come = Callable[..., Visitor]
LOOKS = {
    "light": {"viewport": {"width": 1280, "height": 800}, "color_scheme": "light"},
    "dark": {"viewport": {"width": 1280, "height": 800}, "color_scheme": "dark"},
    "narrow": {"viewport": {"width": 390, "height": 800}, "color_scheme": "light"},
    "chinese": {"viewport": {"width": 1280, "height": 800}, "locale": "zh-CN"},
}
PAGES = ("/projects", "/new-project", "/accounts", "/account", "/audit", "/docs")
SEEN_LIMIT_SECONDS = 3.0  # a second on a machine that does nothing else


def test_an_empty_home_says_what_to_do(visitor: Come) -> None:
    page = visitor().go("/")
    expect(page.get_by_role("heading", name="No project yet")).to_be_visible()
    assert page.get_by_role("link", name="New project").count() == 2


def test_a_new_project_is_made_step_by_step_and_stands_in_another_open_console(visitor: Come) -> None:
    watching, making = visitor().go("/projects"), visitor().go("/new-project")
    making.get_by_label("Name").fill("Not A Name")
    expect(making.get_by_text("Small letters, digits and inner hyphens, at most 40")).to_be_visible()
    making.get_by_label("Name").fill("portraits")
    making.get_by_role("button", name="Make project").click()
    expect(watching.locator('[data-project="portraits"]')).to_be_visible()
    expect(making.get_by_label("Name")).to_have_count(0)


def test_a_name_that_is_taken_is_said_and_what_was_typed_stays(visitor: Come, platform: Platform) -> None:
    platform.cli("project", "create", "taken")
    page = visitor().go("/new-project")
    page.get_by_label("Name").fill("taken")
    page.get_by_role("button", name="Make project").click()
    expect(page.get_by_role("alert")).to_contain_text("taken")
    page.get_by_role("button", name="Close").click()
    expect(page.get_by_label("Name")).to_have_value("taken")


def test_what_is_made_elsewhere_shows_within_a_second_or_so(visitor: Come, platform: Platform) -> None:
    page = visitor().go("/projects")
    expect(page.get_by_role("heading", name="Projects")).to_be_visible()
    page.wait_for_function("window.socket?.connected ?? true")
    create_project(open_home(platform.home), "from-elsewhere")
    made = time.monotonic()
    expect(page.locator('[data-project="from-elsewhere"]')).to_be_visible()
    assert time.monotonic() - made < SEEN_LIMIT_SECONDS


def test_a_lost_connection_comes_back_with_what_happened_meanwhile(visitor: Come, platform: Platform) -> None:
    person = visitor()
    page = person.go("/projects")
    expect(page.get_by_role("heading", name="Projects")).to_be_visible()
    web = platform.record()["children"]["web"]
    pid = web["pid"] if isinstance(web, dict) else web[0]
    os.kill(pid, signal.SIGKILL)
    create_project(open_home(platform.home), "while-it-was-gone")
    expect(page.locator('[data-project="while-it-was-gone"]')).to_be_visible()


def test_a_project_that_does_not_exist_is_named_with_those_that_do(visitor: Come, platform: Platform) -> None:
    person = visitor()
    paths = person.go("/projects").evaluate(
        "[...document.querySelectorAll('.sf-project a')].map(a => a.pathname)"
    )
    wanted = next((path for path in paths if path.startswith("/projects/")), None)
    if wanted is None:
        pytest.skip("no page of a project is there yet")
    page = person.go(wanted.replace(wanted.split("/")[2], "nobody", 1))
    expect(page.get_by_role("alert")).to_contain_text("nobody")


def test_a_page_that_does_not_exist_says_so_inside_the_console(visitor: Come) -> None:
    page = visitor().go("/nothing/here")
    expect(page.get_by_role("alert")).to_contain_text("There is no page at /nothing/here")
    expect(page.get_by_role("link", name="Projects").first).to_be_visible()


def test_text_from_outside_is_shown_as_text(visitor: Come, platform: Platform) -> None:
    person = visitor(account=(VIEWER, PASSWORD))
    evil = "<img src=x onerror=document.title='ran'>{{constructor.constructor('document.title=1')()}}"
    page = person.go("/projects")
    page.evaluate(
        "path => fetch(path, {method: 'DELETE'})",
        "/api/v1/accounts/" + evil.replace("/", "%2F").replace("?", "%3F"),
    )
    record = visitor()
    shown = record.go("/audit")
    expect(shown.get_by_text("onerror=document.title", exact=False).first).to_be_visible()
    assert shown.title() == "Audit log · Stillframe" and record.errors == []
    assert shown.locator("#content img").count() == 0


def test_language_and_colours_are_chosen_and_kept(visitor: Come) -> None:
    page = visitor().go("/projects")
    page.get_by_role("button", name="Change language").click()
    expect(page.get_by_role("heading", name="项目", exact=True)).to_be_visible()
    assert page.locator("html").get_attribute("lang") == "zh-CN"
    page.get_by_role("button", name="配色").click()
    page.get_by_text("深色").click()
    expect(page.locator("html")).to_have_attribute("data-theme", "dark")
    page.reload()
    expect(page.locator("html")).to_have_attribute("data-theme", "dark")
    expect(page.locator("body")).to_have_class(re.compile("body--dark"))


def test_times_are_in_the_readers_zone(visitor: Come) -> None:
    page = visitor(timezone_id="Asia/Shanghai", locale="en-GB").go("/audit")
    title = page.locator("time").first.get_attribute("title") or ""
    expect(page.locator("time").first).not_to_contain_text("T")
    assert "GMT+8" in (page.locator("time").first.get_attribute("title") or title)


def test_the_keyboard_reaches_everything_and_skips_what_it_knows(visitor: Come) -> None:
    page = visitor().go("/projects")
    expect(page.get_by_role("heading", name="Projects")).to_be_visible()
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to the content")).to_be_focused()
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "content"
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="New project").first).to_be_focused()


def test_a_narrow_screen_has_the_navigation_as_a_drawer(visitor: Come) -> None:
    page = visitor(**LOOKS["narrow"]).go("/projects")
    expect(page.get_by_role("link", name="Audit log")).not_to_be_in_viewport()
    page.get_by_role("button", name="Open or close the navigation").click()
    expect(page.get_by_role("link", name="Audit log")).to_be_in_viewport()
    assert page.evaluate("document.documentElement.scrollWidth") <= 390


@pytest.mark.parametrize("look", LOOKS)
def test_axe_finds_nothing_grave_on_any_page_in_any_look(look: str, visitor: Come, artefacts: Path) -> None:
    person = visitor(**LOOKS[look])
    for path in PAGES:
        page = person.go(path)
        expect(page.locator("h1")).to_be_visible()
        page.wait_for_timeout(300)  # Quasar's own fades: half-faded text has too little contrast
        person.shoot(artefacts, f"{look}{path.replace('/', '-')}")
        assert grave_faults(page) == [], path
    assert person.outside == [] and person.errors == [] and person.console == []


def test_the_sign_in_page_is_faultless(visitor: Come, artefacts: Path) -> None:
    for look, options in LOOKS.items():
        person = visitor(account=None, **options)
        page = person.go("/signin")
        person.shoot(artefacts, f"{look}-signin")
        assert grave_faults(page) == [], look
