"""Homes, projects, bases, models and caches on a real disk."""

from __future__ import annotations

import stat
import subprocess
from pathlib import Path

import pytest

from workstation import models
from workstation.bases import add_base, ensure_default_base, fingerprint, list_bases, read_base
from workstation.cache import list_cache
from workstation.dependencies.errors import DependencyConflict
from workstation.engines import EngineChoice, engine_command, engine_version
from workstation.errors import (
    BadName,
    BaseNotFound,
    BaseUnusable,
    CloneFailed,
    EngineSourceUnusable,
    HomeTooNew,
    HomeUnreadable,
    ProjectExists,
    ProjectNotFound,
    ProjectTooNew,
    RefNotFound,
)
from workstation.home import open_home
from workstation.project import create_project, list_projects, read_project, remove_project
from workstation.workflows import parse_workflow


def python_says(project, code: str) -> str:
    done = subprocess.run(
        [str(project.workstation.python), "-c", code], check=True, capture_output=True, text=True
    )
    return done.stdout.strip()


def test_a_home_is_private_and_has_the_model_folders(tmp_path):
    home = open_home(tmp_path / "h")
    assert stat.S_IMODE(home.root.stat().st_mode) == 0o700
    assert (home.models / "checkpoints").is_dir()
    assert open_home(tmp_path / "h") == home


def test_a_home_of_a_newer_version_is_refused_and_left_alone(tmp_path):
    home = open_home(tmp_path / "h")
    home.file.write_text("format = 2\n")
    with pytest.raises(HomeTooNew) as caught:
        open_home(home.root)
    assert (caught.value.found, caught.value.known) == (2, 1)
    assert home.file.read_text() == "format = 2\n"


def test_a_folder_of_something_else_is_not_taken_over(tmp_path):
    (tmp_path / "thesis.tex").touch()
    with pytest.raises(HomeUnreadable, match=r"thesis\.tex"):
        open_home(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]


def test_a_damaged_home_file_is_named(tmp_path):
    home = open_home(tmp_path / "h")
    home.file.write_text("form")
    with pytest.raises(HomeUnreadable, match="damaged"):
        open_home(home.root)


def test_a_project_describes_itself(home, project):
    found, file = read_project(home, "one")
    assert found == project
    assert (file.name, file.engine.kind, file.base, file.environment) == (
        "one",
        "comfyui",
        "default",
        "layered",
    )
    assert file.created_at.tzinfo is not None
    assert list_projects(home) == ["one"]


def test_a_project_shares_the_models_of_its_home(home, project):
    (home.models / "checkpoints" / "a.safetensors").write_bytes(b"123")
    assert (project.workstation.models / "checkpoints" / "a.safetensors").read_bytes() == b"123"
    assert not project.workstation.models.readlink().is_absolute()


@pytest.mark.parametrize("name", ["", "..", "a/b", "A", "-a", "a" * 41, "a\n", "é"])
def test_a_name_that_could_leave_its_folder_is_refused(home, name):
    with pytest.raises(BadName):
        create_project(home, name)
    assert list(home.projects.iterdir()) == []


def test_a_second_project_of_one_name_is_refused(home, project, engine_source):
    with pytest.raises(ProjectExists):
        create_project(home, "one", EngineChoice("comfyui", str(engine_source)))


def test_an_unknown_project_is_refused_and_the_known_ones_are_named(home, project):
    with pytest.raises(ProjectNotFound, match="one"):
        read_project(home, "two")


def test_a_project_of_a_newer_version_is_refused(home, project):
    project.file.write_text(project.file.read_text().replace("format = 1", "format = 9"))
    with pytest.raises(ProjectTooNew):
        read_project(home, "one")


@pytest.mark.parametrize(
    ("source", "commit", "error"),
    [
        ("/nowhere/at/all", None, EngineSourceUnusable),
        ("file:///nowhere/at/all.git", None, CloneFailed),
        ("ext::sh -c true", None, EngineSourceUnusable),
        (None, None, EngineSourceUnusable),
    ],
)
def test_an_engine_that_cannot_be_had_leaves_no_project(home, source, commit, error):
    with pytest.raises(error):
        create_project(home, "one", EngineChoice("comfyui", source, commit))
    assert list(home.projects.iterdir()) == []


def test_what_a_killed_creation_left_is_swept_by_the_next(home, engine_source):
    (home.projects / ".partial-999999-1-one").mkdir()
    create_project(home, "one", EngineChoice("comfyui", str(engine_source)))
    assert [path.name for path in home.projects.iterdir()] == ["one"]


def test_a_removed_project_is_gone_and_its_models_stay(home, project):
    (home.models / "loras" / "a.safetensors").touch()
    remove_project(home, "one")
    assert list(home.projects.iterdir()) == []
    assert (home.models / "loras" / "a.safetensors").exists()


def test_the_builtin_engine_is_copied_in(home):
    project = create_project(home, "own")
    assert (project.workstation.engine / "arguments.py").is_file()
    assert not list(project.workstation.engine.rglob("__pycache__"))
    version = engine_version(project.workstation)
    assert version.kind == "builtin"
    assert version.version


