"""What can go wrong while publishing.

PublisherError
├── IllegalMove
├── LeaseLost
├── ControlTooNew
├── ControlUnreachable
├── ServiceNotFound
├── DeploymentNotFound
├── InstanceNotFound
├── TokenNotFound
├── AccountExists
├── AccountNotFound
├── BadAccountName
├── LastAdmin
├── PasswordTooShort
├── ApiKeyNotFound
├── DeploymentInProgress
├── CancelTooLate
├── RollbackRefused
├── NotAcceptable
├── NothingDeployed
├── ConfigurationInvalid
├── ConfigurationNotFound
├── SecretNotFound
├── SecretKeyMissing
├── SecretKeyUnusable
├── SecretSealedOtherwise
├── SecretDamaged
├── NoFreeSlot
├── GpusUnreadable
├── GatewayBehind
└── SmokeFailed
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from pathlib import Path


class PublisherError(Exception):
    """Root of all errors of this package."""


class IllegalMove(PublisherError):
    """A state change that the table of moves does not have: a bug, never an operator's fault."""

    def __init__(self, now: str, to: str) -> None:
        self.now, self.to = now, to
        super().__init__(f"A deployment cannot go from {now} to {to}.")


class LeaseLost(PublisherError):
    """Another worker took this deployment over; whoever gets this stops at once and writes nothing more."""

    def __init__(self, deployment_id: int, token: int) -> None:
        self.deployment_id, self.token = deployment_id, token
        super().__init__(f"Lease {token} of deployment row {deployment_id} was taken over by another worker.")


class ControlTooNew(PublisherError):
    """A control database written by a newer version. Nothing was changed."""

    def __init__(self, found: str, known: str) -> None:
        self.found, self.known = found, known
        super().__init__(
            f"The control database has schema {found}, this version knows up to {known}: upgrade stillframe."
        )


class ControlUnreachable(PublisherError):
    """The control database did not answer. Whether what was being written is there, nobody knows yet."""

    def __init__(self, cause: str) -> None:
        self.cause = cause
        super().__init__(
            f"The control database did not answer ({cause}): look whether it runs and whether database_url "
            "is right, then ask again. What serves goes on serving meanwhile."
        )


class ServiceNotFound(PublisherError):
    """No service of that name was ever deployed."""

    def __init__(self, name: str, existing: Iterable[str]) -> None:
        self.name, self.existing = name, tuple(existing)
        known = ", ".join(self.existing) or "none yet"
        super().__init__(
            f"There is no online service {name!r} (services: {known}). Deploy the project first."
        )


class DeploymentNotFound(PublisherError):
    """The service has no deployment of that number."""

    def __init__(self, service: str, number: int, latest: int) -> None:
        self.service, self.number, self.latest = service, number, latest
        super().__init__(f"Service {service} has no deployment {number}; its latest is {latest}.")


class InstanceNotFound(PublisherError):
    """The service has no instance of that id."""

    def __init__(self, service: str, instance_id: str) -> None:
        self.service, self.instance_id = service, instance_id
        super().__init__(f"Service {service} has no instance {instance_id}. List its instances first.")


class TokenNotFound(PublisherError):
    """The service has no live token of that id."""

    def __init__(self, service: str, token_id: str) -> None:
        self.service, self.token_id = service, token_id
        super().__init__(f"Service {service} has no token {token_id}. List its tokens first.")


class AccountExists(PublisherError):
    """An account of that name is already there."""

    def __init__(self, name: str) -> None:
        self.name = name
        super().__init__(f"There is already an account {name!r}. Choose another name or set its password.")


class AccountNotFound(PublisherError):
    """No account of that name."""

    def __init__(self, name: str, existing: Iterable[str]) -> None:
        self.name, self.existing = name, tuple(existing)
        known = ", ".join(self.existing) or "none yet: the first `stillframe up` makes admin"
        super().__init__(f"There is no account {name!r} (accounts: {known}).")


class BadAccountName(PublisherError):
    """A name that cannot be an account's."""

    def __init__(self, name: str) -> None:
        self.name = name
        super().__init__(
            f"{name!r} cannot name an account: use letters, digits and . _ @ - (at most 63, "
            "a letter or digit first)."
        )


class LastAdmin(PublisherError):
    """The only admin cannot be removed or given a lesser role. Nothing was changed."""

    def __init__(self, name: str) -> None:
        self.name = name
        super().__init__(f"{name} is the only admin: make another account admin first.")


class PasswordTooShort(PublisherError):
    """A password that is guessed too soon. Nothing was changed."""

    def __init__(self, least: int) -> None:
        self.least = least
        super().__init__(f"The password is too short: give it at least {least} characters.")


class ApiKeyNotFound(PublisherError):
    """The account has no such API key, or it is revoked already."""

    def __init__(self, key_id: str) -> None:
        self.key_id = key_id
        super().__init__(f"You have no API key {key_id} that is good. List your keys first.")


class DeploymentInProgress(PublisherError):
    """The service is busy with another deployment. Nothing was changed."""

    def __init__(self, service: str, number: int, by: str, since: datetime, state: str) -> None:
        self.service, self.number, self.by, self.since, self.state = service, number, by, since, state
        super().__init__(
            f"Service {service} is busy: deployment {number}, started by {by} "
            f"at {since:%Y-%m-%d %H:%M:%S} UTC, is {state}. Wait for it or cancel it."
        )


