"""The versions of a service's configuration as people use them: listed, shown, compared, gone back to.

A change where something is served is a deployment of the same snapshot; where nothing is, the new version
waits for the first one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from publisher import requests, secrets
from publisher.clock import Clock
from publisher.configuration import Configuration, changes_to, merge, read_configuration
from publisher.db import deployments, services
from publisher.db.control import Control, Transaction
from publisher.db.services import Service
from publisher.deployment import Deployment, Reason, Side
from publisher.errors import ConfigurationInvalid, ConfigurationNotFound
from publisher.keyring import Keyring
from publisher.requests import Request
from publisher.secrets import SecretView

SECRET_HOW = "set it with `stillframe service secret set`: a value never stands in a configuration"


@dataclass(frozen=True)
class ConfigurationVersion:
    """One version. `document` holds what differs from the defaults. `serving`: the side that has the traffic
    runs with it; `wanted`: the next deployment starts from it.
    """

    version: int
    document: Mapping[str, Any]
    created_at: datetime
    created_by: str
    serving: bool
    wanted: bool


@dataclass(frozen=True)
class FieldChange:
    """One field that differs, None where it has its default. Of a secret only that it differs is told."""

    field: str
    before: Any
    after: Any


@dataclass(frozen=True)
class Asker:
    """Who wants a change, from where, and why."""

    by: str
    source: str
    note: str = ""


class Configurations:
    """Use cases on the configurations of all services. `wake` as the publisher's."""

    def __init__(self, control: Control, keyring: Keyring, wake: Callable[[int], None], clock: Clock) -> None:
        self._control, self._keyring, self._wake, self._clock = control, keyring, wake, clock

    def serves(self, project: str) -> bool:
        """Whether a change is a deployment: something is served."""
        with self._control.read() as tx:
            service = services.find(tx, project)
            return service is not None and _serving(tx, service) is not None

    def versions(self, project: str) -> tuple[ConfigurationVersion, ...]:
        """The newest first. Raises ServiceNotFound."""
        with self._control.read() as tx:
            service = services.read(tx, project)
            side = _serving(tx, service)
            served = side.configuration_version if side else None
            return tuple(
                ConfigurationVersion(
                    one.version,
                    read_configuration(one.document).document(),
                    one.created_at,
                    one.created_by,
                    one.version == served,
                    one.version == service.configuration_version,
                )
                for one in services.configurations(tx, service.id)
            )

    def version(self, project: str, number: int) -> ConfigurationVersion:
        """Raises ConfigurationNotFound, ServiceNotFound."""
        known = self.versions(project)
        for one in known:
            if one.version == number:
                return one
        raise ConfigurationNotFound(project, number, known[0].version)

    def difference(self, project: str, old: int, new: int) -> tuple[FieldChange, ...]:
        """Field by field what `new` has otherwise. Raises ConfigurationNotFound, ServiceNotFound."""
        return difference(self.version(project, old).document, self.version(project, new).document)

    def change(self, project: str, changes: Mapping[str, Any], asker: Asker) -> Deployment | None:
        """Change some fields; None when the service serves nothing yet.

        Raises ConfigurationInvalid, DeploymentInProgress, ServiceNotFound.
        """
        refuse_secrets(changes)
        return self._enter(project, lambda tx, service: changes, asker)

    def restore(self, project: str, number: int, asker: Asker) -> Deployment | None:
        """Go back to an earlier version, its secrets too. Raises ConfigurationNotFound, else as `change`."""
        wanted = read_configuration(self.version(project, number).document)
        return self._enter(project, lambda tx, service: changes_to(_current(tx, service), wanted), asker)

    def secrets(self, project: str) -> tuple[SecretView, ...]:
        """The secrets that the next deployment has, without their values. Raises ServiceNotFound."""
        with self._control.read() as tx:
            service = services.read(tx, project)
            return secrets.views(tx, self._keyring, service, _current(tx, service))

    def set_secret(self, project: str, name: str, value: str, asker: Asker) -> Deployment | None:
        """Keep a value sealed, and use it from the deployment on that this is where something is served.

        A project that was never deployed gets its service here, so that the first deployment has it. Raises
        ConfigurationInvalid, DeploymentInProgress, and what a keyring raises.
        """
        secrets.check_value(name, value)

        def changes(tx: Transaction, service: Service) -> Mapping[str, Any]:
            merge(_current(tx, service), {"secrets": {name: 1}})  # refused before anything is sealed
            version = secrets.seal(tx, self._keyring, service, name, value, asker.by, self._clock())
            return {"secrets": {name: version}}

        return self._enter(project, changes, asker, make=True)

    def remove_secret(self, project: str, name: str, asker: Asker) -> Deployment | None:
        """Use it no longer. Its sealed versions stay, for those who go back to an earlier configuration.

        Raises SecretNotFound, DeploymentInProgress, ServiceNotFound.
        """

        def changes(tx: Transaction, service: Service) -> Mapping[str, Any]:
            secrets.check_named(project, _current(tx, service), name)
            return {"secrets": {name: None}}

        return self._enter(project, changes, asker)

    def _enter(
        self,
        project: str,
        changes: Callable[[Transaction, Service], Mapping[str, Any]],
        asker: Asker,
        *,
        make: bool = False,
    ) -> Deployment | None:
        def act(tx: Transaction) -> Deployment | None:
            if make and services.find(tx, project) is None:
                services.create(tx, project, {}, asker.by, self._clock())
            service = services.read(tx, project)
            requests.refuse_when_busy(tx, service)
            wanted = changes(tx, service)
            serving = _serving(tx, service)
            if serving is None:
                document = merge(_current(tx, service), wanted).document()
                version = services.add_configuration(tx, service.id, document, asker.by, self._clock())
                services.change(tx, service.id, configuration_version=version)
                return None
            return requests.enter_in(tx, _request(project, serving, wanted, asker), self._clock())

        deployment = requests.entered(self._control, project, act)
        if deployment is not None:
            self._wake(deployment.id)
        return deployment


