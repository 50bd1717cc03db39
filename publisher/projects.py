"""The publisher's side of the workstation: facts about a project that preflight asks for."""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from publisher.snapshots import MissingModel
from workstation.engines import engine_version
from workstation.layout import Home
from workstation.log import read_all
from workstation.models import missing_models
from workstation.plugins.imports import import_report
from workstation.process import engine_log, workstation_state
from workstation.project import read_project
from workstation.workflows import Workflow, parse_workflow, unknown_nodes

OBJECT_INFO_TIMEOUT_SECONDS = 10.0

_OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}))


class ProjectWorkstations:
    """Looks at the projects of one home; changes nothing."""

    def __init__(self, home: Home) -> None:
        self._home = home

    def check(self, project: str) -> str:
        """Raises ProjectNotFound, ProjectTooNew, EngineMissing."""
        paths, _ = read_project(self._home, project)
        version = engine_version(paths.workstation)
        return f"Its engine is {version.kind} {version.version}."

    def check_workflow(self, workflow: Mapping[str, Any]) -> None:
        """Raises UiFormatWorkflow, EmptyWorkflow."""
        _parse(workflow)

    def failing_plugins(self, project: str) -> Mapping[str, str]:
        """From the log of the workstation's last run; empty when it never ran."""
        paths, _ = read_project(self._home, project)
        report = import_report(read_all(engine_log(paths)))
        return {name: result.error for name, result in report.items() if not result.ok}

    def unknown_nodes(self, project: str, workflow: Mapping[str, Any]) -> Sequence[str] | None:
        """None when the workstation does not run, or does not answer within the limit."""
        paths, _ = read_project(self._home, project)
        url = workstation_state(paths).url
        classes = None if url is None else _object_info(url)
        if classes is None:
            return None
        return [node.class_type for node in unknown_nodes(_parse(workflow), classes)]

    def missing_models(self, project: str, workflow: Mapping[str, Any]) -> Sequence[MissingModel]:
        """By the shared models folder of this home."""
        missing = missing_models(self._home, _parse(workflow))
        return [MissingModel(model.kind, model.name) for model in missing]


def _parse(workflow: Mapping[str, Any]) -> Workflow:
    return parse_workflow(json.dumps(workflow))


def _object_info(url: str) -> Collection[str] | None:
    try:
        with _OPENER.open(f"{url}/object_info", timeout=OBJECT_INFO_TIMEOUT_SECONDS) as answer:
            found: dict[str, Any] = json.load(answer)
    except (OSError, ValueError):
        return None
    return found.keys()
