"""Use cases over whole projects that both doors offer."""

from __future__ import annotations

from web.errors import ServiceStillServes
from web.installation import Installation


def remove_everything(here: Installation, project: str) -> None:
    """Remove a project: stop its workstation, then its folder.

    Refuses with ServiceStillServes while instances run.
    """
    from publisher.errors import ServiceNotFound
    from workstation.process import stop_workstation
    from workstation.project import read_project, remove_project

    place = read_project(here.home, project)[0]
    try:
        serving = [one for one in here.publisher.instances(project) if one.live]
    except ServiceNotFound:
        serving = []
    if serving:
        raise ServiceStillServes(project, len(serving))
    stop_workstation(place)
    remove_project(here.home, project)
