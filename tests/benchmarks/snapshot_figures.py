"""What one tool cost in one run of the benchmark."""

from __future__ import annotations

import resource
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True)
class Cost:
    """What one thing cost: wall clock, and the processor time of all processes that took part."""

    wall: float
    cpu: float

    def __str__(self) -> str:
        return f"{self.wall:.3g} s ({self.cpu:.2g})"


@dataclass
class Figures:
    """Everything that was measured of one tool; what it does not do is missing."""

    costs: dict[str, list[Cost]] = field(default_factory=dict)
    disk_ratio: float = 0.0
    size_bytes: int = 0
    export_bytes: int = 0
    peak_mib: float = 0.0
    transfer_peaks_mib: dict[str, float] = field(default_factory=dict)

    def measure(self, what: str, action: Callable[[], object]) -> None:
        """Do it once more and remember what it cost."""
        before, started = processor_seconds(), time.perf_counter()
        action()
        cost = Cost(time.perf_counter() - started, processor_seconds() - before)
        self.costs.setdefault(what, []).append(cost)

    def measure_transfer(self, what: str, action: Callable[[], object]) -> None:
        """Also the most memory that this process, which does it alone, held meanwhile."""
        forget_peak()
        self.measure(what, action)
        (mark,) = [line for line in Path("/proc/self/status").read_text().splitlines() if "VmHWM" in line]
        self.transfer_peaks_mib[what] = int(mark.split()[1]) / 1024

    def median(self, what: str) -> Cost:
        """The middle one of all measurements, wall clock and processor time each by itself."""
        costs = self.costs[what]
        return Cost(statistics.median(c.wall for c in costs), statistics.median(c.cpu for c in costs))

    def cell(self, what: str) -> str:
        """The median as the tables show it."""
        return str(self.median(what)) if what in self.costs else "-"


def processor_seconds() -> float:
    """Of this process and of all that it started and that have ended."""
    found = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(usage.ru_utime + usage.ru_stime for usage in found)


def forget_peak() -> None:
    """Let the highest mark of this process's memory begin anew; those of ended processes stay."""
    Path("/proc/self/clear_refs").write_text("5")


def peak_mib() -> float:
    """The most memory that this process held since its mark began, or one that it started ever held."""
    found = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return max(usage.ru_maxrss for usage in found) / 1024
