"""How errors look in the API's description."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict


class ProblemAnswer(BaseModel):
    """Problem details (RFC 9457). The error's own fields stand beside these."""

    model_config = ConfigDict(
        extra="allow",
        json_schema_extra={
            "example": {
                "type": "urn:stillframe:problem:deployment-in-progress",
                "title": "Deployment in progress",
                "status": 409,
                "detail": "Service portraits is busy: deployment 41, started by ana, is rotating.",
                "number": 41,
                "by": "ana",
                "state": "rotating",
            }
        },
    )
    type: str
    title: str
    status: int
    detail: str


_SENTENCES = {
    401: "Nobody signed in.",
    404: "What was named does not exist.",
    409: "It exists already, is in progress, or was refused by a check.",
    422: "A value is wrong. Nothing was changed.",
    429: "Too many wrong passwords.",
}
PROBLEMS: dict[int | str, dict[str, Any]] = {
    status: {
        "description": sentence,
        "content": {"application/problem+json": {"schema": ProblemAnswer.model_json_schema()}},
    }
    for status, sentence in _SENTENCES.items()
}
