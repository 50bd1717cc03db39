"""What a way to bring a workstation to rest has to offer; where none is open, the plain way is taken."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Literal, Protocol

from snapshotter.copying import RacyRule

WayName = Literal["overlay", "subvolume", "plain"]


@dataclass(frozen=True)
class FreezeMode:
    """How a workstation is frozen. `reason` says why so: for "plain", why not by the faster ways.

    `seal_seconds` is for how long nobody could write.
    """

    name: WayName
    reason: str
    seal_seconds: float = 0.0

    def __str__(self) -> str:
        return f"{self.name}: {self.reason}"


@dataclass(frozen=True)
class Sealed:
    """One state of a workstation that nobody can change any more; sealing it held writers up for `seconds`.

    `show` mounts it at the workstation's place, in the mount namespace of the caller. Raises OSError.
    """

    moment_ns: int
    seconds: float
    show: Callable[[], None]

    @property
    def rule(self) -> RacyRule:
        """Which stamps may stand for a change that came after this state."""
        return SealedRule(now_ns=lambda: self.moment_ns)


class SealedRule(RacyRule):
    """The racy rule of a sealed state, whose present is the moment of the seal.

    What was stamped shortly before may have been changed shortly after, in the same tick: it is read again
    next time. There is nothing to wait for: what is read now no longer changes.
    """

    def outwait(self, ctime_ns: int) -> None:
        """Return at once."""


class Way(Protocol):
    """One way to seal one workstation."""

    name: WayName

    def refusal(self) -> str:
        """Why this way is not open here; empty when it is. Changes nothing."""

    def seal(self) -> AbstractContextManager[Sealed]:
        """Seal the workstation; what that needs is let go at the end.

        Raises OSError: then nothing was done.
        """
