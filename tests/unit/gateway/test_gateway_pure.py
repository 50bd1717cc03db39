"""The parts of the gateway that need no socket."""

from __future__ import annotations

import hashlib
import json
import uuid

import pytest

from online_runtime.gateway import errors
from online_runtime.gateway.entries import end_of
from online_runtime.gateway.errors import GatewayError, PromptInvalid, TokenRefused
from online_runtime.gateway.files import Span, span_of
from online_runtime.gateway.load import Load
from online_runtime.gateway.outputs import inside, named_files, outside
from online_runtime.gateway.problems import STATUS
from online_runtime.gateway.prompt_body import read_prompt
from online_runtime.gateway.routing import RouteInstance, RouteToken, ServiceRoute
from online_runtime.gateway.tokens import check, token_of, without_token
from online_runtime.jobs.job import ArchivedFile, JobState

PROMPT = str(uuid.uuid4())


def test_every_error_has_a_status() -> None:
    silent = {"GatewayError", "CallerGone", "BadSetting"}  # never answered to a caller
    for name, kind in vars(errors).items():
        if isinstance(kind, type) and issubclass(kind, GatewayError) and name not in silent:
            assert kind in STATUS, name


def test_files_go_out_under_their_prompt_and_come_back_in() -> None:
    outputs = {
        "1": {"images": [{"filename": "a.png", "subfolder": "", "type": "output"}], "animated": [False]},
        "2": {"gifs": [{"filename": "b.webp", "subfolder": "x/y", "type": "temp", "frame_rate": 8}]},
        "3": {"images": [{"filename": "c.png", "subfolder": "", "type": "input"}], "text": ["hello"]},
    }
    seen = outside(outputs, PROMPT)
    assert seen["1"]["images"][0]["subfolder"] == PROMPT
    assert seen["2"]["gifs"][0]["subfolder"] == f"{PROMPT}/x/y"
    assert seen["3"] == outputs["3"]
    assert outputs["1"]["images"][0]["subfolder"] == ""
    assert set(named_files(outputs)) == {
        ArchivedFile("output", "", "a.png"),
        ArchivedFile("temp", "x/y", "b.webp"),
    }
    assert inside(f"{PROMPT}/x/y") == (PROMPT, "x/y")
    assert inside("x/y") == (None, "x/y")


@pytest.mark.parametrize(
    ("messages", "status", "state"),
    [
        ([["execution_start", {}], ["execution_success", {}]], "success", JobState.DONE),
        ([["execution_interrupted", {"node_id": "3"}]], "error", JobState.INTERRUPTED),
        ([["execution_error", {"exception_type": "E", "exception_message": "m"}]], "error", JobState.FAILED),
        ([], "error", JobState.FAILED),
    ],
)
def test_how_a_prompt_ended_is_told_from_its_messages(messages: list, status: str, state: JobState) -> None:
    assert end_of({"status": {"status_str": status, "messages": messages}})[0] is state


@pytest.mark.parametrize("space", ["", " ", "\n\t "])
def test_a_prompt_gets_an_id_without_other_changes(space: str) -> None:
    document = {"prompt": {"1": {"inputs": {"text": 'a "quoted" é'}}}, "client_id": "me"}
    body = (space + json.dumps(document, ensure_ascii=False)).encode()
    prompt = read_prompt(body)
    assert json.loads(prompt.forwarded) == {**document, "prompt_id": prompt.prompt_id}
    assert (prompt.client_id, prompt.sha256) == ("me", hashlib.sha256(body).hexdigest())
    null = read_prompt(json.dumps({**document, "prompt_id": None}).encode())
    assert json.loads(null.forwarded)["prompt_id"] == null.prompt_id


def test_a_workflow_in_ui_format_is_told_how_to_be_exported() -> None:
    with pytest.raises(PromptInvalid, match="Export"):
        read_prompt(b'{"prompt": {"nodes": [], "links": [], "version": 0.4}}')


def test_tokens_come_raw_as_bearer_and_for_websockets_in_the_query() -> None:
    assert token_of("abc", "", in_query=False) == "abc"
    assert token_of("Bearer abc", "", in_query=False) == "abc"
    assert token_of(None, "clientId=1&token=abc", in_query=True) == "abc"
    assert token_of(None, "token=abc", in_query=False) is None
    assert without_token("a=1&token=abc&b=2") == "a=1&b=2"
    assert without_token("token=abc") == ""
    route = ServiceRoute("s", tokens=(RouteToken("t", hashlib.sha256(b"abc").hexdigest()),))
    check(route, "abc")
    for wrong in ("abd", "", None):
        with pytest.raises(TokenRefused) as refused:
            check(route, wrong)
        assert wrong is None or not wrong or wrong not in str(refused.value)


def test_the_least_busy_accepting_instance_is_chosen() -> None:
    instances = tuple(RouteInstance(name, "http://x", "s", 1, accepts=name != "c") for name in "abc")
    route, load = ServiceRoute("s", instances), Load()
    load.job_accepted("a")
    assert load.choose(route) == instances[1]
    with load.visit("b"), load.visit("b"):
        assert load.choose(route) == instances[0]
        assert load.in_flight == {"b": 2}
    assert load.in_flight == {}
    assert load.choose(route, set(instances[:2])) is None


@pytest.mark.parametrize(
    ("asked", "span"),
    [
        (None, Span(0, 10)),
        ("bytes=0-", Span(0, 10)),
        ("bytes=3-5", Span(3, 6)),
        ("bytes=-4", Span(6, 10)),
        ("bytes=-99", Span(0, 10)),
        ("bytes=5-99", Span(5, 10)),
        ("bytes=10-", None),
        ("bytes=5-3", None),
        ("bytes=-0", None),
        ("bytes=0-1,3-4", Span(0, 10)),
        ("lines=1-2", Span(0, 10)),
    ],
)
def test_ranges_are_read_as_rfc_9110_says(asked: str | None, span: Span | None) -> None:
    assert span_of(asked, 10) == span
