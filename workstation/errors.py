"""What can go wrong in a workstation. Each error has fields and a sentence that names the next step.

WorkstationError
├── BadName
├── HomeTooNew, HomeUnreadable
├── ProjectExists, ProjectNotFound, ProjectTooNew, ProjectUnreadable, ProjectBusy, ProjectRunning
├── BaseNotFound, BaseUnusable
├── EngineError: EngineSourceUnusable, EngineMissing
├── PluginError: BadPluginName, PluginExists, PluginNotFound, PluginPinned, PluginHasLocalEdits,
│                PluginNotUpdatable, PluginSourceUnusable, CloneFailed, RefNotFound, ArchiveRefused
├── DependencyError and its kinds, in workstation/dependencies/errors.py
├── ModelKeepsChanging
├── OverlayRefused
├── WorkflowError: NotJson, UiFormatWorkflow, EmptyWorkflow
└── KeeperNotStarted, WorkstationNotRunning, NotReady, StopFailed
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path


class WorkstationError(Exception):
    """Root of all errors of this package."""


class BadName(WorkstationError):
    """A name that could leave its folder or break a URL."""

    def __init__(self, of: str, name: str) -> None:
        self.of, self.name = of, name
        super().__init__(
            f"{name!r} cannot name a {of}: use 1 to 40 lower-case letters, digits and inner hyphens, "
            "for example 'portraits-2'."
        )


class HomeTooNew(WorkstationError):
    """A home folder that a newer version made."""

    def __init__(self, found: object, known: int, path: Path) -> None:
        self.found, self.known, self.path = found, known, path
        super().__init__(
            f"The home folder {path} has format {found}, this version knows {known}: upgrade stillframe."
        )


class HomeUnreadable(WorkstationError):
    """A home.toml that cannot be understood, or a path that cannot be a home."""

    def __init__(self, path: Path, reason: str) -> None:
        self.path, self.reason = path, reason
        super().__init__(
            f"{path} cannot be used as a home folder: {reason}. Choose another folder or repair it."
        )


class ProjectExists(WorkstationError):
    """A second project of one name."""

    def __init__(self, name: str) -> None:
        self.name = name
        super().__init__(f"Project {name!r} exists already: choose another name, or remove it first.")


class ProjectNotFound(WorkstationError):
    """No project of that name; `existing` are those that there are."""

    def __init__(self, name: str, existing: Sequence[str]) -> None:
        self.name, self.existing = name, tuple(existing)
        known = ", ".join(existing) if existing else "none yet; create one first"
        super().__init__(f"There is no project {name!r}. Projects here: {known}.")


class ProjectTooNew(WorkstationError):
    """A project.toml of a format this version cannot read."""

    def __init__(self, name: str, found: object, known: int) -> None:
        self.name, self.found, self.known = name, found, known
        super().__init__(
            f"Project {name!r} has format {found}, this version knows {known}: upgrade stillframe."
        )


class ProjectUnreadable(WorkstationError):
    """A file of the project that cannot be understood."""

    def __init__(self, path: Path, reason: str) -> None:
        self.path, self.reason = path, reason
        super().__init__(f"{path} cannot be read: {reason}. Repair it, or restore it from a copy.")


class ProjectBusy(WorkstationError):
    """Another change of the same workstation is in progress."""

    def __init__(self, project: str, doing: str) -> None:
        self.project, self.doing = project, doing
        super().__init__(f"Workstation {project!r} is being changed ({doing}): try again when that is done.")


class ProjectRunning(WorkstationError):
    """Something that needs a stopped workstation."""

    def __init__(self, name: str) -> None:
        self.name = name
        super().__init__(f"The workstation of {name!r} is running: stop it first.")


class BaseNotFound(WorkstationError):
    """No base of that name."""

    def __init__(self, name: str, existing: Sequence[str]) -> None:
        self.name, self.existing = name, tuple(existing)
        super().__init__(f"There is no base {name!r}. Bases here: {', '.join(existing) or 'none'}.")


class BaseUnusable(WorkstationError):
    """A base whose interpreter or packages are not there."""

    def __init__(self, name: str, python: Path, reason: str) -> None:
        self.name, self.python, self.reason = name, python, reason
        super().__init__(
            f"Base {name!r} ({python}) cannot be used: {reason}. Add it again with a working interpreter."
        )


class EngineError(WorkstationError):
    """Root of what concerns the engine's files."""


class EngineSourceUnusable(EngineError):
    """An engine that cannot be put in place."""

    def __init__(self, source: str, reason: str) -> None:
        self.source, self.reason = source, reason
        super().__init__(f"{source} cannot be used as an engine: {reason}.")


class EngineMissing(EngineError):
    """A workstation without engine/main.py."""

    def __init__(self, engine: Path) -> None:
        self.engine = engine
        super().__init__(
            f"{engine} has no main.py: the engine is gone; create the project anew or restore a snapshot."
        )


class PluginError(WorkstationError):
    """Root of what concerns plugins."""


class BadPluginName(PluginError):
    """A plugin name that could leave custom_nodes or would not be loaded."""

    def __init__(self, name: str) -> None:
        self.name = name
        super().__init__(
            f"{name!r} cannot name a plugin: use letters, digits, '.', '_' and '-', no dot or dash first "
            "and not last '.disabled'."
        )


class PluginExists(PluginError):
    """A plugin of that name is there already, enabled or not."""

    def __init__(self, name: str, path: Path) -> None:
        self.name, self.path = name, path
        super().__init__(
            f"Plugin {name!r} is there already ({path.name}): update it, remove it, or give another name."
        )


