"""The settings of one gateway process, read at its door. Durations are in seconds."""

from __future__ import annotations

from dataclasses import dataclass

from workstation.layout import Home


@dataclass(frozen=True)
class GatewaySettings:
    """`port` 0 takes a free one; the file in HOME/run/gateways says which."""

    home: Home
    listen: str = "127.0.0.1"
    port: int = 8081
    jobs_url: str | None = None  # None: SQLite at HOME/jobs.db
    table_poll_seconds: float = 0.02  # a switch must be visible in 0.05 s
    connect_limit_seconds: float = 5.0  # loopback or one hop: a live engine accepts in milliseconds
    post_limit_seconds: float = 60.0  # validation of the largest graphs takes seconds
    small_answer_limit_seconds: float = 15.0  # history, queue: a busy engine may be slow, but not silent
    archive_poll_seconds: float = 1.0
    owner_silence_seconds: float = 30.0  # an engine restarts within this; refused for longer means dead
    orphan_limit_seconds: float = 600.0  # how long a job waits for an instance that can take it again
    expiry_seconds: float = 60.0  # how often results beyond a service's limits are looked for
    undecided_limit_seconds: float = 10.0  # how long a repeated call waits for the first one
    stop_limit_seconds: float = 30.0  # how long calls may go on after SIGTERM

    @property
    def jobs_database(self) -> str:
        return self.jobs_url or f"sqlite:///{self.home.root / 'jobs.db'}"
