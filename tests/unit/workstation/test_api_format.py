"""Workflows of the editor as engines run them."""

from __future__ import annotations

from typing import Any

import pytest

from workstation.saved_workflows.api_format import BYPASSED, MUTED, to_api_format
from workstation.saved_workflows.errors import NotExportable

INFO: dict[str, Any] = {
    "Load": {
        "input": {"required": {"name": [["a.png", "b.png"], {"image_upload": True}]}},
        "display_name": "Load Image",
    },
    "Sample": {
        "input": {
            "required": {
                "image": ["IMAGE"],
                "seed": ["INT", {"default": 0, "control_after_generate": True}],
                "steps": ["INT", {"default": 20}],
                "method": ["COMBO", {"options": ["x", "y"]}],
            },
            "optional": {"note": ["STRING", {"default": "none"}], "fed": ["STRING", {"forceInput": True}]},
        },
        "input_order": {"required": ["image", "seed", "steps", "method"], "optional": ["note", "fed"]},
    },
    "Blur": {"input": {"required": {"image": ["IMAGE"], "radius": ["FLOAT", {}]}}},
    "Save": {"input": {"required": {"image": ["IMAGE"]}}},
}


def slot(name: str, link: int | None = None, kind: str = "IMAGE") -> dict[str, Any]:
    return {"name": name, "type": kind, "link": link}


def node(
    number: int, kind: str, inputs: list[dict[str, Any]], values: Any = (), **more: Any
) -> dict[str, Any]:
    outputs = [{"name": "IMAGE", "type": "IMAGE"}]
    made = {"id": number, "type": kind, "inputs": inputs, "outputs": outputs, "mode": 0}
    return {**made, "widgets_values": values if isinstance(values, dict) else list(values), **more}


def workflow(middle: dict[str, Any], *more: dict[str, Any], **document: Any) -> dict[str, Any]:
    """Load -> `middle` -> Save, by links 1 and 2."""
    ends = (node(1, "Load", [], ["b.png", "image"]), node(3, "Save", [slot("image", 2)]))
    links = [[1, 1, 0, 2, 0, "IMAGE"], [2, 2, 0, 3, 0, "IMAGE"]]
    return {"nodes": [ends[0], middle, *more, ends[1]], "links": links, **document}


SAMPLE = node(2, "Sample", [slot("image", 1)], [7, "randomize", 4, "y", "mine"], title="My sampler")


def test_widgets_get_their_names_and_the_seeds_own_widget_is_left_out() -> None:
    prompt = to_api_format(workflow(SAMPLE), INFO)
    assert prompt["2"] == {
        "inputs": {"seed": 7, "steps": 4, "method": "y", "note": "mine", "image": ["1", 0]},
        "class_type": "Sample",
        "_meta": {"title": "My sampler"},
    }
    assert prompt["1"] == {
        "inputs": {"name": "b.png"},
        "class_type": "Load",
        "_meta": {"title": "Load Image"},
    }
    assert prompt["3"]["inputs"] == {"image": ["2", 0]}


def test_a_seed_without_a_widget_of_its_own_keeps_what_follows_in_place() -> None:
    sample = {**SAMPLE, "widgets_values": [7, 4, "y"]}
    inputs = to_api_format(workflow(sample), INFO)["2"]["inputs"]
    assert inputs == {"seed": 7, "steps": 4, "method": "y", "note": "none", "image": ["1", 0]}


@pytest.mark.parametrize("field", ["widgets_values", "widgets_values_named"])
def test_values_that_are_saved_by_name_are_taken_by_name(field: str) -> None:
    named = {"method": "x", "seed": 3, "control_after_generate": "fixed", "steps": 9}
    inputs = to_api_format(workflow({**SAMPLE, field: named}), INFO)["2"]["inputs"]
    assert inputs == {"seed": 3, "steps": 9, "method": "x", "image": ["1", 0]}


def test_a_linked_widget_takes_its_link_and_a_primitive_leaves_its_value() -> None:
    primitive = node(9, "PrimitiveNode", [], [5, "fixed"])
    linked = {**SAMPLE, "inputs": [slot("image", 1), slot("steps", 3, "INT"), slot("note", 4, "STRING")]}
    document = workflow(linked, primitive)
    document["links"] += [
        [3, 9, 0, 2, 1, "INT"],
        {"id": 4, "origin_id": 1, "origin_slot": 0, "target_id": 2, "target_slot": 2, "type": "STRING"},
    ]
    inputs = to_api_format(document, INFO)["2"]["inputs"]
    assert inputs["steps"] == 4 and inputs["note"] == ["1", 0]
    assert "9" not in to_api_format(document, INFO)


def test_reroutes_and_bypassed_nodes_are_looked_through() -> None:
    for middle in (
        node(2, "Reroute", [slot("", 1, "*")]),
        {**node(2, "Blur", [slot("image", 1)], [2.0]), "mode": BYPASSED},
    ):
        prompt = to_api_format(workflow(middle), INFO)
        assert set(prompt) == {"1", "3"} and prompt["3"]["inputs"] == {"image": ["1", 0]}


def test_a_muted_node_is_left_out_with_its_links() -> None:
    prompt = to_api_format(workflow({**SAMPLE, "mode": MUTED}), INFO)
    assert set(prompt) == {"1", "3"} and prompt["3"]["inputs"] == {}


def test_a_reroute_that_leads_to_itself_ends() -> None:
    middle = node(2, "Reroute", [slot("", 2, "*")])
    assert to_api_format(workflow(middle), INFO)["3"]["inputs"] == {}


def test_notes_are_nothing_to_run_and_lists_are_no_links() -> None:
    note = node(8, "MarkdownNote", [], ["words"])
    listed = {**SAMPLE, "widgets_values": {"note": ["a", 1]}}
    prompt = to_api_format(workflow(listed, note), INFO)
    assert set(prompt) == {"1", "2", "3"}
    assert prompt["2"]["inputs"]["note"] == {"__value__": ["a", 1]}


def test_a_subgraph_and_an_unknown_node_are_refused_by_their_numbers() -> None:
    nested = workflow(node(2, "0-0-0", []), definitions={"subgraphs": [{"id": "0-0-0"}]})
    with pytest.raises(NotExportable, match=r"Node 2 .* subgraph.*Export \(API\)"):
        to_api_format(nested, INFO)
    with pytest.raises(NotExportable, match=r"Node 2 .Strange. .*does not have this node"):
        to_api_format(workflow(node(2, "Strange", [])), INFO)
