"""The snapshots of a project and one of them, as a reader sees them."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import expect

from snapshotter.catalogue import list_snapshots
from tests.browser.door import PASSWORD, VIEWER
from tests.browser.test_deployments import serious
from tests.browser.visitor import Visitor
from tests.running_platform import STANDIN, Platform
from workstation.home import open_home

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]
Come = Callable[..., Visitor]
ROOT = "/projects/studio/snapshots"
GIT = ("git", "-c", "user.name=ana", "-c", "user.email=ana@example.org")
NARROW = {"width": 390, "height": 844}


@pytest.fixture(scope="module")
def plugins(platform: Platform, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three snapshots: 1 was frozen, 2 has a plugin and serves, 3 has an edit of it; where plugins lie."""
    checkout = tmp_path_factory.mktemp("engine")
    (checkout / "main.py").write_bytes(STANDIN.read_bytes())
    platform.cli("project", "create", "studio", "--engine", str(checkout))
    platform.cli("snapshot", "create", "studio")
    folder = platform.home / "projects" / "studio" / "workstation" / "custom_nodes"
    stamp = folder / "stamp"
    stamp.mkdir()
    (stamp / "__init__.py").write_text("NODE_CLASS_MAPPINGS = {}\n")
    for words in (("init", "-q"), ("add", "."), ("commit", "-q", "-m", "first")):
        subprocess.run([*GIT, *words], cwd=stamp, check=True)
    platform.cli("deploy", "studio", "--note", "with a stamp")
    (stamp / "__init__.py").write_text("NODE_CLASS_MAPPINGS = {}\n# <b>edited</b>\n")
    platform.cli("snapshot", "create", "studio")
    return folder


def test_a_project_without_a_snapshot_is_told_how_one_comes(
    platform: Platform, visitor: Come, tmp_path: Path, artefacts: Path
) -> None:
    (tmp_path / "main.py").write_bytes(STANDIN.read_bytes())
    platform.cli("project", "create", "empty", "--engine", str(tmp_path))
    page = visitor()
    page.go("/projects/empty/snapshots")
    expect(page.page.get_by_role("heading", name="Nothing was frozen yet")).to_be_visible()
    page.page.get_by_role("button", name="Freeze now").click()
    expect(page.page.locator("tbody tr")).to_have_count(1)
    expect(page.page.locator("tbody tr")).to_contain_text("no parent")


def test_the_list_says_sizes_what_each_brought_and_what_is_needed(
    plugins: Path, visitor: Come, artefacts: Path
) -> None:
    page = visitor()
    page.go(ROOT)
    rows = page.page.locator("tbody tr")
    expect(rows).to_have_count(3)
    expect(rows.nth(0)).to_contain_text("41 B · < 0.1 %")
    expect(rows.nth(1)).to_contain_text("Serves now")
    expect(rows.nth(2)).to_contain_text("no parent")
    page.shoot(artefacts, "snapshots-light")
    assert not serious(page)


def test_two_snapshots_are_compared_and_one_with_the_workstation(plugins: Path, visitor: Come) -> None:
    page = visitor()
    page.go(ROOT)
    page.page.get_by_role("button", name="Compare", exact=True).click()
    expect(page.page.get_by_text("Both hold the same.")).to_be_visible()
    page.page.get_by_label("From").click()
    page.page.get_by_role("option", name="#1").click()
    page.page.get_by_label("To", exact=True).click()
    page.page.get_by_role("option", name="#2").last.click()
    page.page.get_by_role("button", name="Compare", exact=True).click()
    expect(page.page.locator(".sf-code pre")).to_contain_text("plugin custom_nodes/stamp")


def test_a_snapshot_tells_its_plugins_with_commit_and_edits_and_how_it_leaves(
    plugins: Path, visitor: Come, artefacts: Path
) -> None:
    page = visitor(color_scheme="dark", viewport=NARROW)
    page.go(f"{ROOT}/3")
    expect(page.page.get_by_role("heading", level=1)).to_have_text("Snapshot 3")
    commit = subprocess.check_output(["git", "rev-parse", "HEAD"], cwd=plugins / "stamp", text=True)
    expect(page.page.get_by_role("row").filter(has_text=commit[:12])).to_contain_text("__init__.py")
    expect(page.page.locator("body")).to_contain_text("stillframe snapshot export studio 3")
    expect(page.page.locator("body")).to_contain_text("What changed since snapshot 2")
    page.shoot(artefacts, "snapshot-dark-narrow")
    assert not serious(page)
    page.go(ROOT)
    expect(page.page.locator("tbody tr")).not_to_have_count(0)
    page.shoot(artefacts, "snapshots-dark-narrow")
    assert not serious(page)


