"""Queue, history and jobs without a process."""

from __future__ import annotations

import pytest

from online_runtime.engine.errors import BadRequest
from online_runtime.engine.execution import Outcome
from online_runtime.engine.history import Entry, History
from online_runtime.engine.interruption import Interruption
from online_runtime.engine.jobs import JobQuery, select
from online_runtime.engine.prompt_queue import FreeRequest, PromptQueue, QueueItem


def item(name: str, number: float = 0, **extra) -> QueueItem:
    return QueueItem(number, name, {}, {"create_time": 1, **extra}, ["1"], {"api_key_comfy_org": "k"})


def entry(name: str, messages=(), success=True, outputs=None, **extra) -> Entry:
    return Entry(item(name, **extra), Outcome(success, outputs or {}, {}, list(messages)))


def test_smaller_numbers_run_first_and_equal_ones_in_order_of_arrival():
    queue = PromptQueue(on_change=lambda: None)
    for name, number in (("b", 1), ("c", 1), ("a", -1), ("d", 1.5)):
        queue.put(item(name, number))
    assert [waiting.prompt_id for waiting in queue.pending()] == ["a", "b", "c", "d"]
    taken = []
    while (found := queue.take(0)) is not None:
        taken.append(found.prompt_id)
        queue.done()
    assert taken == ["a", "b", "c", "d"]


def test_each_put_take_and_done_is_told():
    told = []
    queue = PromptQueue(on_change=lambda: told.append(queue.remaining()))
    queue.put(item("a"))
    queue.take(0)
    queue.done()
    assert told == [1, 1, 0]


def test_a_wish_to_free_is_served_before_the_next_prompt_and_once():
    queue = PromptQueue(on_change=lambda: None)
    queue.put(item("a"))
    queue.request_free(FreeRequest(unload_models=True))
    assert queue.take(0) is None
    assert queue.take_free_request() == FreeRequest(unload_models=True)
    assert queue.take(0) is not None
    assert not queue.take_free_request()


def test_an_interrupt_right_after_a_prompt_was_taken_is_not_lost():
    queue, interruption = PromptQueue(on_change=lambda: None), Interruption()
    queue.put(item("a"))
    queue.take(0, interruption.begin)
    assert interruption.request("a")
    interruption.begin("a")  # the executor, a moment later
    assert interruption.wanted


def test_what_the_queue_shows_has_no_secrets():
    assert "k" not in str(item("a").as_json())
    assert "api_key" not in repr(item("a"))


def test_history_gives_the_newest_or_from_an_offset_and_forgets_the_oldest():
    history = History(max_entries=4)
    for name in "abcde":
        history.add(entry(name))

    def names(*query):
        return [found.item.prompt_id for found in history.list(*query)]

    assert names() == ["b", "c", "d", "e"]
    assert names(2) == ["d", "e"]
    assert names(2, 1) == ["c", "d"]
    assert names(0) == []


@pytest.mark.parametrize(
    ("messages", "success", "status"),
    [
        ([("execution_success", {"timestamp": 5})], True, "completed"),
        ([("execution_error", {"timestamp": 5})], False, "failed"),
        ([("execution_interrupted", {"timestamp": 5})], False, "cancelled"),
    ],
)
def test_a_jobs_status_follows_its_last_message(messages, success, status):
    ended = entry("a", [("execution_start", {"timestamp": 2}), *messages], success)
    (job,) = select(JobQuery(), [], [], [ended])["jobs"]
    assert (job["status"], job["execution_start_time"], job["execution_end_time"]) == (status, 2, 5)


def test_jobs_are_filtered_sorted_paged_and_the_limit_is_always_a_number():
    ended = [entry(f"e{n}", create_time=n) for n in (3, 1, 2)]
    waiting = [item("p", create_time=9, extra_pnginfo={"workflow": {"id": "w"}})]
    everything = select(JobQuery.parse({}), [], waiting, ended)
    assert [job["id"] for job in everything["jobs"]] == ["p", "e3", "e2", "e1"]
    assert everything["pagination"] == {"offset": 0, "limit": 4, "total": 4, "has_more": False}
    page = select(JobQuery.parse({"status": "completed", "limit": "1", "offset": "1"}), [], waiting, ended)
    assert [job["id"] for job in page["jobs"]] == ["e2"]
    assert page["pagination"]["has_more"]
    assert select(JobQuery.parse({"workflow_id": "w"}), [], waiting, ended)["pagination"]["total"] == 1


@pytest.mark.parametrize("query", [{"limit": "0"}, {"limit": "x"}, {"offset": "-1"}, {"sort_by": "name"}])
def test_a_bad_query_is_refused(query):
    with pytest.raises(BadRequest):
        JobQuery.parse(query)


def test_saved_pictures_are_shown_before_temporary_ones():
    images = [{"filename": "a.png", "type": "output"}, {"filename": "b.png", "type": "temp"}]
    ended = entry("a", outputs={"4": {"images": images, "text": ["x"]}})
    (job,) = select(JobQuery(), [], [], [ended])["jobs"]
    assert (job["preview_output"]["filename"], job["outputs_count"], job["previewable_outputs_count"]) == (
        "a.png",
        3,
        2,
    )
