"""Where the publisher takes its time from, so that tests can own it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

Clock = Callable[[], datetime]  # aware UTC


def utc_now() -> datetime:
    """The present moment, aware."""
    return datetime.now(UTC)
