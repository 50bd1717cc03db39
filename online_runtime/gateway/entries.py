"""History entries: how a prompt ended, told from ComfyUI's messages; and entries for prompts that never
got one. Pure.
"""

from __future__ import annotations

from typing import Any

from online_runtime.jobs.job import Job, JobState


def end_of(entry: dict[str, Any]) -> tuple[JobState, str | None]:
    """The state a finished prompt's entry stands for, and the reason when it is not done.

    ComfyUI gives an interrupted prompt the status `error`; only its last message tells the two apart.
    """
    status = entry.get("status") or {}
    messages = status.get("messages") or []
    for name, data in reversed(messages):
        if name == "execution_interrupted":
            return JobState.INTERRUPTED, f"Interrupted at node {data.get('node_id')}."
        if name == "execution_error":
            return JobState.FAILED, f"{data.get('exception_type')}: {data.get('exception_message')}"
    if status.get("status_str", "success") == "success":
        return JobState.DONE, None
    return JobState.FAILED, "The engine reported an error without a message."


def entry_without_run(job: Job) -> dict[str, Any]:
    """What callers find in history for a job that ended before an engine could run it."""
    event = "execution_interrupted" if job.state is JobState.INTERRUPTED else "execution_error"
    ended_at = job.finished_at or job.accepted_at
    data = {
        "prompt_id": job.prompt_id,
        "exception_message": job.reason or "",
        "timestamp": int(ended_at.timestamp() * 1000),
    }
    return {
        "prompt": [0, job.prompt_id, {}, {}, []],
        "outputs": {},
        "status": {"status_str": "error", "completed": False, "messages": [[event, data]]},
        "meta": {},
    }
