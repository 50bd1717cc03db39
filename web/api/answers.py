"""Errors as HTTP answers: application/problem+json, with the status of the table in web/errors.py."""

from __future__ import annotations

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, Response

from web.errors import RequestRefused
from web.problem import headers_of, problem_of
from web.verdicts import verdict_of

PROBLEM = "application/problem+json"


def problem_response(error: BaseException) -> Response:
    """The answer that `error` is."""
    problem = problem_of(error)
    headers = headers_of(error, verdict_of(type(error)))
    return JSONResponse(problem.as_json(), problem.status, headers=headers, media_type=PROBLEM)


def answer_errors(app: FastAPI) -> None:
    """Every error of ours, of a request's form and of the routes becomes a problem document."""
    for root in _roots():
        app.add_exception_handler(root, _ours)
    app.add_exception_handler(RequestValidationError, _form)
    app.add_exception_handler(HTTPException, _route)
    app.add_exception_handler(Exception, _ours)


def _roots() -> tuple[type[Exception], ...]:
    from online_runtime.instance.errors import InstanceError
    from online_runtime.jobs.errors import JobsError
    from publisher.errors import PublisherError
    from snapshotter.errors import SnapshotterError
    from web.errors import WebError
    from workstation.errors import WorkstationError

    return (WorkstationError, SnapshotterError, InstanceError, JobsError, PublisherError, WebError)


async def _ours(_request: Request, error: Exception) -> Response:
    return problem_response(error)


async def _form(_request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    problems = [
        f"{'.'.join(str(part) for part in one['loc'][1:]) or 'body'}: {one['msg']}" for one in error.errors()
    ]
    return problem_response(RequestRefused("The request does not say what is needed", problems))


async def _route(_request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    sentence = {
        404: "There is nothing at this address: /docs lists what is here.",
        405: "This address does not know that method.",
    }
    document = {
        "type": "about:blank",
        "title": str(error.detail),
        "status": error.status_code,
        "detail": sentence.get(error.status_code, str(error.detail)),
    }
    return JSONResponse(document, error.status_code, headers=error.headers, media_type=PROBLEM)
