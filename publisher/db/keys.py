"""Service tokens, accounts and API keys. Secrets come in as hashes; nothing here could give one back."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import delete, select

from publisher.db.control import Transaction
from publisher.db.tables import AccountRow, ApiKeyRow, ServiceTokenRow, SessionRow
from publisher.errors import ApiKeyNotFound, TokenNotFound


@dataclass(frozen=True)
class TokenView:
    """A service token without its secret. `revoked_at` is None while it is good."""

    id: str
    name: str
    created_at: datetime
    revoked_at: datetime | None


@dataclass(frozen=True)
class Account:
    """A person who may sign in. `role` is viewer, developer or admin."""

    id: int
    name: str
    role: str
    password_hash: str
    created_at: datetime


@dataclass(frozen=True)
class ApiKeyView:
    """An API key without its secret."""

    id: str
    account: str
    name: str
    created_at: datetime
    revoked_at: datetime | None


def add_token(
    tx: Transaction, service_id: int, token_id: str, name: str, sha256: str, now: datetime
) -> TokenView:
    """Store a token of a service by its hash."""
    row = ServiceTokenRow(
        id=token_id, service_id=service_id, name=name, sha256=sha256, created_at=now, revoked_at=None
    )
    tx.add(row)
    tx.flush()
    return _token(row)


def tokens(tx: Transaction, service_id: int) -> tuple[TokenView, ...]:
    """All tokens of a service, revoked ones too, oldest first."""
    query = select(ServiceTokenRow).where(ServiceTokenRow.service_id == service_id)
    return tuple(_token(row) for row in tx.scalars(query.order_by(ServiceTokenRow.created_at)))


def live_hashes(tx: Transaction) -> dict[int, list[tuple[str, str]]]:
    """Service row id -> (token id, sha256) of the tokens that are good."""
    found: dict[int, list[tuple[str, str]]] = {}
    query = select(ServiceTokenRow).where(ServiceTokenRow.revoked_at.is_(None)).order_by(ServiceTokenRow.id)
    for row in tx.scalars(query):
        found.setdefault(row.service_id, []).append((row.id, row.sha256))
    return found


def revoke_token(tx: Transaction, service_id: int, service: str, token_id: str, now: datetime) -> None:
    """Raises TokenNotFound when the service has no such good token."""
    row = tx.get(ServiceTokenRow, token_id)
    if row is None or row.service_id != service_id or row.revoked_at is not None:
        raise TokenNotFound(service, token_id)
    row.revoked_at = now
    tx.flush()


def find_account(tx: Transaction, name: str) -> Account | None:
    """The account of that name, or None."""
    row = tx.scalar(select(AccountRow).where(AccountRow.name == name))
    return None if row is None else _account(row)


def accounts(tx: Transaction) -> tuple[Account, ...]:
    """All accounts by name."""
    return tuple(_account(row) for row in tx.scalars(select(AccountRow).order_by(AccountRow.name)))


def add_account(tx: Transaction, name: str, role: str, password_hash: str, now: datetime) -> Account:
    """Store an account. Raises IntegrityError when the name is taken."""
    row = AccountRow(name=name, role=role, password_hash=password_hash, created_at=now)
    tx.add(row)
    tx.flush()
    return _account(row)


def set_password(tx: Transaction, account_id: int, password_hash: str) -> None:
    """Replace the stored hash of an account."""
    tx.get_one(AccountRow, account_id).password_hash = password_hash
    tx.flush()


def account(tx: Transaction, account_id: int) -> Account:
    """The account of that row id."""
    return _account(tx.get_one(AccountRow, account_id))


def set_role(tx: Transaction, account_id: int, role: str) -> None:
    """Give an account another role."""
    tx.get_one(AccountRow, account_id).role = role
    tx.flush()


def remove_account(tx: Transaction, account_id: int) -> None:
    """Remove an account with its keys and sessions. What it did stays on record under its name."""
    for table in (ApiKeyRow, SessionRow):
        tx.execute(delete(table).where(table.account_id == account_id))
    tx.delete(tx.get_one(AccountRow, account_id))
    tx.flush()


def add_api_key(
    tx: Transaction, account_id: int, key_id: str, name: str, sha256: str, now: datetime
) -> ApiKeyView:
    """Store an API key by its hash."""
    row = ApiKeyRow(
        id=key_id, account_id=account_id, name=name, sha256=sha256, created_at=now, revoked_at=None
    )
    tx.add(row)
    tx.flush()
    return _api_key(tx, row)


def api_keys(tx: Transaction, account_id: int) -> tuple[ApiKeyView, ...]:
    """All keys of an account, revoked ones too, newest first."""
    query = select(ApiKeyRow).where(ApiKeyRow.account_id == account_id)
    return tuple(_api_key(tx, row) for row in tx.scalars(query.order_by(ApiKeyRow.created_at.desc())))


def revoke_api_key(tx: Transaction, account_id: int, key_id: str, now: datetime) -> None:
    """Raises ApiKeyNotFound when the account has no such good key."""
    row = tx.get(ApiKeyRow, key_id)
    if row is None or row.account_id != account_id or row.revoked_at is not None:
        raise ApiKeyNotFound(key_id)
    row.revoked_at = now
    tx.flush()


def account_of_key(tx: Transaction, sha256: str) -> Account | None:
    """Whose good API key has this hash; None when nobody's."""
    where = (ApiKeyRow.sha256 == sha256, ApiKeyRow.revoked_at.is_(None))
    row = tx.scalar(select(ApiKeyRow).where(*where))
    return None if row is None else _account(tx.get_one(AccountRow, row.account_id))


def _token(row: ServiceTokenRow) -> TokenView:
    return TokenView(row.id, row.name, row.created_at, row.revoked_at)


def _account(row: AccountRow) -> Account:
    return Account(row.id, row.name, row.role, row.password_hash, row.created_at)


def _api_key(tx: Transaction, row: ApiKeyRow) -> ApiKeyView:
    return ApiKeyView(
        row.id, tx.get_one(AccountRow, row.account_id).name, row.name, row.created_at, row.revoked_at
    )
