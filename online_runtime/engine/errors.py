"""What can go wrong in the builtin engine.

EngineError
├── BadArgument           the command line cannot be used
├── ModelMissing          a workflow names weights that no folder of that kind holds
├── UnknownFolder         a folder kind that nobody registered
├── FileMissing           a file of input, output, temp or user is not there
├── PathOutside           a name that would leave its root
├── BadRequest            a request that cannot be understood
├── PromptRejected        a prompt that cannot run; carries ComfyUI's error object
├── NodeContractBroken    a node returned or declared what the node rules do not allow
├── GraphLoop             nodes that wait for each other
└── NeedsComfyUI          a plugin uses an internal of ComfyUI that this engine does not have
InterruptProcessingException   plugins raise and catch it by this name
└── Interrupted           the running prompt was asked to stop
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any


class EngineError(Exception):
    """Any failure that the engine itself explains."""


@dataclass(eq=False)
class BadArgument(EngineError):
    """The command line asks for something that cannot be."""

    argument: str
    why: str

    def __str__(self) -> str:
        return f"Argument {self.argument} cannot be used: {self.why}"


@dataclass(eq=False)
class ModelMissing(EngineError):
    """No file `name` stands in any folder of `kind`; `folder` is where it is expected first."""

    kind: str
    name: str
    folder: Path

    def __str__(self) -> str:
        return f"There is no {self.kind} file {self.name!r}; put it into models/{self.folder.name}/."


@dataclass(eq=False)
class UnknownFolder(EngineError):
    """`kind` is not a folder that the engine or a plugin registered."""

    kind: str

    def __str__(self) -> str:
        return f"There is no model folder of kind {self.kind!r}; see /models for those that exist."


@dataclass(eq=False)
class FileMissing(EngineError):
    """A file that a request or a node names does not exist."""

    name: str
    where: str

    def __str__(self) -> str:
        return f"There is no file {self.name!r} in {self.where}; upload it or correct the name."


@dataclass(eq=False)
class PathOutside(EngineError):
    """A name that is absolute, climbs by `..` or follows a link out of its folder."""

    name: str
    where: str

    def __str__(self) -> str:
        return f"The name {self.name!r} leads out of {self.where}; use a plain name below that folder."


@dataclass(eq=False)
class BadRequest(EngineError):
    """A request whose content cannot be used."""

    what: str
    why: str

    def __str__(self) -> str:
        return f"Cannot use {self.what}: {self.why}"


@dataclass(eq=False)
class PromptRejected(EngineError):
    """A prompt that cannot run. `type`, `details` and `node_errors` have ComfyUI's meanings."""

    type: str
    message: str
    details: str = ""
    extra_info: Mapping[str, Any] = field(default_factory=dict)
    node_errors: Mapping[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        return f"{self.message} {self.details}".strip()

    def as_json(self) -> dict[str, Any]:
        """The `error` object of the answer."""
        return {
            "type": self.type,
            "message": self.message,
            "details": self.details,
            "extra_info": dict(self.extra_info),
        }


@dataclass(eq=False)
class NodeContractBroken(EngineError):
    """A node class or its result does not follow the node rules."""

    node_class: str
    why: str

    def __str__(self) -> str:
        return f"Node {self.node_class} breaks the node rules: {self.why}"


@dataclass(eq=False)
class GraphLoop(EngineError):
    """`node_ids` wait for each other, so none can run."""

    node_ids: Sequence[str]

    def __str__(self) -> str:
        return f"Nodes {', '.join(self.node_ids)} wait for each other; remove one of the links between them."


@dataclass(eq=False)
class NeedsComfyUI(EngineError):
    """A plugin used `name`, which only ComfyUI itself provides."""

    name: str

    def __str__(self) -> str:
        return f"{self.name} needs the comfyui engine; this workstation runs the builtin one."


class InterruptProcessingException(Exception):
    """Ends the running prompt as interrupted, not as failed."""


class Interrupted(InterruptProcessingException):
    """The running prompt was asked to stop."""

    def __init__(self) -> None:
        super().__init__("The prompt was interrupted.")
