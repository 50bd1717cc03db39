"""Deploy Online Service, from the first press to what serves."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import expect

from tests.browser.test_deployments import serious
from tests.browser.visitor import Visitor
from tests.running_platform import STANDIN, Platform

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]
Come = Callable[..., Visitor]


@pytest.fixture(scope="module")
def studio(platform: Platform, tmp_path_factory: pytest.TempPathFactory) -> str:
    checkout = tmp_path_factory.mktemp("engine")
    (checkout / "main.py").write_bytes(STANDIN.read_bytes())
    platform.cli("project", "create", "studio", "--engine", str(checkout))
    return "studio"


def test_the_first_deployment_is_asked_through_steps_and_followed_to_its_end(
    studio: str, visitor: Come, artefacts: Path
) -> None:
    page = visitor()
    page.go(f"/projects/{studio}/deploy")
    expect(page.page.get_by_role("heading", name="Instances")).to_be_visible()
    expect(page.page.locator("[data-finding=slots]")).to_be_visible()
    page.shoot(artefacts, "deploy-first-light")
    assert not serious(page)
    page.page.get_by_label("Note for the history").fill("from the console")
    page.page.get_by_role("button", name="Deploy", exact=True).click()
    expect(page.page.get_by_role("heading", level=1)).to_have_text("Deployment 1")
    expect(page.page.locator(".sf-head .sf-chip").first).to_have_attribute("data-state", "succeeded")
    expect(page.page.locator(".sf-facts")).to_contain_text("from the console")


def test_a_later_deployment_shows_what_is_new_and_asks_no_settings(
    studio: str, visitor: Come, platform: Platform, artefacts: Path
) -> None:
    plugin = platform.home / "projects" / studio / "workstation" / "custom_nodes" / "stamp"
    plugin.mkdir()
    (plugin / "__init__.py").write_text("NODE_CLASS_MAPPINGS = {}\n")
    page = visitor(color_scheme="dark", viewport={"width": 390, "height": 844})
    page.go(f"/projects/{studio}/deploy")
    expect(page.page.locator(".sf-code pre")).to_contain_text("stamp")
    expect(page.page.get_by_role("heading", name="Instances")).to_have_count(0)
    page.shoot(artefacts, "deploy-later-dark-narrow")
    assert not serious(page)


def test_a_workflow_in_the_editors_format_is_refused_with_what_to_do(
    studio: str, visitor: Come, tmp_path: Path
) -> None:
    page = visitor()
    page.go(f"/projects/{studio}/deploy")
    file = tmp_path / "drawn.json"
    file.write_text(json.dumps({"nodes": [], "links": [], "version": 0.4}))
    page.page.locator("input[type=file]").set_input_files(file)
    expect(page.page.get_by_role("dialog")).to_contain_text("Export (API)")
