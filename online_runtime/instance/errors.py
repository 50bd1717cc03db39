"""What can go wrong in an instance.

    InstanceError
    └── SpecTooNew
"""

from __future__ import annotations


class InstanceError(Exception):
    """Root of all errors of this package."""


class SpecTooNew(InstanceError):
    """A spec.json of a format this version cannot read."""

    def __init__(self, found: object, known: int) -> None:
        self.found, self.known = found, known
        super().__init__(f"spec.json has format {found}, this version knows {known}: upgrade stillframe on this machine.")
