"""Rotations under callers that never stop, in both modes, and a killed control plane under the same callers.

    python tests/benchmarks/bench_rotations.py [--rotations 100] [--modes surge,in-place] [--json]

A whole platform with a stand-in engine: the workstation changes, is deployed, and again. Lost is an accepted
prompt without a good result; failed is any answer but 200. About 6 s a rotation on two idle cores.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))
from tests.integration.test_publisher_probed import WORKFLOW, deploy, say, shop
from tests.prober import Prober
from tests.running_platform import CLI, Platform

TARGET_BACK_SECONDS = 5.0
SLOTS = {"surge": 2, "in-place": 1}
BACK_LIMIT_SECONDS = 60.0


@dataclass(frozen=True)
class Rotations:
    """What happened to callers during so many rotations of one mode."""

    mode: str
    rotations: int
    prompts: int
    lost: int
    failed: int
    slowest_call_seconds: float
    median_seconds: float  # of a deployment, from request to end
    switch_visible_ms: float  # median, from the switch in the database until every gateway shows it


@dataclass(frozen=True)
class Back:
    """A control plane that was killed with SIGKILL and started again; instances and gateway lived on."""

    ready_seconds: float
    prompts_meanwhile: int
    lost: int
    failed: int


def rotate(mode: str, count: int, folder: Path) -> tuple[Rotations, Back]:
    """`count` rotations, then one kill of the control plane."""
    with shop(folder, SLOTS[mode]) as platform:
        say(platform, "0")
        deploy(platform)
        token = str(platform.json("service", "token", "create", "shop", "bench")["token"])
        url = f"{platform.record()['gateway_url']}/api/predict/shop"
        seconds, visible = [], []
        with Prober(url, token, WORKFLOW) as prober:
            for number in range(1, count + 1):
                say(platform, str(number))
                began = time.monotonic()
                done = deploy(platform)["deployment"]
                seconds.append(time.monotonic() - began)
                if (done["state"], done["rotation"]) != ("succeeded", mode):
                    raise RuntimeError(f"rotation {number}: {done}")
                visible.append(_between(done["switched_at"], done["switch_visible_at"]) * 1000)
        toll = prober.toll
        rotations = Rotations(
            mode,
            count,
            len(toll.posted),
            len(toll.lost),
            len(toll.failed),
            toll.slowest_seconds,
            statistics.median(seconds),
            statistics.median(visible),
        )
        return rotations, kill(platform, url, token)


def kill(platform: Platform, url: str, token: str) -> Back:
    """SIGKILL to supervisor, web door and worker; `up` again on the same ports."""
    before = platform.record()
    with Prober(url, token, WORKFLOW) as prober:
        answered = len(prober.toll.results)
        for part in ("worker", "web"):
            os.kill(before["children"][part]["pid"], signal.SIGKILL)
        os.kill(before["supervisor"]["pid"], signal.SIGKILL)
        assert platform.process is not None
        platform.process.wait(30)
        began = time.monotonic()
        platform.process = _up(platform, before)
        while not _ready(before["url"]):
            if time.monotonic() - began > BACK_LIMIT_SECONDS:
                raise RuntimeError("the control plane did not come back")
            time.sleep(0.02)
        back = time.monotonic() - began
        prober.wait_for_results(3)
        meanwhile = len(prober.toll.results) - answered
    return Back(back, meanwhile, len(prober.toll.lost), len(prober.toll.failed))


def _up(platform: Platform, before: dict[str, str]) -> subprocess.Popen[bytes]:
    ports = [before[door].rpartition(":")[2] for door in ("url", "gateway_url")]
    command = [*CLI, "up", "--port", ports[0], "--gateway-port", ports[1], "--home", str(platform.home)]
    log = (platform.home.parent / "up-again.log").open("ab")
    return subprocess.Popen(
        command, stdout=log, stderr=log, env=platform._environment(), start_new_session=True
    )


def _ready(url: str) -> bool:
    try:
        return bool(urllib.request.urlopen(f"{url}/readyz", timeout=2).status == 200)
    except (OSError, urllib.error.URLError):
        return False


def _between(earlier: str, later: str) -> float:
    return (datetime.fromisoformat(later) - datetime.fromisoformat(earlier)).total_seconds()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rotations", type=int, default=100, help="of each mode")
    parser.add_argument("--modes", default="surge,in-place")
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    found = []
    for mode in given.modes.split(","):
        with tempfile.TemporaryDirectory() as folder:
            found.append(rotate(mode, given.rotations, Path(folder)))
    if given.json:
        print(json.dumps([{"rotations": asdict(one), "back": asdict(back)} for one, back in found]))
        return 0
    heads = (
        "mode",
        "rotations",
        "prompts",
        "lost",
        "failed",
        "slowest s",
        "median s",
        "visible ms",
        "back s",
    )
    print("".join(f"{head:>11}" for head in heads))
    for one, back in found:
        print(
            f"{one.mode:>11}{one.rotations:>11}{one.prompts:>11}{one.lost:>11}{one.failed:>11}"
            f"{one.slowest_call_seconds:>11.2f}{one.median_seconds:>11.2f}{one.switch_visible_ms:>11.0f}"
            f"{back.ready_seconds:>11.2f}"
        )
        print(
            f"{'':>11}while the control plane was away: {back.prompts_meanwhile} prompts answered, "
            f"{back.lost} lost, {back.failed} failed (target: back within {TARGET_BACK_SECONDS:g} s)"
        )
    return 0 if all(one.lost + one.failed + back.lost + back.failed == 0 for one, back in found) else 1


if __name__ == "__main__":
    sys.exit(main())
