"""Errors as problem documents."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from publisher.errors import DeploymentInProgress
from web.errors import TooManyAttempts
from web.plain import plain
from web.problem import headers_of, problem_of
from web.verdicts import verdict_of


def test_a_problem_carries_the_fields_of_its_error() -> None:
    since = datetime(2026, 1, 2, tzinfo=UTC)
    problem = problem_of(DeploymentInProgress("portraits", 41, "ana", since, "rotating"))
    assert (problem.status, problem.exit_code) == (409, 5)
    document = problem.as_json()
    assert document["type"] == "urn:stillframe:problem:deployment-in-progress"
    assert (document["number"], document["by"], document["state"]) == (41, "ana", "rotating")
    assert "41" in document["detail"]


def test_a_field_that_holds_a_secret_is_never_repeated() -> None:
    class Leaky(DeploymentInProgress):
        def __init__(self) -> None:
            super().__init__("portraits", 1, "ana", datetime(2026, 1, 2, tzinfo=UTC), "queued")
            self.token, self.admin_password, self.client_secret = "a", "b", "c"

    assert not {"token", "admin_password", "client_secret"} & problem_of(Leaky()).as_json().keys()


def test_an_error_that_no_table_knows_is_called_a_bug() -> None:
    problem = problem_of(ZeroDivisionError("x"))
    assert (problem.status, problem.exit_code) == (500, 1)
    assert "bug" in problem.detail and "ZeroDivisionError" in problem.detail


def test_a_caller_is_told_when_to_try_again() -> None:
    error = TooManyAttempts(12.4)
    assert headers_of(error, verdict_of(type(error))) == {"Retry-After": "12"}


def test_what_a_dataclass_hides_from_its_repr_is_hidden_from_json() -> None:
    from dataclasses import dataclass, field

    @dataclass(frozen=True)
    class Instance:
        id: str
        folder: Path
        token: str = field(repr=False, default="hidden")

    assert plain(Instance("i1", Path("/a"))) == {"id": "i1", "folder": "/a"}
