"""Carrying out a plan: exactly its pins, all or nothing."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from workstation.bases import Base
from workstation.change import Change, change, recover
from workstation.dependencies.errors import InstallFailed, PackageNotInstalled
from workstation.dependencies.installer import INSTALL_LIMIT_SECONDS, run_uv
from workstation.dependencies.inventory import normalise
from workstation.dependencies.plan import Plan, installed_layers, plan_removal
from workstation.layout import Project


def apply(project: Project, plan: Plan, accept: Iterable[str] = ()) -> None:
    """Install exactly what was planned; on any failure, or a kill, the environment is as it was.

    Raises ProtectedChange or DependencyConflict unless `accept` names it, InstallFailed, ProjectBusy.
    """
    plan.check(accept)
    if plan.is_empty:
        return
    with change(project, "installing packages") as attempt:
        install_within(attempt, plan)


def install_within(attempt: Change, plan: Plan) -> None:
    """Install a plan as one step of a larger change, which undoes it when it fails. Raises InstallFailed."""
    if plan.is_empty:
        return
    attempt.keep_copy(attempt.project.workstation.venv)
    pins = attempt.folder / "pins.txt"
    pins.write_text("\n".join(plan.pins) + "\n", encoding="utf-8")
    done = run_uv(
        *("pip", "install", "--no-deps", "--python", str(attempt.project.workstation.python)),
        *("--requirements", str(pins), *plan.options),
        limit_seconds=INSTALL_LIMIT_SECONDS,
    )
    if not done.ok:
        raise InstallFailed(plan.pins, done.reason)


def remove_packages(project: Project, base: Base, names: Sequence[str], accept: Iterable[str] = ()) -> Plan:
    """Uninstall packages of the workstation's own environment; a base's version shows again.

    Raises PackageNotInstalled, DependencyConflict (others require it), InstallFailed, ProjectBusy.
    """
    own, _ = installed_layers(project, base)
    strangers = [name for name in names if normalise(name) not in own]
    if strangers:
        raise PackageNotInstalled(strangers, base.name)
    plan = plan_removal(project, base, names)
    plan.check(accept)
    with change(project, "removing packages") as attempt:
        attempt.keep_copy(project.workstation.venv)
        done = run_uv("pip", "uninstall", "--python", str(project.workstation.python), *sorted(plan.removed))
        if not done.ok:
            raise InstallFailed(tuple(plan.removed), done.reason)
    return plan


def recover_environment(project: Project) -> bool:
    """Undo a change that was killed; whether there was one. Called whenever a project is read."""
    return recover(project)
