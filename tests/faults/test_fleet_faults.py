"""Faults of the fleet on real processes; those without any are in unit/publisher/test_fleet_scaling.py."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from online_runtime.instance.spec import InstanceSpec, InstanceState
from publisher.drivers.process import ProcessDriver
from tests.contract.drivers.conftest import Machine
from tests.contract.drivers.frozen import FrozenHome
from workstation.layout import Home

pytestmark = pytest.mark.slow

# Holds something that only one process can have, as memory of a card would be, and will not go when asked.
GREEDY = """
import fcntl, os, signal
from pathlib import Path
signal.signal(signal.SIGTERM, signal.SIG_IGN)
signal.signal(signal.SIGINT, signal.SIG_IGN)
held = open(Path(__file__).parents[2] / "input" / "card", "w")
fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
if os.fork() == 0:  # and a child of its own in a session of its own holds it as well
    os.setsid()
    signal.pause()
NODE_CLASS_MAPPINGS = {}
"""


@pytest.fixture
def machine(tmp_path: Path) -> Iterator[Machine]:
    home = FrozenHome(Home(tmp_path / "home")).build()
    made = Machine(home, lambda: ProcessDriver(home.home.instances))
    yield made
    for instance_id in made.driver.list():
        made.driver.stop(instance_id, grace_seconds=0.2)


def imported(machine: Machine, spec: InstanceSpec) -> bool:
    report = machine.wait_for(spec, InstanceState.READY)
    return next(plugin.ok for plugin in report.plugins if plugin.name == "greedy")


def test_fault_46_what_ignores_sigterm_is_killed_and_what_it_held_is_free_before_the_next_one_starts(
    machine: Machine,
) -> None:
    machine.home.write_plugin("greedy", GREEDY)
    first = machine.start()
    assert imported(machine, first)
    began = time.monotonic()
    machine.driver.stop(first.instance_id, grace_seconds=0.5)
    assert time.monotonic() - began < 20
    second = machine.start()
    assert imported(machine, second), "the slot was given on while the card was still held"


def test_fault_46_the_plugin_of_this_test_sees_whether_the_card_is_held(machine: Machine) -> None:
    """Beside a first one that still runs, a second one does not import it: the test above can fail."""
    machine.home.write_plugin("greedy", GREEDY)
    assert imported(machine, machine.start())
    assert not imported(machine, machine.start())