def test_a_restore_says_before_what_it_changes_and_is_undone_at_a_press(
    plugins: Path, visitor: Come, artefacts: Path
) -> None:
    page = visitor()
    page.go(f"{ROOT}/1")
    page.page.get_by_role("button", name="Restore", exact=True).click()
    plan = page.page.get_by_role("table", name="What would change")
    expect(plan).to_contain_text("custom_nodes/stamp")
    expect(plan).to_contain_text("Goes")
    assert (plugins / "stamp").is_dir()
    page.shoot(artefacts, "snapshot-restore-light")
    assert not serious(page)
    page.page.get_by_role("button", name="Restore it").click()
    expect(page.page.locator("[data-restored='1']")).to_be_visible()
    assert not (plugins / "stamp").exists()
    page.page.get_by_role("button", name="Undo").click()
    expect(page.page.locator("[data-restored='3']")).to_be_visible()
    assert "edited" in (plugins / "stamp" / "__init__.py").read_text()


def test_damage_is_found_by_verifying_and_given_back_from_the_workstation(
    plugins: Path, platform: Platform, visitor: Come, artefacts: Path
) -> None:
    page = visitor()
    page.go(f"{ROOT}/3")
    page.page.get_by_role("button", name="Verify", exact=True).click()
    expect(page.page.locator("[data-verified=ok]")).to_be_visible()
    for file in (platform.home / "store" / "objects").rglob("*"):
        if file.is_file() and b"<b>edited</b>" in file.read_bytes():
            file.chmod(0o644)
            file.write_bytes(file.read_bytes().replace(b"edited", b"EDITED"))
    page.page.get_by_role("button", name="Verify", exact=True).click()
    damaged = page.page.locator("[data-verified=damaged]")
    expect(damaged).to_contain_text("custom_nodes/stamp: __init__.py")
    page.shoot(artefacts, "snapshot-damaged-light")
    assert not serious(page)
    page.page.get_by_role("button", name="Give back what is there").click()
    expect(page.page.locator("[data-verified=ok]")).to_contain_text("1 damaged")


def test_what_serves_cannot_be_deleted_and_says_why_and_what_nobody_needs_goes(
    plugins: Path, platform: Platform, visitor: Come, artefacts: Path
) -> None:
    page = visitor()
    page.go(f"{ROOT}/2")
    expect(page.page.get_by_text("Cannot be deleted")).to_contain_text("serves it (deployment 1)")
    expect(page.page.get_by_role("button", name="Delete")).to_be_disabled()
    page.shoot(artefacts, "snapshot-light")
    assert not serious(page)
    page.go(f"{ROOT}/1")
    page.page.get_by_role("button", name="Delete").click()
    page.page.get_by_role("alertdialog").get_by_role("button", name="Yes, go on").click()
    expect(page.page.get_by_role("heading", level=1)).to_have_text("Snapshots")
    expect(page.page.get_by_role("link", name="#2", exact=True)).to_be_visible()
    expect(page.page.get_by_role("link", name="#1", exact=True)).to_have_count(0)
    place = open_home(platform.home).project("studio")
    assert 1 not in [one.number for one in list_snapshots(place.snapshots)]
    page.go(f"{ROOT}/1")
    expect(page.page.get_by_role("alert").first).to_contain_text("There is no snapshot '1'")


def test_a_viewer_reads_and_compares_and_changes_nothing(plugins: Path, visitor: Come) -> None:
    page = visitor((VIEWER, PASSWORD))
    page.go(f"{ROOT}/3")
    expect(page.page.get_by_role("button", name="Compare with the workstation")).to_be_visible()
    for name in ("Restore", "Verify", "Delete"):
        expect(page.page.get_by_role("button", name=name)).to_have_count(0)
