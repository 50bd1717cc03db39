"""The control plane is killed (SIGKILL) at every point of a deployment; the next one brings it to the same
end.
"""

from __future__ import annotations

import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from publisher.crash import POINTS
from publisher.states import DeploymentState as S
from tests.fakes.publishing import Stage

ROOT = Path(__file__).parents[2]
ONCE = ("row", "created", "stopped", "switched")  # a surge of one instance comes by here one time
DOOMED = textwrap.dedent("""
    import sys, pathlib
    from publisher.crash import crash_at
    from tests.fakes.publishing import FakeClock, Stage
    stage = Stage(pathlib.Path(sys.argv[1]))
    stage.clock.pass_seconds(float(sys.argv[5]))
    crash_at(sys.argv[2], int(sys.argv[3]))
    stage.run(int(sys.argv[4]))
    print("ended")
""")


def _run_to_the_kill(home: Path, point: str, passes: int, row: int, clock_seconds: float) -> bool:
    """Whether it was killed before its end."""
    ended = subprocess.run(
        [sys.executable, "-c", DOOMED, str(home), point, str(passes), str(row), str(clock_seconds)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert ended.returncode in (0, -9), ended.stderr
    return ended.returncode == -9


def _passed(stage: Stage) -> float:
    return (stage.clock() - type(stage.clock)().now).total_seconds()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("point", "passes"),
    [
        (point, passes)
        for point in POINTS
        if point != "admitted"  # reached in place only, with several instances
        for passes in ((0,) if point in ONCE else (1, 3, 5, 8))
    ],
)
def test_killed_there_it_resumes_to_the_same_end(tmp_path: Path, point: str, passes: int) -> None:
    home = tmp_path / "home"
    stage = Stage(home)
    stage.deployed()
    stage.snapshots.edit("two")
    row = stage.deploy()
    assert _run_to_the_kill(home, point, passes, row, _passed(stage))
    _answers_meanwhile(stage)
    stage.clock.pass_seconds(300)  # type: ignore[attr-defined]
    stage.run(row)
    record = stage.record()
    assert record.deployment.state is S.SUCCEEDED, record.error
    assert len(stage.driver.running()) == 1
    assert stage.accepting() == stage.driver.running()
    assert sum(i.startswith("demo-2-") for i in stage.driver.created()) == 1, "exactly one new instance"


@pytest.mark.slow
def test_killed_while_it_returns_it_returns(tmp_path: Path) -> None:
    home = tmp_path / "home"
    stage = Stage(home)
    stage.deployed()
    old = stage.accepting()
    stage.snapshots.edit("two")
    row = stage.deploy()
    assert _run_to_the_kill(home, "switched", 0, row, _passed(stage))
    stage.driver.kill(next(i for i in stage.driver.running() if i.startswith("demo-2-")))
    stage.clock.pass_seconds(300)  # type: ignore[attr-defined]
    assert _run_to_the_kill(home, "switched", 1, row, _passed(stage)), "killed inside the switch back"
    stage.run(row)
    assert stage.record().deployment.state is S.RETURNED
    assert stage.accepting() == stage.driver.running() == old


def _answers_meanwhile(stage: Stage) -> None:
    """Whenever it is killed, the table on disk names an instance that runs."""
    accepting = stage.accepting()
    assert accepting
    assert set(accepting) <= set(stage.driver.running())
