"""Every number of the publisher, in one frozen object.

An entry point fills it; nothing here reads the environment.
"""

from __future__ import annotations

from dataclasses import dataclass

from workstation.layout import Home


@dataclass(frozen=True)
class Settings:
    """The platform's defaults. A service's configuration may override those that concern its own rotation."""

    database_url: str | None = None  # None: SQLite in HOME/control.db
    jobs_url: str | None = None  # None: SQLite in HOME/jobs.db; the gateway's own
    broker_url: str | None = None  # None: the embedded broker in HOME/run/broker
    secret_key_file: str | None = None  # None: HOME/secret.key, made when the first secret is set
    slots: int | None = None  # None: one per GPU, or `cpu_slots` where there is no GPU
    cpu_slots: int = 4

    health_interval_seconds: float = 2.0
    health_timeout_seconds: float = 5.0
    health_passes: int = 3
    health_failures: int = 3
    start_deadline_seconds: float = 900.0  # plugins import slowly on a cold disk
    minimum_healthy_seconds: float = 10.0
    bake_seconds: float = 60.0
    drain_soft_seconds: float = 600.0  # until then open streams are waited for as well as jobs
    drain_hard_seconds: float = 1800.0
    stop_grace_seconds: float = 30.0  # between SIGTERM and SIGKILL
    smoke_deadline_seconds: float = 900.0
    visible_deadline_seconds: float = 10.0  # every live gateway must show a new routing table within it

    hold_seconds: float = 120.0
    hold_calls: int = 100
    max_body_bytes: int = 100 * 1024 * 1024

    lease_seconds: float = 15.0
    lease_renew_seconds: float = 5.0
    tick_seconds: float = 1.0
    orphan_interval_seconds: float = 10.0
    replace_backoff_seconds: float = 1.0  # doubled for each instance that ended lately
    replace_backoff_limit_seconds: float = 60.0
    disk_room_bytes: int = 2 * 1024**3  # preflight refuses to freeze below it
    log_tail_lines: int = 200

    def control_database(self, home: Home) -> str:
        """SQLAlchemy URL of the control database."""
        return self.database_url or f"sqlite:///{home.root / 'control.db'}"
