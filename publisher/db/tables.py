"""The tables of the control database. Rows never leave `publisher.db`; callers get frozen dataclasses."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import JSON, DateTime, Dialect, ForeignKey, Index, Text, TypeDecorator, UniqueConstraint, text
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from publisher.states import ACTIVE

_JSON = JSON(none_as_null=True)
_ACTIVE = "state IN (" + ", ".join(f"'{state}'" for state in sorted(ACTIVE)) + ")"


class UtcDateTime(TypeDecorator[datetime]):
    """Aware UTC both ways; SQLite keeps no zone, so it is taken off and put back."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is not None and value.tzinfo is None:
            raise ValueError(f"a time without a zone: {value}")
        return value.astimezone(UTC) if value is not None else None

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


class Row(DeclarativeBase):
    """Root of all rows."""

    type_annotation_map = {datetime: UtcDateTime, dict[str, Any]: _JSON, list[Any]: _JSON, str: Text}  # noqa: RUF012  (SQLAlchemy reads it so)


class ServiceRow(Row):
    """One online service. `serving_deployment_id` is the one write that gives or takes traffic."""

    __tablename__ = "services"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(unique=True)
    created_at: Mapped[datetime]
    configuration_version: Mapped[int]
    serving_deployment_id: Mapped[int | None]
    stopped_at: Mapped[datetime | None]


class ConfigurationRow(Row):
    """One version of a service's configuration; never changed again."""

    __tablename__ = "configurations"
    service_id: Mapped[int] = mapped_column(ForeignKey("services.id"), primary_key=True)
    version: Mapped[int] = mapped_column(primary_key=True)
    document: Mapped[dict[str, Any]]
    created_at: Mapped[datetime]
    created_by: Mapped[str]


class SecretRow(Row):
    """One version of one secret, sealed; never changed again. Configurations name secrets by version."""

    __tablename__ = "secrets"
    service_id: Mapped[int] = mapped_column(ForeignKey("services.id"), primary_key=True)
    name: Mapped[str] = mapped_column(primary_key=True)
    version: Mapped[int] = mapped_column(primary_key=True)
    sealed: Mapped[str]
    created_at: Mapped[datetime]
    created_by: Mapped[str]


class DeploymentRow(Row):
    """One attempt. The lease columns belong to whoever executes it; `lease_token` only grows."""

    __tablename__ = "deployments"
    id: Mapped[int] = mapped_column(primary_key=True)
    service_id: Mapped[int] = mapped_column(ForeignKey("services.id"))
    number: Mapped[int]
    state: Mapped[str]
    reason: Mapped[str]
    requested_by: Mapped[str]
    source: Mapped[str]
    note: Mapped[str]
    requested_at: Mapped[datetime]
    entered_at: Mapped[datetime]
    configuration_version: Mapped[int]
    same_configuration: Mapped[bool]
    smoke_workflow: Mapped[dict[str, Any] | None]
    keep_smoke: Mapped[bool]
    snapshot_reference: Mapped[str | None]
    snapshot_id: Mapped[str | None]
    snapshot_number: Mapped[int | None]
    previous_id: Mapped[int | None]
    rolls_back_to: Mapped[int | None]
    findings: Mapped[list[Any] | None]
    known_failing: Mapped[list[Any]]
    expected_plugins: Mapped[list[Any] | None]
    accepted: Mapped[list[Any] | None]
    rotation: Mapped[str | None]
    slots_at_hand: Mapped[int | None]
    instances_wanted: Mapped[int | None]
    diff: Mapped[dict[str, Any] | None]
    switched_at: Mapped[datetime | None]
    switch_visible_at: Mapped[datetime | None]
    drain_since: Mapped[datetime | None]
    returned_at: Mapped[datetime | None]
    ended_at: Mapped[datetime | None]
    cancelled_by: Mapped[str | None]
    failure: Mapped[str | None]
    outcome: Mapped[str]
    stumbles: Mapped[int]
    lease_owner: Mapped[str | None]
    lease_token: Mapped[int]
    lease_beat: Mapped[int]

    __table_args__ = (
        UniqueConstraint("service_id", "number", name="one_number_per_service"),
        Index(
            "one_active_deployment_per_service",
            "service_id",
            unique=True,
            sqlite_where=text(_ACTIVE),
            postgresql_where=text(_ACTIVE),
        ),
    )


