"""How many instances each service shall have now, kept in the database from the moment it changes."""

from __future__ import annotations

from datetime import datetime

from publisher.clock import Clock
from publisher.db import fleets
from publisher.db.control import Control
from publisher.db.fleets import Size
from publisher.demand import Demand
from publisher.routes import accepts
from publisher.scaling import Facts, Wanted, wanted_instances
from publisher.watched import Watched


class Sizing:
    """Decides, and appends to the record what differs from its last line."""

    def __init__(self, control: Control, clock: Clock) -> None:
        self._control, self._clock = control, clock
        self._busy_at: dict[int, datetime] = {}

    def decide(self, watched: Watched, demand: Demand) -> Wanted:
        """The number that is wanted now, and why."""
        service, now = watched.service, self._clock()
        if service.stopped_at is not None:
            return Wanted(0, "the service was stopped", 0)
        if watched.side is None:
            return Wanted(0, "nothing is served yet", 0)
        size = _of_this_side(watched)
        if watched.active is not None:
            return self._beside_a_deployment(watched, demand)
        present = size.wanted if size else self._inherited(watched, now)
        facts = Facts(
            present=present,
            coming=sum(instance.routed_at is None for instance in watched.staying),
            changed_at=size.wanted_since if size else now,
            busy_at=self._busy_at.get(service.id),
            unfinished_jobs=demand.unfinished_jobs,
            open_calls=demand.open_calls,
            held_calls=demand.held_calls,
            last_call_at=demand.last_call_at,
        )
        wanted = wanted_instances(watched.configuration.scaling, facts, now)
        if wanted.needed >= max(present, 1):
            self._busy_at[service.id] = now
        return wanted

    def record(self, watched: Watched, wanted: Wanted) -> Size | None:
        """Append the size when it is another than the last one; None when it is the same."""
        before, now = _of_this_side(watched), self._clock()
        staying = [instance for instance in watched.staying if not instance.gone]
        same_number = before is not None and before.wanted == wanted.number
        size = Size(
            deployment_id=watched.service.serving_deployment_id,
            at=now,
            wanted_since=before.wanted_since if before and same_number else now,
            wanted=wanted.number,
            running=sum(instance.started_at is not None for instance in staying),
            accepting=sum(accepts(instance, watched.service) for instance in watched.live),
            reason=before.reason if before and same_number else wanted.reason,
        )
        if before is not None and _numbers(before) == _numbers(size):
            return None
        with self._control.write() as tx:
            fleets.add_size(tx, watched.service.id, size)
        return size

    def _beside_a_deployment(self, watched: Watched, demand: Demand) -> Wanted:
        """One decision maker at a time: the number stays, but who calls a sleeping service wakes it."""
        size = _of_this_side(watched)
        present = size.wanted if size else self._inherited(watched, self._clock())
        if present == 0 and demand.held_calls and watched.may_wake:
            return Wanted(1, "somebody calls", 1)
        number = watched.active.number if watched.active else 0
        return Wanted(present, f"deployment {number} is under way", present)

    def _inherited(self, watched: Watched, now: datetime) -> int:
        """What a deployment, or a return to this side, left: the number to go on from."""
        low, high = watched.configuration.scaling.bounds(now)
        left = max(len(watched.staying), watched.side.instances_wanted if watched.side else 0)
        return max(low, min(left, high))


def _of_this_side(watched: Watched) -> Size | None:
    """The last size, when it is of the side that serves now: another side begins anew."""
    size = watched.size
    return size if size and size.deployment_id == watched.service.serving_deployment_id else None


def _numbers(size: Size) -> tuple[int, int, int]:
    return size.wanted, size.running, size.accepting
