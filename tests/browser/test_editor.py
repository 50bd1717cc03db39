"""The real frontend in a real browser: drawn, run, watched, saved, and shut in."""

from __future__ import annotations

import json
import os
import re
import shlex
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.browser.studio import faulty_workflow, make_studio, picture_workflow
from tests.browser.visitor import Visitor
from tests.running_platform import Platform
from web.editor.templates import TEMPLATES, workflow
from workstation.bases import add_base
from workstation.home import open_home
from workstation.layout import Project
from workstation.process import stop_workstation

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

REAL = "STILLFRAME_CONTRACT_ENGINE"  # "PYTHON CHECKOUT/main.py": a ComfyUI that the same tests may use
EDITOR = "/projects/studio/editor/"
SIZE = {"width": 1400, "height": 900}
READY = "document.getElementById('splash-loader') === null && !!document.getElementById('painter-mark')"
# What a user may have and a new one has not; ComfyUI answers 404 as well.
OPTIONAL = ("/api/userdata/comfy.templates.json", "/api/userdata?dir=subgraphs")
# The first address of such a line is what was blocked; this origin's own must not be.
BLOCKED_HERE = re.compile(r"^[^']*'(http|ws)://127\.0\.0\.1[^']*'.*Content Security Policy")
WATCH = """() => {
  const seen = (window.seen = {progress: 0, previews: 0, success: 0, preview_bytes: 0});
  const api = window.comfyAPI.api.api;
  api.addEventListener("progress", () => seen.progress++);
  api.addEventListener("execution_success", () => seen.success++);
  api.addEventListener("b_preview", (event) => { seen.previews++; seen.preview_bytes += event.detail.size; });
}"""
FIT = "window.comfyAPI.app.app.extensionManager.command.execute('Comfy.Canvas.FitView')"
RESULT = """(() => {
  const node = window.comfyAPI.app.app.rootGraph.nodes.find((one) => one.type === "SaveImage");
  const picture = node.imgs && node.imgs[0];
  return picture && picture.complete && [picture.naturalWidth, picture.naturalHeight];
})()"""


@pytest.fixture(scope="module")
def studio(platform: Platform) -> Iterator[Project]:
    project = make_studio(platform)
    yield project
    stop_workstation(project)


@pytest.fixture
def editor(visitor: Callable[..., Visitor], studio: Project) -> Visitor:
    """Somebody who has the editor open, and not for the first time."""
    settings = studio.workstation.user / "default" / "comfy.settings.json"
    settings.parent.mkdir(parents=True, exist_ok=True)
    settings.write_text(json.dumps({"Comfy.TutorialCompleted": True}))
    person = visitor(viewport=SIZE)
    person.go(EDITOR)
    person.until(READY)
    return person


def load(person: Visitor, workflow: dict[str, Any], name: str) -> None:
    """Open a workflow in API format, as dropping its file does."""
    person.page.evaluate(
        "([workflow, name]) => window.comfyAPI.app.app.loadApiJson(workflow, name)", [workflow, name]
    )
    person.until(f"window.comfyAPI.app.app.rootGraph.nodes.length === {len(workflow)}")
    person.page.evaluate(FIT)


def test_the_editor_draws_nodes_and_runs_a_plugins_script_and_calls_nobody_else(
    editor: Visitor, artefacts: Path
) -> None:
    load(editor, picture_workflow(), "lighthouse")
    editor.until("window.comfyAPI.app.app.canvas.visible_nodes.length > 3")
    editor.shoot(artefacts, "editor-drawn")
    assert editor.page.locator("#painter-mark").inner_text() == "painter is here"
    assert editor.until("window.painterWords") == "from its absolute path"
    assert [one for one in editor.failures if not any(known in one[1] for known in OPTIONAL)] == []
    assert editor.errors == []
    assert editor.outside == []
    # The frontend asks a model hub how large a model is that the default graph names: that is stopped.
    assert [line for line in editor.console if BLOCKED_HERE.search(line)] == []


