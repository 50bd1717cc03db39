"""Sessions of the console as they are stored: by the hash of their id."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import delete, select

from publisher.db.control import Transaction
from publisher.db.tables import SessionRow


@dataclass(frozen=True)
class Session:
    """A browser in which somebody signed in. `seen_at` is when it last asked for something."""

    sha256: str
    account_id: int
    created_at: datetime
    seen_at: datetime
    expires_at: datetime
    address: str
    browser: str


def add(tx: Transaction, session: Session) -> None:
    """Store one."""
    tx.add(
        SessionRow(
            sha256=session.sha256,
            account_id=session.account_id,
            created_at=session.created_at,
            seen_at=session.seen_at,
            expires_at=session.expires_at,
            address=session.address,
            browser=session.browser,
        )
    )
    tx.flush()


def find(tx: Transaction, sha256: str) -> Session | None:
    """The session of this hash, over or not."""
    row = tx.get(SessionRow, sha256)
    return None if row is None else _session(row)


def of_account(tx: Transaction, account_id: int) -> tuple[Session, ...]:
    """The newest first."""
    query = select(SessionRow).where(SessionRow.account_id == account_id)
    return tuple(_session(row) for row in tx.scalars(query.order_by(SessionRow.created_at.desc())))


def saw(tx: Transaction, sha256: str, now: datetime) -> None:
    """Its browser asked for something. One that was ended meanwhile stays ended."""
    row = tx.get(SessionRow, sha256)
    if row is not None:
        row.seen_at = now
        tx.flush()


def end(tx: Transaction, sha256: str) -> None:
    """Forget one."""
    tx.execute(delete(SessionRow).where(SessionRow.sha256 == sha256))


def end_all(tx: Transaction, account_id: int) -> int:
    """Forget all of an account; returns how many."""
    found = of_account(tx, account_id)
    tx.execute(delete(SessionRow).where(SessionRow.account_id == account_id))
    return len(found)


def sweep(tx: Transaction, now: datetime, unseen_since: datetime) -> None:
    """Forget what is over."""
    over = (SessionRow.expires_at <= now) | (SessionRow.seen_at <= unseen_since)
    tx.execute(delete(SessionRow).where(over))


def _session(row: SessionRow) -> Session:
    return Session(
        row.sha256,
        row.account_id,
        row.created_at,
        row.seen_at,
        row.expires_at,
        row.address,
        row.browser,
    )
