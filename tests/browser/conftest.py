"""A real browser before a real platform: the system's Chromium, headless, driven by Playwright."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect, sync_playwright

from tests.browser.door import ADMIN, PASSWORD, platform_at, sign_in
from tests.browser.visitor import LIMIT_MS, Visitor
from tests.running_platform import Platform

expect.set_options(timeout=LIMIT_MS)
NAMES = ("chromium", "chromium-browser", "google-chrome")
# Containers have a small /dev/shm, and root may not use Chromium's own sandbox.
FLAGS = ("--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu")


@pytest.fixture(scope="session")
def artefacts() -> Path:
    """Where screenshots are kept to be looked at; git ignores it."""
    folder = Path(__file__).parents[2] / "artefacts" / "browser"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


# One a module and no longer: Playwright's loop would run on under the asynchronous tests of other modules.
@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Debian's Chromium. `apt-get install chromium` brings it."""
    found = next(filter(None, map(shutil.which, NAMES)), None)
    assert found is not None, "These tests need Chromium: apt-get install chromium."
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TMPDIR", "/tmp")  # a profile holds a socket, and a socket's path is short by law
        with sync_playwright() as playwright:
            started = playwright.chromium.launch(executable_path=found, args=[*FLAGS])
            yield started
            started.close()


@pytest.fixture(scope="module")
def platform(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    """A platform that is up, with an account of each role."""
    with platform_at(tmp_path_factory.mktemp("browser")) as up:
        yield up


@pytest.fixture
def visitor(browser: Browser, platform: Platform) -> Iterator[Callable[..., Visitor]]:
    """Makes visitors of the web door, each with a browser profile of its own.

    Their arguments are those of Playwright's `new_context`: viewport, color_scheme, locale, timezone_id; and
    `account`, a name and a password to sign in with (the admin's unless given; None: nobody).
    """
    here: list[Visitor] = []

    def come(account: tuple[str, str] | None = (ADMIN, PASSWORD), **options: object) -> Visitor:
        made = Visitor(browser, platform.record()["url"], options)
        here.append(made)
        if account is not None:
            sign_in(made, *account)
        return made

    yield come
    for one in here:
        one.close()