def test_whoever_opens_it_for_the_first_time_is_offered_templates_that_run_here(
    visitor: Callable[..., Visitor], studio: Project, artefacts: Path
) -> None:
    (studio.workstation.user / "default" / "comfy.settings.json").unlink(missing_ok=True)
    person = visitor(viewport=SIZE)
    person.go(EDITOR)
    person.until(READY)
    card = person.page.get_by_text("Larger picture in two passes").first
    card.wait_for()
    person.page.wait_for_load_state("networkidle")
    person.shoot(artefacts, "editor-templates")
    card.click()
    person.until("window.comfyAPI.app.app.rootGraph.nodes.length === 9")
    unknown = "window.comfyAPI.app.app.rootGraph.nodes.filter((node) => !node.constructor.nodeData).length"
    assert person.page.evaluate(unknown) == 0
    person.shoot(artefacts, "editor-template-opened")
    assert [one for one in person.failures if not any(known in one[1] for known in OPTIONAL)] == []


def test_the_page_cannot_call_out_nor_reach_the_platforms_own_api(editor: Visitor) -> None:
    ask = "(address) => fetch(address).then((answer) => answer.status, (error) => 'refused')"
    assert editor.page.evaluate(ask, f"{editor.url}{EDITOR}api/queue") == 200
    assert editor.page.evaluate(ask, f"{editor.url}/api/v1/projects") == "refused"
    assert editor.page.evaluate(ask, "http://127.0.0.1:1/") == "refused"
    assert editor.page.evaluate(ask, "https://api.comfy.org/releases") == "refused"


def test_a_run_shows_its_progress_previews_and_picture(editor: Visitor, artefacts: Path) -> None:
    load(editor, picture_workflow(), "lighthouse")
    editor.page.evaluate(WATCH)
    editor.page.get_by_test_id("queue-button").click()
    editor.until("window.seen.success > 0", 180)
    seen = editor.page.evaluate("window.seen")
    assert seen["progress"] >= 6
    assert seen["previews"] >= 5 and seen["preview_bytes"] > 0
    assert editor.until(RESULT) == [64, 64]
    editor.shoot(artefacts, "editor-result")
    assert editor.outside == [] and editor.errors == []


def test_a_saved_workflow_is_listed_after_a_reload_and_opens(
    editor: Visitor, studio: Project, artefacts: Path
) -> None:
    load(editor, picture_workflow(), "lighthouse")
    page = editor.page
    page.locator("canvas#graph-canvas").click(position={"x": 700, "y": 850})
    page.keyboard.press("Control+s")
    name = page.get_by_role("dialog").get_by_role("textbox")
    name.fill("harbour")
    name.press("Enter")
    file = studio.workstation.workflows / "harbour.json"
    editor.until(
        "window.comfyAPI.api.api.getUserData('workflows/harbour.json').then((a) => a.status === 200)"
    )
    assert len(json.loads(file.read_text())["nodes"]) == 7
    page.reload()
    editor.until(READY)
    page.keyboard.press("w")
    listed = page.get_by_text("harbour", exact=True).locator("visible=true").last
    listed.wait_for()
    editor.shoot(artefacts, "editor-workflows")
    listed.click()
    editor.until("window.comfyAPI.app.app.rootGraph.nodes.length === 7")


def test_an_export_is_what_the_editor_itself_would_send(
    editor: Visitor, platform: Platform, studio: Project, tmp_path: Path
) -> None:
    for template in TEMPLATES:
        file = tmp_path / f"{template.name}.json"
        file.write_bytes(workflow(template.name))
        platform.cli("workflow", "save", "studio", str(file))
        editor.page.evaluate(
            "(graph) => window.comfyAPI.app.app.loadGraphData(graph)", json.loads(file.read_text())
        )
        sent = editor.page.evaluate("async () => (await window.comfyAPI.app.app.graphToPrompt()).output")
        assert platform.cli("workflow", "export", "studio", template.name).value == sent
    listed = platform.json("workflow", "list", "studio")
    assert {(one["name"], one["format"]) for one in listed} >= {(one.name, "editor") for one in TEMPLATES}


