"""What an idle platform costs: CPU of each of its processes while one service serves and nobody calls.

    python tests/benchmarks/bench_fleet_idle.py [--seconds 20]

The platform runs with its own settings, on real processes; only the engine is a stand-in.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path

import psutil

sys.path.insert(0, str(Path(__file__).parents[2]))  # the tests are no installed package

from tests.running_studio import running_studio

OURS = {
    "web.supervisor": "supervisor",
    "web.server": "web door",
    "online_runtime.gateway": "gateway",
    "publisher.worker": "worker",
    "online_runtime.instance": "agent",
}
CONTROL_PLANE = ("supervisor", "web door", "worker")
QUICKLY_THERE = {"minimum_healthy_seconds": 0.0, "bake_seconds": 0.0, "disk_room_bytes": 1}
SETTLING_SECONDS = 8.0


def processes(home: Path) -> dict[str, list[psutil.Process]]:
    """The processes of this home by their names."""
    found: dict[str, list[psutil.Process]] = {name: [] for name in OURS.values()}
    for process in psutil.process_iter(["cmdline"]):
        line = process.info["cmdline"] or []
        module = next((line[at + 1] for at, word in enumerate(line[:-1]) if word == "-m"), "")
        if module in OURS and any(str(home) in word for word in line):
            found[OURS[module]].append(process)
    return found


def seconds_of(group: list[psutil.Process]) -> float:
    return sum(sum(process.cpu_times()[:2]) for process in group)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=20.0)
    wanted: float = parser.parse_args().seconds
    with tempfile.TemporaryDirectory() as folder, running_studio(Path(folder), QUICKLY_THERE) as studio:
        studio.deploy()
        time.sleep(SETTLING_SECONDS)
        groups = processes(studio.platform.home)
        before = {name: seconds_of(group) for name, group in groups.items()}
        time.sleep(wanted)
        used = {name: seconds_of(group) - before[name] for name, group in groups.items()}
        for name, group in groups.items():
            resident = sum(process.memory_info().rss for process in group) / 2**20
            print(f"{name:<12} {used[name] / wanted * 100:6.2f} % of a core, {resident:6.0f} MiB")
        control = sum(used[name] for name in CONTROL_PLANE) / wanted * 100
        print(f"control plane {control:5.2f} % of a core over {wanted:g} s; goal: under 1 %")
    return 0 if control < 1.0 else 1


if __name__ == "__main__":
    sys.exit(main())
