"""The REST API as callers meet it: a real server process, real HTTP."""

from __future__ import annotations

import base64
import http.client
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from workstation.home import open_home
from workstation.project import create_project

pytestmark = pytest.mark.slow

START_LIMIT_SECONDS = 60
UI_FORMAT = {"nodes": [{"id": 1, "type": "SaveImage"}], "links": [], "version": 0.4}


@dataclass
class Answer:
    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass
class Door:
    """A running `python -m web.server`."""

    url: str
    password: str
    home: Path

    def ask(self, method: str, path: str, body: object = None, **headers: str) -> Answer:
        """One exchange, signed in as admin unless `Authorization` is given (an empty one means nobody)."""
        secret = base64.b64encode(f"admin:{self.password}".encode()).decode()
        sent = {"Authorization": f"Basic {secret}", "Content-Type": "application/json", **headers}
        data = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
        connection = http.client.HTTPConnection(urlsplit(self.url).netloc, timeout=60)
        try:
            connection.request(method, path, data, {name: value for name, value in sent.items() if value})
            answer = connection.getresponse()
            return Answer(answer.status, dict(answer.headers), answer.read())
        finally:
            connection.close()


@pytest.fixture(scope="module")
def door(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Door]:
    home = tmp_path_factory.mktemp("api") / "home"
    create_project(open_home(home), "studio")
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    reader, writer = os.pipe()
    command = [sys.executable, "-m", "web.server", "--home", str(home), "--port", str(port)]
    environment = {**os.environ, "STILLFRAME_WRONG_PASSWORDS": "5"}
    process = subprocess.Popen([*command, "--announce-fd", str(writer)], pass_fds=(writer,), env=environment)
    os.close(writer)
    try:
        with os.fdopen(reader) as pipe:
            said = json.loads(pipe.readline())
        yield Door(f"http://127.0.0.1:{port}", said["admin_password"], home)
    finally:
        process.send_signal(signal.SIGTERM)
        assert process.wait(START_LIMIT_SECONDS) in (0, -signal.SIGTERM)


def is_problem(answer: Answer, status: int, name: str) -> Any:
    """Asserts a problem document of this status and type; returns it."""
    assert answer.status == status, answer.body
    assert answer.headers["content-type"].startswith("application/problem+json")
    assert answer.json["type"] == f"urn:stillframe:problem:{name}"
    assert answer.json["status"] == status
    return answer.json


def first_event(door: Door, path: str) -> tuple[str, Any]:
    """The first server-sent event at `path`, read from the live stream."""
    secret = base64.b64encode(f"admin:{door.password}".encode()).decode()
    connection = http.client.HTTPConnection(urlsplit(door.url).netloc, timeout=30)
    try:
        connection.request("GET", path, headers={"Authorization": f"Basic {secret}"})
        answer = connection.getresponse()
        assert answer.headers["content-type"].startswith("text/event-stream")
        fields = dict(line.decode().rstrip("\n").split(": ", 1) for line in iter(answer.readline, b"\n"))
        return fields["event"], json.loads(fields["data"])
    finally:
        connection.close()


def test_the_health_of_the_door_and_its_sign_in_page_need_no_sign_in(door: Door) -> None:
    assert door.ask("GET", "/healthz", Authorization="").json["status"] == "ok"
    page = door.ask("GET", "/signin", Authorization="")
    assert page.status == 200 and b'type="password"' in page.body


def test_who_goes_to_a_page_without_a_session_is_led_to_the_sign_in_and_back(door: Door) -> None:
    answer = door.ask("GET", "/projects/studio?tab=log", Authorization="", Accept="text/html")
    assert (answer.status, answer.headers["location"]) == (303, "/signin?next=/projects/studio%3Ftab%3Dlog")


@pytest.mark.parametrize("path", ["/api/v1/projects", "/docs", "/openapi.json", "/nothing/here"])
def test_everything_else_is_behind_the_sign_in(door: Door, path: str) -> None:
    answer = door.ask("GET", path, Authorization="")
    is_problem(answer, 401, "credentials-wrong")
    assert answer.headers["www-authenticate"].startswith("Basic")


def test_the_description_has_examples_and_says_how_errors_look(door: Door) -> None:
    described = door.ask("GET", "/openapi.json").json
    deploy = described["paths"]["/api/v1/projects/{project}/deployments"]["post"]
    assert {"202", "401", "409", "422"} <= deploy["responses"].keys()
    assert "examples" in described["components"]["schemas"]["DeploymentWanted"]


