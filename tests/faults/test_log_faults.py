"""Fault 53: logs that are blocked, full or endless. Real processes."""

from __future__ import annotations

import sys
import threading
import time
from pathlib import Path

import pytest

from tests.running_platform import eventually
from web.supervisor import child as supervisor_child
from web.supervisor.child import Child
from workstation.command import EngineCommand
from workstation.supervision import run_engine

NOISY = "import sys\nfor n in range(400_000): sys.stdout.write(f'line {n} ' + 'x' * 90 + '\\n')\n"
TALKER = (
    "import sys, time\nfor n in range(10**9):\n"
    "    sys.stderr.write(f'line {n} ' + 'x' * 1000 + '\\n'); sys.stderr.flush()\n    time.sleep(0.001)\n"
)


@pytest.mark.slow
def test_fault_53_an_engine_that_prints_without_end_runs_on_and_keeps_two_small_logs(tmp_path: Path) -> None:
    log = tmp_path / "engine.log"
    command = EngineCommand((sys.executable, "-c", NOISY), tmp_path, {})
    began = time.monotonic()
    last = run_engine(command, log, on_state=lambda _: None, stop=threading.Event(), max_log_bytes=1 << 20)
    assert (last.code, time.monotonic() - began < 60) == (0, True)
    sizes = [file.stat().st_size for file in tmp_path.glob("engine.log*")]
    assert len(sizes) == 2 and sum(sizes) < 3 << 20
    assert "line 399999" in log.read_text()


@pytest.mark.slow
def test_fault_53_a_log_that_cannot_be_written_blocks_no_engine(tmp_path: Path) -> None:
    """`/dev/full` refuses every byte, as a full disk does."""
    log = tmp_path / "engine.log"
    log.symlink_to("/dev/full")
    command = EngineCommand((sys.executable, "-c", NOISY), tmp_path, {})
    last = run_engine(command, log, on_state=lambda _: None, stop=threading.Event())
    assert last.code == 0


@pytest.mark.slow
def test_fault_53_a_part_of_the_platform_that_logs_without_end_fills_no_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(supervisor_child, "LOG_BYTES", 200_000)
    (tmp_path / "talker.py").write_text(TALKER)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    part = Child("talker", ("talker",), tmp_path / "talker.log")
    part.start()
    older = tmp_path / "talker.log.1"
    try:
        assert part.identity is not None
        turns: list[int] = []

        def turned() -> bool:
            part.keep(time.monotonic())
            stamp = older.stat().st_mtime_ns if older.exists() else 0
            if stamp and stamp not in turns:
                turns.append(stamp)
            return len(turns) >= 3

        eventually(turned, "three turns of the log", 60)
        assert part.restarts == 0 and part.alive
        assert part.log.stat().st_size + older.stat().st_size < 2_000_000
        assert not part.log.read_bytes().startswith(b"\0")  # the writer appends, wherever it was before
    finally:
        part.ask_to_end()
        part.end(time.monotonic() + 10)