def refuse_secrets(changes: Mapping[str, Any]) -> None:
    """A plain change names no secret. Raises ConfigurationInvalid."""
    if any(field.partition(".")[0] == "secrets" for field in changes):
        raise ConfigurationInvalid("secrets", SECRET_HOW)


def difference(old: Mapping[str, Any], new: Mapping[str, Any]) -> tuple[FieldChange, ...]:
    """Two documents, field by field. Pure."""
    before, after = _flat(old), _flat(new)
    found = []
    for field in sorted(before.keys() | after.keys()):
        was, now = before.get(field), after.get(field)
        if was == now:
            continue
        if field.startswith("secrets."):
            was, now = was and "set", now and ("changed" if was else "set")
        found.append(FieldChange(field, was, now))
    return tuple(found)


def _flat(document: Mapping[str, Any]) -> dict[str, Any]:
    """`health.passes` for {"health": {"passes": ..}}; a smoke workflow stays whole."""
    found: dict[str, Any] = {}
    for field, value in document.items():
        if isinstance(value, Mapping) and field != "smoke_workflow":
            found |= {f"{field}.{name}": item for name, item in value.items()}
        else:
            found[field] = value
    return found


def _request(project: str, serving: Side, changes: Mapping[str, Any], asker: Asker) -> Request:
    return Request(
        project,
        asker.by,
        asker.source,
        asker.note,
        Reason.CONFIGURATION,
        serving.snapshot_id,
        changes=changes,
    )


def _serving(tx: Transaction, service: Service) -> Side | None:
    return deployments.side(tx, service.serving_deployment_id) if service.stopped_at is None else None


def _current(tx: Transaction, service: Service) -> Configuration:
    return read_configuration(services.configuration(tx, service.id, service.configuration_version))