def test_projects_are_made_listed_and_refused_by_name(door: Door) -> None:
    made = door.ask("POST", "/api/v1/projects", {"name": "second"})
    assert (made.status, made.json["name"], made.json["engine"]["kind"]) == (201, "second", "builtin")
    assert [one["name"] for one in door.ask("GET", "/api/v1/projects").json] == ["second", "studio"]
    assert is_problem(door.ask("POST", "/api/v1/projects", {"name": "second"}), 409, "project-exists")
    assert is_problem(door.ask("POST", "/api/v1/projects", {"name": "../out"}), 422, "bad-name")
    assert door.ask("DELETE", "/api/v1/projects/second").status == 204
    found = is_problem(door.ask("GET", "/api/v1/projects/second"), 404, "project-not-found")
    assert found["existing"] == ["studio"]


def test_a_field_that_nobody_knows_is_refused_by_name(door: Door) -> None:
    answer = door.ask("POST", "/api/v1/projects", {"name": "x", "colour": "red"})
    assert "colour" in is_problem(answer, 422, "request-refused")["detail"]
    is_problem(door.ask("POST", "/api/v1/projects", b"{not json"), 422, "request-refused")


def test_a_deployment_has_its_place_and_a_second_one_names_the_first(door: Door) -> None:
    first = door.ask("POST", "/api/v1/projects/studio/deployments", {"note": "one"})
    assert first.status == 202, first.body
    assert first.headers["location"] == f"/api/v1/projects/studio/deployments/{first.json['number']}"
    second = door.ask("POST", "/api/v1/projects/studio/deployments", {"note": "two"})
    problem = is_problem(second, 409, "deployment-in-progress")
    assert (problem["number"], problem["by"], problem["state"]) == (first.json["number"], "admin", "queued")
    place = first.headers["location"]
    assert first_event(door, f"{place}/events") == ("state", {"state": "queued"})
    assert door.ask("POST", f"{place}/cancel").status == 202
    record = door.ask("GET", place).json
    assert (record["deployment"]["note"], record["deployment"]["source"]) == ("one", "API")


def test_a_smoke_workflow_in_ui_format_is_refused_before_anything_is_queued(door: Door) -> None:
    wanted = {"smoke_workflow": UI_FORMAT}
    answer = door.ask("POST", "/api/v1/projects/studio/deployments", wanted)
    assert "API" in is_problem(answer, 422, "ui-format-workflow")["detail"]


def test_a_service_that_does_not_exist_is_not_found(door: Door) -> None:
    is_problem(door.ask("GET", "/api/v1/services/nobody"), 404, "service-not-found")
    is_problem(door.ask("GET", "/api/v1/services/nobody/tokens"), 404, "service-not-found")


def test_an_api_key_signs_in_and_is_shown_once(door: Door) -> None:
    made = door.ask("POST", "/api/v1/keys", {"name": "pipeline"}).json
    with_key = door.ask("GET", "/api/v1/projects", Authorization=f"Bearer {made['key']}")
    assert with_key.status == 200
    stored = (door.home / "control.db").read_bytes() + (door.home / "control.db-wal").read_bytes()
    assert made["key"].encode() not in stored and door.password.encode() not in stored


def test_a_foreign_host_or_origin_is_turned_away(door: Door) -> None:
    is_problem(door.ask("GET", "/healthz", Host="evil.example"), 403, "origin-refused")
    evil = {"Origin": "http://evil.example"}
    is_problem(door.ask("POST", "/api/v1/projects", {"name": "x"}, **evil), 403, "origin-refused")
    own = {"Origin": door.url}
    assert door.ask("GET", "/api/v1/projects", **own).status == 200


def test_a_body_over_the_limit_is_refused_unread(door: Door) -> None:
    answer = door.ask("POST", "/api/v1/projects", None, **{"Content-Length": str(2**30)})
    is_problem(answer, 413, "body-too-large")


def test_wrong_passwords_are_slowed_down(door: Door) -> None:
    wrong = base64.b64encode(b"admin:guess").decode()
    answers = [door.ask("GET", "/api/v1/projects", Authorization=f"Basic {wrong}") for _ in range(8)]
    assert answers[0].status == 401
    problem = is_problem(answers[-1], 429, "too-many-attempts")
    assert int(answers[-1].headers["retry-after"]) <= 60 and "again" in problem["detail"]
