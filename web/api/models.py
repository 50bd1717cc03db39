"""The shared models folder. Models are weights and nothing else."""

from __future__ import annotations

import asyncio
import json
import re
from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Header, Query, Request, status
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict

from web.api.person import Here
from web.errors import RequestRefused
from web.plain import plain
from workstation.arrivals.receiving import Arriving
from workstation.model_use import kinds_in_use, used_by
from workstation.models import list_models, missing_models
from workstation.workflows import parse_workflow

router = APIRouter(prefix="/models", tags=["models"])


class ModelAnswer(BaseModel):
    """One file of weights."""

    model_config = ConfigDict(from_attributes=True)
    kind: str
    name: str
    size_bytes: int
    modified_at: datetime


class ListedModel(ModelAnswer):
    """One file of weights, and the saved workflows that name it."""

    used_by: list[str]


class KindAnswer(BaseModel):
    """One kind of models, and what lies in its folder."""

    model_config = ConfigDict(from_attributes=True)
    kind: str
    purpose: str
    models: int
    size_bytes: int


class UploadAnswer(BaseModel):
    """How much of a model is here; the next part begins at `received_bytes`."""

    kind: str
    name: str
    received_bytes: int
    size_bytes: int | None = None


@router.get("", response_model=list[ListedModel])
def all_models(here: Here) -> Any:
    """All models with their kinds and sizes, and the workflows saved in workstations that name them."""
    found = list_models(here.home)
    used = used_by(here.home, found)
    return [{**plain(one), "used_by": used.get((one.kind, one.name), [])} for one in found]


@router.get("/kinds", response_model=list[KindAnswer])
def kinds(here: Here) -> Any:
    """The folder of each kind, what it is for, and what lies in it."""
    return kinds_in_use(list_models(here.home))


@router.get("/uploads/{kind}/{name:path}", response_model=UploadAnswer)
def received(kind: str, name: str, here: Here) -> UploadAnswer:
    """How much of a model was uploaded so far; 0 when nothing was."""
    return UploadAnswer(kind=kind, name=name, received_bytes=Arriving(here.home, kind, name).received_bytes())


@router.delete("/uploads/{kind}/{name:path}", status_code=status.HTTP_204_NO_CONTENT)
def give_up(kind: str, name: str, here: Here) -> None:
    """Throw away what was uploaded of a model that is not whole yet."""
    Arriving(here.home, kind, name).give_up()


@router.put(
    "/files/{kind}/{name:path}",
    response_model=ModelAnswer,
    responses={202: {"model": UploadAnswer, "description": "A part is here, the model not whole yet."}},
)
async def upload(
    kind: str,
    name: str,
    here: Here,
    request: Request,
    content_range: Annotated[
        str | None, Header(description="`bytes FIRST-LAST/SIZE` of this part; absent: the body is the model.")
    ] = None,
    sha256: Annotated[str | None, Query(pattern="^[0-9a-f]{64}$")] = None,
    replace: bool = False,
) -> Any:
    """Upload a model whole or in parts of at most 1 GiB; it appears under its name when its last byte came.

    A part that was cut off keeps what came: ask `/models/uploads` where to go on.
    """
    first, size = part_of(content_range, request.headers.get("content-length"))
    arriving = Arriving(here.home, kind, name, size, sha256, replace)
    there = await asyncio.to_thread(arriving.arrived)
    if there is not None:
        return there
    received = await _written(arriving, first, request)
    if received < size:
        answer = UploadAnswer(kind=kind, name=name, received_bytes=received, size_bytes=size)
        return JSONResponse(answer.model_dump(), status.HTTP_202_ACCEPTED)
    return await asyncio.to_thread(arriving.finish)


async def _written(arriving: Arriving, first: int, request: Request) -> int:
    """Write the request's body as the part that begins at byte `first`; how many bytes are here then."""
    part = arriving.part(first)
    opened = await asyncio.to_thread(part.__enter__)
    received = first
    try:
        async for data in request.stream():
            if data:
                received = await asyncio.to_thread(opened.write, data)
    finally:
        await asyncio.to_thread(part.__exit__, None, None, None)
    return received


def part_of(content_range: str | None, content_length: str | None) -> tuple[int, int]:
    """Where a part begins, and the model's whole size. Raises RequestRefused."""
    if content_range is not None:
        found = re.fullmatch(r"bytes (\d{1,18})-(\d{1,18})/(\d{1,18})", content_range.strip())
        if found is None or not int(found[1]) <= int(found[2]) < int(found[3]):
            raise RequestRefused("Content-Range reads `bytes FIRST-LAST/SIZE`, with FIRST <= LAST < SIZE")
        return int(found[1]), int(found[3])
    if content_length is None or not content_length.isdecimal() or int(content_length) == 0:
        raise RequestRefused("An upload needs a body with a Content-Length, or a Content-Range")
    return 0, int(content_length)


@router.post("/missing")
def missing(workflow: dict[str, Any], here: Here) -> Any:
    """The models that a workflow (API format) wants and the home does not have."""
    return plain(missing_models(here.home, parse_workflow(json.dumps(workflow))))
