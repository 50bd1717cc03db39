"""Not a test: the second part of the suite's plugin, one class for each rule of running."""

# ruff: noqa: N802 - INPUT_TYPES, IS_CHANGED and VALIDATE_INPUTS are names of the node protocol

import asyncio
from typing import ClassVar

from comfy_execution.graph import ExecutionBlocker
from comfy_execution.graph_utils import GraphBuilder


def text(**options):
    return ("STRING", options)


class Node:
    """What most of them share."""

    RETURN_TYPES = ("STRING",)
    FUNCTION = "run"
    CATEGORY = "contract/rules"


class RuleShow(Node):
    """Shows what it gets, one entry a call."""

    RETURN_TYPES = ()
    OUTPUT_NODE = True

    @classmethod
    def INPUT_TYPES(cls):
        return {"required": {"value": ("*", {})}}

    @classmethod
    def VALIDATE_INPUTS(cls, input_types):
        return True

    def run(self, value):
        return {"ui": {"value": [value]}}


class RuleShowAndPass(Node):
    """An output node that others may link to."""

    OUTPUT_NODE = True

    @classmethod
    def INPUT_TYPES(cls):
        return {"required": {"text": text()}}

    def run(self, text):
        return {"ui": {"text": [text]}, "result": (f"passed {text}",)}


class RuleJoin(Node):
    @classmethod
    def INPUT_TYPES(cls):
        return {"required": {"a": text(), "b": text()}, "optional": {"separator": text(default="+")}}

    def run(self, a, b, separator="+"):
        return (a + separator + b,)


class RuleSplit(Node):
    """A list output: what is behind it is called once an item."""

    OUTPUT_IS_LIST = (True,)

    @classmethod
    def INPUT_TYPES(cls):
        return {"required": {"text": text()}}

    def run(self, text):
        return (text.split(),)


class RuleGather(Node):
    """Takes whole lists."""

    INPUT_IS_LIST = True

    @classmethod
    def INPUT_TYPES(cls):
        return {"required": {"text": text(), "separator": text(default="|")}}

    def run(self, text, separator):
        return (separator[0].join(text),)


class RuleChoose(Node):
    """Asks only for the branch that it needs."""

    @classmethod
    def INPUT_TYPES(cls):
        lazy = text(lazy=True)
        return {"required": {"first": ("BOOLEAN", {}), "a": lazy, "b": lazy}}

    def check_lazy_status(self, first, a, b):
        wanted = "a" if first else "b"
        return [wanted] if (a if first else b) is None else []

    def run(self, first, a, b):
        return (a if first else b,)


class RuleTwice(Node):
    """Becomes a small graph that joins its text with itself."""

    @classmethod
    def INPUT_TYPES(cls):
        return {"required": {"text": text()}}

    def run(self, text):
        graph = GraphBuilder()
        joined = graph.node("RuleJoin", a=text, b=text)
        return {"result": (joined.out(0),), "expand": graph.finalize()}


class RuleExpandAndShow(Node):
    """Becomes a small graph with an output node in it."""

    @classmethod
    def INPUT_TYPES(cls):
        return {"required": {"text": text()}}

    def run(self, text):
        graph = GraphBuilder()
        graph.node("RuleShow", value=f"shown {text}")
        return {"result": (text,), "expand": graph.finalize()}


class RuleBlock(Node):
    """Keeps what is behind it from running, with a message or without."""

    @classmethod
    def INPUT_TYPES(cls):
        return {"required": {"text": text(), "message": text(default="")}}

    def run(self, text, message):
        return (ExecutionBlocker(message or None),)


class RuleHidden(Node):
    """Shows its hidden inputs."""

    RETURN_TYPES = ()
    OUTPUT_NODE = True

    @classmethod
    def INPUT_TYPES(cls):
        hidden = {
            "me": "UNIQUE_ID",
            "prompt": "PROMPT",
            "info": "EXTRA_PNGINFO",
            "graph": "DYNPROMPT",
            "key": "API_KEY_COMFY_ORG",
        }
        return {"required": {"text": text()}, "hidden": hidden}

    def run(self, text, me, prompt, info, graph, key):
        node = graph.get_node(me)
        told = {"me": me, "prompt": sorted(prompt), "info": info, "class": node["class_type"], "key": key}
        return {"ui": {"hidden": [told]}}


