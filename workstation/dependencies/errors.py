"""What can go wrong with a workstation's Python packages.

DependencyError
├── RequirementsUnreadable
├── RequirementsDoNotResolve
├── ProtectedChange
├── DependencyConflict
├── InstallFailed
├── EnvironmentNotMade
└── PackageNotInstalled
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from workstation.errors import WorkstationError


class DependencyError(WorkstationError):
    """Root of what concerns Python packages."""


class RequirementsUnreadable(DependencyError):
    """A requirements file that is not text, or names files outside its folder."""

    def __init__(self, path: Path, reason: str) -> None:
        self.path, self.reason = path, reason
        super().__init__(f"{path} cannot be read as requirements: {reason}.")


class RequirementsDoNotResolve(DependencyError):
    """No set of packages satisfies the requirements. `reason` is uv's own, trimmed."""

    def __init__(self, requirements: Sequence[str], reason: str) -> None:
        self.requirements, self.reason = tuple(requirements), reason
        shown = ", ".join(requirements[:8]) + (" ..." if len(requirements) > 8 else "")
        super().__init__(
            f"These requirements cannot be satisfied together: {shown}. {reason} Nothing was changed."
        )


class ProtectedChange(DependencyError):
    """A plan that would replace packages which everything else relies on, such as torch."""

    def __init__(self, changes: Sequence[str], names: Iterable[str]) -> None:
        self.changes, self.names = tuple(changes), tuple(names)
        super().__init__(
            f"This would replace {', '.join(changes)}, which other parts rely on. Nothing was changed. "
            f"Accept it by name ({', '.join(self.names)}) if you are sure."
        )


class DependencyConflict(DependencyError):
    """A plan after which an installed package would miss what it requires."""

    def __init__(self, conflicts: Sequence[str], names: Iterable[str]) -> None:
        self.conflicts, self.names = tuple(conflicts), tuple(names)
        super().__init__(
            f"{'; '.join(conflicts)}. Nothing was changed. "
            f"Accept it by name ({', '.join(self.names)}) if you are sure."
        )


class InstallFailed(DependencyError):
    """uv could not install what was planned; the environment is as it was."""

    def __init__(self, packages: Sequence[str], reason: str) -> None:
        self.packages, self.reason = tuple(packages), reason
        shown = ", ".join(packages[:8]) + (" ..." if len(packages) > 8 else "")
        super().__init__(f"Changing {shown} failed: {reason} The environment is as it was before.")


class EnvironmentNotMade(DependencyError):
    """A virtual environment could not be made."""

    def __init__(self, path: Path, reason: str) -> None:
        self.path, self.reason = path, reason
        super().__init__(f"The environment {path} could not be made: {reason}")


class PackageNotInstalled(DependencyError):
    """A removal of packages that are not in the workstation's own environment; a base is never changed."""

    def __init__(self, names: Sequence[str], base: str) -> None:
        self.names, self.base = tuple(names), base
        super().__init__(
            f"Not installed in this workstation itself: {', '.join(names)}. Nothing was changed. "
            f"What belongs to its base {base!r} is shared and cannot be removed here."
        )
