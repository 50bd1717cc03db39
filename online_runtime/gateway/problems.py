"""Which HTTP status each error becomes: the one table of this package. Answers follow RFC 9457
(problem+json).
"""

from __future__ import annotations

import json
from collections.abc import Mapping

from online_runtime.gateway.errors import (
    BadPath,
    BodyTooLarge,
    FileMissing,
    GatewayError,
    GatewayFault,
    GatewayNotReady,
    InstanceAnswerBroken,
    InstanceUnreachable,
    JobsQueryRefused,
    JobsUnavailable,
    NoInstance,
    OwnerGone,
    PromptExpired,
    PromptInvalid,
    PromptLost,
    PromptUndecided,
    PromptUnknown,
    TokenRefused,
    UnknownPath,
    UnknownService,
)
from online_runtime.jobs.errors import (
    IdempotencyKeyReused,
    JobsDatabaseClosed,
    JobsError,
    OutsideArchive,
    PromptIdTaken,
)

STATUS: Mapping[type[Exception], int] = {
    TokenRefused: 401,
    UnknownPath: 404,
    UnknownService: 404,
    NoInstance: 503,
    GatewayNotReady: 503,
    InstanceUnreachable: 502,
    InstanceAnswerBroken: 502,
    BodyTooLarge: 413,
    BadPath: 400,
    PromptInvalid: 400,
    PromptUnknown: 404,
    PromptLost: 410,
    PromptExpired: 410,
    PromptUndecided: 409,
    FileMissing: 404,
    OwnerGone: 410,
    JobsQueryRefused: 400,
    JobsUnavailable: 503,
    GatewayFault: 500,
    PromptIdTaken: 409,
    IdempotencyKeyReused: 422,
    OutsideArchive: 400,
    JobsDatabaseClosed: 503,
}
PROBLEM_TYPE = "application/problem+json"

Headers = list[tuple[bytes, bytes]]


def answer_of(error: GatewayError | JobsError) -> tuple[int, bytes, str, Headers]:
    """Status, body, content type and extra headers for an error. Errors missing from the table become 500."""
    status = STATUS.get(type(error), 500)
    if isinstance(error, PromptInvalid):
        return status, json.dumps(_comfy_error(error)).encode(), "application/json", []
    document = {"type": "about:blank", "title": type(error).__name__, "status": status, "detail": str(error)}
    if isinstance(error, PromptLost):
        document["reason"] = error.reason
    if isinstance(error, PromptUnknown | JobsQueryRefused):
        document["error"] = str(error)  # where clients of /api/jobs look for the sentence
    return status, json.dumps(document).encode(), PROBLEM_TYPE, _headers(error)


def _comfy_error(error: PromptInvalid) -> Mapping[str, object]:
    """The shape in which ComfyUI's clients read a refused prompt."""
    text = {"type": error.kind, "message": error.message, "details": error.details, "extra_info": {}}
    return {"error": text, "node_errors": {}}


def _headers(error: Exception) -> Headers:
    if isinstance(error, TokenRefused):
        return [(b"www-authenticate", f'Bearer realm="{error.service}"'.encode("latin-1", "replace"))]
    if isinstance(error, NoInstance):
        return [(b"retry-after", str(error.retry_after_seconds).encode())]
    if isinstance(error, PromptUndecided | JobsDatabaseClosed | JobsUnavailable):
        return [(b"retry-after", b"1")]
    if isinstance(error, BodyTooLarge):
        return [(b"connection", b"close")]  # the rest of the body is not read
    return []
