"""What can go wrong while publishing.

    PublisherError
    └── IllegalMove
"""

from __future__ import annotations


class PublisherError(Exception):
    """Root of all errors of this package."""


class IllegalMove(PublisherError):
    """A state change that the table of moves does not have: a bug, never an operator's fault."""

    def __init__(self, now: str, to: str) -> None:
        self.now, self.to = now, to
        super().__init__(f"A deployment cannot go from {now} to {to}.")
