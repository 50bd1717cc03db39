"""Bad input at the command line: a sentence, its exit code, and nothing changed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from workstation.layout import Home

pytestmark = pytest.mark.slow

LIMIT_SECONDS = 120.0
UI_FORMAT = {"nodes": [{"id": 1, "type": "SaveImage"}], "links": [], "version": 0.4}


def stillframe(home: Path, *words: str, **variables: str) -> subprocess.CompletedProcess[str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("STILLFRAME_")}
    command = [sys.executable, "-m", "web.cli.main", *words, "--home", str(home)]
    return subprocess.run(
        command,
        capture_output=True,
        text=True,
        timeout=LIMIT_SECONDS,
        stdin=subprocess.DEVNULL,
        env={**kept, **variables},
        check=False,
    )


def content_of(folder: Path) -> set[tuple[str, int]]:
    """Every path with its size, locks and logs in `run` aside: a refused command leaves it as it was."""
    return {
        (str(path.relative_to(folder)), 0 if path.is_dir() or path.is_symlink() else path.stat().st_size)
        for path in folder.rglob("*")
        if not {"__pycache__", "run"} & set(path.relative_to(folder).parts)
    }


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Home]:
    folder = tmp_path_factory.mktemp("cli") / "home"
    made = stillframe(folder, "project", "create", "studio")
    assert made.returncode == 0, made.stderr
    yield Home(folder)


def refused(home: Home, code: int, *words: str) -> str:
    """Run a command that must be refused with `code`; returns its sentence."""
    before = content_of(home.projects)
    done = stillframe(home.root, *words)
    assert done.returncode == code, (done.stdout, done.stderr)
    assert "Traceback" not in done.stderr
    assert done.stdout == ""
    assert content_of(home.projects) == before
    return done.stderr


def test_an_unknown_project_is_named_with_those_that_exist(home: Home) -> None:
    sentence = refused(home, 4, "project", "show", "nobody")
    assert "nobody" in sentence and "studio" in sentence


@pytest.mark.parametrize("name", ["a/b", "..", "../escape", "Upper", ""])
def test_a_name_that_could_leave_its_folder_is_refused(home: Home, name: str) -> None:
    assert "cannot name a project" in refused(home, 3, "project", "create", name)


def test_a_second_project_of_one_name_is_refused(home: Home) -> None:
    assert "studio" in refused(home, 5, "project", "create", "studio")


def test_a_plugin_that_does_not_clone_is_refused(home: Home, tmp_path: Path) -> None:
    url = f"file://{tmp_path}/nothing-here.git"
    assert "nothing-here" in refused(home, 9, "plugin", "install", "studio", url)


def test_a_ref_that_does_not_exist_is_named_with_its_repository(home: Home, tmp_path: Path) -> None:
    repository = git_plugin(tmp_path / "stamp")
    sentence = refused(home, 3, "plugin", "install", "studio", str(repository), "--ref", "no-such-tag")
    assert "no-such-tag" in sentence


def test_a_zip_that_would_write_outside_its_folder_is_refused(home: Home, tmp_path: Path) -> None:
    archive = tmp_path / "evil.zip"
    with zipfile.ZipFile(archive, "w") as made:
        made.writestr("evil/__init__.py", "NODE_CLASS_MAPPINGS = {}\n")
        made.writestr("evil/../../../../escaped.py", "x = 1\n")
    assert "../" in refused(home, 3, "plugin", "install", "studio", str(archive))
    assert not list(home.root.parent.rglob("escaped.py"))


def test_a_requirement_that_does_not_resolve_is_named(home: Home) -> None:
    wanted = "a-package-that-nobody-has-ever-made==1.0"
    assert "a-package-that-nobody-has-ever-made" in refused(home, 6, "deps", "add", "studio", wanted)


def test_a_requirement_that_would_replace_torch_is_refused(home: Home, tmp_path: Path) -> None:
    wheel = tmp_path / "torch-1.0-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as made:
        made.writestr("torch.py", "")
        made.writestr("torch-1.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: torch\nVersion: 1.0\n")
        made.writestr("torch-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\nTag: py3-none-any\n")
        made.writestr("torch-1.0.dist-info/RECORD", "")
    sentence = refused(home, 6, "deps", "add", "studio", str(wheel))
    assert "torch" in sentence and "1.0" in sentence


def test_a_workflow_that_is_not_json_is_refused(home: Home, tmp_path: Path) -> None:
    (tmp_path / "broken.json").write_text("{not json")
    assert "JSON" in refused(home, 3, "model", "missing", str(tmp_path / "broken.json"))


def test_a_workflow_in_ui_format_is_refused_with_how_to_export_it(home: Home, tmp_path: Path) -> None:
    (tmp_path / "ui.json").write_text(json.dumps(UI_FORMAT))
    sentence = refused(home, 3, "workstation", "run", "studio", str(tmp_path / "ui.json"))
    assert "API" in sentence and "xport" in sentence


def test_a_workflow_file_that_is_not_there_is_named(home: Home, tmp_path: Path) -> None:
    assert "gone.json" in refused(home, 3, "model", "missing", str(tmp_path / "gone.json"))


def test_a_missing_model_is_named_with_its_folder(home: Home, tmp_path: Path) -> None:
    node = {"class_type": "CheckpointLoaderSimple", "inputs": {"ckpt_name": "none.safetensors"}}
    (tmp_path / "workflow.json").write_text(json.dumps({"1": node}))
    done = stillframe(home.root, "model", "missing", str(tmp_path / "workflow.json"))
    assert done.returncode == 4
    assert "none.safetensors" in done.stdout and "checkpoints" in done.stdout


def test_what_needs_the_platform_says_to_run_up(home: Home) -> None:
    assert "stillframe up" in refused(home, 8, "deploy", "studio")


def test_a_destructive_command_without_a_terminal_wants_yes(home: Home) -> None:
    assert "--yes" in refused(home, 6, "project", "remove", "studio")


def test_a_service_that_was_never_deployed_is_not_found(home: Home) -> None:
    assert "studio" in refused(home, 4, "service", "show", "studio")


def test_a_home_that_is_not_there_is_named_and_not_made(tmp_path: Path) -> None:
    done = stillframe(tmp_path / "nowhere", "project", "list")
    assert done.returncode == 4 and str(tmp_path / "nowhere") in done.stderr
    assert not (tmp_path / "nowhere").exists()


def test_a_home_made_by_a_newer_version_is_refused(tmp_path: Path) -> None:
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "home.toml").write_text("format = 999\n")
    done = stillframe(tmp_path / "home", "project", "list")
    assert done.returncode == 10 and "999" in done.stderr


def test_an_unknown_setting_is_refused_with_its_name_and_an_example(home: Home) -> None:
    done = stillframe(home.root, "project", "list", STILLFRAME_BAKE_SECONDZ="3")
    assert done.returncode == 3
    assert "bake_secondz" in done.stderr and "bake_seconds" in done.stderr


def test_with_json_an_error_is_a_problem_document(home: Home) -> None:
    done = stillframe(home.root, "project", "show", "nobody", "--json")
    problem = json.loads(done.stdout)
    assert (done.returncode, problem["exit_code"], problem["status"]) == (4, 4, 404)
    assert problem["type"] == "urn:stillframe:problem:project-not-found"
    assert "studio" in str(problem["existing"])


def test_a_traceback_is_shown_only_when_asked_for(home: Home) -> None:
    done = stillframe(home.root, "--debug", "project", "show", "nobody")
    assert done.returncode == 4 and "Traceback" in done.stderr


def git_plugin(folder: Path) -> Path:
    folder.mkdir()
    (folder / "__init__.py").write_text("NODE_CLASS_MAPPINGS = {}\n")
    identity = ["-c", "user.name=t", "-c", "user.email=t@example.org"]
    for words in (["init", "-q", "-b", "main"], ["add", "."], ["commit", "-qm", "a plugin"]):
        subprocess.run(["git", *identity, *words], cwd=folder, check=True, capture_output=True)
    return folder
