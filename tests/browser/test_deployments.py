"""The history of a service and one deployment, as a reader sees them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import expect

from tests.browser.visitor import Visitor
from tests.running_platform import STANDIN, Platform

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]
BROKEN = "raise RuntimeError('no <b>face</b> model')\n"
Come = Callable[..., Visitor]


@pytest.fixture(scope="module")
def past(platform: Platform, tmp_path_factory: pytest.TempPathFactory) -> str:
    """A service with a deployment that serves, one of another snapshot, and one that failed."""
    checkout = tmp_path_factory.mktemp("engine")
    (checkout / "main.py").write_bytes(STANDIN.read_bytes())
    platform.cli("project", "create", "studio", "--engine", str(checkout))
    platform.cli("deploy", "studio", "--note", "the first one")
    plugins = platform.home / "projects" / "studio" / "workstation" / "custom_nodes"
    (plugins / "stamp").mkdir()
    (plugins / "stamp" / "__init__.py").write_text("NODE_CLASS_MAPPINGS = {}\n")
    platform.cli("deploy", "studio", "--note", "with a stamp")
    (plugins / "faces").mkdir()
    (plugins / "faces" / "__init__.py").write_text(BROKEN)
    platform.cli("deploy", "studio", "--note", "with faces", code=7)
    (plugins / "faces" / "__init__.py").write_text("NODE_CLASS_MAPPINGS = {}\n")
    return "studio"


def test_a_failed_deployment_is_understood_from_its_page_alone(
    past: str, visitor: Come, artefacts: Path
) -> None:
    page = visitor()
    page.go(f"/projects/{past}/deployments/3")
    told = page.page.get_by_role("alert")
    expect(told).to_contain_text("faces")
    expect(told).to_contain_text("no <b>face</b> model")  # as text
    expect(told).to_contain_text("goes on serving")
    page.shoot(artefacts, "deployment-failed")
    assert not serious(page)


def test_the_history_names_who_why_and_how_long_and_leads_to_each(
    past: str, visitor: Come, artefacts: Path
) -> None:
    page = visitor()
    page.go(f"/projects/{past}/deployments")
    rows = page.page.locator("tbody tr")
    expect(rows).to_have_count(3)
    expect(rows.nth(1)).to_contain_text("with a stamp")
    expect(rows.nth(1)).to_contain_text("Serves now")
    page.shoot(artefacts, "deployments-light")
    assert not serious(page)
    page.page.get_by_role("searchbox").fill("first")
    expect(page.page.locator("tbody tr:visible")).to_have_count(1)
    page.page.get_by_role("link", name="#1", exact=True).click()
    expect(page.page.get_by_role("heading", level=1)).to_have_text("Deployment 1")


def test_two_deployments_are_compared_by_what_their_snapshots_hold(past: str, visitor: Come) -> None:
    page = visitor()
    page.go(f"/projects/{past}/deployments")
    page.page.get_by_label("From").click()
    page.page.get_by_role("option", name="#1").click()
    page.page.get_by_label("To", exact=True).click()
    page.page.get_by_role("option", name="#2").last.click()
    page.page.get_by_role("button", name="Compare", exact=True).click()
    expect(page.page.locator(".sf-code pre").last).to_contain_text("stamp")


def test_a_return_is_one_press_and_a_second_browser_sees_it_go_by(
    past: str, visitor: Come, artefacts: Path
) -> None:
    one, other = visitor(), visitor(color_scheme="dark", viewport={"width": 390, "height": 844})
    other.go(f"/projects/{past}/deployments")
    one.go(f"/projects/{past}/deployments/1")
    one.page.get_by_role("button", name="Return to this").click()
    one.page.get_by_role("alertdialog").get_by_role("button", name="Yes, go on").click()
    expect(one.page.get_by_role("heading", level=1)).to_have_text("Deployment 4")
    expect(other.page.locator("tbody tr").first).to_contain_text("#4")
    expect(one.page.locator(".sf-head .sf-chip").first).to_have_attribute("data-state", "succeeded")
    expect(other.page.locator("tbody tr").first).to_contain_text("Serves now")
    one.shoot(artefacts, "deployment-light")
    other.shoot(artefacts, "deployments-dark-narrow")
    other.go(f"/projects/{past}/deployments/4")
    expect(other.page.get_by_role("heading", level=1)).to_have_text("Deployment 4")
    other.shoot(artefacts, "deployment-dark-narrow")
    assert not serious(other)


def serious(page: Visitor) -> list[str]:
    """What axe finds serious or critical."""
    found = Axe().run(page.page).response["violations"]
    return [f"{one['id']}: {one['nodes']}" for one in found if one["impact"] in ("serious", "critical")]
