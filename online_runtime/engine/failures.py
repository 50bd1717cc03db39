"""A node's failure as the `execution_error` event and the history tell it."""

from __future__ import annotations

import sys
import traceback
from collections.abc import Mapping, Sequence
from typing import Any

from .tracebacks import PathFilter, type_name


def node_failure(
    error: BaseException, inputs: Mapping[str, Sequence[Any]], done: Sequence[str], paths: PathFilter
) -> dict[str, Any]:
    """What happened, with paths filtered, and what the node was given; `done` are the nodes with outputs."""
    told = error_fields(paths.text(str(error)), type_name(error), paths.frames(error))
    told["current_inputs"] = {name: [_shown(value) for value in values] for name, values in inputs.items()}
    told["current_outputs"] = list(done)
    return told


def error_fields(message: str, type: str, frames: list[str]) -> dict[str, Any]:
    """The fields of an `execution_error` beside those that say where."""
    return {
        "exception_message": message,
        "exception_type": type,
        "traceback": frames,
        "current_inputs": {},
        "current_outputs": [],
    }


def is_out_of_memory(error: BaseException) -> bool:
    """Whether `error` says that main or GPU memory is used up."""
    torch = sys.modules.get("torch")
    if isinstance(error, MemoryError):
        return True
    # torch has no class of its own for the CPU allocator's failure.
    told = isinstance(error, RuntimeError) and "can't allocate memory" in str(error)
    return told or (torch is not None and isinstance(error, getattr(torch, "OutOfMemoryError", ())))


def let_go(error: BaseException) -> None:
    """Forget what the functions of `error`'s traceback held: whoever keeps the error, as handlers of the log
    do, would keep the tensors that filled the memory."""
    seen: set[int] = set()
    cause: BaseException | None = error
    while cause is not None and id(cause) not in seen:
        seen.add(id(cause))
        traceback.clear_frames(cause.__traceback__)
        cause = cause.__cause__ or cause.__context__


def _shown(value: Any) -> Any:
    """Small literals as they are; of other values, what they are."""
    if value is None or isinstance(value, bool | int | float | str):
        return value
    shape = getattr(value, "shape", None)
    return type(value).__name__ if shape is None else f"{type(value).__name__}{tuple(shape)}"
