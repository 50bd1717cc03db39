"""Plugins whose nodes are schemas (V3)."""

from __future__ import annotations

import uuid

import pytest

pytestmark = pytest.mark.slow


def node(class_type, **inputs):
    return {"class_type": class_type, "inputs": inputs}


def join(**inputs):
    given = {"text": "ab", "count": 2, "loud": False, "kind": "x"} | inputs
    return node("SchemaJoin", **given)


async def described(client, name) -> dict:
    return (await client.json(f"/object_info/{name}"))[name]


async def test_inputs_are_described_as_of_other_nodes(client):
    entry = await described(client, "SchemaJoin")
    assert entry["input"]["required"] == {
        "text": ["STRING", {"tooltip": "a text", "default": "a", "multiline": True}],
        "count": ["INT", {"default": 2, "min": 1, "max": 5, "step": 1}],
        "loud": ["BOOLEAN", {"default": False}],
        "kind": ["COMBO", {"default": "y", "multiselect": False, "options": ["x", "y"]}],
    }
    assert entry["input"]["optional"]["share"] == [
        "FLOAT",
        {"default": 0.5, "min": 0.0, "max": 1.0, "step": 0.1},
    ]
    assert entry["input"]["optional"]["extra"] == ["*", {}]
    assert entry["input_order"]["required"] == ["text", "count", "loud", "kind"]


async def test_outputs_and_the_rest_are_described(client):
    entry = await described(client, "SchemaJoin")
    assert entry["output"] == ["STRING", "INT", "STRING"]
    assert entry["output_name"] == ["STRING", "length", "STRING"]
    assert entry["output_is_list"] == [False, False, True]
    assert entry["output_tooltips"] == ["the whole", None, None]
    assert (entry["display_name"], entry["description"]) == ("Join by schema", "Joins what it gets.")
    assert (entry["category"], entry["output_node"]) == ("contract/schema", False)
    assert entry["python_module"] == "custom_nodes.contract_schema"


async def test_several_types_hidden_inputs_and_marks_are_described(client):
    entry = await described(client, "SchemaShow")
    assert entry["input"]["required"]["value"][0] == "STRING,INT"
    assert {"unique_id", "extra_pnginfo", "prompt"} <= set(entry["input"]["hidden"])
    assert (entry["output_node"], entry["experimental"]) == (True, True)
    picky = await described(client, "SchemaPicky")
    assert (picky["output"], picky["deprecated"]) == (["WORD"], True)
    assert picky["input"]["required"]["other"][1]["lazy"] is True


async def test_execute_gets_its_inputs_and_gives_its_outputs(client):
    prompt = {
        "1": join(share=0.25, extra="e"),
        "2": node("RuleShow", value=["1", 0]),
        "3": node("RuleShow", value=["1", 1]),
        "4": node("RuleShow", value=["1", 2]),
    }
    outputs = (await client.run(prompt))["outputs"]
    assert outputs["2"]["value"] == ["abab/0.25/x/e"]
    assert outputs["3"]["value"] == [13]
    assert outputs["4"]["value"] == list("abab/0.25/x/e")


async def test_hidden_values_are_the_calls_own(client):
    mark = uuid.uuid4().hex
    entry = await client.run(
        {"1": node("SchemaShow", value=mark)}, extra_data={"extra_pnginfo": {"workflow": {"id": 1}}}
    )
    assert entry["outputs"]["1"]["told"] == [[mark, "1", {"workflow": {"id": 1}}]]


@pytest.mark.parametrize(
    ("inputs", "type"),
    [
        ({"count": 9}, "value_bigger_than_max"),
        ({"kind": "z"}, "value_not_in_list"),
        ({"count": "many"}, "invalid_input_type"),
    ],
)
async def test_literals_are_checked(client, inputs, type):
    prompt = {"1": join(**inputs), "2": node("RuleShow", value=["1", 0])}
    status, answer = await client.post("/prompt", {"prompt": prompt})
    assert (status, answer["node_errors"]["1"]["errors"][0]["type"]) == (400, type)


async def test_validate_inputs_is_asked(client):
    prompt = {
        "1": node("SchemaPicky", text="bad", other="o"),
        "2": node("SchemaTakeWord", word=["1", 0]),
        "3": node("ContractShow", text=["2", 0]),
    }
    status, answer = await client.post("/prompt", {"prompt": prompt})
    errors = answer["node_errors"]["1"]["errors"]
    assert (status, {error["type"] for error in errors}) == (400, {"custom_validation_failed"})


@pytest.mark.parametrize(("text", "runs"), [("same", False), ("new", True)])
async def test_the_fingerprint_decides_whether_a_node_runs_again(client, text, runs):
    prompt = {
        "1": node("SchemaPicky", text=f"{text}{uuid.uuid4().hex}", other="o"),
        "2": node("SchemaTakeWord", word=["1", 0]),
        "3": node("ContractShow", text=["2", 0]),
    }
    await client.run(prompt)
    client.events.clear()
    await client.run(prompt)
    ran = [data["node"] for name, data in client.events if name == "executing" and data["node"]]
    assert ("1" in ran) is runs


@pytest.mark.parametrize(("ending", "wanted"), [("lazy", True), ("idle", False)])
async def test_a_lazy_input_runs_only_when_it_is_asked_for(client, ending, wanted):
    text = f"{uuid.uuid4().hex}{ending}"
    prompt = {
        "0": node("RuleJoin", a="asked", b=text),
        "1": node("SchemaPicky", text=text, other=["0", 0]),
        "2": node("SchemaTakeWord", word=["1", 0]),
        "3": node("ContractShow", text=["2", 0]),
    }
    other = f"asked+{text}" if wanted else None
    assert (await client.run(prompt))["outputs"]["3"]["text"] == [f"word {text} {other}"]


async def test_a_schema_node_stops_what_is_behind_it(client):
    prompt = {
        "1": node("SchemaPicky", text="stop", other="here"),
        "2": node("SchemaTakeWord", word=["1", 0]),
        "3": node("ContractShow", text=["2", 0]),
        "4": node("ContractShow", text="beside"),
    }
    entry = await client.run(prompt)
    assert list(entry["outputs"]) == ["4"]
    (told,) = [data for name, data in client.events if name == "execution_error"]
    assert told["exception_message"] == "Execution Blocked: stopped by schema"
