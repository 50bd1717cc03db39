"""What the engine's start spent, stage by stage, for /system_stats and the log."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

_IMPORTED = time.monotonic()
_START_TICKS = 19  # of /proc/self/stat, counted behind the program's name


@dataclass
class Startup:
    """Seconds of each stage in order, and of each plugin."""

    stages: dict[str, float] = field(default_factory=dict)
    plugins: dict[str, float] = field(default_factory=dict)
    ready_after: float | None = None

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Time what runs within."""
        started = time.perf_counter()
        try:
            yield
        finally:
            self.stages[name] = self.stages.get(name, 0.0) + time.perf_counter() - started

    def ready(self) -> None:
        """The engine listens: all that was timed by no stage counts as the interpreter's own."""
        self.ready_after = _process_seconds()
        own = self.ready_after - sum(self.stages.values())
        self.stages = {"interpreter": max(0.0, own), **self.stages}

    def as_json(self) -> dict[str, object]:
        """Seconds, rounded to milliseconds."""
        return {
            "ready_after": None if self.ready_after is None else round(self.ready_after, 3),
            "stages": {name: round(seconds, 3) for name, seconds in self.stages.items()},
            "plugins": {name: round(seconds, 3) for name, seconds in self.plugins.items()},
        }

    def sentence(self) -> str:
        """One line for the log."""
        parts = ", ".join(f"{name} {seconds:.2f} s" for name, seconds in self.stages.items())
        return f"Ready {self.ready_after or 0:.2f} s after the process began: {parts}"


def _process_seconds() -> float:
    """How long this process has run; where the system does not tell, how long this module has."""
    stat = Path("/proc/self/stat")
    if not stat.is_file():
        return time.monotonic() - _IMPORTED
    ticks = int(stat.read_text().rpartition(")")[2].split()[_START_TICKS])
    return time.clock_gettime(time.CLOCK_BOOTTIME) - ticks / os.sysconf("SC_CLK_TCK")


STARTUP = Startup()
