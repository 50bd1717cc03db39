"""Whether an engine that does not answer is working. Pure: figures in, judgement out."""

from __future__ import annotations

from dataclasses import dataclass, replace

STALL_SECONDS = 15.0  # a step of a large model may print nothing and wait for the GPU for a few seconds
WORKING_SHARE = 0.02  # of one core: idle threads that only poll stay well below
SHORTEST_LOOK_SECONDS = 1.0  # clock ticks are too coarse for less


@dataclass(frozen=True)
class Progress:
    """What was seen of one engine's work. Times are monotonic seconds, processor time is in seconds."""

    looked_at: float
    cpu_seconds: float
    log_bytes: int
    moved_at: float | None = None

    def after(self, now: float, cpu_seconds: float, log_bytes: int) -> Progress:
        """The progress after one more look."""
        elapsed = now - self.looked_at
        if log_bytes != self.log_bytes:
            return Progress(now, cpu_seconds, log_bytes, moved_at=now)
        if elapsed < SHORTEST_LOOK_SECONDS:
            return self
        worked = cpu_seconds - self.cpu_seconds >= WORKING_SHARE * elapsed
        return replace(
            self, looked_at=now, cpu_seconds=cpu_seconds, moved_at=now if worked else self.moved_at
        )

    def moving(self, now: float) -> bool:
        """Whether something moved lately enough to call a silent engine busy."""
        return self.moved_at is not None and now - self.moved_at <= STALL_SECONDS
