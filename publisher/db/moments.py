"""Which moment of an instance's life a change of its columns is. Pure but for the rows that it adds."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

from publisher.clock import utc_now
from publisher.db.control import Transaction
from publisher.db.fleet_tables import InstanceMomentRow
from publisher.db.tables import InstanceRow

_BEGINS = {
    "started_at": "started",
    "admitted_at": "admitted",
    "routed_at": "routed",
    "drain_since": "draining",
    "failed_at": "failed",
    "stop_failed_at": "stop failed",
    "stopped_at": "stopped",
}


def born(tx: Transaction, row: InstanceRow) -> None:
    """The first moment."""
    gpu = "a CPU slot" if row.gpu is None else f"GPU {row.gpu}"
    _add(tx, row.id, row.created_at, "created", f"slot {row.slot}, {gpu}")


def lived(tx: Transaction, row: InstanceRow, values: Mapping[str, Any]) -> None:
    """Add the moments that setting `values` on this row means; called before they are set."""
    for at, kind, why in _moments(row, values):
        _add(tx, row.id, at or values.get("observed_at") or row.observed_at or utc_now(), kind, why)


def _moments(row: InstanceRow, values: Mapping[str, Any]) -> Iterator[tuple[datetime | None, str, str]]:
    problem = str(values.get("problem") or "")
    if "restarts" in values and values["restarts"] > row.restarts:
        yield None, "restarted", problem or str(row.problem or "")
    if "healthy" in values and values["healthy"] != row.healthy and values.get("stopped_at") is None:
        yield None, "healthy" if values["healthy"] else "unhealthy", problem
    for column, kind in _BEGINS.items():
        if column not in values:
            continue
        before, now = getattr(row, column), values[column]
        if now is not None and before is None:
            yield now, kind, _why(kind, row, values)
        elif column == "drain_since" and now is None and before is not None:
            yield None, "reopened", ""


def _why(kind: str, row: InstanceRow, values: Mapping[str, Any]) -> str:
    if kind in ("failed", "stop failed"):
        return str(values.get("problem") or row.problem or "")
    if kind in ("draining", "stopped"):
        return str(values.get("stop_reason") or row.stop_reason or "")
    return ""


def _add(tx: Transaction, instance_id: str, at: datetime, kind: str, why: str) -> None:
    tx.add(InstanceMomentRow(instance_id=instance_id, at=at, kind=kind, why=why))
