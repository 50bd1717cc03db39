"""What a list takes from a history entry, and what it is asked for. Pure."""

from __future__ import annotations

import json

import pytest

from online_runtime.gateway.errors import JobsQueryRefused
from online_runtime.gateway.job_query import read_query
from online_runtime.gateway.job_summary import summary_of
from online_runtime.gateway.prompt_body import read_prompt

ENTRY = {
    "outputs": {
        "3": {
            "images": [{"filename": "a.png", "subfolder": "", "type": "output"}],
            "text": ["words"],
        },
        "9": {
            "gifs": [{"filename": "b.webp", "subfolder": "", "type": "temp"}],
            "images": [{"filename": "c.mp4", "subfolder": "", "type": "temp"}],
            "animated": [True],
        },
    },
    "status": {
        "status_str": "success",
        "messages": [
            ["execution_start", {"timestamp": 1000}],
            ["execution_cached", {"nodes": []}],
            ["execution_success", {"timestamp": 3500}],
        ],
    },
}


def test_outputs_are_counted_and_the_last_saved_one_is_the_preview() -> None:
    summary = summary_of(ENTRY)
    assert summary.execution_seconds == 2.5
    facts = summary.facts
    assert (facts["outputs_count"], facts["previewable_outputs_count"]) == (4, 3)
    assert facts["preview_output"]["filename"] == "a.png"
    assert (facts["execution_start_time"], facts["execution_end_time"]) == (1000, 3500)


def test_an_error_is_told_without_what_names_the_instances_files() -> None:
    data = {"exception_message": "m", "exception_type": "E", "traceback": ["/a/path"], "current_inputs": {}}
    summary = summary_of({"status": {"messages": [["execution_error", data]]}})
    assert summary.facts["execution_error"] == {"exception_message": "m", "exception_type": "E"}
    assert summary.execution_seconds is None


@pytest.mark.parametrize("entry", [{}, {"outputs": None}, {"outputs": {"1": None, "2": {"images": None}}}])
def test_strange_entries_have_a_summary_too(entry: dict) -> None:
    assert summary_of(entry).facts == {"outputs_count": 0, "previewable_outputs_count": 0}


def test_a_limit_beyond_one_page_is_lowered_and_statuses_are_a_list() -> None:
    query = read_query({"limit": "100000", "status": "Completed, failed"})
    assert (query.limit, query.statuses) == (200, ("completed", "failed"))
    assert not query.needs_engines
    with pytest.raises(JobsQueryRefused, match="sort_by"):
        read_query({"sort_by": "x"})


def test_the_workflows_id_is_found_where_the_frontend_puts_it() -> None:
    body = {"prompt": {}, "extra_data": {"extra_pnginfo": {"workflow": {"id": "wf"}}}}
    assert read_prompt(json.dumps(body).encode()).workflow_id == "wf"
    for strange in ({"prompt": {}}, {"prompt": {}, "extra_data": []}, {"prompt": {}, "extra_data": None}):
        assert read_prompt(json.dumps(strange).encode()).workflow_id is None
