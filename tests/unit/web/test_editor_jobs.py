"""The newer jobs API made of an older engine's queue and history; paths taken out of what it tells."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from online_runtime.gateway.job_query import read_query
from web.editor import jobs, place_of
from web.editor.policy import guarded, page_policy
from web.editor.scrubbing import PathScrubber

NOW_MS = 5000
SCRUBBER = PathScrubber.of(Path("/srv/home/projects/one/workstation"), Path("/srv/home/models"))


def item(number: int, name: str, **extra: Any) -> list[Any]:
    return [number, name, {"1": {"class_type": "X", "inputs": {}}}, extra, ["1"]]


def entry(number: int, name: str, status: str, *events: tuple[str, int]) -> dict[str, Any]:
    messages = [[event, {"timestamp": at, "prompt_id": name}] for event, at in events]
    state = {"status_str": status, "completed": status == "success", "messages": messages}
    files = {"1": {"images": [{"filename": "a.png", "subfolder": "", "type": "output"}]}}
    outputs = files if status == "success" else {}
    return {"prompt": item(number, name), "outputs": outputs, "status": state}


QUEUE = {
    "queue_running": [item(3, "runs", create_time=40)],
    "queue_pending": [item(4, "waits", extra_pnginfo={"workflow": {"id": "flow"}})],
}
HISTORY = {
    "done": entry(0, "done", "success", ("execution_start", 10), ("execution_success", 25)),
    "bad": entry(1, "bad", "error", ("execution_start", 20), ("execution_error", 21)),
    "cut": entry(2, "cut", "error", ("execution_start", 30), ("execution_interrupted", 39)),
}


def listed(**query: str) -> list[str]:
    found = jobs.listing(read_query(query), QUEUE, HISTORY, NOW_MS)
    return [job["id"] for job in found["jobs"]]


def test_every_job_is_listed_with_its_state_the_newest_first() -> None:
    found = jobs.listing(read_query({}), QUEUE, HISTORY, NOW_MS)
    assert [(job["id"], job["status"], job["create_time"]) for job in found["jobs"]] == [
        ("waits", "pending", NOW_MS),
        ("runs", "in_progress", 40),
        ("cut", "cancelled", 30),
        ("bad", "failed", 20),
        ("done", "completed", 10),
    ]
    assert found["pagination"] == {"offset": 0, "limit": 200, "total": 5, "has_more": False}


def test_jobs_are_chosen_ordered_and_paged_as_asked() -> None:
    assert listed(status="completed,failed") == ["bad", "done"]
    assert listed(workflow_id="flow") == ["waits"]
    assert listed(sort_by="execution_duration", status="completed,failed,cancelled") == ["done", "cut", "bad"]
    assert listed(sort_order="asc", limit="2", offset="1") == ["bad", "cut"]
    page = jobs.listing(read_query({"limit": "2"}), QUEUE, HISTORY, NOW_MS)["pagination"]
    assert page == {"offset": 0, "limit": 2, "total": 5, "has_more": True}


def test_one_job_has_its_outputs_and_its_workflow() -> None:
    job = jobs.one("done", QUEUE, HISTORY, NOW_MS)
    assert job is not None and job["outputs"] == HISTORY["done"]["outputs"]
    assert job["workflow"]["prompt"] == {"1": {"class_type": "X", "inputs": {}}}
    assert jobs.one("nobody", QUEUE, HISTORY, NOW_MS) is None


def test_errors_name_no_folder_of_this_machine_and_workflows_stay_as_typed() -> None:
    error = {
        "exception_message": "no /srv/home/projects/one/workstation/input/a.png, no /opt/secret/b.bin",
        "traceback": ['  File "/usr/lib/python3.11/json/decoder.py", line 1, in x\n'],
        "node_id": "1",
    }
    typed = {"path": "/data/typed/by/a/person.png"}
    told = SCRUBBER.told({"prompt": [0, "id", typed], "messages": [["execution_error", error]]})
    assert told["prompt"] == [0, "id", typed]
    said = told["messages"][0][1]
    assert said["exception_message"] == "no input/a.png, no b.bin"
    assert said["traceback"] == ['  File "decoder.py", line 1, in x\n']


def test_events_are_scrubbed_and_others_pass_untouched() -> None:
    event = {"type": "execution_error", "data": {"exception_message": "at /root/x/y.py", "traceback": []}}
    assert json.loads(SCRUBBER.event(json.dumps(event)))["data"]["exception_message"] == "at y.py"
    progress = '{"type": "progress", "data": {"node": "/root/x/y.py"}}'
    assert SCRUBBER.event(progress) is progress


def test_addresses_are_no_paths() -> None:
    said = SCRUBBER.body(b'{"m": "see http://127.0.0.1:8188/a/b/ and /root/x/y"}', all_texts=True)
    assert json.loads(said) == {"m": "see http://127.0.0.1:8188/a/b/ and y"}
    assert SCRUBBER.body(b"500 at /root/x/y.py", all_texts=False) == b"500 at y.py"


@pytest.mark.parametrize(
    ("path", "place"),
    [
        ("/projects/one/editor/api/queue", "/projects/one/editor/"),
        ("/projects/one/editor", None),
        ("/projects/one/two/editor/", None),
        ("/api/v1/projects/one/editor/", None),
    ],
)
def test_only_the_editors_own_prefix_is_its_place(path: str, place: str | None) -> None:
    assert place_of(path) == place


def test_an_engines_own_policy_and_cors_headers_never_pass() -> None:
    sent = [
        (b"Content-Security-Policy", b"default-src *"),
        (b"access-control-allow-origin", b"*"),
        (b"server", b"x"),
        (b"content-type", b"text/html"),
    ]
    policy = page_policy("host:1", "/projects/one/editor/", ["'sha256-x'"])
    headers = guarded(sent, policy)
    assert dict(headers)[b"content-security-policy"] == policy.encode()
    assert [name for name, _ in headers].count(b"content-security-policy") == 1
    assert {b"server", b"access-control-allow-origin", b"Content-Security-Policy"}.isdisjoint(dict(headers))
    assert "'unsafe-inline'" not in policy.split("style-src")[0]