class EventRow(Row):
    """One step of a deployment as it was carried out."""

    __tablename__ = "deployment_events"
    id: Mapped[int] = mapped_column(primary_key=True)
    deployment_id: Mapped[int] = mapped_column(ForeignKey("deployments.id"), index=True)
    kind: Mapped[str]
    subject: Mapped[str]
    state: Mapped[str]
    started_at: Mapped[datetime]
    ended_at: Mapped[datetime | None]
    result: Mapped[str]
    detail: Mapped[str]
    data: Mapped[dict[str, Any]]


class InstanceRow(Row):
    """One instance. Who writes what stands at `publisher.deployment`."""

    __tablename__ = "instances"
    id: Mapped[str] = mapped_column(primary_key=True)
    service_id: Mapped[int] = mapped_column(ForeignKey("services.id"), index=True)
    deployment_id: Mapped[int] = mapped_column(ForeignKey("deployments.id"))
    ordinal: Mapped[int]
    slot: Mapped[int]
    gpu: Mapped[int | None]
    token: Mapped[str]
    snapshot_id: Mapped[str]
    snapshot_number: Mapped[int]
    created_at: Mapped[datetime]
    started_at: Mapped[datetime | None]
    routed_at: Mapped[datetime | None]
    admitted_at: Mapped[datetime | None]
    drain_since: Mapped[datetime | None]
    counted_at: Mapped[datetime | None]
    unfinished_jobs: Mapped[int | None]
    open_calls: Mapped[int | None]
    stop_failed_at: Mapped[datetime | None]
    stopped_at: Mapped[datetime | None]
    stop_reason: Mapped[str | None]
    failed_at: Mapped[datetime | None]
    presence: Mapped[str | None]
    state: Mapped[str | None]
    url: Mapped[str | None]
    healthy: Mapped[bool]
    passes: Mapped[int]
    failures: Mapped[int]
    healthy_since: Mapped[datetime | None]
    observed_at: Mapped[datetime | None]
    restarts: Mapped[int]
    isolation: Mapped[str | None]
    problem: Mapped[str | None]
    last_exit: Mapped[dict[str, Any] | None]
    plugins: Mapped[list[Any]]
    smoked_at: Mapped[datetime | None]
    log_tail: Mapped[list[Any]]

    __table_args__ = (
        UniqueConstraint("deployment_id", "ordinal", name="one_instance_per_ordinal"),
        Index(
            "one_live_instance_per_slot",
            "slot",
            unique=True,
            sqlite_where=text("stopped_at IS NULL"),
            postgresql_where=text("stopped_at IS NULL"),
        ),
    )


class ServiceTokenRow(Row):
    """A token of a service's endpoint: only its SHA-256 is kept."""

    __tablename__ = "service_tokens"
    id: Mapped[str] = mapped_column(primary_key=True)
    service_id: Mapped[int] = mapped_column(ForeignKey("services.id"), index=True)
    name: Mapped[str]
    sha256: Mapped[str]
    created_at: Mapped[datetime]
    revoked_at: Mapped[datetime | None]


class AccountRow(Row):
    """A person who may sign in; the password is an argon2 hash."""

    __tablename__ = "accounts"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(unique=True)
    role: Mapped[str]
    password_hash: Mapped[str]
    created_at: Mapped[datetime]


class ApiKeyRow(Row):
    """A key for programs; only its SHA-256 is kept."""

    __tablename__ = "api_keys"
    id: Mapped[str] = mapped_column(primary_key=True)
    account_id: Mapped[int] = mapped_column(ForeignKey("accounts.id"))
    name: Mapped[str]
    sha256: Mapped[str] = mapped_column(unique=True)
    created_at: Mapped[datetime]
    revoked_at: Mapped[datetime | None]


class SessionRow(Row):
    """A browser in which somebody signed in; only the SHA-256 of its id is kept."""

    __tablename__ = "sessions"
    sha256: Mapped[str] = mapped_column(primary_key=True)
    account_id: Mapped[int] = mapped_column(ForeignKey("accounts.id"), index=True)
    created_at: Mapped[datetime]
    seen_at: Mapped[datetime]
    expires_at: Mapped[datetime]
    address: Mapped[str]
    browser: Mapped[str]


class AuditRow(Row):
    """One line of the audit log. The database refuses to change or remove one."""

    __tablename__ = "audit_log"
    id: Mapped[int] = mapped_column(primary_key=True)
    at: Mapped[datetime] = mapped_column(index=True)
    by: Mapped[str]
    source: Mapped[str]
    address: Mapped[str]
    action: Mapped[str]
    subject: Mapped[str]
    outcome: Mapped[str]


class RoutingRow(Row):
    """One row: the version of the last routing table. It only grows."""

    __tablename__ = "routing"
    id: Mapped[int] = mapped_column(primary_key=True)
    version: Mapped[int]
