"""A node that runs out of memory ends its prompt, not the process, and what was kept is given back."""

from __future__ import annotations

import gc
import weakref
from pathlib import Path

import pytest

from online_runtime.engine.execution import Executor
from online_runtime.engine.failures import is_out_of_memory
from online_runtime.engine.folders import Folders
from online_runtime.engine.history import History
from online_runtime.engine.interruption import Interruption
from online_runtime.engine.prompt_queue import PromptQueue, QueueItem
from online_runtime.engine.registry import NodeRegistry
from online_runtime.engine.tracebacks import PathFilter
from online_runtime.engine.worker import Worker

pytestmark = pytest.mark.slow  # it needs torch's own exception


class Hub:
    def send(self, event, data, client=None):
        return None

    def send_preview(self, image, about, client):
        return None


class Large:
    """Stands for a latent of gigabytes."""


def nodes(made: list) -> dict[str, type]:
    class Make:
        INPUT_TYPES = classmethod(lambda cls: {"required": {}})
        RETURN_TYPES, FUNCTION, CATEGORY = ("LARGE",), "run", "test"

        def run(self):
            large = Large()
            made.append(weakref.ref(large))
            return (large,)

    class Use:
        INPUT_TYPES = classmethod(lambda cls: {"required": {"large": ("LARGE",), "full": ("BOOLEAN", {})}})
        RETURN_TYPES, FUNCTION, CATEGORY, OUTPUT_NODE = (), "run", "test", True

        def run(self, large, full):
            if full:
                import torch

                raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 80.00 GiB.")
            return {"ui": {"text": ["done"]}}

    return {"Make": Make, "Use": Use}


def prompt(full: bool) -> dict:
    return {
        "1": {"class_type": "Make", "inputs": {}},
        "2": {"class_type": "Use", "inputs": {"large": ["1", 0], "full": full}},
    }


def test_the_prompt_fails_the_worker_lives_and_memory_is_given_back(tmp_path: Path) -> None:
    made: list = []
    freed: list[bool] = []
    registry = NodeRegistry()
    registry.add("nodes", nodes(made), {})
    executor = Executor(registry, Hub(), Interruption(), PathFilter.of(Folders.below(tmp_path)))
    history = History()
    worker = Worker(PromptQueue(on_change=lambda: None), history, executor, Hub(), freed.append)

    def run(prompt_id: str, full: bool):
        item = QueueItem(number=0, prompt_id=prompt_id, prompt=prompt(full), extra_data={}, outputs=["2"])
        worker.queue.put(item)
        worker._run(worker.queue.take(1.0, lambda prompt_id: None))
        return history.get(prompt_id).outcome

    assert run("a", full=False).success and freed == []
    assert made[0]() is not None and len(executor.cache) == 2

    outcome = run("b", full=True)
    assert not outcome.success and outcome.out_of_memory
    (told,) = [data for name, data in outcome.messages if name == "execution_error"]
    assert told["exception_type"] == "torch.OutOfMemoryError" and told["node_id"] == "2"
    assert freed == [True] and len(executor.cache) == 0
    del outcome, told
    gc.collect()
    assert made[0]() is None, "the cached output of the node before is still held"

    assert run("c", full=False).success and len(made) == 2


def test_torchs_failure_on_the_cpu_counts_as_out_of_memory_and_others_do_not() -> None:
    import torch

    with pytest.raises(RuntimeError) as raised:
        torch.empty(2**60)
    assert is_out_of_memory(raised.value) and is_out_of_memory(MemoryError())
    assert not is_out_of_memory(RuntimeError("shapes do not fit"))
