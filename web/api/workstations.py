"""The workstation's engine."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Query, status
from pydantic import BaseModel, ConfigDict

from web.api.person import Here
from web.plain import plain
from web.workstations import log_lines
from workstation.process import restart_workstation, start_workstation, stop_workstation, workstation_state
from workstation.project import read_project

router = APIRouter(prefix="/projects/{project}/workstation", tags=["workstation"])


class StartWanted(BaseModel):
    """How to start; all by itself when empty."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{}, {"cpu": True}]})
    port: int | None = None
    cpu: bool | None = None


@router.get("")
def state(project: str, here: Here) -> Any:
    """Whether the engine runs, where, and how it ended last."""
    return plain(workstation_state(read_project(here.home, project)[0]))


@router.post("/start", status_code=status.HTTP_202_ACCEPTED)
def start(project: str, here: Here, wanted: StartWanted | None = None) -> Any:
    """Start the engine; its state says when it is ready."""
    chosen = wanted or StartWanted()
    return plain(start_workstation(read_project(here.home, project)[0], port=chosen.port, cpu=chosen.cpu))


@router.post("/stop")
def stop(project: str, here: Here) -> Any:
    """Stop the engine; answers when it has ended."""
    return plain(stop_workstation(read_project(here.home, project)[0]))


@router.post("/restart", status_code=status.HTTP_202_ACCEPTED)
def restart(project: str, here: Here) -> Any:
    """Stop and start again, with what changed in plugins and packages."""
    return plain(restart_workstation(read_project(here.home, project)[0]))


@router.get("/log")
def log(project: str, here: Here, lines: Annotated[int, Query(ge=1, le=10_000)] = 200) -> list[str]:
    """The last lines of the engine's log."""
    return list(log_lines(read_project(here.home, project)[0], lines=lines, follow=False))
