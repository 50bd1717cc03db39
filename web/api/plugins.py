"""Plugins of a workstation."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import APIRouter, status
from pydantic import BaseModel, ConfigDict, Field

from web.api.person import Here
from web.plain import plain
from web.workstations import last_imports
from workstation.plugins.install import (
    disable_plugin,
    enable_plugin,
    install_plugin,
    pin_plugin,
    remove_plugin,
    scan_source,
    unpin_plugin,
    update_plugin,
)
from workstation.plugins.inventory import Plugin, list_plugins
from workstation.project import read_project

router = APIRouter(prefix="/projects/{project}", tags=["plugins"])
CHANGES = {"enable": enable_plugin, "disable": disable_plugin, "pin": pin_plugin, "unpin": unpin_plugin}


class PluginWanted(BaseModel):
    """A plugin to install."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={"examples": [{"source": "https://example.org/stamp.git", "ref": "v1.2"}]},
    )
    source: Annotated[str, Field(description="A git URL, or a folder or zip on this machine.")]
    ref: Annotated[str | None, Field(description="Commit, tag or branch.")] = None
    name: str | None = None
    accept: Annotated[list[str], Field(description="Protected packages that may be changed.")] = []


class PluginSource(BaseModel):
    """Where a plugin would come from."""

    model_config = ConfigDict(extra="forbid")
    source: Annotated[str, Field(description="A git URL, or a folder, .py file or zip on this machine.")]
    ref: Annotated[str | None, Field(description="Commit, tag or branch.")] = None


class PluginUpdate(BaseModel):
    """Where an update goes; the newest commit of its branch when `ref` is absent."""

    model_config = ConfigDict(extra="forbid")
    ref: str | None = None
    accept: list[str] = []


class PluginAnswer(BaseModel):
    """One plugin as it lies on disk."""

    model_config = ConfigDict(from_attributes=True)
    name: str
    enabled: bool
    kind: str
    remote: str | None
    commit: str | None
    branch: str | None
    edited_files: list[str]
    pinned: bool
    version: str | None
    problem: str | None


@router.get("/plugins", response_model=list[PluginAnswer])
def all_plugins(project: str, here: Here) -> list[Plugin]:
    """All plugins, disabled ones too."""
    return list(list_plugins(read_project(here.home, project)[0].workstation))


@router.post("/plugins", status_code=status.HTTP_201_CREATED)
def install(project: str, wanted: PluginWanted, here: Here) -> Any:
    """Install a plugin and its requirements, or change nothing."""
    accept = tuple(wanted.accept)
    return plain(
        install_plugin(here.home, project, wanted.source, ref=wanted.ref, name=wanted.name, accept=accept)
    )


@router.post("/plugins/scan")
def scan(project: str, wanted: PluginSource, here: Here) -> Any:
    """Tell which engine a plugin needs, from its sources alone. Runs and installs nothing."""
    read_project(here.home, project)
    found = scan_source(wanted.source, wanted.ref)
    return {**plain(found), "sentence": found.sentence}


@router.post("/plugins/{plugin}/update")
def update(project: str, plugin: str, wanted: PluginUpdate, here: Here) -> Any:
    """Fetch a newer commit with its requirements, or change nothing."""
    return plain(update_plugin(here.home, project, plugin, ref=wanted.ref, accept=tuple(wanted.accept)))


@router.post("/plugins/{plugin}/{change}", status_code=status.HTTP_204_NO_CONTENT)
def change(
    project: str, plugin: str, change: Literal["enable", "disable", "pin", "unpin"], here: Here
) -> None:
    """Enable, disable, pin or unpin. A running workstation sees it after a restart."""
    CHANGES[change](here.home, project, plugin)


@router.delete("/plugins/{plugin}", status_code=status.HTTP_204_NO_CONTENT)
def remove(project: str, plugin: str, here: Here) -> None:
    """Remove a plugin's folder, local edits included."""
    remove_plugin(here.home, project, plugin)


@router.get("/imports")
def imports(project: str, here: Here) -> Any:
    """Which plugins imported at the workstation's last start, and which failed with what traceback."""
    return plain(last_imports(read_project(here.home, project)[0]))
