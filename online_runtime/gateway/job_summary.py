"""What a list shows of a finished job, taken from its history entry when that is archived. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

MEDIA = {"images": "images", "gifs": "video", "video": "video", "audio": "audio", "3d": "3d", "text": "text"}
PREVIEWED = frozenset({"images", "video", "audio", "3d"})
FILM_SUFFIXES = (".mp4", ".webm", ".mov", ".mkv")
ENDINGS = ("execution_success", "execution_error", "execution_interrupted")
ERROR_FACTS = ("exception_type", "exception_message", "node_id", "node_type", "timestamp")


@dataclass(frozen=True)
class JobSummary:
    """`facts` are fields of a job of /api/jobs; `execution_seconds` is None when it never executed."""

    facts: Mapping[str, Any]
    execution_seconds: float | None


def summary_of(entry: Mapping[str, Any]) -> JobSummary:
    """The summary of a history entry as callers see it. What a plugin made strange is left out."""
    events = _events(entry)
    started, ended = _time(events.get("execution_start")), None
    for name in ENDINGS:
        ended = ended or _time(events.get(name))
    shown = list(_items(entry.get("outputs")))
    previewed = [item for item in shown if item["mediaType"] in PREVIEWED]
    facts = {
        "execution_start_time": started,
        "execution_end_time": ended,
        "execution_error": _error(events.get("execution_error")),
        "outputs_count": len(shown),
        "previewable_outputs_count": len(previewed),
        "preview_output": _best(previewed),
    }
    seconds = None if started is None or ended is None else max(ended - started, 0) / 1000
    return JobSummary({name: fact for name, fact in facts.items() if fact is not None}, seconds)


def _events(entry: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    messages = (entry.get("status") or {}).get("messages") or []
    return {message[0]: message[1] for message in messages if isinstance(message[1], Mapping)}


def _time(event: Mapping[str, Any] | None) -> int | None:
    """Milliseconds since 1970."""
    found = (event or {}).get("timestamp")
    return int(found) if isinstance(found, int | float) else None


def _error(event: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """Without traceback and inputs, which name paths of the instance."""
    return None if event is None else {name: event[name] for name in ERROR_FACTS if name in event}


def _items(outputs: Any) -> Iterator[dict[str, Any]]:
    """Each file or text that a node showed, with the node's id and the kind of medium."""
    for node_id, shown in outputs.items() if isinstance(outputs, Mapping) else ():
        for key, kind in MEDIA.items():
            items = shown.get(key) if isinstance(shown, Mapping) else None
            for item in items if isinstance(items, list) else ():
                facts = dict(item) if isinstance(item, Mapping) else {"content": str(item)}
                film = str(facts.get("filename", "")).lower().endswith(FILM_SUFFIXES)
                yield {**facts, "nodeId": node_id, "mediaType": "video" if film else kind}


def _best(previewed: list[dict[str, Any]]) -> dict[str, Any] | None:
    """The last one that was saved, else the last one at all."""
    ranked = [item for item in previewed if item.get("type") == "output"] or previewed
    return ranked[-1] if ranked else None
