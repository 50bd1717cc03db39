"""Online services: what serves, and its configuration."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

from fastapi import APIRouter, Query, Response, status
from pydantic import AwareDatetime, BaseModel, ConfigDict

from web.api.person import Caller, Here
from web.plain import plain
from web.services import endpoint

router = APIRouter(prefix="/services", tags=["services"])


class ConfigurationWanted(BaseModel):
    """Fields to change; null takes one back to its default."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"examples": [{"changes": {"instances_minimum": 2}}]}
    )
    changes: dict[str, Any]
    note: str = ""


@router.get("")
def all_services(here: Here) -> Any:
    """All services of this home."""
    return plain(here.publisher.services())


@router.get("/{service}")
def show(service: str, here: Here) -> Any:
    """The wanted and running snapshot, instances, configuration, and the endpoint."""
    return {**plain(here.publisher.service(service)), "endpoint": endpoint(here, service)}


@router.patch("/{service}/configuration", status_code=status.HTTP_202_ACCEPTED)
def configure(
    service: str, wanted: ConfigurationWanted, here: Here, person: Caller, response: Response
) -> Any:
    """Change the configuration: a deployment of its own."""
    asked = here.publisher.configure(
        service, wanted.changes, by=person.name, source=person.source, note=wanted.note
    )
    if asked is None:  # nothing is served yet: kept for the first deployment
        response.status_code = status.HTTP_200_OK
        return plain(here.publisher.service(service))
    response.headers["Location"] = f"/api/v1/projects/{service}/deployments/{asked.number}"
    return plain(asked)


@router.get("/{service}/overview")
def overview(service: str, here: Here, since: AwareDatetime | None = None) -> Any:
    """Wanted and actual numbers of instances since then, of the last day unless it is given."""
    begin = since or datetime.now(UTC) - timedelta(days=1)
    return plain(here.publisher.overview(service, begin))


@router.get("/{service}/usage")
def usage(service: str, here: Here, days: Annotated[int, Query(ge=1, le=3660)] = 7) -> Any:
    """Instance seconds, jobs and inference seconds of the last days (UTC), today included."""
    today = datetime.now(UTC).date()
    return plain(here.publisher.usage(service, today - timedelta(days=days - 1), today))


@router.post("/{service}/resume", status_code=status.HTTP_202_ACCEPTED)
def resume(service: str, here: Here) -> Any:
    """Start instances again after a crash loop."""
    here.publisher.resume_service(service)
    return plain(here.publisher.service(service))


@router.post("/{service}/stop", status_code=status.HTTP_202_ACCEPTED)
def stop(service: str, here: Here) -> Any:
    """Stop all instances. The next deployment starts the service again."""
    here.publisher.stop_service(service)
    return plain(here.publisher.service(service))
