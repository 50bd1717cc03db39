"""Deployments: asked for, watched, cancelled, rolled back."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Annotated, Any

from fastapi import APIRouter, Query, Response, status
from fastapi.responses import StreamingResponse
from pydantic import BaseModel, ConfigDict, Field
from starlette.concurrency import run_in_threadpool

from web.api.person import Caller, Here
from web.installation import Installation
from web.plain import plain
from workstation.project import read_project

router = APIRouter(prefix="/projects/{project}", tags=["deployments"])
EVENT_LOOK_SECONDS = 0.3
EVENT_LIMIT_SECONDS = (
    6 * 3600.0
)  # a reader that wants more connects again; nothing is lost, the events are stored


class DeploymentWanted(BaseModel):
    """What to deploy: the workstation as it is now, or an existing snapshot."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"examples": [{"note": "new face plugin"}, {"snapshot": "12"}]}
    )
    note: str = ""
    snapshot: Annotated[str | None, Field(description="Number, start of an id, or `latest`.")] = None
    smoke_workflow: Annotated[
        dict[str, Any] | None, Field(description="API format; must give a result before the switch.")
    ] = None
    keep_smoke: bool = True
    configuration: Annotated[dict[str, Any] | None, Field(description="Fields to change with it.")] = None
    dry_run: bool = False
    accept: Annotated[
        list[str], Field(description="Findings to go on in spite of, by the names that the checks have.")
    ] = []


class RollbackWanted(BaseModel):
    """Which deployment to go back to; the one before when `to` is absent."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"examples": [{}, {"to": 7, "note": "faces too dark"}]}
    )
    to: int | None = None
    note: str = ""


@router.post("/deployments", status_code=status.HTTP_202_ACCEPTED)
def deploy(project: str, wanted: DeploymentWanted, here: Here, person: Caller, response: Response) -> Any:
    """Deploy Online Service. 202 with its place in `Location`, or 409 naming the one that runs."""
    read_project(here.home, project)
    asked = here.publisher.request_deployment(
        project,
        by=person.name,
        source=person.source,
        note=wanted.note,
        snapshot=wanted.snapshot,
        smoke_workflow=wanted.smoke_workflow,
        keep_smoke=wanted.keep_smoke,
        configuration_changes=wanted.configuration,
        dry_run=wanted.dry_run,
        accept=wanted.accept,
    )
    if wanted.dry_run:
        response.status_code = status.HTTP_200_OK
    else:
        response.headers["Location"] = _place(project, asked.number)
    return plain(asked)


@router.get("/deployments")
def history(project: str, here: Here, limit: Annotated[int, Query(ge=1, le=1000)] = 50) -> Any:
    """The deployments of a service, newest first."""
    read_project(here.home, project)
    return plain(here.publisher.deployments(project, limit))


@router.get("/deployments/{number}")
def show(project: str, number: int, here: Here) -> Any:
    """One deployment with its steps, its diff, its instances and how it ended."""
    return plain(here.publisher.deployment(project, number))


@router.post("/deployments/{number}/cancel", status_code=status.HTTP_202_ACCEPTED)
def cancel(project: str, number: int, here: Here, person: Caller) -> Any:
    """Before the switch the new side goes; after it the old one comes back."""
    here.publisher.cancel(project, number, person.name)
    return plain(here.publisher.deployment(project, number).deployment)


@router.post("/rollbacks", status_code=status.HTTP_202_ACCEPTED)
def roll_back(project: str, wanted: RollbackWanted, here: Here, person: Caller, response: Response) -> Any:
    """Go back to an earlier deployment. It is a deployment of its own."""
    read_project(here.home, project)
    asked = here.publisher.roll_back(
        project, to=wanted.to, by=person.name, source=person.source, note=wanted.note
    )
    response.headers["Location"] = _place(project, asked.number)
    return plain(asked)


@router.get("/deployments/{number}/events", response_class=StreamingResponse)
def events(project: str, number: int, here: Here) -> StreamingResponse:
    """Its steps as server-sent events (`state`, `step`, `end`), from the first one on, until it is final."""
    here.publisher.deployment(project, number)
    return StreamingResponse(_stream(here, project, number), media_type="text/event-stream")


async def _stream(here: Installation, project: str, number: int) -> AsyncIterator[str]:
    told_state, told_steps = "", 0
    loop = asyncio.get_running_loop()
    deadline = loop.time() + EVENT_LIMIT_SECONDS
    while loop.time() < deadline:
        record = await run_in_threadpool(here.publisher.deployment, project, number)
        steps = [event for event in record.events if event.ended_at is not None]
        for index, step in enumerate(steps[told_steps:], start=told_steps):
            yield _event("step", plain(step), index)
        told_steps = len(steps)
        if record.deployment.state != told_state:
            told_state = record.deployment.state
            yield _event("state", {"state": told_state}, told_steps)
        if record.deployment.final:
            yield _event("end", plain(record.deployment), told_steps)
            return
        await asyncio.sleep(EVENT_LOOK_SECONDS)


def _event(kind: str, data: Any, number: int) -> str:
    return f"id: {number}\nevent: {kind}\ndata: {json.dumps(data)}\n\n"


def _place(project: str, number: int) -> str:
    return f"/api/v1/projects/{project}/deployments/{number}"
