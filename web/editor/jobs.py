"""The newer jobs API, made from the queue and the history of an engine that does not have it. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from online_runtime.gateway.job_query import JobQuery
from online_runtime.gateway.job_summary import summary_of
from online_runtime.jobs.listing import SortKey

Job = dict[str, Any]
Item = Sequence[Any]  # [number, prompt id, prompt, extra data, output nodes]


def listing(query: JobQuery, queue: Mapping[str, Any], history: Mapping[str, Any], now_ms: int) -> Job:
    """The answer to `GET /api/jobs`. `now_ms` dates waiting prompts that nobody dated."""
    jobs = [
        job
        for job in _all(queue, history, now_ms)
        if job["status"] in query.statuses and query.workflow_id in (None, job.get("workflow_id"))
    ]
    key = _created if query.sort_by is SortKey.ACCEPTED_AT else _duration
    jobs.sort(key=key, reverse=query.descending)
    page = jobs[query.offset : query.offset + query.limit]
    pagination = {
        "offset": query.offset,
        "limit": query.limit,
        "total": len(jobs),
        "has_more": query.offset + len(page) < len(jobs),
    }
    return {"jobs": page, "pagination": pagination}


def one(job_id: str, queue: Mapping[str, Any], history: Mapping[str, Any], now_ms: int) -> Job | None:
    """The answer to `GET /api/jobs/ID`; None for an id that neither has."""
    for job, item, entry in _found(queue, history, now_ms):
        if job["id"] == job_id:
            return {
                **job,
                "outputs": entry.get("outputs", {}),
                "execution_status": entry.get("status"),
                "workflow": {"prompt": item[2], "extra_data": item[3]},
            }
    return None


def is_running(job_id: str, queue: Mapping[str, Any]) -> bool:
    return any(item[1] == job_id for item in queue.get("queue_running", ()))


def is_waiting(job_id: str, queue: Mapping[str, Any]) -> bool:
    return any(item[1] == job_id for item in queue.get("queue_pending", ()))


def _all(queue: Mapping[str, Any], history: Mapping[str, Any], now_ms: int) -> Iterator[Job]:
    return (job for job, _, _ in _found(queue, history, now_ms))


def _found(
    queue: Mapping[str, Any], history: Mapping[str, Any], now_ms: int
) -> Iterator[tuple[Job, Item, Mapping[str, Any]]]:
    for name, status in (("queue_running", "in_progress"), ("queue_pending", "pending")):
        for item in queue.get(name, ()):
            yield _job(item, status, {}, now_ms), item, {}
    for entry in history.values():
        item = entry["prompt"]
        yield _job(item, _ended(entry), summary_of(entry).facts, now_ms), item, entry


def _job(item: Item, status: str, facts: Mapping[str, Any], now_ms: int) -> Job:
    extra = item[3] if isinstance(item[3], Mapping) else {}
    job = {
        "id": item[1],
        "status": status,
        "priority": item[0],
        "create_time": extra.get("create_time") or facts.get("execution_start_time") or now_ms,
        "workflow_id": _workflow_id(extra),
        "outputs_count": 0,
        "previewable_outputs_count": 0,
        **facts,
    }
    return {name: value for name, value in job.items() if value is not None}


def _workflow_id(extra: Mapping[str, Any]) -> str | None:
    saved = extra.get("extra_pnginfo")
    workflow = saved.get("workflow") if isinstance(saved, Mapping) else None
    return workflow.get("id") if isinstance(workflow, Mapping) else None


def _ended(entry: Mapping[str, Any]) -> str:
    status = entry.get("status") or {}
    if status.get("status_str") == "success":
        return "completed"
    events = {message[0] for message in status.get("messages") or ()}
    return "cancelled" if "execution_interrupted" in events else "failed"


def _created(job: Job) -> float:
    return float(job["create_time"])


def _duration(job: Job) -> float:
    return float(job.get("execution_end_time", 0) - job.get("execution_start_time", 0))
