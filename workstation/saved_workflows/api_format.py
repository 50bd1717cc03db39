"""From what the editor saves to what an engine runs. Pure.

The editor's nodes hold their widgets' values in a list whose order only the node's class tells, so an
engine's `GET /object_info` is needed. Muted nodes are left out, bypassed ones and reroutes are looked
through, notes and primitives have nothing to run.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from workstation.saved_workflows.errors import NotExportable

MUTED, BYPASSED = 2, 4
REROUTE, PRIMITIVE = "Reroute", "PrimitiveNode"
NOTHING_TO_RUN = frozenset({REROUTE, PRIMITIVE, "Note", "MarkdownNote"})
WIDGET_TYPES = frozenset({"INT", "FLOAT", "STRING", "BOOLEAN", "COMBO"})
# What the editor does with a seed after a run: a widget of its own, right behind the seed's.
AFTER_RUN = frozenset({"fixed", "increment", "decrement", "randomize"})

Node = Mapping[str, Any]
Source = tuple[str, int]  # a node's id and the number of its output


@dataclass(frozen=True)
class _Graph:
    nodes: Mapping[str, Node]
    links: Mapping[Any, Source]


def to_api_format(document: Mapping[str, Any], object_info: Mapping[str, Any]) -> dict[str, Any]:
    """The prompt of an editor's workflow, as `POST /prompt` takes it. Raises NotExportable."""
    _refuse_nested(document)
    graph = _Graph({str(node["id"]): node for node in document["nodes"]}, dict(_links(document)))
    running = {
        node_id: node
        for node_id, node in graph.nodes.items()
        if node.get("mode") not in (MUTED, BYPASSED) and node["type"] not in NOTHING_TO_RUN
    }
    return {node_id: _entry(graph, node, object_info) for node_id, node in running.items()}


def _refuse_nested(document: Mapping[str, Any]) -> None:
    nested = {one.get("id") for one in (document.get("definitions") or {}).get("subgraphs") or ()}
    for node in document["nodes"]:
        if node["type"] in nested or str(node["type"]).startswith("workflow"):
            raise NotExportable(f"{node['id']} ({node.get('title') or node['type']})", "it is a subgraph")


def _links(document: Mapping[str, Any]) -> Iterator[tuple[Any, Source]]:
    for link in document.get("links") or ():
        if isinstance(link, Mapping):
            yield link["id"], (str(link["origin_id"]), int(link["origin_slot"]))
        else:
            yield link[0], (str(link[1]), int(link[2]))


def _entry(graph: _Graph, node: Node, object_info: Mapping[str, Any]) -> dict[str, Any]:
    kind = node["type"]
    if kind not in object_info:
        raise NotExportable(f"{node['id']} ({kind})", "the engine does not have this node")
    inputs = dict(_widgets(node, object_info[kind]))
    for slot in node.get("inputs") or ():
        source = _source(graph, slot.get("link"), slot.get("type"))
        if source is not None:
            inputs[slot["name"]] = [source[0], source[1]]
    title = node.get("title") or object_info[kind].get("display_name") or kind
    return {"inputs": inputs, "class_type": kind, "_meta": {"title": title}}


def _source(graph: _Graph, link: Any, wanted: Any) -> Source | None:
    """What really feeds a link, through reroutes and bypassed nodes; None when nothing that runs does."""
    seen: set[Any] = set()
    while link is not None and link in graph.links and link not in seen:
        seen.add(link)
        node_id, output = graph.links[link]
        node = graph.nodes.get(node_id)
        if node is None or node.get("mode") == MUTED or node["type"] == PRIMITIVE:
            return None
        if node["type"] == REROUTE:
            link = next((slot.get("link") for slot in node.get("inputs") or ()), None)
        elif node.get("mode") == BYPASSED:
            link = _passed_through(node, output, wanted)
        else:
            return node_id, output
    return None


def _passed_through(node: Node, output: int, wanted: Any) -> Any:
    """The link of the input that a bypassed node gives for one of its outputs: same place, else type."""
    slots = list(node.get("inputs") or ())
    outputs = list(node.get("outputs") or ())
    kind = outputs[output].get("type") if output < len(outputs) else wanted
    same_place = slots[output : output + 1]
    for slot in (*same_place, *slots):
        if slot.get("type") == kind and slot.get("link") is not None:
            return slot["link"]
    return None


def _widgets(node: Node, description: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    named = node.get("widgets_values_named")
    values = node.get("widgets_values")
    if not isinstance(named, Mapping):
        named = values if isinstance(values, Mapping) else None
    waiting = list(values) if isinstance(values, list) else []
    for name, kind, options in _widget_inputs(description):
        if named is not None:
            if name in named:
                yield name, _plain(named[name])
            continue
        if not waiting:
            if "default" in options:
                yield name, _plain(options["default"])
            continue
        yield name, _plain(waiting.pop(0))
        if kind == "INT" and waiting and waiting[0] in AFTER_RUN and _is_seed(name, options):
            waiting.pop(0)


def _is_seed(name: str, options: Mapping[str, Any]) -> bool:
    return bool(options.get("control_after_generate")) or name in ("seed", "noise_seed")


def _widget_inputs(description: Mapping[str, Any]) -> Iterator[tuple[str, str, Mapping[str, Any]]]:
    """Name, type and options of each input that has a widget, in the order of the widgets."""
    for group in ("required", "optional"):
        specs = (description.get("input") or {}).get(group) or {}
        order = (description.get("input_order") or {}).get(group) or list(specs)
        for name in order:
            spec = specs[name]
            kind = "COMBO" if isinstance(spec[0], list) else str(spec[0])
            options = spec[1] if len(spec) > 1 and isinstance(spec[1], Mapping) else {}
            if kind in WIDGET_TYPES and not options.get("forceInput"):
                yield name, kind, options


def _plain(value: Any) -> Any:
    # A bare list would be read as a link.
    return {"__value__": value} if isinstance(value, list) else value
