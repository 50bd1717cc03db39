"""A service's configuration.

What people may set, checked field by field. Versions are never changed, only added.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from publisher.deployment import Timing
from publisher.errors import ConfigurationInvalid
from publisher.scaling import Scaling
from publisher.settings import Settings

Seconds = Annotated[float, Field(ge=0, le=86_400)]
MINIMUM = "instances_minimum"  # short for scaling.minimum
NESTED = ("health", "drain", "archive", "scaling", "secrets")  # their own fields are changed one by one

# What the platform goes by and no instance is launched with: a change of it restarts nothing.
_THE_PLATFORMS = ("archive", "rotation", "scaling", "smoke_workflow")
# What the platform itself decides for every instance; a configuration that set it would break isolation or
# routing.
_OWN_ARGUMENTS = ("--port", "--listen", "--base-directory", "--database-url", "--cuda-device")
_OWN_VARIABLES = ("CUDA_VISIBLE_DEVICES", "LD_PRELOAD", "PYTHONPATH", "PYTHONHOME", "HF_HOME", "TORCH_HOME")
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,127}")


class Health(BaseModel):
    """Overrides of the platform's health numbers; None leaves the platform's."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    interval_seconds: Annotated[float, Field(ge=0.1, le=300)] | None = None
    timeout_seconds: Annotated[float, Field(ge=0.1, le=300)] | None = None
    passes: Annotated[int, Field(ge=1, le=100)] | None = None
    failures: Annotated[int, Field(ge=1, le=100)] | None = None
    start_deadline_seconds: Annotated[float, Field(ge=1, le=86_400)] | None = None
    minimum_healthy_seconds: Seconds | None = None


class DrainLimits(BaseModel):
    """Overrides of the drain limits; None leaves the platform's."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    soft_seconds: Seconds | None = None
    hard_seconds: Seconds | None = None

    @model_validator(mode="after")
    def _soft_before_hard(self) -> DrainLimits:
        if None not in (self.soft_seconds, self.hard_seconds) and self.soft_seconds > self.hard_seconds:  # type: ignore[operator]  # both are numbers here
            raise ValueError("soft_seconds is above hard_seconds")
        return self


class ArchiveLimits(BaseModel):
    """How long and how large results are kept; None keeps them for ever."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    days: Annotated[float, Field(gt=0, le=36_500)] | None = None
    bytes: Annotated[int, Field(ge=1024 * 1024)] | None = None


class Configuration(BaseModel):
    """Everything a service can be told. Unknown keys are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    scaling: Scaling = Scaling()
    arguments: tuple[str, ...] = ()
    environment: dict[str, str] = Field(default_factory=dict)
    secrets: dict[str, Annotated[int, Field(ge=1)]] = Field(default_factory=dict)  # name: version of its row
    network: Literal["open", "loopback", "off"] = "open"
    network_ports: tuple[Annotated[int, Field(ge=1, le=65_535)], ...] = ()  # of this machine, under loopback
    archive: ArchiveLimits = ArchiveLimits()
    health: Health = Health()
    rotation: Literal["auto", "surge", "in-place"] = "auto"
    bake_seconds: Seconds | None = None
    drain: DrainLimits = DrainLimits()
    hold_seconds: Annotated[float, Field(ge=0, le=600)] | None = None
    hold_calls: Annotated[int, Field(ge=0, le=10_000)] | None = None
    max_body_bytes: Annotated[int, Field(ge=1024, le=64 * 1024**3)] | None = None
    smoke_workflow: dict[str, Any] | None = None

    @field_validator("arguments")
    @classmethod
    def _arguments_are_the_services(cls, arguments: tuple[str, ...]) -> tuple[str, ...]:
        for argument in arguments:
            if argument.split("=")[0] in _OWN_ARGUMENTS or "\0" in argument:
                raise ValueError(f"{argument!r} is decided by the platform")
        return arguments

    @field_validator("environment")
    @classmethod
    def _variables_are_the_services(cls, environment: dict[str, str]) -> dict[str, str]:
        for name, value in environment.items():
            if not _VARIABLE.fullmatch(name) or "\0" in value:
                raise ValueError(f"{name!r} cannot be an environment variable")
            if name in _OWN_VARIABLES or name.startswith("STILLFRAME_"):
                raise ValueError(f"{name} is decided by the platform")
        return environment

    @field_validator("secrets")
    @classmethod
    def _secrets_are_variables(cls, secrets: dict[str, int]) -> dict[str, int]:
        cls._variables_are_the_services(dict.fromkeys(secrets, ""))
        return secrets

    @model_validator(mode="after")
    def _one_meaning_a_variable(self) -> Configuration:
        both = sorted(self.secrets.keys() & self.environment.keys())
        if both:
            raise ValueError(f"{both[0]} is an environment variable and a secret: keep one of them")
        return self

    @model_validator(mode="after")
    def _ports_under_loopback(self) -> Configuration:
        if (self.network == "loopback") != bool(self.network_ports):
            raise ValueError(
                "network loopback and network_ports (of this machine that may be reached) come together"
            )
        return self

    def document(self) -> dict[str, Any]:
        """As it is stored: plain JSON, only what differs from the defaults."""
        return self.model_dump(mode="json", exclude_defaults=True)

    def launches_as(self, other: Configuration) -> bool:
        """Whether both mean the same service. Smoke workflow and rotation only concern the way there,
        and no instance knows how many there are, or how long results are kept.
        """
        return self.with_platform_of(Configuration()) == other.with_platform_of(Configuration())

    def with_platform_of(self, other: Configuration) -> Configuration:
        """This, but with those fields of `other` that no instance is launched with."""
        return self.model_copy(update={field: getattr(other, field) for field in _THE_PLATFORMS})

    def timing(self, settings: Settings) -> Timing:
        """The numbers of a rotation: these where they are set, the platform's elsewhere."""

        def chosen(own: float | None, default: float) -> float:
            return default if own is None else own

        return Timing(
            health_interval_seconds=chosen(self.health.interval_seconds, settings.health_interval_seconds),
            health_timeout_seconds=chosen(self.health.timeout_seconds, settings.health_timeout_seconds),
            health_passes=self.health.passes or settings.health_passes,
            health_failures=self.health.failures or settings.health_failures,
            start_deadline_seconds=chosen(
                self.health.start_deadline_seconds, settings.start_deadline_seconds
            ),
            minimum_healthy_seconds=chosen(
                self.health.minimum_healthy_seconds, settings.minimum_healthy_seconds
            ),
            bake_seconds=chosen(self.bake_seconds, settings.bake_seconds),
            drain_soft_seconds=chosen(self.drain.soft_seconds, settings.drain_soft_seconds),
            drain_hard_seconds=chosen(self.drain.hard_seconds, settings.drain_hard_seconds),
        )


