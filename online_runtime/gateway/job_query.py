"""The query of GET /api/jobs: which jobs, in which order, which page. Pure."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from online_runtime.gateway.errors import JobsQueryRefused
from online_runtime.jobs.job import JobState
from online_runtime.jobs.listing import JobFilter, SortKey

LIST_LIMIT = 200
PENDING, IN_PROGRESS = "pending", "in_progress"
ENDED: Mapping[JobState, str] = {
    JobState.DONE: "completed",
    JobState.FAILED: "failed",
    JobState.LOST: "failed",
    JobState.INTERRUPTED: "cancelled",
}
STATUSES = (PENDING, IN_PROGRESS, *dict.fromkeys(ENDED.values()))
SORT_KEYS = {"created_at": SortKey.ACCEPTED_AT, "execution_duration": SortKey.EXECUTION_SECONDS}


@dataclass(frozen=True)
class JobQuery:
    """`statuses` are ComfyUI's words; all of them when the caller named none."""

    statuses: tuple[str, ...]
    workflow_id: str | None
    sort_by: SortKey
    descending: bool
    limit: int
    offset: int

    @property
    def needs_engines(self) -> bool:
        """Whether unfinished jobs are wanted: only engines know which of those execute."""
        return PENDING in self.statuses or IN_PROGRESS in self.statuses

    def filter(self, executing_ids: Collection[str]) -> JobFilter:
        ends = [state for state, status in ENDED.items() if status in self.statuses]
        waiting, executing = PENDING in self.statuses, IN_PROGRESS in self.statuses
        return JobFilter(ends, waiting, executing, executing_ids, self.workflow_id)


def read_query(given: Mapping[str, str]) -> JobQuery:
    """Raises JobsQueryRefused. A limit over 200 is lowered to it: the answer says which one it had."""
    statuses = tuple(word.strip().lower() for word in given.get("status", "").split(",") if word.strip())
    for status in statuses:
        _one_of("status", status, STATUSES)
    sort_by = _one_of("sort_by", given.get("sort_by", "created_at"), tuple(SORT_KEYS))
    order = _one_of("sort_order", given.get("sort_order", "desc").lower(), ("asc", "desc"))
    return JobQuery(
        statuses=statuses or STATUSES,
        workflow_id=given.get("workflow_id") or None,
        sort_by=SORT_KEYS[sort_by],
        descending=order == "desc",
        limit=min(_number("limit", given.get("limit", str(LIST_LIMIT)), least=1), LIST_LIMIT),
        offset=_number("offset", given.get("offset", "0"), least=0),
    )


def _one_of(name: str, value: str, allowed: tuple[str, ...]) -> str:
    if value not in allowed:
        raise JobsQueryRefused(name, value, f"one of {', '.join(allowed)}")
    return value


def _number(name: str, text: str, *, least: int) -> int:
    if not (text.isascii() and text.isdecimal() and len(text) < 16) or int(text) < least:
        raise JobsQueryRefused(name, text, f"a whole number of at least {least}")
    return int(text)
