"""What the publisher needs of the two floors below.

Frozen snapshots, and facts about the workstation. Ports only.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from online_runtime.instance.spec import Mount


@dataclass(frozen=True)
class Frozen:
    """A snapshot that exists and whose views are ready. `detail` says in a sentence what it took."""

    snapshot_id: str
    number: int
    new: bool
    detail: str


@dataclass(frozen=True)
class View:
    """What an instance of a snapshot mounts where."""

    workstation: str
    mounts: tuple[Mount, ...]
    base_site_packages: str | None
    base_fingerprint: str | None


@dataclass(frozen=True)
class Difference:
    """What changed from one snapshot to another: lines for people, the document for programs."""

    lines: tuple[str, ...]
    document: Mapping[str, Any]


class Snapshots(Protocol):
    """Freezes workstations and finds what was frozen. Errors are SnapshotterError and WorkstationError."""

    def freeze(self, project: str) -> Frozen:
        """Freeze the workstation of `project`; the newest snapshot again when nothing changed."""

    def resolve(self, project: str, reference: str) -> Frozen:
        """The snapshot that a number, an id prefix or "latest" names, its views made."""

    def proved(self, project: str, reference: str) -> Frozen:
        """As `resolve`, after every byte of it was read again; damage is an error."""

    def view(self, project: str, snapshot_id: str) -> View:
        """Where its components lie, and where an instance must see them."""

    def difference(self, project: str, old_id: str, new_id: str) -> Difference:
        """What `new_id` has that `old_id` had not, and the other way."""


@dataclass(frozen=True)
class MissingModel:
    """A model that a workflow names and the shared folder does not hold."""

    folder: str
    name: str


class Workstations(Protocol):
    """Facts about a project's workstation. Errors are WorkstationError."""

    def check(self, project: str) -> str:
        """Raises WorkstationError when there is no such project or its engine is not in place; else a
        sentence.
        """

    def check_workflow(self, workflow: Mapping[str, Any]) -> None:
        """Raises WorkstationError when this is not a workflow in API format."""

    def failing_plugins(self, project: str) -> Mapping[str, str]:
        """Plugins that did not import in the workstation's last run, with the error. Empty: it never ran."""

    def unknown_nodes(self, project: str, workflow: Mapping[str, Any]) -> Sequence[str] | None:
        """Node classes of the workflow that the workstation does not have; None when it does not run."""

    def missing_models(self, project: str, workflow: Mapping[str, Any]) -> Sequence[MissingModel]:
        """Models that the workflow names and the shared folder does not hold."""
