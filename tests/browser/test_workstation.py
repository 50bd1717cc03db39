"""The workstation's pages: its engine, plugins, packages, models and workflows."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import expect

from tests.browser.test_deployments import serious
from tests.browser.visitor import Visitor
from tests.running_platform import STANDIN, Platform

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]
Come = Callable[..., Visitor]
ROOT = "/projects/studio/workstation"
GIT = ("git", "-c", "user.name=ana", "-c", "user.email=ana@example.org")


@pytest.fixture(scope="module")
def studio(platform: Platform, tmp_path_factory: pytest.TempPathFactory) -> Platform:
    checkout = tmp_path_factory.mktemp("engine")
    (checkout / "main.py").write_bytes(STANDIN.read_bytes())
    platform.cli("project", "create", "studio", "--engine", str(checkout))
    saved = platform.home / "projects" / "studio" / "workstation" / "user" / "default" / "workflows"
    saved.mkdir(parents=True, exist_ok=True)
    workflow = {
        "1": {"class_type": "StandInText", "inputs": {"text": "a lighthouse"}},
        "2": {"class_type": "StandInSave", "inputs": {"text": ["1", 0], "filename_prefix": "light"}},
    }
    (saved / "light.json").write_text(json.dumps(workflow))
    return platform


def repository(folder: Path, name: str, source: str) -> Path:
    """A plugin in a git repository of its own."""
    place = folder / name
    place.mkdir()
    (place / "__init__.py").write_text(source)
    for words in (("init", "-q"), ("add", "."), ("commit", "-q", "-m", "first")):
        subprocess.run([*GIT, *words], cwd=place, check=True)
    return place


def test_the_engine_starts_at_a_press_and_its_log_comes_by_itself(
    studio: Platform, visitor: Come, artefacts: Path
) -> None:
    page = visitor()
    page.go(ROOT)
    page.page.get_by_role("button", name="Start", exact=True).click()
    expect(page.page.locator("[data-state=running]")).to_be_visible()
    expect(page.page.get_by_role("log")).to_contain_text("To see the GUI go to")
    expect(page.page.locator("iframe")).to_be_visible()
    page.shoot(artefacts, "workstation-light")


def test_a_plugin_is_installed_from_git_and_one_that_breaks_is_told_with_its_traceback(
    studio: Platform, visitor: Come, tmp_path: Path, artefacts: Path
) -> None:
    good = repository(tmp_path, "stamp", "NODE_CLASS_MAPPINGS = {}\n")
    bad = repository(tmp_path, "faces", "raise RuntimeError('no <i>face</i>')\n")
    page = visitor()
    page.go(f"{ROOT}/plugins")
    for place in (good, bad):
        page.page.get_by_label("Git address").fill(str(place))
        page.page.get_by_role("button", name="Install", exact=True).click()
        expect(page.page.locator(f"[data-plugin={place.name}]")).to_contain_text("Not tried yet")
    page.go(ROOT)
    page.page.get_by_role("button", name="Restart", exact=True).click()
    expect(page.page.get_by_role("log")).to_contain_text("IMPORT FAILED")
    page.go(f"{ROOT}/plugins")
    expect(page.page.locator("[data-plugin=stamp]")).to_contain_text("Imported in")
    broken = page.page.locator("[data-plugin=faces]")
    expect(broken).to_contain_text("no <i>face</i>")  # as text
    broken.locator("summary").click()
    expect(broken.locator("pre")).to_contain_text("RuntimeError")
    page.shoot(artefacts, "plugins-light")
    assert not serious(page)
    broken.get_by_role("button", name="Disable").click()
    expect(broken).to_contain_text("Disabled")


def test_a_saved_workflow_runs_at_a_press(studio: Platform, visitor: Come, artefacts: Path) -> None:
    page = visitor()
    page.go(f"{ROOT}/workflows")
    page.page.get_by_role("button", name="Run", exact=True).click()
    expect(page.page.locator("[data-state=done]")).to_contain_text("light")
    expect(page.page.locator("figure")).to_contain_text("light_00001_.txt")
    page.shoot(artefacts, "workflows-light")
    assert not serious(page)


def test_a_requirement_that_cannot_be_resolved_changes_nothing_and_says_why(
    studio: Platform, visitor: Come, artefacts: Path
) -> None:
    page = visitor(color_scheme="dark", viewport={"width": 390, "height": 844})
    page.go(f"{ROOT}/packages")
    page.page.get_by_label("Requirements as pip writes them").fill("no-such-package-at-all==99")
    page.page.get_by_role("button", name="What would it change?").click()
    expect(page.page.get_by_role("dialog")).to_contain_text("no-such-package-at-all")
    page.page.get_by_role("dialog").get_by_role("button", name="Close").click()
    expect(page.page.get_by_role("dialog")).to_have_count(0)  # it fades
    page.shoot(artefacts, "packages-dark-narrow")
    assert not serious(page)


def test_the_kinds_of_models_say_what_each_is_for(studio: Platform, visitor: Come, artefacts: Path) -> None:
    page = visitor()
    page.go(f"{ROOT}/models")
    expect(page.page.get_by_role("cell", name="checkpoints", exact=True)).to_be_visible()
    page.shoot(artefacts, "models-light")
    assert not serious(page)
