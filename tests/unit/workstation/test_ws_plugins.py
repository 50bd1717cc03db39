"""Plugins: the plugin and what it requires together, or neither. Real git, real uv."""

from __future__ import annotations

import stat
import zipfile
from pathlib import Path

import pytest

from workstation.dependencies.errors import InstallFailed, ProtectedChange, RequirementsDoNotResolve
from workstation.errors import (
    ArchiveRefused,
    BadPluginName,
    CloneFailed,
    PluginExists,
    PluginHasLocalEdits,
    PluginNotFound,
    PluginNotUpdatable,
    PluginPinned,
    PluginSourceUnusable,
    RefNotFound,
)
from workstation.plugins import install as installing
from workstation.plugins.install import (
    disable_plugin,
    enable_plugin,
    install_plugin,
    name_from,
    pin_plugin,
    remove_plugin,
    unpin_plugin,
    update_plugin,
)
from workstation.plugins.inventory import list_plugins, plugin_facts
from workstation.plugins.repositories import without_credentials


def everything(project) -> dict[str, bytes]:
    """All that must be as before after a failure; run/ holds locks, and what is being removed behind us."""
    kept = (entry for entry in project.root.iterdir() if entry != project.run)
    return {
        str(path.relative_to(project.root)): path.read_bytes()
        for entry in kept
        for path in (entry, *entry.rglob("*"))
        if path.is_file()
    }


def only(project):
    (plugin,) = list_plugins(project.workstation)
    return plugin


def require(folder: Path, run_git, *lines: str) -> None:
    (folder / "requirements.txt").write_text("\n".join(lines))
    run_git(folder, "add", ".")
    run_git(folder, "commit", "-q", "-m", "requirements")


def test_a_plugin_from_git_is_installed_with_what_it_requires(home, project, repository, run_git):
    require(repository, run_git, "tiny-extra<2")
    done = install_plugin(home, "one", repository.as_uri())
    assert done.plan.added == {"tiny-extra": "1.0"}
    plugin = only(project)
    assert (plugin.name, plugin.kind, plugin.enabled, plugin.branch) == ("My-Plugin", "git", True, "main")
    assert plugin.commit == done.commit == run_git(repository, "rev-parse", "HEAD")
    assert plugin.declared_nodes == ("Stamp",)
    assert not plugin.local_edits
    assert not list(project.run.glob("change-*"))


@pytest.mark.parametrize("ref", ["v1", "commit", "short"])
def test_a_plugin_is_installed_at_a_tag_or_commit(home, project, repository, run_git, ref):
    commit = run_git(repository, "rev-parse", "v1")
    wanted = {"v1": "v1", "commit": commit, "short": commit[:8]}[ref]
    install_plugin(home, "one", str(repository), ref=wanted)
    assert only(project).commit == commit
    assert only(project).branch is None


def test_a_local_repository_comes_with_its_edits(home, project, repository):
    (repository / "extra.py").write_text("EDIT = 1\n")
    install_plugin(home, "one", str(repository))
    plugin = only(project)
    assert plugin.edited_files == ("extra.py",)


def test_a_url_that_does_not_clone_changes_nothing(home, project):
    before = everything(project)
    with pytest.raises(CloneFailed, match="nowhere"):
        install_plugin(home, "one", "file:///nowhere/plugin.git")
    assert everything(project) == before


@pytest.mark.parametrize("source", ["ext::sh -c 'touch /tmp/owned'", "--upload-pack=x", "/nowhere/plugin"])
def test_a_source_that_is_none_is_refused(home, project, source):
    with pytest.raises((PluginSourceUnusable, BadPluginName)):
        install_plugin(home, "one", source)
    assert list_plugins(project.workstation) == []


def test_a_ref_that_does_not_exist_names_near_ones_and_changes_nothing(home, project, repository):
    before = everything(project)
    with pytest.raises(RefNotFound) as caught:
        install_plugin(home, "one", str(repository), ref="nex")
    assert caught.value.near == ("next",)
    with pytest.raises(RefNotFound):
        install_plugin(home, "one", str(repository), ref="--help")
    assert everything(project) == before


def test_a_plugin_that_would_replace_torch_is_refused_and_changes_nothing(home, project, repository, run_git):
    require(repository, run_git, "torch==2.0")
    before = everything(project)
    with pytest.raises(ProtectedChange, match="torch"):
        install_plugin(home, "one", str(repository))
    assert everything(project) == before
    done = install_plugin(home, "one", str(repository), accept=["torch"])
    assert [change.new for change in done.plan.changed] == ["2.0"]


def test_a_plugin_whose_requirements_do_not_resolve_changes_nothing(home, project, repository, run_git):
    require(repository, run_git, "no-such-package")
    before = everything(project)
    with pytest.raises(RequirementsDoNotResolve):
        install_plugin(home, "one", str(repository))
    assert everything(project) == before


