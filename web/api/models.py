"""The shared models folder. Models are weights and nothing else."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict

from web.api.person import Here
from web.plain import plain
from workstation.models import KINDS, ModelFile, list_models, missing_models
from workstation.workflows import parse_workflow

router = APIRouter(prefix="/models", tags=["models"])


class ModelAnswer(BaseModel):
    """One file of weights."""

    model_config = ConfigDict(from_attributes=True)
    kind: str
    name: str
    size_bytes: int
    modified_at: datetime


@router.get("", response_model=list[ModelAnswer])
def all_models(here: Here) -> list[ModelFile]:
    """All models with their kinds and sizes."""
    return list(list_models(here.home))


@router.get("/kinds")
def kinds() -> dict[str, str]:
    """The folder of each kind and what it is for."""
    return dict(KINDS)


@router.post("/missing")
def missing(workflow: dict[str, Any], here: Here) -> Any:
    """The models that a workflow (API format) wants and the home does not have."""
    return plain(missing_models(here.home, parse_workflow(json.dumps(workflow))))
