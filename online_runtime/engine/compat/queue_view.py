"""`PromptServer.instance.prompt_queue`: the queue in the shape in which plugins look at ComfyUI's."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from ..assembly import Engine
from ..prompt_queue import FreeRequest, QueueItem

_Shown = tuple[Any, ...]  # (number, prompt id, prompt, extra data, output node ids, secrets)


class QueueView:
    """What runs and waits, and putting one more prompt behind it."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    @property
    def currently_running(self) -> dict[int, _Shown]:
        """The running prompt, if any, under a number of no meaning."""
        return dict(enumerate(map(_shown, self._engine.queue.running())))

    def get_current_queue(self) -> tuple[list[_Shown], list[_Shown]]:
        """Running and waiting prompts."""
        running, pending = self._engine.queue.snapshot()
        return list(map(_shown, running)), list(map(_shown, pending))

    get_current_queue_volatile = get_current_queue

    def get_tasks_remaining(self) -> int:
        """How many run or wait."""
        return self._engine.queue.remaining()

    def put(self, item: _Shown) -> None:
        """Queue a prompt that was validated before, as `/prompt` would."""
        number, prompt_id, prompt, extra_data, outputs, *secrets = item
        public = {**extra_data, "create_time": time.time_ns() // 1_000_000}
        self._engine.queue.put(
            QueueItem(number, prompt_id, prompt, public, list(outputs), dict(secrets[0]) if secrets else {})
        )

    def delete_queue_item(self, function: Callable[[_Shown], bool]) -> bool:
        """Drop the first waiting prompt for which `function` says so; whether there was one."""
        for item in self._engine.queue.pending():
            if function(_shown(item)):
                return self._engine.queue.delete(item.prompt_id)
        return False

    def wipe_queue(self) -> None:
        """Drop all waiting prompts."""
        self._engine.queue.clear()

    def get_history(
        self, prompt_id: str | None = None, max_items: int | None = None, offset: int = -1
    ) -> dict[str, Any]:
        """`/history`'s answer."""
        history = self._engine.history
        if prompt_id is not None:
            entry = history.get(prompt_id)
            return {prompt_id: entry.as_json()} if entry else {}
        return {entry.item.prompt_id: entry.as_json() for entry in history.list(max_items, offset)}

    def set_flag(self, name: str, data: Any) -> None:
        """`unload_models` or `free_memory`, done between prompts; other flags have no meaning here."""
        wanted = FreeRequest(name == "unload_models" and bool(data), name == "free_memory" and bool(data))
        if wanted:
            self._engine.queue.request_free(wanted)


def _shown(item: QueueItem) -> _Shown:
    return (
        item.number,
        item.prompt_id,
        item.prompt,
        item.extra_data,
        item.outputs,
        item.secrets,
    )
