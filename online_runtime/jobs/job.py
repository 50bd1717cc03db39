"""Job: one prompt accepted by a service, from acceptance to archived result. Pure: standard library only."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from online_runtime.jobs.errors import IllegalJobMove


class JobState(StrEnum):
    """Where a job stands. Written by the gateway that holds its claim, or that hands out its result."""

    WAITING = "waiting"  # accepted and recorded with its owner, not yet taken by the engine
    RUNNING = "running"  # the owner's engine has it: queued there or executing
    DONE = "done"
    FAILED = "failed"
    INTERRUPTED = "interrupted"
    LOST = "lost"  # its owner died twice, or nobody could take it again; `reason` says which


UNFINISHED = frozenset({JobState.WAITING, JobState.RUNNING})
ENDS = frozenset({JobState.DONE, JobState.FAILED, JobState.INTERRUPTED, JobState.LOST})

# RUNNING -> WAITING is a re-submission after the owner died.
MOVES: Mapping[JobState, frozenset[JobState]] = {
    JobState.WAITING: frozenset({JobState.RUNNING}) | ENDS,
    JobState.RUNNING: frozenset({JobState.WAITING}) | ENDS,
}


def advance(now: JobState, to: JobState) -> JobState:
    """Return `to` when a job may go there from `now`; raises IllegalJobMove."""
    if to not in MOVES.get(now, frozenset()):
        raise IllegalJobMove(now, to)
    return to


def moves_to(to: JobState) -> tuple[JobState, ...]:
    """The states from which `to` can be reached: what a conditional update asks for."""
    return tuple(now for now, ends in MOVES.items() if to in ends)


def is_prompt_id(text: object) -> bool:
    """Whether `text` is a canonical lower-case hyphenated UUID, the only form that ComfyUI and the archive
    take.
    """
    if not isinstance(text, str) or len(text) != 36:
        return False
    try:
        return str(uuid.UUID(text)) == text
    except ValueError:
        return False


@dataclass(frozen=True)
class NewJob:
    """What is recorded of a prompt before it is forwarded. `body` is what the engine gets, with the prompt id
    in it.

    `body_sha256` is of the body as the caller sent it, so that a repeated call is known again.
    """

    service: str
    prompt_id: str
    instance_id: str
    snapshot_id: str
    body: bytes
    body_sha256: str
    accepted_at: datetime
    client_id: str | None = None
    idempotency_key: str | None = None
    workflow_id: str | None = None


@dataclass(frozen=True)
class Job:
    """One job as stored. `instance_id` owns it; `attempt` is 1, or 2 after its first owner died. Times are
    aware UTC. `summary` (JSON) and `execution_seconds` come with its result; `erased_at` hides it; from
    `expired_at` on its result is gone.
    """

    service: str
    prompt_id: str
    state: JobState
    instance_id: str
    snapshot_id: str
    attempt: int
    accepted_at: datetime
    body_sha256: str
    client_id: str | None = None
    idempotency_key: str | None = None
    finished_at: datetime | None = None
    reason: str | None = None
    cancel_reason: str | None = None
    answer: str | None = None
    workflow_id: str | None = None
    summary: str | None = None
    execution_seconds: float | None = None
    erased_at: datetime | None = None
    expired_at: datetime | None = None

    @property
    def finished(self) -> bool:
        return self.state in ENDS


@dataclass(frozen=True)
class ArchivedFile:
    """One output file of a prompt: `kind` is output or temp, `subfolder` is relative to it and may be
    empty.
    """

    kind: str
    subfolder: str
    filename: str
