"""The online service as its pages show it: instances, configuration, calls."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import expect

from tests.browser.test_deployments import serious
from tests.browser.visitor import Visitor
from tests.running_platform import STANDIN, Platform

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]
Come = Callable[..., Visitor]
ROOT = "/projects/studio/service"


@pytest.fixture(scope="module")
def studio(platform: Platform, tmp_path_factory: pytest.TempPathFactory) -> str:
    checkout = tmp_path_factory.mktemp("engine")
    (checkout / "main.py").write_bytes(STANDIN.read_bytes())
    platform.cli("project", "create", "studio", "--engine", str(checkout))
    return "studio"


def test_before_the_first_deployment_each_page_says_what_to_do(studio: str, visitor: Come) -> None:
    page = visitor()
    for path in ("", "/configuration", "/invocation", "/usage"):
        page.go(ROOT + path)
        expect(page.page.get_by_text("Nothing is online yet")).to_be_visible()


def test_a_token_made_in_the_console_calls_the_service_there(
    studio: str, visitor: Come, platform: Platform, artefacts: Path
) -> None:
    platform.cli("deploy", studio)
    page = visitor()
    page.go(f"{ROOT}/invocation")
    page.page.get_by_label("Name", exact=True).fill("camera")
    page.page.get_by_role("button", name="Create a token").click()
    shown = page.page.get_by_role("dialog")
    secret = shown.locator("pre").inner_text()
    shown.get_by_role("button").last.click()
    expect(page.page.locator("tbody tr")).to_contain_text("camera")
    page.page.get_by_label("Token", exact=True).fill(secret)
    page.page.get_by_role("button", name="Send", exact=True).click()
    expect(page.page.locator("[data-state=ok]")).to_have_text("200")
    expect(page.page.locator("[aria-live=polite] pre")).to_contain_text("queue_running")
    page.shoot(artefacts, "invocation-light")
    assert not serious(page)
    page.page.get_by_label("Token", exact=True).fill("another")
    page.page.get_by_role("button", name="Send", exact=True).click()
    expect(page.page.locator("[data-state=failed]")).to_have_text("401")


def test_an_instance_that_is_killed_is_seen_and_its_life_tells_of_it(
    studio: str, visitor: Come, platform: Platform, artefacts: Path
) -> None:
    page = visitor()
    page.go(ROOT)
    row = page.page.locator("tbody tr").first
    expect(row.locator(".sf-chip")).to_have_attribute("data-state", "serving")
    page.shoot(artefacts, "service-light")
    assert not serious(page)
    name = row.locator("a").inner_text()
    state = json.loads((platform.home / "run" / "instances" / name / "state.json").read_text())
    os.kill(state["pid"], signal.SIGKILL)
    expect(page.page.locator("tbody tr")).to_have_count(2)  # the fleet starts another one
    page.go(f"{ROOT}/instances/{name}")
    expect(page.page.locator(".sf-moments")).to_contain_text("stopped")
    page.shoot(artefacts, "instance-light")
    assert not serious(page)


def test_a_change_of_configuration_is_a_deployment_with_a_version_to_compare(
    studio: str, visitor: Come, artefacts: Path
) -> None:
    page = visitor(color_scheme="dark")
    page.go(f"{ROOT}/configuration")
    page.page.get_by_label("Environment, NAME=VALUE, one a line").fill("STYLE=quiet")
    page.shoot(artefacts, "configuration-dark")
    assert not serious(page)
    page.page.get_by_role("button", name="Save and deploy").click()
    expect(page.page.get_by_role("heading", level=1)).to_have_text("Deployment 2")
    expect(page.page.locator(".sf-head .sf-chip").first).to_have_attribute("data-state", "succeeded")
    page.go(f"{ROOT}/configuration")
    page.page.get_by_role("button", name="Compare", exact=True).click()
    expect(page.page.get_by_role("cell", name="quiet")).to_be_visible()


def test_a_value_that_cannot_be_is_refused_with_its_field(studio: str, visitor: Come) -> None:
    page = visitor()
    page.go(f"{ROOT}/configuration")
    page.page.get_by_label("Instances at least").fill("5")
    page.page.get_by_label("Instances at most").fill("2")
    page.page.get_by_role("button", name="Save and deploy").click()
    expect(page.page.get_by_role("dialog")).to_contain_text("maximum")


def test_usage_says_what_each_day_cost(studio: str, visitor: Come, artefacts: Path) -> None:
    page = visitor(viewport={"width": 390, "height": 844})
    page.go(f"{ROOT}/usage")
    expect(page.page.locator("tbody tr")).to_have_count(30)
    page.shoot(artefacts, "usage-narrow")
    assert not serious(page)
