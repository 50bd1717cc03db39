"""A publisher on fakes: real database, real routing file, real leases; no processes, no bytes frozen."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from online_runtime.instance.spec import Mount
from publisher.clock import Clock
from publisher.db.control import Control, open_control
from publisher.gateways import Gateways
from publisher.machinery import Machinery
from publisher.service import Publisher
from publisher.settings import Settings
from publisher.slots import detect_slots
from publisher.snapshots import Difference, Frozen, MissingModel, View
from publisher.ticking import Ticker
from snapshotter.errors import SnapshotNotFound
from tests.fakes.driver import FakeDriver
from workstation.errors import BadName
from workstation.layout import Home


class FakeSnapshots:
    """Snapshots are numbers in a file; `edit` is what a developer does between two of them."""

    def __init__(self, root: Path) -> None:
        self._file = root / "snapshots.json"
        self.trouble: Exception | None = None

    def edit(self, content: str) -> None:
        self._write({**self._read(), "content": content})

    def freeze(self, project: str) -> Frozen:
        if self.trouble is not None:
            raise self.trouble
        state = self._read()
        content = state["content"]
        known = state["known"]
        new = not known or known[-1] != content
        if new:
            known.append(content)
            self._write(state)
        return Frozen(_id(content), len(known), new, f"froze {content}")

    def resolve(self, project: str, reference: str) -> Frozen:
        for number, content in reversed(list(enumerate(self._read()["known"], 1))):
            if reference in (str(number), _id(content), "latest"):
                return Frozen(_id(content), number, False, f"found {content}")
        raise SnapshotNotFound(reference, self._read()["known"])

    def proved(self, project: str, reference: str) -> Frozen:
        return self.resolve(project, reference)

    def forget(self, content: str) -> None:
        state = self._read()
        self._write({**state, "known": [c for c in state["known"] if c != content]})

    def view(self, project: str, snapshot_id: str) -> View:
        return View("/w", (Mount("engine", "/s", "/w/engine"),), None, None)

    def difference(self, project: str, old_id: str, new_id: str) -> Difference:
        return Difference(
            (f"{old_id} -> {new_id}",) if old_id != new_id else (), {"old": old_id, "new": new_id}
        )

    def _read(self) -> dict[str, Any]:
        return json.loads(self._file.read_text()) if self._file.exists() else {"content": "one", "known": []}

    def _write(self, state: dict[str, Any]) -> None:
        self._file.write_text(json.dumps(state))


def _id(content: str) -> str:
    return f"snapshot-of-{content}"


class FakeWorkstations:
    """A workstation that is fine, unless told otherwise."""

    def __init__(self) -> None:
        self.failing: dict[str, str] = {}
        self.nodes: set[str] | None = None
        self.models: list[MissingModel] = []

    def check(self, project: str) -> str:
        if project == "nowhere":
            raise BadName("project", project)
        return "It is fine."

    def check_workflow(self, workflow: Mapping[str, Any]) -> None:
        return None

    def failing_plugins(self, project: str) -> Mapping[str, str]:
        return self.failing

    def unknown_nodes(self, project: str, workflow: Mapping[str, Any]) -> Sequence[str] | None:
        classes = {node["class_type"] for node in workflow.values()}
        return None if self.nodes is None else sorted(classes - self.nodes)

    def missing_models(self, project: str, workflow: Mapping[str, Any]) -> Sequence[MissingModel]:
        return self.models


class FakeClock:
    """Time that only passes when it is told to."""

    def __init__(self) -> None:
        self.now = datetime(2030, 1, 1, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now

    def pass_seconds(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)


class Stage:
    """Everything of one home, ready to act on.

    Made again on the same folder, it is a restarted control plane.
    """

    def __init__(self, root: Path, clock: Clock | None = None, **settings: Any) -> None:
        self.home = Home(root)
        root.mkdir(parents=True, exist_ok=True)
        self.settings = replace(
            Settings(slots=4, disk_room_bytes=0, start_deadline_seconds=60, bake_seconds=10), **settings
        )
        self.clock = clock or FakeClock()
        self.control: Control = open_control(self.settings.control_database(self.home))
        self.driver = FakeDriver(root / "fake-instances")
        self.snapshots = FakeSnapshots(root)
        self.workstations = FakeWorkstations()
        self.woken: list[int] = []
        self.machinery = Machinery(
            self.home,
            self.control,
            self.settings,
            self.driver,
            detect_slots(self.settings),
            self.snapshots,
            self.workstations,
            Gateways(self.home),
            self.clock,
        )
        self.ticker = Ticker(self.machinery)
        self.publisher = Publisher(
            self.home,
            self.control,
            self.settings,
            self.woken.append,
            snapshots=self.snapshots,
            workstations=self.workstations,
            driver=self.driver,
            clock=self.clock,
        )

    def deploy(self, project: str = "demo", **asked: Any) -> int:
        """Ask for a deployment and return its row id."""
        return self.publisher.request_deployment(project, by="ana", source="test", **asked).id

    def run(self, deployment_id: int, limit: int = 2000) -> None:
        """Tick until it has ended; waiting takes no time. Fails when that takes more than `limit` ticks."""
        for _ in range(limit):
            left = self.ticker.tick(deployment_id)
            if left is None:
                return
            self.clock.pass_seconds(max(left, 0.01))  # type: ignore[attr-defined]
        raise AssertionError(f"deployment row {deployment_id} has not ended after {limit} ticks")

    def deployed(self, project: str = "demo", **asked: Any) -> Any:
        """Deploy to the end and return the record."""
        self.run(self.deploy(project, **asked))
        return self.record(project)

    def record(self, project: str = "demo", number: int | None = None) -> Any:
        if number is None:
            number = self.publisher.deployments(project, 1)[0].number
        return self.publisher.deployment(project, number)

    def routes(self, project: str = "demo") -> dict[str, Any]:
        table = json.loads((self.home.run / "routing.json").read_text())
        return table["services"][project]

    def accepting(self, project: str = "demo") -> list[str]:
        return [i["id"] for i in self.routes(project)["instances"] if i["accepts"]]
