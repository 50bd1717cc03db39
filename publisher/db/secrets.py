"""Secrets: rows of sealed values. A version is never changed; which one counts says the configuration."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import func, select

from publisher.db.control import Transaction
from publisher.db.tables import SecretRow


@dataclass(frozen=True)
class SealedSecret:
    """One version of one secret, without its value in the clear."""

    name: str
    version: int
    sealed: str
    created_at: datetime
    created_by: str


def add(tx: Transaction, service_id: int, name: str, sealed: str, by: str, now: datetime) -> int:
    """Store a new version and return its number; nothing uses it yet."""
    mine = (SecretRow.service_id == service_id, SecretRow.name == name)
    version = (tx.scalar(select(func.max(SecretRow.version)).where(*mine)) or 0) + 1
    row = SecretRow(
        service_id=service_id, name=name, version=version, sealed=sealed, created_at=now, created_by=by
    )
    tx.add(row)
    tx.flush()
    return version


def named(tx: Transaction, service_id: int, versions: Mapping[str, int]) -> tuple[SealedSecret, ...]:
    """The secrets that a configuration names, by name. One whose row is missing is left out."""
    rows = tx.scalars(select(SecretRow).where(SecretRow.service_id == service_id).order_by(SecretRow.name))
    return tuple(
        SealedSecret(row.name, row.version, row.sealed, row.created_at, row.created_by)
        for row in rows
        if versions.get(row.name) == row.version
    )


def any_sealed(tx: Transaction) -> bool:
    """Whether this home has a secret at all."""
    return tx.scalar(select(SecretRow.name).limit(1)) is not None
