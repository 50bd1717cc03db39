"""All that a driver and an instance say to each other. Pure: standard library only.

A driver writes `spec.json` into the instance's folder and starts `python -m online_runtime.instance FOLDER`.
The instance answers with `state.json` in the same folder (where its door is) and, at that door, with an
`InstanceReport`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any

FORMAT = 1


class InstanceState(StrEnum):
    """What an instance says of itself. Only the instance writes it."""

    STARTING = "starting"
    READY = "ready"
    BUSY = "busy"  # alive and making progress on a job, but too occupied to answer a probe: healthy
    UNHEALTHY = "unhealthy"
    RESTARTING = "restarting"
    FAILED = "failed"  # the engine was given up; `last_exit` says why
    STOPPED = "stopped"


HEALTHY = frozenset({InstanceState.READY, InstanceState.BUSY})


@dataclass(frozen=True)
class Mount:
    """One frozen component: the read-only tree at `source` is seen at `place` (both absolute)."""

    component: str
    source: str
    place: str


@dataclass(frozen=True)
class InstanceSpec:
    """One engine process on one GPU, running one snapshot. The publisher chooses id and token beforehand.

    `gpu` is a CUDA device index, or None for a CPU slot. `workstation` is the path that the snapshot was
    frozen from and is seen at again. `token` comes back in every health reply, so that a stale process on a
    recycled port is never trusted. `network` is open, loopback (`network_ports` of the machine can be
    reached) or off. `secrets` are variables of the engine that a driver hands to the agent without writing
    them down; spec.json holds only their names.
    """

    instance_id: str
    service: str
    deployment: int
    snapshot_id: str
    snapshot_number: int
    token: str
    workstation: str
    mounts: tuple[Mount, ...]
    models: str
    input: str
    base_site_packages: str | None = None
    base_fingerprint: str | None = None
    gpu: int | None = None
    arguments: tuple[str, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict)
    network: str = "open"
    network_ports: tuple[int, ...] = ()
    secret_names: tuple[str, ...] = ()
    secrets: Mapping[str, str] = field(default_factory=dict, repr=False)
    format: int = FORMAT

    def to_json(self) -> str:
        """For spec.json: without the values of its secrets, which only memory holds."""
        values = asdict(self)
        del values["secrets"]
        return json.dumps(values, indent=1, sort_keys=True)

    @classmethod
    def from_json(cls, text: str) -> InstanceSpec:
        """Raises SpecTooNew for a format this code does not know."""
        values: dict[str, Any] = json.loads(text)
        if values.get("format") != FORMAT:
            from online_runtime.instance.errors import SpecTooNew

            raise SpecTooNew(found=values.get("format"), known=FORMAT)
        values["mounts"] = tuple(Mount(**mount) for mount in values["mounts"])
        values["arguments"] = tuple(values["arguments"])
        for name in ("secret_names", "network_ports"):
            values[name] = tuple(values.get(name, ()))
        return cls(**values)


@dataclass(frozen=True)
class PluginImport:
    """How one plugin of the snapshot imported in this instance."""

    name: str
    ok: bool
    seconds: float
    error: str = ""
    traceback: str = ""


@dataclass(frozen=True)
class InstanceReport:
    """The answer of `GET /health` at the instance's own door (not the engine's)."""

    instance_id: str
    token: str
    snapshot_id: str
    state: InstanceState
    engine_url: str | None
    engine_pid: int | None
    jobs_running: int
    jobs_pending: int
    restarts: int
    isolation: str  # what protects: "namespace" (with "+off" or "+loopback", its network), or "copy"
    problem: str | None = None  # the last probe error or the last exit, as a sentence
    last_exit: Mapping[str, Any] | None = None
    plugins: tuple[PluginImport, ...] = ()

    @property
    def healthy(self) -> bool:
        return self.state in HEALTHY

    def to_json(self) -> str:
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str | bytes) -> InstanceReport:
        values: dict[str, Any] = json.loads(text)
        values["state"] = InstanceState(values["state"])
        values["plugins"] = tuple(PluginImport(**plugin) for plugin in values["plugins"])
        return cls(**values)


@dataclass(frozen=True)
class InstanceFolder:
    """What lies in one instance's folder under HOME/run/instances/."""

    root: Path

    @property
    def spec(self) -> Path:
        return self.root / "spec.json"

    @property
    def state(self) -> Path:
        """Written by the instance: {pid, started_at (kernel ticks), door: "http://127.0.0.1:PORT"}."""
        return self.root / "state.json"

    @property
    def engine(self) -> Path:
        """Written by boot just before it becomes the engine: its port, process and isolation."""
        return self.root / "engine.json"

    @property
    def agent_lock(self) -> Path:
        """Held by the agent for as long as it lives."""
        return self.root / "agent.lock"

    @property
    def agent_log(self) -> Path:
        """What the agent itself had to say; empty unless something went wrong with it."""
        return self.root / "agent.log"

    @property
    def log(self) -> Path:
        return self.root / "engine.log"

    @property
    def layer(self) -> Path:
        """The instance's private writable layer; thrown away with the instance."""
        return self.root / "layer"

    @property
    def output(self) -> Path:
        return self.root / "output"
