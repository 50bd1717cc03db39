"""A deployment as it goes: one line a phase with its time, and a live line at a terminal."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import typer

from web.cli.door import Door
from web.cli.output import console, show, size
from web.errors import DeploymentNotSucceeded, WaitedTooLong, WorkerNotRunning
from web.installation import Installation
from web.plain import plain

if TYPE_CHECKING:
    from rich.status import Status

Record = Mapping[str, Any]  # what is plain JSON of a DeploymentRecord, a Deployment or an Event
LOOK_SECONDS = 0.05  # a deployment that changes nothing ends within 0.1 to 0.3 s
NO_WORKER_SECONDS = (
    10.0  # one that ended is started again within seconds; one that keeps ending is not back for 30
)
SUCCEEDED = "succeeded"
MOVE = "AdvanceTo"  # of interest in the history, not to somebody who waits


def follow(
    here: Installation, project: str, asked: object, *, wait: bool, limit_seconds: float, as_json: bool
) -> None:
    """Follow the deployment `asked` (as a dataclass or as JSON) to its end, through the web door.

    It goes on whatever happens here. Raises DeploymentNotSucceeded, WaitedTooLong, WorkerNotRunning,
    DoorUnreachable.
    """
    told: Record = plain(asked)
    number = told["number"]
    if not wait:
        watch = f"stillframe deployment watch {project} {number}"
        line = f"Deployment {number} of {project} is {told['state']}. Follow it: {watch}"
        show(told, line, as_json=as_json)
        return
    record = watch_until_final(here, project, number, limit_seconds=limit_seconds, quiet=as_json)
    tell_end(project, record, as_json=as_json)


def tell_end(project: str, record: Record, *, as_json: bool) -> None:
    """Show a record that is final. Raises DeploymentNotSucceeded."""
    ended = record["deployment"]
    if ended["state"] != SUCCEEDED:
        reason = ended["failure"] or ended["outcome"]
        raise DeploymentNotSucceeded(project, ended["number"], ended["state"], reason)
    show(record, ending(project, ended), as_json=as_json)


def ending(project: str, ended: Record) -> str:
    """How a deployment that succeeded ended, for people."""
    took = f"{_seconds(ended['requested_at'], ended['ended_at']):.1f} s"
    if ended["outcome"] == "unchanged":
        return (
            f"Nothing changed: {project} already serves snapshot {ended['snapshot_number']} "
            f"with this configuration ({took})."
        )
    return f"Deployment {ended['number']} of {project} serves snapshot {ended['snapshot_number']} ({took})."


def watch_until_final(
    here: Installation, project: str, number: int, *, limit_seconds: float, quiet: bool
) -> Record:
    """Look until the deployment is final, printing each step as it ends.

    Raises WaitedTooLong, and WorkerNotRunning when nobody is there to carry it out.
    """
    door = Door(here, "following a deployment")
    deadline = time.monotonic() + limit_seconds
    told, worker_seen = 0, time.monotonic()
    then = f"It goes on: stillframe deployment watch {project} {number}"
    with _live(quiet) as status:
        while True:
            record: Record = door.get(f"/projects/{project}/deployments/{number}")
            ended = [event for event in record["events"] if event["ended_at"] is not None]
            for event in ended[told:]:
                if not quiet and event["kind"] != MOVE:
                    typer.echo(step_line(event))
            told = len(ended)
            if record["deployment"]["ended_at"] is not None:
                return record
            worker_seen = time.monotonic() if _worker_alive(here) else worker_seen
            if time.monotonic() - worker_seen > NO_WORKER_SECONDS:
                log = here.home.run / "logs" / "worker.log"
                what = f"deployment {number} of {project}"
                raise WorkerNotRunning(
                    what, NO_WORKER_SECONDS, log, then.replace("It goes", "When one runs it goes")
                )
            if time.monotonic() > deadline:
                raise WaitedTooLong(f"deployment {number} of {project}", limit_seconds, then)
            if status is not None:
                status.update(_now(record))
            time.sleep(LOOK_SECONDS)


def _worker_alive(here: Installation) -> bool:
    record = here.running
    worker = record.children.get("worker") if record is not None else None
    return worker is not None and worker.alive


def step_line(event: Record) -> str:
    """One finished step: phase, time, what it did."""
    took = _seconds(event["started_at"], event["ended_at"])
    mark = "" if event["result"] == "ok" else f" [{event['result']}]"
    subject = f" {event['subject']}" if event["subject"] else ""
    said = f"  {event['detail'].splitlines()[0]}" if event["detail"] else ""
    return f"{event['state']:<10} {took:6.1f} s  {event['kind']}{subject}{mark}{said}"


def seconds_between(start: datetime, end: datetime | None) -> float:
    """Seconds from `start` to `end`, or until now."""
    return ((end or datetime.now(UTC)) - start).total_seconds()


def _seconds(start: str, end: str | None) -> float:
    return seconds_between(datetime.fromisoformat(start), datetime.fromisoformat(end) if end else None)


def _now(record: Record) -> str:
    deployment, freezing = record["deployment"], record["freezing"]
    words = f"{deployment['state']} for {_seconds(deployment['entered_at'], None):.0f} s"
    if freezing is None or not freezing["files_total"]:
        return words
    done = f"{freezing['files_done']} of {freezing['files_total']} files, {size(freezing['bytes_done'])}"
    return f"{words}: {done}  {freezing['path']}"


@contextmanager
def _live(quiet: bool) -> Iterator[Status | None]:
    import sys

    if quiet or not sys.stdout.isatty():
        yield None
        return
    with console().status("queued") as status:
        yield status
