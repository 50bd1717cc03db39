"""Prompts as jobs: ComfyUI's newer view of queue and history in one list."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from .errors import BadRequest
from .history import Entry
from .prompt_queue import QueueItem

STATUSES = ("pending", "in_progress", "completed", "failed", "cancelled")
_SORT_KEYS = ("created_at", "execution_duration")
_MEDIA = {"images": "images", "gifs": "video", "video": "video", "audio": "audio", "3d": "3d", "text": "text"}
_PREVIEWABLE = ("images", "video", "audio", "3d")
_VIDEO_SUFFIXES = (".mp4", ".webm", ".mov", ".mkv")

Job = dict[str, Any]


@dataclass(frozen=True)
class JobQuery:
    """Which jobs, in which order and how many. `limit` None means all."""

    statuses: tuple[str, ...] = STATUSES
    workflow_id: str | None = None
    sort_by: str = "created_at"
    descending: bool = True
    limit: int | None = None
    offset: int = 0

    @classmethod
    def parse(cls, query: Mapping[str, str]) -> JobQuery:
        """The query of a request. Raises BadRequest."""
        statuses = tuple(s.strip().lower() for s in query.get("status", "").split(",") if s.strip())
        for status in statuses:
            _one_of("status", status, STATUSES)
        sort_by = _one_of("sort_by", query.get("sort_by", "created_at"), _SORT_KEYS)
        order = _one_of("sort_order", query.get("sort_order", "desc"), ("asc", "desc"))
        limit = _whole_number("limit", query["limit"], 1) if "limit" in query else None
        offset = _whole_number("offset", query.get("offset", "0"), 0)
        return cls(statuses or STATUSES, query.get("workflow_id"), sort_by, order == "desc", limit, offset)


def select(query: JobQuery, running: list[QueueItem], pending: list[QueueItem], ended: list[Entry]) -> Job:
    """The answer to `GET /api/jobs`."""
    jobs = [
        job
        for job in _all(running, pending, ended)
        if job["status"] in query.statuses and query.workflow_id in (None, job.get("workflow_id"))
    ]
    jobs.sort(key=_created if query.sort_by == "created_at" else _duration, reverse=query.descending)
    end = None if query.limit is None else query.offset + query.limit
    page = jobs[query.offset : end]
    return {
        "jobs": page,
        "pagination": {
            "offset": query.offset,
            # The frontend's schema wants a number here even when nobody asked for a limit.
            "limit": len(jobs) if query.limit is None else query.limit,
            "total": len(jobs),
            "has_more": query.offset + len(page) < len(jobs),
        },
    }


def find(job_id: str, running: list[QueueItem], pending: list[QueueItem], entry: Entry | None) -> Job | None:
    """The answer to `GET /api/jobs/ID` with outputs and workflow; None for an unknown id."""
    for item, status in [(i, "in_progress") for i in running] + [(i, "pending") for i in pending]:
        if item.prompt_id == job_id:
            return _of_item(item, status) | _workflow(item)
    if entry is None:
        return None
    return (
        _of_entry(entry)
        | _workflow(entry.item)
        | {"outputs": entry.outcome.outputs, "execution_status": entry.as_json()["status"]}
    )


def _all(running: list[QueueItem], pending: list[QueueItem], ended: Iterable[Entry]) -> Iterator[Job]:
    yield from (_of_item(item, "in_progress") for item in running)
    yield from (_of_item(item, "pending") for item in pending)
    yield from (_of_entry(entry) for entry in ended)


def _of_item(item: QueueItem, status: str) -> Job:
    workflow = (item.extra_data.get("extra_pnginfo") or {}).get("workflow") or {}
    job = {
        "id": item.prompt_id,
        "status": status,
        "priority": item.number,
        "create_time": item.extra_data.get("create_time"),
        "workflow_id": workflow.get("id") if isinstance(workflow, Mapping) else None,
        "outputs_count": 0,
        "previewable_outputs_count": 0,
    }
    return _pruned(job)


def _of_entry(entry: Entry) -> Job:
    events = dict(entry.outcome.messages)
    shown = list(_outputs(entry.outcome.outputs))
    previewable = [output for output in shown if output["mediaType"] in _PREVIEWABLE]
    end = next((events[name] for name in _ENDINGS if name in events), {})
    job = _of_item(entry.item, _status(entry, events)) | {
        "execution_start_time": events.get("execution_start", {}).get("timestamp"),
        "execution_end_time": end.get("timestamp"),
        "execution_error": events.get("execution_error"),
        "outputs_count": len(shown),
        "previewable_outputs_count": len(previewable),
        "preview_output": _best(previewable),
    }
    return _pruned(job)


_ENDINGS = ("execution_success", "execution_error", "execution_interrupted")


def _status(entry: Entry, events: Mapping[str, Any]) -> str:
    if entry.outcome.success:
        return "completed"
    return "cancelled" if "execution_interrupted" in events else "failed"


def _outputs(outputs: Mapping[str, Mapping[str, Any]]) -> Iterator[Job]:
    """Each output file or text, with its node and kind."""
    for node_id, ui in outputs.items():
        for key, kind in _MEDIA.items():
            for item in ui.get(key, ()):
                if not isinstance(item, Mapping):
                    item = {"content": str(item)}
                video = str(item.get("filename", "")).lower().endswith(_VIDEO_SUFFIXES)
                yield {**item, "nodeId": node_id, "mediaType": "video" if video else kind}


def _best(previewable: list[Job]) -> Job | None:
    """Saved files before temporary ones; the last one is the most finished."""
    saved = [output for output in previewable if output.get("type") == "output"]
    ranked = saved or previewable
    return ranked[-1] if ranked else None


def _workflow(item: QueueItem) -> Job:
    return {"workflow": {"prompt": dict(item.prompt), "extra_data": dict(item.extra_data)}}


def _created(job: Job) -> float:
    return float(job.get("create_time", 0))


def _duration(job: Job) -> float:
    return float(job.get("execution_end_time", 0) - job.get("execution_start_time", 0))


def _pruned(job: Job) -> Job:
    return {key: value for key, value in job.items() if value is not None}


def _one_of(name: str, value: str, allowed: tuple[str, ...]) -> str:
    if value not in allowed:
        raise BadRequest(name, f"{value!r} is none of {', '.join(allowed)}.")
    return value


def _whole_number(name: str, text: str, least: int) -> int:
    if not text.isdecimal() or int(text) < least:
        raise BadRequest(name, f"{text!r} is not a whole number of at least {least}.")
    return int(text)