def test_a_checkout_comes_with_its_edits_or_at_a_commit(home, tmp_path, engine_source, run_git):
    run_git(engine_source, "init", "-q", "-b", "master")
    (engine_source / "comfyui_version.py").write_text('__version__ = "0.3.64"\n')
    run_git(engine_source, "add", ".")
    run_git(engine_source, "commit", "-q", "-m", "one")
    commit = run_git(engine_source, "rev-parse", "HEAD")
    (engine_source / "comfyui_version.py").write_text('__version__ = "0.3.65"\n')
    (engine_source / "new.py").touch()

    edited = create_project(home, "edited", EngineChoice("comfyui", str(engine_source))).workstation
    plain = create_project(home, "plain", EngineChoice("comfyui", str(engine_source), commit)).workstation
    assert (engine_version(edited).version, engine_version(edited).commit) == ("0.3.65", commit)
    assert (edited.engine / "new.py").exists()
    assert engine_version(plain).version == "0.3.64"
    assert not (plain.engine / "new.py").exists()
    with pytest.raises(RefNotFound):
        create_project(home, "third", EngineChoice("comfyui", str(engine_source), "0" * 40))
    assert list_projects(home) == ["edited", "plain"]


def test_an_engines_requirements_are_installed_with_it(home, engine_source):
    (engine_source / "requirements.txt").write_text("torch\ntiny-extra\n")
    project = create_project(home, "one", EngineChoice("comfyui", str(engine_source)))
    assert (
        python_says(project, "import torch, tiny_extra; print(torch.VERSION, tiny_extra.VERSION)")
        == "1.0 2.0"
    )


def test_an_engine_whose_requirements_conflict_leaves_no_project(home, engine_source):
    (engine_source / "requirements.txt").write_text("shared-lib==2.0\n")
    with pytest.raises(DependencyConflict):
        create_project(home, "one", EngineChoice("comfyui", str(engine_source)))
    assert list(home.projects.iterdir()) == []


def test_no_secret_of_ours_reaches_an_engine(project):
    inherited = {
        "PATH": "/bin",
        "LC_ALL": "C",
        "CUDA_VISIBLE_DEVICES": "1",
        "STILLFRAME_PASSWORD": "x",
        "AWS_KEY": "y",
    }
    command = engine_command(project.workstation, port=1, inherited=inherited, cpu=True, extra=("--lowvram",))
    assert not {"STILLFRAME_PASSWORD", "AWS_KEY"} & command.environment.keys()
    assert command.environment["HF_HOME"].startswith(str(project.workstation.cache))
    assert command.environment["PATH"].startswith(str(project.workstation.venv / "bin"))
    assert command.argv[-2:] == ("--cpu", "--lowvram")


def test_a_base_is_fingerprinted_by_what_is_installed(home, base, tmp_path, make_wheel):
    before = fingerprint(base.site_packages)
    assert before == base.fingerprint == read_base(home, "default").fingerprint
    record = base.site_packages / "torch-1.0.dist-info" / "RECORD"
    old = record.read_text()
    record.write_text(old + "torch/new.py,sha256=x,1\n")
    assert fingerprint(base.site_packages) != before
    record.write_text(old)
    assert fingerprint(base.site_packages) == before


def test_an_unknown_or_broken_base_is_refused(home, tmp_path):
    with pytest.raises(BaseNotFound, match="default"):
        read_base(home, "cuda")
    with pytest.raises(BaseUnusable):
        add_base(home, "cuda", tmp_path / "no-python")
    with pytest.raises(BadName):
        add_base(home, "../cuda", Path("/usr/bin/python3"))
    assert list_bases(home) == ["default"]


def test_the_default_base_is_the_interpreter_that_runs_us(tmp_path):
    base = ensure_default_base(open_home(tmp_path / "h"))
    assert "pytest" in base.distributions
    assert "stillframe" not in base.distributions


def test_models_are_listed_with_kind_and_size(home):
    nested = home.models / "checkpoints" / "sd" / "v1.safetensors"
    nested.parent.mkdir()
    nested.write_bytes(b"12345")
    (home.models / "checkpoints" / "put_checkpoints_here").touch()
    (home.models / "loras" / "half.safetensors.part").touch()
    found = models.list_models(home)
    assert [(m.kind, m.name, m.size_bytes) for m in found] == [("checkpoints", "sd/v1.safetensors", 5)]
    workflow = parse_workflow('{"1": {"class_type": "LoraLoader", "inputs": {"lora_name": "a.safetensors"}}}')
    assert [missing.name for missing in models.missing_models(home, workflow)] == ["a.safetensors"]


def test_the_cache_is_listed_largest_first(project):
    cache = project.workstation.cache
    blob = cache / "huggingface" / "hub" / "models--a--b" / "blobs" / "x"
    blob.parent.mkdir(parents=True)
    blob.write_bytes(bytes(2000))
    link = blob.parent.parent / "snapshots" / "1" / "model"
    link.parent.mkdir(parents=True)
    link.symlink_to("../../blobs/x")
    (cache / "torch" / "hub").mkdir(parents=True)
    (cache / "torch" / "hub" / "w.pth").write_bytes(bytes(10))
    found = list_cache(project.workstation)
    assert [(e.name, e.kind, e.files) for e in found] == [
        ("huggingface/hub/models--a--b", "huggingface", 2),
        ("torch/hub", "torch", 1),
    ]
    assert 2000 <= found[0].size_bytes < 2100