class PluginNotFound(PluginError):
    """No plugin of that name."""

    def __init__(self, name: str, existing: Sequence[str]) -> None:
        self.name, self.existing = name, tuple(existing)
        super().__init__(f"There is no plugin {name!r}. Plugins here: {', '.join(existing) or 'none'}.")


class PluginPinned(PluginError):
    """An update of a plugin that someone pinned."""

    def __init__(self, name: str, commit: str | None) -> None:
        self.name, self.commit = name, commit
        at = f" at {commit[:12]}" if commit else ""
        super().__init__(f"Plugin {name!r} is pinned{at}: unpin it before you update it.")


class PluginHasLocalEdits(PluginError):
    """An update that would lose what was edited here."""

    def __init__(self, name: str, files: Sequence[str]) -> None:
        self.name, self.files = name, tuple(files)
        shown = ", ".join(files[:5]) + (f" and {len(files) - 5} more" if len(files) > 5 else "")
        super().__init__(
            f"Plugin {name!r} was edited here ({shown}): commit or discard the edits before you update it."
        )


class PluginNotUpdatable(PluginError):
    """An update of a plugin that did not come from git."""

    def __init__(self, name: str, reason: str) -> None:
        self.name, self.reason = name, reason
        super().__init__(
            f"Plugin {name!r} cannot be updated: {reason}. Remove it and install it again instead."
        )


class PluginSourceUnusable(PluginError):
    """A source that is no git URL, folder, .py file or zip, or that holds no plugin."""

    def __init__(self, source: str, reason: str) -> None:
        self.source, self.reason = source, reason
        super().__init__(f"{source} cannot be installed as a plugin: {reason}.")


class CloneFailed(PluginError):
    """git could not fetch a repository. `url` has no credentials in it."""

    def __init__(self, url: str, reason: str) -> None:
        self.url, self.reason = url, reason
        super().__init__(
            f"{url} could not be cloned: {reason}. Check the address, the network and your access to it."
        )


class RefNotFound(PluginError):
    """A branch, tag or commit that the repository does not have."""

    def __init__(self, url: str, ref: str, near: Sequence[str]) -> None:
        self.url, self.ref, self.near = url, ref, tuple(near)
        hint = f" Near it: {', '.join(near)}." if near else " Give a branch, a tag or a full commit."
        super().__init__(f"{url} has no branch, tag or commit {ref!r}.{hint}")


class ArchiveRefused(PluginError):
    """A zip that would write outside its folder, fill the disk, or is no zip."""

    def __init__(self, member: str, reason: str) -> None:
        self.member, self.reason = member, reason
        super().__init__(f"The archive was refused because of {member!r}: {reason}. Nothing of it was kept.")


class ModelKeepsChanging(WorkstationError):
    """A file of weights that was different before and after every attempt to read it."""

    def __init__(self, path: Path, attempts: int) -> None:
        self.path, self.attempts = path, attempts
        super().__init__(
            f"{path} changed during each of {attempts} readings: wait until it is written whole, "
            "then ask again."
        )


class OverlayRefused(WorkstationError):
    """A workstation that cannot be laid on sealed folders, sealed, or made a plain folder now."""

    def __init__(self, project: str, reason: str) -> None:
        self.project, self.reason = project, reason
        super().__init__(
            f"The workstation of {project} was left as it is: {reason}. A plain freeze works all the same."
        )


class WorkflowError(WorkstationError):
    """Root of what is wrong with a workflow's text."""


class NotJson(WorkflowError):
    """A workflow that is not JSON."""

    def __init__(self, reason: str) -> None:
        self.reason = reason
        super().__init__(f"The workflow is not JSON: {reason}. Export it again and give the whole file.")


class UiFormatWorkflow(WorkflowError):
    """A workflow as the editor saves it, which no engine runs."""

    def __init__(self) -> None:
        super().__init__(
            "The workflow is in the editor's own format. Open it in the editor and choose "
            "Workflow > Export (API), then use that file."
        )


class EmptyWorkflow(WorkflowError):
    """A workflow without a node, or JSON that is no workflow."""

    def __init__(self, reason: str) -> None:
        self.reason = reason
        super().__init__(
            f"This is not a workflow: {reason}. Export one with at least one node in API format."
        )


class KeeperNotStarted(WorkstationError):
    """The process that keeps the engine did not come up."""

    def __init__(self, project: str, log: Path, reason: str) -> None:
        self.project, self.log, self.reason = project, log, reason
        super().__init__(f"The workstation of {project!r} did not start: {reason}. See {log}.")


class WorkstationNotRunning(WorkstationError):
    """Something that needs a running workstation."""

    def __init__(self, project: str, status: str, problem: str | None) -> None:
        self.project, self.status, self.problem = project, status, problem
        why = f" ({problem})" if problem else ""
        super().__init__(f"The workstation of {project!r} is {status}{why}: start it first.")


class NotReady(WorkstationError):
    """The engine did not answer within the limit."""

    def __init__(self, project: str, limit_seconds: float, log: Path) -> None:
        self.project, self.limit_seconds, self.log = project, limit_seconds, log
        super().__init__(f"The engine of {project!r} did not answer within {limit_seconds:g} s; see {log}.")


class StopFailed(WorkstationError):
    """A keeper that did not end, even when killed."""

    def __init__(self, project: str, pid: int) -> None:
        self.project, self.pid = project, pid
        super().__init__(
            f"Process {pid} of {project!r} did not end, even when killed: look at it on this machine."
        )
