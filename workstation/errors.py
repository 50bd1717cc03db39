"""What can go wrong in a workstation. Each error has fields and a sentence that names the next step.

    WorkstationError
    └── BadName
"""

from __future__ import annotations


class WorkstationError(Exception):
    """Root of all errors of this package."""


class BadName(WorkstationError):
    """A name that could leave its folder or break a URL."""

    def __init__(self, of: str, name: str) -> None:
        self.of, self.name = of, name
        super().__init__(
            f"{name!r} cannot name a {of}: use 1 to 40 lower-case letters, digits and inner hyphens, for example 'portraits-2'."
        )