def read_configuration(document: Mapping[str, Any]) -> Configuration:
    """Check a whole document. Raises ConfigurationInvalid that names the first bad field."""
    try:
        return Configuration.model_validate(_spelled_out(document))
    except ValidationError as problem:
        first = problem.errors(include_url=False)[0]
        field = ".".join(str(part) for part in first["loc"]) or "configuration"
        raise ConfigurationInvalid(field, str(first["msg"])) from None


def _spelled_out(fields: Mapping[str, Any]) -> dict[str, Any]:
    """`scaling.maximum` as a field of `scaling`, and the short name `instances_minimum` as its minimum.

    Raises ConfigurationInvalid when a field is given twice.
    """
    found: dict[str, Any] = {}
    for name, value in fields.items():
        block, _, field = ("scaling.minimum" if name == MINIMUM else name).partition(".")
        if not field or block not in NESTED:
            block, field = name, ""
        inner = dict(value) if not field and block in NESTED and isinstance(value, Mapping) else None
        given = {field: value} if field else inner
        if given is None and block not in found:
            found[block] = value
            continue
        before = found.setdefault(block, {})
        if given is None or not isinstance(before, dict) or before.keys() & given.keys():
            raise ConfigurationInvalid(name, "it is given twice")
        before.update(given)
    return found


def merge(current: Configuration, changes: Mapping[str, Any]) -> Configuration:
    """`current` with some fields replaced; None takes a field back to its default.

    Raises ConfigurationInvalid.
    """
    document = current.document()
    for field, value in _spelled_out(changes).items():
        if isinstance(value, Mapping) and field in NESTED:
            merged = {**document.get(field, {}), **value}
            document[field] = {key: item for key, item in merged.items() if item is not None}
        elif value is None:
            if field not in Configuration.model_fields:
                raise ConfigurationInvalid(field, "there is no such field")
            document.pop(field, None)
        else:
            document[field] = value
    return read_configuration(document)


def changes_to(current: Configuration, wanted: Configuration) -> dict[str, Any]:
    """The changes by which `merge` makes `wanted` of `current`."""
    old, new = current.document(), wanted.document()
    changes: dict[str, Any] = {}
    for field in sorted(old.keys() | new.keys()):
        if old.get(field) == new.get(field):
            continue
        if field in NESTED:
            changes[field] = {**dict.fromkeys(old.get(field, {})), **new.get(field, {})}
        else:
            changes[field] = new.get(field)
    return changes
