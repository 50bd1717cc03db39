"""Signing in and out in a browser, and what each role may do there."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Page, expect

from tests.browser.door import ADMIN, DEVELOPER, PASSWORD, VIEWER, platform_at
from tests.browser.visitor import Visitor
from tests.running_platform import QUICK, Platform, eventually

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]
Come = Callable[..., Visitor]
WRONG_PASSWORDS, FORGIVEN_SECONDS = 3, 25.0  # so many guesses must fit into it on a busy machine


@pytest.fixture(scope="module")
def platform(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    """One that locks out soon, and not for long. It locks addresses, so that test comes last."""
    settings = {
        **QUICK,
        "wrong_passwords": WRONG_PASSWORDS,
        "wrong_passwords_seconds": FORGIVEN_SECONDS,
    }
    with platform_at(tmp_path_factory.mktemp("signin"), settings) as up:
        yield up


def fill(page: Page, name: str, password: str) -> None:
    page.get_by_label("Account").fill(name)
    page.get_by_label("Password").fill(password)
    page.get_by_role("button", name="Sign in").click()


def test_who_opens_a_page_signs_in_and_comes_to_that_page(visitor: Come) -> None:
    person = visitor(account=None)
    page = person.go("/audit")
    expect(page.get_by_role("heading", name="Sign in")).to_be_visible()
    fill(page, ADMIN, PASSWORD)
    expect(page.get_by_role("heading", name="Audit log")).to_be_visible()
    assert page.url.endswith("/audit")
    assert person.errors == [] and person.outside == []


def test_the_cookie_is_out_of_reach_of_scripts_and_other_sites(visitor: Come) -> None:
    person = visitor()
    (cookie,) = [one for one in person.context.cookies() if one["name"].startswith("stillframe_session")]
    assert (cookie["httpOnly"], cookie["sameSite"], cookie["secure"]) == (True, "Lax", False)
    page = person.go("/projects")
    assert "stillframe_session" not in page.evaluate("document.cookie")


def test_where_to_go_after_the_sign_in_is_never_somebody_elses_page(visitor: Come) -> None:
    for place in ("//evil.example/", "https://evil.example/", "/\\evil.example"):
        person = visitor(account=None)
        page = person.go("/signin?next=" + place)
        fill(page, ADMIN, PASSWORD)
        expect(page).to_have_url(re.compile(r"/projects$"))
        assert person.outside == []


def test_a_session_that_ends_elsewhere_leads_to_the_sign_in_and_back(visitor: Come) -> None:
    first, second = visitor(account=(DEVELOPER, PASSWORD)), visitor(account=(DEVELOPER, PASSWORD))
    page = first.go("/account")
    expect(page.get_by_role("heading", name="My account")).to_be_visible()
    elsewhere = second.go("/account")
    elsewhere.get_by_role("button", name="Sign out everywhere").click()
    elsewhere.get_by_role("button", name="Yes, go on").click()
    expect(page.get_by_role("heading", name="Sign in")).to_be_visible()
    fill(page, DEVELOPER, PASSWORD)
    expect(page.get_by_role("heading", name="My account")).to_be_visible()


def test_signing_out_ends_the_session_for_good(visitor: Come) -> None:
    person = visitor()
    cookies = person.context.cookies()
    page = person.go("/projects")
    page.get_by_role("button", name="Signed in as admin").click()
    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_role("heading", name="Sign in")).to_be_visible()
    person.context.add_cookies(cookies)  # somebody kept a copy
    person.go("/projects")
    expect(page.get_by_role("heading", name="Sign in")).to_be_visible()


def test_a_viewer_sees_no_admin_pages_and_gets_403_by_hand_and_it_is_on_record(visitor: Come) -> None:
    viewer = visitor(account=(VIEWER, PASSWORD))
    page = viewer.go("/projects")
    expect(page.get_by_role("link", name="New project")).to_have_count(0)
    expect(page.get_by_role("link", name="Accounts")).to_have_count(0)
    viewer.go("/accounts")
    expect(page.get_by_role("alert")).to_contain_text("needs admin")
    asked = page.evaluate("fetch('/api/v1/accounts/admin', {method: 'DELETE'}).then(answer => answer.json())")
    assert (asked["status"], asked["needed"]) == (403, "admin")
    record = visitor().go("/audit")
    line = record.get_by_role("row").filter(has_text=VIEWER).filter(has_text="account.remove")
    expect(line).to_contain_text("403 not-allowed")


def test_a_call_of_another_site_with_the_cookie_is_refused(visitor: Come) -> None:
    person = visitor()
    foreign = {"Origin": "http://evil.example"}
    bare = person.context.request.post(f"{person.url}/api/v1/sessions/end", headers={})
    evil = person.context.request.post(f"{person.url}/api/v1/sessions/end", headers=foreign)
    assert (bare.status, evil.status) == (403, 403)
    assert person.context.request.get(f"{person.url}/api/v1/projects").status == 200


def test_a_role_that_was_taken_counts_at_once_in_open_pages(visitor: Come, platform: Platform) -> None:
    platform.cli("account", "add", "changing", "--role", "developer")
    password = platform.json("account", "new-password", "changing")["password"]
    person = visitor(account=("changing", password))
    page = person.go("/projects")
    expect(page.get_by_role("link", name="New project").first).to_be_visible()
    platform.cli("account", "role", "changing", "viewer")
    asked = page.evaluate(
        "fetch('/api/v1/projects', {method: 'POST', body: '{\"name\": \"mine\"}'}).then(one => one.status)"
    )
    assert asked == 403
    expect(page.get_by_role("link", name="New project")).to_have_count(0)


def test_an_admin_makes_an_account_that_can_sign_in(visitor: Come) -> None:
    page = visitor().go("/accounts")
    page.get_by_role("button", name="Add account").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Name").fill("ana")
    dialog.get_by_role("button", name="Add account").click()
    expect(page.get_by_role("heading", name="Password of ana")).to_be_visible()
    password = page.locator(".sf-dialog pre").inner_text()
    page.get_by_role("button", name="I have it").click()
    expect(page.get_by_role("row").filter(has_text="ana")).to_contain_text("Developer")
    other = visitor(account=None)
    fill(other.go("/signin"), "ana", password)
    expect(other.page.get_by_role("heading", name="Projects")).to_be_visible()


def test_an_api_key_made_in_the_console_opens_the_api_until_it_is_revoked(
    visitor: Come, platform: Platform
) -> None:
    person = visitor()
    page = person.go("/account")
    page.get_by_role("button", name="New API key").click()
    page.get_by_label("What it is for").fill("pipeline")
    page.get_by_role("dialog").get_by_role("button", name="New API key").click()
    expect(page.get_by_role("heading", name="API key “pipeline”")).to_be_visible()
    key = page.locator(".sf-dialog pre").inner_text()
    page.get_by_role("button", name="I have it").click()
    address = f"{person.url}/api/v1/projects"
    assert platform.get(address, f"Bearer {key}")[0] == 200
    page.get_by_role("row").filter(has_text="pipeline").get_by_role("button", name="Revoke").click()
    page.get_by_role("alertdialog").get_by_role("button", name="Revoke").click()
    expect(page.get_by_role("row").filter(has_text="pipeline")).to_have_count(0)
    assert platform.get(address, f"Bearer {key}")[0] == 401


def test_a_wrong_password_is_said_and_too_many_are_made_to_wait(visitor: Come) -> None:
    page = visitor(account=None).go("/signin")
    for _ in range(WRONG_PASSWORDS):
        fill(page, ADMIN, "guessed wrong")
        expect(page.get_by_role("alert")).to_contain_text("wrong")
    fill(page, ADMIN, PASSWORD)
    expect(page.get_by_role("alert")).to_contain_text("try again in")
    expect(page.get_by_label("Account")).to_have_value(ADMIN)

    def forgiven() -> bool:
        page.get_by_label("Password").fill(PASSWORD)
        page.get_by_role("button", name="Sign in").click()
        page.wait_for_load_state()
        return "/signin" not in page.url

    eventually(forgiven, "the end of the lock", 10 * FORGIVEN_SECONDS)
    expect(page.get_by_role("heading", name="Projects")).to_be_visible()
