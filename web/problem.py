"""One error as people and programs see it: problem details (RFC 9457) with the error's own fields."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

from web.errors import DoorRefused
from web.plain import plain
from web.verdicts import BUG, Verdict, verdict_of

# Never repeated to a caller, whatever an error carries.
SECRET = re.compile(r"token|password|secret", re.IGNORECASE)
RESERVED = frozenset({"type", "title", "status", "detail", "args"})


@dataclass(frozen=True)
class Problem:
    """What happened, for one reader. `exit_code` is for the CLI, `status` for HTTP."""

    type: str
    title: str
    status: int
    detail: str
    exit_code: int
    fields: dict[str, Any] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        """The document `application/problem+json`; the error's fields stand beside the standard members."""
        return {
            "type": self.type,
            "title": self.title,
            "status": self.status,
            "detail": self.detail,
            "exit_code": self.exit_code,
            **self.fields,
        }


def problem_of(error: BaseException) -> Problem:
    """The problem that `error` is. An error that no table knows is a bug.

    500 and exit code 1, its text kept for the log. What the web door refused a command stays as it said it.
    """
    if isinstance(error, DoorRefused):
        return _said_by_the_door(error)
    verdict = verdict_of(type(error))
    name = type(error).__name__
    if verdict is None:
        return Problem("urn:stillframe:problem:bug", "Unexpected error", 500, _unexpected(error), 1)
    return Problem(
        type=f"urn:stillframe:problem:{_hyphened(name)}",
        title=_hyphened(name).replace("-", " ").capitalize(),
        status=verdict.status,
        detail=str(error),
        exit_code=verdict.exit_code,
        fields=_fields(error),
    )


def headers_of(error: BaseException, verdict: Verdict | None) -> dict[str, str]:
    """The HTTP headers that belong to an error: when to try again, how to sign in."""
    headers: dict[str, str] = {}
    retry = getattr(error, "retry_after_seconds", None)
    if isinstance(retry, int | float):
        headers["Retry-After"] = str(max(1, round(retry)))
    if verdict is not None and verdict.status == 401:
        headers["WWW-Authenticate"] = 'Basic realm="stillframe", charset="UTF-8"'
    return headers


def _said_by_the_door(error: DoorRefused) -> Problem:
    said = dict(error.problem)
    told = {name: said.pop(name, None) for name in ("type", "title", "status", "detail", "exit_code")}
    code = told["exit_code"]
    return Problem(
        type=str(told["type"] or "about:blank"),
        title=str(told["title"] or "Refused"),
        status=error.status,
        detail=str(error),
        exit_code=code if isinstance(code, int) else BUG,
        fields=said,
    )


def _fields(error: BaseException) -> dict[str, Any]:
    return {
        name: plain(value)
        for name, value in vars(error).items()
        if not name.startswith("_") and name not in RESERVED and not SECRET.search(name)
    }


def _hyphened(name: str) -> str:
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "-", name).lower()


def _unexpected(error: BaseException) -> str:
    return (
        f"Stillframe met an error it has no sentence for ({type(error).__name__}: {error}). "
        "This is a bug: run the command again with --debug, or see the log, and report what it prints."
    )