def test_a_plugin_that_fails_to_install_leaves_the_environment_as_it_was(
    home, project, tmp_path, make_wheel, monkeypatch
):
    folder = tmp_path / "local-plugin"
    folder.mkdir()
    (folder / "__init__.py").touch()
    wheel = make_wheel(folder, "bundled", "1.0")
    (folder / "requirements.txt").write_text(f"tiny-extra\n./{wheel.name}\n")
    planned = installing._plan

    def then_lose_the_wheel(*arguments):
        found = planned(*arguments)
        (arguments[2].parent / wheel.name).unlink()
        return found

    monkeypatch.setattr(installing, "_plan", then_lose_the_wheel)
    before = everything(project)
    with pytest.raises(InstallFailed):
        install_plugin(home, "one", str(folder))
    assert everything(project) == before


def test_a_failure_after_the_packages_were_installed_undoes_them(
    home, project, repository, run_git, monkeypatch
):
    require(repository, run_git, "tiny-extra")
    before = everything(project)

    def full_disk(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(installing, "write_records", full_disk)
    with pytest.raises(OSError, match="No space left"):
        install_plugin(home, "one", str(repository))
    assert everything(project) == before


def test_a_folder_and_a_single_file_are_plugins_too(home, project, tmp_path):
    folder = tmp_path / "folder-plugin"
    folder.mkdir()
    (folder / "__init__.py").touch()
    single = tmp_path / "single.py"
    single.write_text("NODE_CLASS_MAPPINGS = {'One': object}\n")
    install_plugin(home, "one", str(folder))
    install_plugin(home, "one", str(single))
    found = {p.name: (p.kind, p.declared_nodes) for p in list_plugins(project.workstation)}
    assert found == {"folder-plugin": ("folder", ()), "single": ("file", ("One",))}
    disable_plugin(home, "one", "single")
    assert (project.workstation.custom_nodes / "single.py.disabled").exists()
    assert not list_plugins(project.workstation)[1].enabled


def test_a_zip_is_installed_and_a_bad_one_changes_nothing(home, project, tmp_path):
    good, bad = tmp_path / "good.zip", tmp_path / "bad.zip"
    for path, entry in ((good, "Plugin-main/lib.py"), (bad, "../../../../evil.py")):
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("Plugin-main/__init__.py", "")
            archive.writestr(entry, "")
    install_plugin(home, "one", str(good), name="zipped")
    assert (project.workstation.custom_nodes / "zipped" / "lib.py").exists()
    before = everything(project)
    with pytest.raises(ArchiveRefused, match="evil"):
        install_plugin(home, "one", str(bad))
    assert everything(project) == before
    assert not list(home.root.rglob("evil.py"))


def test_a_folder_that_no_engine_would_load_is_refused(home, project, tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(PluginSourceUnusable, match="__init__"):
        install_plugin(home, "one", str(tmp_path / "empty"))
    assert list_plugins(project.workstation) == []


@pytest.mark.parametrize("name", ["../x", "a/b", ".hidden", "x.disabled", "", "-x"])
def test_a_plugin_name_that_could_leave_its_folder_is_refused(home, project, repository, name):
    if name:
        with pytest.raises(BadPluginName):
            install_plugin(home, "one", str(repository), name=name)
    with pytest.raises(PluginNotFound):
        remove_plugin(home, "one", name)


def test_a_second_plugin_of_one_name_is_refused_even_when_disabled(home, project, repository):
    install_plugin(home, "one", str(repository))
    disable_plugin(home, "one", "My-Plugin")
    disable_plugin(home, "one", "My-Plugin")
    with pytest.raises(PluginExists):
        install_plugin(home, "one", str(repository))
    enable_plugin(home, "one", "My-Plugin")
    assert only(project).enabled


def test_an_update_follows_the_branch_and_a_pin_refuses_it(home, project, repository, run_git):
    install_plugin(home, "one", repository.as_uri())
    require(repository, run_git, "tiny-extra")
    pin_plugin(home, "one", "My-Plugin")
    assert only(project).pinned
    with pytest.raises(PluginPinned):
        update_plugin(home, "one", "My-Plugin")
    unpin_plugin(home, "one", "My-Plugin")
    done = update_plugin(home, "one", "My-Plugin")
    assert done.commit == run_git(repository, "rev-parse", "main")
    assert done.previous_commit == run_git(repository, "rev-parse", "main~1")
    assert done.plan.added == {"tiny-extra": "2.0"}
    assert update_plugin(home, "one", "My-Plugin", ref="v1").commit == run_git(repository, "rev-parse", "v1")


def test_an_update_that_fails_leaves_the_old_plugin(home, project, repository, run_git):
    install_plugin(home, "one", repository.as_uri())
    require(repository, run_git, "torch==2.0")
    before = everything(project)
    with pytest.raises(ProtectedChange):
        update_plugin(home, "one", "My-Plugin")
    with pytest.raises(RefNotFound):
        update_plugin(home, "one", "My-Plugin", ref="nowhere")
    assert everything(project) == before


def test_an_update_never_loses_local_edits_or_commits(home, project, repository, run_git):
    install_plugin(home, "one", repository.as_uri())
    path = only(project).path
    (path / "__init__.py").write_text("EDITED = True\n")
    with pytest.raises(PluginHasLocalEdits, match=r"__init__\.py"):
        update_plugin(home, "one", "My-Plugin")
    run_git(path, "commit", "-q", "-am", "mine")
    with pytest.raises(PluginHasLocalEdits, match="commit "):
        update_plugin(home, "one", "My-Plugin")
    assert (path / "__init__.py").read_text() == "EDITED = True\n"


def test_a_plugin_without_git_is_not_updated(home, project, tmp_path):
    (tmp_path / "plain.py").touch()
    install_plugin(home, "one", str(tmp_path / "plain.py"))
    with pytest.raises(PluginNotUpdatable):
        update_plugin(home, "one", "plain")


def test_local_edits_are_in_the_facts_with_their_diff(home, project, repository):
    install_plugin(home, "one", str(repository))
    path = only(project).path
    (path / "__init__.py").write_text("EDITED = True\n")
    (path / "__pycache__").mkdir()
    (path / "__pycache__" / "x.pyc").touch()
    facts = plugin_facts(only(project))
    assert facts["edited_files"] == ["__init__.py"]
    assert "+EDITED = True" in facts["diff"]
    assert facts["diff_cut"] is False


def test_a_plugin_that_cannot_be_read_is_listed_with_its_problem(project):
    nodes = project.workstation.custom_nodes
    for name, file, text in (
        ("odd", "pyproject.toml", "[project"),
        ("syntax", "__init__.py", "def ("),
        ("outside", "requirements.txt", "-r ../../x"),
    ):
        (nodes / name).mkdir()
        (nodes / name / file).write_text(text)
    (nodes / "broken-git" / ".git").mkdir(parents=True)
    found = {plugin.name: plugin for plugin in list_plugins(project.workstation)}
    assert set(found) == {"odd", "syntax", "outside", "broken-git"}
    assert all(plugin.problem for plugin in found.values())
    assert plugin_facts(found["broken-git"])["problem"]


def test_a_removed_plugin_is_gone_with_its_record(home, project, repository):
    install_plugin(home, "one", str(repository))
    pin_plugin(home, "one", "My-Plugin")
    remove_plugin(home, "one", "My-Plugin")
    assert list_plugins(project.workstation) == []
    assert "My-Plugin" not in (project.root / "plugins.toml").read_text()
    with pytest.raises(PluginNotFound):
        remove_plugin(home, "one", "My-Plugin")


def test_hooks_and_monitors_of_a_checkout_never_run(home, project, repository, tmp_path):
    install_plugin(home, "one", str(repository))
    path, trace = only(project).path, tmp_path / "ran"
    hook = path / ".git" / "monitor"
    hook.write_text(f"#!/bin/sh\ntouch {trace}\n")
    hook.chmod(hook.stat().st_mode | stat.S_IXUSR)
    with (path / ".git" / "config").open("a") as config:
        config.write(f"[core]\n\tfsmonitor = {hook}\n")
    assert only(project).problem is None
    assert not trace.exists()


def test_credentials_of_a_url_are_not_kept():
    assert without_credentials("https://ana:secret@example.org/p.git") == "https://example.org/p.git"
    assert without_credentials("ssh://git:pw@example.org/p") == "ssh://git@example.org/p"
    assert without_credentials("git@example.org:a/p.git") == "git@example.org:a/p.git"


@pytest.mark.parametrize(
    ("source", "name"),
    [
        ("https://example.org/a/My-Plugin.git", "My-Plugin"),
        ("git@example.org:a/Plugin/", "Plugin"),
        ("/tmp/x.zip", "x"),
        ("/tmp/single.py", "single"),
    ],
)
def test_a_source_suggests_a_name(source, name):
    assert name_from(source) == name


def test_a_token_in_the_address_is_not_kept_in_the_checkout(home, project, repository, run_git, monkeypatch):
    """git is told to fetch that address from a local folder; the address itself is what is looked at."""
    monkeypatch.setenv("GIT_CONFIG_COUNT", "1")
    monkeypatch.setenv("GIT_CONFIG_KEY_0", f"url.{repository.as_uri()}.insteadOf")
    monkeypatch.setenv("GIT_CONFIG_VALUE_0", "https://ana:secret@example.org/p.git")
    install_plugin(home, "one", "https://ana:secret@example.org/p.git")
    plugin = only(project)
    assert plugin.remote == "https://example.org/p.git"
    texts = [p.read_bytes() for p in project.root.rglob("*") if p.is_file()]
    assert not any(b"secret" in text for text in texts)
