"""How a node's function is called: list mapping, blockers, async functions, and what comes back."""

from __future__ import annotations

import asyncio
import inspect
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from .errors import NodeContractBroken
from .graph import ExecutionBlocker
from .schema import NodeClass, output_is_list, return_types, takes_lists

InputLists = Mapping[str, list[Any]]


@dataclass(frozen=True)
class NodeResult:
    """What one node gave: a list per output, its merged `ui`, and the expansions that replace results.

    `pending` holds, per call, either a tuple of outputs or the links that an expansion returned instead.
    """

    outputs: list[list[Any]] = field(default_factory=list)
    ui: dict[str, list[Any]] | None = None
    expansions: list[Mapping[str, Any]] = field(default_factory=list)
    pending: list[tuple[tuple[Any, ...], bool]] = field(default_factory=list)


def slices(node_class: NodeClass, inputs: InputLists) -> list[dict[str, Any]]:
    """The keyword arguments of each call. Shorter lists repeat their last item. Raises NodeContractBroken."""
    if takes_lists(node_class):
        return [dict(inputs)]
    count = max((len(values) for values in inputs.values()), default=1)
    for name, values in inputs.items():
        if not values:
            raise NodeContractBroken(node_class.__name__, f"its input {name} received an empty list.")
    return [{name: v[min(i, len(v) - 1)] for name, v in inputs.items()} for i in range(count)]


async def call_each(
    instance: Any,
    node_class: NodeClass,
    function: str,
    inputs: InputLists,
    before_call: Callable[[], None],
    on_block: Callable[[ExecutionBlocker], ExecutionBlocker] | None = None,
) -> list[Any]:
    """The results of `function`, called once per slice; async ones run together.

    A slice with a blocked input is not called and gives the blocker. `before_call` may raise Interrupted.
    """
    results: list[Any] = []
    for arguments in slices(node_class, inputs):
        blocker = _blocker_in(arguments) if on_block else None
        if blocker is not None and on_block is not None:
            results.append(on_block(blocker))
            continue
        before_call()
        results.append(getattr(instance, function)(**arguments))
    waiting = [i for i, result in enumerate(results) if inspect.isawaitable(result)]
    if waiting:
        for i, value in zip(waiting, await asyncio.gather(*(results[i] for i in waiting)), strict=True):
            results[i] = value
    return results


def _blocker_in(arguments: Mapping[str, Any]) -> ExecutionBlocker | None:
    for value in arguments.values():
        if isinstance(value, ExecutionBlocker):
            return value
        if isinstance(value, list):
            for item in value:
                if isinstance(item, ExecutionBlocker):
                    return item
    return None


def merge(node_class: NodeClass, returned: list[Any]) -> NodeResult:
    """The calls' return values as one result. Raises NodeContractBroken."""
    pending: list[tuple[tuple[Any, ...], bool]] = []
    uis: list[Mapping[str, Any]] = []
    expansions: list[Mapping[str, Any]] = []
    for value in returned:
        result, ui, expand = _parts(node_class, value)
        if ui:
            uis.append(ui)
        if expand is not None:
            expansions.append(expand)
        pending.append((result, expand is not None))
    ui = _merged_ui(node_class, uis) if uis else None
    if expansions:
        return NodeResult(ui=ui, expansions=expansions, pending=pending)
    return NodeResult(outputs=merge_outputs(node_class, [result for result, _ in pending]), ui=ui)


def merge_outputs(node_class: NodeClass, results: list[tuple[Any, ...]]) -> list[list[Any]]:
    """A list per output over all calls. Raises NodeContractBroken when a call gave too few outputs."""
    outputs: list[list[Any]] = []
    declared = return_types(node_class)
    filled = [result for result in results if result or not declared]
    # An output node at the end of a graph often returns nothing although it declares outputs.
    if not filled:
        return [[] for _ in declared] if not results else [[None] for _ in declared]
    for index, is_list in enumerate(output_is_list(node_class)[: len(declared)]):
        merged: list[Any] = []
        for result in filled:
            value = _output(node_class, result, index)
            if is_list and not isinstance(value, ExecutionBlocker):
                merged.extend(value)
            else:
                merged.append(value)
        outputs.append(merged)
    return outputs


def _output(node_class: NodeClass, result: tuple[Any, ...], index: int) -> Any:
    if index >= len(result):
        why = f"it returned {len(result)} of its {len(return_types(node_class))} outputs."
        raise NodeContractBroken(node_class.__name__, why)
    return result[index]


def _parts(
    node_class: NodeClass, value: Any
) -> tuple[tuple[Any, ...], Mapping[str, Any] | None, Mapping[str, Any] | None]:
    """One return value as (outputs, ui, expansion)."""
    if isinstance(value, ExecutionBlocker):
        return (value,) * len(return_types(node_class)), None, None
    if isinstance(value, Mapping):
        result = value.get("result", ())
        if isinstance(result, ExecutionBlocker):
            result = (result,) * len(return_types(node_class))
        return _as_outputs(node_class, result), value.get("ui"), value.get("expand")
    return _as_outputs(node_class, value), None, None


def _as_outputs(node_class: NodeClass, result: Any) -> tuple[Any, ...]:
    if result is None:
        return ()
    if not isinstance(result, tuple | list):
        why = f"it returned {type(result).__name__}; a tuple with one item per output is expected."
        raise NodeContractBroken(node_class.__name__, why)
    return tuple(result)


def _merged_ui(node_class: NodeClass, uis: list[Mapping[str, Any]]) -> dict[str, list[Any]]:
    merged: dict[str, list[Any]] = {}
    for ui in uis:
        for key, values in ui.items():
            if isinstance(values, str) or not hasattr(values, "__iter__"):
                raise NodeContractBroken(node_class.__name__, f"its ui value {key!r} is not a list.")
            merged.setdefault(key, []).extend(values)
    try:
        json.dumps(merged)  # it goes into events and history
    except (TypeError, ValueError) as error:
        raise NodeContractBroken(node_class.__name__, f"its ui result is not JSON: {error}.") from error
    return merged