class CancelTooLate(PublisherError):
    """The deployment has ended, or is already stopping the old instances."""

    def __init__(self, service: str, number: int, state: str) -> None:
        self.service, self.number, self.state = service, number, state
        super().__init__(
            f"Deployment {number} of {service} is {state} and cannot be cancelled. "
            "Roll back to an earlier one instead."
        )


class RollbackRefused(PublisherError):
    """There is nothing to roll back to, or it is no longer valid. The current side stays."""

    def __init__(self, service: str, reason: str) -> None:
        self.service, self.reason = service, reason
        super().__init__(f"Service {service} was not rolled back: {reason}")


class NotAcceptable(PublisherError):
    """A finding that nobody may wave through, or a name that no check has. Nothing was changed."""

    def __init__(self, name: str, acceptable: Iterable[str]) -> None:
        self.name, self.acceptable = name, tuple(acceptable)
        super().__init__(
            f"The finding {name!r} cannot be accepted. These can: {', '.join(self.acceptable)}. "
            "Remedy what it says instead."
        )


class NothingDeployed(PublisherError):
    """The service runs nothing, so there is nothing that could be done to it."""

    def __init__(self, service: str) -> None:
        self.service = service
        super().__init__(f"Service {service} runs no snapshot. Deploy the project first.")


class ConfigurationInvalid(PublisherError):
    """A configuration with an unknown key or an impossible value. Nothing was changed."""

    def __init__(self, field: str, reason: str) -> None:
        self.field, self.reason = field, reason
        super().__init__(f"Configuration field {field!r} is not valid: {reason}. Nothing was changed.")


class ConfigurationNotFound(PublisherError):
    """The service has no configuration of that version."""

    def __init__(self, service: str, version: int, latest: int) -> None:
        self.service, self.version, self.latest = service, version, latest
        super().__init__(f"Service {service} has no configuration version {version}; its latest is {latest}.")


class SecretNotFound(PublisherError):
    """The service's configuration names no such secret."""

    def __init__(self, service: str, name: str, existing: Iterable[str]) -> None:
        self.service, self.name, self.existing = service, name, tuple(existing)
        known = ", ".join(self.existing) or "none"
        super().__init__(f"Service {service} has no secret {name!r} (secrets: {known}).")


class SecretKeyMissing(PublisherError):
    """The key file is gone; what was sealed with it cannot be opened."""

    def __init__(self, file: Path, secret: str) -> None:
        self.file, self.secret = file, secret
        super().__init__(
            f"The key that secret {secret} is sealed with should be in {file}, which does not exist: put it "
            "back from your backup. If it is lost, remove all secrets of the services and set them again."
        )


class SecretKeyUnusable(PublisherError):
    """The key file is there and is no key, or others may read it."""

    def __init__(self, file: Path, reason: str) -> None:
        self.file, self.reason = file, reason
        super().__init__(f"The key file {file} cannot be used: {reason}.")


class SecretSealedOtherwise(PublisherError):
    """A secret was sealed with another key than the one at hand."""

    def __init__(self, secret: str, file: Path, sealed_with: str, found: str) -> None:
        self.secret, self.file, self.sealed_with, self.found = secret, file, sealed_with, found
        super().__init__(
            f"Secret {secret} was sealed with key {sealed_with}, {file} holds key {found}: put the right key "
            "there, or set the secret again."
        )


class SecretDamaged(PublisherError):
    """What is stored of a secret is not what was sealed."""

    def __init__(self, secret: str) -> None:
        self.secret = secret
        super().__init__(f"What is stored of secret {secret} is damaged: set the secret again.")


class NoFreeSlot(PublisherError):
    """Every slot of the machine is taken by an instance."""

    def __init__(self, slots: int, taken_by: Iterable[str]) -> None:
        self.slots, self.taken_by = slots, tuple(taken_by)
        super().__init__(
            f"All {slots} slots are taken by {', '.join(self.taken_by)}. "
            "Stop a service or raise the setting `slots`."
        )


class GpusUnreadable(PublisherError):
    """The driver's library is there and does not tell which GPUs there are."""

    def __init__(self, reason: str) -> None:
        self.reason = reason
        super().__init__(
            f"The GPUs of this machine cannot be read: {reason}. Repair the driver or restart the machine: "
            "`nvidia-smi` shows whether it works."
        )


class GatewayBehind(PublisherError):
    """A live gateway did not show the new routing table in time."""

    def __init__(self, url: str, version: int, limit_seconds: float) -> None:
        self.url, self.version, self.limit_seconds = url, version, limit_seconds
        super().__init__(
            f"The gateway at {url} did not take over routing table {version} within {limit_seconds:g} s. "
            "Look at its log; restart it if it hangs."
        )


class SmokeFailed(PublisherError):
    """The smoke workflow gave no result on the candidate. `traceback` is the engine's, when it sent one."""

    def __init__(self, instance_id: str, reason: str, node: str = "", traceback: str = "") -> None:
        self.instance_id, self.reason, self.node, self.traceback = instance_id, reason, node, traceback
        where = f" at node {node}" if node else ""
        super().__init__(f"The smoke workflow failed on instance {instance_id}{where}: {reason}")