class RuleCount(Node):
    """Counts its calls, in the object and in the class."""

    calls = 0

    def __init__(self):
        self.own_calls = 0

    @classmethod
    def INPUT_TYPES(cls):
        return {"required": {"text": text()}}

    def run(self, text):
        self.own_calls += 1
        return (f"{text} {self.own_calls}",)


class RuleAlwaysChanged(RuleCount):
    @classmethod
    def IS_CHANGED(cls, text):
        return float("nan")


class RuleChangedByText(RuleCount):
    """Runs again only when the first letter changes, as far as IS_CHANGED may say."""

    @classmethod
    def IS_CHANGED(cls, text):
        return text[:1]


class RuleAsync(Node):
    """Waits for its partner: two of them end only when they run side by side."""

    waiting: ClassVar[dict[str, asyncio.Event]] = {}

    @classmethod
    def INPUT_TYPES(cls):
        return {"required": {"mine": text(), "partner": text()}}

    async def run(self, mine, partner):
        loop_events = RuleAsync.waiting
        loop_events.setdefault(mine, asyncio.Event()).set()
        await asyncio.wait_for(loop_events.setdefault(partner, asyncio.Event()).wait(), timeout=20)
        return (f"{mine} met {partner}",)


class RuleStatic(Node):
    """A class method as function."""

    @classmethod
    def INPUT_TYPES(cls):
        return {"required": {"text": text()}}

    @classmethod
    def run(cls, text):
        return (f"{cls.__name__} {text}",)


class RuleTyped(Node):
    """One input of each literal type, with limits."""

    OUTPUT_NODE = True
    RETURN_TYPES = ()

    @classmethod
    def INPUT_TYPES(cls):
        return {
            "required": {
                "whole": ("INT", {"default": 1, "min": 0, "max": 10, "step": 1}),
                "real": ("FLOAT", {"default": 0.5, "min": 0.0, "max": 1.0}),
                "flag": ("BOOLEAN", {"default": False}),
                "text": text(default=""),
                "kind": (["x", "y"],),
            }
        }

    def run(self, **values):
        return {"ui": {"values": [values]}}


class RulePicky(Node):
    """Validates by itself: `bad` is refused with a reason, `no` without one, `crash` raises."""

    @classmethod
    def INPUT_TYPES(cls):
        return {"required": {"text": text(), "size": ("INT", {"min": 0, "max": 1})}}

    @classmethod
    def VALIDATE_INPUTS(cls, text, size):
        if text == "crash":
            raise RuntimeError("validation fell over")
        if text == "no":
            return False
        return "this text is bad" if text == "bad" else True

    def run(self, text, size):
        return (f"{text} {size}",)


class RuleNumber(Node):
    RETURN_TYPES = ("INT",)

    @classmethod
    def INPUT_TYPES(cls):
        return {"required": {"value": ("INT", {})}}

    def run(self, value):
        return (value,)


class RuleOutputs(Node):
    """Several outputs with names, one a list."""

    RETURN_TYPES = ("STRING", "INT", "STRING")
    RETURN_NAMES = ("word", "count", "letters")
    OUTPUT_IS_LIST = (False, False, True)
    OUTPUT_TOOLTIPS = ("a word", "its letters counted", "its letters")
    DESCRIPTION = "Takes a word apart."
    DEPRECATED = True
    EXPERIMENTAL = True

    @classmethod
    def INPUT_TYPES(cls):
        return {"required": {"text": text(multiline=True, tooltip="a word")}}

    def run(self, text):
        return (text, len(text), list(text))


class RuleNaN(Node):
    """A picture whose values are no numbers."""

    RETURN_TYPES = ("IMAGE",)

    @classmethod
    def INPUT_TYPES(cls):
        return {"required": {}}

    def run(self):
        import torch  # the suite's other nodes need none

        return (torch.full((1, 4, 4, 3), float("nan")),)


class RuleFailIn(Node):
    """Fails after another node ran."""

    RETURN_TYPES = ()
    OUTPUT_NODE = True

    @classmethod
    def INPUT_TYPES(cls):
        return {"required": {"text": text(), "number": ("INT", {"default": 3})}}

    def run(self, text, number):
        raise KeyError(text)


NODE_CLASS_MAPPINGS = {
    name: found
    for name, found in list(globals().items())
    if name.startswith("Rule") and isinstance(found, type)
}
NODE_DISPLAY_NAME_MAPPINGS = {"RuleOutputs": "Apart"}
