"""The one thread that runs prompts, one after the other."""

from __future__ import annotations

import gc
import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from .events import EventHub
from .execution import Executor, Outcome, Request
from .failures import node_failure
from .history import Entry, History
from .prompt_queue import FreeRequest, PromptQueue, QueueItem

log = logging.getLogger(__name__)

TAKE_SECONDS = 1.0  # how often an idle worker looks whether it should stop


@dataclass
class Worker:
    """Takes prompts from the queue until stopped. `free_models(unload)` gives memory back."""

    queue: PromptQueue
    history: History
    executor: Executor
    hub: EventHub
    free_models: Callable[[bool], None]
    previews: bool = False
    _stopping: threading.Event = field(default_factory=threading.Event)
    _thread: threading.Thread | None = None

    def start(self) -> None:
        self._thread = threading.Thread(target=self._work, name="prompt worker", daemon=True)
        self._thread.start()

    @property
    def stopping(self) -> bool:
        """Whether no more prompts are taken."""
        return self._stopping.is_set()

    def stop(self, timeout_seconds: float) -> bool:
        """Interrupt the running prompt and take no other; False when it did not end in time."""
        self._stopping.set()
        self.executor.interruption.request()
        self.queue.request_free(FreeRequest(free_memory=True))  # wakes an idle worker
        if self._thread is None:
            return True
        self._thread.join(timeout_seconds)
        return not self._thread.is_alive()

    def _work(self) -> None:
        while not self._stopping.is_set():
            if request := self.queue.take_free_request():
                self._free(request)
            item = self.queue.take(TAKE_SECONDS, self.executor.interruption.begin)
            if item is not None:
                self._run(item)

    def _run(self, item: QueueItem) -> None:
        started = time.monotonic()
        log.info("got prompt %s", item.prompt_id)
        outcome = self._outcome(item)
        if outcome.out_of_memory:
            self._free(FreeRequest(unload_models=True, free_memory=True))
        # History first: who sees the last event may ask for it at once.
        self.history.add(Entry(item, outcome))
        self.queue.done()
        client = item.extra_data.get("client_id")
        if client is not None:
            self.hub.send("executing", {"node": None, "prompt_id": item.prompt_id}, client)
        log.info("Prompt executed in %.2f seconds", time.monotonic() - started)

    def _outcome(self, item: QueueItem) -> Outcome:
        request = Request(
            item.prompt_id, item.prompt, item.outputs, item.extra_data, item.secrets, self.previews
        )
        try:
            return self.executor.run(request)
        except Exception as error:
            # A defect of the engine itself: this prompt fails, and the thread lives for the next one.
            log.exception("Prompt %s could not be run", item.prompt_id)
            told = {"prompt_id": item.prompt_id, "executed": []} | node_failure(
                error, {}, [], self.executor.paths
            )
            return Outcome(False, {}, {}, [("execution_error", told)])

    def _free(self, request: FreeRequest) -> None:
        if request.free_memory:
            self.executor.forget()
        self.free_models(request.unload_models)
        gc.collect()
