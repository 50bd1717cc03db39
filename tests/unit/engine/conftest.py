"""A bench for the executor: small nodes, an audience that records, no torch."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from online_runtime.engine import progress
from online_runtime.engine.execution import Executor, Outcome, Request
from online_runtime.engine.folders import Folders
from online_runtime.engine.graph import ExecutionBlocker
from online_runtime.engine.graph_builder import GraphBuilder
from online_runtime.engine.interruption import Interruption
from online_runtime.engine.registry import NodeRegistry
from online_runtime.engine.tracebacks import PathFilter
from online_runtime.engine.validation import Accepted, validate

PROMPT_ID = "00000000-0000-4000-8000-000000000001"


class Recorder:
    """Keeps what was sent: (event, data, client)."""

    def __init__(self) -> None:
        self.events: list[tuple] = []

    def send(self, event, data, client):
        self.events.append((event, data, client))

    def send_preview(self, image, about, client):
        self.events.append(("preview", about, client))

    def names(self):
        return [event for event, _, _ in self.events]


def node_classes(calls: list) -> dict[str, type]:
    """Node classes that note each call as (class, inputs)."""

    class Text:
        INPUT_TYPES = classmethod(lambda cls: {"required": {"text": ("STRING", {})}})
        RETURN_TYPES, FUNCTION = ("STRING",), "run"

        def run(self, text):
            calls.append(("Text", text))
            return (text,)

    class Number:
        @classmethod
        def INPUT_TYPES(cls):  # noqa: N802 - the node protocol's name
            return {"required": {"value": ("INT", {"min": 0, "max": 10})}}

        RETURN_TYPES, FUNCTION = ("INT",), "run"

        def run(self, value):
            return (value,)

    class Join:
        INPUT_TYPES = classmethod(
            lambda cls: {
                "required": {"a": ("STRING", {}), "b": ("STRING", {})},
                "optional": {"sep": ("STRING", {})},
            }
        )
        RETURN_TYPES, FUNCTION = ("STRING",), "run"

        def run(self, a, b, sep="+"):
            calls.append(("Join", a, b))
            return (a + sep + b,)

    class Show:
        INPUT_TYPES = classmethod(lambda cls: {"required": {"text": ("STRING", {})}})
        RETURN_TYPES, FUNCTION, OUTPUT_NODE = (), "run", True

        def run(self, text):
            calls.append(("Show", text))
            return {"ui": {"text": [text]}}

    class Split:
        INPUT_TYPES = classmethod(lambda cls: {"required": {"text": ("STRING", {})}})
        RETURN_TYPES, OUTPUT_IS_LIST, FUNCTION = ("STRING",), (True,), "run"

        def run(self, text):
            return (text.split(),)

    class Gather:
        INPUT_TYPES = classmethod(lambda cls: {"required": {"text": ("STRING", {})}})
        INPUT_IS_LIST, RETURN_TYPES, FUNCTION = True, ("STRING",), "run"

        def run(self, text):
            calls.append(("Gather", list(text)))
            return ("|".join(text),)

    class Choose:
        INPUT_TYPES = classmethod(
            lambda cls: {
                "required": {
                    "first": ("BOOLEAN", {}),
                    "a": ("STRING", {"lazy": True}),
                    "b": ("STRING", {"lazy": True}),
                }
            }
        )
        RETURN_TYPES, FUNCTION = ("STRING",), "run"

        def check_lazy_status(self, first, a, b):
            wanted = "a" if first else "b"
            return [wanted] if (a if first else b) is None else []

        def run(self, first, a, b):
            return (a if first else b,)

    class Twice:
        """Expands to a Join of its input with itself."""

        INPUT_TYPES = classmethod(lambda cls: {"required": {"text": ("STRING", {})}})
        RETURN_TYPES, FUNCTION = ("STRING",), "run"

        def run(self, text):
            calls.append(("Twice", text))
            graph = GraphBuilder()
            inner = graph.node("Text", text=text)
            joined = graph.node("Join", a=inner.out(0), b=inner.out(0))
            return {"result": (joined.out(0),), "expand": graph.finalize()}

    class Block:
        INPUT_TYPES = classmethod(lambda cls: {"required": {"text": ("STRING", {})}})
        RETURN_TYPES, FUNCTION = ("STRING",), "run"

        def run(self, text):
            return (ExecutionBlocker(text or None),)

    class Meet:
        """Async: ends only when two of them run at once."""

        INPUT_TYPES = classmethod(lambda cls: {"required": {"name": ("STRING", {})}})
        RETURN_TYPES, FUNCTION = ("STRING",), "run"
        here: int = 0

        async def run(self, name):
            type(self).here += 1
            async with asyncio.timeout(5):
                while type(self).here < 2:
                    await asyncio.sleep(0)
            return (name,)

    class Fail:
        INPUT_TYPES = classmethod(lambda cls: {"required": {"how": ("STRING", {})}})
        RETURN_TYPES, FUNCTION = ("STRING",), "run"

        def run(self, how):
            if how == "exit":
                raise SystemExit(3)
            if how == "memory":
                raise MemoryError("all of it")
            raise ValueError(f"cannot read {__file__}")

    class Hidden:
        INPUT_TYPES = classmethod(
            lambda cls: {
                "required": {},
                "hidden": {
                    "prompt": "PROMPT",
                    "dyn": "DYNPROMPT",
                    "info": "EXTRA_PNGINFO",
                    "me": "UNIQUE_ID",
                    "key": "API_KEY_COMFY_ORG",
                },
            }
        )
        RETURN_TYPES, FUNCTION, OUTPUT_NODE = (), "run", True

        def run(self, prompt, dyn, info, me, key):
            calls.append(("Hidden", prompt, dyn, info, me, key))
            return {}

    class Clock:
        """Changes whenever `ticks` does."""

        INPUT_TYPES = classmethod(lambda cls: {"required": {"name": ("STRING", {})}})
        RETURN_TYPES, FUNCTION = ("STRING",), "run"
        ticks: object = 0

        @classmethod
        def IS_CHANGED(cls, name):  # noqa: N802 - the node protocol's name
            return cls.ticks

        def run(self, name):
            calls.append(("Clock", name))
            return (f"{name} {type(self).ticks}",)

    class Counter:
        """Keeps a count in its object."""

        INPUT_TYPES = classmethod(lambda cls: {"required": {"text": ("STRING", {})}})
        RETURN_TYPES, FUNCTION = ("STRING",), "run"

        def __init__(self):
            self.count = 0

        def run(self, text):
            self.count += 1
            return (f"{text} {self.count}",)

    class Steps:
        INPUT_TYPES = classmethod(lambda cls: {"required": {"count": ("INT", {})}})
        RETURN_TYPES, FUNCTION = ("STRING",), "run"

        def run(self, count):
            for step in range(count):
                progress.current().update(step + 1, count)
            return ("done",)

    class Picky:
        INPUT_TYPES = classmethod(
            lambda cls: {"required": {"text": ("STRING", {}), "kind": (["x", "y"], {})}}
        )
        RETURN_TYPES, FUNCTION = ("STRING",), "run"

        @classmethod
        def VALIDATE_INPUTS(cls, text):  # noqa: N802 - the node protocol's name
            if text == "crash":
                raise RuntimeError("validation broke")
            return True if text != "bad" else "this text is bad"

        def run(self, text, kind):
            return (text,)

    found = [v for v in list(locals().values()) if isinstance(v, type)]
    return {node_class.__name__: node_class for node_class in found}


class Bench:
    def __init__(self, base: Path) -> None:
        self.calls: list[tuple] = []
        self.classes = node_classes(self.calls)
        self.registry = NodeRegistry()
        self.registry.add("tests", self.classes, {})
        self.recorder = Recorder()
        self.interruption = Interruption()
        self.paths = PathFilter.of(Folders.below(base))
        self.executor = Executor(self.registry, self.recorder, self.interruption, self.paths)

    def run(self, prompt: dict, client: str | None = "me", extra: dict | None = None, **more) -> Outcome:
        """Validate and run a prompt; what was recorded before is dropped."""
        self.calls.clear()
        self.recorder.events.clear()
        accepted = self.validate(prompt)
        extra_data = {"client_id": client, **(extra or {})} if client else dict(extra or {})
        return self.executor.run(Request(PROMPT_ID, prompt, accepted.outputs, extra_data, **more))

    def validate(self, prompt: dict, targets=None) -> Accepted:
        return validate(prompt, self.registry, self.paths, targets)

    def ran(self) -> list[str]:
        """The classes that were called, in order."""
        return [call[0] for call in self.calls]


@pytest.fixture
def bench(tmp_path):
    return Bench(tmp_path)


@pytest.fixture
def node():
    """`node("Text", text="a")` as a prompt's node."""
    return lambda class_type, **inputs: {"class_type": class_type, "inputs": inputs}
