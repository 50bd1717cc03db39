"""The steps of a rotation, as data: `rotation.next_step` chooses, `executor.perform` carries out. Pure.

Each may be performed again after a crash: it then finds what is already done and completes it.
"""

from __future__ import annotations

from dataclasses import dataclass

from publisher.states import DeploymentState


@dataclass(frozen=True)
class AdvanceTo:
    """Move to `state`; nothing else happens."""

    state: DeploymentState


@dataclass(frozen=True)
class RunPreflight:
    """Look at everything that could refuse the deployment; store the findings."""


@dataclass(frozen=True)
class Freeze:
    """Freeze the workstation, or resolve the snapshot that was asked for; make its views; store the diff."""


@dataclass(frozen=True)
class StartInstance:
    """Start instance `ordinal` of this deployment.

    Its id and token are committed before the driver is called.
    """

    ordinal: int


@dataclass(frozen=True)
class Probe:
    """Look at these instances once and store what they say."""

    instance_ids: tuple[str, ...]


@dataclass(frozen=True)
class Wait:
    """Nothing to do for `seconds`."""

    seconds: float
    why: str


@dataclass(frozen=True)
class RunSmoke:
    """Run the smoke workflow on this instance, which takes no traffic yet."""

    instance_id: str


@dataclass(frozen=True)
class Admit:
    """Let this proven instance take calls beside the old side, whose next one is about to leave."""

    instance_id: str


@dataclass(frozen=True)
class Switch:
    """One write gives the traffic to the new side; ends when every live gateway shows it.

    The old stay warm.
    """


@dataclass(frozen=True)
class SwitchBack:
    """Give the traffic back to the previous side, or to nobody when there was none."""


@dataclass(frozen=True)
class Drain:
    """Mark these instances as draining. After the bake, this is the point of no return."""

    instance_ids: tuple[str, ...]


@dataclass(frozen=True)
class CountWork:
    """Ask gateways and instances what is unfinished on these draining instances."""

    instance_ids: tuple[str, ...]


@dataclass(frozen=True)
class StopInstance:
    """Keep its last log lines, stop it, remove it.

    In the same write its slot goes to a new instance of the deployment with row id `heir`.
    """

    instance_id: str
    why: str
    heir: int | None = None


@dataclass(frozen=True)
class Reopen:
    """Take back the drain of these instances of the previous side: they take calls again."""

    instance_ids: tuple[str, ...]


@dataclass(frozen=True)
class StartAgain:
    """Start this instance of the previous side, whose row holds its slot already."""

    instance_id: str


@dataclass(frozen=True)
class Fail:
    """Write down why the deployment fails, with the instance's last log lines."""

    why: str
    instance_id: str | None = None


@dataclass(frozen=True)
class Finish:
    """The end: a final state and, in a word, how."""

    state: DeploymentState
    outcome: str


Step = (
    AdvanceTo
    | RunPreflight
    | Freeze
    | StartInstance
    | Probe
    | Wait
    | RunSmoke
    | Admit
    | Switch
    | SwitchBack
    | Drain
    | CountWork
    | StopInstance
    | Reopen
    | StartAgain
    | Fail
    | Finish
)
