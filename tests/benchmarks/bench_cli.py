"""Times that a person feels at the doors, and what the platform keeps in memory.

    python tests/benchmarks/bench_cli.py [--repeat N]

The deploy that changes nothing is of a project on the stand-in engine.
"""

from __future__ import annotations

import argparse
import json
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import psutil

sys.path.insert(0, str(Path(__file__).parents[2]))  # the tests are no installed package

from tests.running_platform import STANDIN, running

STILLFRAME = (sys.executable, "-m", "web.cli.main")
BUDGETS = {
    "stillframe --help": "0.3 s",
    "stillframe up, first": "3 s",
    "stillframe up, again": "3 s",
    "resident": "300 MiB",
    "deploy, nothing changed": "1 s",
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeat", type=int, default=5)
    chosen = parser.parse_args()
    tell("stillframe --help", timed(chosen.repeat, "--help"))
    tell("stillframe version", timed(chosen.repeat, "version"))
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder) / "home"
        for name in ("stillframe up, first", "stillframe up, again"):
            seconds, kept = started(home)
            tell(name, seconds)
        for part, size in kept.items():
            print(f"{'  ' + part:28} {size:8.1f} MiB")
        print(f"{'resident':28} {sum(kept.values()):8.1f} MiB   budget {BUDGETS['resident']}")
        tell("stillframe project list", timed(chosen.repeat, "project", "list", "--home", str(home)))
        tell("deploy, nothing changed", unchanged_deploy(Path(folder), chosen.repeat))


def unchanged_deploy(folder: Path, repeat: int) -> float:
    """The median seconds of `stillframe deploy` when snapshot and configuration are those that serve."""
    checkout = folder / "engine"
    checkout.mkdir()
    (checkout / "main.py").write_bytes(STANDIN.read_bytes())
    with running(folder / "served") as platform:
        platform.cli("project", "create", "studio", "--engine", str(checkout))
        platform.cli("deploy", "studio")
        return timed(repeat, "deploy", "studio", "--json", "--home", str(platform.home))


def timed(repeat: int, *words: str) -> float:
    """The median seconds of one command, from its start to its end."""
    seconds = []
    for _ in range(repeat):
        began = time.perf_counter()
        subprocess.run([*STILLFRAME, *words], check=True, stdout=subprocess.DEVNULL)
        seconds.append(time.perf_counter() - began)
    return statistics.median(seconds)


def started(home: Path) -> tuple[float, dict[str, float]]:
    """Seconds until `up` says that it serves, and resident MiB of each part three seconds later."""
    began = time.perf_counter()
    command = [*STILLFRAME, "up", "--home", str(home), "--port", "0", "--gateway-port", "0", "--json"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE)
    assert process.stdout is not None
    process.stdout.readline()
    seconds = time.perf_counter() - began
    time.sleep(3.0)  # let lazy imports happen, so that the memory is not told too small
    kept = resident(json.loads((home / "run" / "up.json").read_text()))
    process.send_signal(signal.SIGTERM)
    process.wait(60)
    process.stdout.close()
    return seconds, kept


def resident(record: dict[str, Any]) -> dict[str, float]:
    parts = {"supervisor": record["supervisor"], **record["children"]}
    return {name: psutil.Process(part["pid"]).memory_info().rss / 2**20 for name, part in parts.items()}


def tell(name: str, seconds: float) -> None:
    print(f"{name:28} {seconds:8.3f} s     " + (f"budget {BUDGETS[name]}" if name in BUDGETS else ""))


if __name__ == "__main__":
    main()
