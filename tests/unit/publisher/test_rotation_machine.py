"""next_step in a world that breaks at random, in both modes: the previous snapshot always serves, or serves
again, slots are never exceeded, and there is always an end.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from online_runtime.instance.spec import InstanceState
from publisher import steps
from publisher.deployment import Deployment, Instance, Reason, Rotation, Side, Timing
from publisher.drivers.contract import Presence
from publisher.rotation import next_step
from publisher.states import FINAL, advance
from publisher.states import DeploymentState as S

TIMING = Timing(start_deadline_seconds=60, minimum_healthy_seconds=4, bake_seconds=10, drain_hard_seconds=40)
START = datetime(2030, 1, 1, tzinfo=UTC)


class World(RuleBasedStateMachine):
    """Performs the steps as the executor does, while instances break, recover and work, and people cancel."""

    @initialize(
        wanted=st.integers(1, 3),
        first=st.booleans(),
        smoke=st.booleans(),
        reason=st.sampled_from(list(Reason)),
        rotation=st.sampled_from(list(Rotation)),
        served=st.integers(1, 3),
        spare=st.integers(0, 2),
    )
    def begin(
        self,
        wanted: int,
        first: bool,
        smoke: bool,
        reason: Reason,
        rotation: Rotation,
        served: int,
        spare: int,
    ) -> None:
        self.now = START
        served = 0 if first else served
        in_place = rotation is Rotation.IN_PLACE
        self.slots = max(wanted, served + spare) if in_place else served + wanted
        self.rotation, self.at_hand = rotation, self.slots if in_place else 0
        side = None if first else Side(1, 1, "old", 1, 1, served)
        self.deployment = Deployment(
            2, "demo", 2, S.QUEUED, reason, "ana", "test", "", START, START, 1, wanted, smoke, previous=side
        )
        self.serving = None if first else 1
        self.instances: dict[str, Instance] = {}
        if not first:
            for ordinal in range(1, served + 1):
                self._add(1, ordinal, healthy=True, healthy_since=START, routed_at=START, passes=3)
        self.sick: set[str] = set()
        self.jobs: dict[str, int] = {}
        self.returning = False

    def _add(self, of: int, ordinal: int, **values: object) -> None:
        made = Instance(f"{of}-{ordinal}", "demo", of, of, ordinal, ordinal, None, "s", of, self.now)
        running = {"started_at": self.now, "presence": Presence.RUNNING, "state": InstanceState.STARTING}
        self.instances[made.id] = replace(made, **{**running, **values})  # type: ignore[arg-type]  # columns by name

    def _change(self, instance_id: str, **values: object) -> None:
        self.instances[instance_id] = replace(self.instances[instance_id], **values)  # type: ignore[arg-type]  # columns by name

    @rule(seconds=st.floats(0.1, 20))
    def time_passes(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)

    @rule(data=st.data(), luck=st.integers(0, 2))
    def one_breaks_or_recovers(self, data: st.DataObject, luck: int) -> None:
        if self.instances and luck < 2:
            one = data.draw(st.sampled_from(sorted(self.instances)))
            self.sick.symmetric_difference_update({one})

    @rule(data=st.data(), luck=st.integers(0, 2))
    def one_dies(self, data: st.DataObject, luck: int) -> None:
        if luck:
            return
        # Beside a surge the fleet replaces old instances; in place everything is the deployment's.
        any_side = self.deployment.moves_slots or self.deployment.brings_back
        mortal = sorted(
            i.id
            for i in self.instances.values()
            if i.live and i.started_at and (any_side or i.deployment_id == 2)
        )
        if mortal:
            self._change(data.draw(st.sampled_from(mortal)), presence=Presence.ENDED, healthy=False)

    @rule(luck=st.integers(0, 3))
    def somebody_cancels(self, luck: int) -> None:
        deployment = self.deployment
        if luck:  # otherwise hardly any run would come as far as its bake
            return
        if (
            deployment.state not in FINAL
            and deployment.drain_since is None
            and deployment.state is not S.RETURNING
        ):
            self.deployment = replace(deployment, cancelled_by="bob")

    @rule(times=st.integers(8, 20))
    def it_goes_further(self, times: int) -> None:
        for _ in range(times):
            self._step()

    @rule(times=st.integers(1, 8))
    def it_goes_on(self, times: int) -> None:
        for _ in range(times):
            self._step()

    @rule(data=st.data(), jobs=st.integers(0, 3))
    def jobs_come_and_go(self, data: st.DataObject, jobs: int) -> None:
        if self.instances:
            one = data.draw(st.sampled_from(sorted(self.instances)))
            there = self.instances[one]
            takes_new = there.deployment_id == self.serving and there.drain_since is None
            self.jobs[one] = jobs if takes_new else min(jobs, self.jobs.get(one, 0))

    @invariant()
    def slots_are_never_exceeded(self) -> None:
        if hasattr(self, "slots"):
            assert sum(i.live for i in self.instances.values()) <= self.slots

    @invariant()
    def calls_are_served_or_held_once_somebody_served(self) -> None:
        """Held means: the service is wanted by the table. Only a first deployment may leave nobody."""
        if hasattr(self, "deployment") and self.deployment.previous is not None:
            assert self.serving is not None

    @invariant()
    def somebody_serves_as_long_as_anybody_did(self) -> None:
        if getattr(self, "serving", None) == 1 and self.deployment.rotation is Rotation.SURGE:
            served = [i for i in self.instances.values() if i.deployment_id == 1]
            assert all(i.live for i in served), "an old instance was stopped while its side had the traffic"

    def teardown(self) -> None:
        """Liveness: left alone, it ends."""
        if not hasattr(self, "deployment"):
            return
        for _ in range(6000):
            if self.deployment.state in FINAL:
                break
            self._step()
        assert self.deployment.state in FINAL, self.deployment
        self._judge_the_end()

    def _judge_the_end(self) -> None:
        deployment, previous = self.deployment, self.deployment.previous
        own = [i for i in self.instances.values() if i.deployment_id == 2 and i.live]
        old = [i for i in self.instances.values() if i.deployment_id == 1 and i.live]
        if deployment.state is S.SUCCEEDED:
            assert (self.serving, len(own), old) == (2, deployment.instances_wanted, [])
        elif deployment.reason is Reason.ROLLBACK and deployment.switched_at:
            assert self.serving == 2 or deployment.cancelled_by
        elif previous is not None:
            assert (self.serving, own) == (1, [])
            assert len(old) == previous.instances_wanted
            assert all(i.drain_since is None and i.started_at for i in old), "the previous side is not open"
            down = [i for i in old if not i.healthy and self._in_time(i)] if self.returning else []
            assert not down, "it ended before the previous snapshot was up again"

    def _in_time(self, instance: Instance) -> bool:
        """Those that never come up, or turned sick long after their start, are the fleet's."""
        started = instance.started_at or self.now
        return (self.now - started).total_seconds() < TIMING.start_deadline_seconds

    def _step(self) -> None:
        if self.deployment.state in FINAL:
            return
        step = next_step(self.deployment, list(self.instances.values()), self.now, TIMING)
        self._perform(step)

    def _perform(self, step: steps.Step) -> None:
        deployment = self.deployment
        match step:
            case steps.AdvanceTo(state):
                self.returning |= state is S.RETURNING and deployment.rotation is Rotation.IN_PLACE
                self.deployment = replace(
                    deployment, state=advance(deployment.state, state), entered_at=self.now
                )
            case steps.RunPreflight():
                self.deployment = replace(
                    deployment, findings=(), rotation=self.rotation, slots_at_hand=self.at_hand
                )
            case steps.Freeze():
                self.deployment = replace(deployment, snapshot_id="new", snapshot_number=2)
            case steps.StartInstance(ordinal):
                if f"2-{ordinal}" in self.instances:
                    self._change(f"2-{ordinal}", started_at=self.now, presence=Presence.RUNNING)
                else:
                    self._add(2, ordinal)
            case steps.StartAgain(instance_id):
                assert self.instances[instance_id].deployment_id == 1
                self._change(instance_id, started_at=self.now, presence=Presence.RUNNING)
            case steps.Admit(instance_id):
                assert self.instances[instance_id].healthy
                self._change(instance_id, admitted_at=self.now, routed_at=self.now)
            case steps.Reopen(ids):
                for instance_id in ids:
                    self._change(instance_id, drain_since=None, counted_at=None, observed_at=None)
            case steps.Probe(ids):
                for instance_id in ids:
                    self._probe(instance_id)
            case steps.RunSmoke(instance_id):
                self._change(instance_id, smoked_at=self.now)
            case steps.Switch():
                self._switch()
            case steps.SwitchBack():
                self.serving = deployment.previous.deployment_id if deployment.previous else None
                self.deployment = replace(deployment, returned_at=self.now)
            case steps.Drain(ids):
                if deployment.state is S.BAKING:
                    self._judge_the_drain()
                    self.deployment = replace(deployment, drain_since=self.now)
                for instance_id in ids:
                    self._judge_the_leaving(self.instances[instance_id])
                    self._change(instance_id, drain_since=self.now)
            case steps.CountWork(ids):
                for instance_id in ids:
                    self._change(
                        instance_id,
                        counted_at=self.now,
                        unfinished_jobs=self.jobs.get(instance_id, 0),
                        open_calls=0,
                    )
            case steps.Wait(seconds, _):
                assert seconds >= 0
                self.now += timedelta(seconds=seconds + 0.01)
            case steps.StopInstance(instance_id, _, heir):
                self._judge_the_stop(self.instances[instance_id])
                self._change(instance_id, stopped_at=self.now)
                if heir is not None:
                    made = sum(i.deployment_id == heir for i in self.instances.values())
                    self._add(heir, made + 1, started_at=None, presence=None, state=None)
            case steps.Fail(why, _):
                self.deployment = replace(deployment, failure=why)
            case steps.Finish(state, outcome):
                ended = advance(deployment.state, state)
                self.deployment = replace(deployment, state=ended, outcome=outcome, ended_at=self.now)

    def _switch(self) -> None:
        own = [i for i in self.instances.values() if i.deployment_id == 2 and i.live]
        assert len(own) == self.deployment.instances_wanted
        assert all(i.healthy and not i.gone for i in own), "switched to what is not healthy"
        assert not self.deployment.has_smoke or own[0].smoked_at, "switched without the smoke workflow"
        self.serving = 2
        for instance in own:
            self._change(instance.id, routed_at=self.now, admitted_at=None)
        self.deployment = replace(self.deployment, switched_at=self.now, switch_visible_at=self.now)

    def _judge_the_stop(self, leaving: Instance) -> None:
        in_place = self.deployment.rotation is Rotation.IN_PLACE
        assert in_place or leaving.deployment_id != self.serving, "stopped what serves"
        if leaving.routed_at is None or leaving.gone or not leaving.healthy:
            return
        assert leaving.drain_since is not None, "stopped without a drain"
        over = (self.now - leaving.drain_since).total_seconds() >= TIMING.drain_hard_seconds
        assert over or not self.jobs.get(leaving.id), "stopped with unfinished jobs"

    def _judge_the_leaving(self, leaving: Instance) -> None:
        """Before the switch one leaves at a time, and only when those that came are well."""
        deployment = self.deployment
        if deployment.rotation is Rotation.SURGE or deployment.switched_at or deployment.previous is None:
            return
        others = [i for i in self.instances.values() if i.live and i.id != leaving.id]
        assert not any(i.drain_since for i in others), "a second one leaves"
        if self.deployment.state is S.ROTATING:
            own = [i for i in others if i.deployment_id == 2]
            assert all(i.admitted_at for i in own), "the next one leaves before the last one took calls"

    def _judge_the_drain(self) -> None:
        own = [i for i in self.instances.values() if i.deployment_id == 2 and i.live]
        assert own
        assert all(i.healthy for i in own), "the old side was let go without a healthy new one"

    def _probe(self, instance_id: str) -> None:
        instance = self.instances[instance_id]
        ok = instance_id not in self.sick and instance.presence is Presence.RUNNING and instance.live
        passes = instance.passes + 1 if ok else 0
        failures = 0 if ok else instance.failures + 1
        healthy = passes >= 3 or (instance.healthy and failures < 3)
        since = (instance.healthy_since or self.now) if ok else None
        self._change(
            instance_id,
            passes=passes,
            failures=failures,
            healthy=healthy,
            healthy_since=since,
            observed_at=self.now,
        )


World.TestCase.settings = settings(
    max_examples=200, stateful_step_count=25, deadline=None, suppress_health_check=list(HealthCheck)
)
TestRotationInABreakingWorld = World.TestCase
