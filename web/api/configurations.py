"""Versions of a service's configuration, and its secrets."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Query, Response, status
from pydantic import BaseModel, ConfigDict, SecretStr

from publisher.configurations import Asker
from publisher.deployment import Deployment
from web.api.person import Caller, Here
from web.plain import plain
from workstation.project import read_project

router = APIRouter(prefix="/services/{service}", tags=["services"])


class Why(BaseModel):
    """Why, for the history."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"note": "too slow"}]})
    note: str = ""


class SecretWanted(BaseModel):
    """The value of a secret. It is kept sealed, and no answer holds it."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"value": "hf_example"}]})
    value: SecretStr
    note: str = ""


@router.get("/configurations")
def versions(service: str, here: Here) -> Any:
    """All versions, the newest first."""
    return plain(here.publisher.configurations.versions(service))


@router.get("/configurations/{version}")
def version(service: str, version: int, here: Here) -> Any:
    """One version: what differs from the defaults."""
    return plain(here.publisher.configurations.version(service, version))


@router.get("/configurations/{version}/diff")
def difference(
    service: str,
    version: int,
    here: Here,
    against: Annotated[int, Query(description="The version it is compared with.")],
) -> Any:
    """What this version has otherwise than `against`, field by field."""
    return plain(here.publisher.configurations.difference(service, against, version))


@router.post("/configurations/{version}/restore", status_code=status.HTTP_202_ACCEPTED)
def restore(service: str, version: int, why: Why, here: Here, person: Caller, response: Response) -> Any:
    """Go back to this version. A deployment of its own; 200 where nothing is served yet."""
    asker = Asker(person.name, person.source, why.note or f"configuration {version} again")
    return _told(service, here.publisher.configurations.restore(service, version, asker), response)


@router.get("/secrets")
def secrets(service: str, here: Here) -> Any:
    """Names, versions, when and by whom. Values are never shown."""
    return plain(here.publisher.configurations.secrets(service))


@router.put("/secrets/{name}", status_code=status.HTTP_202_ACCEPTED)
def set_secret(
    service: str, name: str, wanted: SecretWanted, here: Here, person: Caller, response: Response
) -> Any:
    """Set a secret. A deployment of its own; 200 where nothing is served yet."""
    read_project(here.home, service)
    asker = Asker(person.name, person.source, wanted.note or f"secret {name} set")
    value = wanted.value.get_secret_value()
    asked = here.publisher.configurations.set_secret(service, name, value, asker)
    return _told(service, asked, response)


@router.delete("/secrets/{name}", status_code=status.HTTP_202_ACCEPTED)
def remove_secret(service: str, name: str, here: Here, person: Caller, response: Response) -> Any:
    """Remove a secret. A deployment of its own; 200 where nothing is served yet."""
    asker = Asker(person.name, person.source, f"secret {name} removed")
    return _told(service, here.publisher.configurations.remove_secret(service, name, asker), response)


def _told(service: str, asked: Deployment | None, response: Response) -> Any:
    if asked is None:
        response.status_code = status.HTTP_200_OK
        return {"deployment": None}
    response.headers["Location"] = f"/api/v1/projects/{service}/deployments/{asked.number}"
    return plain(asked)
