"""A real snapshot, frozen and materialised, booted, written to from inside, and verified afterwards."""

from __future__ import annotations

from pathlib import Path

import pytest

from online_runtime.instance.spec import InstanceState, Mount
from publisher.drivers.process import ProcessDriver
from snapshotter.components import components_of
from snapshotter.freeze import freeze
from snapshotter.materialise import materialise
from snapshotter.objects import Store
from snapshotter.verify import verify
from tests.contract.drivers.conftest import Machine
from tests.contract.drivers.frozen import FrozenHome, digest
from workstation.layout import Home

pytestmark = pytest.mark.slow

WRITER = """
from pathlib import Path
here = Path(__file__).parent
for file in [*here.parent.rglob("*.txt"), here.parent / "single.py", here / "__init__.py"]:
    with file.open("a") as opened:
        opened.write("# changed online")
(here.parents[1] / ".cache" / "hub" / "entry").unlink()
NODE_CLASS_MAPPINGS = {}
"""


def test_a_booted_snapshot_is_bit_identical_after_its_plugins_wrote_into_their_folders(
    tmp_path: Path,
) -> None:
    home = FrozenHome(Home(tmp_path / "home")).build()
    home.write_plugin("writer", WRITER)
    project, store = home.home.project("demo"), Store(home.home.store)
    sources = components_of(project, None, {})
    snapshot = freeze(store, "demo", project.snapshots, project.workstation.root, sources, {}).snapshot
    mounts = tuple(
        Mount(part.name, str(materialise(store, part)), str(project.workstation.root / part.path))
        for part in snapshot.components
    )
    machine = Machine(home, lambda: ProcessDriver(home.home.instances))
    spec = home.spec(mounts=mounts, snapshot_id=snapshot.id)
    before = digest(store.root / "views")
    machine.driver.create(spec)
    report = machine.wait_for(spec, InstanceState.READY)
    machine.driver.stop(spec.instance_id)
    assert {plugin.name: plugin.ok for plugin in report.plugins} == {
        "alpha": True,
        "single": True,
        "writer": True,
    }
    changes = machine.home.home.instances / spec.instance_id / "layer" / "changes"
    assert any(file.name == "version.txt" for file in changes.rglob("*"))
    checked = verify(store, snapshot)
    assert checked.ok, checked.damages
    assert digest(store.root / "views") == before
    machine.driver.remove(spec.instance_id)
