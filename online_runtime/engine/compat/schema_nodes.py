"""Nodes of the schema kind (V3) as classes of the older protocol, which is what the engine runs."""

from __future__ import annotations

import asyncio
import inspect
import logging
from collections.abc import Awaitable, Callable, Iterator, Mapping
from typing import Any

from ..errors import NeedsComfyUI, NodeContractBroken
from ..graph import ExecutionBlocker
from .comfy_api.latest import ComfyExtension
from .comfy_api.latest._io import ComfyNode, Hidden, HiddenHolder, NodeOutput, Schema

log = logging.getLogger(__name__)

ENTRYPOINT_SECONDS = 60.0  # how long a plugin may take to list its nodes


def is_schema_node(node_class: Any) -> bool:
    """Whether `node_class` has to be translated."""
    return (
        isinstance(node_class, type) and issubclass(node_class, ComfyNode) and not _is_translated(node_class)
    )


def shown_name(node_class: Any) -> str | None:
    """The display name of a schema; None for none, and for other nodes."""
    is_one = isinstance(node_class, type) and issubclass(node_class, ComfyNode)
    return _schema(node_class).display_name if is_one else None


def listed_by(entrypoint: Callable[[], Any], plugin: str) -> dict[str, Any]:
    """The nodes of a plugin's `comfy_entrypoint`, by id. Raises NodeContractBroken, TimeoutError."""
    return asyncio.run(asyncio.wait_for(_listed(entrypoint, plugin), ENTRYPOINT_SECONDS))


def translated(node_class: type[ComfyNode]) -> type[ComfyNode]:
    """A subclass of `node_class` with the attributes of the older protocol. Raises NodeContractBroken."""
    schema = _schema(node_class)
    outputs = schema.outputs or ()
    body: dict[str, Any] = {
        "__module__": node_class.__module__,
        "__qualname__": node_class.__qualname__,
        "INPUT_TYPES": classmethod(lambda cls: _inputs(_schema(node_class))),
        "RETURN_TYPES": tuple(one.io_type for one in outputs),
        "RETURN_NAMES": tuple(one.display_name or one.io_type for one in outputs),
        "OUTPUT_IS_LIST": tuple(one.is_output_list for one in outputs),
        "OUTPUT_TOOLTIPS": tuple(one.tooltip for one in outputs),
        "OUTPUT_NODE": schema.is_output_node,
        "INPUT_IS_LIST": schema.is_input_list,
        "CATEGORY": schema.category,
        "DESCRIPTION": schema.description,
        "DEPRECATED": schema.is_deprecated,
        "EXPERIMENTAL": schema.is_experimental,
        "API_NODE": schema.is_api_node,
        "NOT_IDEMPOTENT": schema.not_idempotent,
        "SEARCH_ALIASES": list(schema.search_aliases or ()),
        "FUNCTION": "_run_schema_node",
        "_run_schema_node": _runner(node_class),
    }
    for ours, theirs in (("VALIDATE_INPUTS", "validate_inputs"), ("IS_CHANGED", "fingerprint_inputs")):
        if hasattr(node_class, theirs):
            body[ours] = getattr(node_class, theirs)
    if schema.essentials_category is not None:
        body["ESSENTIALS_CATEGORY"] = schema.essentials_category
    return type(node_class.__name__, (node_class,), body)


def without_placeholders(classes: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """The classes, schema nodes translated; one whose schema needs ComfyUI is logged and left out."""
    for name, node_class in classes.items():
        if not is_schema_node(node_class):
            yield name, node_class
            continue
        try:
            yield name, translated(node_class)
        except NeedsComfyUI as error:
            log.warning("Node %s is left out: %s", name, error)


async def _listed(entrypoint: Callable[[], Any], plugin: str) -> dict[str, Any]:
    extension = await _awaited(entrypoint())
    if not isinstance(extension, ComfyExtension):
        raise NodeContractBroken(plugin, "its comfy_entrypoint returns no ComfyExtension.")
    await _awaited(extension.on_load())
    classes = await _awaited(extension.get_node_list())
    if not isinstance(classes, list):
        raise NodeContractBroken(plugin, "its get_node_list returns no list.")
    named = {_name_of(node_class): node_class for node_class in classes}
    return dict(without_placeholders(named))


def _name_of(node_class: type[ComfyNode]) -> str:
    try:
        return _schema(node_class).node_id
    except NeedsComfyUI:
        return node_class.__name__  # left out below, by this name


def _is_translated(node_class: type) -> bool:
    return "_run_schema_node" in vars(node_class)


def _schema(node_class: type[ComfyNode]) -> Schema:
    schema = node_class.define_schema()
    if not isinstance(schema, Schema):
        raise NodeContractBroken(node_class.__name__, "its define_schema returns no io.Schema.")
    names = [one.id for one in schema.inputs or ()]
    if len(set(names)) != len(names):
        raise NodeContractBroken(node_class.__name__, "its schema names an input twice.")
    return schema


def _inputs(schema: Schema) -> dict[str, Any]:
    declared: dict[str, Any] = {"required": {}}
    for one in schema.inputs or ():
        declared.setdefault("optional" if one.optional else "required", {})[one.id] = one.declared()
    hidden = [Hidden(one) for one in schema.hidden or ()]
    if schema.is_output_node:
        hidden += [Hidden.prompt, Hidden.extra_pnginfo]  # what saving a picture needs, as ComfyUI gives it
    if hidden:
        declared["hidden"] = {one.name: (one.value,) for one in hidden}
    return declared


def _runner(node_class: type[ComfyNode]) -> Callable[..., Any]:
    async def run_async(prepared: Any, inputs: dict[str, Any]) -> Any:
        return _returned(prepared, await prepared.execute(**inputs))

    def run(self: Any, **inputs: Any) -> Any:
        # A class for each call: `cls.hidden` of async nodes that run side by side must not mix.
        hidden = {one.name: inputs.pop(one.name) for one in Hidden if one.name in inputs}
        prepared: Any = type(node_class.__name__, (type(self),), {"hidden": HiddenHolder(hidden)})
        if inspect.iscoroutinefunction(prepared.execute):
            return run_async(prepared, inputs)
        return _returned(prepared, prepared.execute(**inputs))

    return run


def _returned(node_class: Any, returned: Any) -> Any:
    """What `execute` gave, in the older protocol's words."""
    if not isinstance(returned, NodeOutput):
        return returned
    if returned.block_execution is not None:
        blocker = ExecutionBlocker(returned.block_execution)
        return {"result": (blocker,) * len(node_class.RETURN_TYPES)}
    answer: dict[str, Any] = {}
    if returned.ui is not None:
        answer["ui"] = returned.ui.as_dict() if hasattr(returned.ui, "as_dict") else returned.ui
    if returned.expand is not None:
        answer["expand"] = returned.expand
    if returned.result is not None:
        answer["result"] = returned.result
    return answer


async def _awaited(value: Any | Awaitable[Any]) -> Any:
    return await value if inspect.isawaitable(value) else value