def test_a_workflow_saved_in_the_editor_runs_at_the_command_line(
    editor: Visitor, platform: Platform, studio: Project, tmp_path: Path
) -> None:
    load(editor, picture_workflow(), "pier")
    editor.page.evaluate(
        """() => window.comfyAPI.api.api.storeUserData(
            "workflows/by the sea/pier.json", window.comfyAPI.app.app.rootGraph.serialize())"""
    )
    platform.cli("workflow", "run", "studio", "by the sea/pier", "--save", str(tmp_path), limit_seconds=300)
    (picture,) = tmp_path.glob("lighthouse*.png")
    assert picture.read_bytes().startswith(b"\x89PNG")
    address = platform.cli("workstation", "open", "studio", "--no-browser").out.strip()
    assert address == editor.url + EDITOR
    platform.cli("workflow", "show", "studio", "../../comfy.settings", code=3)
    platform.cli("workflow", "export", "studio", "nothing", code=4)


def test_a_node_that_raises_is_told_without_a_path_of_this_machine(
    editor: Visitor, studio: Project, artefacts: Path
) -> None:
    note = "(event) => { window.told = event.detail; }"
    editor.page.evaluate(f"window.comfyAPI.api.api.addEventListener('execution_error', {note})")
    load(editor, faulty_workflow(), "faulty")
    editor.page.get_by_test_id("queue-button").click()
    told = editor.until("window.told", 180)
    editor.shoot(artefacts, "editor-error")
    assert told["node_type"] == "Faulty" and told["traceback"]
    assert "custom_nodes/painter" in told["exception_message"]
    assert str(studio.root) not in json.dumps(told)


def test_the_editor_of_a_stopped_workstation_says_so_and_opens_when_it_runs(
    visitor: Callable[..., Visitor], platform: Platform, studio: Project, artefacts: Path
) -> None:
    platform.cli("workstation", "stop", "studio")
    person = visitor(viewport=SIZE)
    person.go(EDITOR)
    person.page.get_by_text("stillframe workstation start studio").wait_for()
    person.shoot(artefacts, "editor-stopped")
    platform.cli("workstation", "start", "studio", "--cpu", limit_seconds=300)
    person.until(READY)


def test_the_editor_finds_its_engine_again_after_a_restart(editor: Visitor, platform: Platform) -> None:
    client = editor.until("window.comfyAPI.api.api.clientId")
    editor.page.evaluate(
        "() => window.comfyAPI.api.api.addEventListener('reconnected', () => { window.again = true; })"
    )
    platform.cli("workstation", "restart", "studio", limit_seconds=300)
    editor.until("window.again")
    assert editor.until("window.comfyAPI.api.api.clientId") == client


@pytest.mark.skipif(REAL not in os.environ, reason=f"{REAL} names no ComfyUI")
def test_a_real_checkout_of_comfyui_runs_under_the_same_page(
    visitor: Callable[..., Visitor], platform: Platform, artefacts: Path
) -> None:
    python, program = shlex.split(os.environ[REAL])
    add_base(open_home(platform.home), "comfyui", Path(python))
    checkout = str(Path(program).parent)
    platform.cli("project", "create", "real", "--engine", checkout, "--base", "comfyui", limit_seconds=600)
    platform.cli("workstation", "start", "real", "--cpu", limit_seconds=600)
    try:
        person = visitor(viewport=SIZE)
        person.go("/projects/real/editor/")
        person.until("document.getElementById('splash-loader') === null && !!window.comfyAPI")
        person.page.keyboard.press("Escape")
        blue = {
            "class_type": "EmptyImage",
            "inputs": {"width": 64, "height": 64, "batch_size": 1, "color": 255},
        }
        save = {"class_type": "SaveImage", "inputs": {"images": ["1", 0], "filename_prefix": "real"}}
        load(person, {"1": blue, "2": save}, "real")
        person.page.evaluate(WATCH)
        person.page.get_by_test_id("queue-button").click()
        person.until("window.seen.success > 0", 180)
        assert person.until(RESULT) == [64, 64]
        person.shoot(artefacts, "editor-comfyui")
        assert [one for one in person.failures if not any(known in one[1] for known in OPTIONAL)] == []
        assert person.outside == [] and person.errors == []
    finally:
        platform.cli("workstation", "stop", "real")
