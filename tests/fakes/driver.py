"""A driver without processes: instances are JSON files, so it survives the death of the process that used it.

`behave(ID or "*", ...)` decides what instances of it do. It keeps the driver's rules: ids may be created
twice, stopping an absent one does nothing, a running one cannot be removed.
"""

from __future__ import annotations

import contextlib
import json
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from online_runtime.instance.spec import InstanceReport, InstanceSpec, InstanceState, PluginImport
from publisher.drivers.contract import Observation, Presence
from publisher.drivers.errors import StartFailed, StillRunning, StopFailed


class FakeDriver:
    """Knows its instances by the files under `root`."""

    name = "fake"

    def __init__(self, root: Path) -> None:
        self._root = root
        self.secrets: dict[str, Mapping[str, str]] = {}  # by instance id; never written down
        root.mkdir(parents=True, exist_ok=True)

    def behave(self, pattern: str = "*", **behaviour: Any) -> None:
        """state, presence, token, restarts, problem, plugins=[{...}], url, jobs, refuses_start, refuses_stop.

        `pattern` is the start of instance ids, or "*"; the longest one that fits decides.
        """
        self._write(self._root / "behaviour.json", {**self._behaviours(), pattern: behaviour})

    def create(self, spec: InstanceSpec) -> None:
        if self._behaviour(spec.instance_id).get("refuses_start"):
            raise StartFailed(spec.instance_id, "the fake was told to refuse")
        if not self._file(spec.instance_id).exists():
            self.secrets[spec.instance_id] = spec.secrets
            self._count("created", spec.instance_id)
            self._write(self._file(spec.instance_id), {"spec": json.loads(spec.to_json()), "running": True})

    def inspect(self, instance_id: str, *, timeout_seconds: float = 5.0) -> Observation:
        held = self._read(instance_id)
        if held is None:
            return Observation(instance_id, Presence.ABSENT, problem="there is no such instance")
        told = self._behaviour(instance_id)
        presence = Presence(told.get("presence", "running")) if held["running"] else Presence.ENDED
        if presence is not Presence.RUNNING:
            return Observation(instance_id, presence, problem=told.get("problem", "it ended"))
        if told.get("silent"):
            return Observation(instance_id, presence, problem="its door did not answer")
        return Observation(instance_id, presence, "http://127.0.0.1:1", self._report(held["spec"], told))

    def stop(self, instance_id: str, *, grace_seconds: float = 30.0) -> None:
        if self._behaviour(instance_id).get("refuses_stop"):
            raise StopFailed(instance_id, (1,), grace_seconds)
        held = self._read(instance_id)
        if held is not None and held["running"]:
            self._write(self._file(instance_id), {**held, "running": False})

    def logs(self, instance_id: str, *, lines: int = 200) -> tuple[str, ...]:
        return (f"log of {instance_id}", "last line") if self._file(instance_id).exists() else ()

    def list(self) -> tuple[str, ...]:
        return tuple(sorted(file.name.removesuffix(".instance") for file in self._root.glob("*.instance")))

    def changes(self) -> None:
        return None

    def remove(self, instance_id: str) -> None:
        held = self._read(instance_id)
        if held is not None and held["running"]:
            raise StillRunning(instance_id)
        with contextlib.suppress(FileNotFoundError):
            self._file(instance_id).unlink()

    def running(self) -> list[str]:
        """Ids of those that run."""
        return [i for i in self.list() if (held := self._read(i)) is not None and held["running"]]

    def kill(self, instance_id: str) -> None:
        """It ends by itself."""
        held = self._read(instance_id)
        assert held is not None
        self._write(self._file(instance_id), {**held, "running": False})

    def created(self) -> list[str]:
        """Every id that was ever really started."""
        file = self._root / "created"
        return file.read_text().split() if file.exists() else []

    def _report(self, spec: dict[str, Any], told: dict[str, Any]) -> InstanceReport:
        return InstanceReport(
            instance_id=spec["instance_id"],
            token=told.get("token", spec["token"]),
            snapshot_id=spec["snapshot_id"],
            state=InstanceState(told.get("state", "ready")),
            engine_url=told.get("url", "http://127.0.0.1:1"),
            engine_pid=1,
            jobs_running=int(told.get("jobs", 0)),
            jobs_pending=0,
            restarts=int(told.get("restarts", 0)),
            isolation="namespace",
            problem=told.get("problem"),
            plugins=tuple(PluginImport(**plugin) for plugin in told.get("plugins", [])),
        )

    def _behaviours(self) -> dict[str, dict[str, Any]]:
        file = self._root / "behaviour.json"
        return json.loads(file.read_text()) if file.exists() else {}

    def _behaviour(self, instance_id: str) -> dict[str, Any]:
        fitting = [p for p in self._behaviours() if p == "*" or instance_id.startswith(p)]
        return self._behaviours()[max(fitting, key=lambda p: 0 if p == "*" else len(p))] if fitting else {}

    def _file(self, instance_id: str) -> Path:
        return self._root / f"{instance_id}.instance"

    def _read(self, instance_id: str) -> dict[str, Any] | None:
        try:
            return json.loads(self._file(instance_id).read_text())
        except FileNotFoundError:
            return None

    def _write(self, file: Path, value: Any) -> None:
        partial = file.with_name(f".{uuid.uuid4().hex}")
        partial.write_text(json.dumps(value))
        partial.replace(file)

    def _count(self, name: str, instance_id: str) -> None:
        with (self._root / name).open("a") as out:
            out.write(f"{instance_id}\n")
