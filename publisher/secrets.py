"""Secrets of a service: set, named, and opened for its instances only.

A configuration names a version of each, so that setting or removing one is a change of configuration, and
going back to an earlier configuration goes back to its secrets too. Values stand sealed in the control
database, and in the clear only in the memory of an agent and the environment of its engine.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from publisher.configuration import Configuration, read_configuration
from publisher.db import secrets as rows
from publisher.db import services
from publisher.db.control import Transaction
from publisher.db.secrets import SealedSecret
from publisher.errors import ConfigurationInvalid, PublisherError, SecretDamaged, SecretNotFound
from publisher.keyring import Keyring
from publisher.settings import Settings
from workstation.layout import Home

SHORTEST = 6  # anything shorter cannot be kept out of logs without tearing them to pieces
LONGEST_BYTES = 32 * 1024  # an environment variable may have 128 KiB


@dataclass(frozen=True)
class SecretView:
    """A secret without its value. `problem` says why it cannot be opened; None: it can."""

    name: str
    version: int
    created_at: datetime
    created_by: str
    problem: str | None


def check_value(name: str, value: str) -> None:
    """Raises ConfigurationInvalid."""
    read_configuration({"secrets": {name: 1}})
    field = f"secrets.{name}"
    if len(value) < SHORTEST:
        raise ConfigurationInvalid(field, f"a secret has at least {SHORTEST} characters")
    if len(value.encode()) > LONGEST_BYTES or "\0" in value:
        raise ConfigurationInvalid(field, f"a secret is a text of at most {LONGEST_BYTES} bytes")


def seal(
    tx: Transaction,
    keyring: Keyring,
    service: services.Service,
    name: str,
    value: str,
    by: str,
    now: datetime,
) -> int:
    """Store a new version and return its number. The key is made for the very first secret of a home only."""
    if not rows.any_sealed(tx):
        keyring.make()
    return rows.add(tx, service.id, name, keyring.seal(name, _of(service, name), value), by, now)


def views(
    tx: Transaction, keyring: Keyring, service: services.Service, configuration: Configuration
) -> tuple[SecretView, ...]:
    """The secrets that a configuration names."""
    return tuple(
        SecretView(one.name, one.version, one.created_at, one.created_by, _problem(keyring, service, one))
        for one in rows.named(tx, service.id, configuration.secrets)
    )


def opened(
    tx: Transaction, keyring: Keyring, service: services.Service, configuration: Configuration
) -> Mapping[str, str]:
    """Name -> value. Raises SecretKeyMissing, SecretKeyUnusable, SecretSealedOtherwise, SecretDamaged."""
    found = {
        one.name: keyring.open(one.name, _of(service, one.name), one.sealed)
        for one in rows.named(tx, service.id, configuration.secrets)
    }
    for name in configuration.secrets:
        if name not in found:
            raise SecretDamaged(name)
    return found


def secret_problems(
    tx: Transaction, home: Home, settings: Settings, service: services.Service, configuration: Configuration
) -> tuple[str, ...]:
    """Why secrets that a configuration names cannot be opened, each in a sentence."""
    found = views(tx, Keyring.of(home, settings), service, configuration)
    named = {one.name for one in found}
    missing = tuple(str(SecretDamaged(name)) for name in sorted(configuration.secrets.keys() - named))
    return tuple(one.problem for one in found if one.problem is not None) + missing


def check_named(service: str, configuration: Configuration, name: str) -> None:
    """Raises SecretNotFound."""
    if name not in configuration.secrets:
        raise SecretNotFound(service, name, sorted(configuration.secrets))


def _problem(keyring: Keyring, service: services.Service, secret: SealedSecret) -> str | None:
    try:
        keyring.open(secret.name, _of(service, secret.name), secret.sealed)
    except PublisherError as problem:
        return str(problem)
    return None


def _of(service: services.Service, name: str) -> str:
    """What a sealed value belongs to."""
    return f"{service.name}/{name}"
