"""The fleet by itself: wanted numbers, schedules, wake-ups, the lifecycle of every instance."""

from __future__ import annotations

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Nothing yet."""
