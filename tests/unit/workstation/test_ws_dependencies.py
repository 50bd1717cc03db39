"""Dependencies: told before anything is changed, and nothing half-applied. Real uv, tiny wheels."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from workstation.dependencies.apply import apply, remove_packages
from workstation.dependencies.environment import list_packages, make_environment
from workstation.dependencies.errors import (
    DependencyConflict,
    InstallFailed,
    PackageNotInstalled,
    ProtectedChange,
    RequirementsDoNotResolve,
    RequirementsUnreadable,
)
from workstation.dependencies.inventory import read_distributions
from workstation.dependencies.plan import plan
from workstation.errors import ProjectBusy
from workstation.project import read_project


def seen(project, base) -> dict[str, tuple[str, str]]:
    return {p.name: (p.version, p.layer) for p in list_packages(project.workstation.venv, base)}


def contents(folder: Path) -> dict[str, tuple[float, bytes]]:
    return {
        str(path.relative_to(folder)): (path.stat().st_mtime, path.read_bytes())
        for path in folder.rglob("*")
        if path.is_file()
    }


def version_of(project, module: str) -> str:
    code = f"import {module}; print({module}.VERSION)"
    done = subprocess.run(
        [project.workstation.python, "-c", code], check=True, capture_output=True, text=True
    )
    return done.stdout.strip()


def test_a_layered_environment_sees_its_base(project, base):
    assert seen(project, base)["torch"] == ("1.0", "base")
    assert version_of(project, "torch") == "1.0"


def test_what_the_base_satisfies_is_not_installed_again(project, base):
    assert plan(project, base, ["torch>=1", "shared-lib"]).is_empty


def test_a_plan_tells_what_is_added_and_changes_nothing(project, base):
    before = contents(project.workstation.venv)
    found = plan(project, base, ["needs-extra"])
    assert found.added == {"needs-extra": "1.0", "tiny-extra": "2.0"}
    assert (found.changed, found.conflicts) == ((), ())
    assert contents(project.workstation.venv) == before


def test_an_applied_plan_is_seen_before_the_base(project, base):
    apply(project, plan(project, base, ["tiny-extra<2"]))
    assert version_of(project, "tiny_extra") == "1.0"
    found = plan(project, base, ["tiny-extra==2.0"])
    assert [(c.name, c.old, c.new, c.in_base) for c in found.changed] == [("tiny-extra", "1.0", "2.0", False)]
    apply(project, found)
    assert version_of(project, "tiny_extra") == "2.0"


def test_a_requirement_that_would_replace_torch_is_refused_by_name(project, base):
    found = plan(project, base, ["torch==2.0"])
    assert [change.in_base for change in found.protected_changes] == [True]
    before = contents(project.workstation.venv)
    with pytest.raises(ProtectedChange, match=r"torch 1\.0 by 2\.0"):
        apply(project, found)
    assert contents(project.workstation.venv) == before
    apply(project, found, accept=["Torch"])
    assert version_of(project, "torch") == "2.0"


def test_a_conflict_names_both_sides(project, base):
    found = plan(project, base, ["shared-lib==2.0"])
    with pytest.raises(DependencyConflict) as caught:
        apply(project, found)
    assert "engine-part 1.0 requires shared-lib<2, but 2.0" in str(caught.value)
    assert caught.value.names == ("engine-part",)
    apply(project, found, accept=["engine-part"])
    # What is broken already is not the next plan's fault.
    assert plan(project, base, ["tiny-extra"]).conflicts == ()


def test_what_does_not_resolve_is_refused_with_the_reason(project, base):
    with pytest.raises(RequirementsDoNotResolve, match="no-such-package"):
        plan(project, base, ["tiny-extra", "no-such-package"])
    with pytest.raises(RequirementsDoNotResolve, match="tiny-extra"):
        plan(project, base, ["tiny-extra==1.0", "needs-extra", "tiny-extra>=2"])


def test_a_wheel_is_installed_by_its_path(project, base, tmp_path, make_wheel):
    wheel = make_wheel(tmp_path, "uploaded", "3.1", ("tiny-extra",))
    found = plan(project, base, [str(wheel)])
    assert found.added == {"tiny-extra": "2.0", "uploaded": "3.1"}
    apply(project, found)
    assert version_of(project, "uploaded") == "3.1"


def test_an_installation_that_fails_leaves_the_environment_as_it_was(project, base, tmp_path, make_wheel):
    apply(project, plan(project, base, ["tiny-extra<2"]))
    wheel = make_wheel(tmp_path, "vanishing", "1.0")
    found = plan(project, base, ["tiny-extra>=2", str(wheel)])
    before = contents(project.workstation.venv)
    wheel.unlink()
    with pytest.raises(InstallFailed, match="as it was before"):
        apply(project, found)
    assert contents(project.workstation.venv) == before
    assert version_of(project, "tiny_extra") == "1.0"


def test_a_kill_in_the_middle_is_undone_at_the_next_opening(home, project, base):
    before = contents(project.workstation.venv)
    code = textwrap.dedent(f"""
        import os, signal
        from pathlib import Path
        from workstation.layout import Home
        from workstation.bases import read_base
        from workstation.project import read_project
        from workstation.change import change
        from workstation.dependencies import apply
        from workstation.dependencies.plan import plan
        home = Home(Path({str(home.root)!r}))
        project, _ = read_project(home, "one")
        found = plan(project, read_base(home, "default"), ["needs-extra"])
        with change(project, "installing") as attempt:
            apply.install_within(attempt, found)
            os.kill(os.getpid(), signal.SIGKILL)
    """)
    killed = subprocess.run([sys.executable, "-c", code], check=False, env=dict(os.environ))
    assert killed.returncode == -signal.SIGKILL
    assert (project.run / "change.json").exists()
    assert contents(project.workstation.venv) != before
    read_project(home, "one")
    assert contents(project.workstation.venv) == before
    assert not list(project.run.glob("change-*"))


def test_a_second_change_is_refused_while_the_first_is_at_work(project, base):
    from workstation.change import change

    found = plan(project, base, ["tiny-extra"])
    with change(project, "installing plugin slow"), pytest.raises(ProjectBusy, match="slow"):
        apply(project, found)


def test_a_removed_package_uncovers_the_bases_version(project, base):
    apply(project, plan(project, base, ["torch==2.0"]), accept=["torch"])
    remove_packages(project, base, ["torch"])
    assert version_of(project, "torch") == "1.0"


def test_what_others_require_is_not_removed_and_what_is_not_there_is_named(project, base):
    apply(project, plan(project, base, ["needs-extra"]))
    with pytest.raises(DependencyConflict, match="needs-extra"):
        remove_packages(project, base, ["tiny-extra"])
    with pytest.raises(PackageNotInstalled, match="torch"):
        remove_packages(project, base, ["torch"])
    assert seen(project, base)["tiny-extra"] == ("2.0", "workstation")


def test_an_isolated_environment_holds_everything_itself(base, tmp_path):
    make_environment(tmp_path / "venv", base, "isolated")
    packages = {p.name: p.layer for p in list_packages(tmp_path / "venv", base)}
    assert packages == {"torch": "workstation", "shared-lib": "workstation", "engine-part": "workstation"}


def test_no_file_of_an_environment_is_shared_with_uvs_cache(project, base):
    apply(project, plan(project, base, ["tiny-extra"]))
    site = next((project.workstation.venv / "lib").glob("python3*/site-packages"))
    assert (site / "tiny_extra" / "__init__.py").stat().st_nlink == 1


def test_requirements_files_are_read_as_plugins_write_them(project, base, tmp_path):
    plugin = tmp_path / "plugin"
    plugin.mkdir()
    (plugin / "more.txt").write_text("tiny-extra >= 1 # inline\n")
    (plugin / "limits.txt").write_text("tiny-extra<2\n")
    text = "\ufeff# a comment\n\n-r more.txt\n-c limits.txt\nneeds-extra \\\n  ==1.0\n"
    (plugin / "requirements.txt").write_text(text, encoding="utf-16")
    found = plan(project, base, plugin / "requirements.txt")
    assert found.added == {"needs-extra": "1.0", "tiny-extra": "1.0"}


@pytest.mark.parametrize(
    "line", ["-r ../../etc/passwd", "-r /etc/passwd", "-e .", "--pre", "-r requirements.txt"]
)
def test_requirements_that_reach_outside_or_do_odd_things_are_refused(tmp_path, line, project, base):
    (tmp_path / "requirements.txt").write_text(line)
    with pytest.raises(RequirementsUnreadable):
        plan(project, base, tmp_path / "requirements.txt")


def test_distributions_are_read_without_importing(base):
    found = read_distributions(base.site_packages)
    assert found["engine-part"].version == "1.0"
